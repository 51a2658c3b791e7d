//! Skills that a person wrote down in TOML.
//!
//! ```toml
//! [[skill]]
//! name = "Fractions"
//! subskills = ["adding fractions", "comparing fractions"]
//! instances = ["math-train-00012"]    # these questions, by id
//! gold = ["Number Theory"]            # or those the source calls so
//! words = ["half", "third"]           # or those with one of these words
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::SkillsError;
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::Task;
use crate::gym::report::UNSORTED;
use crate::prompts::reply;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSkill {
    name: String,
    #[serde(default)]
    subskills: Vec<String>,
    #[serde(default)]
    instances: Vec<String>,
    #[serde(default)]
    gold: Vec<String>,
    #[serde(default)]
    words: Vec<String>,
}

/// The skills of a file. A question belongs to the first skill that names it, else to the first whose gold
/// name it has, else to the first with one of its words, and else to none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSkills {
    skill: Vec<WrittenSkill>,
}

/// Whether names are names, and no two the same to a person: the forest takes no subskill twice, and would say so only
/// when a plan explores it. The place, counted from 0, and what is wrong with the first that is none.
fn distinct(names: &[&str]) -> Result<(), (usize, String)> {
    // Names of signs alone have no letters to compare.
    let same = |a: &str, b: &str| {
        a.trim() == b.trim() || (a.contains(char::is_alphanumeric) && reply::same_name(a, b))
    };
    for (n, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            return Err((n, "is empty; give it a name, or leave it out".to_owned()));
        }
        if let Some(earlier) = names[..n].iter().find(|earlier| same(earlier, name)) {
            return Err((
                n,
                format!("is `{name}`, and `{earlier}` stands before it: the same name stands twice"),
            ));
        }
    }
    Ok(())
}

impl WrittenSkills {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, SkillsError> {
        let unreadable = |source| SkillsError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let malformed = |message| SkillsError::Malformed { path: path.to_owned(), message };
        let written: Self = toml::from_str(&text).map_err(|e| malformed(e.to_string()))?;
        let names: Vec<&str> = written.skill.iter().map(|skill| skill.name.as_str()).collect();
        distinct(&names).map_err(|(n, fault)| malformed(format!("`skill[{n}].name` {fault}")))?;
        for (n, skill) in written.skill.iter().enumerate() {
            let names: Vec<&str> = skill.subskills.iter().map(String::as_str).collect();
            let fault = |(place, fault)| {
                malformed(format!("`skill[{n}].subskills[{place}]`, of the skill `{}`, {fault}", skill.name))
            };
            distinct(&names).map_err(fault)?;
        }
        Ok(written)
    }

    /// The skill of every question of a task, by its id. A question of no skill is unsorted.
    ///
    /// # Errors
    /// When the file names a question that the task does not have.
    pub fn skills(&self, task: &dyn Task, path: &Path) -> Result<BTreeMap<String, String>, SkillsError> {
        let splits = [Split::Pool, Split::Validation, Split::Test];
        let all: Vec<&TaskInstance> = splits.into_iter().flat_map(|split| task.instances(split)).collect();
        let known: std::collections::BTreeSet<&str> = all.iter().map(|i| i.id.as_str()).collect();
        let named = self.skill.iter().flat_map(|skill| skill.instances.iter().map(move |id| (skill, id)));
        if let Some((skill, id)) = named.into_iter().find(|(_, id)| !known.contains(id.as_str())) {
            let message = format!("skill `{}` names `{id}`, which the task does not have", skill.name);
            return Err(SkillsError::Malformed { path: path.to_owned(), message });
        }
        Ok(all.into_iter().map(|instance| (instance.id.clone(), self.of(instance))).collect())
    }

    /// Subskills by skill, for the skills that have some.
    pub fn subskills(&self) -> Vec<(String, Vec<String>)> {
        let some = self.skill.iter().filter(|skill| !skill.subskills.is_empty());
        some.map(|skill| (skill.name.clone(), skill.subskills.clone())).collect()
    }

    fn of(&self, instance: &TaskInstance) -> String {
        let question = instance.content.question().to_lowercase();
        let words: Vec<&str> = question.split(|c: char| !c.is_alphanumeric() && c != '%').collect();
        let has = |word: &String| {
            let word = word.to_lowercase();
            if word.contains(' ') { question.contains(&word) } else { words.contains(&word.as_str()) }
        };
        let by_id = self.skill.iter().find(|skill| skill.instances.contains(&instance.id));
        let by_gold = || {
            let gold = instance.skill.as_ref()?;
            self.skill.iter().find(|skill| skill.gold.contains(gold))
        };
        let by_words = || self.skill.iter().find(|skill| skill.words.iter().any(has));
        let found = by_id.or_else(by_gold).or_else(by_words);
        found.map_or_else(|| UNSORTED.to_owned(), |skill| skill.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_and_no_two_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            WrittenSkills::read(&path).map_err(|error| error.to_string())
        };
        let whole = "[[skill]]\nname = \"+\"\nsubskills = [\"small\", \"large\"]\n[[skill]]\nname = \"-\"\nsubskills = [\"small\"]";
        assert!(read(whole).is_ok());
        for (text, key) in [
            ("[[skill]]\nname = \" \"", "`skill[0].name` is empty"),
            (
                "[[skill]]\nname = \"Sums\"\n[[skill]]\nname = \"sums\"",
                "`skill[1].name` is `sums`, and `Sums`",
            ),
            (
                "[[skill]]\nname = \"Sums\"\nsubskills = [\"two digits\", \"Two-Digits\"]",
                "`skill[0].subskills[1]`, of the skill `Sums`, is `Two-Digits`",
            ),
            (
                "[[skill]]\nname = \"Sums\"\nsubskills = [\"\"]",
                "`skill[0].subskills[0]`, of the skill `Sums`, is empty",
            ),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains("mine.toml") && said.contains(key), "{said}");
        }
    }
}
