//! What to do about failures that the system words the same everywhere.

use crate::runner::disk;

/// A remedy for a message that does not give its own.
pub(super) fn remedy(message: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if disk::speaks_of_full_disk(message) && !says(&["free some space"]) {
        Some("free some space there, then start it again: nothing that was shown as done is lost")
    } else if says(&["Read-only file system", "Permission denied", "readonly database"])
        && !says(&["--runs-dir", "XDG_RUNTIME_DIR"])
    {
        Some(
            "this user must be able to write there: check the permissions, or give another folder with --runs-dir",
        )
    } else if says(&["unable to open database file"]) {
        Some(
            "the folder must be writable also for looking at a run: copy the run to one that is, and give that \
             with --runs-dir",
        )
    } else if says(&["file is not a database", "disk image is malformed"]) {
        Some("the file is damaged: restore it from a copy, or delete the run")
    } else if says(&["Too many open files"]) {
        Some("raise the limit with `ulimit -n 1024`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_failures_have_a_remedy_and_others_have_none() {
        let all = [
            "/x/run.db: database or disk is full",
            "cannot write /x: Permission denied (os error 13)",
            "/x/run.db: unable to open database file",
            "/x/run.db: file is not a database",
            "accept: Too many open files (os error 24)",
        ];
        assert!(all.iter().all(|message| remedy(message).is_some()));
        assert_eq!(remedy("no run `x`"), None);
        assert_eq!(remedy("disk full: /x has 1 MiB left: free some space there, then resume"), None);
    }
}
