//! One core for a worker of one thread.
//!
//! For every layer of every token, mistral.rs hands its attention to a second thread and sleeps. Where both threads share a
//! core that is a switch; where the second one has to be woken on an idle core it costs more than the layer itself
//! (measured: three times the time of a 1 M model). So such a worker stays on one core.
//!
//! Scheduled as a batch (`SCHED_BATCH`) it would need a quarter less processor time, because a woken thread then does not
//! interrupt the one that woke it; but beside any busy process on its core it would get next to nothing (measured: 11
//! tokens a second in the place of 2,500), because it does not interrupt that one either.

use crate::protocol::worker::Role;

/// A core that no other worker of its role has taken on this machine (students and teachers work in turn); given back
/// when this is dropped or the process ends.
pub struct Core {
    #[cfg(target_os = "linux")]
    _name: std::os::unix::net::UnixListener,
}

impl Core {
    /// Takes the first free core of those that this process may use, from a random one on, and keeps the calling thread
    /// and all that it starts from now on there. `None` where every core is taken, or cores cannot be chosen: the
    /// system moves the threads about then.
    #[cfg(target_os = "linux")]
    pub fn take(role: Role) -> Option<Self> {
        use std::hash::{BuildHasher as _, RandomState};
        use std::os::linux::net::SocketAddrExt as _;
        use std::os::unix::net::{SocketAddr, UnixListener};

        let cores = core_affinity::get_core_ids()?;
        // Workers in containers do not see each other's names: at least they do not all begin with the same core.
        let first = RandomState::new().hash_one(std::process::id()) as usize % cores.len().max(1);
        cores.iter().cycle().skip(first).take(cores.len()).find_map(|core| {
            // A name without a file: the system gives it to one process at a time, and back when that ends.
            let name =
                SocketAddr::from_abstract_name(format!("dataenvgym-{}-core-{}", role.as_str(), core.id))
                    .ok()?;
            let held = UnixListener::bind_addr(&name).ok()?;
            core_affinity::set_for_current(*core).then_some(Self { _name: held })
        })
    }

    /// Cores cannot be chosen on this system.
    #[cfg(not(target_os = "linux"))]
    pub fn take(_role: Role) -> Option<Self> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use core_affinity::CoreId;

    use super::*;

    #[test]
    fn a_core_is_taken_once_and_given_back() {
        // The cores that a thread of a thread that took one may use, and what was taken.
        let taken = || {
            let thread = std::thread::spawn(|| {
                let core = Core::take(Role::Student);
                (std::thread::spawn(core_affinity::get_core_ids).join().unwrap().unwrap(), core)
            });
            thread.join().unwrap()
        };
        let cores = core_affinity::get_core_ids().unwrap().len();
        let mut held: Vec<(Vec<CoreId>, Core)> = Vec::new();
        while let (allowed, Some(core)) = taken() {
            assert_eq!(allowed.len(), 1);
            assert!(held.iter().all(|(others, _)| *others != allowed), "core {allowed:?} was taken twice");
            held.push((allowed, core));
        }
        // Runs that go on beside the tests hold some of them.
        assert!(held.len() <= cores);
        if let Some((last, core)) = held.pop() {
            drop(core);
            assert_eq!(taken().0, last);
        }
        assert_eq!(core_affinity::get_core_ids().unwrap().len(), cores, "this thread has stayed free");
    }
}
