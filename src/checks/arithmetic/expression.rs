//! Calculations: found in a question, and evaluated.

use super::ratio::Ratio;

/// Brackets and signs within each other at most.
const DEPTH: u32 = 32;

/// A piece of a calculation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Number(Ratio),
    Plus,
    Minus,
    Times,
    Over,
    Power,
    Open,
    Close,
}

/// Words around a calculation that ask for its value and say nothing else.
const ASKING: &[&str] = &[
    "what",
    "is",
    "what's",
    "calculate",
    "compute",
    "evaluate",
    "find",
    "the",
    "value",
    "of",
    "result",
    "expression",
    "solve",
    "simplify",
    "please",
    "equals",
    "equal",
    "to",
    "how",
    "much",
];

/// The calculation a question consists of, if it is one: at least one operation, and nothing but asking words
/// around it.
pub(super) fn of_question(question: &str) -> Option<Vec<Token>> {
    let text = question.to_lowercase();
    let text = text.trim().trim_end_matches(['?', '.', '!', '=', ' ']).replace('$', " ");
    if let Some(tokens) = commanded(&text) {
        return Some(tokens);
    }
    let text = text.replace("multiplied by", "*").replace("divided by", "/");
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        let word = word.trim_end_matches([':', ',']);
        match word {
            "plus" => tokens.push(Token::Plus),
            "minus" => tokens.push(Token::Minus),
            "times" | "x" | "\\times" | "\\cdot" => tokens.push(Token::Times),
            "over" | "\\div" => tokens.push(Token::Over),
            _ if ASKING.contains(&word) && tokens.is_empty() => {}
            _ => tokens.extend(pieces(word)?),
        }
    }
    let operates =
        |t: &Token| matches!(t, Token::Plus | Token::Minus | Token::Times | Token::Over | Token::Power);
    let numbers = tokens.iter().filter(|t| matches!(t, Token::Number(_))).count();
    (numbers >= 2 && tokens.iter().any(operates)).then_some(tokens)
}

/// `add 2 and 3`, `subtract 2 from 3`, `multiply 2 by 3`, `divide 2 by 3`.
fn commanded(text: &str) -> Option<Vec<Token>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let &[verb, first, link, second] = words.as_slice() else { return None };
    let (a, b) = (Token::Number(Ratio::read(first)?.0), Token::Number(Ratio::read(second)?.0));
    match (verb, link) {
        ("add", "and" | "to") => Some(vec![a, Token::Plus, b]),
        ("subtract", "from") => Some(vec![b, Token::Minus, a]),
        ("multiply", "by" | "and") => Some(vec![a, Token::Times, b]),
        ("divide", "by") => Some(vec![a, Token::Over, b]),
        _ => None,
    }
}

/// A word that is all numbers and signs.
fn pieces(word: &str) -> Option<Vec<Token>> {
    let chars: Vec<char> = word.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        tokens.push(match c {
            '+' => Token::Plus,
            '-' | '−' | '–' => Token::Minus,
            '*' | '×' | '·' => Token::Times,
            '/' | '÷' => Token::Over,
            '^' => Token::Power,
            '(' => Token::Open,
            ')' => Token::Close,
            '0'..='9' => {
                let number = |c: &char| c.is_ascii_digit() || matches!(c, '.' | ',');
                let end = chars[at..].iter().position(|c| !number(c)).map_or(chars.len(), |n| at + n);
                let text: String = chars[at - 1..end].iter().collect();
                at = end;
                Token::Number(Ratio::read(&text)?.0)
            }
            _ => return None,
        });
    }
    Some(tokens)
}

/// The two whole numbers of a calculation that is one division, the second of them positive.
pub(super) fn division(tokens: &[Token]) -> Option<(i128, i128)> {
    match tokens {
        [Token::Number(a), Token::Over, Token::Number(b)] => {
            let (a, b) = (a.whole()?, b.whole()?);
            (b > 0).then_some((a, b))
        }
        _ => None,
    }
}

/// The value, with the usual precedence; `None` where the calculation is malformed, divides by 0 or needs
/// larger numbers than there are.
pub(super) fn evaluate(tokens: &[Token]) -> Option<Ratio> {
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let value = parser.sum()?;
    (parser.at == tokens.len()).then_some(value)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: u32,
}

impl Parser<'_> {
    fn take(&mut self, token: Token) -> bool {
        let found = self.tokens.get(self.at) == Some(&token);
        self.at += usize::from(found);
        found
    }

    fn sum(&mut self) -> Option<Ratio> {
        let mut value = self.product()?;
        loop {
            if self.take(Token::Plus) {
                value = value.add(self.product()?)?;
            } else if self.take(Token::Minus) {
                value = value.add(self.product()?.negated())?;
            } else {
                return Some(value);
            }
        }
    }

    fn product(&mut self) -> Option<Ratio> {
        let mut value = self.signed()?;
        loop {
            if self.take(Token::Times) {
                value = value.times(self.signed()?)?;
            } else if self.take(Token::Over) {
                value = value.over(self.signed()?)?;
            } else {
                return Some(value);
            }
        }
    }

    /// A sign binds less than a power: the square of a negative number needs brackets.
    fn signed(&mut self) -> Option<Ratio> {
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        let value = if self.take(Token::Minus) { self.signed()?.negated() } else { self.power()? };
        self.depth -= 1;
        Some(value)
    }

    fn power(&mut self) -> Option<Ratio> {
        let base = self.atom()?;
        if self.take(Token::Power) { base.power(self.signed()?) } else { Some(base) }
    }

    fn atom(&mut self) -> Option<Ratio> {
        if self.take(Token::Open) {
            let value = self.sum()?;
            return self.take(Token::Close).then_some(value);
        }
        match self.tokens.get(self.at) {
            Some(Token::Number(number)) => {
                self.at += 1;
                Some(*number)
            }
            _ => None,
        }
    }
}
