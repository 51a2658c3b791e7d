//! The twelve skills and their subskills.

use serde::{Deserialize, Serialize};

/// What a problem exercises. The first six are the ones a base student is trained on heavily.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skill {
    /// Addition of two numbers below 1000.
    Add,
    /// Subtraction of two numbers below 1000.
    Sub,
    /// A number of two or three digits times one digit.
    Mul,
    /// The larger or smaller of two numbers.
    Cmp,
    /// Addition told as a story.
    WpAdd,
    /// Subtraction told as a story.
    WpSub,
    /// Division by one digit with remainder.
    Div,
    /// The next term of an arithmetic sequence.
    Seq,
    /// Multiplication told as a story.
    WpMul,
    /// Conversion of a pair of units into the smaller one.
    Unit,
    /// A product followed by an addition or subtraction, told as a story.
    TwoStep,
    /// The mean of three numbers.
    Avg,
}

impl Skill {
    /// Every skill, in the order of all tables.
    pub const ALL: [Self; 12] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Cmp,
        Self::WpAdd,
        Self::WpSub,
        Self::Div,
        Self::Seq,
        Self::WpMul,
        Self::Unit,
        Self::TwoStep,
        Self::Avg,
    ];

    /// The name used in keys, files and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Cmp => "cmp",
            Self::WpAdd => "wp_add",
            Self::WpSub => "wp_sub",
            Self::Div => "div",
            Self::Seq => "seq",
            Self::WpMul => "wp_mul",
            Self::Unit => "unit",
            Self::TwoStep => "two_step",
            Self::Avg => "avg",
        }
    }

    /// The skill of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|skill| skill.name() == name)
    }

    /// A phrase for people and prompts.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Add => "adding two numbers",
            Self::Sub => "subtracting two numbers",
            Self::Mul => "multiplying by one digit",
            Self::Cmp => "comparing two numbers",
            Self::WpAdd => "word problems with addition",
            Self::WpSub => "word problems with subtraction",
            Self::Div => "dividing with remainder",
            Self::Seq => "continuing a sequence",
            Self::WpMul => "word problems with multiplication",
            Self::Unit => "converting units",
            Self::TwoStep => "word problems in two steps",
            Self::Avg => "the average of three numbers",
        }
    }

    /// The subskills of this skill; every problem has exactly one.
    pub const fn subskills(self) -> &'static [&'static str] {
        match self {
            Self::Add => &["no_carry", "carry", "three_digits"],
            Self::Sub => &["no_borrow", "borrow", "three_digits"],
            Self::Mul | Self::WpMul => &["two_digits", "three_digits"],
            Self::Cmp => &["far", "close_larger", "close_smaller"],
            Self::WpAdd => &["no_carry", "carry"],
            Self::WpSub => &["no_borrow", "borrow"],
            Self::Div => &["exact", "remainder", "long"],
            Self::Seq => &["small_step", "large_step", "descending"],
            Self::Unit => &["hours", "weeks", "meters"],
            Self::TwoStep => &["take_away", "put_together"],
            Self::Avg => &["small_mean", "large_mean"],
        }
    }

    /// Whether the embedded student's pre-training favours this skill.
    pub const fn is_strong(self) -> bool {
        matches!(self, Self::Add | Self::Sub | Self::Mul | Self::Cmp | Self::WpAdd | Self::WpSub)
    }
}

impl std::fmt::Display for Skill {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}
