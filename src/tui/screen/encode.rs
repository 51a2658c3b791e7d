//! From changed cells to the bytes that change them, as few as need be.
//!
//! A terminal may give a character another width than we do, which no table settles: spacing marks, emoji, marks on
//! top of each other. Such a cell is blanked first and the cursor is set anew behind it, so that nothing old is left
//! standing beside it and nothing after it is displaced.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::style::{Color, Modifier};

/// Digits that turn each modifier on.
const MODIFIERS: [(Modifier, &str); 9] = [
    (Modifier::BOLD, "1"),
    (Modifier::DIM, "2"),
    (Modifier::ITALIC, "3"),
    (Modifier::UNDERLINED, "4"),
    (Modifier::SLOW_BLINK, "5"),
    (Modifier::RAPID_BLINK, "6"),
    (Modifier::REVERSED, "7"),
    (Modifier::HIDDEN, "8"),
    (Modifier::CROSSED_OUT, "9"),
];

/// What the terminal writes with.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Pen {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl Pen {
    const PLAIN: Self = Self { fg: Color::Reset, bg: Color::Reset, modifier: Modifier::empty() };

    fn of(cell: &Cell) -> Self {
        Self { fg: cell.fg, bg: cell.bg, modifier: cell.modifier }
    }

    /// From this pen to another one.
    fn change(self, to: Self, out: &mut String) {
        if self == to {
            return;
        }
        let mut codes = Vec::new();
        let mut from = self;
        // Modifiers are taken away all at once.
        if !to.modifier.contains(self.modifier) {
            codes.push("0".to_owned());
            from = Self::PLAIN;
        }
        let added = to.modifier - from.modifier;
        codes
            .extend(MODIFIERS.iter().filter(|(m, _)| added.contains(*m)).map(|(_, code)| (*code).to_owned()));
        if from.fg != to.fg {
            codes.push(colour(to.fg, 30));
        }
        if from.bg != to.bg {
            codes.push(colour(to.bg, 40));
        }
        // Writing into a string cannot fail.
        let _ = write!(out, "\x1b[{}m", codes.join(";"));
    }
}

/// A colour as text (`base` 30) or as ground (`base` 40).
fn colour(colour: Color, base: u16) -> String {
    let bright = base + 60;
    match colour {
        Color::Reset => (base + 9).to_string(),
        Color::Black => base.to_string(),
        Color::Red => (base + 1).to_string(),
        Color::Green => (base + 2).to_string(),
        Color::Yellow => (base + 3).to_string(),
        Color::Blue => (base + 4).to_string(),
        Color::Magenta => (base + 5).to_string(),
        Color::Cyan => (base + 6).to_string(),
        Color::Gray => (base + 7).to_string(),
        Color::DarkGray => bright.to_string(),
        Color::LightRed => (bright + 1).to_string(),
        Color::LightGreen => (bright + 2).to_string(),
        Color::LightYellow => (bright + 3).to_string(),
        Color::LightBlue => (bright + 4).to_string(),
        Color::LightMagenta => (bright + 5).to_string(),
        Color::LightCyan => (bright + 6).to_string(),
        Color::White => (bright + 7).to_string(),
        Color::Indexed(n) => format!("{};5;{n}", base + 8),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
    }
}

/// Whether every terminal gives it the columns that we do.
fn agreed(symbol: &str) -> bool {
    let mut chars = symbol.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else { return false };
    matches!(c,
        ' '..='~' | '\u{a1}'..='\u{24f}' | '\u{370}'..='\u{482}' | '\u{48a}'..='\u{52f}'
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{2190}'..='\u{23e8}' | '\u{2400}'..='\u{25fc}'
        | '\u{2800}'..='\u{28ff}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}'
        | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

/// The bytes that make the terminal show `after` where it shows `before`; the pen is plain at both ends.
pub(super) fn changes(before: &Buffer, after: &Buffer, out: &mut String) {
    let columns = usize::from(after.area.width);
    let mut pen = Pen::PLAIN;
    if columns == 0 {
        return;
    }
    for (y, (old, new)) in (0..).zip(before.content.chunks(columns).zip(after.content.chunks(columns))) {
        let mut cursor = None;
        let stale = stale(old, new);
        let mut x = 0;
        while x < columns {
            let cell = &new[x];
            let end = (x + width(cell)).min(columns);
            if stale[x..end].contains(&true) {
                if cursor != Some(x) {
                    place(x, y, out);
                }
                pen.change(Pen::of(cell), out);
                pen = Pen::of(cell);
                cursor = Some(end);
                if !agreed(cell.symbol()) {
                    out.push_str(&" ".repeat(end - x));
                    place(x, y, out);
                    cursor = None;
                }
                out.push_str(cell.symbol());
            }
            x = end;
        }
    }
    pen.change(Pen::PLAIN, out);
}

/// Columns of a cell, of which there is at least one.
fn width(cell: &Cell) -> usize {
    usize::from(cell.symbol().cell_width()).max(1)
}

/// The columns of a row that do not show what they should: what changed, as far as it reached.
fn stale(old: &[Cell], new: &[Cell]) -> Vec<bool> {
    let mut stale = vec![false; new.len()];
    for (x, (before, after)) in old.iter().zip(new).enumerate() {
        if before != after {
            let end = (x + width(before)).min(new.len());
            stale[x..end].fill(true);
        }
    }
    stale
}

/// Sets the cursor.
fn place(x: usize, y: usize, out: &mut String) {
    // Writing into a string cannot fail.
    let _ = match (x, y) {
        (0, 0) => write!(out, "\x1b[H"),
        (0, _) => write!(out, "\x1b[{}H", y + 1),
        _ => write!(out, "\x1b[{};{}H", y + 1, x + 1),
    };
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    fn sent(before: &Buffer, after: &Buffer) -> String {
        let mut out = String::new();
        changes(before, after, &mut out);
        out
    }

    /// A row of twelve columns, with styles from a column on.
    fn row(text: &str, styles: &[(u16, Style)]) -> Buffer {
        let mut buffer = Buffer::with_lines([format!("{text:<12}")]);
        for (x, style) in styles {
            buffer.set_style(Rect::new(*x, 0, text.len() as u16 - x, 1), *style);
        }
        buffer
    }

    #[test]
    fn only_what_changed_is_sent_and_the_pen_is_plain_in_the_end() {
        let empty = row("", &[]);
        let red = Style::new().fg(Color::Red);
        let styles = [(2, red), (4, red.add_modifier(Modifier::BOLD))];
        let text = row("abcdef", &styles);
        assert_eq!(sent(&empty, &text), "\x1b[Hab\x1b[31mcd\x1b[1mef\x1b[0m");
        assert_eq!(sent(&text, &text), "");
        assert_eq!(sent(&text, &row("abcxef", &styles)), "\x1b[1;4H\x1b[31mx\x1b[39m");
    }

    #[test]
    fn every_colour_has_its_code() {
        assert_eq!(colour(Color::Black, 30), "30");
        assert_eq!(colour(Color::White, 40), "107");
        assert_eq!(colour(Color::Indexed(200), 30), "38;5;200");
        assert_eq!(colour(Color::Rgb(1, 2, 3), 40), "48;2;1;2;3");
    }

    #[test]
    fn a_character_of_unsure_width_displaces_nothing() {
        let text = row("a\u{915}\u{940}b", &[]);
        let gone = sent(&text, &row("a", &[]));
        assert_eq!(gone, "\x1b[1;2H   ", "the columns of the mark too");
        assert_eq!(sent(&row("", &[]), &text), "\x1b[Ha  \x1b[1;2H\u{915}\u{940}\x1b[1;4Hb");
    }
}
