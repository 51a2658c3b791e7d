//! What stands beside the iterations of an experiment: specifications of data, quality checks, the images of
//! questions and the skills of instances. The scripts of the reference choose the folders; the names of the
//! files are its habit, so they are looked for in the experiment's folder and in those directly below it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{FOLDER, each};
use crate::exchange::error::{ExchangeError, Spot};
use crate::exchange::image;
use crate::exchange::table::Picture;
use crate::gym::datum::CheckResult;
use crate::skills::DiscoveredSkills;

/// Files in the folder and directly below it, iterations aside, whose name is wanted; in the order of their
/// paths.
fn files(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, ExchangeError> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), true)];
    while let Some((folder, top)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(ExchangeError::io(&folder))? {
            let path = entry.map_err(ExchangeError::io(&folder))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() && top && !name.starts_with(FOLDER) {
                folders.push((path, false));
            } else if path.is_file() && wanted(&name) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// One specification of a datum, of any of its types.
#[derive(Debug, Deserialize)]
struct Spec {
    #[serde(default)]
    ulid: Option<String>,
    #[serde(default)]
    problem: Option<String>,
    #[serde(default)]
    final_answer: Option<String>,
    #[serde(default)]
    instruction: Option<String>,
    #[serde(default)]
    response: Option<String>,
    #[serde(default)]
    chosen_response: Option<String>,
    #[serde(default)]
    solution: Option<String>,
    #[serde(default)]
    chain_of_thought: Option<String>,
    #[serde(default)]
    skill_category: Option<String>,
}

/// A line: a guess of what the student lacks with specifications, or a specification alone.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Hypothesis { inferred_weak_skill: String, data_specs: Vec<Spec> },
    Spec(Spec),
}

/// What a specification says of the datum that was made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Specified {
    /// The bare question.
    pub(super) question: Option<String>,
    /// The bare answer.
    pub(super) answer: Option<String>,
    /// What the datum is meant to teach.
    pub(super) subskill: Option<String>,
}

/// 16 bytes of a hash of the texts that a datum and its specification share.
type Key = [u8; 16];

fn key(texts: &[&str]) -> Key {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let mut key = Key::default();
    key.copy_from_slice(&hash.finalize()[..16]);
    key
}

impl Spec {
    /// What its datum is known by: its ULID, or its question; where a prompt stands around that, its response;
    /// and question and response together, because a question about an image comes often.
    fn keys(&self) -> Vec<Key> {
        let answered = self.response.as_ref().or(self.chosen_response.as_ref());
        let solution = self.solution.as_ref().or(self.chain_of_thought.as_ref());
        let both = self.instruction.as_ref().zip(answered);
        let keys = [
            self.ulid.as_ref().map(|ulid| key(&["ulid", ulid])),
            self.problem.as_ref().map(|problem| key(&["problem", problem])),
            both.map(|(asked, answered)| key(&["asked", asked, answered])),
            solution.map(|solution| key(&["solution", solution])),
        ];
        keys.into_iter().flatten().collect()
    }

    fn specified(self, weak: Option<&str>) -> Specified {
        Specified {
            question: self.problem.or(self.instruction),
            answer: self.final_answer.filter(|answer| !answer.is_empty()),
            subskill: weak.map(ToOwned::to_owned).or(self.skill_category).filter(|skill| !skill.is_empty()),
        }
    }
}

/// Whether a file name has that extension.
fn ends(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// The specifications of all data.
#[derive(Debug, Default)]
pub(super) struct Specifications {
    found: HashMap<Key, Vec<Specified>>,
    count: usize,
}

impl Specifications {
    pub(super) fn find(folder: &Path) -> Result<Self, ExchangeError> {
        let wanted = |name: &str| {
            let begins = name.starts_with("data_specs") || name.starts_with("data_for_generation");
            begins && ends(name, "jsonl")
        };
        let mut all = Self::default();
        for path in files(folder, wanted)? {
            each::<Line>(&path, &mut |spot, line| match line {
                Line::Hypothesis { inferred_weak_skill, data_specs } => data_specs
                    .into_iter()
                    .try_for_each(|spec| all.put(spot, spec, Some(&inferred_weak_skill))),
                Line::Spec(spec) => all.put(spot, spec, None),
            })?;
        }
        Ok(all)
    }

    fn put(&mut self, spot: Spot<'_>, spec: Spec, weak: Option<&str>) -> Result<(), ExchangeError> {
        let keys = spec.keys();
        if keys.is_empty() {
            return Err(spot.error("a data specification names no question; mend or remove this line"));
        }
        self.count += 1;
        let specified = spec.specified(weak);
        for key in keys {
            self.found.entry(key).or_default().push(specified.clone());
        }
        Ok(())
    }

    /// A pass over the data, in their order.
    pub(super) fn pass(&self) -> Pass<'_> {
        Pass { all: self, used: HashMap::new(), matched: 0 }
    }
}

/// Gives every datum its specification; of several alike, the next one.
pub(super) struct Pass<'a> {
    all: &'a Specifications,
    used: HashMap<Key, usize>,
    matched: usize,
}

impl Pass<'_> {
    /// The specification of a datum, where one is known.
    pub(super) fn of(&mut self, ulid: &str, asked: &str, answered: &str) -> Option<Specified> {
        let keys = [
            key(&["ulid", ulid]),
            key(&["problem", asked]),
            key(&["asked", asked, answered]),
            key(&["solution", answered]),
        ];
        let key = keys.into_iter().find(|key| self.all.found.contains_key(key))?;
        let next = self.used.entry(key).or_default();
        let found = self.all.found[&key].get(*next).cloned();
        *next += 1;
        self.matched += usize::from(found.is_some());
        found
    }

    /// What a person should know after the pass.
    pub(super) fn note(&self) -> Option<String> {
        let (all, left) = (self.all.count, self.all.count.saturating_sub(self.matched));
        (left > 0).then(|| format!("{left} of {all} data specifications belong to no training datum"))
    }
}

/// Its records of quality checks, of any domain.
#[derive(Debug, Deserialize)]
struct Check {
    training_datum_ulid: String,
    #[serde(default)]
    annotated_answer_passes_scoring_code: Option<bool>,
    #[serde(default)]
    student_already_knows_answer: Value,
    #[serde(default)]
    student_accuracy: Option<f64>,
    #[serde(default)]
    qa_passed: Option<bool>,
}

/// A check of ours that says what the reference's field says. The reference filters by none of them.
fn result(check: &str, passed: bool, score: Option<f64>, reason: &str) -> CheckResult {
    CheckResult { check: check.to_owned(), passed, filters: false, score, reason: reason.to_owned() }
}

/// Name of the check that keeps `qa_passed`.
pub(super) const QUALITY: &str = "quality";

impl Check {
    fn results(&self) -> Vec<CheckResult> {
        let told = |passed, yes, no| if passed { yes } else { no };
        let form = self.annotated_answer_passes_scoring_code.map(|passed| {
            let reason = told(passed, "the scorer finds its answer", "the scorer does not find its answer");
            result("form", passed, None, reason)
        });
        let answered = self.student_already_knows_answer.get("answered_correctly").and_then(Value::as_bool);
        let accuracy = self.student_accuracy.or(answered.map(|right| f64::from(u8::from(right))));
        let known = accuracy.map(|accuracy| {
            let reason = told(accuracy < 1.0, "the student did not always solve it", "the student solves it");
            result("known", accuracy < 1.0, Some(accuracy), reason)
        });
        let quality = self.qa_passed.map(|passed| {
            let reason = told(passed, "its quality check passed", "its quality check did not pass");
            result(QUALITY, passed, None, reason)
        });
        [form, known, quality].into_iter().flatten().collect()
    }
}

/// Quality checks by the ULID of the datum; of several of one datum the last counts, as in the reference's
/// cache.
pub(super) fn checks(folder: &Path) -> Result<HashMap<String, Vec<CheckResult>>, ExchangeError> {
    let mut found = HashMap::new();
    for path in files(folder, |name| name.contains("quality") && ends(name, "jsonl"))? {
        each::<Value>(&path, &mut |spot, mut line| {
            // A line of a cache holds the record as a text.
            if let Some(text) = line.get("value").and_then(Value::as_str) {
                let broken = |e| spot.error(format!("`value` is not JSON: {e}; mend or remove this line"));
                line = serde_json::from_str(text).map_err(broken)?;
            }
            let check: Check = super::parsed(line).map_err(|message| spot.error(message))?;
            found.insert(check.training_datum_ulid.clone(), check.results());
            Ok(())
        })?;
    }
    Ok(found)
}

/// A question about an image in the folder that its serialiser writes.
#[derive(Debug, Deserialize)]
struct Shown {
    task_name: String,
    instance_id: String,
    image_path: String,
}

/// Where the images of questions lie: the file that names one, its line, and the path in it, by
/// [`super::completed::Completed::instance_id`].
pub(super) type Pictures = HashMap<String, (PathBuf, u64, String)>;

/// The images of questions, where instances were kept with them.
pub(super) fn pictures(folder: &Path) -> Result<Pictures, ExchangeError> {
    let mut found = Pictures::new();
    for path in files(folder, |name| name == "records.jsonl")? {
        each::<Shown>(&path, &mut |spot, shown| {
            let id = format!("{}/{}", shown.task_name, shown.instance_id);
            found.insert(id, (spot.path.to_owned(), spot.number, shown.image_path));
            Ok(())
        })?;
    }
    Ok(found)
}

/// The bytes of an image, its media type, and its width and height in pixels.
pub(super) type Encoded = (Vec<u8>, &'static str, (u32, u32));

/// The bytes of an image that [`pictures`] found, and what they are.
pub(super) fn picture((path, number, name): &(PathBuf, u64, String)) -> Result<Encoded, ExchangeError> {
    let spot = Spot { path, unit: "line", number: *number };
    let picture = Picture { path: Some(name.clone()), bytes: None };
    let read = || {
        let bytes = image::bytes_of(picture, path.parent().unwrap_or(Path::new("")))?;
        let (media_type, size) = image::facts(&bytes)?;
        Ok((bytes, media_type, size))
    };
    read().map_err(|message: String| spot.error(message))
}

/// Skill and subskill by the reference's id of an instance, where a file of discovered skills stands there.
pub(super) type InstanceSkills = BTreeMap<String, (String, Option<String>)>;

/// Skills of instances.
pub(super) fn skills(folder: &Path) -> Result<InstanceSkills, ExchangeError> {
    let mut found = InstanceSkills::new();
    for path in files(folder, |name| name.contains("skills") && ends(name, "json"))? {
        let read = DiscoveredSkills::read(&path).map_err(|e| ExchangeError::Asked(e.to_string()))?;
        let labels: HashMap<&str, &str> = read
            .labeled_instructions
            .iter()
            .map(|l| (l.instance_id.as_str(), l.skill.name.as_str()))
            .collect();
        for (id, skill) in read.skills() {
            let subskill = labels.get(id.as_str()).map(|&label| label.to_owned());
            found.insert(id, (skill, subskill));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_of_every_domain_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let value = r#"{"ulid":"a","training_datum_ulid":"b","annotated_answer_passes_scoring_code":true,"student_already_knows_answer":{"predictor_response":"","ground_truth_answer":"1","answered_correctly":true},"qa_passed":false}"#;
        let lines = [
            serde_json::json!({"key": "a", "value": value}).to_string(),
            r#"{"ulid":"c","training_datum_ulid":"d","student_accuracy":0.25}"#.to_owned(),
            r#"{"ulid":"e","training_datum_ulid":"f","annotated_answer_passes_scoring_code":false,"student_already_knows_answer":"not applicable: training data failed scoring code","qa_passed":false}"#.to_owned(),
        ];
        fs::write(folder.path().join("quality_check_cache.jsonl"), lines.join("\n")).unwrap();
        let found = checks(folder.path()).unwrap();
        let of = |ulid: &str| -> Vec<(String, bool, Option<f64>)> {
            found[ulid].iter().map(|c| (c.check.clone(), c.passed, c.score)).collect()
        };
        let named = |name: &str, passed, score| (name.to_owned(), passed, score);
        assert_eq!(
            of("b"),
            [named("form", true, None), named("known", false, Some(1.0)), named(QUALITY, false, None)]
        );
        assert_eq!(of("d"), [named("known", true, Some(0.25))]);
        assert_eq!(of("f"), [named("form", false, None), named(QUALITY, false, None)]);
        assert!(found.values().flatten().all(|check| !check.filters));
    }

    #[test]
    fn of_specifications_alike_each_datum_gets_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let lines = [
            r#"{"inferred_weak_skill":"w","data_specs":[{"problem":"1+1","chain_of_thought":"","final_answer":"2"},{"problem":"1+1","chain_of_thought":"","final_answer":"two"}]}"#,
            r#"{"ulid":"u","instruction":"Print 1.","solution":"print(1)","starter_code":null,"skill_category":"printing"}"#,
            r#"{"inferred_weak_skill":"colours","data_specs":[{"instruction":"Which?","image_description":"red","response":"red"}]}"#,
        ];
        fs::create_dir(folder.path().join("logs")).unwrap();
        fs::write(folder.path().join("logs/data_specs_0.jsonl"), lines.join("\n")).unwrap();
        let all = Specifications::find(folder.path()).unwrap();
        let mut pass = all.pass();
        let answer = |found: Option<Specified>| found.and_then(|found| found.answer);
        assert_eq!(answer(pass.of("x", "1+1", "It is 2")).as_deref(), Some("2"));
        assert_eq!(answer(pass.of("y", "1+1", "It is 2")).as_deref(), Some("two"));
        assert_eq!(pass.of("z", "1+1", "It is 2"), None);
        let program = pass.of("v", "A prompt around: Print 1.", "print(1)").unwrap();
        assert_eq!(
            (program.question.as_deref(), program.subskill.as_deref()),
            (Some("Print 1."), Some("printing"))
        );
        assert!(pass.note().unwrap().contains("1 of 4"));
        assert_eq!(pass.of("v", "Which?", "red").unwrap().subskill.as_deref(), Some("colours"));
        assert_eq!(pass.note(), None);
    }
}
