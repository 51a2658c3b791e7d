//! Structural comparison of two answers: scalars by canonical form or evaluation, everything else part by
//! part.

mod intervals;
mod matrices;
mod relations;
mod scalars;

use super::expression::{Expression, REALS};

/// How answers are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// A decimal stands for an exact value that it rounds or cuts off when it has at least this many digits.
    pub(super) digits: u32,
}

impl Default for Rules {
    /// Six digits: `0.333333` is a third, `3.14` is not `π`.
    fn default() -> Self {
        Self { digits: 6 }
    }
}

/// Items of a list or set that are compared without order.
const MOST_ITEMS: usize = 32;
/// Comparisons of scalars for one pair of answers.
const MOST_COMPARISONS: u32 = 400;
/// Comparisons of parts for one pair of answers.
const MOST_STEPS: u32 = 4000;

/// Whether two answers are the same.
pub(super) fn equal(expected: &Expression, given: &Expression, rules: Rules) -> bool {
    Comparison { rules, left: MOST_COMPARISONS, steps: MOST_STEPS }.same(expected, given)
}

struct Comparison {
    rules: Rules,
    /// Comparisons of scalars that may still be made.
    left: u32,
    /// Comparisons of anything that may still be made.
    steps: u32,
}

impl Comparison {
    fn same(&mut self, a: &Expression, b: &Expression) -> bool {
        if self.steps == 0 {
            return false;
        }
        self.steps -= 1;
        self.matches(a, b)
    }

    fn matches(&mut self, a: &Expression, b: &Expression) -> bool {
        use Expression::{Based, List, Matrix, Number, Relation, Set, Text, Tuple, Union, Without};
        let (a, b) = (settled(a), settled(b));
        match (&a, &b) {
            (Text(a), Text(b)) => a.eq_ignore_ascii_case(b),
            (Relation(..), Relation(..)) => self.relations(&a, &b),
            (Relation(..), other) | (other, Relation(..)) => {
                let relation = if matches!(a, Relation(..)) { &a } else { &b };
                if let Some((_, value)) = relations::assigned(relation) {
                    return self.same(value, other);
                }
                self.intervals(&a, &b)
            }
            (Based(a, base), Based(b, other)) => a == b && base == other,
            (Based(digits, _), Number(value)) | (Number(value), Based(digits, _)) => {
                super::number::decimal(digits).as_ref() == Some(value)
            }
            (Matrix(a), Matrix(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.in_order(a, b)),
            (Tuple(a, opens, closes), Tuple(b, also_opens, also_closes)) => {
                opens == also_opens && closes == also_closes && self.in_order(a, b)
            }
            (Union(_) | Without(..), _) | (_, Union(_) | Without(..)) => self.intervals(&a, &b),
            (Expression::Symbol(reals), Tuple(..)) | (Tuple(..), Expression::Symbol(reals))
                if &**reals == REALS =>
            {
                self.intervals(&a, &b)
            }
            (List(items), List(others)) => self.without_order(items, others) || self.intervals(&a, &b),
            (List(items) | Set(items), List(others) | Set(others)) => self.without_order(items, others),
            // Coordinates without their brackets.
            (List(a), Tuple(b, ..)) | (Tuple(a, ..), List(b)) => self.in_order(a, b),
            (List(items) | Set(items), other) | (other, List(items) | Set(items)) => {
                // Two spellings of one value, or one value in braces.
                !items.is_empty()
                    && items.len() <= MOST_ITEMS
                    && items.iter().all(|item| self.same(item, other))
            }
            (a, b) if a.is_scalar() && b.is_scalar() => self.quantities(a, b),
            _ => false,
        }
    }

    fn in_order(&mut self, a: &[Expression], b: &[Expression]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(a, b))
    }

    /// The same values in any order, however often each stands.
    fn without_order(&mut self, a: &[Expression], b: &[Expression]) -> bool {
        if a.len() > MOST_ITEMS || b.len() > MOST_ITEMS {
            return self.in_order(a, b);
        }
        let mut covers = |a: &[Expression], b: &[Expression]| {
            a.iter().all(|item| b.iter().any(|other| self.same(item, other)))
        };
        covers(a, b) && covers(b, a)
    }
}

/// Both signs of `±` written out, sums and products of matrices carried out, lists in lists opened.
fn settled(expression: &Expression) -> Expression {
    match expression {
        Expression::List(items) => Expression::List(items.iter().flat_map(branches).collect()),
        Expression::Set(items) => Expression::Set(items.iter().flat_map(branches).collect()),
        Expression::Relation(..) => expression.clone(),
        _ => match branches(expression).as_slice() {
            [only] => matrices::folded(only).unwrap_or_else(|| only.clone()),
            both => Expression::List(both.to_vec()),
        },
    }
}

/// The upper and the lower reading of every `±`; the expression itself when there is none.
fn branches(expression: &Expression) -> Vec<Expression> {
    match expression {
        Expression::List(items) => items.iter().flat_map(branches).collect(),
        Expression::Relation(sides, signs) => {
            let Some((last, before)) = sides.split_last() else { return Vec::new() };
            branches(last)
                .into_iter()
                .map(|last| {
                    let mut sides = before.to_vec();
                    sides.push(last);
                    Expression::Relation(sides, signs.clone())
                })
                .collect()
        }
        _ if expression.any(&|part| matches!(part, Expression::PlusMinus(..))) => {
            vec![signed(expression, true), signed(expression, false)]
        }
        _ => vec![expression.clone()],
    }
}

/// One reading of every `±` and `∓` below.
fn signed(expression: &Expression, upper: bool) -> Expression {
    let all = |items: &[Expression]| items.iter().map(|item| signed(item, upper)).collect::<Vec<_>>();
    match expression {
        Expression::PlusMinus(a, b, flipped) => {
            let (a, b) = (signed(a, upper), signed(b, upper));
            Expression::Sum(vec![a, if upper == *flipped { b.negated() } else { b }])
        }
        Expression::Sum(items) => Expression::Sum(all(items)),
        Expression::Product(items) => Expression::Product(all(items)),
        Expression::Power(a, b) => Expression::Power(Box::new(signed(a, upper)), Box::new(signed(b, upper))),
        Expression::Apply(function, items) => Expression::Apply(*function, all(items)),
        Expression::Unknown(name, items) => Expression::Unknown(name.clone(), all(items)),
        Expression::Quantity(a, unit) => Expression::Quantity(Box::new(signed(a, upper)), unit.clone()),
        Expression::Tuple(items, opens, closes) => Expression::Tuple(all(items), *opens, *closes),
        Expression::Set(items) => Expression::Set(all(items)),
        Expression::List(items) => Expression::List(all(items)),
        Expression::Union(items) => Expression::Union(all(items)),
        Expression::Relation(items, signs) => Expression::Relation(all(items), signs.clone()),
        Expression::Without(a, b) => {
            Expression::Without(Box::new(signed(a, upper)), Box::new(signed(b, upper)))
        }
        Expression::Matrix(rows) => Expression::Matrix(rows.iter().map(|row| all(row)).collect()),
        Expression::Number(_)
        | Expression::Decimal { .. }
        | Expression::Symbol(_)
        | Expression::Constant(_)
        | Expression::Based(..)
        | Expression::Text(_) => expression.clone(),
    }
}
