//! Sums, products, powers and what stands behind a value.

use super::Parser;
use crate::tasks::math::expression::{Expression, Function};
use crate::tasks::math::lexer::Token;
use crate::tasks::math::number::small;

impl Parser {
    pub(super) fn additive(&mut self) -> Option<Expression> {
        self.deeper(|parser| {
            let mut terms = Vec::new();
            let mut first = true;
            loop {
                if parser.eat_command(&["pm", "mp"]) {
                    let flipped = parser.tokens.get(parser.at - 1) == Some(&Token::Command("mp".into()));
                    let term = parser.product()?;
                    let before = match terms.len() {
                        0 => Expression::integer(0),
                        _ => sum(std::mem::take(&mut terms)),
                    };
                    terms.push(Expression::PlusMinus(Box::new(before), Box::new(term), flipped));
                } else if parser.eat('+') {
                    terms.push(parser.product()?);
                } else if parser.eat('-') {
                    terms.push(parser.product()?.negated());
                } else if first {
                    terms.push(parser.product()?);
                } else {
                    return Some(sum(terms));
                }
                first = false;
            }
        })
    }

    fn product(&mut self) -> Option<Expression> {
        let mut factors = vec![self.signed()?];
        loop {
            if self.eat('*') || self.eat_command(&["cdot", "times", "ast", "bullet"]) {
                factors.push(self.signed()?);
            } else if self.eat('/') || self.eat_command(&["div"]) || self.ratio() {
                let by = self.signed()?;
                // A ratio of three numbers is no fraction.
                if self.is_sign(':') {
                    return None;
                }
                let divided = product(std::mem::take(&mut factors)).quotient(by);
                factors.push(divided);
            } else if let Some(scale) = self.scale() {
                factors.push(Expression::integer(scale));
            } else if let Some(unit) = self.unit(factors.last()) {
                let value = product(std::mem::take(&mut factors));
                factors.push(Expression::Quantity(Box::new(value), unit.into()));
            } else if self.is_plain_union(factors.last()) {
                return Some(product(factors));
            } else if self.starts_factor() {
                // Two numbers side by side are no product.
                if matches!(self.peek(), Some(Token::Number(..))) && factors.last().is_some_and(is_number) {
                    return None;
                }
                factors.push(self.postfix()?);
            } else {
                return Some(product(factors));
            }
        }
    }

    fn is_plain_union(&self, before: Option<&Expression>) -> bool {
        matches!(before, Some(Expression::Tuple(..))) && self.peek() == Some(&Token::Letter('U'))
    }

    /// A colon between two numbers divides, except in a time of day such as 1:03.
    fn ratio(&mut self) -> bool {
        let number = |token: Option<&Token>| matches!(token, Some(Token::Number(digits, _)) if digits == "0" || !digits.starts_with('0') || digits.contains('.'));
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let found = self.is_sign(':') && number(before) && number(self.tokens.get(self.at + 1));
        self.at += usize::from(found);
        found
    }

    fn signed(&mut self) -> Option<Expression> {
        if self.eat('-') {
            return self.deeper(Self::signed).map(Expression::negated);
        }
        if self.eat('+') {
            return self.deeper(Self::signed);
        }
        self.postfix()
    }

    /// Whether the next token can begin a factor that is multiplied without a sign.
    pub(super) fn starts_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Number(..) | Token::Letter(_) | Token::Begin(_) | Token::Sign('(' | '[' | '{')) => {
                true
            }
            Some(Token::Word(word)) => !matches!(word.as_str(), "and" | "or"),
            Some(Token::Sign('|')) => self.bars == 0,
            Some(Token::Command(name)) => super::atom::starts_value(name),
            _ => false,
        }
    }

    /// An atom with its powers, factorials and marks.
    pub(super) fn postfix(&mut self) -> Option<Expression> {
        let mut value = self.atom()?;
        loop {
            if self.eat('^') {
                if self.eat_command(&["circ", "degree", "prime"]) {
                    value = Expression::Quantity(Box::new(value), "°".into());
                    continue;
                }
                let braced = self.is_sign('{')
                    && matches!(self.tokens.get(self.at + 1), Some(Token::Command(c)) if c == "circ" || c == "degree")
                    && self.tokens.get(self.at + 2) == Some(&Token::Sign('}'));
                if braced {
                    self.at += 3;
                    value = Expression::Quantity(Box::new(value), "°".into());
                    continue;
                }
                let exponent = self.deeper(Self::exponent)?;
                value = Expression::Power(Box::new(value), Box::new(exponent));
            } else if self.eat('!') {
                value = Expression::Apply(Function::Factorial, vec![value]);
            } else if self.eat('%') || self.eat_command(&["percent"]) {
                value = Expression::Quantity(Box::new(value), "%".into());
            } else if self.eat_command(&["degree", "degrees"]) {
                value = Expression::Quantity(Box::new(value), "°".into());
            } else {
                return Some(value);
            }
        }
    }

    /// What stands behind `^`: a group, or one signed atom. Several digits belong together.
    fn exponent(&mut self) -> Option<Expression> {
        if self.eat('-') {
            return self.deeper(Self::exponent).map(Expression::negated);
        }
        let base = self.atom()?;
        if self.eat('^') {
            let above = self.deeper(Self::exponent)?;
            return Some(Expression::Power(Box::new(base), Box::new(above)));
        }
        Some(base)
    }

    /// The argument of a function written without brackets: factors up to a sign or another function.
    pub(super) fn bare_argument(&mut self) -> Option<Expression> {
        if self.eat('-') {
            return self.deeper(Self::bare_argument).map(Expression::negated);
        }
        let bracketed = self.is_sign('(') || self.is_sign('[');
        let mut factors = vec![self.deeper(Self::postfix)?];
        while !bracketed && self.starts_factor() && !self.starts_function() && !self.is_sign('(') {
            if matches!(self.peek(), Some(Token::Number(..))) && factors.last().is_some_and(is_number) {
                return None;
            }
            factors.push(self.postfix()?);
        }
        Some(product(factors))
    }

    fn starts_function(&self) -> bool {
        match self.peek() {
            Some(Token::Command(name) | Token::Word(name)) => Function::named(name).is_some(),
            _ => false,
        }
    }
}

fn is_number(value: &Expression) -> bool {
    value.number().is_some()
}

/// A whole number that is not negative, as the parts of a mixed number are.
pub(super) fn counting(value: &Expression) -> Option<i64> {
    match value {
        Expression::Number(number) => small(number).filter(|n| *n >= 0),
        _ => None,
    }
}

fn sum(mut terms: Vec<Expression>) -> Expression {
    if terms.len() == 1 { terms.remove(0) } else { Expression::Sum(terms) }
}

fn product(mut factors: Vec<Expression>) -> Expression {
    if factors.len() == 1 { factors.remove(0) } else { Expression::Product(factors) }
}
