//! The smallest values: letters, fractions, roots, functions.

use super::Parser;
use crate::tasks::math::expression::{Constant, Expression, Function, REALS};
use crate::tasks::math::lexer::Token;
use crate::tasks::math::number::decimal;

/// Letters that are read as functions when a bracket follows.
const FUNCTION_LETTERS: [char; 6] = ['f', 'g', 'h', 'F', 'G', 'P'];
const GREEK: &str = " alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu \
    xi rho varrho sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi \
    Psi Omega ell hbar ";
pub(super) const FRACTIONS: [&str; 4] = ["frac", "dfrac", "tfrac", "cfrac"];
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
