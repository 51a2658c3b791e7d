//! Skills in a file: the JSON format of the reference program, read and written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why skills cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SkillsError {
    /// The file cannot be read or written.
    #[error("{path}: {source}\n  set `skills.file` to a file with skills")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file has another form.
    #[error("{path}: {message}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        message: String,
    },
    /// Questions have no skill.
    #[error(
        "{path} names no skill for {missing} of {all} validation questions, the first of them `{first}`; \
         it belongs to another task or to other splits"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// Questions without a skill.
        missing: usize,
        /// Questions.
        all: usize,
        /// The first one without.
        first: String,
    },
}

/// A name that stage 1 gave to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The name.
    pub name: String,
    /// Why it was chosen.
    #[serde(default)]
    pub reason_for_skill: Option<String>,
}

/// A question with the name of its skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelledInstruction {
    /// [`crate::gym::instance::TaskInstance::id`].
    pub instance_id: String,
    /// The question.
    pub instruction: String,
    /// Its skill.
    #[serde(deserialize_with = "label")]
    pub skill: Label,
}

/// A group of skills; its name is the skill everything else speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// Number, counted from 1.
    pub category_id: i64,
    /// Name.
    pub descriptive_name: String,
    /// Names of stage 1 in it.
    pub skills: Vec<String>,
}

/// The result of a discovery, in the reference's JSON format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveredSkills {
    /// Stage 1.
    #[serde(default)]
    pub labeled_instructions: Vec<LabelledInstruction>,
    /// Stage 2.
    #[serde(default)]
    pub skill_categories: Vec<Category>,
    /// Stage 3. A category may stand there by its name alone.
    pub instance_id_to_skill_category: BTreeMap<String, CategoryOrName>,
}

/// A category, or its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CategoryOrName {
    /// The whole category.
    Category(Category),
    /// The name.
    Name(String),
}

impl CategoryOrName {
    fn name(&self) -> &str {
        match self {
            Self::Category(category) => &category.descriptive_name,
            Self::Name(name) => name,
        }
    }
}

fn label<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Label, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Label(Label),
        Name(String),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Label(label) => label,
        Either::Name(name) => Label { name, reason_for_skill: None },
    })
}

impl DiscoveredSkills {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, SkillsError> {
        let unreadable = |source| SkillsError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let malformed = |e: serde_json::Error| SkillsError::Malformed {
            path: path.to_owned(),
            message: format!("not a file of discovered skills: {e}"),
        };
        serde_json::from_str(&text).map_err(malformed)
    }

    /// Writes a file; it appears whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), SkillsError> {
        let temporary = path.with_extension("new");
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::from);
        text.and_then(|text| std::fs::write(&temporary, text))
            .and_then(|()| std::fs::rename(&temporary, path))
            .map_err(|source| SkillsError::Unreadable { path: path.to_owned(), source })
    }

    /// The skill of every question, by its id.
    pub fn skills(&self) -> BTreeMap<String, String> {
        let named = self.instance_id_to_skill_category.iter();
        named.map(|(id, category)| (id.clone(), category.name().to_owned())).collect()
    }
}
