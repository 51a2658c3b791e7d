//! Splits a LaTeX or plain answer into tokens. Tolerant: spacing commands and sizes vanish, look-alike
//! characters of Unicode become their commands, digits are grouped in all the ways people write them.

use super::expression::Function;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Digits with at most one point, and the digits of the period if they repeat.
    Number(String, Option<String>),
    /// One letter on its own.
    Letter(char),
    /// Two or more plain letters together.
    Word(String),
    /// The name after a backslash; `\\` is the row break.
    Command(String),
    /// What `\text{...}` and its kin hold.
    Text(String),
    /// Anything else that counts.
    Sign(char),
    Begin(String),
    End(String),
}

/// Longest answer that is read; a longer one is compared as text only.
const MOST_CHARACTERS: usize = 4000;
const MOST_TOKENS: usize = 2000;

/// The tokens; `None` when the text is too long or holds what no answer holds.
pub(super) fn tokens(text: &str) -> Option<Vec<Token>> {
    let characters: Vec<char> = text.chars().take(MOST_CHARACTERS + 1).collect();
    if characters.len() > MOST_CHARACTERS {
        return None;
    }
    let mut lexer = Lexer { text: &characters, at: 0, brackets: 0, environments: 0, out: Vec::new() };
    while lexer.at < lexer.text.len() {
        lexer.next()?;
        if lexer.out.len() > MOST_TOKENS {
            return None;
        }
    }
    Some(lexer.out)
}

struct Lexer<'a> {
    text: &'a [char],
    at: usize,
    /// Open round and square brackets: a comma inside separates, a comma outside may group digits.
    brackets: u32,
    environments: u32,
    out: Vec<Token>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.text.get(self.at + ahead).copied()
    }

    fn digit(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|c| c.is_ascii_digit())
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c))
    }

    fn sign(&mut self, sign: char, width: usize) {
        self.at += width;
        self.out.push(Token::Sign(sign));
    }

    fn command(&mut self, name: &str, width: usize) {
        self.at += width;
        self.out.push(Token::Command(name.to_owned()));
    }

    fn next(&mut self) -> Option<()> {
        let c = self.peek(0)?;
        match c {
            _ if c.is_whitespace() => self.at += 1,
            '0'..='9' => self.number(),
            '.' if self.digit(1) => self.number(),
            // A full stop, or the invisible bracket of `\right.`.
            '.' | '$' | '~' | '"' | '€' | '£' | '\u{200b}' => self.at += 1,
            'a'..='z' | 'A'..='Z' => self.letters(),
            '\\' => self.backslash()?,
            '<' if self.peek(1) == Some('=') => self.command("leq", 2),
            '>' if self.peek(1) == Some('=') => self.command("geq", 2),
            '!' if self.peek(1) == Some('=') => self.command("neq", 2),
            '*' if self.peek(1) == Some('*') => self.sign('^', 2),
            '(' | '[' => {
                self.brackets += 1;
                self.sign(c, 1);
            }
            ')' | ']' => {
                self.brackets = self.brackets.saturating_sub(1);
                self.sign(c, 1);
            }
            '+' | '-' | '*' | '/' | '^' | '_' | '{' | '}' | '|' | ',' | ';' | ':' | '!' | '=' | '<' | '>'
            | '&' | '\'' | '%' => self.sign(c, 1),
            '−' | '–' | '—' => self.sign('-', 1),
            '×' | '·' | '⋅' | '∗' => self.sign('*', 1),
            '÷' | '∕' => self.sign('/', 1),
            '²' => self.superscript('2'),
            '³' => self.superscript('3'),
            _ => self.command(look_alike(c)?, 1),
        }
        Some(())
    }

    fn superscript(&mut self, digit: char) {
        self.at += 1;
        self.out.push(Token::Sign('^'));
        self.out.push(Token::Number(digit.to_string(), None));
    }

    fn letters(&mut self) {
        let mut word = String::new();
        while let Some(c) = self.peek(0).filter(char::is_ascii_alphabetic) {
            word.push(c);
            self.at += 1;
        }
        let mut letters = word.chars();
        match (letters.next(), letters.next()) {
            (Some(only), None) => self.out.push(Token::Letter(only)),
            _ => self.out.push(Token::Word(word)),
        }
    }

    fn number(&mut self) {
        let mut digits = String::new();
        let mut grouped = false;
        loop {
            while let Some(c) = self.peek(0).filter(char::is_ascii_digit) {
                digits.push(c);
                self.at += 1;
            }
            if !grouped && (digits.is_empty() || digits.len() > 3 || digits.starts_with('0')) {
                break;
            }
            let Some(width) = self.group() else { break };
            self.at += width;
            grouped = true;
        }
        let mut period = None;
        if self.peek(0) == Some('.') {
            if self.digit(1) {
                digits.push('.');
                self.at += 1;
                while let Some(c) = self.peek(0).filter(char::is_ascii_digit) {
                    digits.push(c);
                    self.at += 1;
                }
            }
            let point = usize::from(!digits.contains('.'));
            for mark in ["\\overline{", "\\bar{", "\\overline ", "\\dot{"] {
                let start = point + mark.len();
                let shifted = Self { at: self.at + point, out: Vec::new(), ..*self };
                if !shifted.starts_with(mark) {
                    continue;
                }
                let repeated: String =
                    (start..).map_while(|i| self.peek(i).filter(char::is_ascii_digit)).collect();
                if !repeated.is_empty() {
                    self.at += start + repeated.len() + usize::from(mark.ends_with('{'));
                    period = Some(repeated);
                    break;
                }
            }
        }
        if digits.is_empty() && period.is_none() {
            // A lone point before something that is no digit.
            self.at += 1;
            return;
        }
        if digits.starts_with('.') {
            digits.insert(0, '0');
        }
        self.out.push(Token::Number(digits, period));
        self.exponent();
    }

    /// `e5` behind a number, as calculators write it.
    fn exponent(&mut self) {
        let signed = usize::from(matches!(self.peek(1), Some('+' | '-')));
        if !matches!(self.peek(0), Some('e' | 'E')) || !self.digit(1 + signed) {
            return;
        }
        let negative = self.peek(1) == Some('-');
        let exponent: String =
            (1 + signed..).map_while(|i| self.peek(i).filter(char::is_ascii_digit)).collect();
        self.at += 1 + signed + exponent.len();
        self.out.push(Token::Sign('*'));
        self.out.push(Token::Number("10".to_owned(), None));
        self.out.push(Token::Sign('^'));
        self.out.push(Token::Sign('{'));
        if negative {
            self.out.push(Token::Sign('-'));
        }
        self.out.push(Token::Number(exponent, None));
        self.out.push(Token::Sign('}'));
    }

    /// Width of a separator of thousands at the cursor: exactly three digits follow it.
    fn group(&self) -> Option<usize> {
        // A comma with nothing around it separates the parts of a point inside brackets.
        let bare: &[&str] = if self.brackets == 0 { &[",", " "] } else { &[] };
        let separators = ["{,}", "{, }", " {, }", " {,}", ",\\!", ",\\! ", "\\,", "\\ ", "\\!,"];
        separators.iter().chain(bare).map(|s| (s.chars().count(), *s)).find_map(|(width, separator)| {
            let digits = (0..4).take_while(|i| self.digit(width + i)).count();
            (digits == 3 && self.starts_with(separator)).then_some(width)
        })
    }

    fn backslash(&mut self) -> Option<()> {
        let Some(next) = self.peek(1) else {
            self.at += 1;
            return Some(());
        };
        if next == '\\' {
            // Outside a matrix a doubled backslash before a letter is an escaped one.
            let doubled = self.environments == 0 && self.peek(2).is_some_and(|c| c.is_ascii_alphabetic());
            self.at += 1;
            if !doubled {
                self.command("\\", 1);
            }
            return Some(());
        }
        if !next.is_ascii_alphabetic() {
            match next {
                '{' => self.command("{", 2),
                '}' => self.command("}", 2),
                '|' | '%' => self.sign(next, 2),
                // Spacing, money, and whatever else was escaped without need.
                _ => self.at += 2,
            }
            return Some(());
        }
        let mut name = String::new();
        self.at += 1;
        while let Some(c) = self.peek(0).filter(char::is_ascii_alphabetic) {
            name.push(c);
            self.at += 1;
        }
        match name.as_str() {
            "text" | "textbf" | "textit" | "textrm" | "textnormal" | "texttt" | "mbox" | "hbox"
            | "mathrm" | "rm" | "operatorname" => {
                let text = self.braced()?;
                let name = text.trim();
                let function = Function::named(name).is_some();
                self.out.push(if function { Token::Command(name.to_owned()) } else { Token::Text(text) });
            }
            "begin" | "end" => {
                let environment = self.braced()?;
                let environment = environment.trim().trim_end_matches('*').to_owned();
                if name == "begin" {
                    self.environments += 1;
                    self.out.push(Token::Begin(environment));
                } else {
                    self.environments = self.environments.saturating_sub(1);
                    self.out.push(Token::End(environment));
                }
            }
            "left" | "right" | "big" | "Big" | "bigg" | "Bigg" | "bigl" | "bigr" | "Bigl" | "Bigr"
            | "biggl" | "biggr" | "quad" | "qquad" | "displaystyle" | "textstyle" | "limits"
            | "thinspace" | "hline" | "phantom" | "boxed" | "fbox" | "space" => {}
            _ => self.out.push(Token::Command(name)),
        }
        Some(())
    }

    /// The text between braces at the cursor, or the next character when there are none.
    fn braced(&mut self) -> Option<String> {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        if self.peek(0) != Some('{') {
            let only = self.peek(0)?;
            self.at += 1;
            return Some(only.to_string());
        }
        let mut depth = 0_u32;
        let mut text = String::new();
        while let Some(c) = self.peek(0) {
            self.at += 1;
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(text);
            }
            if depth > 1 || c != '{' {
                text.push(c);
            }
        }
        Some(text)
    }
}

/// The command a character of Unicode stands for.
fn look_alike(c: char) -> Option<&'static str> {
    Some(match c {
        '≤' | '⩽' => "leq",
        '≥' | '⩾' => "geq",
        '≠' => "neq",
        '≈' => "approx",
        '∞' => "infty",
        '√' => "sqrt",
        '∪' => "cup",
        '∈' => "in",
        '°' => "degree",
        '±' => "pm",
        '∓' => "mp",
        '∅' => "emptyset",
        'ℝ' => "reals",
        'π' => "pi",
        'α' => "alpha",
        'β' => "beta",
        'γ' => "gamma",
        'δ' => "delta",
        'θ' => "theta",
        'λ' => "lambda",
        'μ' => "mu",
        'φ' | 'ϕ' => "phi",
        'ω' => "omega",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<String> {
        match tokens(text)?.as_slice() {
            [Token::Number(digits, None)] => Some(digits.clone()),
            _ => None,
        }
    }

    #[test]
    fn digits_are_grouped_as_people_write_them() {
        for text in
            ["1000000", "1,000,000", "1{,}000{,}000", "1,\\!000,\\! 000", "1 000 000", "1\\,000\\,000"]
        {
            assert_eq!(number(text).as_deref(), Some("1000000"), "{text}");
        }
        for text in ["32, 349", "1,22", "1,2,3", "0,111", "(1,234)", "1 0000"] {
            assert_eq!(number(text), None, "{text}");
        }
        assert_eq!(number(".5").as_deref(), Some("0.5"));
        assert_eq!(number("$13.$").as_deref(), Some("13"));
    }

    #[test]
    fn words_commands_and_texts_are_told_apart() {
        let expected = vec![
            Token::Command("frac".into()),
            Token::Number("94".into(), None),
            Token::Command("pi".into()),
            Token::Text(" cm".into()),
            Token::Sign('^'),
            Token::Number("2".into(), None),
        ];
        assert_eq!(tokens("\\left\\frac94\\pi\\text{ cm}²"), Some(expected));
        assert_eq!(tokens("\\\\frac"), Some(vec![Token::Command("frac".into())]));
        assert_eq!(tokens("0.\\overline{36}"), Some(vec![Token::Number("0".into(), Some("36".into()))]));
        assert_eq!(tokens("\u{7}"), None);
    }
}
