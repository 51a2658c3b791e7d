//! Exact rational numbers with a cap on their size: what grows beyond it has no value, so that no answer
//! can make the judge work for long.

use num_bigint::{BigInt, BigUint};
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// An exact number.
pub(super) type Rational = BigRational;

/// Bits of a numerator or denominator.
const MOST_BITS: u64 = 4096;
/// Digits of a number as written.
const MOST_DIGITS: usize = 400;
/// Largest `n` of an exact `n!`; its result stays below [`MOST_BITS`].
const LARGEST_FACTORIAL: u64 = 400;
/// Largest divisor tried when a radicand is split into primes; its square bounds what is recognised.
const LARGEST_TRIED: u64 = 10_000;

pub(super) fn whole(value: i64) -> Rational {
    Rational::from_integer(BigInt::from(value))
}

/// `numerator / denominator`; `None` for a denominator of nought.
pub(super) fn ratio(numerator: i64, denominator: i64) -> Option<Rational> {
    (denominator != 0).then(|| Rational::new(BigInt::from(numerator), BigInt::from(denominator)))
}

/// The number, unless it is too large to go on with.
pub(super) fn capped(value: Rational) -> Option<Rational> {
    (value.numer().bits() <= MOST_BITS && value.denom().bits() <= MOST_BITS).then_some(value)
}

/// Digits with at most one decimal point.
pub(super) fn decimal(text: &str) -> Option<Rational> {
    if text.len() > MOST_DIGITS {
        return None;
    }
    let (integer, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{integer}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let numerator = BigInt::parse_bytes(digits.as_bytes(), 10)?;
    if fraction.is_empty() {
        return Some(Rational::from_integer(numerator));
    }
    Some(Rational::new(numerator, BigInt::from(10).pow(fraction.len() as u32)))
}

/// `base` to a whole power; `None` when the result is too large or nought is inverted.
pub(super) fn power(base: &Rational, exponent: i64) -> Option<Rational> {
    if base.is_one() || exponent == 0 {
        return Some(Rational::one());
    }
    if base.is_zero() {
        return (exponent > 0).then(Rational::zero);
    }
    let bits = base.numer().bits().max(base.denom().bits());
    let size = exponent.unsigned_abs();
    if size > MOST_BITS || bits.saturating_sub(1).saturating_mul(size) > MOST_BITS {
        return None;
    }
    let size = size as u32;
    let raised = Rational::new_raw(base.numer().pow(size), base.denom().pow(size));
    Some(if exponent < 0 { raised.recip() } else { raised })
}

/// A whole number that fits into 64 bits.
pub(super) fn small(value: &Rational) -> Option<i64> {
    if value.is_integer() { value.numer().to_i64() } else { None }
}

/// The nearest double, infinite when there is none.
pub(super) fn double(value: &Rational) -> f64 {
    value.to_f64().unwrap_or(f64::NAN)
}

/// `n!`.
pub(super) fn factorial(n: &Rational) -> Option<Rational> {
    let n = u64::try_from(small(n)?).ok().filter(|n| *n <= LARGEST_FACTORIAL)?;
    let product = (2..=n).fold(BigUint::one(), |product, k| product * k);
    Some(Rational::from_integer(product.into()))
}

/// `n` over `k` for whole `0 <= k`, `0 <= n`.
pub(super) fn binomial(n: &Rational, k: &Rational) -> Option<Rational> {
    let (n, k) = (u64::try_from(small(n)?).ok()?, u64::try_from(small(k)?).ok()?);
    if k > n {
        return Some(Rational::zero());
    }
    let k = k.min(n - k);
    if k > LARGEST_FACTORIAL || n > 1 << 32 {
        return None;
    }
    let result = (0..k).fold(BigUint::one(), |result, i| result * (n - i) / (i + 1));
    capped(Rational::from_integer(result.into()))
}

/// Greatest common divisor or least common multiple of whole numbers.
pub(super) fn divisor(a: &Rational, b: &Rational) -> Option<Rational> {
    (a.is_integer() && b.is_integer()).then(|| Rational::from_integer(a.numer().gcd(b.numer())))
}

/// See [`divisor`].
pub(super) fn multiple(a: &Rational, b: &Rational) -> Option<Rational> {
    if !(a.is_integer() && b.is_integer()) {
        return None;
    }
    capped(Rational::from_integer(a.numer().lcm(b.numer())))
}

/// Prime factors of a positive whole number with their multiplicity; `None` when one of them is too large
/// to be found quickly.
pub(super) fn primes(number: &BigInt) -> Option<Vec<(u64, u32)>> {
    let mut rest = number.to_u64().filter(|n| *n > 0)?;
    let mut found = Vec::new();
    let mut divisor = 2;
    while divisor * divisor <= rest {
        if divisor > LARGEST_TRIED {
            return None;
        }
        let mut times = 0;
        while rest.is_multiple_of(divisor) {
            rest /= divisor;
            times += 1;
        }
        if times > 0 {
            found.push((divisor, times));
        }
        divisor += if divisor == 2 { 1 } else { 2 };
    }
    if rest > 1 {
        found.push((rest, 1));
    }
    Some(found)
}

/// Whether `short`, a decimal with `places` behind its point, is `exact` rounded or cut off there.
pub(super) fn rounds_to(exact: f64, short: f64, places: u32) -> bool {
    (exact - short).abs() <= 10_f64.powi(-(places.min(300) as i32)) * (1.0 + 1e-9)
}

/// The sign, for ordering.
pub(super) fn negative(value: &Rational) -> bool {
    value.is_negative()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_within_the_cap_and_nothing_beyond() {
        assert_eq!(decimal("12.50"), ratio(25, 2));
        assert_eq!((decimal(""), decimal("1.2.3"), decimal("x")), (None, None, None));
        assert_eq!(power(&whole(2), -10), ratio(1, 1024));
        assert_eq!((power(&whole(2), 100_000), power(&whole(0), -1)), (None, None));
        assert_eq!(factorial(&whole(10)), Some(whole(3_628_800)));
        assert_eq!((factorial(&whole(401)), factorial(&whole(-1))), (None, None));
        assert_eq!(binomial(&whole(5), &whole(2)), Some(whole(10)));
        assert_eq!(binomial(&whole(1), &whole(2)), Some(whole(0)));
        assert_eq!(primes(&BigInt::from(360)), Some(vec![(2, 3), (3, 2), (5, 1)]));
        assert_eq!(primes(&BigInt::from(u64::MAX - 58)), None);
    }
}
