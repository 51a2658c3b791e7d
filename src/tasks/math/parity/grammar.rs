//! The grammar of the reference's LaTeX reader. Faithful to what it accepts: a letter before a bracket is a
//! function, products without a sign bind closer than a division, `i`, `e` and `\pi` are variables, and what
//! follows a complete expression is ignored as long as it consists of known tokens.

use super::tokens::{Token, tokens};
use crate::tasks::math::expression::{Expression, Function};
use crate::tasks::math::number::decimal;

const DEEPEST: u32 = 90;
const MOST_NODES: u32 = 2000;

/// Reads a normalised answer; `None` where the reference's reader fails.
pub(super) fn parse(text: &str) -> Option<Expression> {
    let mut reader = Reader { tokens: tokens(text)?, at: 0, depth: 0, nodes: 0, bars: 0 };
    let mut sides = vec![reader.sum()?];
    let mut signs = Vec::new();
    while let Some(sign) = reader.relation() {
        signs.push(sign);
        sides.push(reader.sum()?);
    }
    if reader.peek() == Some(&Token::Unknown) {
        return None;
    }
    if signs.is_empty() { sides.pop() } else { Some(Expression::Relation(sides, signs)) }
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    nodes: u32,
    bars: u32,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is(&self, sign: char) -> bool {
        self.peek() == Some(&Token::Sign(sign))
    }

    fn eat(&mut self, sign: char) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn name(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Command(name)) => Some(name),
            _ => None,
        }
    }

    fn eat_command(&mut self, names: &[&str]) -> bool {
        let found = self.name().is_some_and(|name| names.contains(&name));
        self.at += usize::from(found);
        found
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        self.nodes += 1;
        let result = if self.depth > DEEPEST || self.nodes > MOST_NODES { None } else { read(self) };
        self.depth -= 1;
        result
    }

    fn relation(&mut self) -> Option<crate::tasks::math::expression::Sign> {
        use crate::tasks::math::expression::Sign;
        let sign = match self.peek()? {
            Token::Sign('=') => Sign::Equal,
            Token::Sign('<') => Sign::Less,
            Token::Sign('>') => Sign::Greater,
            Token::Command(name) => match name.as_str() {
                "leq" | "le" | "leqq" | "leqslant" => Sign::LessEqual,
                "geq" | "ge" | "geqq" | "geqslant" => Sign::GreaterEqual,
                "neq" | "ne" => Sign::NotEqual,
                _ => return None,
            },
            _ => return None,
        };
        self.at += 1;
        Some(sign)
    }

    fn sum(&mut self) -> Option<Expression> {
        self.deeper(|reader| {
            let mut terms = vec![reader.product(false)?];
            loop {
                if reader.eat('+') {
                    terms.push(reader.product(false)?);
                } else if reader.eat('-') {
                    terms.push(reader.product(false)?.negated());
                } else {
                    return if terms.len() == 1 { terms.pop() } else { Some(Expression::Sum(terms)) };
                }
            }
        })
    }

    /// Factors with signs between them; `bare` inside the argument of a function without brackets.
    fn product(&mut self, bare: bool) -> Option<Expression> {
        let mut product = self.unary(bare)?;
        loop {
            if self.eat('*') || self.eat_command(&["times", "cdot"]) {
                product = Expression::Product(vec![product, self.unary(bare)?]);
            } else if self.eat('/') || self.eat(':') || self.eat_command(&["div"]) {
                product = product.quotient(self.unary(bare)?);
            } else {
                return Some(product);
            }
        }
    }

    fn unary(&mut self, bare: bool) -> Option<Expression> {
        if self.eat('+') {
            return self.deeper(|reader| reader.unary(bare));
        }
        if self.eat('-') {
            return self.deeper(|reader| reader.unary(bare)).map(Expression::negated);
        }
        let mut factors = vec![self.postfix()?];
        while self.starts(bare) {
            factors.push(self.postfix()?);
        }
        if factors.len() == 1 { factors.pop() } else { Some(Expression::Product(factors)) }
    }

    /// Whether the next token begins a factor; behind a bare function not another function.
    fn starts(&self, bare: bool) -> bool {
        match self.peek() {
            Some(Token::Number(_) | Token::Letter(_)) => true,
            Some(Token::Sign(sign)) => matches!(sign, '(' | '[' | '{') || *sign == '|' && self.bars == 0,
            Some(Token::Command(name)) => match name.as_str() {
                "{" | "frac" | "dfrac" | "tfrac" | "binom" | "dbinom" | "tbinom" | "lfloor" | "lceil" => true,
                "sqrt" => !bare,
                name if Function::named(name).is_some() => !bare,
                name => !RESERVED.contains(&name),
            },
            _ => false,
        }
    }

    fn postfix(&mut self) -> Option<Expression> {
        let mut value = self.deeper(Self::atom)?;
        loop {
            if self.eat('^') {
                let exponent = if self.is('{') { self.braces()? } else { self.deeper(Self::plain)? };
                value = Expression::Power(Box::new(value), Box::new(exponent));
            } else if self.eat('!') {
                value = Expression::Apply(Function::Factorial, vec![value]);
            } else {
                return Some(value);
            }
        }
    }

    fn braces(&mut self) -> Option<Expression> {
        if !self.eat('{') {
            return None;
        }
        let bars = std::mem::take(&mut self.bars);
        let inner = self.sum()?;
        self.bars = bars;
        self.eat('}').then_some(inner)
    }

    /// A number or a symbol: what may stand behind `^` and `_` without braces.
    fn plain(&mut self) -> Option<Expression> {
        let token = self.peek()?.clone();
        self.at += 1;
        match token {
            Token::Number(digits) => number(&digits),
            Token::Letter(name) => self.symbol(name),
            Token::Command(name) if name == "infty" => {
                Some(Expression::Constant(crate::tasks::math::expression::Constant::Infinity))
            }
            Token::Command(name)
                if !RESERVED.contains(&name.as_str()) && Function::named(&name).is_none() =>
            {
                self.symbol(format!("\\{name}"))
            }
            _ => None,
        }
    }

    fn symbol(&mut self, mut name: String) -> Option<Expression> {
        while self.eat('\'') {
            name.push('\'');
        }
        if self.eat('_') {
            let start = self.at;
            if self.is('{') {
                self.braces()?;
            } else {
                self.deeper(Self::plain)?;
            }
            name = format!("{name}_{:?}", &self.tokens[start..self.at]);
        }
        Some(Expression::symbol(&name))
    }

    fn atom(&mut self) -> Option<Expression> {
        if let Some(Token::Sign(open)) = self.peek() {
            let open = *open;
            self.at += 1;
            return self.group(open);
        }
        if let Some(name) = self.name().map(str::to_owned)
            && Self::is_reserved(&name)
        {
            return self.command(&name);
        }
        let called = matches!(self.peek(), Some(Token::Letter(_) | Token::Command(_)));
        let value = self.plain()?;
        if called
            && self.is('(')
            && let Expression::Symbol(name) = &value
        {
            self.at += 1;
            let mut arguments = vec![self.sum()?];
            while self.eat(',') {
                arguments.push(self.sum()?);
            }
            return self.eat(')').then(|| Expression::Unknown(name.clone(), arguments));
        }
        Some(value)
    }

    fn group(&mut self, open: char) -> Option<Expression> {
        let close = match open {
            '(' => ')',
            '[' => ']',
            '{' => '}',
            '|' => {
                self.bars += 1;
                let inner = self.sum();
                self.bars = self.bars.saturating_sub(1);
                let inner = inner?;
                return self.eat('|').then(|| Expression::Apply(Function::Abs, vec![inner]));
            }
            _ => return None,
        };
        let bars = std::mem::take(&mut self.bars);
        let inner = self.sum()?;
        self.bars = bars;
        self.eat(close).then_some(inner)
    }

    /// Whether a command is no symbol.
    fn is_reserved(name: &str) -> bool {
        function(name).is_some() || matches!(name, "{" | "exp" | "sqrt") || RESERVED.contains(&name)
    }

    fn command(&mut self, name: &str) -> Option<Expression> {
        self.at += 1;
        match name {
            "{" => self.enclosed("}", None),
            "lfloor" => self.enclosed("rfloor", Some(Function::Floor)),
            "lceil" => self.enclosed("rceil", Some(Function::Ceiling)),
            "frac" | "dfrac" | "tfrac" => self.part().and_then(|upper| Some(upper.quotient(self.part()?))),
            "binom" | "dbinom" | "tbinom" => self
                .braces()
                .and_then(|n| Some(Expression::Apply(Function::Binomial, vec![n, self.braces()?]))),
            "sqrt" => self.root(),
            "exp" => self.argument().map(|x| {
                let e = Expression::Constant(crate::tasks::math::expression::Constant::E);
                Expression::Power(Box::new(e), Box::new(x))
            }),
            _ => self.function(function(name)?, name),
        }
    }

    fn enclosed(&mut self, close: &str, function: Option<Function>) -> Option<Expression> {
        let inner = self.sum()?;
        self.eat_command(&[close]).then(|| match function {
            Some(function) => Expression::Apply(function, vec![inner]),
            None => inner,
        })
    }

    /// One part of a fraction: a group, or one digit.
    fn part(&mut self) -> Option<Expression> {
        if self.is('{') {
            return self.braces();
        }
        match self.peek()?.clone() {
            Token::Number(digits) if digits.len() == 1 => {
                self.at += 1;
                number(&digits)
            }
            Token::Letter(name) => {
                self.at += 1;
                Some(Expression::symbol(&name))
            }
            _ => None,
        }
    }

    fn root(&mut self) -> Option<Expression> {
        let degree = if self.eat('[') {
            let degree = self.sum()?;
            self.eat(']').then_some(degree)?
        } else {
            Expression::integer(2)
        };
        Some(Expression::Apply(Function::Root, vec![self.braces()?, degree]))
    }

    fn function(&mut self, function: Function, name: &str) -> Option<Expression> {
        let (mut below, mut above) = (None, None);
        loop {
            let slot = if self.eat('_') {
                &mut below
            } else if self.eat('^') {
                &mut above
            } else {
                break;
            };
            let value = if self.is('{') { self.braces()? } else { self.shared()? };
            *slot = Some(value);
        }
        let argument = self.argument()?;
        let inverse = above == Some(Expression::integer(-1));
        let function = if inverse { function.inverse()? } else { function };
        let mut arguments = vec![argument];
        if function == Function::Log {
            // The common logarithm, unless it is the natural one.
            match below {
                Some(base) => arguments.push(base),
                None if name == "ln" => {}
                None => arguments.push(Expression::integer(10)),
            }
        }
        let value = Expression::Apply(function, arguments);
        Some(match above {
            Some(above) if !inverse => Expression::Power(Box::new(value), Box::new(above)),
            _ => value,
        })
    }

    /// The atom behind `_` or `^` of a function. With nothing behind it that could be the argument, the last digit
    /// is: `\log_28` is the logarithm of 8, because the normalisation took the space away.
    fn shared(&mut self) -> Option<Expression> {
        if let Some(Token::Number(digits)) = self.peek()
            && digits.len() > 1
            && !digits.contains('.')
        {
            let (base, last) = digits.split_at(digits.len() - 1);
            let (base, last) = (base.to_owned(), last.to_owned());
            self.at += 1;
            let more = self.starts(false) || self.is('_') || self.is('^');
            self.at -= 1;
            if !more {
                self.tokens[self.at] = Token::Number(last);
                return number(&base);
            }
        }
        self.deeper(Self::plain)
    }

    fn argument(&mut self) -> Option<Expression> {
        if self.eat('(') {
            let bars = std::mem::take(&mut self.bars);
            let inner = self.sum()?;
            self.bars = bars;
            return self.eat(')').then_some(inner);
        }
        self.deeper(|reader| reader.product(true))
    }
}

/// Commands with a part in the grammar; all others are symbols.
const RESERVED: [&str; 33] = [
    "frac",
    "dfrac",
    "tfrac",
    "binom",
    "dbinom",
    "tbinom",
    "sqrt",
    "times",
    "cdot",
    "div",
    "leq",
    "le",
    "leqq",
    "leqslant",
    "geq",
    "ge",
    "geqq",
    "geqslant",
    "neq",
    "ne",
    "lfloor",
    "rfloor",
    "lceil",
    "rceil",
    "int",
    "sum",
    "prod",
    "lim",
    "to",
    "rightarrow",
    "Rightarrow",
    "{",
    "}",
];

/// A function of the grammar.
fn function(name: &str) -> Option<Function> {
    Function::named(name)
        .filter(|f| !matches!(f, Function::Gcd | Function::Lcm | Function::Max | Function::Min))
}

fn number(digits: &str) -> Option<Expression> {
    let value = decimal(digits)?;
    Some(if digits.contains('.') {
        Expression::Decimal { value, places: 0, significant: 0 }
    } else {
        Expression::Number(value)
    })
}
