//! Numbers: decimals, periods, mixed numbers, digits in other bases.

use super::Parser;
use super::atom::FRACTIONS;
use super::scalar::counting;
use crate::tasks::math::expression::Expression;
use crate::tasks::math::lexer::Token;
use crate::tasks::math::number::{decimal, power, whole};

impl Parser {
    pub(super) fn number(&mut self, digits: &str, period: Option<&str>) -> Option<Expression> {
        let value = decimal(digits)?;
        let places = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        if let Some(period) = period {
            // The period p of n digits adds p / (10^n - 1), shifted behind the digits that do not repeat.
            let nines = power(&whole(10), period.len() as i64)? - whole(1);
            let shift = power(&whole(10), -(places as i64))?;
            return Some(Expression::Number(value + decimal(period)? / nines * shift));
        }
        if self.is_sign('_') {
            return self.based(digits);
        }
        if places > 0 {
            let significant =
                digits.trim_start_matches(['0', '.']).bytes().filter(u8::is_ascii_digit).count();
            return Some(Expression::Decimal {
                value,
                places: places as u32,
                significant: significant as u32,
            });
        }
        Some(match self.mixed() {
            Some((numerator, denominator)) => {
                Expression::Number(value + whole(numerator) / whole(denominator))
            }
            None => Expression::Number(value),
        })
    }

    /// A proper fraction directly behind a whole number, which adds to it: `3\frac12` or `3 1/2`.
    fn mixed(&mut self) -> Option<(i64, i64)> {
        if !self.is_command(&FRACTIONS) && !matches!(self.peek(), Some(Token::Number(..))) {
            return None;
        }
        let start = (self.at, self.tokens.clone());
        let parts = if self.eat_command(&FRACTIONS) {
            self.argument().and_then(|numerator| Some((counting(&numerator)?, counting(&self.argument()?)?)))
        } else {
            let part = |at: usize| match self.tokens.get(at) {
                Some(Token::Number(digits, None)) => digits.parse().ok(),
                _ => None,
            };
            let slash = self.tokens.get(self.at + 1) == Some(&Token::Sign('/'));
            let parts = part(self.at).zip(part(self.at + 2)).filter(|_| slash);
            self.at += if parts.is_some() { 3 } else { 0 };
            parts
        };
        let proper = parts.filter(|(numerator, denominator)| 0 < *numerator && numerator < denominator);
        if proper.is_none() {
            (self.at, self.tokens) = start;
        }
        proper
    }

    /// `12_5`, `12_{5}`, `12_{\text{five}}`.
    fn based(&mut self, digits: &str) -> Option<Expression> {
        self.at += 1;
        let braced = self.eat('{');
        let base = match self.next()? {
            Token::Number(base, None) => base.parse().ok()?,
            Token::Text(name) | Token::Word(name) => base_named(name.trim())?,
            _ => return None,
        };
        if braced && !self.eat('}') {
            return None;
        }
        Some(Expression::Based(digits.trim_start_matches('0').into(), base))
    }
}

fn base_named(name: &str) -> Option<u32> {
    let names = [
        "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        "thirteen", "fourteen", "fifteen", "sixteen",
    ];
    names.iter().position(|known| *known == name).map(|index| index as u32 + 2)
}
