//! What can be wrong with a configuration, as a person reads it.

use std::fmt;
use std::path::PathBuf;

use super::origin::Origin;

/// More than this many mistakes are counted instead of listed.
const LISTED: usize = 40;

/// One mistake: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The place that made it.
    pub origin: Origin,
    /// What is wrong, with the key.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl Mistake {
    /// A mistake with a hint, which may be empty.
    pub(super) fn new(origin: &Origin, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { origin: origin.clone(), message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

/// All mistakes of a configuration, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return only.fmt(f);
        }
        write!(f, "{} mistakes in the configuration", self.0.len())?;
        for mistake in self.0.iter().take(LISTED) {
            write!(f, "\n  {mistake}")?;
        }
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("cannot read the configuration {path}: {source}{hint}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What to do, with its own punctuation; may be empty.
        hint: String,
    },
    /// The layers do not say what a configuration says.
    #[error("{0}")]
    Invalid(Mistakes),
    /// A defect of this program: its own configuration cannot be written.
    #[error("cannot write the configuration: {0}")]
    Unwritable(#[from] toml::ser::Error),
}
