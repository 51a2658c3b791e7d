//! Canonical form: a fraction of polynomials over variables, `π`, `e`, `i` and roots of primes, with exact
//! rational coefficients. Two expressions that have one are equal exactly when their forms are; what has none
//! (other functions, powers of sums to fractions) is left to evaluation.

use std::collections::BTreeMap;
use std::rc::Rc;

use num_traits::{One, Signed, Zero};

use super::expression::{Constant, Expression, Function};
use super::number::{self, Rational, capped, small, whole};

/// Terms of a polynomial.
const MOST_TERMS: usize = 200;
/// Products of terms in one canonical form.
const MOST_PRODUCTS: u32 = 20_000;
/// Largest whole power of a sum that is multiplied out.
const LARGEST_POWER: i64 = 40;

/// How roots of negative numbers are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Convention {
    /// Odd roots of negative numbers are real, as in school.
    Real,
    /// Principal values, as computer algebra has them.
    Principal,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Atom {
    /// A prime under a root: its exponent lies between nought and one.
    Prime(u64),
    Pi,
    E,
    I,
    Symbol(Rc<str>),
}

/// Atoms with their exponents, sorted, none of them nought.
type Monomial = Vec<(Atom, Rational)>;

/// Monomials with their coefficients, none of them nought.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Polynomial(pub(super) BTreeMap<Monomial, Rational>);

/// Numerator and denominator; the denominator is one unless it has several terms.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fraction {
    numerator: Polynomial,
    denominator: Polynomial,
}

/// The canonical form, if the expression has one within the limits.
pub(super) fn canonical(expression: &Expression, convention: Convention) -> Option<Fraction> {
    Form { convention, products: 0 }.of(expression)
}

/// Whether two forms are the same; `None` beyond the limits.
pub(super) fn same(a: &Fraction, b: &Fraction) -> Option<bool> {
    let (left, right) = crossed(a, b)?;
    Some(left == right)
}

/// How two forms relate.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Proportion {
    /// The first is this rational number, not nought, times the second.
    Factor(Rational),
    Different,
}

/// The proportion of two forms; `None` beyond the limits.
pub(super) fn proportion(a: &Fraction, b: &Fraction) -> Option<Proportion> {
    let (left, right) = crossed(a, b)?;
    let (left, right) = (left.0, right.0);
    if left.len() != right.len() {
        return Some(Proportion::Different);
    }
    let mut pairs = left.iter().zip(&right);
    let Some(((first, numerator), (other, denominator))) = pairs.next() else {
        return Some(Proportion::Different);
    };
    let factor = numerator / denominator;
    let proportional = first == other && pairs.all(|((a, x), (b, y))| a == b && *x == y * &factor);
    Some(if proportional { Proportion::Factor(factor) } else { Proportion::Different })
}

fn crossed(a: &Fraction, b: &Fraction) -> Option<(Polynomial, Polynomial)> {
    if a.denominator == b.denominator {
        return Some((a.numerator.clone(), b.numerator.clone()));
    }
    let mut form = Form { convention: Convention::Real, products: 0 };
    Some((form.times(&a.numerator, &b.denominator)?, form.times(&b.numerator, &a.denominator)?))
}

impl Polynomial {
    fn constant(value: Rational) -> Self {
        let mut terms = BTreeMap::new();
        if !value.is_zero() {
            terms.insert(Monomial::new(), value);
        }
        Self(terms)
    }

    fn atom(atom: Atom) -> Self {
        Self(BTreeMap::from([(vec![(atom, Rational::one())], Rational::one())]))
    }

    /// The only term.
    fn term(&self) -> Option<(&Monomial, &Rational)> {
        self.0.iter().next().filter(|_| self.0.len() == 1)
    }

    fn add(&mut self, monomial: Monomial, coefficient: Rational) -> Option<()> {
        let sum = self.0.remove(&monomial).unwrap_or_else(Rational::zero) + coefficient;
        if !sum.is_zero() {
            self.0.insert(monomial, capped(sum)?);
        }
        (self.0.len() <= MOST_TERMS).then_some(())
    }

    /// The value, when there are no atoms.
    pub(super) fn value(&self) -> Option<Rational> {
        match self.term() {
            None if self.0.is_empty() => Some(Rational::zero()),
            Some((monomial, coefficient)) if monomial.is_empty() => Some(coefficient.clone()),
            _ => None,
        }
    }
}

impl Fraction {
    fn polynomial(numerator: Polynomial) -> Self {
        Self { numerator, denominator: Polynomial::constant(Rational::one()) }
    }

    /// The value, when it is a rational number.
    pub(super) fn value(&self) -> Option<Rational> {
        self.polynomial_part()?.value()
    }

    /// The numerator, when there is no denominator.
    pub(super) fn polynomial_part(&self) -> Option<&Polynomial> {
        (self.denominator.value()? == Rational::one()).then_some(&self.numerator)
    }
}

struct Form {
    convention: Convention,
    products: u32,
}

impl Form {
    fn of(&mut self, expression: &Expression) -> Option<Fraction> {
        Some(match expression {
            Expression::Number(value) | Expression::Decimal { value, .. } => {
                Fraction::polynomial(Polynomial::constant(value.clone()))
            }
            Expression::Symbol(name) => Fraction::polynomial(Polynomial::atom(Atom::Symbol(name.clone()))),
            Expression::Constant(constant) => Fraction::polynomial(Polynomial::atom(match constant {
                Constant::Pi => Atom::Pi,
                Constant::E => Atom::E,
                Constant::I => Atom::I,
                Constant::Infinity => return None,
            })),
            Expression::Sum(terms) => {
                let mut sum = Fraction::polynomial(Polynomial::default());
                for term in terms {
                    let term = self.of(term)?;
                    sum = self.plus(&sum, &term)?;
                }
                sum
            }
            Expression::Product(factors) => {
                let mut product = Fraction::polynomial(Polynomial::constant(Rational::one()));
                for factor in factors {
                    let factor = self.of(factor)?;
                    product = self.multiplied(&product, &factor)?;
                }
                product
            }
            Expression::Power(base, exponent) => {
                let base = self.of(base)?;
                let exponent = self.of(exponent)?.value()?;
                self.power(&base, &exponent)?
            }
            Expression::Apply(Function::Root, arguments) => {
                let [radicand, degree] = arguments.as_slice() else { return None };
                let radicand = self.of(radicand)?;
                let degree = self.of(degree)?.value().filter(|d| d.is_integer() && !d.is_zero())?;
                self.power(&radicand, &degree.recip())?
            }
            Expression::Apply(function, arguments) => {
                let values: Vec<Rational> =
                    arguments.iter().map(|argument| self.of(argument)?.value()).collect::<Option<_>>()?;
                Fraction::polynomial(Polynomial::constant(applied(*function, &values)?))
            }
            Expression::Quantity(value, unit) => {
                let value = self.of(value)?;
                let factor = match &**unit {
                    "%" => Polynomial::constant(whole(100).recip()),
                    "°" => {
                        Polynomial(BTreeMap::from([(vec![(Atom::Pi, Rational::one())], whole(180).recip())]))
                    }
                    _ => return Some(value),
                };
                self.multiplied(&value, &Fraction::polynomial(factor))?
            }
            _ => return None,
        })
    }

    fn plus(&mut self, a: &Fraction, b: &Fraction) -> Option<Fraction> {
        let (mut sum, other, denominator) = if a.denominator == b.denominator {
            (a.numerator.clone(), b.numerator.clone(), a.denominator.clone())
        } else {
            let left = self.times(&a.numerator, &b.denominator)?;
            let right = self.times(&b.numerator, &a.denominator)?;
            (left, right, self.times(&a.denominator, &b.denominator)?)
        };
        for (monomial, coefficient) in other.0 {
            sum.add(monomial, coefficient)?;
        }
        self.fraction(sum, denominator)
    }

    fn multiplied(&mut self, a: &Fraction, b: &Fraction) -> Option<Fraction> {
        let numerator = self.times(&a.numerator, &b.numerator)?;
        let denominator = self.times(&a.denominator, &b.denominator)?;
        self.fraction(numerator, denominator)
    }

    /// Divides by a denominator of one term; one of nought has no form.
    fn fraction(&mut self, numerator: Polynomial, denominator: Polynomial) -> Option<Fraction> {
        if denominator.0.is_empty() {
            return None;
        }
        let Some((monomial, coefficient)) = denominator.term() else {
            return Some(Fraction { numerator, denominator });
        };
        if monomial.is_empty() && coefficient.is_one() {
            return Some(Fraction::polynomial(numerator));
        }
        let inverse = monomial.iter().map(|(atom, exponent)| (atom.clone(), -exponent)).collect();
        let mut inverted = Polynomial::default();
        let (monomial, coefficient) = reduced(inverse, coefficient.recip())?;
        inverted.add(monomial, coefficient)?;
        Some(Fraction::polynomial(self.times(&numerator, &inverted)?))
    }

    fn times(&mut self, a: &Polynomial, b: &Polynomial) -> Option<Polynomial> {
        let mut product = Polynomial::default();
        for (left, x) in &a.0 {
            for (right, y) in &b.0 {
                self.products += 1;
                if self.products > MOST_PRODUCTS {
                    return None;
                }
                let (monomial, coefficient) = reduced(joined(left, right), x * y)?;
                product.add(monomial, coefficient)?;
            }
        }
        Some(product)
    }

    fn power(&mut self, base: &Fraction, exponent: &Rational) -> Option<Fraction> {
        if !exponent.is_integer() {
            return root(base.polynomial_part()?, exponent, self.convention).map(Fraction::polynomial);
        }
        let exponent = small(exponent)?;
        if let Some(value) = base.value() {
            return Some(Fraction::polynomial(Polynomial::constant(number::power(&value, exponent)?)));
        }
        let single = base.polynomial_part().is_some_and(|p| p.0.len() == 1);
        if exponent.abs() > if single { 4096 } else { LARGEST_POWER } {
            return None;
        }
        let mut result = Fraction::polynomial(Polynomial::constant(Rational::one()));
        let mut square = base.clone();
        let mut rest = exponent.unsigned_abs();
        while rest > 0 {
            if rest % 2 == 1 {
                result = self.multiplied(&result, &square)?;
            }
            rest /= 2;
            if rest > 0 {
                square = self.multiplied(&square, &square)?;
            }
        }
        if exponent < 0 { self.fraction(result.denominator, result.numerator) } else { Some(result) }
    }
}

/// Functions of rational numbers with rational values.
fn applied(function: Function, values: &[Rational]) -> Option<Rational> {
    match (function, values) {
        (Function::Abs, [value]) => Some(value.abs()),
        (Function::Floor, [value]) => Some(value.floor()),
        (Function::Ceiling, [value]) => Some(value.ceil()),
        (Function::Factorial, [value]) => number::factorial(value),
        (Function::Binomial, [n, k]) => number::binomial(n, k),
        (Function::Gcd, [first, rest @ ..]) => {
            rest.iter().try_fold(first.clone(), |gcd, value| number::divisor(&gcd, value))
        }
        (Function::Lcm, [first, rest @ ..]) => {
            rest.iter().try_fold(first.clone(), |lcm, value| number::multiple(&lcm, value))
        }
        (Function::Max, values) => values.iter().max().cloned(),
        (Function::Min, values) => values.iter().min().cloned(),
        _ => None,
    }
}

fn joined(a: &Monomial, b: &Monomial) -> Monomial {
    let mut out = Monomial::with_capacity(a.len() + b.len());
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(x), Some(y)) = (left.peek(), right.peek()) {
        match x.0.cmp(&y.0) {
            std::cmp::Ordering::Less => out.extend(left.next().cloned()),
            std::cmp::Ordering::Greater => out.extend(right.next().cloned()),
            std::cmp::Ordering::Equal => {
                out.push((x.0.clone(), &x.1 + &y.1));
                left.next();
                right.next();
            }
        }
    }
    out.extend(left.cloned());
    out.extend(right.cloned());
    out
}

/// Takes whole powers of primes and of `i` into the coefficient.
fn reduced(monomial: Monomial, coefficient: Rational) -> Option<(Monomial, Rational)> {
    let mut coefficient = coefficient;
    let mut out = Monomial::with_capacity(monomial.len());
    for (atom, exponent) in monomial {
        let exponent = match &atom {
            Atom::Prime(prime) => {
                let floor = exponent.floor();
                coefficient *= number::power(&whole(*prime as i64), small(&floor)?)?;
                exponent - floor
            }
            Atom::I => {
                let turns = small(&exponent)?.rem_euclid(4);
                if turns >= 2 {
                    coefficient = -coefficient;
                }
                whole(turns % 2)
            }
            _ => capped(exponent)?,
        };
        if !exponent.is_zero() {
            out.push((atom, exponent));
        }
    }
    Some((out, capped(coefficient)?))
}

/// One term to a fractional power. Roots of products are split only where that is right for every value:
/// numbers, constants, and at most one variable to the first power.
fn root(base: &Polynomial, exponent: &Rational, convention: Convention) -> Option<Polynomial> {
    if base.0.is_empty() {
        return exponent.is_positive().then(Polynomial::default);
    }
    let (monomial, coefficient) = base.term()?;
    let mut atoms: BTreeMap<Atom, Rational> = BTreeMap::new();
    let mut symbols = 0;
    for (atom, power) in monomial {
        match atom {
            Atom::I => return None,
            Atom::Symbol(_) => {
                symbols += 1;
                if symbols > 1 || !power.is_one() {
                    return None;
                }
            }
            _ => {}
        }
        atoms.insert(atom.clone(), capped(power * exponent)?);
    }
    let mut value = Rational::one();
    if coefficient.is_negative() {
        let degree = exponent.denom();
        let odd = !(degree % 2_u32).is_zero();
        if symbols > 0 || (odd && convention == Convention::Principal) {
            return None;
        }
        if odd {
            if !(exponent.numer() % 2_i32).is_zero() {
                value = -value;
            }
        } else if *degree == 2.into() {
            atoms.insert(Atom::I, Rational::from_integer(exponent.numer().clone()));
        } else {
            return None;
        }
    }
    for (part, sign) in [(coefficient.numer(), 1), (coefficient.denom(), -1)] {
        for (prime, times) in number::primes(&part.abs())? {
            let power = atoms.entry(Atom::Prime(prime)).or_insert_with(Rational::zero);
            *power += exponent * whole(sign * i64::from(times));
        }
    }
    let (monomial, coefficient) = reduced(atoms.into_iter().collect(), value)?;
    let mut result = Polynomial::default();
    result.add(monomial, coefficient)?;
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::math::parser::parse;

    fn form(text: &str) -> Option<Fraction> {
        canonical(&parse(text).unwrap(), Convention::Real)
    }

    #[test]
    fn equal_values_have_equal_forms() {
        for (a, b) in [
            ("\\sqrt8", "2\\sqrt2"),
            ("\\frac{\\sqrt2}{2}", "\\frac{1}{\\sqrt{2}}"),
            ("(x+1)^2", "x^2+2x+1"),
            ("\\frac{x^2-1}{x-1}", "x+1"),
            ("\\sqrt[3]{-16}", "-2\\sqrt[3]{2}"),
            ("\\sqrt{-4}", "2i"),
            ("i^{27}", "-i"),
            ("\\frac{1}{1+i}", "\\frac{1-i}{2}"),
            ("\\frac{1}{\\sqrt3-\\sqrt2}", "\\sqrt3+\\sqrt2"),
            ("8^{2/3}", "4"),
            ("10!", "3628800"),
            ("\\sqrt{\\frac{3}{4}}", "\\frac{\\sqrt{3}}{2}"),
        ] {
            let (a, b) = (form(a).unwrap(), form(b).unwrap());
            assert_eq!(same(&a, &b), Some(true), "{a:?} {b:?}");
        }
    }

    #[test]
    fn forms_differ_or_are_missing_where_they_should() {
        let differ = |a: &str, b: &str| same(&form(a).unwrap(), &form(b).unwrap()) == Some(false);
        assert!(differ("\\sqrt2+\\sqrt3", "\\sqrt5") && differ("\\pi", "3.14159265358979"));
        assert!(differ("10^{20}+1", "10^{20}"));
        for text in ["\\sqrt{x^2}", "\\sin x", "\\infty", "x^y", "2^{100000}", "(a+b+c+d)^{40}", "1/0"] {
            assert_eq!(form(text), None, "{text}");
        }
        let ratio = |a: &str, b: &str| proportion(&form(a).unwrap(), &form(b).unwrap());
        assert_eq!(ratio("2x+4y", "-x-2y"), Some(Proportion::Factor(whole(-2))));
        assert_eq!(ratio("2x+4y", "x-2y"), Some(Proportion::Different));
    }
}
