//! Fetching from the hub into its cache.

use std::path::PathBuf;

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Repo, RepoType};

use super::{Access, HubError, HubName};
use crate::models::folder;

/// Files that are fetched beside the weights.
const WANTED: [&str; 6] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    folder::INDEX,
];
/// Tries per file.
const TRIES: usize = 3;

impl HubName {
    /// Fetches what the cache lacks.
    pub(super) fn fetch(
        &self,
        access: &Access,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<(String, PathBuf), HubError> {
        let fault = |error: &ApiError| self.explained(access, error);
        let api = api(access).map_err(|error| fault(&error))?;
        let at = |revision: &str| {
            let revision = revision.to_owned();
            api.repo(Repo::with_revision(self.repository.clone(), RepoType::Model, revision))
        };
        let info = at(&self.revision).info().map_err(|error| fault(&error))?;
        let pinned = self.pinned(&info.sha);
        if !pinned.is_pinned() {
            return Err(self.unreachable(access, "what answers at its address is not the hub"));
        }
        if let Some(found) = pinned.cached(&access.cache) {
            return Ok(found);
        }
        // Names come from the network: those with a folder in them are not wanted anyway.
        let names = info.siblings.iter().map(|sibling| sibling.rfilename.as_str());
        let names: Vec<&str> = names.filter(|name| !name.contains('/')).collect();
        let model = access.cache.join(format!("models--{}", self.repository.replace('/', "--")));
        let folder = model.join("snapshots").join(&info.sha);
        let repository = at(&info.sha);
        let mut get = |file: &str| {
            let bar = Bar { file, done: 0, total: 0, told: &mut *progress };
            repository.download_with_progress(file, bar).map(drop).map_err(|error| fault(&error))
        };
        // The small files first: the index among them says which of the large ones are the model.
        names.iter().copied().filter(|name| WANTED.contains(name)).try_for_each(&mut get)?;
        let index = std::fs::read(folder.join(folder::INDEX)).ok();
        let index = index.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let weights = folder::chosen(names, index.as_ref());
        if weights.is_empty() {
            return Err(HubError::NoWeights(self.to_string()));
        }
        weights.into_iter().try_for_each(get)?;
        folder::check(&folder).map_err(|error| HubError::Damaged(error.to_string()))?;
        Ok((info.sha, folder))
    }

    fn explained(&self, access: &Access, error: &ApiError) -> HubError {
        // The library wraps its HTTP client's errors; their words carry the status, and no header.
        let said = error.to_string();
        let status = |number: &str| said.contains(&format!("status code {number}"));
        if status("401") || status("403") {
            return HubError::Forbidden { name: self.to_string(), why: said };
        }
        if status("404") {
            return HubError::Unknown(self.to_string());
        }
        self.unreachable(access, said)
    }
}

/// The library's client, as the access says.
fn api(access: &Access) -> Result<Api, ApiError> {
    let builder = ApiBuilder::new()
        .with_cache_dir(access.cache.clone())
        .with_progress(false)
        .with_retries(TRIES)
        .with_token(access.token.as_ref().map(|token| token.0.clone()));
    let builder = match &access.endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint.trim_end_matches('/').to_owned()),
        None => builder,
    };
    builder.build()
}

struct Bar<'a> {
    file: &'a str,
    done: u64,
    total: u64,
    told: &'a mut dyn FnMut(&str, u64, u64),
}

impl Progress for Bar<'_> {
    fn init(&mut self, size: usize, _: &str) {
        self.total = size as u64;
        (self.told)(self.file, 0, self.total);
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.told)(self.file, self.done, self.total);
    }

    fn finish(&mut self) {
        (self.told)(self.file, self.total, self.total);
    }
}
