//! Every path of a file, resolved as far as the walls need it: into this crate, or to a first name
//! that may be another crate.

use super::lexer::{Kind, Token};

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Segments below the root of this crate; empty when the root itself is meant, `*` for a glob.
    Here(Vec<String>),
    /// A path that begins with a name: another crate, or something that is in scope.
    Name(Vec<String>),
}

/// A path and the line it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) target: Target,
    pub(super) line: usize,
}

/// All paths in `tokens`, which belong to a file of module `module` (empty for the crate root).
///
/// Single names outside `use` are left out: they can only mean what a `use` or a declaration brought
/// into scope, and that is seen where it happens.
pub(super) fn paths(tokens: &[Token], module: &[String]) -> Vec<Found> {
    let mut reader = Reader { tokens, at: 0, module: module.to_vec(), inline: Vec::new(), found: Vec::new() };
    reader.file();
    reader.found
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The module at `at`, inline modules included.
    module: Vec<String>,
    /// Depth of braces around each open inline module.
    inline: Vec<usize>,
    found: Vec<Found>,
}

impl<'a> Reader<'a> {
    fn kind(&self, ahead: usize) -> Option<&'a Kind> {
        self.tokens.get(self.at + ahead).map(|token| &token.kind)
    }

    fn before(&self, back: usize) -> Option<&'a Kind> {
        self.at.checked_sub(back).and_then(|at| self.tokens.get(at)).map(|token| &token.kind)
    }

    fn name(&self, ahead: usize) -> Option<&'a str> {
        match self.kind(ahead) {
            Some(Kind::Ident(name)) => Some(name),
            _ => None,
        }
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |token| token.line)
    }

    fn file(&mut self) {
        let mut depth = 0_usize;
        while let Some(kind) = self.kind(0) {
            match kind {
                Kind::Punct('{') => depth += 1,
                Kind::Punct('}') => {
                    depth = depth.saturating_sub(1);
                    if self.inline.last() == Some(&depth) {
                        self.inline.pop();
                        self.module.pop();
                    }
                }
                Kind::Ident(word) => {
                    self.word(word, depth);
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    /// At an identifier; leaves it behind, with the rest of its path.
    fn word(&mut self, word: &str, depth: usize) {
        let line = self.line();
        match (word, self.name(1), self.kind(2)) {
            ("mod", Some(name), Some(Kind::Punct('{'))) => {
                self.module.push(name.to_owned());
                self.inline.push(depth);
                self.at += 2;
            }
            ("extern", Some("crate"), Some(Kind::Ident(name))) => {
                let target =
                    if name == "self" { Target::Here(Vec::new()) } else { Target::Name(vec![name.clone()]) };
                self.found.push(Found { target, line });
                self.at += 3;
            }
            // `+ use<'a>` bounds what an opaque type captures.
            ("use", ..) if self.kind(1) != Some(&Kind::Punct('<')) => {
                self.at += 1;
                self.tree(&[]);
            }
            _ => self.plain(line),
        }
    }

    /// At the first identifier of a path outside `use`.
    fn plain(&mut self, line: usize) {
        let continues = match self.before(1) {
            // `<T as Trait>::Item` and `Vec::<u8>::new`; a leading `::` begins a path.
            Some(Kind::PathSep) => matches!(self.before(2), Some(Kind::Punct('>') | Kind::Ident(_))),
            Some(Kind::Punct('.')) => !matches!(self.before(2), Some(Kind::Punct('.'))),
            _ => false,
        };
        let global = self.before(1) == Some(&Kind::PathSep);
        let mut segments = Vec::new();
        while let Some(name) = self.name(0) {
            segments.push(name.to_owned());
            self.at += 1;
            if self.kind(0) != Some(&Kind::PathSep) || self.name(1).is_none() {
                break;
            }
            self.at += 1;
        }
        if !continues && (segments.len() > 1 || global) {
            match self.resolve(segments) {
                // `pub(in super::super)`
                Target::Here(rest) if rest.is_empty() => {}
                target => self.found.push(Found { target, line }),
            }
        }
    }

    /// At a use tree, below `prefix`; leaves it behind.
    fn tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        let line = self.line();
        loop {
            match self.kind(0) {
                Some(Kind::PathSep | Kind::Punct('$')) => self.at += 1,
                Some(Kind::Ident(name)) => {
                    path.push(name.clone());
                    self.at += 1;
                    if self.kind(0) == Some(&Kind::PathSep) {
                        continue;
                    }
                    if self.name(0) == Some("as") {
                        self.at += 2;
                    }
                    break;
                }
                Some(Kind::Punct('*')) => {
                    path.push("*".to_owned());
                    self.at += 1;
                    break;
                }
                Some(Kind::Punct('{')) => {
                    self.at += 1;
                    return self.group(&path);
                }
                _ => return,
            }
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let target = self.resolve(path);
        self.found.push(Found { target, line });
    }

    /// Behind the opening brace of a group in a use tree.
    fn group(&mut self, path: &[String]) {
        loop {
            match self.kind(0) {
                Some(Kind::Punct(',')) => self.at += 1,
                Some(Kind::Punct('}')) => {
                    self.at += 1;
                    return;
                }
                Some(Kind::Ident(_) | Kind::PathSep | Kind::Punct('$' | '*' | '{')) => self.tree(path),
                _ => return,
            }
        }
    }

    fn resolve(&self, segments: Vec<String>) -> Target {
        let mut module = self.module.clone();
        let mut rest = segments.iter().peekable();
        match segments.first().map(String::as_str) {
            Some("crate" | "dataenvgym") => {
                module.clear();
                rest.next();
            }
            Some("self") => {
                rest.next();
            }
            Some("super") => {}
            _ => return Target::Name(segments),
        }
        while rest.next_if(|segment| *segment == "super").is_some() {
            module.pop();
        }
        module.extend(rest.cloned());
        Target::Here(module)
    }
}
