//! Charts as values, and as files: SVG for people, CSV for programs.

mod rows;
mod svg;

use std::fmt::Write as _;

use super::table::visible;
use crate::gym::statistics::Estimate;

/// One value, with its 95 % interval where it has one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Point {
    /// Across.
    pub x: f64,
    /// Up.
    pub y: f64,
    /// Ends of the interval of `y`.
    pub range: Option<(f64, f64)>,
    /// Size of its mark in `0..=1`, in charts of single points.
    pub weight: f64,
    /// What it is, in charts of single points and of rows.
    pub label: Option<String>,
}

impl Point {
    /// An estimate in per cent or points at `x`.
    pub fn percent(x: f64, estimate: Estimate) -> Self {
        let Estimate { mean, low, high, .. } = estimate;
        Self { x, y: 100.0 * mean, range: Some((100.0 * low, 100.0 * high)), ..Self::default() }
    }
}

/// Points that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name in the legend and in the file.
    pub name: String,
    /// Its points, in order.
    pub points: Vec<Point>,
}

impl Series {
    /// Of points.
    pub fn new(name: impl Into<String>, points: Vec<Point>) -> Self {
        Self { name: name.into(), points }
    }
}

/// How points are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Joined by a line, in the order of `x`.
    Lines,
    /// Each alone, with its label.
    Scatter,
    /// One row per point, its interval across: `y` is the value, the label stands to the left.
    Rows,
}

/// One chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// What goes across.
    pub x: String,
    /// What goes up.
    pub y: String,
    /// How points are drawn.
    pub style: Style,
    /// The points.
    pub series: Vec<Series>,
}

impl Chart {
    fn new(style: Style, title: &str, x: &str, y: &str) -> Self {
        Self { title: title.to_owned(), x: x.to_owned(), y: y.to_owned(), style, series: Vec::new() }
    }

    /// A chart of lines without any.
    pub fn lines(title: &str, x: &str, y: &str) -> Self {
        Self::new(Style::Lines, title, x, y)
    }

    /// A chart of single points without any.
    pub fn scatter(title: &str, x: &str, y: &str) -> Self {
        Self::new(Style::Scatter, title, x, y)
    }

    /// A chart of rows without any; `value` is what goes across.
    pub fn rows(title: &str, value: &str) -> Self {
        Self::new(Style::Rows, title, value, "")
    }

    /// With one series more; one without points is left out.
    #[must_use]
    pub fn with(mut self, series: Series) -> Self {
        if !series.points.is_empty() {
            self.series.push(series);
        }
        self
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The chart as an SVG file.
    pub fn svg(&self) -> String {
        match self.style {
            Style::Rows => rows::drawn(self),
            Style::Lines | Style::Scatter => svg::drawn(self),
        }
    }

    /// Its numbers: `series,label,x,y,low,high`, and `weight` in charts of single points.
    pub fn csv(&self) -> String {
        let weighted = self.style == Style::Scatter;
        let mut out = format!("series,label,x,y,low,high{}\n", if weighted { ",weight" } else { "" });
        for (series, point) in self.series.iter().flat_map(|s| s.points.iter().map(move |p| (s, p))) {
            let end = |v: Option<f64>| v.map_or_else(String::new, |v| v.to_string());
            let (low, high) = (end(point.range.map(|r| r.0)), end(point.range.map(|r| r.1)));
            let label = csv_field(point.label.as_deref().unwrap_or_default());
            // Writing into a string cannot fail.
            let weight = if weighted { format!(",{}", point.weight) } else { String::new() };
            let name = csv_field(&series.name);
            let _ = writeln!(out, "{name},{label},{},{},{low},{high}{weight}", point.x, point.y);
        }
        out
    }

    /// Every value on the axis of estimates, interval ends included.
    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        let points = self.series.iter().flat_map(|s| &s.points);
        points.flat_map(|p| [p.y, p.range.map_or(p.y, |r| r.0), p.range.map_or(p.y, |r| r.1)])
    }
}

/// A field as RFC 4180 writes it. A spreadsheet takes a text that begins like a formula for one; an apostrophe
/// keeps it a text.
pub fn csv_field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Round numbers that divide an axis: at most `most` of them, from at or below `low` to at or above `high`, `least`
/// apart at least. What is counted, as iterations are, has no halves: there `least` is 1.
fn ticks(low: f64, high: f64, most: usize, least: f64) -> Vec<f64> {
    let span = if high - low > 1e-9 { high - low } else { 1.0 };
    let rough = (span / most.saturating_sub(2).max(1) as f64).max(least);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough).unwrap_or(rough);
    let first = (low / step).floor() as i64;
    let last = (high / step).ceil().max((low / step).floor() + 1.0) as i64;
    (first..=last).map(|n| n as f64 * step).collect()
}

/// A tick's number, without digits that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A text inside an SVG file, on one line.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text, false).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Chart {
        let estimate = |mean: f64| Estimate { mean, low: mean - 0.05, high: mean + 0.05, n: 100 };
        let points =
            |by: f64| (0..4).map(move |n| Point::percent(f64::from(n), estimate(by + 0.05 * f64::from(n))));
        Chart::lines("Accuracy <by> iteration", "iteration", "accuracy in %")
            .with(Series::new("a,b", points(0.5).collect()))
            .with(Series::new("second", points(0.4).collect()))
            .with(Series::new("empty", Vec::new()))
    }

    #[test]
    fn a_chart_of_each_style_is_a_file() {
        for style in [Style::Lines, Style::Scatter, Style::Rows] {
            let mut chart = Chart { style, ..sample() };
            chart.series[0].points[1].label = Some("a & b".into());
            insta::assert_snapshot!(format!("{style:?}"), chart.svg());
        }
        let scatter = Chart { style: Style::Scatter, ..sample() }.csv();
        assert!(
            scatter.starts_with("series,label,x,y,low,high,weight\n") && scatter.contains(",65,0\n"),
            "{scatter}"
        );
        let csv = sample().csv();
        assert_eq!(csv.lines().count(), 9);
        assert!(csv.lines().nth(1).unwrap().starts_with("\"a,b\",,0,50,45"), "{csv}");
    }

    #[test]
    fn what_is_counted_has_no_halves() {
        assert_eq!(ticks(0.0, 2.0, 9, 1.0), [0.0, 1.0, 2.0]);
        assert_eq!(ticks(1.0, 1.0, 9, 1.0), [1.0, 2.0]);
        assert_eq!(ticks(0.0, 2.0, 6, 0.0), [0.0, 0.5, 1.0, 1.5, 2.0]);
    }

    #[test]
    fn fields_stay_fields() {
        assert_eq!(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!((csv_field("=1+1").as_str(), csv_field("-3").as_str()), ("'=1+1", "-3"));
    }

    proptest! {
        #[test]
        fn ticks_are_few_and_hold_the_range(low in -1e3_f64..1e3, span in 0.0_f64..1e3) {
            let found = ticks(low, low + span, 7, 0.0);
            prop_assert!((2..=8).contains(&found.len()), "{:?}", found);
            prop_assert!(found[0] <= low + 1e-9 && *found.last().unwrap() >= low + span - 1e-9);
        }

        #[test]
        fn nothing_ends_an_svg_early(text in ".*") {
            let said = escaped(&text);
            let ends = said.contains(['<', '>', '"', '\n', '\u{1b}']);
            prop_assert!(!ends);
        }
    }
}
