//! Keys of a published benchmark.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Shares, four};

/// A published benchmark of mathematics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BenchmarkConfig {
    /// Which one.
    pub source: BenchmarkSource,
    /// Its file, or for `math` its folder; a relative path starts at the configuration's folder.
    pub path: PathBuf,
    /// A file with test questions, where they are not in `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_path: Option<PathBuf>,
    /// Shares of the questions per split, for sources other than `math`.
    #[serde(default)]
    pub shares: Shares,
    /// Named validation split of `math`.
    #[serde(default = "val_balanced")]
    pub validation: String,
    /// Named test split of `math`.
    #[serde(default = "test_all")]
    pub test: String,
    /// Most validation questions, the first ones; 0 means all.
    #[serde(default)]
    pub validation_questions: u32,
    /// Most test questions, the first ones; 0 means all.
    #[serde(default)]
    pub test_questions: u32,
    /// What is around the question, for the base and the trained student alike.
    #[serde(default)]
    pub prompt: PromptStyle,
    /// Worked examples of a `few_shot` prompt.
    #[serde(default = "four")]
    pub shots: u32,
    /// How answers of `math` are found and compared.
    #[serde(default)]
    pub scoring: ScoringConfig,
}

/// The benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BenchmarkSource {
    /// GSM8K: word problems with a number.
    Gsm8k,
    /// SVAMP: short word problems in four kinds of arithmetic.
    Svamp,
    /// `AQuA`: five options each.
    Aqua,
    /// MATH: seven subjects, five levels.
    Math,
}

/// What is around a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptStyle {
    /// The form of the answer.
    #[default]
    ZeroShot,
    /// Worked examples of the pool, and the form of the answer.
    FewShot,
    /// Nothing.
    Bare,
}

/// How answers of MATH are found and compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScoringConfig {
    /// As mathematics.
    #[default]
    Strict,
    /// With the verdicts of the reference program, for comparison with published figures.
    Parity,
}

fn val_balanced() -> String {
    "val_balanced_subset_50".into()
}

fn test_all() -> String {
    "test_all".into()
}
