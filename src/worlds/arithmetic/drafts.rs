//! One draw per skill: operands, wording, working and answer.
//!
//! The ranges are wide enough for at least 2,000 distinct operand keys per skill (held to by a test) and
//! still learnable by a student of a million parameters. A question names its operands and no other number.

use super::{Skill, phrases, working};
use crate::gym::rng::CounterRng;

/// A problem before it is given to a split.
pub(super) struct Draft {
    pub(super) question: String,
    pub(super) working: String,
    pub(super) answer: String,
}

/// Draws one problem of a skill; which subskill it is, its question tells.
pub(super) fn draw(skill: Skill, rng: &mut CounterRng) -> Draft {
    match skill {
        Skill::Add => add(rng),
        Skill::Sub => sub(rng),
        Skill::Mul => mul(rng),
        Skill::Cmp => cmp(rng),
        Skill::WpAdd => wp_add(rng),
        Skill::WpSub => wp_sub(rng),
        Skill::Div => div(rng),
        Skill::Seq => seq(rng),
        Skill::WpMul => wp_mul(rng),
        Skill::Unit => unit(rng),
        Skill::TwoStep => two_step(rng),
        Skill::Avg => avg(rng),
    }
}

/// A number of 1 to `most` digits: first the length, then the number.
fn number(rng: &mut CounterRng, most: u32) -> u64 {
    let length = rng.between(1, u64::from(most)) as u32;
    let low = if length == 1 { 1 } else { 10_u64.pow(length - 1) };
    rng.between(low, 10_u64.pow(length) - 1)
}

fn draft(question: String, working: String, answer: impl std::fmt::Display) -> Draft {
    Draft { question, working, answer: format!("{answer}") }
}

fn add(rng: &mut CounterRng) -> Draft {
    let (a, b) = (number(rng, 3), number(rng, 3));
    let question = match rng.below(3) {
        0 => format!("What is {a} + {b}?"),
        1 => format!("Add {a} and {b}."),
        _ => format!("Calculate {a} + {b}."),
    };
    draft(question, working::addition(a, b), a + b)
}

fn sub(rng: &mut CounterRng) -> Draft {
    let (x, y) = (number(rng, 3), number(rng, 3));
    let (a, b) = (x.max(y), x.min(y));
    let question = match rng.below(3) {
        0 => format!("What is {a} - {b}?"),
        1 => format!("Subtract {b} from {a}."),
        _ => format!("Calculate {a} - {b}."),
    };
    draft(question, working::subtraction(a, b), a - b)
}

/// Two digits half the time, else 100..=299.
fn factor(rng: &mut CounterRng) -> u64 {
    if rng.below(2) == 0 { rng.between(10, 99) } else { rng.between(100, 299) }
}

fn mul(rng: &mut CounterRng) -> Draft {
    let (a, b) = (factor(rng), rng.between(2, 9));
    let question = match rng.below(3) {
        0 => format!("What is {a} * {b}?"),
        1 => format!("Multiply {a} by {b}."),
        _ => format!("Calculate {a} * {b}."),
    };
    draft(question, working::product(a, b), a * b)
}

fn cmp(rng: &mut CounterRng) -> Draft {
    let first = number(rng, 3);
    let second = if rng.below(2) == 0 { number(rng, 3) } else { (first + rng.between(1, 29)).min(999) };
    let second = if second == first { first % 999 + 1 } else { second };
    let (a, b) = if rng.below(2) == 0 { (first, second) } else { (second, first) };
    let (question, smaller) = match rng.below(3) {
        0 => (format!("Which is larger, {a} or {b}?"), false),
        1 => (format!("Which is smaller, {a} or {b}?"), true),
        _ => (format!("Which number is greater: {a} or {b}?"), false),
    };
    let (low, high) = (a.min(b), a.max(b));
    draft(question, format!("{low}<{high}."), if smaller { low } else { high })
}

fn wp_add(rng: &mut CounterRng) -> Draft {
    let (a, b) = (number(rng, 2) + 1, number(rng, 2) + 1);
    let (name, things) = (phrases::name(rng), phrases::things(rng));
    let question = match rng.below(3) {
        0 => {
            format!("{name} has {a} {things}. {name} gets {b} more. How many {things} does {name} have now?")
        }
        1 => format!(
            "There are {a} {things} in a box and {b} {things} on the table. How many {things} are there in total?"
        ),
        _ => format!(
            "{name} finds {a} {things} on Monday and {b} {things} on Tuesday. How many {things} does {name} find?"
        ),
    };
    draft(question, working::addition(a, b), a + b)
}

fn wp_sub(rng: &mut CounterRng) -> Draft {
    let (x, y) = (number(rng, 2) + 1, number(rng, 2) + 1);
    let (a, b) = (x.max(y), x.min(y));
    let (name, things) = (phrases::name(rng), phrases::things(rng));
    let question = match rng.below(3) {
        0 => format!("{name} has {a} {things} and gives away {b} of them. How many {things} are left?"),
        1 => format!("There were {a} {things} in a shop. {b} were sold. How many {things} are left?"),
        _ => format!("{name} had {a} {things} and lost {b}. How many {things} does {name} have now?"),
    };
    draft(question, working::subtraction(a, b), a - b)
}

fn div(rng: &mut CounterRng) -> Draft {
    let b = rng.between(2, 7);
    let quotient = if rng.below(2) == 0 { rng.between(1, 9) } else { rng.between(10, 99) };
    let rest = if rng.below(3) == 0 { 0 } else { rng.below(b) };
    let a = quotient * b + rest;
    let question = match rng.below(3) {
        0 => format!("What is {a} divided by {b}?"),
        1 => format!("Divide {a} by {b}."),
        _ => format!("Calculate {a} / {b} with remainder."),
    };
    draft(question, working::division(a, b), format!("{quotient} remainder {rest}"))
}

fn seq(rng: &mut CounterRng) -> Draft {
    let step = rng.between(2, 19);
    let start = rng.between(1, 119);
    let descending = rng.below(10) < 3;
    let mut terms: Vec<u64> = (0..4).map(|index| start + index * step).collect();
    if descending {
        terms.reverse();
    }
    let last = terms.last().copied().unwrap_or(start);
    // A descending sequence must have a next term that is not negative.
    if descending && last < step {
        return seq(rng);
    }
    let before = terms.get(2).copied().unwrap_or(start);
    let listed = terms.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let question = match rng.below(3) {
        0 => format!("What number comes next: {listed}?"),
        1 => format!("Continue the sequence: {listed}."),
        _ => format!("Find the next number: {listed}."),
    };
    let (work, next) = if descending {
        (
            format!(
                "{before}-{last}: {} {last}-{step}: {}",
                working::subtraction(before, last),
                working::subtraction(last, step)
            ),
            last - step,
        )
    } else {
        let work = format!(
            "{last}-{before}: {} {last}+{step}: {}",
            working::subtraction(last, before),
            working::addition(last, step)
        );
        (work, last + step)
    };
    draft(question, work, next)
}

fn wp_mul(rng: &mut CounterRng) -> Draft {
    let (b, a) = (factor(rng), rng.between(2, 9));
    let (name, things) = (phrases::name(rng), phrases::things(rng));
    let question = match rng.below(3) {
        0 => format!("Each box holds {b} {things}. How many {things} are in {a} boxes?"),
        1 => format!("{name} buys {a} bags with {b} {things} each. How many {things} is that?"),
        _ => format!("There are {a} rows of {b} {things}. How many {things} are there in total?"),
    };
    draft(question, working::product(b, a), a * b)
}

fn unit(rng: &mut CounterRng) -> Draft {
    let a = rng.between(1, 25);
    let (factor, most, large, small) = match rng.below(3) {
        0 => (60, 59, "hours", "minutes"),
        1 => (7, 6, "weeks", "days"),
        _ => (100, 99, "meters", "centimeters"),
    };
    let b = rng.between(1, most);
    let question = match rng.below(2) {
        0 => format!("How many {small} are {a} {large} and {b} {small}?"),
        _ => format!("Convert {a} {large} and {b} {small} to {small}."),
    };
    let product = a * factor;
    let total = product + b;
    draft(question, format!("{a}*{factor}={product}. {product}+{b}={total}."), total)
}

fn two_step(rng: &mut CounterRng) -> Draft {
    let (a, b) = (rng.between(2, 9), rng.between(3, 14));
    let c = rng.between(1, (a * b - 1).min(79));
    let (name, things) = (phrases::name(rng), phrases::things(rng));
    let (question, adds) = match rng.below(3) {
        0 => (
            format!(
                "{name} has {a} bags with {b} {things} each and gives away {c} {things}. How many are left?"
            ),
            false,
        ),
        1 => (
            format!(
                "A shop has {a} boxes of {b} {things} and gets {c} more. How many {things} does it have now?"
            ),
            true,
        ),
        _ => (
            format!("{name} packs {a} boxes of {b} {things}, then {c} {things} break. How many are whole?"),
            false,
        ),
    };
    let product = a * b;
    if adds {
        let work = format!("{a}*{b}={product}. {product}+{c}: {}", working::addition(product, c));
        draft(question, work, product + c)
    } else {
        let work = format!("{a}*{b}={product}. {product}-{c}: {}", working::subtraction(product, c));
        draft(question, work, product - c)
    }
}

fn avg(rng: &mut CounterRng) -> Draft {
    let mean = rng.between(3, 24);
    let (d1, d2) = (rng.below(mean), rng.below(mean));
    let mut numbers = [mean - d1, mean + d1 + d2, mean - d2];
    rng.shuffle(&mut numbers);
    let [x, y, z] = numbers;
    let question = match rng.below(3) {
        0 => format!("What is the average of {x}, {y} and {z}?"),
        1 => format!("Find the mean of {x}, {y} and {z}."),
        _ => format!("{} scored {x}, {y} and {z} points. What is the average score?", phrases::name(rng)),
    };
    let (part, sum) = (x + y, x + y + z);
    let work = format!(
        "{x}+{y}: {} {part}+{z}: {} {sum}/3={mean}.",
        working::addition(x, y),
        working::addition(part, z)
    );
    draft(question, work, mean)
}
