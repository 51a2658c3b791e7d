//! The table of built-in prompts.

use serde_json::Value;

/// A prompt that the program brings along.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn {
    /// Name; a file `NAME.txt` in the prompts folder replaces it.
    pub name: &'static str,
    /// Counts up when the text changes, so that records tell which text was used.
    pub version: u32,
    /// The template.
    pub text: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    sample: &'static str,
}

impl BuiltIn {
    /// Values of every variable, as an example: what it is golden-tested with and what a replacement may use.
    pub fn sample(&self) -> Value {
        serde_json::from_str(self.sample).unwrap_or(Value::Null)
    }
}

macro_rules! prompt {
    ($name:literal, $version:literal, $about:literal, $sample:literal) => {
        BuiltIn {
            name: $name,
            version: $version,
            text: include_str!(concat!($name, ".", $version, ".txt")),
            about: $about,
            sample: $sample,
        }
    };
}

/// Values of the engines' prompts.
macro_rules! engine_prompt {
    ($name:literal, $version:literal, $about:literal) => {
        prompt!(
            $name,
            $version,
            $about,
            r#"{"skill": "counting", "subskill": "counting back", "count": 2, "written": ["What is 1 + 1?"],
                "headings": true,
                "shown": [{"question": "What is 9 - 4?", "answer": "5", "response": "It is 6."}]}"#
        )
    };
}

macro_rules! compact {
    ($name:literal, $version:literal) => {
        Compact {
            name: $name,
            version: $version,
            text: include_str!(concat!("compact/", $name, ".", $version, ".txt")),
        }
    };
}

/// A short text in the place of a built-in prompt, for the embedded teachers, who learned it.
#[derive(Debug, Clone, Copy)]
pub struct Compact {
    /// Name of the built-in prompt, whose variables it is given.
    pub name: &'static str,
    /// Counts up when what is said of a named skill changes: the embedded teachers, who learned that, have to be made anew
    /// then.
    pub version: u32,
    /// The template.
    pub text: &'static str,
}

/// Every prompt that has a compact text.
pub const COMPACT: &[Compact] = &[compact!("mathematics", 1), compact!("solve", 1), compact!("subskills", 1)];

/// Every built-in prompt.
pub const BUILT_IN: &[BuiltIn] = &[
    engine_prompt!("mathematics", 2, "new exercises of mathematics"),
    engine_prompt!("programming", 1, "new programming tasks"),
    engine_prompt!("visual_question_answering", 1, "new questions about images, with the images described"),
    engine_prompt!("tool_use", 1, "new requests with their tool plans"),
    prompt!(
        "label",
        1,
        "skill discovery, stage 1: one skill name for one question",
        r#"{"topic": "mathematics", "student": "language model", "question": "What is 2 + 3?"}"#
    ),
    prompt!(
        "aggregate",
        1,
        "skill discovery, stage 2: skill names into categories",
        r#"{"topic": "mathematics", "student": "language model", "categories": 2,
            "skills": ["adding_numbers", "solving_equations"]}"#
    ),
    prompt!(
        "aggregate_short",
        1,
        "skill discovery, stage 2 with few tokens: categories with three examples each, as lines",
        r#"{"topic": "mathematics", "student": "language model", "categories": 0,
            "skills": ["adding_numbers", "solving_equations"]}"#
    ),
    prompt!(
        "choose",
        1,
        "skill discovery, stage 3: one category for one question",
        r#"{"topic": "mathematics", "question": "What is 2 + 3?", "skills": ["Arithmetic", "Algebra"],
            "refused": ["Sums"]}"#
    ),
    prompt!(
        "subskills",
        2,
        "new subskills of a skill",
        r#"{"topic": "mathematics", "skill": "Algebra", "known": ["lines"], "count": 2}"#
    ),
    prompt!(
        "hypotheses",
        2,
        "guesses of what is weak in a skill, from errors",
        r#"{"skill": "counting", "count": 2, "known": ["counting back"], "solved": false,
            "shown": [{"question": "What is 9 - 4?", "answer": "5", "response": "It is 6."}]}"#
    ),
    prompt!(
        "plan_reward",
        2,
        "the planner's question about one skill: rewards and allocations",
        r#"{"skill": "Algebra", "iteration": 3, "accuracy": 41.5, "total": 20, "unexplored": true,
            "subskills": [{"name": "lines", "allocation": 20, "produced": 40}],
            "history": [{"action": "explore 1 subskill with 20 data each", "before": 40.0, "after": 41.5,
                         "reward": 1.5, "data": 40}]}"#
    ),
    prompt!(
        "plan_training",
        2,
        "the planner's question about one skill: training accuracy by subskill",
        r#"{"skill": "Algebra", "iteration": 3, "accuracy": 41.5, "total": 20, "training": 30.0,
            "unexplored": true, "most": 30,
            "subskills": [{"name": "lines", "allocation": 20, "produced": 40, "training": 30.0}]}"#
    ),
    prompt!(
        "solve",
        1,
        "a problem solved anew, to check a written answer",
        r#"{"question": "What is 2 + 3?"}"#
    ),
    prompt!(
        "student_zero_shot",
        1,
        "the student's question with the form of the answer",
        r#"{"question": "What is 2 + 3?", "options": ["A) 5", "B) 6"], "shots": [],
            "answer": "option"}"#
    ),
    prompt!(
        "student_few_shot",
        1,
        "the student's question after worked examples",
        r#"{"question": "What is 2 + 3?", "options": [],
            "shots": [{"question": "What is 1 + 1?", "options": [], "response": "1 + 1 = 2\n#### 2"}],
            "answer": "number"}"#
    ),
];
