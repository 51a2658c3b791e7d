//! From the bytes of a terminal to keys, pastes and the focus. Pure.
//!
//! There are no Alt chords here: Escape and a letter are two keys, however fast they come.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Input;

const ESC: u8 = 0x1b;
const PASTE: &[u8] = b"\x1b[200~";
const PASTED: &[u8] = b"\x1b[201~";
/// Bytes of one paste that are kept; what a person writes is far shorter.
const LONGEST_PASTE: usize = 1 << 20;
/// Bytes of a sequence after which it is none.
const LONGEST_SEQUENCE: usize = 32;

/// Takes bytes in as they come; what is incomplete waits for the next ones.
#[derive(Debug, Default)]
pub(super) struct Keys {
    waiting: Vec<u8>,
    paste: Option<Vec<u8>>,
}

/// What the bytes begin with.
enum Part {
    /// So many bytes, and what they mean, if anything.
    Read(usize, Option<Input>),
    /// A paste begins behind so many bytes.
    Paste(usize),
    /// More bytes are needed.
    Incomplete,
}

impl Keys {
    /// Whether the last bytes may be the beginning of something longer.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What these bytes complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Input> {
        self.waiting.extend_from_slice(bytes);
        self.read(false)
    }

    /// Nothing followed for a while: what waits is taken as single keys.
    pub(super) fn rest(&mut self) -> Vec<Input> {
        self.read(true)
    }

    fn read(&mut self, ended: bool) -> Vec<Input> {
        let bytes = std::mem::take(&mut self.waiting);
        let mut left = bytes.as_slice();
        let mut inputs = Vec::new();
        while !left.is_empty() {
            let used = match &mut self.paste {
                Some(text) => match pasted(text, left) {
                    (used, true) => {
                        let text = self.paste.take().unwrap_or_default();
                        inputs.push(Input::Paste(String::from_utf8_lossy(&text).into_owned()));
                        used
                    }
                    (0, false) => break,
                    (used, false) => used,
                },
                None => match part(left, ended) {
                    Part::Read(used, input) => {
                        inputs.extend(input);
                        used
                    }
                    Part::Paste(used) => {
                        self.paste = Some(Vec::new());
                        used
                    }
                    Part::Incomplete => break,
                },
            };
            left = &left[used..];
        }
        self.waiting = left.to_vec();
        inputs
    }
}

/// Adds to a paste; says how many bytes were used and whether it ended. Bytes that may begin the end are left.
fn pasted(text: &mut Vec<u8>, bytes: &[u8]) -> (usize, bool) {
    let end = bytes.windows(PASTED.len()).position(|window| window == PASTED);
    let kept = end.unwrap_or_else(|| {
        let begun = (1..PASTED.len()).rev().find(|n| bytes.ends_with(&PASTED[..*n]));
        bytes.len() - begun.unwrap_or(0)
    });
    let room = LONGEST_PASTE.saturating_sub(text.len());
    text.extend_from_slice(&bytes[..kept.min(room)]);
    (kept + end.map_or(0, |_| PASTED.len()), end.is_some())
}

/// The first thing in these bytes, of which there is at least one. When they `ended`, nothing is incomplete.
fn part(bytes: &[u8], ended: bool) -> Part {
    let single = || Part::Read(1, Some(key(KeyCode::Esc)));
    match (bytes[0], bytes.get(1)) {
        (ESC, None) if ended => single(),
        (ESC, None) => Part::Incomplete,
        (ESC, Some(b'[' | b'O')) => match sequence(bytes) {
            Part::Incomplete if ended => single(),
            part => part,
        },
        (ESC, Some(_)) => single(),
        _ => character(bytes, ended),
    }
}

/// `ESC [` with parameters and a final byte, or `ESC O` and a letter.
fn sequence(bytes: &[u8]) -> Part {
    let single = Part::Read(1, Some(key(KeyCode::Esc)));
    if bytes[1] == b'O' {
        let Some(last) = bytes.get(2) else { return Part::Incomplete };
        return named(*last).map_or(single, |code| Part::Read(3, Some(key(code))));
    }
    // The console of Linux: `ESC [ [ A` is F1.
    if bytes.get(2) == Some(&b'[') {
        let Some(last) = bytes.get(3) else { return Part::Incomplete };
        let input = matches!(last, b'A'..=b'E').then(|| key(KeyCode::F(1 + last - b'A')));
        return Part::Read(4, input);
    }
    let Some(end) = bytes[2..].iter().position(|b| !(0x20..=0x3f).contains(b)).map(|n| n + 2) else {
        return if bytes.len() < LONGEST_SEQUENCE { Part::Incomplete } else { single };
    };
    let (parameters, last, used) = (&bytes[2..end], bytes[end], end + 1);
    if !(0x40..=0x7e).contains(&last) {
        return single;
    }
    if bytes.starts_with(PASTE) {
        return Part::Paste(used);
    }
    let parameters = std::str::from_utf8(parameters).unwrap_or_default();
    let mut numbers = parameters.split([';', ':']).map(|n| n.parse::<u8>().unwrap_or(0));
    let first = numbers.next().unwrap_or(0);
    let modifiers = modifiers(numbers.next().unwrap_or(1));
    let code = match (last, parameters) {
        (b'I', "") => return Part::Read(used, Some(Input::Focus(true))),
        (b'O', "") => return Part::Read(used, Some(Input::Focus(false))),
        (b'Z', _) => Some(KeyCode::BackTab),
        (b'~', _) => numbered(first),
        _ => named(last),
    };
    Part::Read(used, code.map(|code| Input::Key(KeyEvent::new(code, modifiers))))
}

/// Keys by their final letter.
fn named(last: u8) -> Option<KeyCode> {
    Some(match last {
        b'A' => KeyCode::Up,
        b'B' => KeyCode::Down,
        b'C' => KeyCode::Right,
        b'D' => KeyCode::Left,
        b'H' => KeyCode::Home,
        b'F' => KeyCode::End,
        b'P'..=b'S' => KeyCode::F(1 + last - b'P'),
        _ => return None,
    })
}

/// Keys by their number before `~`.
fn numbered(number: u8) -> Option<KeyCode> {
    Some(match number {
        1 | 7 => KeyCode::Home,
        2 => KeyCode::Insert,
        3 => KeyCode::Delete,
        4 | 8 => KeyCode::End,
        5 => KeyCode::PageUp,
        6 => KeyCode::PageDown,
        n @ 11..=15 => KeyCode::F(n - 10),
        n @ 17..=21 => KeyCode::F(n - 11),
        n @ 23..=24 => KeyCode::F(n - 12),
        _ => return None,
    })
}

fn modifiers(mask: u8) -> KeyModifiers {
    let mask = mask.saturating_sub(1);
    let shift = if mask & 1 == 0 { KeyModifiers::NONE } else { KeyModifiers::SHIFT };
    let control = if mask & 4 == 0 { KeyModifiers::NONE } else { KeyModifiers::CONTROL };
    shift | control
}

/// A control character or a character; bytes that are none mean nothing.
fn character(bytes: &[u8], ended: bool) -> Part {
    let control =
        |c: u8| Some(Input::Key(KeyEvent::new(KeyCode::Char(char::from(c)), KeyModifiers::CONTROL)));
    let input = match bytes[0] {
        b'\r' => Some(key(KeyCode::Enter)),
        b'\t' => Some(key(KeyCode::Tab)),
        0x7f => Some(key(KeyCode::Backspace)),
        0 => control(b' '),
        c @ 0x01..=0x1a => control(c - 1 + b'a'),
        c @ 0x1c..=0x1f => control(c - 0x1c + b'4'),
        c if c.is_ascii() => Some(key(KeyCode::Char(char::from(c)))),
        _ => return wide(bytes, ended),
    };
    Part::Read(1, input)
}

/// A character of several bytes.
fn wide(bytes: &[u8], ended: bool) -> Part {
    let some = &bytes[..bytes.len().min(4)];
    let (valid, error) = match std::str::from_utf8(some) {
        Ok(text) => (text, None),
        Err(error) => {
            (std::str::from_utf8(&some[..error.valid_up_to()]).unwrap_or_default(), Some(error.error_len()))
        }
    };
    match (valid.chars().next(), error) {
        (Some(c), _) => Part::Read(c.len_utf8(), Some(key(KeyCode::Char(c)))),
        (None, Some(None)) if !ended => Part::Incomplete,
        (None, Some(Some(bad))) => Part::Read(bad, None),
        (None, _) => Part::Read(some.len(), None),
    }
}

fn key(code: KeyCode) -> Input {
    Input::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the bytes mean, in words, when they come in these pieces.
    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut keys = Keys::default();
        let mut inputs: Vec<_> = pieces.iter().flat_map(|piece| keys.take(piece)).collect();
        inputs.extend(keys.rest());
        assert!(!keys.waits());
        let words = |input: &Input| match input {
            Input::Key(key) if key.modifiers.is_empty() => format!("{:?}", key.code),
            Input::Key(key) => format!("{:?} {:?}", key.modifiers, key.code),
            Input::Paste(text) => format!("paste {text:?}"),
            Input::Focus(focused) => format!("focus {focused}"),
            Input::Ended(error) => error.to_string(),
        };
        inputs.iter().map(words).collect()
    }

    #[test]
    fn every_way_of_cutting_the_bytes_gives_the_same() {
        let bytes = "j\u{1b}[A\u{1b}OB\u{1b}[1;5C\u{1b}[3~\u{1b}[15~\u{1b}[[B\u{1b}[Z\u{1b}[Ié\u{1b}[O\
                     \u{1b}[200~a\u{1b}[31m\r\n\u{1b}[201~\r\t\u{7f}\u{3}Q語";
        let expected = [
            "Char('j')",
            "Up",
            "Down",
            "KeyModifiers(CONTROL) Right",
            "Delete",
            "F(5)",
            "F(2)",
            "BackTab",
            "focus true",
            "Char('é')",
            "focus false",
            "paste \"a\\u{1b}[31m\\r\\n\"",
            "Enter",
            "Tab",
            "Backspace",
            "KeyModifiers(CONTROL) Char('c')",
            "Char('Q')",
            "Char('語')",
        ];
        let bytes = bytes.as_bytes();
        assert_eq!(read(&[bytes]), expected);
        for cut in 0..bytes.len() {
            assert_eq!(read(&[&bytes[..cut], &bytes[cut..]]), expected, "cut at {cut}");
        }
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(read(&single), expected);
    }

    #[test]
    fn escape_and_a_letter_are_two_keys() {
        assert_eq!(read(&[b"\x1bq"]), ["Esc", "Char('q')"]);
        assert_eq!(read(&[b"\x1b\x1b"]), ["Esc", "Esc"]);
        assert_eq!(read(&[b"\x1b\x1b[A"]), ["Esc", "Up"]);
        assert_eq!(read(&[b"\x1b["]), ["Esc", "Char('[')"]);
        assert_eq!(read(&[b"\x1bOx"]), ["Esc", "Char('O')", "Char('x')"]);
    }

    #[test]
    fn what_nobody_knows_means_nothing_and_takes_nothing_with_it() {
        assert_eq!(read(&[b"\x1b[?62;22cj"]), ["Char('j')"]);
        assert_eq!(read(&[b"\x1b[99~k"]), ["Char('k')"]);
        assert_eq!(read(&[b"\xff\xc3j"]), ["Char('j')"]);
        let mut endless = b"\x1b[".to_vec();
        endless.extend([b'1'; 40]);
        assert_eq!(read(&[&endless]).len(), 42);
    }

    #[test]
    fn a_paste_is_bounded() {
        let mut keys = Keys::default();
        keys.take(PASTE);
        for _ in 0..3000 {
            assert!(keys.take(&[b'x'; 1024]).is_empty());
        }
        let pasted = keys.take(b"\x1b[201~q");
        assert!(matches!(&pasted[..], [Input::Paste(text), Input::Key(_)] if text.len() == LONGEST_PASTE));
    }
}
