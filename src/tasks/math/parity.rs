//! Parity mode: the reference's scorer of MATH as specified from outside, blemishes included.
//!
//! Owns extraction, normalisation and the verdict on two normalised answers. The verdict of the reference is that
//! of a computer algebra system on the difference; here canonical form and evaluation take its place, behind a
//! reader of the same grammar.

mod grammar;
mod normalise;
mod tokens;

pub(super) use normalise::normalise;

use super::canonical::{Convention, canonical, same};
use super::expression::Expression;
use super::numeric;

const END: &str = "I hope it is correct.";
const PHRASES: [&str; 2] = ["Final Answer: The final answer is", "Therefore, the final answer is"];

/// The answer text before normalisation: behind the first phrase whose line runs to the end mark, which is added
/// to the response; else a box between dollars.
pub(super) fn extract(response: &str) -> Option<String> {
    let text = format!("{response} {END}");
    PHRASES.iter().find_map(|phrase| behind(&text, phrase)).or_else(|| boxed(&text)).map(str::to_owned)
}

fn behind<'a>(text: &'a str, phrase: &str) -> Option<&'a str> {
    text.match_indices(phrase).find_map(|(at, _)| {
        let rest = &text[at + phrase.len()..];
        let answer = rest[..rest.find(END)?].trim_end();
        (!answer.contains('\n')).then(|| answer.trim())
    })
}

/// The first `$\boxed{...}$` without a brace inside that no other one follows before the next dollar.
fn boxed(text: &str) -> Option<&str> {
    const OPEN: &str = "$\\boxed{";
    text.match_indices(OPEN).find_map(|(at, _)| {
        let close = at + OPEN.len() + text[at + OPEN.len()..].find('}')?;
        let rest = text[close + 1..].strip_prefix('$')?;
        let next = rest.find('$').map(|dollar| &rest[dollar..]);
        (!next.is_some_and(|next| next.starts_with("$\\boxed"))).then(|| &text[at..close + 2])
    })
}

/// The reference answer of a worked solution: what stands in its last box, as written.
pub(super) fn reference(solution: &str) -> Option<&str> {
    if let Some((_, rest)) = solution.rsplit_once("\\boxed ") {
        return Some(rest.split('$').next().unwrap_or(rest));
    }
    let start = solution.rfind("\\boxed").map(|at| at + 6)?;
    let inner = solution[start..].strip_prefix('{')?;
    let mut depth = 1;
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&inner[..at]);
        }
    }
    None
}

/// The verdict on two normalised answers. What cannot be read, or is a relation, is compared as text.
pub(super) fn equal(expected: &str, given: &str) -> bool {
    match (grammar::parse(expected), grammar::parse(given)) {
        (Some(a), Some(b)) if a.is_scalar() && b.is_scalar() => vanishes(&a, &b),
        _ => expected == given,
    }
}

fn vanishes(a: &Expression, b: &Expression) -> bool {
    let decimal = |e: &Expression| e.any(&|part| matches!(part, Expression::Decimal { .. }));
    if (decimal(a) || decimal(b)) && a.is_constant() && b.is_constant() {
        // Decimals are doubles there, and 0.1 + 0.2 is not 0.3.
        let value = |e| numeric::constant(e, Convention::Principal);
        return value(a).zip(value(b)).is_some_and(|(a, b)| a == b);
    }
    canonical(a, Convention::Principal)
        .zip(canonical(b, Convention::Principal))
        .and_then(|(a, b)| same(&a, &b))
        .unwrap_or_else(|| numeric::same(a, b, Convention::Principal))
}
