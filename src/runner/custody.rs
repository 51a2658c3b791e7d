//! What a run needs around every phase: room on the disk before it, a copy in safety after it.

use super::disk::DiskGuard;
use super::residence::{Residence, ResidenceError};
use crate::gym::ports::PortError;

/// Sees to the room and to the copies of one run.
pub struct Custody {
    residence: Residence,
    disk: DiskGuard,
    /// Whether the last copy failed.
    behind: bool,
}

impl Custody {
    /// Custody of a run that this process has.
    pub fn new(residence: Residence, disk: DiskGuard) -> Self {
        Self { residence, disk, behind: false }
    }

    /// Before a phase: makes up for a copy that failed, and looks for room.
    ///
    /// # Errors
    /// When the phase must not begin; the run then pauses with that message.
    pub fn before(&mut self) -> Result<(), PortError> {
        if self.behind {
            self.residence.copy_back().map_err(|error| {
                let (folder, live) = (self.residence.run().display(), self.residence.live().display());
                PortError::fatal(format!(
                    "{folder}: the run could not be copied back, so nothing new is begun: {error}. Everything \
                     is in {live} on this machine; make the folder writable, then resume here"
                ))
            })?;
            self.behind = false;
        }
        self.disk.check()
    }

    /// After a phase: copies it back. A failure is told before the next phase.
    pub fn after(&mut self) {
        if let Err(error) = self.residence.copy_back() {
            tracing::warn!(%error, "the run could not be copied back");
            self.behind = true;
        }
    }

    /// The disk is full: gives the ballast away, so that this can be written down.
    pub fn make_room(&self) {
        self.disk.make_room();
    }

    /// Ends the custody with the last copy.
    ///
    /// # Errors
    /// When that fails.
    pub fn leave(self) -> Result<(), ResidenceError> {
        self.disk.leave();
        self.residence.leave()
    }
}
