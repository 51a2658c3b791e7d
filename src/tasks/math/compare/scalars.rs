//! Values and values with units.

use super::Comparison;
use crate::tasks::math::canonical::{Convention, canonical, same};
use crate::tasks::math::expression::{Constant, Expression};
use crate::tasks::math::number::{Rational, rounds_to, whole};
use crate::tasks::math::numeric;
use crate::tasks::math::units::{MODULO, is_percent, unit};

impl Comparison {
    /// A unit on one side only says nothing, except that a percentage may also be written as a ratio and
    /// degrees as radians. Units on both sides must measure the same thing and are converted.
    pub(super) fn quantities(&mut self, a: &Expression, b: &Expression) -> bool {
        match (measured(a), measured(b)) {
            (None, None) => self.values(a, b),
            (Some((value, name)), None) => self.bare(&value, &name, b),
            (None, Some((value, name))) => self.bare(&value, &name, a),
            (Some((a, name)), Some((b, other))) => {
                if name == other || is_percent(&name) && is_percent(&other) {
                    return self.values(&a, &b);
                }
                if [&name, &other].into_iter().any(|unit| is_percent(unit) || unit.starts_with(MODULO)) {
                    return false;
                }
                match (unit(&name), unit(&other)) {
                    (Some(left), Some(right)) => {
                        let converted = |value: Expression, factor: &Rational| {
                            Expression::Product(vec![value, Expression::Number(factor.clone())])
                        };
                        left.measures_like(&right)
                            && if left.factor == right.factor {
                                self.values(&a, &b)
                            } else {
                                self.values(&converted(a, &left.factor), &converted(b, &right.factor))
                            }
                    }
                    _ => self.values(&a, &b),
                }
            }
        }
    }

    fn bare(&mut self, value: &Expression, unit: &str, other: &Expression) -> bool {
        if self.values(value, other) {
            return true;
        }
        // `500 cm` against `5 m`: a unit of one letter looks like a variable.
        if let Expression::Product(factors) = other
            && let [number, Expression::Symbol(letter)] = factors.as_slice()
            && number.is_constant()
            && crate::tasks::math::units::unit(letter).is_some()
        {
            let other = Expression::Quantity(Box::new(number.clone()), letter.clone());
            return self.quantities(&Expression::Quantity(Box::new(value.clone()), unit.into()), &other);
        }
        let factor = match unit {
            _ if is_percent(unit) => Expression::Number(whole(100).recip()),
            "°" => Expression::Product(vec![
                Expression::Constant(Constant::Pi),
                Expression::Number(whole(180).recip()),
            ]),
            _ => return false,
        };
        self.values(&Expression::Product(vec![value.clone(), factor]), other)
    }

    /// Whether two values are the same: exactly where that can be decided, else at fixed points.
    pub(super) fn values(&mut self, a: &Expression, b: &Expression) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        if let (Some(x), Some(y)) = (a.number(), b.number()) {
            return x == y;
        }
        if let (Some(x), Some(y)) = (numeric::infinite(a), numeric::infinite(b)) {
            return x.total_cmp(&y).is_eq();
        }
        let decided = canonical(a, Convention::Real)
            .zip(canonical(b, Convention::Real))
            .and_then(|(x, y)| same(&x, &y));
        decided.unwrap_or_else(|| numeric::same(a, b, Convention::Real))
            || self.rounded(a, b)
            || self.rounded(b, a)
    }

    /// Whether `short` is a decimal with enough digits that rounds or cuts off the value `exact`, which no
    /// decimal can give in full.
    fn rounded(&self, exact: &Expression, short: &Expression) -> bool {
        let Expression::Decimal { value, places, significant } = short else { return false };
        if *places < self.rules.digits || *significant < self.rules.digits || !exact.is_constant() {
            return false;
        }
        let ends = exact.number().is_some_and(terminates)
            || canonical(exact, Convention::Real)
                .and_then(|form| form.value())
                .as_ref()
                .is_some_and(terminates);
        !ends
            && numeric::real(exact)
                .is_some_and(|exact| rounds_to(exact, crate::tasks::math::number::double(value), *places))
    }
}

/// Whether a number has a last decimal: its denominator holds only twos and fives.
fn terminates(value: &Rational) -> bool {
    let mut rest = value.denom().clone();
    for prime in [2_u32, 5] {
        while (&rest % prime) == 0_u32.into() {
            rest /= prime;
        }
    }
    rest == 1_u32.into()
}

/// The value and its unit; a sum of quantities in one unit is a quantity.
fn measured(expression: &Expression) -> Option<(Expression, String)> {
    match expression {
        Expression::Quantity(value, unit) => match measured(value) {
            // `90° C`, or a percentage with a word behind it.
            Some((inner, name)) => {
                let scale = matches!(&**unit, "C" | "F");
                Some((inner, if scale { format!("{name}{unit}") } else { name }))
            }
            None => Some(((**value).clone(), unit.to_string())),
        },
        Expression::Sum(terms) => {
            let mut values = Vec::with_capacity(terms.len());
            let mut common = None;
            for term in terms {
                let (value, name) = measured(term)?;
                if common.get_or_insert_with(|| name.clone()) != &name {
                    return None;
                }
                values.push(value);
            }
            Some((Expression::Sum(values), common?))
        }
        _ => None,
    }
}
