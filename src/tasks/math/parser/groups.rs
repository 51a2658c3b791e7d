//! What stands in brackets or in an environment: groups, points, intervals, sets, matrices, systems.

use super::{Parser, single_or};
use crate::tasks::math::expression::{Expression, Function};
use crate::tasks::math::lexer::Token;

impl Parser {
    pub(super) fn group(&mut self, open: char) -> Option<Expression> {
        match open {
            '{' => {
                let bars = std::mem::take(&mut self.bars);
                let items = self.sequence()?;
                self.bars = bars;
                self.eat('}').then(|| single_or(items, Expression::List))
            }
            '(' | '[' => {
                let bars = std::mem::take(&mut self.bars);
                let mut items = self.sequence()?;
                self.bars = bars;
                let closed = if self.eat(']') {
                    true
                } else if self.eat(')') {
                    false
                } else {
                    return None;
                };
                if items.len() > 1 {
                    return Some(Expression::Tuple(items, open == '[', closed));
                }
                items.pop().filter(|_| (open == '[') == closed)
            }
            '|' => {
                self.bars += 1;
                let inner = self.additive();
                self.bars = self.bars.saturating_sub(1);
                let inner = inner?;
                self.eat('|').then(|| Expression::Apply(Function::Abs, vec![inner]))
            }
            _ => None,
        }
    }

    /// `\{a, b\}`, or what stands behind the bar of `\{x \mid x > 0\}`.
    pub(super) fn set(&mut self) -> Option<Expression> {
        let close = ["}", "rbrace"];
        if self.eat_command(&close) {
            return Some(Expression::Set(Vec::new()));
        }
        let bars = std::mem::replace(&mut self.bars, 1);
        let items = self.sequence()?;
        self.bars = bars;
        if self.eat('|') || self.eat(':') || self.eat_command(&["mid", "vert"]) {
            let condition = single_or(self.sequence()?, Expression::List);
            return self.eat_command(&close).then_some(condition);
        }
        self.eat_command(&close).then_some(Expression::Set(items))
    }

    /// Equations below each other.
    fn lines(&mut self) -> Option<Expression> {
        let mut lines = Vec::new();
        loop {
            if matches!(self.peek(), Some(Token::End(_))) {
                self.at += 1;
                return Some(single_or(lines, Expression::List));
            }
            if !self.eat_command(&["\\"]) && !self.eat('&') && !self.eat(',') {
                lines.push(self.statement()?);
            }
        }
    }

    pub(super) fn matrix(&mut self, environment: &str) -> Option<Expression> {
        match environment {
            "cases" | "aligned" | "align" | "gathered" => return self.lines(),
            "pmatrix" | "bmatrix" | "matrix" | "Bmatrix" | "smallmatrix" => {}
            // The columns of an array are of no interest.
            "array" => {
                while !self.eat('}') {
                    self.next()?;
                }
            }
            _ => return None,
        }
        let mut rows = vec![Vec::new()];
        loop {
            if matches!(self.peek(), Some(Token::End(_))) {
                self.at += 1;
                break;
            }
            if self.eat_command(&["\\"]) {
                rows.push(Vec::new());
            } else if self.eat('&') {
            } else {
                let cell = self.additive()?;
                rows.last_mut()?.push(cell);
            }
        }
        rows.retain(|row| !row.is_empty());
        let width = rows.first()?.len();
        rows.iter().all(|row| row.len() == width).then_some(Expression::Matrix(rows))
    }
}
