//! The tokens of the reference's LaTeX grammar (`SymPy` 1.13, its ANTLR reader).

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Digits with thousands and a point.
    Number(String),
    /// A letter, or a differential such as `dx`.
    Letter(String),
    Command(String),
    Sign(char),
    /// What the grammar has no token for; nothing behind it is read.
    Unknown,
}

/// Longest answer that is read.
const MOST_CHARACTERS: usize = 4000;

pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let text: Vec<char> = text.chars().take(MOST_CHARACTERS + 1).collect();
    if text.len() > MOST_CHARACTERS {
        return None;
    }
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (token, width) = token(&text[at..]);
        at += width;
        out.extend(token);
        if out.last() == Some(&Token::Unknown) {
            break;
        }
    }
    Some(out)
}

/// The token at the start and its width; spacing is no token.
fn token(text: &[char]) -> (Option<Token>, usize) {
    let c = text[0];
    let next = text.get(1).copied();
    match c {
        ' ' | '\t' | '\r' | '\n' => (None, 1),
        '0'..='9' => number(text),
        'a'..='z' | 'A'..='Z' => letter(text),
        '+' | '-' | '*' | '/' | '(' | ')' | '{' | '}' | '[' | ']' | '|' | '_' | '^' | ':' | '=' | '<'
        | '>' | '!' | ',' | '\'' => (Some(Token::Sign(c)), 1),
        '\\' => match next {
            Some(',' | ':' | ';' | '!') => (None, 2),
            Some(brace @ ('{' | '}')) => (Some(Token::Command(brace.to_string())), 2),
            Some(letter) if letter.is_ascii_alphabetic() => {
                let name: String = text[1..].iter().take_while(|c| c.is_ascii_alphabetic()).collect();
                let width = name.len() + 1;
                let spacing = matches!(
                    name.as_str(),
                    "left"
                        | "right"
                        | "quad"
                        | "qquad"
                        | "thinspace"
                        | "medspace"
                        | "thickspace"
                        | "negthinspace"
                        | "negmedspace"
                        | "negthickspace"
                );
                ((!spacing).then_some(Token::Command(name)), width)
            }
            _ => (Some(Token::Unknown), 1),
        },
        _ => (Some(Token::Unknown), 1),
    }
}

fn number(text: &[char]) -> (Option<Token>, usize) {
    let digits = |from: usize| text[from.min(text.len())..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut at = digits(0);
    while text.get(at) == Some(&',') && digits(at + 1) >= 3 {
        at += 4;
    }
    if text.get(at) == Some(&'.') && digits(at + 1) > 0 {
        at += 1 + digits(at + 1);
    }
    (Some(Token::Number(text[..at].iter().filter(|c| **c != ',').collect())), at)
}

/// `d` takes what follows it along: `dx` is one symbol.
fn letter(text: &[char]) -> (Option<Token>, usize) {
    let mut width = 1;
    if text[0] == 'd' {
        let spaces = text[1..].iter().take_while(|c| c.is_whitespace()).count();
        let after = &text[1 + spaces..];
        let length = match after.first() {
            Some(c) if c.is_ascii_alphabetic() => 1,
            Some('\\') => 1 + after[1..].iter().take_while(|c| c.is_ascii_alphabetic()).count(),
            _ => 0,
        };
        if length > 0 && after[..length] != ['\\'] {
            width = 1 + spaces + length;
        }
    }
    (Some(Token::Letter(text[..width].iter().filter(|c| !c.is_whitespace()).collect())), width)
}
