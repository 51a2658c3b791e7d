//! The trained student on a server. Adapters are loaded after each training under a new name, and old ones unloaded;
//! whole models are asked for by their folder.
//!
//! A name is never used for two contents, because servers keep what they computed for a name.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::server::{Call, End, Server};
use crate::gym::hex::hex;
use crate::gym::ports::{AdapterServer, PortError};

/// Weights in an adapter folder.
const WEIGHTS: &str = "adapter_model.safetensors";
/// What every file of weights ends with.
const TENSORS: &str = "safetensors";
/// What the names of all our adapters begin with.
const PREFIX: &str = "student-";

/// An adapter as servers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Adapter {
    /// `student-RUN-iteration-003-HASH`; the hash is that of its weights.
    pub(super) name: String,
    /// The folder here.
    pub(super) folder: PathBuf,
}

impl Adapter {
    /// The adapter in `RUN/checkpoints/iteration-NNN`.
    pub(super) fn of(folder: &Path) -> Result<Self, PortError> {
        let weights = folder.join(WEIGHTS);
        let bytes = std::fs::read(&weights).map_err(|error| {
            let hint = "an endpoint is given adapters: set `trainer.method = \"lora\"`";
            PortError::fatal(format!("the adapter {} cannot be read: {error}; {hint}", weights.display()))
        })?;
        let hash = hex(Sha256::digest(&bytes));
        Ok(Self { name: format!("{}{}-{}", family(folder), leaf(folder), &hash[..8]), folder: folder.into() })
    }
}

/// What the names of all adapters of a run begin with.
fn family(folder: &Path) -> String {
    let run = folder.ancestors().nth(2).map(leaf).filter(|run| !run.is_empty());
    format!("{PREFIX}{}-", run.unwrap_or_else(|| "run".into()))
}

/// The last part of a path, in the letters that every server takes.
fn leaf(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}

/// A trained student as servers are given it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trained {
    /// An adapter.
    Adapter(Adapter),
    /// A whole model: its folder, and the hash of its weights.
    Whole(PathBuf, String),
}

impl Trained {
    /// A whole model in a folder.
    pub(super) fn whole(folder: &Path) -> Result<Self, PortError> {
        let unreadable = |error: std::io::Error| {
            PortError::fatal(format!("the model {} cannot be read: {error}", folder.display()))
        };
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            files.push(entry.map_err(unreadable)?.path());
        }
        files.retain(|file| file.extension().is_some_and(|kind| kind == TENSORS));
        files.sort();
        let mut hash = Sha256::new();
        for file in files {
            let mut file = File::open(file).map_err(unreadable)?;
            let mut piece = vec![0; 1 << 20];
            loop {
                let read = file.read(&mut piece).map_err(unreadable)?;
                if read == 0 {
                    break;
                }
                hash.update(&piece[..read]);
            }
        }
        Ok(Self::Whole(folder.to_owned(), hex(hash.finalize())[..8].to_owned()))
    }
}

/// Lets the server answer with a trained student, or with the model it was configured with. The adapter that was
/// served before stays loaded, older ones of the same run go.
pub(super) async fn serve(server: &Server, trained: Option<&Trained>, call: &Call) -> Result<(), End> {
    let base = server.endpoint.model.clone();
    let model = match trained {
        None => base,
        Some(trained) => {
            let adapter = matches!(trained, Trained::Adapter(_));
            if let Some(why) = server.endpoint.adapters.refusal(adapter) {
                return Err(End::Refused { status: 0, message: server.says(why) });
            }
            match trained {
                Trained::Adapter(adapter) => {
                    load(server, adapter, call).await?;
                    match server.endpoint.adapters {
                        AdapterServer::Sglang => format!("{base}:{}", adapter.name),
                        _ => adapter.name.clone(),
                    }
                }
                Trained::Whole(folder, hash) => format!("{}@{hash}", there(server, folder)),
            }
        }
    };
    let before = std::mem::replace(&mut *server.model.lock().unwrap_or_else(PoisonError::into_inner), model);
    if let Some(Trained::Adapter(adapter)) = trained {
        tidy(server, adapter, &before, call).await;
    }
    Ok(())
}

/// Where the routes of a server are.
fn route(server: &Server, verb: &str) -> String {
    match server.endpoint.adapters {
        // The root of the server, above the version.
        AdapterServer::Sglang => format!("//{verb}_lora_adapter"),
        _ => format!("/{verb}_lora_adapter"),
    }
}

async fn load(server: &Server, adapter: &Adapter, call: &Call) -> Result<(), End> {
    let path = there(server, &adapter.folder);
    let body = json!({"lora_name": adapter.name, "lora_path": path});
    match server.fetch(&route(server, "load"), Some(&body), call).await {
        Ok(_) => Ok(()),
        // The name holds the hash of the weights: what is loaded under it is this adapter.
        Err(End::Refused { status: 400, message }) if message.to_lowercase().contains("already") => Ok(()),
        Err(End::Refused { status, message }) => {
            let hint = match status {
                404 if message.contains("Not Found") => {
                    "it was started without the routes that exchange adapters"
                }
                404 => {
                    "it cannot see that folder: `adapters_here` and `adapters_there` say what it is called there"
                }
                _ => "see its log",
            };
            Err(End::Refused {
                status,
                message: format!("{message}. The adapter {path} was not loaded: {hint}"),
            })
        }
        Err(other) => Err(other),
    }
}

/// A folder under the name that the server knows it by.
fn there(server: &Server, folder: &Path) -> String {
    let endpoint = &server.endpoint;
    let moved = endpoint.adapters_here.as_ref().zip(endpoint.adapters_there.as_ref());
    let moved = moved.and_then(|(here, there)| Some(there.join(folder.strip_prefix(here).ok()?)));
    moved.unwrap_or_else(|| folder.to_owned()).display().to_string()
}

/// Unloads the adapters of this run but the present one and the one before. What fails is only noted: an
/// adapter too many is no reason to stop.
async fn tidy(server: &Server, adapter: &Adapter, before: &str, call: &Call) {
    let family = family(&adapter.folder);
    let listed = match server.fetch("/models", None, call).await {
        Ok(text) => serde_json::from_str::<Value>(&text).unwrap_or_default(),
        Err(error) => {
            tracing::warn!(endpoint = server.name, ?error, "the loaded adapters are not known");
            return;
        }
    };
    let ids = listed["data"].as_array().into_iter().flatten().filter_map(|model| model["id"].as_str());
    let names = ids.map(|id| id.rsplit(':').next().unwrap_or(id));
    for name in names.filter(|name| name.starts_with(&family)) {
        if name == adapter.name || before.ends_with(name) {
            continue;
        }
        let body = json!({"lora_name": name});
        if let Err(error) = server.fetch(&route(server, "unload"), Some(&body), call).await {
            tracing::warn!(endpoint = server.name, name, ?error, "an old adapter stays loaded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_model_is_named_by_what_it_weighs() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        let hash = |weights: &str| {
            std::fs::write(folder.path().join("model.safetensors"), weights).unwrap();
            match Trained::whole(folder.path()).unwrap() {
                Trained::Whole(_, hash) => hash,
                Trained::Adapter(_) => panic!(),
            }
        };
        assert_eq!((hash("one").as_str(), hash("two") == hash("one")), ("7692c3ad", false));
        assert!(Trained::whole(&folder.path().join("missing")).is_err());
    }

    #[test]
    fn a_name_tells_run_iteration_and_content() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("my run").join("checkpoints").join("iteration-002");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(WEIGHTS), "one").unwrap();
        let one = Adapter::of(&folder).unwrap();
        assert_eq!(one.name, "student-my_run-iteration-002-7692c3ad");
        std::fs::write(folder.join(WEIGHTS), "two").unwrap();
        assert_ne!(Adapter::of(&folder).unwrap().name, one.name);
        std::fs::remove_file(folder.join(WEIGHTS)).unwrap();
        assert!(Adapter::of(&folder).unwrap_err().message.contains("lora"));
    }
}
