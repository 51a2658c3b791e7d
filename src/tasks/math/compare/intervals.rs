//! Sets of real numbers: intervals, their unions, and the inequalities that describe them.

use super::Comparison;
use crate::tasks::math::canonical::{Atom, Convention, canonical};
use crate::tasks::math::expression::{Constant, Expression, REALS, Sign};
use crate::tasks::math::number::{negative, whole};
use crate::tasks::math::numeric;

/// Pieces of one set.
const MOST_PIECES: usize = 32;

#[derive(Debug, Clone)]
struct Interval {
    low: Expression,
    high: Expression,
    closed: (bool, bool),
    /// Ends as numbers, for sorting.
    ends: (f64, f64),
}

impl Interval {
    fn new(low: Expression, high: Expression, closed: (bool, bool)) -> Option<Self> {
        let ends = (numeric::real(&low)?, numeric::real(&high)?);
        // An end at infinity is open, however it was written.
        let closed = (closed.0 && ends.0.is_finite(), closed.1 && ends.1.is_finite());
        (ends.0 <= ends.1).then_some(Self { low, high, closed, ends })
    }
}

fn infinity() -> Expression {
    Expression::Constant(Constant::Infinity)
}

impl Comparison {
    /// Whether two sets of real numbers are the same.
    pub(super) fn intervals(&mut self, a: &Expression, b: &Expression) -> bool {
        let (mut a_name, mut b_name) = (None, None);
        let (Some(a), Some(b)) = (pieces(a, &mut a_name), pieces(b, &mut b_name)) else { return false };
        if a_name.is_some() && b_name.is_some() && a_name != b_name {
            return false;
        }
        let (a, b) = (merged(a), merged(b));
        a.len() == b.len()
            && a.iter().zip(&b).all(|(a, b)| {
                a.closed == b.closed && self.values(&a.low, &b.low) && self.values(&a.high, &b.high)
            })
    }
}

/// The pieces of a set; the name of the variable when inequalities describe it.
fn pieces<'a>(expression: &'a Expression, name: &mut Option<&'a Expression>) -> Option<Vec<Interval>> {
    let found = match expression {
        Expression::Union(items) | Expression::List(items) => {
            let mut all = Vec::new();
            for item in items {
                all.extend(pieces(item, name)?);
                if all.len() > MOST_PIECES {
                    return None;
                }
            }
            all
        }
        Expression::Tuple(items, opens, closes) => match items.as_slice() {
            [low, high] => vec![Interval::new(low.clone(), high.clone(), (*opens, *closes))?],
            _ => return None,
        },
        Expression::Set(items) => items
            .iter()
            .take(MOST_PIECES)
            .map(|item| Interval::new(item.clone(), item.clone(), (true, true)))
            .collect::<Option<_>>()?,
        Expression::Without(whole, taken) => {
            let points = pieces(taken, name)?;
            points.iter().try_fold(pieces(whole, name)?, without)?
        }
        Expression::Relation(sides, signs) => solved(sides, signs, name)?,
        Expression::Symbol(reals) if &**reals == REALS => {
            vec![Interval::new(infinity().negated(), infinity(), (false, false))?]
        }
        _ => return None,
    };
    Some(found)
}

/// The pieces with one point taken out of them; `None` when it is more than a point.
fn without(pieces: Vec<Interval>, point: &Interval) -> Option<Vec<Interval>> {
    if point.ends.0 < point.ends.1 {
        return None;
    }
    let at = point.ends.0;
    let mut left = Vec::with_capacity(pieces.len() + 1);
    for piece in pieces {
        if at < piece.ends.0 || at > piece.ends.1 {
            left.push(piece);
            continue;
        }
        let closed = piece.closed;
        left.push(Interval::new(piece.low, point.low.clone(), (closed.0, false))?);
        left.push(Interval::new(point.low.clone(), piece.high, (false, closed.1))?);
    }
    (left.len() <= MOST_PIECES).then_some(left)
}

/// Numbers that satisfy a chain of inequalities in one variable.
fn solved<'a>(
    sides: &'a [Expression],
    signs: &[Sign],
    name: &mut Option<&'a Expression>,
) -> Option<Vec<Interval>> {
    let mut variable = |side: &'a Expression| {
        let fits = matches!(side, Expression::Symbol(_)) && name.is_none_or(|known| known == side);
        if fits {
            *name = Some(side);
        }
        fits
    };
    let closed = |sign: Sign| matches!(sign, Sign::LessEqual | Sign::GreaterEqual);
    let rises = |sign: Sign| matches!(sign, Sign::Less | Sign::LessEqual);
    match (sides, signs) {
        ([low, middle, high], [first, second]) if variable(middle) => {
            let ordered = !matches!(first, Sign::Equal | Sign::NotEqual | Sign::Approximate);
            if !ordered || rises(*first) != rises(*second) || matches!(second, Sign::Equal | Sign::NotEqual) {
                return None;
            }
            let (ends, closed) = ((low, high), (closed(*first), closed(*second)));
            let ((low, high), closed) =
                if rises(*first) { (ends, closed) } else { ((ends.1, ends.0), (closed.1, closed.0)) };
            Some(vec![Interval::new(low.clone(), high.clone(), closed)?])
        }
        ([left, right], [sign]) => {
            let (bound, sign) = if variable(left) {
                (right.clone(), *sign)
            } else if variable(right) {
                (left.clone(), sign.turned())
            } else {
                let (symbol, bound, falls) = linear(left, right)?;
                if name.is_some_and(|known| *known != Expression::Symbol(symbol)) {
                    return None;
                }
                (bound, if falls { sign.turned() } else { *sign })
            };
            let below = |closed| Interval::new(infinity().negated(), bound.clone(), (false, closed));
            let above = |closed| Interval::new(bound.clone(), infinity(), (closed, false));
            Some(match sign {
                Sign::Less | Sign::LessEqual => vec![below(closed(sign))?],
                Sign::Greater | Sign::GreaterEqual => vec![above(closed(sign))?],
                Sign::NotEqual => vec![below(false)?, above(false)?],
                Sign::Equal => vec![Interval::new(bound.clone(), bound.clone(), (true, true))?],
                Sign::Approximate => return None,
            })
        }
        _ => None,
    }
}

/// The variable, the bound, and whether the sign turns, of a linear inequality with rational coefficients.
fn linear(left: &Expression, right: &Expression) -> Option<(std::rc::Rc<str>, Expression, bool)> {
    if !(left.is_scalar() && right.is_scalar()) {
        return None;
    }
    let form = canonical(&left.difference(right), Convention::Real)?;
    let (mut slope, mut offset) = (None, whole(0));
    for (monomial, coefficient) in &form.polynomial_part()?.0 {
        match monomial.as_slice() {
            [] => offset = coefficient.clone(),
            [(Atom::Symbol(name), power)] if *power == whole(1) => {
                if slope.replace((name.clone(), coefficient.clone())).is_some() {
                    return None;
                }
            }
            _ => return None,
        }
    }
    let (name, slope) = slope?;
    Some((name, Expression::Number(-offset / &slope), negative(&slope)))
}

/// Sorted, with pieces that touch joined.
fn merged(mut pieces: Vec<Interval>) -> Vec<Interval> {
    pieces.sort_by(|a, b| a.ends.0.total_cmp(&b.ends.0).then(b.closed.0.cmp(&a.closed.0)));
    let mut out: Vec<Interval> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let Some(last) = out.last_mut() else {
            out.push(piece);
            continue;
        };
        let gap = piece.ends.0 - last.ends.1;
        let near = gap.abs() <= 1e-12 * last.ends.1.abs().max(1.0);
        if gap > 0.0 && !near || near && !(last.closed.1 || piece.closed.0) {
            out.push(piece);
        } else if piece.ends.1 > last.ends.1 || near && piece.ends.1 >= last.ends.1 && piece.closed.1 {
            last.high = piece.high;
            last.ends.1 = piece.ends.1;
            last.closed.1 = piece.closed.1;
        } else if piece.ends.1.total_cmp(&last.ends.1).is_eq() {
            last.closed.1 |= piece.closed.1;
        }
    }
    // Open at both ends around nothing.
    out.retain(|piece| piece.ends.0 < piece.ends.1 || piece.closed == (true, true));
    out
}
