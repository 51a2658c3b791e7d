//! What the drawing thread does outside the terminal: files for charts, and the person's own editor.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use super::charts::Exported;
use super::wording;
use crate::gym::datum::Wording;

/// Folder of exported charts in a run folder.
const EXPORTS: &str = "exports";

/// File of the last copied text.
const COPIED: &str = "copied.txt";
/// Bytes of a text that is copied at most: what terminals take.
const LARGEST_COPY: usize = 64 * 1024;

/// The text, or as much of it as a clipboard takes.
pub(super) fn copied(text: &str) -> &str {
    &text[..text.floor_char_boundary(LARGEST_COPY)]
}

/// Gives a text to tmux, which passes it on to the clipboard. Whether it did.
pub(super) fn copy_by_tmux(text: &str) -> bool {
    if std::env::var_os("TMUX").is_none() {
        return false;
    }
    let mut command = Command::new("tmux");
    let command = command.args(["load-buffer", "-w", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let Ok(mut child) = command.stderr(Stdio::null()).spawn() else { return false };
    let written = child.stdin.take().is_some_and(|mut pipe| pipe.write_all(text.as_bytes()).is_ok());
    child.wait().is_ok_and(|status| status.success() && written)
}

/// Keeps a copied text in a file of the run, for terminals without a clipboard.
pub(super) fn keep(run: &Path, text: &str) -> Result<PathBuf, String> {
    let file = Exported { name: COPIED.into(), text: text.to_owned() };
    export(run, &[file]).map(|folder| folder.join(COPIED))
}

/// Writes the charts; each file appears whole.
pub(super) fn export(run: &Path, files: &[Exported]) -> Result<PathBuf, String> {
    let folder = run.join(EXPORTS);
    let write = || {
        fs::create_dir_all(&folder)?;
        for file in files {
            let unfinished = folder.join(format!(".{}.unfinished", file.name));
            fs::write(&unfinished, &file.text)?;
            fs::rename(&unfinished, folder.join(&file.name))?;
        }
        Ok::<_, std::io::Error>(())
    };
    write().map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// Gives the words to `$VISUAL` or `$EDITOR` on the terminal and reads them back; `None` when nothing changed.
/// The file can be read by nobody else, and stays when what is in it cannot be used.
pub(super) fn write(terminal: &File, id: &str, words: &Wording) -> Result<Option<Wording>, String> {
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.trim().is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let path = temporary(&wording::written(id, words))?;
    let result = run(&editor, terminal, &path).and_then(|()| {
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        wording::read_back(&text, words).map_err(|m| format!("nothing was changed; {}, {m}", path.display()))
    });
    if result.is_ok() {
        // A file that stays is a nuisance, not an error.
        let _ = fs::remove_file(&path);
    }
    result
}

/// A new file with the text, readable by its owner alone.
fn temporary(text: &str) -> Result<PathBuf, String> {
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    let path = std::env::temp_dir().join(format!("dataenvgym-{}-{moment}.txt", std::process::id()));
    let create = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())
    };
    create().map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

/// Runs the editor as a shell would, so that it may have arguments.
fn run(editor: &str, terminal: &File, path: &Path) -> Result<(), String> {
    let io = || terminal.try_clone().map(Stdio::from).map_err(|error| error.to_string());
    let status = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{editor} \"$1\""))
        .args(["editor".as_ref(), path.as_os_str()])
        .stdin(io()?)
        .stdout(io()?)
        .stderr(io()?)
        .status()
        .map_err(|error| format!("`{editor}` could not be started: {error}; set EDITOR"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!(
            "nothing was changed: `{editor}` ended with {status}; your text is in {}",
            path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(instruction: &str) -> Wording {
        Wording { instruction: instruction.into(), response: "#### 4".into(), answer: Some("4".into()) }
    }

    #[test]
    fn charts_are_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = Exported { name: "a.csv".into(), text: "x\n".into() };
        let written = export(folder.path(), &[file]).unwrap();
        assert_eq!(fs::read_to_string(written.join("a.csv")).unwrap(), "x\n");
        assert_eq!(fs::read_dir(written).unwrap().count(), 1);
        assert!(export(Path::new("/proc/none"), &[]).unwrap_err().contains("/proc/none"));
    }

    #[test]
    fn the_file_is_private_and_any_command_can_edit_it() {
        use std::os::unix::fs::PermissionsExt;
        let path = temporary(&wording::written("i001", &words("2+2?"))).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let null = OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
        run("sed -i s/2+2/3+3/", &null, &path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(wording::read_back(&text, &words("2+2?")), Ok(Some(words("3+3?"))));
        assert!(run("false", &null, &path).unwrap_err().contains("your text is in"));
        fs::remove_file(path).unwrap();
    }
}
