//! A text under a cursor: one line or several. Pure; knows nothing of keys and cells.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use super::escape::Shown;

/// A change of the text or a move of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    Left,
    Right,
    Start,
    End,
    Back,
    Delete,
    BackWord,
    Clear,
    NewLine,
}

/// Longest text that can be written, in bytes; far above what a student can be trained on.
const LONGEST: usize = 64 * 1024;

/// The text and its cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TextBox {
    text: String,
    /// Byte before which the cursor stands, always between two characters as a person counts them.
    at: usize,
}

impl TextBox {
    /// A text with the cursor behind it.
    pub(crate) fn of(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { at: text.len(), text }
    }

    /// With the cursor before the text.
    pub(crate) fn at_start(mut self) -> Self {
        self.at = 0;
        self
    }

    /// A text with the cursor before byte `at`, or before the next character as a person counts them.
    pub(crate) fn with_cursor(text: String, at: usize) -> Self {
        let mut made = Self { at: 0, text };
        made.at = made.boundary(at.min(made.text.len()));
        made
    }

    /// The byte before which the cursor stands.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Writes at the cursor; what would make the text too long is left out.
    pub(crate) fn insert(&mut self, text: &str) {
        if self.text.len() + text.len() <= LONGEST {
            self.text.insert_str(self.at, text);
            self.at += text.len();
            // A mark joins the character before it.
            self.at = self.boundary(self.at);
        }
    }

    pub(crate) fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::Left => self.at = self.before(self.at),
            Edit::Right => self.at = self.after(self.at),
            Edit::Start => self.at = self.line_start(),
            Edit::End => self.at = self.text[self.at..].find('\n').map_or(self.text.len(), |n| self.at + n),
            Edit::Back => self.remove(self.before(self.at), self.at),
            Edit::Delete => self.remove(self.at, self.after(self.at)),
            Edit::BackWord => {
                let trimmed = self.text[..self.at].trim_end_matches(' ');
                let start = trimmed.rfind([' ', '\n']).map_or(0, |n| n + 1).min(trimmed.len());
                self.remove(start, self.at);
            }
            Edit::Clear => self.remove(self.line_start(), self.at),
            Edit::NewLine => self.insert("\n"),
        }
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.at = self.boundary(from);
    }

    fn line_start(&self) -> usize {
        self.text[..self.at].rfind('\n').map_or(0, |n| n + 1)
    }

    fn cursor(&self, at: usize) -> GraphemeCursor {
        GraphemeCursor::new(at, self.text.len(), true)
    }

    fn before(&self, at: usize) -> usize {
        self.cursor(at).prev_boundary(&self.text, 0).ok().flatten().unwrap_or(0)
    }

    fn after(&self, at: usize) -> usize {
        self.cursor(at).next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len())
    }

    fn boundary(&self, at: usize) -> usize {
        let on = self.cursor(at).is_boundary(&self.text, 0).unwrap_or(true);
        if on { at } else { self.after(at) }
    }

    /// The rows of the text in so many columns, as ranges of bytes, broken at spaces where there are any.
    fn rows(&self, columns: usize) -> Vec<(usize, usize)> {
        let columns = columns.max(1);
        let mut rows = Vec::new();
        let mut line_start = 0;
        for line in self.text.split('\n') {
            let (mut start, mut used, mut space) = (0, 0, None);
            for (at, piece) in line.grapheme_indices(true) {
                let wide = Shown::from(piece).width();
                if used + wide > columns && at > start {
                    let cut = space.take().filter(|cut| *cut > start).unwrap_or(at);
                    rows.push((line_start + start, line_start + cut));
                    start = cut;
                    used = Shown::from(&line[cut..at]).width();
                }
                used += wide;
                if piece == " " {
                    space = Some(at + 1);
                }
            }
            rows.push((line_start + start, line_start + line.len()));
            line_start += line.len() + 1;
        }
        rows
    }

    /// The rows to draw in so many columns, and row and column of the cursor.
    pub(crate) fn view(&self, columns: usize) -> (Vec<Shown>, (usize, usize)) {
        let rows = self.rows(columns);
        let row = rows.iter().rposition(|(start, _)| *start <= self.at).unwrap_or(0);
        let column = Shown::from(&self.text[rows[row].0..self.at]).width();
        (rows.iter().map(|(start, end)| Shown::from(&self.text[*start..*end])).collect(), (row, column))
    }

    /// Moves the cursor so many rows down, or up, in a view of so many columns.
    pub(crate) fn move_rows(&mut self, by: isize, columns: usize) {
        let rows = self.rows(columns);
        let (_, (row, column)) = self.view(columns);
        let target = row.saturating_add_signed(by).min(rows.len() - 1);
        if target == row {
            self.at = if by < 0 { 0 } else { self.text.len() };
            return;
        }
        let (start, end) = rows[target];
        let mut used = 0;
        self.at = end;
        for (at, piece) in self.text[start..end].grapheme_indices(true) {
            if used >= column {
                self.at = start + at;
                break;
            }
            used += Shown::from(piece).width();
        }
        // The end of a broken row is the start of the next one.
        if self.at == end && rows.get(target + 1).is_some_and(|next| next.0 == end) && end > start {
            self.at = self.before(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(text: &str, edits: &[Edit]) -> (String, usize) {
        let mut typed = TextBox::of(text);
        for edit in edits {
            typed.apply(*edit);
        }
        (typed.text, typed.at)
    }

    #[test]
    fn writing_and_taking_away() {
        assert_eq!(after("abc", &[Edit::Left, Edit::Back]), ("ac".into(), 1));
        assert_eq!(after("abc", &[Edit::Start, Edit::Delete]), ("bc".into(), 0));
        assert_eq!(after("one two ", &[Edit::BackWord]), ("one ".into(), 4));
        assert_eq!(after("a\nbc", &[Edit::Clear]), ("a\n".into(), 2));
        assert_eq!(after("a\nbc", &[Edit::Start, Edit::Left, Edit::End]), ("a\nbc".into(), 1));
        assert_eq!(after("e\u{301}", &[Edit::Back]), (String::new(), 0));
        assert_eq!(after("", &[Edit::Back, Edit::Delete, Edit::Left, Edit::NewLine]), ("\n".into(), 1));
    }

    #[test]
    fn rows_break_at_spaces_and_the_cursor_is_found() {
        let typed = TextBox::of("one two three\n\u{1b}x");
        let (rows, cursor) = typed.view(8);
        let texts: Vec<&str> = rows.iter().map(Shown::as_str).collect();
        assert_eq!((texts, cursor), (vec!["one two ", "three", "\u{241b}x"], (2, 2)));
        let mut typed = TextBox::of("one two three").at_start();
        typed.move_rows(1, 8);
        assert_eq!(typed.at, 8);
        typed.move_rows(1, 8);
        assert_eq!(typed.at, 13);
        typed.move_rows(-1, 8);
        assert_eq!(typed.view(8).1, (0, 5));
    }

    proptest! {
        #[test]
        fn the_cursor_stays_inside(text in "[a \n\u{301}日👩\u{200d}]{0,20}", steps in proptest::collection::vec(0..12_usize, 0..40), columns in 1..12_usize) {
            let mut typed = TextBox::of(text);
            for step in steps {
                match step {
                    9 => typed.move_rows(1, columns),
                    10 => typed.move_rows(-1, columns),
                    11 => typed.insert("\u{301}日"),
                    n => typed.apply([Edit::Left, Edit::Right, Edit::Start, Edit::End, Edit::Back, Edit::Delete, Edit::BackWord, Edit::Clear, Edit::NewLine][n]),
                }
                prop_assert!(typed.text.is_char_boundary(typed.at));
                let (rows, (row, _)) = typed.view(columns);
                prop_assert!(row < rows.len());
            }
        }
    }
}
