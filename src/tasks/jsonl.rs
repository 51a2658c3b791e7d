//! A task from any file of JSON lines with declared columns: numeric answers, or mathematics in LaTeX.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::leakage::{Drawn, cleaned};
use super::math::{self, Scoring};
use super::{ANSWER_MARK, Splits, Style, WHOLE_SKILL, boxed_response, numbers, skills_of, story_key};
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::leakage::Contamination;
use crate::gym::ports::Task;
use crate::gym::report::UNSORTED;
use crate::gym::rng::CounterRng;
use crate::prompts::Prompts;

/// Which columns of a record hold what, and how items are shared out.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Name of the task.
    pub name: String,
    /// Column of the unique name; line numbers when missing.
    pub id: Option<String>,
    /// Columns that make up the question.
    pub question: Vec<String>,
    /// Column of the answer.
    pub answer: String,
    /// Column of the gold skill.
    pub skill: Option<String>,
    /// Column of the subject, which reports divide by.
    pub subject: Option<String>,
    /// Column of the level, which reports divide by.
    pub level: Option<String>,
    /// Skill names to replace.
    pub rename_skills: BTreeMap<String, String>,
    /// The response to train on, with `{column}` for values.
    pub response: String,
    /// Weights of pool, validation and test.
    pub shares: [f64; 3],
    /// Upper limit of an answer in tokens.
    pub max_tokens: u32,
    /// How answers are found and compared; `None` for plain numbers.
    pub scoring: Option<Scoring>,
    /// What is around the question.
    pub style: Style,
}

/// Why a file is no task.
#[derive(Debug, thiserror::Error)]
pub enum JsonlError {
    /// The file cannot be read.
    #[error("cannot read the task file {path}: {source}\n  set `task.file` to a file of JSON lines")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not what the columns say.
    #[error("{path}, line {line}: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, counted from 1.
        line: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// A split is empty.
    #[error("{path}: no items fall into the {split} part; change `task.shares` or use a larger file")]
    EmptySplit {
        /// The file.
        path: PathBuf,
        /// The part.
        split: &'static str,
    },
    /// The pool has too few items to show.
    #[error(
        "{path}: {pool} items fall into the pool, fewer than `task.shots`; change it, `task.shares` or the file"
    )]
    FewShots {
        /// The file.
        path: PathBuf,
        /// Items of the pool.
        pool: usize,
    },
}

/// The task.
#[derive(Debug)]
pub struct JsonlTask {
    layout: Layout,
    splits: Splits,
    prompts: Arc<Prompts>,
    contamination: Contamination,
}

impl JsonlTask {
    /// Reads the file. An item's part is drawn from the hash of its operand key, so that two items with
    /// the same numbers never lie in different parts.
    pub fn read(path: &Path, layout: Layout, prompts: Arc<Prompts>) -> Result<Self, JsonlError> {
        let unreadable = |source| JsonlError::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let mut splits = Splits::default();
        let mut seen = HashSet::new();
        for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let line_error = |message| JsonlError::Line { path: path.to_owned(), line: number + 1, message };
            let record: Value =
                serde_json::from_str(line).map_err(|e| line_error(format!("not a JSON object: {e}")))?;
            let instance = instance(&layout, &record, number + 1).map_err(line_error)?;
            if !seen.insert(instance.id.clone()) {
                return Err(line_error(format!("id `{}` stands twice", instance.id)));
            }
            match instance.split {
                Split::Pool => splits.pool.push(instance),
                Split::Validation => splits.validation.push(instance),
                Split::Test => splits.test.push(instance),
            }
        }
        let (splits, contamination) = cleaned(splits, Drawn::Here);
        for split in [Split::Validation, Split::Test] {
            if splits.get(split).is_empty() {
                return Err(JsonlError::EmptySplit { path: path.to_owned(), split: split.as_str() });
            }
        }
        let pool = splits.pool.len();
        if pool < layout.style.shots() {
            return Err(JsonlError::FewShots { path: path.to_owned(), pool });
        }
        Ok(Self { layout, splits, prompts, contamination })
    }
}

fn instance(layout: &Layout, record: &Value, line: usize) -> Result<TaskInstance, String> {
    let id = match &layout.id {
        Some(column) => text_of(record, column)?,
        None => format!("line-{line}"),
    };
    let parts: Vec<String> =
        layout.question.iter().map(|column| text_of(record, column)).collect::<Result<_, _>>()?;
    let question = parts.join(" ");
    let written = text_of(record, &layout.answer)?;
    // A formula that a double can read, as `1e5`, is left as it is written.
    let answer = match layout.scoring {
        None => numbers::tidy(&written),
        Some(_) => numbers::plain(&written).unwrap_or(written),
    };
    if layout.scoring.is_none() && answer.parse::<f64>().is_err() {
        return Err(format!(
            "column `{}` holds {answer:?}, which is not a number; for other answers set `task.scoring = \"strict\"`",
            layout.answer
        ));
    }
    if answer.is_empty() {
        return Err(format!("column `{}` is empty; leave the line out or answer it", layout.answer));
    }
    let skill = match &layout.skill {
        Some(column) => text_of(record, column)?,
        None => UNSORTED.to_owned(),
    };
    let skill = layout.rename_skills.get(&skill).cloned().unwrap_or(skill);
    let facet = |name: &str, column: &Option<String>| {
        let text = column.as_ref().map(|column| text_of(record, column)).transpose()?;
        Ok::<_, String>(text.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), text)))
    };
    // As MATH calls its levels, whose later mirrors have the number alone.
    let level = facet("level", &layout.level)?.map(|(name, level)| match level.parse::<u32>() {
        Ok(number) => (name, format!("Level {number}")),
        Err(_) => (name, level),
    });
    let facets = facet("subject", &layout.subject)?.into_iter().chain(level).collect();
    Ok(TaskInstance {
        // Shared out by all numbers of a question, however few: the parts of a file stay what they were.
        split: split_of(&numbers::operand_key(&question), layout.shares),
        id,
        task: layout.name.clone(),
        subskill: Some(WHOLE_SKILL.to_owned()),
        skill: Some(skill),
        key: story_key(&question),
        facets,
        content: Content::Mathematics {
            question,
            options: Vec::new(),
            answer,
            solution: Some(fill(&layout.response, record)?),
        },
    })
}

/// The part of a key. Keys that are the same have the same part.
pub(super) fn split_of(key: &str, shares: [f64; 3]) -> Split {
    let draw = CounterRng::keyed(0, key).unit() * shares.iter().sum::<f64>();
    if draw < shares[0] {
        Split::Pool
    } else if draw < shares[0] + shares[1] {
        Split::Validation
    } else {
        Split::Test
    }
}

/// The text of a column; numbers are written in their shortest form.
fn text_of(record: &Value, column: &str) -> Result<String, String> {
    match record.get(column) {
        Some(Value::String(text)) => Ok(text.trim().to_owned()),
        Some(Value::Number(number)) => Ok(numbers::tidy(&number.to_string())),
        Some(other) => Err(format!("column `{column}` holds {other}, not a text or number")),
        None => {
            let known = record.as_object().map(|o| o.keys().map(String::as_str).collect::<Vec<_>>());
            let known = known.unwrap_or_default().join("`, `");
            Err(format!("no column `{column}`; set `task.columns` from `{known}`"))
        }
    }
}

/// Puts a record's values into `{column}` places of a template.
fn fill(template: &str, record: &Value) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, tail)) = rest.split_once('{') {
        let (column, after) = tail
            .split_once('}')
            .ok_or_else(|| format!("`task.response` lacks a closing brace: {template}"))?;
        out.push_str(before);
        out.push_str(&numbers::tidy_all(&text_of(record, column)?));
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

impl Task for JsonlTask {
    fn name(&self) -> &str {
        &self.layout.name
    }

    fn instances(&self, split: Split) -> &[TaskInstance] {
        self.splits.get(split)
    }

    fn contamination(&self) -> Option<Contamination> {
        Some(self.contamination)
    }

    fn skills(&self) -> Vec<String> {
        skills_of(&self.splits)
    }

    fn prompt(&self, instance: &TaskInstance) -> String {
        let answer = if self.layout.scoring.is_some() { "expression" } else { "number" };
        self.layout.style.prompt(&self.prompts, answer, instance, &self.splits.pool)
    }

    fn stop(&self, _instance: &TaskInstance) -> Vec<String> {
        self.layout.style.stop()
    }

    fn key(&self, question: &str) -> String {
        story_key(question)
    }

    /// With the line that the scorer finds: parity mode looks for that of MATH alone.
    fn response(&self, reasoning: &str, answer: &str) -> String {
        match self.layout.scoring {
            Some(_) => boxed_response(reasoning, answer),
            None => format!("{reasoning}\n{ANSWER_MARK} {answer}").trim_start().to_owned(),
        }
    }

    fn max_tokens(&self) -> u32 {
        self.layout.max_tokens
    }

    /// The number behind the last answer mark, else the last number of the response; with a scoring of
    /// mathematics, the answer that it finds.
    fn score(&self, instance: &TaskInstance, response: &str) -> (Option<String>, bool) {
        if let Some(mode) = self.layout.scoring {
            let answer = math::extract(mode, response);
            let truth = instance.content.truth();
            let correct = answer.as_ref().is_some_and(|given| math::equal(mode, &truth, given));
            return (answer, correct);
        }
        numbers::score(&instance.content.truth(), response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout {
            name: "shop".into(),
            id: None,
            question: vec!["body".into(), "ask".into()],
            answer: "answer".into(),
            skill: Some("kind".into()),
            subject: None,
            level: None,
            rename_skills: [("Summ".to_owned(), "Sum".to_owned())].into(),
            response: "{work}={answer}. #### {answer}".into(),
            shares: [0.5, 0.25, 0.25],
            max_tokens: 48,
            scoring: None,
            style: Style::Bare,
        }
    }

    fn file(lines: &[String]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.jsonl");
        std::fs::write(&path, lines.join("\n")).unwrap();
        (folder, path)
    }

    fn line(n: u32) -> String {
        let kind = if n.is_multiple_of(2) { "Sum" } else { "Summ" };
        format!(
            r#"{{"body":"Ann has {n} pens.","ask":"And {} more?","answer":{}.0,"work":"( {n}.0 + {}.0 )","kind":"{kind}"}}"#,
            n + 100,
            2 * n + 100,
            n + 100
        )
    }

    #[test]
    fn items_are_read_shared_out_and_scored() {
        let lines: Vec<String> = (0..80).map(line).collect();
        let (_folder, path) = file(&lines);
        let task = JsonlTask::read(&path, layout(), Arc::default()).unwrap();
        let sizes = [Split::Pool, Split::Validation, Split::Test].map(|s| task.instances(s).len());
        assert_eq!(sizes.iter().sum::<usize>(), 80);
        assert!(sizes[0] > sizes[1] && sizes[0] > sizes[2], "{sizes:?}");
        assert_eq!(task.skills(), ["Sum"]);
        let item = &task.instances(Split::Pool)[0];
        let Content::Mathematics { answer, solution: Some(solution), .. } = &item.content else { panic!() };
        assert!(
            solution.ends_with(&format!("={answer}. #### {answer}")) && !solution.contains(".0"),
            "{solution}"
        );
        let judged = |response: &str| task.score(item, response);
        assert_eq!(judged(&format!("1+1=2. #### {answer}.0")), (Some(format!("{answer}.0")), true));
        assert_eq!(judged("#### 7 of 9"), (Some("7".into()), false));
        assert!(judged(&format!("so it is {answer}")).1);
        assert_eq!(judged("no idea"), (None, false));
    }

    #[test]
    fn mathematical_answers_are_scored_in_either_mode() {
        let lines: Vec<String> = (0..40)
            .map(|n| {
                line(n)
                    .replace(".0,\"work", ",\"work")
                    .replace(&format!(":{}", n + 100), &format!(":\"\\\\frac{{{n}}}{{7}}\""))
            })
            .collect();
        let (_folder, path) = file(&lines);
        let read = |scoring| JsonlTask::read(&path, Layout { scoring, ..layout() }, Arc::default());
        assert!(read(None).unwrap_err().to_string().contains("task.scoring = \"strict\""));
        let strict = read(Some(Scoring::Strict)).unwrap();
        let item = &strict.instances(Split::Pool)[0];
        let answer = item.content.truth();
        assert!(answer.starts_with("\\frac"), "{answer}");
        assert_eq!(strict.score(item, &format!("so \\boxed{{{answer}}}")), (Some(answer.clone()), true));
        assert!(!strict.score(item, "so \\boxed{\\frac{1}{8}}").1);
        let parity = read(Some(Scoring::Parity)).unwrap();
        assert_eq!(parity.score(item, &format!("so \\boxed{{{answer}}}")), (None, false));
        assert!(parity.score(item, &format!("Final Answer: The final answer is ${answer}$.")).1);
    }

    /// What an engine writes, in every mode and style: its answer line is found, and nothing of its answer is lost.
    #[test]
    fn written_answers_are_found_in_every_mode() {
        let lines: Vec<String> = (0..40)
            .map(|n| line(n).replace(&format!(":{}.0,", 2 * n + 100), ":\"9007199254740993\","))
            .collect();
        let (_folder, path) = file(&lines);
        for scoring in [None, Some(Scoring::Strict), Some(Scoring::Parity)] {
            let task = JsonlTask::read(&path, Layout { scoring, ..layout() }, Arc::default()).unwrap();
            let item = &task.instances(Split::Pool)[0];
            assert_eq!(item.content.truth(), "9007199254740993");
            for response in [task.response("so", "9007199254740993"), task.solution(item)] {
                assert!(task.score(item, &response).1, "{scoring:?}: {response}");
            }
            assert!(!task.score(item, &task.response("so", "5")).1);
        }
        let formula: Vec<String> =
            (0..40).map(|n| line(n).replace(&format!(":{}.0,", 2 * n + 100), ":\"1e5\",")).collect();
        std::fs::write(&path, formula.join("\n")).unwrap();
        let task =
            JsonlTask::read(&path, Layout { scoring: Some(Scoring::Strict), ..layout() }, Arc::default())
                .unwrap();
        assert_eq!(task.instances(Split::Pool)[0].content.truth(), "1e5");
    }

    #[test]
    fn questions_are_asked_in_the_style_that_is_set() {
        let lines: Vec<String> = (0..40).map(line).collect();
        let (_folder, path) = file(&lines);
        let read =
            |scoring, style| JsonlTask::read(&path, Layout { scoring, style, ..layout() }, Arc::default());
        let asked = |scoring, style| {
            let task = read(scoring, style).unwrap();
            let item = &task.instances(Split::Validation)[0];
            let prompt = task.prompt(item);
            assert_eq!(prompt.matches(item.content.question()).count(), 1, "{prompt}");
            (prompt, task.stop(item))
        };
        assert!(asked(None, Style::Bare).0.ends_with("more?"));
        assert!(asked(None, Style::ZeroShot).0.ends_with("for example: #### 12"));
        assert!(asked(Some(Scoring::Strict), Style::ZeroShot).0.contains("boxed{ANSWER}"));
        let (shown, stop) = asked(None, Style::FewShot(3));
        assert_eq!((shown.matches("Problem: ").count(), stop.len()), (4, 1), "{shown}");
        let few = read(None, Style::FewShot(500)).unwrap_err().to_string();
        assert!(few.contains("fall into the pool") && few.contains("`task.shots`"), "{few}");
    }

    #[test]
    fn subjects_and_levels_are_facets_and_two_numbers_are_no_key() {
        let lines: Vec<String> = (0..40)
            .map(|n| {
                line(n).replace("\"kind\"", &format!("\"field\":\"Sums\",\"hard\":{},\"kind\"", 1 + n % 5))
            })
            .collect();
        let (_folder, path) = file(&lines);
        let (subject, level) = (Some("field".to_owned()), Some("hard".to_owned()));
        let task = JsonlTask::read(&path, Layout { subject, level, ..layout() }, Arc::default()).unwrap();
        for instance in task.instances(Split::Validation) {
            assert_eq!(instance.facets["subject"], "Sums");
            assert!(instance.facets["level"].starts_with("Level "), "{:?}", instance.facets);
            assert_eq!(task.key(instance.content.question()), instance.key);
        }
        assert_ne!(task.key("Ann has 3 pens and 4 cups."), task.key("3 men walk 4 miles."));
        assert_eq!(task.key("Ann has 3 pens, 4 cups and 5 hats."), task.key("What is 5 + 4 + 3?"));
    }

    #[test]
    fn items_with_the_same_numbers_share_a_part() {
        let mut lines: Vec<String> = (0..80).map(line).collect();
        lines.extend((0..80).map(line).map(|l| l.replace("Ann", "Bob")));
        let (_folder, path) = file(&lines);
        let task = JsonlTask::read(&path, layout(), Arc::default()).unwrap();
        let keys = |split| task.instances(split).iter().map(|i| i.key.clone()).collect::<HashSet<_>>();
        assert!(keys(Split::Pool).is_disjoint(&keys(Split::Validation)));
        assert!(keys(Split::Pool).is_disjoint(&keys(Split::Test)));
        assert!(keys(Split::Validation).is_disjoint(&keys(Split::Test)));
    }

    #[test]
    fn errors_name_file_line_and_column() {
        let said = |lines: &[String]| {
            let (_folder, path) = file(lines);
            JsonlTask::read(&path, layout(), Arc::default()).unwrap_err().to_string()
        };
        let broken = said(&[line(1), "{".into()]);
        assert!(broken.contains("items.jsonl, line 2"), "{broken}");
        let missing = said(&[line(1).replace("answer\"", "result\"")]);
        assert!(missing.contains("no column `answer`") && missing.contains("result"), "{missing}");
        let words = said(&[line(1).replace(":102.0", ":\"many\"")]);
        assert!(words.contains("\"many\", which is not a number"), "{words}");
        assert!(said(&[]).contains("validation part"));
        assert!(
            JsonlTask::read(Path::new("none.jsonl"), layout(), Arc::default())
                .unwrap_err()
                .to_string()
                .contains("none.jsonl")
        );
    }
}
