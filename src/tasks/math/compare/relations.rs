//! Equations and inequalities.

use super::Comparison;
use crate::tasks::math::canonical::{Convention, Proportion, canonical, proportion};
use crate::tasks::math::expression::{Expression, Sign};
use crate::tasks::math::number::negative;
use crate::tasks::math::numeric;

/// The name and the value, when a chain of equations gives something a value: `x = 5`, `5 = x`,
/// `(a, b) = (1, 2)`, `f(x) = x + 1`, `x = 2 + 3 = 5`, or a calculation `2 + 3 = 5`. What is only approximate
/// is left out: `x = 1/3 ≈ 0.33` gives a third, but `x ≈ 11` gives 11.
pub(super) fn assigned(relation: &Expression) -> Option<(&Expression, &Expression)> {
    let Expression::Relation(sides, signs) = relation else { return None };
    if !signs.iter().all(|sign| matches!(sign, Sign::Equal | Sign::Approximate)) {
        return None;
    }
    let exact = signs.iter().take_while(|sign| **sign == Sign::Equal).count();
    let sides = &sides[..=exact.max(1).min(sides.len() - 1)];
    let (last, before) = sides.split_last()?;
    if let Some(name) = before.iter().find(|side| is_name(side)) {
        return Some((name, last));
    }
    let first = before.first()?;
    if is_name(last) && first.is_constant() {
        return Some((last, first));
    }
    (before.len() > 1 || first.is_constant() && last.is_constant()).then_some((first, last))
}

/// Something that a value is given to.
fn is_name(side: &Expression) -> bool {
    match side {
        Expression::Symbol(_) => true,
        Expression::Unknown(_, arguments) => {
            arguments.iter().all(|argument| matches!(argument, Expression::Symbol(_) | Expression::Number(_)))
        }
        Expression::Tuple(items, ..) => items.iter().all(is_name),
        _ => false,
    }
}

impl Comparison {
    pub(super) fn relations(&mut self, a: &Expression, b: &Expression) -> bool {
        let (Expression::Relation(sides, signs), Expression::Relation(others, other_signs)) = (a, b) else {
            return false;
        };
        if let (Some((name, value)), Some((other, also))) = (assigned(a), assigned(b)) {
            let named = name == other
                || matches!(name, Expression::Unknown(..))
                || matches!(other, Expression::Unknown(..));
            if named {
                let same = self.same(value, also);
                // Two equations in two variables may still say the same.
                if same || value.is_constant() && also.is_constant() {
                    return same;
                }
            }
        }
        if let ([left, right], [sign], [other_left, other_right], [other]) =
            (sides.as_slice(), signs.as_slice(), others.as_slice(), other_signs.as_slice())
        {
            return self.proportional((left, *sign, right), (other_left, *other, other_right));
        }
        let turned: Vec<Sign> = other_signs.iter().rev().map(|sign| sign.turned()).collect();
        let backwards: Vec<Expression> = others.iter().rev().cloned().collect();
        (signs == other_signs && self.in_order(sides, others))
            || (*signs == turned && self.in_order(sides, &backwards))
            || self.intervals(a, b)
    }

    /// Whether two relations say the same: their differences agree up to a factor, which for an inequality is
    /// positive or turns the sign.
    fn proportional(
        &mut self,
        (left, sign, right): (&Expression, Sign, &Expression),
        (other_left, other_sign, other_right): (&Expression, Sign, &Expression),
    ) -> bool {
        if !(left.is_scalar() && right.is_scalar() && other_left.is_scalar() && other_right.is_scalar()) {
            return (sign == other_sign && self.same(left, other_left) && self.same(right, other_right))
                || (sign == other_sign.turned()
                    && self.same(left, other_right)
                    && self.same(right, other_left));
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let (a, b) = (left.difference(right), other_left.difference(other_right));
        let exact = canonical(&a, Convention::Real).zip(canonical(&b, Convention::Real));
        let falls = match exact.and_then(|(a, b)| proportion(&a, &b)) {
            Some(Proportion::Factor(factor)) => negative(&factor),
            Some(Proportion::Different) => return false,
            None => match numeric::factor(&a, &b) {
                Some(factor) => factor < 0.0,
                None => return false,
            },
        };
        sign == if falls { other_sign.turned() } else { other_sign }
    }
}
