//! Strict mode: reads both answers as mathematics, falls back to spelling, and has no other leniency.

use super::compare::{self, Rules};
use super::lexer::{Token, tokens};
use super::parser::parse;

/// Whether `given` says the same as `expected`. Nothing equals an empty answer.
pub(super) fn equal(expected: &str, given: &str, rules: Rules) -> bool {
    let (expected, given) = (unwrapped(expected), unwrapped(given));
    if expected.is_empty() || given.is_empty() {
        return false;
    }
    if expected == given {
        return true;
    }
    let (Some(left), Some(right)) = (tokens(expected), tokens(given)) else { return false };
    if left == right {
        return !left.is_empty();
    }
    if let (Some(left), Some(right)) = (spelled(&left), spelled(&right)) {
        if same_words(&left.0, &right.0) {
            return true;
        }
        // Words are spelled, not multiplied: `ab` is not `ba`.
        if left.1 && right.1 {
            return false;
        }
    }
    if let (Some(left), Some(right)) = (parse(expected), parse(given))
        && compare::equal(&left, &right, rules)
    {
        return true;
    }
    decimal_comma(expected, given, rules) || decimal_comma(given, expected, rules)
}

/// Without the marks around a formula and the stop behind a sentence.
fn unwrapped(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let before = text;
        text = text.trim().trim_end_matches(['.', ',', ';', ':']).trim_end();
        for (open, close) in [("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**")] {
            if text.len() >= open.len() + close.len()
                && let Some(inner) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
                && !inner.contains(open)
            {
                text = inner;
            }
        }
        if text == before {
            return text;
        }
    }
}

/// The letters and digits of an answer that has no mathematics in it, and whether it has words only.
/// Brackets around one letter, as in `(C)`, say nothing.
fn spelled(tokens: &[Token]) -> Option<(String, bool)> {
    let mut text = String::new();
    let mut words = true;
    for token in tokens {
        match token {
            Token::Text(piece) | Token::Word(piece) => text.push_str(piece),
            Token::Letter(letter) => text.push(*letter),
            Token::Number(digits, None) => {
                words = false;
                text.push_str(digits);
            }
            Token::Sign(sign @ ('(' | ')' | ':' | '-' | '\'' | '!' | ',')) => text.push(*sign),
            Token::Sign('{' | '}') => continue,
            _ => return None,
        }
        text.push(' ');
    }
    let closed = closed_up(&text);
    let inner = closed.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let text = inner.filter(|inner| inner.chars().count() == 1).unwrap_or(&closed);
    words &= text.chars().filter(char::is_ascii_alphabetic).count() > 1
        && text.chars().all(|c| c.is_ascii_alphabetic() || c == ' ' || c == '-' || c == '\'');
    (!text.is_empty()).then(|| (text.to_owned(), words))
}

/// Spaces only between two letters or two digits, where they matter.
fn closed_up(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_ascii_whitespace() {
        let apart = out.chars().last().zip(word.chars().next()).is_some_and(|(a, b)| {
            a.is_alphabetic() && b.is_alphabetic() || a.is_ascii_digit() && b.is_ascii_digit()
        });
        if apart {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Equal letter by letter; a capital at the start of a word says nothing.
fn same_words(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let folded = |text: &str| {
        text.split(' ')
            .map(|word| {
                let mut letters = word.chars();
                match letters.next() {
                    Some(first)
                        if !letters.as_str().is_empty() && !letters.as_str().contains(char::is_uppercase) =>
                    {
                        format!("{}{}", first.to_ascii_lowercase(), letters.as_str())
                    }
                    _ => word.to_owned(),
                }
            })
            .collect::<Vec<_>>()
            .join(" ")
    };
    folded(a) == folded(b)
}

/// `2,74` against `2.74`: a comma between digits that groups no thousands may be a decimal comma, when the
/// other side is a single number.
fn decimal_comma(text: &str, other: &str, rules: Rules) -> bool {
    let Some((integer, fraction)) = text.split_once(',') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = integer.strip_prefix('-').unwrap_or(integer);
    let groups = fraction.len() == 3 && unsigned != "0";
    let single = !other.contains(',') && other.contains('.');
    if !digits(unsigned) || !digits(fraction) || groups || !single {
        return false;
    }
    match (parse(&format!("{integer}.{fraction}")), parse(other)) {
        (Some(left), Some(right)) => compare::equal(&left, &right, rules),
        _ => false,
    }
}
