//! Units and other words behind a value.

use super::Parser;
use crate::tasks::math::expression::{Expression, Function};
use crate::tasks::math::lexer::Token;
use crate::tasks::math::units::{MODULO, is_unit, scale};

impl Parser {
    /// The unit behind a value, with its power (`cm^2`) and its denominator (`km/h`) if it has them.
    /// Words in text type always are one; plain letters only when they are a known unit behind a number,
    /// or a word too long to be a product of variables.
    pub(super) fn unit(&mut self, value: Option<&Expression>) -> Option<String> {
        let mut unit = self.unit_word(value)?;
        loop {
            if self.is_sign('^') {
                let start = (self.at, self.tokens.clone());
                self.at += 1;
                if let Some(power) = self.argument().as_ref().and_then(super::scalar::counting) {
                    unit = format!("{unit}^{power}");
                } else {
                    (self.at, self.tokens) = start;
                    return Some(unit);
                }
            } else if self.is_sign('/') && self.tokens.get(self.at + 1).is_some_and(is_text) {
                self.at += 1;
                unit.push('/');
                unit.push_str(&self.unit_word(value)?);
            } else if let Some(next) = self.unit_word(value) {
                unit.push(' ');
                unit.push_str(&next);
            } else {
                return Some(unit);
            }
        }
    }

    /// `million` and its kin behind a value.
    pub(super) fn scale(&mut self) -> Option<i64> {
        let scale = match self.peek()? {
            Token::Text(word) | Token::Word(word) => scale(word.trim())?,
            _ => return None,
        };
        self.at += 1;
        Some(scale)
    }

    /// `\pmod{5}`, which is part of an answer as a unit is.
    fn modulus(&mut self) -> Option<String> {
        let start = self.at;
        self.at += 1;
        let modulus = self.argument().as_ref().and_then(super::scalar::counting);
        if modulus.is_none() {
            self.at = start;
        }
        Some(format!("{MODULO}{}", modulus?))
    }

    fn unit_word(&mut self, value: Option<&Expression>) -> Option<String> {
        let numeric = value.is_some_and(Expression::is_constant);
        let word = match self.peek()? {
            Token::Text(text) if !connects(text) => text.trim().to_owned(),
            Token::Word(word) if numeric && !connects(word) && !is_name(word) => {
                // Known, or a word of the language: five letters or more are no product behind a number.
                let plain = is_unit(word) || word.len() >= 5;
                plain.then(|| word.clone())?
            }
            Token::Command(name) if name == "pmod" => return self.modulus(),
            // The scale of a temperature.
            Token::Letter(scale @ ('C' | 'F')) if matches!(value, Some(Expression::Quantity(_, unit)) if &**unit == "°") => {
                scale.to_string()
            }
            _ => return None,
        };
        self.at += 1;
        Some(word)
    }
}

/// Text where a value is expected: a letter, a number or a phrase.
pub(super) fn text(text: &str) -> Expression {
    let trimmed = text.trim();
    let inner = trimmed.trim_start_matches('(').trim_end_matches(')');
    let mut letters = inner.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_ascii_alphabetic() => Expression::symbol(inner),
        _ => Expression::Text(trimmed.into()),
    }
}

fn is_text(token: &Token) -> bool {
    matches!(token, Token::Text(_) | Token::Word(_))
}

fn connects(text: &str) -> bool {
    matches!(text.trim().trim_matches(',').trim(), "and" | "or" | "")
}

fn is_name(word: &str) -> bool {
    Function::named(word).is_some() || matches!(word, "sqrt" | "pi" | "infty" | "infinity" | "exp")
}
