//! Makes text that others wrote safe and readable on a terminal. The one place that decides.
//!
//! Whatever could steer the terminal, reorder the line or hide is shown as a visible mark instead of being
//! sent or silently dropped. The result is its own escape: escaping twice changes nothing.
//!
//! [`Shown`] is the only text that can be drawn, and there is no way to make one past the escape.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Marks that may pile up on one base character.
const MARKS: usize = 4;

/// What becomes of line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breaks {
    /// They stay, for text that is wrapped.
    Keep,
    /// They become a visible mark, for text on one line.
    Show,
}

/// A text on one line that may be drawn or printed: whoever wrote it, it went through the escape.
///
/// ```compile_fail
/// // A raw text cannot be passed off as an escaped one.
/// let raw = dataenvgym::tui::Shown(String::from("\u{1b}]52;c;aGk="));
/// ```
///
/// ```
/// let shown = dataenvgym::tui::Shown::from("a\u{1b}[2J");
/// assert_eq!(shown.as_str(), "a\u{241b}[2J");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// The escaped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Columns it takes: those of its characters as they are drawn, one after the other.
    pub fn width(&self) -> usize {
        self.0.graphemes(true).map(UnicodeWidthStr::width).sum()
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        Self(escape(text, Breaks::Show).into_owned())
    }
}

impl From<&String> for Shown {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<String> for Shown {
    fn from(text: String) -> Self {
        match escape(&text, Breaks::Show) {
            Cow::Borrowed(_) => Self(text),
            Cow::Owned(escaped) => Self(escaped),
        }
    }
}

/// Escapes a text.
pub(crate) fn escape(text: &str, breaks: Breaks) -> Cow<'_, str> {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut base = Base::default();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' if breaks == Breaks::Keep => base.start(&mut out, '\n', false),
            '\r' if breaks == Breaks::Keep && rest.peek() == Some(&'\n') => {}
            '\t' => {
                out.push_str("    ");
                base = Base { last: Some(' '), ..Base::default() };
            }
            '\0'..='\u{1f}' | '\u{7f}' => base.start(&mut out, picture(c), true),
            // Presentation of a symbol, its tone and the joint of a compound emoji: left out where they belong, so
            // that every terminal agrees on the width.
            '\u{fe0e}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' if base.emoji => {}
            '\u{200d}' if base.emoji && rest.peek().copied().is_some_and(is_emoji) => {}
            _ if is_hidden(c) || leads(c) => base.name(&mut out, c),
            _ if base.takes(c) => base.mark(&mut out, c),
            _ => match c.width() {
                Some(1 | 2) if !leans(c) => base.start(&mut out, c, true),
                // Without a place of its own, or wider than terminals agree on.
                _ => base.name(&mut out, c),
            },
        }
    }
    Cow::Owned(out)
}

/// What stands before a character.
#[derive(Default)]
struct Base {
    /// The last character, if it takes marks.
    last: Option<char>,
    emoji: bool,
    marks: usize,
}

impl Base {
    fn start(&mut self, out: &mut String, c: char, takes_marks: bool) {
        out.push(c);
        *self = Self { last: takes_marks.then_some(c), emoji: is_emoji(c), marks: 0 };
    }

    /// Whether a character is drawn as a part of what stands before it.
    fn takes(&self, c: char) -> bool {
        may_join(c) && self.last.is_some_and(|last| one_grapheme([last, c]))
    }

    fn mark(&mut self, out: &mut String, c: char) {
        if self.marks == MARKS {
            return self.name(out, c);
        }
        out.push(c);
        self.last = Some(c);
        self.marks += 1;
    }

    fn name(&mut self, out: &mut String, c: char) {
        // Writing into a string cannot fail.
        let _ = write!(out, "<U+{:04X}>", u32::from(c));
        *self = Self { last: Some('>'), ..Self::default() };
    }
}

/// The control picture of a C0 character or of delete.
fn picture(c: char) -> char {
    match c {
        '\u{7f}' => '\u{2421}',
        _ => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{2426}'),
    }
}

/// Whether it belongs to a character before it, such as a vowel sign of an Indic script.
fn leans(c: char) -> bool {
    may_join(c) && one_grapheme(['a', c])
}

/// Whether it is drawn as a part of the character behind it, such as a sign over an Arabic number. Terminals disagree on
/// its columns, and what follows it is not known yet.
fn leads(c: char) -> bool {
    may_join(c) && one_grapheme([c, 'a'])
}

/// Quickly says no for most characters that stand for themselves.
fn may_join(c: char) -> bool {
    c >= '\u{300}'
        && !matches!(c, '\u{2100}'..='\u{2bff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{1f000}'..='\u{1faff}')
}

fn one_grapheme(chars: [char; 2]) -> bool {
    String::from_iter(chars).graphemes(true).nth(1).is_none()
}

fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

/// Characters that reorder, hide or carry a hidden message, whatever their width.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' // C1 controls
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' // zero width and marks of direction
        | '\u{2028}'..='\u{202e}' // separators and bidirectional embedding
        | '\u{2060}'..='\u{206f}' // invisible operators, isolates, deprecated formats
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' // tags and further variation selectors
    ) || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> String {
        escape(text, Breaks::Show).into_owned()
    }

    #[test]
    fn sequences_lose_their_power_and_stay_visible() {
        assert_eq!(line("a\x1b]52;c;aGk=\x07b"), "a␛]52;c;aGk=␇b");
        assert_eq!(line("\u{9b}31m"), "<U+009B>31m");
        assert_eq!(line("x\0\r\x7f\n"), "x␀␍␡␊");
        assert_eq!(line("a\tb"), "a    b");
        assert_eq!(escape("a\r\nb\n", Breaks::Keep), "a\nb\n");
        assert_eq!(escape("a\rb", Breaks::Keep), "a␍b");
    }

    #[test]
    fn reordering_and_hiding_are_shown() {
        assert_eq!(line("a\u{202e}b\u{2066}\u{200b}\u{feff}"), "a<U+202E>b<U+2066><U+200B><U+FEFF>");
        assert_eq!(line("tag\u{e0041}"), "tag<U+E0041>");
        assert_eq!(line("\u{2028}\u{ad}\u{3164}"), "<U+2028><U+00AD><U+3164>");
        assert_eq!(line("a\u{fe0f}"), "a<U+FE0F>");
        assert_eq!(line("\u{17d8}"), "<U+17D8>", "terminals disagree on three columns");
    }

    #[test]
    fn honest_text_of_any_script_stays() {
        for text in [
            "naïve café",
            "日本語 ",
            "한국어",
            "हिन्दी",
            "ที่นี่",
            "العربية",
            "שלום",
            "e\u{301}\u{323}",
            "∑ 3×4 ≤ 12",
        ] {
            assert_eq!(line(text), text);
        }
        assert_eq!(line("⚠\u{fe0f} 👩\u{200d}🔬"), "⚠ 👩🔬");
    }

    #[test]
    fn marks_are_capped_and_need_a_base() {
        let piled = format!("e{}", "\u{301}".repeat(6));
        assert_eq!(line(&piled), format!("e{}<U+0301>\u{301}", "\u{301}".repeat(4)));
        assert_eq!(line("\u{301}"), "<U+0301>");
        assert_eq!(line("\u{940}\u{915}\u{940}"), "<U+0940>\u{915}\u{940}");
        assert_eq!(escape("a\n\u{301}", Breaks::Keep), "a\n<U+0301>");
    }

    #[test]
    fn letters_of_hangul_join_and_one_without_its_first_is_named() {
        assert_eq!(line("\u{1100}\u{1161}\u{11a8}"), "\u{1100}\u{1161}\u{11a8}");
        assert_eq!(line("x\u{1182}"), "x<U+1182>");
    }

    #[test]
    fn a_sign_that_belongs_to_what_follows_is_named() {
        assert_eq!(line("a\u{605}1\u{891}2\u{110bd}"), "a<U+0605>1<U+0891>2<U+110BD>");
    }

    fn any_text() -> impl Strategy<Value = String> {
        let nasty = prop_oneof![
            any::<char>(),
            (0_u32..0x100).prop_map(|c| char::from_u32(c).unwrap()),
            (0x2000_u32..0x2070).prop_map(|c| char::from_u32(c).unwrap()),
            (0x300_u32..0x310).prop_map(|c| char::from_u32(c).unwrap()),
            (0xfe00_u32..0xff00).prop_map(|c| char::from_u32(c).unwrap()),
            (0x1f468_u32..0x1f470).prop_map(|c| char::from_u32(c).unwrap()),
        ];
        proptest::collection::vec(nasty, 0..40).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(text in any_text()) {
            for breaks in [Breaks::Keep, Breaks::Show] {
                let out = escape(&text, breaks);
                let allowed = |c: char| breaks == Breaks::Keep && c == '\n';
                prop_assert!(out.chars().all(|c| allowed(c) || !(c.is_control() || is_hidden(c))), "{out:?}");
            }
        }

        #[test]
        fn escaping_twice_changes_nothing(text in any_text()) {
            for breaks in [Breaks::Keep, Breaks::Show] {
                let once = escape(&text, breaks).into_owned();
                prop_assert_eq!(escape(&once, breaks), once.as_str());
            }
        }
    }
}
