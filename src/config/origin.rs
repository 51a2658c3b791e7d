//! Where a value was set.

use std::fmt;
use std::sync::Arc;

/// The place that set a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A default of this program.
    BuiltIn,
    /// A place in a text.
    Text {
        /// The file, or what a compiled-in text is called.
        name: Arc<str>,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// An environment variable, by name.
    Variable(Arc<str>),
    /// A flag of the command line, as it was given.
    Flag(Arc<str>),
}

impl Origin {
    /// Line and column, for sorting what is found in one text.
    pub(super) fn position(&self) -> (usize, usize) {
        match self {
            Self::Text { line, column, .. } => (*line, *column),
            _ => (0, 0),
        }
    }

    /// The place without its column.
    pub fn short(&self) -> String {
        match self {
            Self::BuiltIn => "default".to_owned(),
            Self::Text { name, line, .. } => format!("{name}, line {line}"),
            Self::Variable(name) => name.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { column, .. } => write!(f, "{}, column {column}", self.short()),
            Self::BuiltIn => f.write_str("the defaults"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}
