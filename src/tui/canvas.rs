//! Drawing into a frame. Every text passes through the escape on its way, whoever wrote it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::escape::{Breaks, escape};
use super::text;
use super::theme::{Scope, Theme};

/// The marks in use: box drawing and blocks, or plain ASCII for poor fonts.
pub(crate) type Glyphs = &'static Marks;

/// One set of marks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) right: &'static str,
    pub(crate) wrong: &'static str,
    pub(crate) pending: &'static str,
    pub(crate) folded: &'static str,
    pub(crate) open: &'static str,
    pub(crate) here: &'static str,
    pub(crate) best: &'static str,
    pub(crate) full: &'static str,
    pub(crate) empty: &'static str,
    levels: [&'static str; 8],
    border: [&'static str; 6],
}

impl Marks {
    pub(crate) const UNICODE: Self = Self {
        right: "✓",
        wrong: "✗",
        pending: "·",
        folded: "▸",
        open: "▾",
        here: "●",
        best: "★",
        full: "█",
        empty: "░",
        levels: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
        border: ["─", "│", "┌", "┐", "└", "┘"],
    };
    pub(crate) const ASCII: Self = Self {
        right: "+",
        wrong: "x",
        pending: ".",
        folded: ">",
        open: "v",
        here: "*",
        best: "!",
        full: "#",
        empty: ".",
        levels: ["_", ".", ":", "-", "=", "+", "*", "#"],
        border: ["-", "|", "+", "+", "+", "+"],
    };

    /// A bar of `columns` filled to a share.
    pub(crate) fn bar(&self, share: f64, columns: usize) -> (String, String) {
        let full = ((share.clamp(0.0, 1.0) * columns as f64).round() as usize).min(columns);
        (self.full.repeat(full), self.empty.repeat(columns - full))
    }

    /// One character per value in `0..=1`; a gap is a space.
    pub(crate) fn sparkline(&self, values: impl Iterator<Item = Option<f32>>) -> String {
        let level = |v: f32| self.levels[((v.clamp(0.0, 1.0) * 8.0) as usize).min(7)];
        values.map(|value| value.map_or(" ", level)).collect()
    }
}

/// A piece of a line with its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) scope: Scope,
}

/// A line of pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) Vec<Piece>);

impl Line {
    pub(crate) fn of(scope: Scope, text: impl Into<String>) -> Self {
        Self(vec![Piece { text: text.into(), scope }])
    }

    pub(crate) fn with(mut self, scope: Scope, text: impl Into<String>) -> Self {
        self.push(scope, text);
        self
    }

    pub(crate) fn push(&mut self, scope: Scope, text: impl Into<String>) {
        self.0.push(Piece { text: text.into(), scope });
    }

    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|piece| text::width(&piece.text)).sum()
    }
}

/// Wraps a text into lines of one meaning.
pub(crate) fn paragraph(scope: Scope, text: &str, columns: usize) -> Vec<Line> {
    text::wrap(text, columns).into_iter().map(|line| Line::of(scope, line)).collect()
}

/// The frame being drawn.
#[derive(Debug)]
pub(crate) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    theme: &'a Theme,
    pub(crate) glyphs: Glyphs,
}

impl<'a> Canvas<'a> {
    pub(crate) fn new(buffer: &'a mut Buffer, theme: &'a Theme, glyphs: Glyphs) -> Self {
        let area = buffer.area;
        buffer.set_style(area, theme.style(Scope::Text));
        Self { buffer, theme, glyphs }
    }

    /// How ordinary text looks.
    fn plain(&self) -> Style {
        Style::reset().patch(self.theme.style(Scope::Text))
    }

    /// Writes a text in at most `columns` columns; returns how many it took. Outside the frame nothing happens.
    pub(crate) fn text(&mut self, x: u16, y: u16, columns: u16, scope: Scope, text: &str) -> u16 {
        let area = self.buffer.area;
        if y >= area.bottom() || x >= area.right() || columns == 0 {
            return 0;
        }
        // Set, not patched: nothing of what was drawn here before shines through.
        let style = self.plain().patch(self.theme.style(scope));
        let (end, _) = self.buffer.set_stringn(x, y, escape(text, Breaks::Show), columns.into(), style);
        end - x
    }

    /// Writes a line into row `row` of an area; what does not fit is cut off.
    pub(crate) fn line(&mut self, area: Rect, row: u16, line: &Line) {
        if row >= area.height {
            return;
        }
        let mut x = area.x;
        for piece in &line.0 {
            let room = area.right().saturating_sub(x);
            x += self.text(x, area.y + row, room, piece.scope, &piece.text);
        }
    }

    /// Writes lines from the top of an area, skipping the first `skip`.
    pub(crate) fn lines(&mut self, area: Rect, lines: &[Line], skip: usize) {
        for (row, line) in lines.iter().skip(skip).take(area.height.into()).enumerate() {
            self.line(area, row as u16, line);
        }
    }

    /// Lays a style over a row of an area, keeping the text.
    pub(crate) fn highlight(&mut self, area: Rect, row: u16, focused: bool) {
        if row < area.height {
            let scope = if focused { Scope::Selection } else { Scope::SelectionInactive };
            let strip = Rect { y: area.y + row, height: 1, ..area }.intersection(self.buffer.area);
            let style = self.theme.style(scope);
            // A selected row is of one style, so that it stays readable and cheap to send.
            if focused {
                let plain = self.plain();
                self.buffer.set_style(strip, plain);
            }
            self.buffer.set_style(strip, style);
        }
    }

    /// Empties an area.
    pub(crate) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        let style = self.plain();
        for y in area.y..area.bottom() {
            self.buffer.set_stringn(area.x, y, " ".repeat(area.width.into()), area.width.into(), style);
        }
    }

    /// Draws a frame with a title; returns what is inside.
    pub(crate) fn block(&mut self, area: Rect, title: &Line, focused: bool) -> Rect {
        let area = area.intersection(self.buffer.area);
        if area.width < 4 || area.height < 3 {
            return area;
        }
        let scope = if focused { Scope::BorderFocus } else { Scope::Border };
        let [flat, side, top_left, top_right, low_left, low_right] = self.glyphs.border;
        let inside = usize::from(area.width) - 2;
        let (right, bottom) = (area.right() - 1, area.bottom() - 1);
        self.text(
            area.x,
            area.y,
            area.width,
            scope,
            &format!("{top_left}{}{top_right}", flat.repeat(inside)),
        );
        self.text(
            area.x,
            bottom,
            area.width,
            scope,
            &format!("{low_left}{}{low_right}", flat.repeat(inside)),
        );
        for y in area.y + 1..bottom {
            self.text(area.x, y, 1, scope, side);
            self.text(right, y, 1, scope, side);
        }
        self.line(Rect { x: area.x + 2, width: area.width - 4, height: 1, ..area }, 0, title);
        Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
    }

    /// A vertical line down an area one column wide.
    pub(crate) fn fence(&mut self, area: Rect) {
        for y in area.y..area.bottom() {
            self.text(area.x, y, 1, Scope::Border, self.glyphs.border[1]);
        }
    }

    /// A horizontal rule across row `row` of an area, with a caption.
    pub(crate) fn rule(&mut self, area: Rect, row: u16, caption: &Line) {
        if row < area.height {
            let flat = self.glyphs.border[0].repeat(area.width.into());
            self.text(area.x, area.y + row, area.width, Scope::Border, &flat);
            let inset = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
            self.line(inset, row, caption);
        }
    }
}
