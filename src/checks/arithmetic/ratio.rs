//! Exact fractions of 128-bit numbers; every operation that would overflow gives nothing.

use std::fmt;

/// A fraction in lowest terms with a positive denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ratio {
    above: i128,
    below: i128,
}

fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl Ratio {
    pub(super) fn new(above: i128, below: i128) -> Option<Self> {
        if below == 0 || above == i128::MIN || below == i128::MIN {
            return None;
        }
        let common = greatest_common_divisor(above.unsigned_abs(), below.unsigned_abs()).max(1);
        let sign = below.signum();
        let common = i128::try_from(common).ok()?;
        Some(Self { above: sign * above / common, below: sign * below / common })
    }

    pub(super) fn add(self, other: Self) -> Option<Self> {
        let left = self.above.checked_mul(other.below)?;
        let right = other.above.checked_mul(self.below)?;
        Self::new(left.checked_add(right)?, self.below.checked_mul(other.below)?)
    }

    pub(super) fn negated(self) -> Self {
        Self { above: -self.above, below: self.below }
    }

    pub(super) fn times(self, other: Self) -> Option<Self> {
        Self::new(self.above.checked_mul(other.above)?, self.below.checked_mul(other.below)?)
    }

    pub(super) fn over(self, other: Self) -> Option<Self> {
        Self::new(self.above.checked_mul(other.below)?, self.below.checked_mul(other.above)?)
    }

    /// To a whole exponent of at most 64 in size.
    pub(super) fn power(self, exponent: Self) -> Option<Self> {
        let size = exponent.whole()?;
        if size.unsigned_abs() > 64 {
            return None;
        }
        let mut product = Self { above: 1, below: 1 };
        for _ in 0..size.unsigned_abs() {
            product = product.times(self)?;
        }
        if size < 0 { Self { above: 1, below: 1 }.over(product) } else { Some(product) }
    }

    /// The whole number it is.
    pub(super) fn whole(self) -> Option<i128> {
        (self.below == 1).then_some(self.above)
    }

    /// Reads `7`, `-1,024`, `3.50`, `3/4` or `\frac{3}{4}`, in dollars or not; with the number of digits
    /// behind the point.
    pub(super) fn read(text: &str) -> Option<(Self, u32)> {
        let plain: String = text.chars().filter(|c| !matches!(c, '$' | ' ')).collect();
        let plain = plain.trim_end_matches('.').replace('−', "-");
        let fraction = plain.strip_prefix("\\frac{").and_then(|rest| rest.strip_suffix('}'));
        if let Some((above, below)) =
            fraction.and_then(|rest| rest.split_once("}{")).or(plain.split_once('/'))
        {
            return Some((decimal(above)?.0.over(decimal(below)?.0)?, 0));
        }
        decimal(&plain)
    }

    /// Whether it is `value` rounded to so many digits behind the point.
    pub(super) fn rounds(self, value: Self, digits: u32) -> Option<bool> {
        let twice_unit = 10_i128.checked_pow(digits)?.checked_mul(2)?;
        let difference = self.add(value.negated())?;
        let scaled = difference.above.checked_abs()?.checked_mul(twice_unit)?;
        Some(scaled <= difference.below)
    }
}

/// A whole or decimal number, with the number of digits behind the point.
fn decimal(text: &str) -> Option<(Ratio, u32)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.replace(',', "");
    let digits = format!("{whole}{part}");
    if digits.is_empty() || digits.len() > 30 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count = part.len() as u32;
    let value = Ratio::new(digits.parse().ok()?, 10_i128.checked_pow(count)?)?;
    Some((if negative { value.negated() } else { value }, count))
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.below {
            1 => write!(f, "{}", self.above),
            below => write!(f, "{}/{below}", self.above),
        }
    }
}
