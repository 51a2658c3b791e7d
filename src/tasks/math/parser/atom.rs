//! The smallest values: numbers, letters, groups, fractions, roots, functions, matrices.

use super::scalar::counting;
use super::{Parser, single_or};
use crate::tasks::math::expression::{Constant, Expression, Function, REALS};
use crate::tasks::math::lexer::Token;
use crate::tasks::math::number::{decimal, power, whole};

/// Letters that are read as functions when a bracket follows.
const FUNCTION_LETTERS: [char; 6] = ['f', 'g', 'h', 'F', 'G', 'P'];
const GREEK: &str = " alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu \
    xi rho varrho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi \
    Psi Omega ell hbar ";
const FRACTIONS: [&str; 4] = ["frac", "dfrac", "tfrac", "cfrac"];
const FONTS: [&str; 12] = [
    "mathbf",
    "mathit",
    "mathcal",
    "mathsf",
    "mathbb",
    "boldsymbol",
    "vec",
    "hat",
    "overline",
    "overrightarrow",
    "bar",
    "widehat",
];

/// Whether a command begins a value; the others are signs, marks or nothing we know.
pub(super) fn starts_value(name: &str) -> bool {
    FRACTIONS.contains(&name)
        || FONTS.contains(&name)
        || Function::named(name).is_some()
        || matches!(
            name,
            "sqrt"
                | "binom"
                | "dbinom"
                | "tbinom"
                | "pi"
                | "infty"
                | "{"
                | "lfloor"
                | "lceil"
                | "langle"
                | "lvert"
                | "lbrace"
                | "emptyset"
                | "varnothing"
                | "exp"
                | "reals"
                | "imath"
        )
        || is_greek(name)
}

fn is_greek(name: &str) -> bool {
    GREEK.split_ascii_whitespace().any(|letter| letter == name)
}

impl Parser {
    pub(super) fn atom(&mut self) -> Option<Expression> {
        self.deeper(|parser| match parser.next()? {
            Token::Number(digits, period) => parser.number(&digits, period.as_deref()),
            Token::Letter(letter) => parser.letter(letter),
            Token::Word(word) => parser.word(&word),
            Token::Text(text) => Some(super::units::text(&text)),
            Token::Command(name) => parser.command(&name),
            Token::Sign(sign) => parser.group(sign),
            Token::Begin(environment) => parser.matrix(&environment),
            Token::End(_) => None,
        })
    }

    fn number(&mut self, digits: &str, period: Option<&str>) -> Option<Expression> {
        let value = decimal(digits)?;
        let places = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        if let Some(period) = period {
            // The period p of n digits adds p / (10^n - 1), shifted behind the digits that do not repeat.
            let nines = power(&whole(10), period.len() as i64)? - whole(1);
            let shift = power(&whole(10), -(places as i64))?;
            return Some(Expression::Number(value + decimal(period)? / nines * shift));
        }
        if self.is_sign('_') {
            return self.based(digits);
        }
        if places > 0 {
            let significant =
                digits.trim_start_matches(['0', '.']).bytes().filter(u8::is_ascii_digit).count();
            return Some(Expression::Decimal {
                value,
                places: places as u32,
                significant: significant as u32,
            });
        }
        Some(match self.mixed() {
            Some((numerator, denominator)) => {
                Expression::Number(value + whole(numerator) / whole(denominator))
            }
            None => Expression::Number(value),
        })
    }

    /// A proper fraction directly behind a whole number, which adds to it: `3\frac12` or `3 1/2`.
    fn mixed(&mut self) -> Option<(i64, i64)> {
        if !self.is_command(&FRACTIONS) && !matches!(self.peek(), Some(Token::Number(..))) {
            return None;
        }
        let start = (self.at, self.tokens.clone());
        let parts = if self.eat_command(&FRACTIONS) {
            self.argument().and_then(|numerator| Some((counting(&numerator)?, counting(&self.argument()?)?)))
        } else {
            let part = |at: usize| match self.tokens.get(at) {
                Some(Token::Number(digits, None)) => digits.parse().ok(),
                _ => None,
            };
            let slash = self.tokens.get(self.at + 1) == Some(&Token::Sign('/'));
            let parts = part(self.at).zip(part(self.at + 2)).filter(|_| slash);
            self.at += if parts.is_some() { 3 } else { 0 };
            parts
        };
        let proper = parts.filter(|(numerator, denominator)| 0 < *numerator && numerator < denominator);
        if proper.is_none() {
            (self.at, self.tokens) = start;
        }
        proper
    }

    /// `12_5`, `12_{5}`, `12_{\text{five}}`.
    fn based(&mut self, digits: &str) -> Option<Expression> {
        self.at += 1;
        let braced = self.eat('{');
        let base = match self.next()? {
            Token::Number(base, None) => base.parse().ok()?,
            Token::Text(name) | Token::Word(name) => base_named(name.trim())?,
            _ => return None,
        };
        if braced && !self.eat('}') {
            return None;
        }
        Some(Expression::Based(digits.trim_start_matches('0').into(), base))
    }

    fn letter(&mut self, letter: char) -> Option<Expression> {
        let name = self.subscripted(letter.to_string())?;
        if FUNCTION_LETTERS.contains(&letter) && self.is_sign('(') {
            return self.applied(&name);
        }
        Some(match name.as_str() {
            "e" => Expression::Constant(Constant::E),
            "i" => Expression::Constant(Constant::I),
            _ => Expression::Symbol(name.into()),
        })
    }

    fn applied(&mut self, name: &str) -> Option<Expression> {
        self.at += 1;
        let arguments = self.sequence()?;
        self.eat(')').then(|| Expression::Unknown(name.into(), arguments))
    }

    /// The name with its subscript and primes.
    fn subscripted(&mut self, mut name: String) -> Option<String> {
        while self.is_sign('_') || self.is_sign('\'') {
            if self.eat('\'') {
                name.push('\'');
                continue;
            }
            self.at += 1;
            let start = self.at;
            self.argument()?;
            name.push('_');
            for token in &self.tokens[start..self.at] {
                match token {
                    Token::Number(text, _) | Token::Word(text) | Token::Command(text) | Token::Text(text) => {
                        name.push_str(text);
                    }
                    Token::Sign('{' | '}') => {}
                    Token::Letter(c) | Token::Sign(c) => name.push(*c),
                    Token::Begin(_) | Token::End(_) => return None,
                }
            }
        }
        Some(name)
    }

    /// Letters that stand together: a known name, or a product of variables.
    fn word(&mut self, word: &str) -> Option<Expression> {
        match word {
            "sqrt" | "pi" | "infty" | "exp" => return self.command(word),
            "inf" | "infinity" | "oo" => return Some(Expression::Constant(Constant::Infinity)),
            _ if Function::named(word).is_some() => return self.command(word),
            _ => {}
        }
        // The last letter is read again, for what may stand behind it.
        let mut letters: Vec<char> = word.chars().collect();
        let last = letters.pop()?;
        let mut factors = Vec::new();
        for letter in letters {
            factors.push(match letter {
                'e' => Expression::Constant(Constant::E),
                'i' => Expression::Constant(Constant::I),
                other => Expression::symbol(&other.to_string()),
            });
        }
        let mut last = self.letter(last)?;
        if self.eat('^') {
            let exponent = self.argument()?;
            last = Expression::Power(Box::new(last), Box::new(exponent));
        }
        factors.push(last);
        Some(Expression::Product(factors))
    }

    fn command(&mut self, name: &str) -> Option<Expression> {
        if FRACTIONS.contains(&name) {
            let numerator = self.argument()?;
            return Some(numerator.quotient(self.argument()?));
        }
        if FONTS.contains(&name) {
            return self.font(name);
        }
        if let Some(function) = Function::named(name) {
            return self.function(function, name != "ln");
        }
        Some(match name {
            "sqrt" => {
                let degree = if self.eat('[') {
                    let degree = self.additive()?;
                    self.eat(']').then_some(degree)?
                } else {
                    Expression::integer(2)
                };
                // `sqrt(x)` of plain text, and TeX's one token.
                let radicand = if self.is_sign('(') { self.atom()? } else { self.argument()? };
                Expression::Apply(Function::Root, vec![radicand, degree])
            }
            "binom" | "dbinom" | "tbinom" => {
                let n = self.argument()?;
                Expression::Apply(Function::Binomial, vec![n, self.argument()?])
            }
            "pi" => Expression::Constant(Constant::Pi),
            "infty" => Expression::Constant(Constant::Infinity),
            "imath" => Expression::Constant(Constant::I),
            "emptyset" | "varnothing" => Expression::Set(Vec::new()),
            "reals" => Expression::symbol(REALS),
            "angle" | "measuredangle" | "triangle" => match self.next()? {
                Token::Word(points) => Expression::symbol(&format!("{name} {points}")),
                Token::Letter(point) => Expression::symbol(&format!("{name} {point}")),
                _ => return None,
            },
            "exp" => {
                let exponent = self.bare_argument()?;
                Expression::Power(Box::new(Expression::Constant(Constant::E)), Box::new(exponent))
            }
            "{" | "lbrace" => self.set()?,
            "langle" => {
                let items = self.sequence()?;
                self.eat_command(&["rangle"]).then_some(Expression::Tuple(items, false, false))?
            }
            "lfloor" => self.closed("rfloor", Function::Floor)?,
            "lceil" => self.closed("rceil", Function::Ceiling)?,
            "lvert" => self.closed("rvert", Function::Abs)?,
            _ if is_greek(name) => {
                let name = self.subscripted(name.to_owned())?;
                Expression::Symbol(name.into())
            }
            // What nobody knows is a symbol as long as it stands alone.
            _ if name.chars().all(|c| c.is_ascii_alphabetic()) && !NO_SYMBOLS.contains(&name) => {
                Expression::symbol(name)
            }
            _ => return None,
        })
    }

    fn closed(&mut self, end: &str, function: Function) -> Option<Expression> {
        let inner = self.additive()?;
        self.eat_command(&[end]).then(|| Expression::Apply(function, vec![inner]))
    }

    /// A symbol in another type or with a mark on it.
    fn font(&mut self, name: &str) -> Option<Expression> {
        let start = self.at;
        self.argument()?;
        let mut inner = String::new();
        for token in &self.tokens[start..self.at] {
            match token {
                Token::Number(text, _) | Token::Word(text) | Token::Command(text) | Token::Text(text) => {
                    inner.push_str(text);
                }
                Token::Letter(c) => inner.push(*c),
                Token::Sign('{' | '}') => {}
                _ => return None,
            }
        }
        if inner.bytes().all(|b| b.is_ascii_digit()) {
            // A digit in bold is a digit.
            return decimal(&inner).map(Expression::Number);
        }
        if name == "overline" && inner.len() > 1 && inner.bytes().all(|b| b.is_ascii_uppercase()) {
            // The length of a segment is written with and without the bar.
            return self.word(&inner);
        }
        let plain = matches!(name, "overline" | "mathit" | "bar");
        let name = if plain { inner } else { format!("\\{name}{{{inner}}}") };
        Some(Expression::Symbol(self.subscripted(name)?.into()))
    }

    fn function(&mut self, function: Function, common: bool) -> Option<Expression> {
        let mut function = function;
        let mut base = None;
        let mut raised = None;
        loop {
            if self.eat('_') {
                base = Some(self.argument()?);
            } else if self.eat('^') {
                raised = Some(self.argument()?);
            } else {
                break;
            }
        }
        if raised == Some(Expression::integer(-1)) {
            function = function.inverse()?;
            raised = None;
        }
        let mut arguments = if self.is_sign('(') && takes_several(function) {
            self.at += 1;
            let items = self.sequence()?;
            self.eat(')').then_some(items)?
        } else {
            vec![self.bare_argument()?]
        };
        if function == Function::Log {
            // The school's logarithm has base ten.
            arguments.extend(base.or_else(|| common.then(|| Expression::integer(10))));
        } else if base.is_some() {
            return None;
        }
        let value = Expression::Apply(function, arguments);
        Some(match raised {
            Some(exponent) => Expression::Power(Box::new(value), Box::new(exponent)),
            None => value,
        })
    }

    /// One argument of a command: a group, or the next atom, of a number only its first digit.
    pub(super) fn argument(&mut self) -> Option<Expression> {
        if let Some(Token::Number(digits, None)) = self.peek()
            && digits.len() > 1
            && !digits.contains('.')
        {
            let (first, rest) = (digits[..1].to_owned(), digits[1..].to_owned());
            self.tokens[self.at] = Token::Number(rest, None);
            return decimal(&first).map(Expression::Number);
        }
        if self.is_sign('-') {
            self.at += 1;
            return self.deeper(Self::argument).map(Expression::negated);
        }
        self.atom()
    }

    fn group(&mut self, open: char) -> Option<Expression> {
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
    fn set(&mut self) -> Option<Expression> {
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

    fn matrix(&mut self, environment: &str) -> Option<Expression> {
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

/// Commands that must not pass for symbols.
const NO_SYMBOLS: [&str; 24] = [
    "cap",
    "setminus",
    "sum",
    "int",
    "prod",
    "lim",
    "to",
    "rightarrow",
    "Rightarrow",
    "implies",
    "mid",
    "notin",
    "subset",
    "subseteq",
    "rangle",
    "rfloor",
    "rceil",
    "rvert",
    "ldots",
    "cdots",
    "dots",
    "circ",
    "pmod",
    "bmod",
];

fn takes_several(function: Function) -> bool {
    matches!(function, Function::Gcd | Function::Lcm | Function::Max | Function::Min)
}

fn base_named(name: &str) -> Option<u32> {
    let names = [
        "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
        "thirteen", "fourteen", "fifteen", "sixteen",
    ];
    names.iter().position(|known| *known == name).map(|index| index as u32 + 2)
}
