//! The expression tree that both parsers build and the comparison walks.

use std::rc::Rc;

use super::number::{Rational, whole};

/// An answer as it was read. Scalars and structures share one type, because LaTeX nests them freely.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Number(Rational),
    /// A number written with a decimal point: how many digits stand behind it and how many count.
    Decimal {
        value: Rational,
        places: u32,
        significant: u32,
    },
    Symbol(Rc<str>),
    Constant(Constant),
    Sum(Vec<Expression>),
    Product(Vec<Expression>),
    Power(Box<Expression>, Box<Expression>),
    Apply(Function, Vec<Expression>),
    /// A function that only has a name, `f(x)`.
    Unknown(Rc<str>, Vec<Expression>),
    /// `a ± b`; the flag is set for `∓`.
    PlusMinus(Box<Expression>, Box<Expression>, bool),
    /// A value with its unit as written; `%` and `°` are units.
    Quantity(Box<Expression>, Rc<str>),
    /// Digits in a base other than ten.
    Based(Rc<str>, u32),
    Text(Rc<str>),
    /// `(a, b)`, `[a, b)` and so on: a point or an interval; the flags say which ends are closed.
    Tuple(Vec<Expression>, bool, bool),
    Set(Vec<Expression>),
    /// Values side by side without brackets.
    List(Vec<Expression>),
    Union(Vec<Expression>),
    /// The first set without the second.
    Without(Box<Expression>, Box<Expression>),
    Matrix(Vec<Vec<Expression>>),
    /// A chain `a < b <= c`: one more side than signs.
    Relation(Vec<Expression>, Vec<Sign>),
}

/// The symbol of the real numbers.
pub(super) const REALS: &str = "\\mathbb{R}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constant {
    Pi,
    E,
    I,
    Infinity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Sin,
    Cos,
    Tan,
    Csc,
    Sec,
    Cot,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    /// One argument, or the argument and its base.
    Log,
    Abs,
    Floor,
    Ceiling,
    Factorial,
    Binomial,
    /// The radicand and the degree.
    Root,
    Gcd,
    Lcm,
    Max,
    Min,
}

impl Function {
    /// From its name, as in `\sin` or `sin`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sin" => Self::Sin,
            "cos" => Self::Cos,
            "tan" => Self::Tan,
            "csc" => Self::Csc,
            "sec" => Self::Sec,
            "cot" => Self::Cot,
            "arcsin" | "asin" => Self::Arcsin,
            "arccos" | "acos" => Self::Arccos,
            "arctan" | "atan" => Self::Arctan,
            "sinh" => Self::Sinh,
            "cosh" => Self::Cosh,
            "tanh" => Self::Tanh,
            "log" | "ln" | "lg" => Self::Log,
            "gcd" => Self::Gcd,
            "lcm" => Self::Lcm,
            "max" => Self::Max,
            "min" => Self::Min,
            _ => return None,
        })
    }

    /// What `\sin^{-1}` and its kin mean.
    pub(super) fn inverse(self) -> Option<Self> {
        match self {
            Self::Sin => Some(Self::Arcsin),
            Self::Cos => Some(Self::Arccos),
            Self::Tan => Some(Self::Arctan),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Equal,
    NotEqual,
    Approximate,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Sign {
    /// The sign read from the right.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            same => same,
        }
    }
}

impl Expression {
    pub(super) fn integer(value: i64) -> Self {
        Self::Number(whole(value))
    }

    pub(super) fn symbol(name: &str) -> Self {
        Self::Symbol(name.into())
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Number(value) => Self::Number(-value),
            Self::Decimal { value, places, significant } => {
                Self::Decimal { value: -value, places, significant }
            }
            Self::Quantity(value, unit) => Self::Quantity(Box::new(value.negated()), unit),
            other => Self::Product(vec![Self::integer(-1), other]),
        }
    }

    pub(super) fn quotient(self, by: Self) -> Self {
        Self::Product(vec![self, Self::Power(Box::new(by), Box::new(Self::integer(-1)))])
    }

    pub(super) fn difference(&self, other: &Self) -> Self {
        Self::Sum(vec![self.clone(), other.clone().negated()])
    }

    /// The value of a plain number.
    pub(super) fn number(&self) -> Option<&Rational> {
        match self {
            Self::Number(value) | Self::Decimal { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The direct parts.
    pub(super) fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Number(_)
            | Self::Decimal { .. }
            | Self::Symbol(_)
            | Self::Constant(_)
            | Self::Based(..)
            | Self::Text(_) => Vec::new(),
            Self::Power(a, b) | Self::PlusMinus(a, b, _) | Self::Without(a, b) => vec![a, b],
            Self::Quantity(a, _) => vec![a],
            Self::Matrix(rows) => rows.iter().flatten().collect(),
            Self::Sum(items)
            | Self::Product(items)
            | Self::Apply(_, items)
            | Self::Unknown(_, items)
            | Self::Tuple(items, ..)
            | Self::Set(items)
            | Self::List(items)
            | Self::Union(items)
            | Self::Relation(items, _) => items.iter().collect(),
        }
    }

    /// Whether this or any part below satisfies the test.
    pub(super) fn any(&self, test: &dyn Fn(&Self) -> bool) -> bool {
        test(self) || self.parts().into_iter().any(|part| part.any(test))
    }

    /// Whether it has no variable.
    pub(super) fn is_constant(&self) -> bool {
        !self.any(&|part| matches!(part, Self::Symbol(_) | Self::Unknown(..) | Self::Text(_)))
    }

    /// Whether it is a value and not a structure: what canonical form and evaluation understand.
    pub(super) fn is_scalar(&self) -> bool {
        !matches!(
            self,
            Self::Text(_)
                | Self::Tuple(..)
                | Self::Set(_)
                | Self::List(_)
                | Self::Union(_)
                | Self::Without(..)
                | Self::Matrix(_)
                | Self::Relation(..)
                | Self::Based(..)
        )
    }
}
