//! The configuration of a run, sealed: its first line is the hash of the rest.
//!
//! A configuration with one digit changed is still a configuration, and the run that goes on with it is another
//! one. The seal tells what was changed by hand or by a bad disk from what the run was made with.

use color_eyre::eyre::{Result, bail};
use sha2::{Digest, Sha256};

use crate::gym::hex::hex;

/// Begins the first line.
const MARK: &str = "# What this run was made with. Its hash, so that a change is noticed: ";

/// The text of the file for a configuration.
pub(super) fn seal(text: &str) -> String {
    format!("{MARK}{}\n{text}", hash(text))
}

/// Refuses what is not as it was sealed. A file without a seal is one of an earlier version.
///
/// # Errors
/// Says what is wrong with the file and what to do; the caller names it.
pub(super) fn verify(text: &str) -> Result<()> {
    if text.trim().is_empty() {
        bail!("the file is empty; restore it from a copy, or start the run again under another --name");
    }
    let Some(sealed) = text.strip_prefix(MARK) else { return Ok(()) };
    let (stated, rest) = sealed.split_once('\n').unwrap_or((sealed, ""));
    if stated != hash(rest) {
        bail!(
            "this is not what the run was made with: the file was changed or is damaged; restore it from a copy. \
             Where the change is meant, remove the first line"
        );
    }
    Ok(())
}

fn hash(text: &str) -> String {
    hex(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_behind_the_mark_is_noticed() {
        let sealed = seal("seed = 12\nname = \"a\"\n");
        verify(&sealed).unwrap();
        for at in MARK.len()..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(verify(&changed).is_err(), "byte {at}");
            }
            assert!(verify(&sealed[..at]).is_err(), "cut at {at}");
        }
        verify("seed = 12\n").unwrap();
        assert!(verify("\n").is_err());
    }
}
