//! A chart in cells: dots of braille, or letters where fonts are poor.

use super::{Chart, Point};
use crate::tui::canvas::{Glyphs, Line};
use crate::tui::text::{left, right};
use crate::tui::theme::Scope;

const SCOPES: [Scope; 3] = [Scope::Chart1, Scope::Chart2, Scope::Chart3];
/// Columns of the numbers on the left.
const MARGIN: usize = 8;
/// Of a series with more points than this every second one has a mark, or every third, and so on.
const MARKED: usize = 24;

/// One cell of the grid.
#[derive(Clone, Copy, Default)]
struct Cell {
    dots: u8,
    mark: Option<&'static str>,
    series: usize,
}

struct Grid {
    cells: Vec<Cell>,
    columns: usize,
    rows: usize,
}

impl Grid {
    /// Sets a dot; there are two dots in a column and four in a row.
    fn dot(&mut self, x: usize, y: usize, series: usize) {
        const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        if let Some(cell) = self.cell(x, y) {
            cell.dots |= BITS[x % 2][y % 4];
            cell.series = series;
        }
    }

    fn cell(&mut self, x: usize, y: usize) -> Option<&mut Cell> {
        let (column, row) = (x / 2, y / 4);
        (column < self.columns && row < self.rows).then(|| &mut self.cells[row * self.columns + column])
    }

    fn line(&mut self, (x0, y0): (usize, usize), (x1, y1): (usize, usize), series: usize) {
        let steps = x0.abs_diff(x1).max(y0.abs_diff(y1)).max(1);
        let between = |a: usize, b: usize, k: usize| {
            (a as f64 + (b as f64 - a as f64) * k as f64 / steps as f64).round() as usize
        };
        for k in 0..=steps {
            self.dot(between(x0, x1, k), between(y0, y1, k), series);
        }
    }
}

/// The chart in so many columns and rows: the names of the series, the values, the axis below.
pub(crate) fn plot(chart: &Chart, columns: usize, rows: usize, glyphs: Glyphs) -> Vec<Line> {
    if chart.is_empty() {
        return vec![Line::of(
            Scope::Muted,
            "Nothing to show yet: the values come with the first evaluation or training.",
        )];
    }
    if columns < MARGIN + 10 || rows < 6 {
        return vec![Line::of(Scope::Muted, "This window is too small for a chart.")];
    }
    let mut grid = Grid { cells: Vec::new(), columns: columns - MARGIN, rows: rows - 3 };
    grid.cells = vec![Cell::default(); grid.columns * grid.rows];
    let ((x_low, x_high), (y_low, y_high)) = chart.bounds();
    let (width, height) = (grid.columns * 2 - 1, grid.rows * 4 - 1);
    // A little room on both sides, so that marks are whole. Series with the same `x` stand side by side, one column
    // apart, so that none hides another.
    let room = width as f64 - 3.0 - 2.0 * (chart.series.len().saturating_sub(1)) as f64;
    let x =
        |v: f64, n: usize| (1.0 + (v - x_low) / (x_high - x_low) * room).round().max(0.0) as usize + 2 * n;
    let y = |v: f64| ((y_high - v.clamp(y_low, y_high)) / (y_high - y_low) * height as f64).round() as usize;
    for (n, series) in chart.series.iter().enumerate() {
        for pair in series.points.windows(2) {
            grid.line((x(pair[0].x, n), y(pair[0].y)), (x(pair[1].x, n), y(pair[1].y)), n);
        }
    }
    for (n, series) in chart.series.iter().enumerate() {
        let every = series.points.len().div_ceil(MARKED).max(1);
        for (k, Point { x: at, y: value, range }) in series.points.iter().enumerate() {
            if let Some((low, high)) = range {
                grid.line((x(*at, n), y(*low)), (x(*at, n), y(*high)), n);
            }
            // Each series begins elsewhere, so that the marks of one leave those of another in sight.
            if k % every == n * every / chart.series.len()
                && let Some(cell) = grid.cell(x(*at, n), y(*value))
            {
                cell.mark = Some(glyphs.points[n % glyphs.points.len()]);
                cell.series = n;
            }
        }
    }
    let mut lines = vec![names(chart, glyphs)];
    for row in 0..grid.rows {
        let value = y_high - (y_high - y_low) * row as f64 / (grid.rows - 1).max(1) as f64;
        let every = (grid.rows / 5).max(2);
        let last = row + 1 == grid.rows;
        let label =
            if last || (row % every == 0 && row + 2 < grid.rows) { number(value) } else { String::new() };
        let mut line = Line::of(Scope::Muted, format!("{} ", right(&label, MARGIN - 2)));
        line.push(Scope::Border, glyphs.side());
        cells(&grid.cells[row * grid.columns..(row + 1) * grid.columns], glyphs, &mut line);
        lines.push(line);
    }
    lines.push(axis(chart, grid.columns, |v| x(v, 0) / 2, glyphs));
    lines
}

fn names(chart: &Chart, glyphs: Glyphs) -> Line {
    let mut line = Line::of(Scope::Muted, left(chart.y, MARGIN));
    for (n, series) in chart.series.iter().enumerate().filter(|(_, series)| !series.points.is_empty()) {
        let mark = glyphs.points[n % glyphs.points.len()];
        line.push(SCOPES[n % SCOPES.len()], format!("{mark} {}   ", series.name));
    }
    if chart.series.iter().any(|series| series.points.iter().any(|p| p.range.is_some())) {
        line.push(Scope::Muted, "(bars: 95 % intervals)");
    }
    line
}

/// Runs of one series as one piece each.
fn cells(row: &[Cell], glyphs: Glyphs, line: &mut Line) {
    let mut run = String::new();
    let mut of = 0;
    for cell in row {
        if cell.series != of && !run.is_empty() {
            line.push(SCOPES[of % SCOPES.len()], std::mem::take(&mut run));
        }
        of = cell.series;
        match (cell.mark, cell.dots) {
            (Some(mark), _) => run.push_str(mark),
            (None, 0) => run.push(' '),
            (None, dots) => run.push(glyphs.dots(dots)),
        }
    }
    line.push(SCOPES[of % SCOPES.len()], run);
}

/// The values of `x` below their places, as many as fit.
fn axis(chart: &Chart, columns: usize, column: impl Fn(f64) -> usize, glyphs: Glyphs) -> Line {
    let mut values: Vec<f64> = chart.series.iter().flat_map(|s| s.points.iter().map(|p| p.x)).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let mut text = String::new();
    for value in values {
        let label = format!("{value:.0}");
        let at = column(value).min(columns.saturating_sub(label.len()));
        if at >= text.len() + usize::from(!text.is_empty()) {
            text.push_str(&" ".repeat(at - text.len()));
            text.push_str(&label);
        }
    }
    // The name of the axis where there is room for it: the title says it as well.
    let name = format!("  {}", chart.x);
    if text.len() + name.len() <= columns {
        text.push_str(&name);
    }
    Line::of(Scope::Border, format!("{}{}", " ".repeat(MARGIN - 1), glyphs.corner())).with(Scope::Muted, text)
}

fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100_000.0 => format!("{:.0}k", value / 1000.0),
        v if v >= 10.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chart, Series};
    use super::*;
    use crate::tui::canvas::Marks;

    fn chart(points: &[(f64, f64)]) -> Chart {
        let points = points.iter().map(|(x, y)| Point { x: *x, y: *y, range: None }).collect();
        Chart {
            title: String::new(),
            x: "step",
            y: "%",
            series: vec![Series { name: "a", points }],
            percent: false,
        }
    }

    fn text(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|l| l.0.iter().map(|piece| piece.text.as_str()).collect()).collect()
    }

    #[test]
    fn high_values_stand_above_low_ones() {
        let lines = text(&plot(&chart(&[(0.0, 1.0), (1.0, 3.0)]), 40, 12, &Marks::ASCII));
        let row = |column: usize| lines[1..10].iter().position(|l| l.as_bytes()[column] == b'o').unwrap();
        let columns: Vec<usize> = lines[1..10].iter().filter_map(|l| l.find('o')).collect();
        let (first, last) = (*columns.iter().min().unwrap(), *columns.iter().max().unwrap());
        assert!(row(first) > row(last), "{lines:?}");
        assert!(lines.iter().all(|l| l.chars().count() <= 40 && l.is_ascii()), "{lines:#?}");
    }

    #[test]
    fn long_series_can_be_told_apart_without_colour() {
        let line = |name, height: f64| Series {
            name,
            points: (0..100).map(|n| Point { x: f64::from(n), y: height, range: None }).collect(),
        };
        let both = Chart { series: vec![line("a", 1.0), line("b", 9.0)], ..chart(&[]) };
        let lines = text(&plot(&both, 80, 14, &Marks::ASCII));
        let marks = |mark| lines[1..].iter().map(|line| line.matches(mark).count()).sum::<usize>();
        for mark in ["o", "#"] {
            assert!((10..=MARKED).contains(&marks(mark)), "{mark}: {lines:#?}");
        }
    }

    #[test]
    fn every_size_and_any_values_can_be_drawn() {
        for columns in 0..60 {
            for rows in 0..14 {
                for points in [&[][..], &[(0.0, 0.0)], &[(0.0, -1.0), (1e9, 1e12)]] {
                    let lines = plot(&chart(points), columns, rows, &Marks::UNICODE);
                    assert!(lines.len() <= rows.max(1));
                }
            }
        }
    }
}
