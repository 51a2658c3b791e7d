//! Files of a configuration: finding them, reading them, and what relative paths in them mean.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use toml::Value;

use super::document::{self, Node};
use super::endpoints::ENDPOINT;
use super::mistake::ConfigError;
use super::{READY, suggest};

/// Name of a project's file.
pub const PROJECT_FILE: &str = "dataenvgym.toml";
/// Nobody writes a longer configuration by hand; a device or a data set given by mistake ends here.
const MOST_BYTES: u64 = 1 << 20;
/// What a model begins with that is no path but a name on the hub.
const HUB: &str = "hub:";
/// Models in a teacher's place that are no files.
const TEACHERS: &[&str] = &["none", "embedded", "embedded-weak", "scripted"];
/// Keys that name files, with the words in their place that do not.
const PATHS: &[(&[&str], &[&str])] = &[
    (&["task", "file"], &[]),
    (&["task", "path"], &[]),
    (&["task", "test_path"], &[]),
    (&["skills", "file"], &[]),
    (&["skills", "labels"], &[]),
    (&["student", "model"], &["embedded", "scripted"]),
    (&["student", "weights"], &["embedded", "scripted"]),
    (&["teacher", "model"], TEACHERS),
    (&["verifier", "model"], TEACHERS),
];

/// The project's file in `folder` or in the nearest folder above that has one; the search ends at `home`
/// and at the root. In a folder above, a file that neither this user nor root owns is passed over: anybody
/// could have put it there.
pub fn project_file(folder: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    for above in folder.ancestors() {
        let file = above.join(PROJECT_FILE);
        if let Ok(found) = std::fs::metadata(&file)
            && found.is_file()
            && (above == folder || found.uid() == user || found.uid() == 0)
        {
            return Some(file);
        }
        if Some(above) == home {
            break;
        }
    }
    None
}

/// Reads a file as a layer. A relative path in it starts at the file's folder.
pub(super) fn layer(path: &Path) -> Result<Node, ConfigError> {
    let mut node = document::parse(&text(path)?, &path.display().to_string())?;
    anchor(&mut node, path.parent().unwrap_or(Path::new(".")));
    Ok(node)
}

fn text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source: std::io::Error| {
        let names = || READY.iter().map(|(name, _)| *name);
        let meant = path.to_str().and_then(|word| suggest::nearest(word, names()));
        let hint = match meant {
            _ if source.kind() != std::io::ErrorKind::NotFound => String::new(),
            Some(name) => format!("\n  did you mean the ready configuration `{name}`?"),
            None => format!("\n  ready configurations: {}", names().collect::<Vec<_>>().join(", ")),
        };
        ConfigError::Unreadable { path: path.to_owned(), source, hint }
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(unreadable(std::io::Error::other("it is larger than 1 MiB")));
    }
    Ok(text)
}

/// Makes the relative paths of a layer absolute, so that they mean the same from every folder.
pub(super) fn anchor(node: &mut Node, base: &Path) {
    for (keys, words) in PATHS {
        if let Some(Node::Leaf { value: Value::String(path), .. }) = at_mut(node, keys)
            && !words.contains(&path.as_str())
            && !path.starts_with(HUB)
            && !path.starts_with(ENDPOINT)
        {
            absolute(path, base);
        }
    }
    if let Some(Node::Table { entries, .. }) = at_mut(node, &["endpoints"]) {
        for endpoint in entries.values_mut() {
            for key in ["key_file", "ca_file", "adapters_here"] {
                if let Some(Node::Leaf { value: Value::String(path), .. }) = at_mut(endpoint, &[key]) {
                    absolute(path, base);
                }
            }
        }
    }
    // The one list of tables that name files.
    if let Some(Node::Leaf { value: Value::Array(benchmarks), .. }) = at_mut(node, &["task", "benchmarks"]) {
        for benchmark in benchmarks {
            for key in ["path", "test_path"] {
                if let Some(Value::String(path)) = benchmark.get_mut(key) {
                    absolute(path, base);
                }
            }
        }
    }
}

fn absolute(path: &mut String, base: &Path) {
    if let Ok(joined) = std::path::absolute(base.join(&*path)) {
        *path = joined.canonicalize().unwrap_or(joined).display().to_string();
    }
}

fn at_mut<'a>(node: &'a mut Node, keys: &[&str]) -> Option<&'a mut Node> {
    keys.iter().try_fold(node, |node, key| match node {
        Node::Table { entries, .. } => entries.get_mut(*key),
        Node::Leaf { .. } => None,
    })
}
