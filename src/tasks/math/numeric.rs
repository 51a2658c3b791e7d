//! Evaluation at fixed points, for what canonical form cannot decide.

use super::canonical::Convention;
use super::expression::{Constant, Expression, Function};
use super::number::double;
use crate::gym::rng::{hash_text, mix};

/// Points at which expressions with variables are compared.
const POINTS: u64 = 5;
/// Points at which both sides must have a value.
const FEWEST: usize = 2;
/// Relative difference that rounding may cause.
const TOLERANCE: f64 = 1e-9;

/// A complex number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Complex {
    pub(super) re: f64,
    pub(super) im: f64,
}

impl Complex {
    const ONE: Self = Self::real(1.0);

    const fn real(re: f64) -> Self {
        Self { re, im: 0.0 }
    }

    fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    fn scaled(self, by: f64) -> Self {
        Self { re: self.re * by, im: self.im * by }
    }

    fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn over(self, other: Self) -> Self {
        let size = other.re * other.re + other.im * other.im;
        self.times(Self { re: other.re / size, im: -other.im / size })
    }

    fn size(self) -> f64 {
        self.re.hypot(self.im)
    }

    fn exp(self) -> Self {
        let size = self.re.exp();
        if self.im == 0.0 {
            return Self::real(size);
        }
        Self { re: size * self.im.cos(), im: size * self.im.sin() }
    }

    fn ln(self) -> Self {
        Self { re: self.size().ln(), im: self.im.atan2(self.re) }
    }

    fn sqrt(self) -> Self {
        if self.im == 0.0 {
            let root = self.re.abs().sqrt();
            return if self.re < 0.0 { Self { re: 0.0, im: root } } else { Self::real(root) };
        }
        self.ln().scaled(0.5).exp()
    }

    fn sin(self) -> Self {
        Self { re: self.re.sin() * self.im.cosh(), im: self.re.cos() * self.im.sinh() }
    }

    fn cos(self) -> Self {
        Self { re: self.re.cos() * self.im.cosh(), im: -self.re.sin() * self.im.sinh() }
    }

    /// Multiplied by `i`.
    fn turned(self) -> Self {
        Self { re: -self.im, im: self.re }
    }

    fn finite(self) -> Option<Self> {
        (self.re.is_finite() && self.im.is_finite()).then_some(self)
    }
}

/// Values of all variables, and the largest number met on the way.
struct Point {
    index: u64,
    convention: Convention,
    scale: f64,
}

/// The value of an expression without variables; `None` when it has none, or it is not finite.
pub(super) fn constant(expression: &Expression, convention: Convention) -> Option<Complex> {
    Point { index: 0, convention, scale: 1.0 }.evaluate(expression)
}

/// The real value of an expression without variables; infinite for `±∞`.
pub(super) fn real(expression: &Expression) -> Option<f64> {
    if let Some(sign) = infinite(expression) {
        return Some(sign * f64::INFINITY);
    }
    if !expression.is_constant() {
        return None;
    }
    constant(expression, Convention::Real)
        .filter(|v| v.im.abs() <= TOLERANCE * v.re.abs().max(1.0))
        .map(|v| v.re)
}

/// 1 for `∞` and -1 for `-∞`.
pub(super) fn infinite(expression: &Expression) -> Option<f64> {
    match expression {
        Expression::Constant(Constant::Infinity) => Some(1.0),
        Expression::Product(factors) => match factors.as_slice() {
            [Expression::Number(sign), Expression::Constant(Constant::Infinity)] => {
                Some(double(sign).signum())
            }
            _ => None,
        },
        Expression::Sum(terms) if terms.len() == 1 => infinite(&terms[0]),
        _ => None,
    }
}

/// Whether two expressions have the same value wherever both have one, as far as fixed points can tell.
pub(super) fn same(a: &Expression, b: &Expression, convention: Convention) -> bool {
    let constant = a.is_constant() && b.is_constant();
    let mut met = 0;
    for index in 0..if constant { 1 } else { POINTS } {
        let mut point = Point { index, convention, scale: 1.0 };
        let (x, y) = (point.evaluate(a), point.evaluate(b));
        match (x, y) {
            (Some(x), Some(y)) => {
                let difference = x.plus(y.scaled(-1.0)).size();
                let size = x.size().max(y.size());
                if difference > TOLERANCE * size && difference > 1e-14 * point.scale {
                    return false;
                }
                met += 1;
            }
            // One of the two is not defined where the other is.
            (None, None) => {}
            _ if constant => return false,
            _ => {}
        }
    }
    met >= if constant { 1 } else { FEWEST }
}

/// The factor `k` in `a = k b` when it is the same real number at every point.
pub(super) fn factor(a: &Expression, b: &Expression) -> Option<f64> {
    let mut factors = (0..POINTS).filter_map(|index| {
        let mut point = Point { index, convention: Convention::Real, scale: 1.0 };
        let (x, y) = (point.evaluate(a)?, point.evaluate(b)?);
        x.over(y).finite()
    });
    let first = factors.next().filter(|k| k.im.abs() <= TOLERANCE * k.re.abs() && k.re != 0.0)?;
    let mut met = 1;
    for other in factors {
        if other.plus(first.scaled(-1.0)).size() > TOLERANCE * first.size() {
            return None;
        }
        met += 1;
    }
    (met > FEWEST).then_some(first.re)
}

impl Point {
    /// A variable's value: fixed by its name and the point, of either sign, away from nought.
    fn variable(&self, name: &str) -> Complex {
        let draw = |salt: u64| {
            (mix(hash_text(name) ^ mix(self.index * 16 + salt)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let size = 0.4 + 2.2 * draw(1);
        // The first point is positive in all variables, the second negative, the others as they fall.
        let sign = match self.index {
            0 => 1.0,
            1 => -1.0,
            _ => (draw(2) - 0.4).signum(),
        };
        match self.convention {
            Convention::Real => Complex::real(sign * size),
            Convention::Principal => Complex { re: sign * size, im: 2.0 * draw(3) - 1.0 },
        }
    }

    fn evaluate(&mut self, expression: &Expression) -> Option<Complex> {
        let value = match expression {
            Expression::Number(value) | Expression::Decimal { value, .. } => Complex::real(double(value)),
            Expression::Symbol(name) => self.variable(name),
            Expression::Constant(constant) => match constant {
                Constant::Pi => Complex::real(std::f64::consts::PI),
                Constant::E => Complex::real(std::f64::consts::E),
                Constant::I => Complex { re: 0.0, im: 1.0 },
                Constant::Infinity => return None,
            },
            Expression::Sum(terms) => {
                let mut sum = Complex::real(0.0);
                for term in terms {
                    sum = sum.plus(self.evaluate(term)?);
                }
                sum
            }
            Expression::Product(factors) => {
                let mut product = Complex::ONE;
                for factor in factors {
                    product = product.times(self.evaluate(factor)?);
                }
                product
            }
            Expression::Power(base, exponent) => {
                let base = self.evaluate(base)?;
                let value = self.evaluate(exponent)?;
                self.power(base, value, exponent)?
            }
            Expression::Apply(function, arguments) => {
                let values: Vec<Complex> =
                    arguments.iter().map(|argument| self.evaluate(argument)).collect::<Option<_>>()?;
                self.apply(*function, &values)?
            }
            Expression::Unknown(name, arguments) => {
                let mut mixed = Complex::real(1.0 + hash_text(name) as f64 / u64::MAX as f64);
                for (place, argument) in arguments.iter().enumerate() {
                    let value = self.evaluate(argument)?;
                    mixed = mixed.plus(value.scaled(0.3 + 0.2 * place as f64).sin()).scaled(1.1);
                }
                mixed
            }
            Expression::Quantity(value, unit) => {
                let value = self.evaluate(value)?;
                match &**unit {
                    "%" => value.scaled(0.01),
                    "°" => value.scaled(std::f64::consts::PI / 180.0),
                    _ => value,
                }
            }
            _ => return None,
        };
        let value = value.finite()?;
        self.scale = self.scale.max(value.size());
        Some(value)
    }

    fn power(&self, base: Complex, exponent: Complex, written: &Expression) -> Option<Complex> {
        if exponent.im == 0.0 && exponent.re.fract() == 0.0 && exponent.re.abs() <= 64.0 {
            let mut result = Complex::ONE;
            for _ in 0..exponent.re.abs() as u32 {
                result = result.times(base);
            }
            return if exponent.re < 0.0 { Complex::ONE.over(result).finite() } else { Some(result) };
        }
        if base.im == 0.0 && exponent.im == 0.0 {
            if base.re >= 0.0 {
                return Complex::real(base.re.powf(exponent.re)).finite();
            }
            if self.convention == Convention::Real
                && let Some(value) =
                    super::canonical::canonical(written, Convention::Real).and_then(|f| f.value())
                && value.denom() % 2_u32 != 0_u32.into()
            {
                let size = (-base.re).powf(exponent.re);
                let even = value.numer() % 2_i32 == 0.into();
                return Complex::real(if even { size } else { -size }).finite();
            }
        }
        if base.size() == 0.0 {
            return (exponent.re > 0.0).then_some(Complex::real(0.0));
        }
        base.ln().times(exponent).exp().finite()
    }

    fn apply(&self, function: Function, values: &[Complex]) -> Option<Complex> {
        let reals = || values.iter().map(|v| (v.im == 0.0).then_some(v.re)).collect::<Option<Vec<f64>>>();
        match (function, values) {
            (Function::Root, [radicand, degree]) => {
                if (degree.re - 2.0).abs() + degree.im.abs() < f64::EPSILON {
                    return Some(radicand.sqrt());
                }
                let odd = degree.im == 0.0 && degree.re.fract() == 0.0 && degree.re % 2.0 != 0.0;
                if self.convention == Convention::Real && odd && radicand.im == 0.0 {
                    let size = radicand.re.abs().powf(1.0 / degree.re);
                    return Complex::real(size * radicand.re.signum()).finite();
                }
                if radicand.size() == 0.0 {
                    return Some(Complex::real(0.0));
                }
                radicand.ln().times(Complex::ONE.over(*degree)).exp().finite()
            }
            (Function::Log, [value]) => value.ln().finite(),
            (Function::Log, [value, base]) => value.ln().over(base.ln()).finite(),
            (Function::Max, _) => Some(Complex::real(reals()?.into_iter().fold(f64::NEG_INFINITY, f64::max))),
            (Function::Min, _) => Some(Complex::real(reals()?.into_iter().fold(f64::INFINITY, f64::min))),
            (Function::Floor, [_]) => Some(Complex::real(reals()?.first()?.floor())),
            (Function::Ceiling, [_]) => Some(Complex::real(reals()?.first()?.ceil())),
            (Function::Abs, [value]) => Some(Complex::real(value.size())),
            // A function of these arguments and no other: equal where they are.
            (Function::Factorial | Function::Binomial | Function::Gcd | Function::Lcm, _) => {
                let mut mixed = Complex::real(2.0 + f64::from(function as u8));
                for (place, value) in values.iter().enumerate() {
                    mixed =
                        mixed.times(value.scaled(0.7 + 0.2 * place as f64).sin().plus(Complex::real(3.0)));
                }
                Some(mixed)
            }
            (_, [value]) => elementary(function, *value)?.finite(),
            _ => None,
        }
    }
}

fn elementary(function: Function, z: Complex) -> Option<Complex> {
    let one = Complex::ONE;
    let minus_i = Complex { re: 0.0, im: -1.0 };
    // Poles come out as huge numbers.
    let over = |a: Complex, b: Complex| (b.size() > 1e-12).then(|| a.over(b));
    match function {
        Function::Sin => Some(z.sin()),
        Function::Cos => Some(z.cos()),
        Function::Tan => over(z.sin(), z.cos()),
        Function::Csc => over(one, z.sin()),
        Function::Sec => over(one, z.cos()),
        Function::Cot => over(z.cos(), z.sin()),
        Function::Arcsin if z.im == 0.0 && z.re.abs() <= 1.0 => Some(Complex::real(z.re.asin())),
        Function::Arccos if z.im == 0.0 && z.re.abs() <= 1.0 => Some(Complex::real(z.re.acos())),
        Function::Arctan if z.im == 0.0 => Some(Complex::real(z.re.atan())),
        Function::Arcsin => {
            let root = one.plus(z.times(z).scaled(-1.0)).sqrt();
            Some(z.turned().plus(root).ln().times(minus_i))
        }
        Function::Arccos => {
            let arcsin = elementary(Function::Arcsin, z)?;
            Some(Complex::real(std::f64::consts::FRAC_PI_2).plus(arcsin.scaled(-1.0)))
        }
        Function::Arctan => {
            let upper = one.plus(z.turned().scaled(-1.0)).ln();
            let lower = one.plus(z.turned()).ln();
            Some(upper.plus(lower.scaled(-1.0)).turned().scaled(0.5))
        }
        // The hyperbolic ones are the circular ones turned.
        Function::Sinh => Some(z.turned().sin().times(minus_i)),
        Function::Cosh => Some(z.turned().cos()),
        Function::Tanh => over(z.turned().sin().times(minus_i), z.turned().cos()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::math::parser::parse;

    fn agree(a: &str, b: &str) -> bool {
        same(&parse(a).unwrap(), &parse(b).unwrap(), Convention::Real)
    }

    #[test]
    fn identities_hold_and_others_do_not() {
        for (a, b) in [
            ("\\sin^2 x+\\cos^2 x", "1"),
            ("\\tan^2(y)+1", "\\sec^2(y)"),
            ("\\sin 2x", "2\\sin x\\cos x"),
            ("\\log_2 8", "3"),
            ("\\ln e^2", "2"),
            ("\\sqrt{x^2}", "|x|"),
            ("\\cos\\frac{\\pi}{3}", "\\frac12"),
            ("\\sin 30^\\circ", "1/2"),
            ("\\arctan 1", "\\pi/4"),
            ("\\sqrt{3+2\\sqrt2}", "1+\\sqrt2"),
            ("\\sinh x", "\\frac{e^x-e^{-x}}{2}"),
            ("f(x+1)", "f(1+x)"),
            ("\\sqrt[3]{x}^2", "x^{2/3}"),
            ("(n+1)!", "(1+n)!"),
        ] {
            assert!(agree(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("\\sqrt{x^2}", "x"),
            ("\\sin x", "x"),
            ("f(x)", "g(x)"),
            ("f(1)", "f(2)"),
            ("\\frac{1+\\sqrt5}{2}", "2"),
            ("e^{\\pi}", "23.14"),
            ("n!", "n"),
        ] {
            assert!(!agree(a, b), "{a} {b}");
        }
        assert_eq!(infinite(&parse("-\\infty").unwrap()), Some(-1.0));
        let half = factor(&parse("\\sin x").unwrap(), &parse("-2\\sin x").unwrap()).unwrap();
        assert!((half + 0.5).abs() < 1e-12);
    }
}
