//! Rust source to the few tokens that paths are made of. Comments, doc comments, strings, characters,
//! numbers and lifetimes never become identifiers.

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier or keyword; a raw identifier without its `r#`.
    Ident(String),
    /// `::`
    PathSep,
    /// Any other single character.
    Punct(char),
    /// A literal or a lifetime.
    Other,
}

/// A token and the line it begins on, counted from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) line: usize,
}

/// Splits source text into tokens. Text that is no valid Rust gives some tokens, never a panic.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { chars: source.chars().collect(), at: 0, line: 1, found: Vec::new() };
    while lexer.peek(0).is_some() {
        lexer.token();
    }
    lexer.found
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Token>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek(0) == Some('\n') {
                self.line += 1;
            }
            self.at += 1;
        }
    }

    fn push(&mut self, kind: Kind, line: usize) {
        self.found.push(Token { kind, line });
    }

    fn token(&mut self) {
        let Some(first) = self.peek(0) else { return };
        let line = self.line;
        match (first, self.peek(1)) {
            (space, _) if space.is_whitespace() => self.skip(1),
            ('/', Some('/')) => self.line_comment(),
            ('/', Some('*')) => self.block_comment(),
            ('"', _) => {
                self.string();
                self.push(Kind::Other, line);
            }
            ('\'', _) => {
                self.character_or_lifetime();
                self.push(Kind::Other, line);
            }
            (':', Some(':')) => {
                self.skip(2);
                self.push(Kind::PathSep, line);
            }
            (digit, _) if digit.is_ascii_digit() => {
                self.word();
                self.push(Kind::Other, line);
            }
            (start, _) if is_word(start) => self.identifier(line),
            (other, _) => {
                self.skip(1);
                self.push(Kind::Punct(other), line);
            }
        }
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.skip(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while let Some(first) = self.peek(0) {
            match (first, self.peek(1)) {
                ('/', Some('*')) => {
                    depth += 1;
                    self.skip(2);
                }
                ('*', Some('/')) => {
                    depth -= 1;
                    self.skip(2);
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.skip(1),
            }
        }
    }

    /// At the opening quote of a string with escapes.
    fn string(&mut self) {
        self.skip(1);
        while let Some(next) = self.peek(0) {
            match next {
                '\\' => self.skip(2),
                '"' => return self.skip(1),
                _ => self.skip(1),
            }
        }
    }

    /// At the first `#` or the quote of a raw string.
    fn raw_string(&mut self) {
        let mut hashes = 0;
        while self.peek(hashes) == Some('#') {
            hashes += 1;
        }
        self.skip(hashes + 1);
        while let Some(next) = self.peek(0) {
            self.skip(1);
            if next == '"' && (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                return self.skip(hashes);
            }
        }
    }

    /// At a single quote.
    fn character_or_lifetime(&mut self) {
        if self.peek(1) == Some('\\') {
            self.skip(3);
            while self.peek(0).is_some_and(|c| c != '\'') {
                self.skip(1);
            }
            self.skip(1);
        } else if self.peek(2) == Some('\'') {
            self.skip(3);
        } else {
            self.skip(1);
            self.word();
        }
    }

    fn word(&mut self) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(is_word) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn identifier(&mut self, line: usize) {
        let word = self.word();
        let raw_quote = (0..).find_map(|ahead| match self.peek(ahead) {
            Some('#') => None,
            other => Some(other == Some('"')),
        });
        let kind = match (word.as_str(), self.peek(0)) {
            ("r" | "br" | "cr", Some('"' | '#')) if raw_quote == Some(true) => {
                self.raw_string();
                Kind::Other
            }
            ("b" | "c", Some('"')) => {
                self.string();
                Kind::Other
            }
            ("b", Some('\'')) => {
                self.character_or_lifetime();
                Kind::Other
            }
            ("r", Some('#')) if self.peek(1).is_some_and(is_word) => {
                self.skip(1);
                Kind::Ident(self.word())
            }
            _ => Kind::Ident(word),
        };
        self.push(kind, line);
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}
