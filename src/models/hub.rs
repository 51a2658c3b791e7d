//! Models of the Hugging Face hub: `hub:organisation/name`, with `@revision` behind it where one is meant.
//!
//! What is fetched lies in the cache that the hub's own tools use, and is used from there without network. A run
//! keeps the commit it began with, so that it goes on with the same weights. The access token comes from `HF_TOKEN`
//! and goes nowhere but into the request.

#[cfg(feature = "mistralrs")]
mod fetch;

use std::fmt;
use std::path::{Path, PathBuf};

use super::folder;

/// What a hub name begins with.
pub const PREFIX: &str = "hub:";
/// The revision that is meant when none is named.
const MAIN: &str = "main";

/// A model of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubName {
    /// `organisation/name`.
    pub repository: String,
    /// Branch, tag or commit.
    pub revision: String,
}

/// How to reach the hub.
#[derive(Debug, Clone)]
pub struct Access {
    /// The cache: a folder with `models--organisation--name` in it.
    pub cache: PathBuf,
    /// The hub's address; its own where it is not given.
    pub endpoint: Option<String>,
    /// The access token.
    pub token: Option<Secret>,
    /// Whether the network must not be used.
    pub offline: bool,
}

/// A text that is never shown.
#[derive(Clone)]
pub struct Secret(
    #[cfg_attr(not(feature = "mistralrs"), expect(dead_code, reason = "only fetching reads it"))] String,
);

impl Secret {
    /// Keeps a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Access {
    /// As the hub's own tools read the environment: `HF_HUB_CACHE`, `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`,
    /// `HF_HUB_OFFLINE`. `home` is the user's folder.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>, home: Option<&Path>) -> Self {
        let set = |name: &str| get(name).filter(|value| !value.is_empty());
        let hub_home = set("HF_HOME").map(PathBuf::from);
        let hub_home =
            hub_home.or_else(|| home.map(|home| home.join(".cache/huggingface"))).unwrap_or_default();
        let no = |value: String| ["0", "false", "no", "off"].contains(&value.to_lowercase().as_str());
        Self {
            cache: set("HF_HUB_CACHE").map_or_else(|| hub_home.join("hub"), PathBuf::from),
            endpoint: set("HF_ENDPOINT"),
            token: set("HF_TOKEN").map(Secret::new),
            offline: set("HF_HUB_OFFLINE").is_some_and(|value| !no(value)),
        }
    }
}

/// Why a model of the hub cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HubError {
    /// The name is none.
    #[error(
        "`{0}` is no model of the hub: write `hub:organisation/name` or `hub:organisation/name@revision`"
    )]
    Name(String),
    /// The network must not be used, or there is none, and the cache does not have it.
    #[error(
        "`{name}` is not in the cache {} and cannot be fetched: {why}. Where there is a network, `hf download \
         {repository}` fetches it: copy the folder and give its path as the model",
        cache.display()
    )]
    Unreachable {
        /// As it was written.
        name: String,
        /// `organisation/name`.
        repository: String,
        /// Where it was looked for.
        cache: PathBuf,
        /// What stands in the way.
        why: String,
    },
    /// The hub does not give it to this user.
    #[error(
        "`{name}`: the hub refuses it ({why}). Accept the model's terms on its page and set HF_TOKEN to an access \
             token that may read it"
    )]
    Forbidden {
        /// As it was written.
        name: String,
        /// What the hub said.
        why: String,
    },
    /// The hub has no such model or revision.
    #[error("`{0}`: the hub has no such model or revision. Check the name; private models need HF_TOKEN")]
    Unknown(String),
    /// The model has no weights that can be used.
    #[error(
        "`{0}` has no safetensors weights. Choose another model, or download one of its GGUF files and give its path"
    )]
    NoWeights(String),
    /// What came is damaged.
    #[error("{0}. Remove it from the cache to fetch it again")]
    Damaged(String),
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.repository)?;
        if self.revision == MAIN { Ok(()) } else { write!(f, "@{}", self.revision) }
    }
}

impl HubName {
    /// Reads `hub:organisation/name` or `hub:organisation/name@revision`; nothing when the text does not begin
    /// so.
    ///
    /// # Errors
    /// [`HubError::Name`] for a text that begins so and goes on otherwise.
    pub fn parse(text: &str) -> Option<Result<Self, HubError>> {
        let rest = text.strip_prefix(PREFIX)?;
        let (repository, revision) = rest.split_once('@').unwrap_or((rest, MAIN));
        // Both become names of folders.
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && !part.contains("..")
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let pair = repository.split_once('/');
        let sound = pair.is_some_and(|(organisation, name)| plain(organisation) && plain(name));
        if !sound || !plain(revision) {
            return Some(Err(HubError::Name(text.to_owned())));
        }
        Some(Ok(Self { repository: repository.to_owned(), revision: revision.to_owned() }))
    }

    /// Whether a commit is named, which always means the same weights.
    pub fn is_pinned(&self) -> bool {
        self.revision.len() == 40 && self.revision.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// The same model at a commit.
    #[must_use]
    pub fn pinned(&self, commit: &str) -> Self {
        Self { repository: self.repository.clone(), revision: commit.to_owned() }
    }

    /// The commit in the cache, with its folder, when the folder is whole.
    pub fn cached(&self, cache: &Path) -> Option<(String, PathBuf)> {
        let model = cache.join(format!("models--{}", self.repository.replace('/', "--")));
        let commit = if self.is_pinned() {
            self.revision.clone()
        } else {
            std::fs::read_to_string(model.join("refs").join(&self.revision)).ok()?.trim().to_owned()
        };
        if !self.pinned(&commit).is_pinned() {
            return None;
        }
        let folder = model.join("snapshots").join(&commit);
        folder::check(&folder).is_ok().then_some((commit, folder))
    }

    fn unreachable(&self, access: &Access, why: impl Into<String>) -> HubError {
        HubError::Unreachable {
            name: self.to_string(),
            repository: self.repository.clone(),
            cache: access.cache.clone(),
            why: why.into(),
        }
    }

    /// The commit and the folder of this model: a named commit from the cache; otherwise what the hub has now, or
    /// what the cache has when the hub cannot be reached. `progress` is told file, bytes so far and bytes in all.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn settle(
        &self,
        access: &Access,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<(String, PathBuf), HubError> {
        let cached = self.cached(&access.cache);
        if let Some(found) = cached.clone().filter(|_| self.is_pinned() || access.offline) {
            return Ok(found);
        }
        if access.offline {
            return Err(self.unreachable(access, "HF_HUB_OFFLINE forbids the network"));
        }
        match (self.fetch(access, progress), cached) {
            (Err(HubError::Unreachable { why, .. }), Some(found)) => {
                tracing::warn!(model = %self, why, "the hub cannot be reached: the cached copy is used");
                Ok(found)
            }
            (fetched, _) => fetched,
        }
    }

    #[cfg(not(feature = "mistralrs"))]
    fn fetch(
        &self,
        access: &Access,
        _: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<(String, PathBuf), HubError> {
        Err(self.unreachable(access, "this program was built without the feature `mistralrs`"))
    }
}

#[cfg(test)]
mod tests;
