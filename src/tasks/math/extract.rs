//! Finds the answer in a response: after the phrase that announces it, in a box, in the last formula, or as
//! the last number, in this order.

use super::lexer::{Token, tokens};
use super::parser::parse;

/// The answer as it stands in the response; `None` when there is nothing like one.
pub(super) fn extract(response: &str) -> Option<String> {
    let response = before_marker(response);
    announced(response)
        .or_else(|| boxed(response))
        .or_else(|| said(response))
        .or_else(|| bare(response))
        .or_else(|| formula_or_number(response))
        .or_else(|| short(response))
        .map(|answer| answer.trim().to_owned())
        .filter(|answer| !answer.is_empty())
}

/// Longest text that is an answer as a whole.
const SHORT: usize = 200;
/// Phrases that announce the final answer, in lower case.
const FINAL: [&str; 3] = ["final answer is", "final answer:", "answer####"];
/// Phrases that may announce it.
const SAID: [&str; 4] = ["answer is:", "answer is", "answer:", "####"];

/// Without what a chat template leaves behind the response.
fn before_marker(response: &str) -> &str {
    let ends = ["<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|endoftext|>", "</s>", "I hope it is correct"];
    let mut text = response;
    for end in ends {
        // Several shots in a row: the part after the first end mark is another conversation.
        if let Some((before, _)) = text.split_once(end)
            && !before.trim().is_empty()
            && end.starts_with('<')
        {
            text = before;
        }
    }
    text
}

/// The text behind the last of the phrases.
fn behind<'a>(text: &'a str, phrases: &[&str]) -> Option<&'a str> {
    let lower = text.to_ascii_lowercase();
    phrases
        .iter()
        .filter_map(|phrase| lower.rfind(phrase).map(|at| at + phrase.len()))
        .max()
        .map(|at| &text[at..])
}

fn announced(response: &str) -> Option<String> {
    let rest = behind(response, &FINAL)?;
    let rest = rest.trim_start_matches([':', '*', ' ']);
    answer_of(rest)
}

fn said(response: &str) -> Option<String> {
    behind(response, &SAID).map(|rest| rest.trim_start_matches([':', '*', ' '])).and_then(answer_of)
}

/// The answer at the start of what stands behind a phrase.
fn answer_of(rest: &str) -> Option<String> {
    let rest = rest.split("I hope it is correct").next().unwrap_or(rest).trim();
    if let Some(answer) = boxed(rest) {
        return Some(answer);
    }
    let line = rest.lines().map(str::trim).find(|line| !line.is_empty())?;
    // "The largest $n$ is 34." ends with what it says.
    let tail = line.rsplit_once(" is ").map_or(line, |(_, tail)| tail);
    if let Some(answer) = formulas_joined(tail) {
        return Some(answer);
    }
    let tail = tail.trim().trim_end_matches(['.', '*', '"', '\\']).trim();
    if tail.contains(['\\', '^', '(', '[', '{', '=']) || tail.split_whitespace().count() <= 3 {
        return (!tail.is_empty()).then(|| tail.to_owned());
    }
    last_number(tail).or_else(|| (tail.len() <= SHORT).then(|| tail.to_owned()))
}

/// What the last box holds. Boxes with nothing but a connective between them are one answer.
fn boxed(text: &str) -> Option<String> {
    let mut boxes: Vec<(usize, usize, &str)> = Vec::new();
    let mut from = 0;
    while let Some(found) = text[from..].find("\\boxed").into_iter().chain(text[from..].find("\\fbox")).min()
    {
        let start = from + found;
        let name = if text[start..].starts_with("\\boxed") { 6 } else { 5 };
        let rest = &text[start + name..];
        let content = match rest.trim_start().strip_prefix('{') {
            Some(inner) => closed(inner),
            // `\boxed 5$`
            None => rest.split(['$', '\n']).next(),
        };
        from = start + name;
        if let Some(content) = content {
            let at = content.as_ptr() as usize - text.as_ptr() as usize;
            from = at + content.len();
            boxes.push((start, (from + 1).min(text.len()), content));
        }
    }
    let (mut first, _, last) = *boxes.last()?;
    let mut answer = last.trim().to_owned();
    for (start, end, content) in boxes.iter().rev().skip(1) {
        let Some(between) = text.get(*end..first) else { break };
        if !connects(between) {
            break;
        }
        answer = format!("{},{answer}", content.trim());
        first = *start;
    }
    (!answer.is_empty()).then_some(answer)
}

/// The text up to the brace that closes it; to the end of the line when none does.
fn closed(inner: &str) -> Option<&str> {
    let mut depth = 1_u32;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => {
                escaped = false;
                continue;
            }
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&inner[..at]);
        }
    }
    inner.lines().next().map(|line| line.trim_end_matches(['$', '.', ' ']))
}

/// Whether a text between two answers only joins them.
fn connects(between: &str) -> bool {
    let mut rest = between.to_owned();
    for word in
        ["\\quad", "\\text", "\\textbf", "\\qquad", "and", "or", "\\(", "\\)", "\\[", "\\]", "\\,", "\\ "]
    {
        rest = rest.replace(word, " ");
    }
    rest.chars().all(|c| c.is_whitespace() || matches!(c, ',' | '$' | '{' | '}' | '"' | '\\' | '&'))
}

/// A formula between its marks.
struct Formula<'a> {
    content: &'a str,
    start: usize,
    end: usize,
}

fn formulas(text: &str) -> Vec<Formula<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find(['$', '\\']).map(|found| at + found) {
        let rest = &text[open..];
        let marks = [("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"), ("$", "$")];
        let Some((mark, close)) = marks.into_iter().find(|(mark, _)| rest.starts_with(mark)) else {
            // Another command, or an escaped dollar.
            at = open + 1 + rest.chars().nth(1).map_or(0, char::len_utf8);
            continue;
        };
        let inner = &rest[mark.len()..];
        let Some(length) = unescaped(inner, close) else {
            at = open + mark.len();
            continue;
        };
        let content = &inner[..length];
        let end = open + mark.len() + length + close.len();
        // A formula in a line does not go over its end, and prices are no formulas.
        let inline = mark == "$" || mark == "\\(";
        if inline && (content.contains('\n') || mark == "$" && prose(content)) {
            at = open + mark.len();
            continue;
        }
        if !content.trim().is_empty() {
            found.push(Formula { content, start: open, end });
        }
        at = end;
    }
    found
}

/// Where the closing mark stands, unless it is escaped.
fn unescaped(text: &str, mark: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find(mark)?;
        if mark.starts_with('\\') || !text[..at].ends_with('\\') {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Whether the text between two dollars is a sentence between two prices.
fn prose(content: &str) -> bool {
    !content.contains('\\')
        && content
            .split_whitespace()
            .filter(|word| word.len() > 3 && word.bytes().all(|b| b.is_ascii_lowercase()))
            .count()
            > 1
}

/// The last formula, with those before it that it is joined to.
fn formulas_joined(text: &str) -> Option<String> {
    let found = formulas(text);
    let (last, before) = found.split_last()?;
    // A number behind the formula is the later word.
    let mut answer = last.content.trim().to_owned();
    let mut start = last.start;
    for formula in before.iter().rev() {
        if !connects(&text[formula.end..start]) {
            break;
        }
        answer = format!("{},{answer}", formula.content.trim());
        start = formula.start;
    }
    Some(answer)
}

/// The last formula or the last number of the text, whichever comes later.
fn formula_or_number(text: &str) -> Option<String> {
    let end = formulas(text).last().map_or(0, |formula| formula.end);
    last_number(&text[end..]).or_else(|| formulas_joined(text))
}

/// The last number that is no part of a word: with its sign, thousands, decimals, fraction and per cent.
fn last_number(text: &str) -> Option<String> {
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    let digit = |i: usize| characters.get(i).is_some_and(|(_, c)| c.is_ascii_digit());
    let mut found = None;
    let mut i = 0;
    while i < characters.len() {
        let start = i;
        if !(digit(i) || characters[i].1 == '.' && digit(i + 1)) {
            i += 1;
            continue;
        }
        let mut group = i;
        loop {
            let here = characters.get(i).map(|(_, c)| *c);
            // Thousands set apart by spaces.
            let spaced =
                here == Some(' ') && i - group <= 3 && (1..=3).all(|k| digit(i + k)) && !digit(i + 4);
            if spaced {
                group = i + 1;
            } else if !(digit(i) || matches!(here, Some('.' | ',' | '/')) && digit(i + 1)) {
                break;
            }
            i += 1;
        }
        let before = |back: usize| start.checked_sub(back).map(|at| characters[at].1);
        let in_word = before(1).is_some_and(|c| c.is_alphanumeric() || c == '_')
            || characters.get(i).is_some_and(|(_, c)| c.is_ascii_alphabetic()) && {
                let word: String =
                    characters[i..].iter().map(|(_, c)| *c).take_while(char::is_ascii_alphabetic).collect();
                !super::units::is_unit(&word) && word.len() > 1
            };
        if in_word {
            continue;
        }
        let negative = before(1) == Some('-') && !before(2).is_some_and(|c| c.is_alphanumeric() || c == ')');
        let from = characters[start].0 - usize::from(negative);
        let mut to = characters.get(i).map_or(text.len(), |(at, _)| *at);
        let rest = text[to..].trim_start();
        if ["%", "\\%", "percent", "pct"].iter().any(|percent| rest.starts_with(percent)) {
            to = text.len() - rest.len();
            found = Some(format!("{}%", text[from..to].trim_end()));
        } else {
            found = Some(text[from..to].to_owned());
        }
    }
    found
}

/// A response that is nothing but a formula, without marks and words.
fn bare(response: &str) -> Option<String> {
    let text = short(response)?;
    let wordless = !tokens(&text)?.iter().any(|token| matches!(token, Token::Word(_)));
    (wordless && !text.contains('$') && parse(&text).is_some()).then_some(text)
}

/// A response that is nothing but its answer.
fn short(response: &str) -> Option<String> {
    let text = response.trim();
    (text.len() <= SHORT && text.lines().count() == 1).then(|| text.to_owned())
}
