//! Drawing into a frame: the only place that touches cells. It takes nothing but escaped text.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

use super::escape::Shown;
use super::picture::Picture;
use super::text;
use super::theme::{Depth, Scope, Theme};

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
    /// A sample that a person marked.
    pub(crate) flag: &'static str,
    pub(crate) full: &'static str,
    pub(crate) empty: &'static str,
    /// Points of the series of a chart.
    pub(crate) points: [&'static str; 3],
    /// From dark to light, for images without colour.
    pub(crate) shades: [&'static str; 5],
    /// Whether there are braille and half blocks.
    pub(crate) fine: bool,
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
        flag: "⚑",
        full: "█",
        empty: "░",
        points: ["●", "■", "▲"],
        shades: ["█", "▓", "▒", "░", " "],
        fine: true,
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
        flag: "F",
        full: "#",
        empty: ".",
        points: ["o", "#", "^"],
        shades: ["#", "*", "+", ".", " "],
        fine: false,
        levels: ["_", ".", ":", "-", "=", "+", "*", "#"],
        border: ["-", "|", "+", "+", "+", "+"],
    };

    /// A bar of `columns` filled to a share.
    pub(crate) fn bar(&self, share: f64, columns: usize) -> (String, String) {
        let full = ((share.clamp(0.0, 1.0) * columns as f64).round() as usize).min(columns);
        (self.full.repeat(full), self.empty.repeat(columns - full))
    }

    /// A cell with some of its eight dots set.
    pub(crate) fn dots(&self, dots: u8) -> char {
        if self.fine { char::from_u32(0x2800 + u32::from(dots)).unwrap_or('.') } else { '.' }
    }

    /// The vertical line of a border.
    pub(crate) fn side(&self) -> &'static str {
        self.border[1]
    }

    /// The lower left corner of a border.
    pub(crate) fn corner(&self) -> &'static str {
        self.border[4]
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
    pub(crate) text: Shown,
    pub(crate) scope: Scope,
}

/// A line of pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) Vec<Piece>);

impl Line {
    pub(crate) fn of(scope: Scope, text: impl Into<Shown>) -> Self {
        Self(vec![Piece { text: text.into(), scope }])
    }

    pub(crate) fn with(mut self, scope: Scope, text: impl Into<Shown>) -> Self {
        self.push(scope, text);
        self
    }

    pub(crate) fn push(&mut self, scope: Scope, text: impl Into<Shown>) {
        self.0.push(Piece { text: text.into(), scope });
    }

    /// Its escaped text.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|piece| piece.text.as_str()).collect()
    }

    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|piece| piece.text.width()).sum()
    }
}

/// Marks within words, for poor fonts; of the same width.
fn in_ascii(text: &str) -> String {
    let plain = |c| match c {
        '·' => '-',
        '…' => '~',
        '°' => ' ',
        c => c,
    };
    text.chars().map(plain).collect()
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
    pub(crate) fn text(&mut self, x: u16, y: u16, columns: u16, scope: Scope, text: impl Into<Shown>) -> u16 {
        self.put(x, y, columns, scope, &text.into())
    }

    fn put(&mut self, x: u16, y: u16, columns: u16, scope: Scope, text: &Shown) -> u16 {
        let area = self.buffer.area;
        if y >= area.bottom() || x >= area.right() || columns == 0 {
            return 0;
        }
        // Set, not patched: nothing of what was drawn here before shines through.
        let style = self.plain().patch(self.theme.style(scope));
        let plain = (!self.glyphs.fine && !text.as_str().is_ascii()).then(|| in_ascii(text.as_str()));
        let text = plain.as_deref().unwrap_or_else(|| text.as_str());
        let (end, _) = self.buffer.set_stringn(x, y, text, columns.into(), style);
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
            x += self.put(x, area.y + row, room, piece.scope, &piece.text);
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

    /// Marks a cell as the place where the next character goes.
    pub(crate) fn cursor(&mut self, x: u16, y: u16) {
        let cell = Rect { x, y, width: 1, height: 1 }.intersection(self.buffer.area);
        let style = self.theme.style(Scope::Cursor);
        self.buffer.set_style(cell, style);
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
        self.text(area.x, area.y, area.width, scope, format!("{top_left}{}{top_right}", flat.repeat(inside)));
        self.text(area.x, bottom, area.width, scope, format!("{low_left}{}{low_right}", flat.repeat(inside)));
        for y in area.y + 1..bottom {
            self.text(area.x, y, 1, scope, side);
            self.text(right, y, 1, scope, side);
        }
        self.line(Rect { x: area.x + 2, width: area.width - 4, height: 1, ..area }, 0, title);
        Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
    }

    /// Shows a picture of so many rows from the top left of an area, without the first `hidden` of them. Two pixels
    /// in a cell where the terminal has colours and half blocks, else a shade per cell.
    pub(crate) fn picture(
        &mut self,
        area: Rect,
        picture: &Picture,
        depth: Depth,
        (hidden, rows): (u16, u16),
    ) {
        let fine = self.glyphs.fine && depth > Depth::Sixteen;
        // A cell is about twice as high as wide.
        let (columns, tall) =
            if fine { (usize::from(area.width), 2) } else { (usize::from(area.width) / 2, 1) };
        let fitted = picture.fitted(columns, usize::from(rows) * tall);
        for row in 0..area.height {
            let pixel = usize::from(row + hidden) * tall;
            for column in 0..fitted.width {
                let (x, y) = (area.x + column as u16, area.y + row);
                if fine {
                    let [upper, lower] =
                        [0, 1].map(|k| fitted.at(column, pixel + k)).map(|[r, g, b]| Color::Rgb(r, g, b));
                    let style =
                        Style { fg: depth.convert(upper), bg: depth.convert(lower), ..Style::reset() };
                    self.cell(x, y, "▀", style);
                } else {
                    let [r, g, b] = fitted.at(column, pixel).map(usize::from);
                    let light = (3 * r + 4 * g + b) / 8;
                    let shade = self.glyphs.shades[(light * self.glyphs.shades.len() / 256).min(4)];
                    let style = self.plain();
                    for k in 0..2 {
                        self.cell(area.x + 2 * column as u16 + k, y, shade, style);
                    }
                }
            }
        }
    }

    /// One cell; outside the frame nothing happens.
    fn cell(&mut self, x: u16, y: u16, symbol: &'static str, style: Style) {
        let area = self.buffer.area;
        if x < area.right() && y < area.bottom() {
            self.buffer.set_stringn(x, y, symbol, 1, style);
        }
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
            self.text(area.x, area.y + row, area.width, Scope::Border, flat);
            let inset = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
            self.line(inset, row, caption);
        }
    }
}
