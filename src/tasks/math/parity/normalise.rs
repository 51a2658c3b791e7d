//! The reference's normalisation: literal replacements in a fixed order.

const REPLACED: [(&str, &str); 10] = [
    ("an ", ""),
    ("a ", ""),
    (".$", "$"),
    ("\\$", ""),
    ("\\ ", ""),
    (" ", ""),
    ("mbox", "text"),
    (",\\text{and}", ","),
    ("\\text{and}", ","),
    ("\\text{m}", "\\text{}"),
];

const DELETED: [&str; 42] = [
    "square",
    "ways",
    "integers",
    "dollars",
    "mph",
    "inches",
    "ft",
    "hours",
    "km",
    "units",
    "\\ldots",
    "sue",
    "points",
    "feet",
    "minutes",
    "digits",
    "cents",
    "degrees",
    "cm",
    "gm",
    "pounds",
    "meters",
    "meals",
    "edges",
    "students",
    "childrentickets",
    "multiples",
    "\\text{s}",
    "\\text{.}",
    "\\text{\ns}",
    "\\text{}^2",
    "\\text{}^3",
    "\\text{\n}",
    "\\text{}",
    "\\mathrm{th}",
    "^\\circ",
    "^{\\circ}",
    "\\;",
    ",\\!",
    "{,}",
    "\"",
    "\\dots",
];

/// An answer in the form in which the reference compares it.
pub(in super::super) fn normalise(answer: &str) -> String {
    let mut text = answer.rsplit('=').next().unwrap_or(answer).to_owned();
    for (from, to) in REPLACED {
        text = text.replace(from, to);
    }
    for word in DELETED {
        text = text.replace(word, "");
    }
    text = text.split('\n').map(first_formula).collect::<Vec<_>>().join("\n");
    for command in ["\\text{", "\\textbf{", "\\overline{"] {
        text = unwrapped(&text, command);
    }
    text = text.split('\n').map(unboxed).collect::<Vec<_>>().join("\n");
    text = braced_roots(&braced_fractions(&text)).replace('$', "");
    let digits = text.replace(',', "");
    if !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()) { digits } else { text }
}

/// The first group between dollars in a line, instead of the line.
fn first_formula(line: &str) -> &str {
    let formula = line.split_once('$').and_then(|(_, rest)| rest.split_once('$'));
    formula.map_or(line, |(formula, _)| formula)
}

/// Every `\text{...}` without its wrapping, up to the first brace in its line.
fn unwrapped(text: &str, command: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(command) {
        out.push_str(before);
        if let Some(close) = after.find(['}', '\n']).filter(|at| after[*at..].starts_with('}')) {
            out.push_str(&after[..close]);
            rest = &after[close + 1..];
        } else {
            out.push_str(command);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// A line with the first `\boxed{...}` unwrapped, up to the last brace.
fn unboxed(line: &str) -> String {
    if let Some((before, after)) = line.split_once("\\boxed{")
        && let Some((inner, rest)) = after.rsplit_once('}')
    {
        return format!("{before}{inner}{rest}");
    }
    line.to_owned()
}

/// `frac12` becomes `frac{1}{2}`, whatever the two characters are.
fn braced_fractions(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("frac") {
        out.push_str(before);
        out.push_str("frac");
        rest = after;
        let mut characters = after.chars();
        if let (Some(first), Some(second)) = (characters.next(), characters.next())
            && first != '{'
            && second != '\n'
        {
            out.extend(['{', first, '}', '{', second, '}']);
            rest = characters.as_str();
        }
    }
    out.push_str(rest);
    out
}

/// `sqrt2` becomes `sqrt{2}`, whatever the character is.
fn braced_roots(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("sqrt") {
        out.push_str(before);
        out.push_str("sqrt");
        rest = after;
        let mut characters = after.chars();
        if let Some(first) = characters.next().filter(|c| *c != '{') {
            out.extend(['{', first, '}']);
            rest = characters.as_str();
        }
    }
    out.push_str(rest);
    out
}
