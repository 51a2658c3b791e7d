//! Reads tokens into an expression: values, and the structures that answers are made of.
//!
//! Tolerant where people are loose (`\frac12`, `x^10`, missing closing brackets at the end of a unit), but what is
//! not understood as a whole is not understood at all: half an answer would be compared as a whole one.

mod atom;
mod groups;
mod number;
mod scalar;
mod units;

use super::expression::{Expression, Sign};
use super::lexer::{Token, tokens};

/// Deepest nesting that is followed.
const DEEPEST: u32 = 90;
/// Nodes of one answer.
const MOST_NODES: u32 = 2000;

/// Reads an answer; `None` when it is no mathematics, or too deep or long to look at.
pub(super) fn parse(text: &str) -> Option<Expression> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, nodes: 0, bars: 0 };
    let items = parser.sequence()?;
    (parser.at == parser.tokens.len()).then(|| single_or(items, Expression::List))
}

fn single_or(mut items: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match items.pop() {
        Some(only) if items.is_empty() => only,
        Some(last) => {
            items.push(last);
            many(items)
        }
        None => many(items),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    nodes: u32,
    /// Open bars of absolute values.
    bars: u32,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn is_sign(&self, sign: char) -> bool {
        self.peek() == Some(&Token::Sign(sign))
    }

    fn is_command(&self, names: &[&str]) -> bool {
        matches!(self.peek(), Some(Token::Command(name)) if names.contains(&name.as_str()))
    }

    fn eat(&mut self, sign: char) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn eat_command(&mut self, names: &[&str]) -> bool {
        let found = self.is_command(names);
        self.at += usize::from(found);
        found
    }

    /// Counts a node and goes one level down while `read` works.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        self.nodes += 1;
        let result = if self.depth > DEEPEST || self.nodes > MOST_NODES { None } else { read(self) };
        self.depth -= 1;
        result
    }

    /// Items separated by commas, semicolons, "and" or "or"; at least one. "x = 1, 2" and an empty item
    /// before a connective ("1, 2, and 3") are as people write them.
    fn sequence(&mut self) -> Option<Vec<Expression>> {
        let mut items = vec![self.statement()?];
        loop {
            let mut separated = false;
            while self.separator() {
                separated = true;
            }
            if !separated {
                return Some(items);
            }
            // A separator at the end belongs to the sentence.
            if self.peek().is_none() {
                return Some(items);
            }
            items.push(self.statement()?);
        }
    }

    fn separator(&mut self) -> bool {
        let connects = |text: &str| {
            matches!(text.trim().trim_matches(',').trim(), "and" | "or" | "" | "&")
                && !text.trim_matches(' ').is_empty()
        };
        let found = match self.peek() {
            Some(Token::Sign(',' | ';')) => true,
            Some(Token::Text(text) | Token::Word(text)) => connects(text),
            Some(Token::Command(name)) => matches!(name.as_str(), "land" | "lor" | "wedge" | "vee"),
            _ => false,
        };
        self.at += usize::from(found);
        found
    }

    /// A value, or a chain of relations between values.
    pub(super) fn statement(&mut self) -> Option<Expression> {
        self.deeper(|parser| {
            // "= 5" and "≈ 5" as the end of a calculation that stands elsewhere.
            if parser.eat('=') || parser.eat_command(&["approx"]) {
                return parser.union();
            }
            let mut sides = vec![parser.union()?];
            let mut signs = Vec::new();
            loop {
                if parser.eat_command(&["in"]) {
                    // `x \in S` says that the answer is `S`.
                    sides = vec![parser.union()?];
                    signs.clear();
                    continue;
                }
                let Some(sign) = parser.sign() else { break };
                signs.push(sign);
                sides.push(parser.union()?);
            }
            if signs.is_empty() { sides.pop() } else { Some(Expression::Relation(sides, signs)) }
        })
    }

    fn sign(&mut self) -> Option<Sign> {
        let sign = match self.peek()? {
            Token::Sign('=') => Sign::Equal,
            Token::Sign('<') => Sign::Less,
            Token::Sign('>') => Sign::Greater,
            Token::Command(name) => match name.as_str() {
                "lt" => Sign::Less,
                "gt" => Sign::Greater,
                "le" | "leq" | "leqslant" | "leqq" => Sign::LessEqual,
                "ge" | "geq" | "geqslant" | "geqq" => Sign::GreaterEqual,
                "ne" | "neq" => Sign::NotEqual,
                "approx" | "simeq" | "sim" => Sign::Approximate,
                "equiv" => Sign::Equal,
                _ => return None,
            },
            _ => return None,
        };
        self.at += 1;
        // `\leq\, =` and `> =` in two tokens.
        Some(match sign {
            Sign::Less if self.eat('=') => Sign::LessEqual,
            Sign::Greater if self.eat('=') => Sign::GreaterEqual,
            sign => sign,
        })
    }

    fn union(&mut self) -> Option<Expression> {
        let mut pieces = vec![self.additive()?];
        loop {
            if self.eat_command(&["cup"]) || self.plain_union(pieces.last()) {
                pieces.push(self.additive()?);
            } else if self.eat_command(&["setminus", "backslash", "smallsetminus"]) {
                let whole = single_or(std::mem::take(&mut pieces), Expression::Union);
                let taken = self.additive()?;
                pieces.push(Expression::Without(Box::new(whole), Box::new(taken)));
            } else {
                return Some(single_or(pieces, Expression::Union));
            }
        }
    }

    /// `(0,1) U (2,3)`, with a plain letter.
    fn plain_union(&mut self, before: Option<&Expression>) -> bool {
        let bracket = matches!(self.tokens.get(self.at + 1), Some(Token::Sign('(' | '[')));
        let found = bracket
            && matches!(before, Some(Expression::Tuple(..)))
            && self.peek() == Some(&Token::Letter('U'));
        self.at += usize::from(found);
        found
    }
}
