//! Where the control socket of a run lies: a folder that only this user can enter, and a short name, because
//! the path of a socket may have 108 bytes at most.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::paths::PathsError;
use super::paths::run_key;

/// Longest path of a socket in bytes; `sun_path` holds 108 with the final zero, 92 on some systems with a
/// temporary suffix in front of the rename.
const LONGEST: usize = 100;
/// Room for the suffix of the temporary name.
const SUFFIX: usize = 12;

/// The control socket of the run in `run_folder`, whose database lies in `live_folder`. The folder is made and
/// verified.
///
/// `$XDG_RUNTIME_DIR/dataenvgym` when there is such a folder, otherwise `socket` in the live folder,
/// otherwise, where that path is too long, a private folder among the temporary ones.
///
/// # Errors
/// When the folder cannot be made, or is not private to this user.
pub fn socket(run_folder: &Path, live_folder: &Path) -> Result<PathBuf, PathsError> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    place(run_folder, live_folder, runtime.as_deref(), &std::env::temp_dir())
}

fn place(
    run_folder: &Path,
    live_folder: &Path,
    runtime: Option<&Path>,
    temporary: &Path,
) -> Result<PathBuf, PathsError> {
    let name = format!("{}.sock", run_key(run_folder));
    let user = rustix::process::getuid().as_raw();
    let runtime = runtime.filter(|folder| folder.is_absolute() && folder.is_dir());
    let candidates = [
        runtime.map(|folder| folder.join("dataenvgym").join(&name)),
        Some(live_folder.join("socket").join(&name)),
        Some(temporary.join(format!("dataenvgym-{user}")).join(&name)),
    ];
    let fits = |path: &PathBuf| path.as_os_str().len() + SUFFIX <= LONGEST;
    let longest = candidates.iter().flatten().last().cloned().unwrap_or_default();
    let path = candidates.into_iter().flatten().find(fits).ok_or(PathsError::TooLong(longest))?;
    private_folder(path.parent().unwrap_or(Path::new("/")))?;
    Ok(path)
}

/// Makes a folder that only this user can enter; one that is there must be that already.
///
/// # Errors
/// When it is a link, belongs to somebody else, is open to others, or cannot be made.
pub fn private_folder(folder: &Path) -> Result<(), PathsError> {
    let failed = |source| PathsError::Io { path: folder.to_owned(), source };
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    let found = std::fs::symlink_metadata(folder).map_err(failed)?;
    let why = if !found.is_dir() {
        "it is no folder, or a link to one"
    } else if found.uid() != rustix::process::getuid().as_raw() {
        "it belongs to another user"
    } else if found.mode() & 0o077 != 0 {
        "others can enter it"
    } else {
        return Ok(());
    };
    Err(PathsError::NotPrivate { path: folder.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_runtime_folder_first_then_the_run_then_the_temporary_folder() {
        let home = tempfile::tempdir().unwrap();
        let [run, runtime, temporary] = ["run", "runtime", "tmp"].map(|name| home.path().join(name));
        for folder in [&run, &runtime, &temporary] {
            std::fs::create_dir(folder).unwrap();
        }
        let in_runtime = place(&run, &run, Some(&runtime), &temporary).unwrap();
        assert_eq!(in_runtime.parent(), Some(runtime.join("dataenvgym").as_path()));
        let gone = home.path().join("gone");
        let in_run = place(&run, &run, Some(&gone), &temporary).unwrap();
        assert_eq!(in_run.parent(), Some(run.join("socket").as_path()));
        assert_eq!(in_run.file_name(), in_runtime.file_name());
        let deep = run.join("x".repeat(90));
        std::fs::create_dir(&deep).unwrap();
        let elsewhere = place(&deep, &deep, None, &temporary).unwrap();
        assert!(elsewhere.starts_with(&temporary) && elsewhere.as_os_str().len() < LONGEST);
        let error = place(&deep, &deep, None, &deep).unwrap_err().to_string();
        assert!(error.contains("XDG_RUNTIME_DIR"), "{error}");
    }

    #[test]
    fn a_folder_that_is_open_or_a_link_is_refused_by_name() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("private");
        private_folder(&folder).unwrap();
        private_folder(&folder).unwrap();
        set_mode(&folder, 0o750);
        let error = private_folder(&folder).unwrap_err().to_string();
        assert!(error.contains("private") && error.contains("others can enter it"), "{error}");
        set_mode(&folder, 0o700);
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert!(private_folder(&link).unwrap_err().to_string().contains("a link"));
    }
}
