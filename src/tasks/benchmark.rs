//! Published benchmarks of mathematics, read from their own files: GSM8K, SVAMP, `AQuA` and MATH.
//!
//! They differ in their records and in what an answer is; prompt, splits and scoring are here.

mod math;
mod records;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

pub use math::{LEVELS, MathSplit, SUBJECTS};
pub use records::RecordError;

pub use super::Style;

use super::jsonl::split_of;
use super::leakage::{Drawn, cleaned};
use super::math::{Scoring, equal, extract};
use super::{Splits, boxed_response, marked_answer, numbers, story_key as key};
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::leakage::Contamination;
use crate::gym::ports::Task;
use crate::prompts::Prompts;

/// The benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// GSM8K (Cobbe et al. 2021): word problems with a number.
    Gsm8k,
    /// SVAMP (Patel et al. 2021): short word problems in four kinds of arithmetic.
    Svamp,
    /// `AQuA` (Ling et al. 2017): five options each.
    Aqua,
    /// MATH (Hendrycks et al. 2021): competition problems of seven subjects and five levels.
    Math,
}

impl Source {
    /// The benchmark's name, and where it is published.
    fn home(self) -> (&'static str, &'static str) {
        match self {
            Self::Gsm8k => ("GSM8K", "https://github.com/openai/grade-school-math"),
            Self::Svamp => ("SVAMP", "https://github.com/arkilpatel/SVAMP"),
            Self::Aqua => ("AQuA", "https://github.com/google-deepmind/AQuA"),
            Self::Math => ("MATH", "https://github.com/hendrycks/math"),
        }
    }
}

/// Where the files are and how they are used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The benchmark.
    pub source: Source,
    /// Its file; for MATH its folder, or its training file.
    pub path: PathBuf,
    /// A file with test questions, where the source has one of its own.
    pub test: Option<PathBuf>,
    /// Weights of pool, validation and test when one file is shared out. Without a share of the test split
    /// where there is a test file.
    pub shares: [f64; 3],
    /// Named splits of MATH, for validation and test; the pool is what is left of the training questions.
    pub splits: (MathSplit, MathSplit),
    /// Most questions of validation and test, the first ones of the file; 0 means all.
    pub most: [u32; 2],
    /// What is around the question.
    pub style: Style,
    /// How answers of MATH are found and compared.
    pub scoring: Scoring,
    /// Upper limit of an answer in tokens.
    pub max_tokens: u32,
}

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Number,
    Option,
    Expression(Scoring),
}

impl Form {
    fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Option => "option",
            Self::Expression(_) => "expression",
        }
    }
}

/// A benchmark as a task.
#[derive(Debug)]
pub struct Benchmark {
    name: String,
    splits: Splits,
    form: Form,
    style: Style,
    prompts: Arc<Prompts>,
    max_tokens: u32,
    contamination: Contamination,
}

/// A question before it has a place in a split.
#[derive(Debug, Clone, PartialEq)]
struct Item {
    id: String,
    question: String,
    options: Vec<String>,
    answer: String,
    /// The worked steps, without the line of the answer.
    steps: String,
    skill: Option<String>,
    facets: Vec<(&'static str, String)>,
}

impl Benchmark {
    /// Reads the files.
    pub fn read(settings: &Settings, prompts: Arc<Prompts>) -> Result<Self, RecordError> {
        for path in std::iter::once(&settings.path).chain(&settings.test) {
            if !path.exists() {
                let (name, home) = settings.source.home();
                return Err(RecordError::Absent { path: path.clone(), name, home });
            }
        }
        let form = match settings.source {
            Source::Gsm8k | Source::Svamp => Form::Number,
            Source::Aqua => Form::Option,
            Source::Math => Form::Expression(settings.scoring),
        };
        let (name, [pool, validation, test]) = match settings.source {
            Source::Math => math::splits(settings)?,
            source => shared_out(source, settings)?,
        };
        let place = |split, items: Vec<Item>, most: u32| -> Vec<TaskInstance> {
            let most = if most == 0 { usize::MAX } else { most as usize };
            items.into_iter().take(most).map(|item| instance(&name, form, split, item)).collect()
        };
        let [most_validation, most_test] = settings.most;
        let splits = Splits {
            pool: place(Split::Pool, pool, 0),
            validation: place(Split::Validation, validation, most_validation),
            test: place(Split::Test, test, most_test),
        };
        // Only MATH has a validation split that others named.
        let drawn = if settings.source == Source::Math { Drawn::Published } else { Drawn::Here };
        let (splits, contamination) = cleaned(splits, drawn);
        let (style, max_tokens) = (settings.style, settings.max_tokens);
        let few = splits.pool.len() < style.shots();
        for (split, empty) in
            [("validation", splits.validation.is_empty()), ("test", splits.test.is_empty()), ("pool", few)]
        {
            if empty {
                return Err(RecordError::Few { path: settings.path.clone(), split });
            }
        }
        Ok(Self { name, splits, form, style, prompts, max_tokens, contamination })
    }
}

/// One file shared out by operand keys, or two.
fn shared_out(source: Source, settings: &Settings) -> Result<(String, [Vec<Item>; 3]), RecordError> {
    let (name, read): (&str, records::Reading) = match source {
        Source::Svamp => ("svamp", records::svamp),
        Source::Aqua => ("aqua", records::aqua),
        _ => ("gsm8k", records::gsm8k),
    };
    let mut shares = settings.shares;
    let mut parts: [Vec<Item>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    if let Some(path) = &settings.test {
        shares[2] = 0.0;
        parts[2] = records::read(path, name, "test", read)?;
    }
    for item in records::read(&settings.path, name, "", read)? {
        match split_of(&key(&item.question), shares) {
            Split::Pool => parts[0].push(item),
            Split::Validation => parts[1].push(item),
            Split::Test => parts[2].push(item),
        }
    }
    Ok((name.to_owned(), parts))
}

fn instance(task: &str, form: Form, split: Split, item: Item) -> TaskInstance {
    TaskInstance {
        key: key(&item.question),
        id: item.id,
        task: task.to_owned(),
        split,
        subskill: item.skill.as_ref().map(|_| super::WHOLE_SKILL.to_owned()),
        skill: item.skill,
        facets: item.facets.into_iter().map(|(facet, name)| (facet.to_owned(), name)).collect(),
        content: Content::Mathematics {
            solution: Some(response(form, &item.steps, &item.answer)),
            question: item.question,
            options: item.options,
            answer: item.answer,
        },
    }
}

/// Steps with the line that the scorer looks for.
fn response(form: Form, steps: &str, answer: &str) -> String {
    match form {
        Form::Number | Form::Option => {
            format!("{}\n{} {answer}", steps.trim(), super::ANSWER_MARK).trim_start().to_owned()
        }
        Form::Expression(_) => boxed_response(steps, answer),
    }
}

/// The letter of an option that a response settles on: behind the last answer mark, else the last letter that
/// stands alone in brackets or behind the word "answer"; else the option whose text stands behind the mark.
fn option(response: &str, options: &[String]) -> Option<String> {
    let letters = options.len().clamp(5, 26) as u8;
    let letter = |text: &str| -> Option<String> {
        let c = text.trim_start_matches(['(', '$', ' ', '*', '"']).chars().next()?.to_ascii_uppercase();
        let rest = text.trim_start_matches(['(', '$', ' ', '*', '"']).chars().nth(1);
        let alone = rest.is_none_or(|next| !next.is_alphanumeric());
        (alone && (b'A'..b'A' + letters).contains(&(c as u8)) && c.is_ascii()).then(|| c.to_string())
    };
    if let Some(marked) = marked_answer(response) {
        let text_of = |option: &String| option.split_once(')').map(|(_, text)| text.trim().to_owned());
        let by_text = || {
            let place = options.iter().position(|o| text_of(o).is_some_and(|text| text == marked.trim()))?;
            Some(char::from(b'A' + place as u8).to_string())
        };
        return letter(marked).or_else(by_text);
    }
    let lower = response.to_ascii_lowercase();
    let behind = lower.rfind("answer").map(|at| &response[at + "answer".len()..]);
    let behind = behind.map(|text| text.trim_start_matches([' ', ':', '*']));
    let behind =
        behind.map(|text| text.strip_prefix("is").unwrap_or(text).trim_start_matches([' ', ':', '*']));
    let bracketed =
        response.rfind('(').map(|at| &response[at + 1..]).filter(|text| text.get(1..2) == Some(")"));
    behind.and_then(letter).or_else(|| bracketed.and_then(letter))
}

impl Task for Benchmark {
    fn name(&self) -> &str {
        &self.name
    }

    fn instances(&self, split: Split) -> &[TaskInstance] {
        self.splits.get(split)
    }

    fn contamination(&self) -> Option<Contamination> {
        Some(self.contamination)
    }

    fn skills(&self) -> Vec<String> {
        super::skills_of(&self.splits)
    }

    fn prompt(&self, instance: &TaskInstance) -> String {
        self.style.prompt(&self.prompts, self.form.as_str(), instance, &self.splits.pool)
    }

    fn key(&self, question: &str) -> String {
        key(question)
    }

    fn response(&self, reasoning: &str, answer: &str) -> String {
        response(self.form, reasoning, answer)
    }

    fn max_tokens(&self) -> u32 {
        self.max_tokens
    }

    fn stop(&self, _instance: &TaskInstance) -> Vec<String> {
        self.style.stop()
    }

    fn score(&self, instance: &TaskInstance, text: &str) -> (Option<String>, bool) {
        let truth = instance.content.truth();
        match (self.form, &instance.content) {
            (Form::Expression(scoring), _) => {
                let given = extract(scoring, text);
                let right = given.as_ref().is_some_and(|given| equal(scoring, &truth, given));
                (given, right)
            }
            (Form::Option, Content::Mathematics { options, .. }) => {
                let given = option(text, options);
                let right = given.as_deref() == Some(truth.as_str());
                (given, right)
            }
            _ => numbers::score(&truth, text),
        }
    }
}
