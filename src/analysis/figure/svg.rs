//! Lines and single points as SVG.

use std::fmt::Write as _;

use super::{Chart, Point, Style, escaped, number, ticks};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
/// Left, top, right and bottom of the frame.
const FRAME: [f64; 4] = [64.0, 56.0, 560.0, 384.0];
/// Between series with the same `x`.
const SHIFT: f64 = 3.0;
/// Most points of a line that are marked.
const MARKED: usize = 60;
/// Colours that stay apart without one kind of cone (Okabe and Ito).
pub(super) const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

/// From numbers to places.
struct Plot {
    x: (f64, f64),
    y: (f64, f64),
    /// Room at both ends of x for marks that are wide or shifted.
    margin: f64,
}

impl Plot {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let [left, top, right, bottom] = FRAME;
        let part = |v: f64, (low, high): (f64, f64)| (v - low) / (high - low);
        let width = right - left - 2.0 * self.margin;
        (left + self.margin + part(x, self.x) * width, bottom - part(y, self.y) * (bottom - top))
    }
}

/// The beginning of a file of that size.
pub(super) fn head(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"16\">{}</text>\n",
        escaped(title)
    )
}

/// The chart as a file of its own.
pub(super) fn drawn(chart: &Chart) -> String {
    let mut out = head(WIDTH, HEIGHT, &chart.title);
    let places = || chart.series.iter().flat_map(|s| &s.points).map(|p| p.x);
    let least = if places().all(|x| x.fract() == 0.0) { 1.0 } else { 0.0 };
    let across = ticks(
        places().fold(f64::INFINITY, f64::min).min(1e9),
        places().fold(f64::NEG_INFINITY, f64::max).max(-1e9),
        9,
        least,
    );
    let up = ticks(
        chart.values().fold(f64::INFINITY, f64::min).min(1e9),
        chart.values().fold(f64::NEG_INFINITY, f64::max).max(-1e9),
        7,
        0.0,
    );
    let ends = |ticks: &[f64]| (ticks[0], ticks[ticks.len() - 1]);
    // Series with the same `x` stand side by side, so that their intervals do not cover each other.
    let beside =
        if chart.style == Style::Lines { SHIFT * (chart.series.len().max(1) - 1) as f64 / 2.0 } else { 0.0 };
    let plot = Plot { x: ends(&across), y: ends(&up), margin: beside + 6.0 };
    axes(&mut out, chart, &plot, &across, &up);
    for (n, (series, colour)) in chart.series.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let shift = if chart.style == Style::Lines { SHIFT * n as f64 - beside } else { 0.0 };
        // Many points are a line; few are marked.
        if chart.style == Style::Scatter || series.points.len() <= MARKED {
            for point in &series.points {
                mark(&mut out, chart.style, &plot, point, (n, colour), shift);
            }
        }
        if chart.style == Style::Lines {
            let place = |p: &Point| {
                let (x, y) = plot.at(p.x, p.y);
                format!("{:.1},{y:.1}", x + shift)
            };
            let line: Vec<String> = series.points.iter().map(place).collect();
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{}/>",
                line.join(" "),
                dashes(n)
            );
        }
        if chart.series.len() > 1 {
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{}\" fill=\"{colour}\">{}</text>",
                FRAME[2] + if dashes(n).is_empty() { 12.0 } else { 44.0 },
                FRAME[1] + 12.0 + 18.0 * n as f64,
                escaped(&series.name)
            );
            let y = FRAME[1] + 8.0 + 18.0 * n as f64;
            if !dashes(n).is_empty() && chart.style == Style::Scatter {
                shape(&mut out, n, (FRAME[2] + 25.0, y), 5.0, colour);
            } else if !dashes(n).is_empty() {
                let _ = writeln!(
                    out,
                    "<line x1=\"{}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"2\"{}/>",
                    FRAME[2] + 12.0,
                    FRAME[2] + 38.0,
                    dashes(n)
                );
            }
        }
    }
    out + "</svg>\n"
}

/// How the line of the `n`-th series is broken: a colour that comes again is another line.
fn dashes(n: usize) -> String {
    const PATTERNS: [&str; 4] = ["", "8 4", "2 3", "10 3 2 3"];
    match PATTERNS[n / COLOURS.len() % PATTERNS.len()] {
        "" => String::new(),
        pattern => format!(" stroke-dasharray=\"{pattern}\""),
    }
}

/// The mark of the `n`-th series: a colour that comes again is another shape.
fn shape(out: &mut String, n: usize, (x, y): (f64, f64), radius: f64, colour: &str) {
    let figure = match n / COLOURS.len() % 3 {
        0 => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\""),
        1 => {
            let (side, half) = (1.8 * radius, 0.9 * radius);
            let (left, top) = (x - half, y - half);
            format!("<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{side:.1}\" height=\"{side:.1}\"")
        }
        _ => {
            let r = 1.25 * radius;
            let (left, right, top, bottom) = (x - r, x + r, y - r, y + r);
            format!("<path d=\"M{left:.1} {y:.1} L{x:.1} {top:.1} L{right:.1} {y:.1} L{x:.1} {bottom:.1} Z\"")
        }
    };
    // Writing into a string cannot fail.
    let _ = writeln!(out, "{figure} fill=\"{colour}\" fill-opacity=\"0.8\"/>");
}

/// One point with its interval, and its label where points stand alone.
fn mark(out: &mut String, style: Style, plot: &Plot, point: &Point, (n, colour): (usize, &str), shift: f64) {
    let (x, y) = plot.at(point.x, point.y);
    let x = x + shift;
    if let Some((low, high)) = point.range {
        let (low, high) = (plot.at(point.x, low).1, plot.at(point.x, high).1);
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\" stroke=\"{colour}\"/>"
        );
    }
    // The area of a mark goes with the weight.
    let radius = if style == Style::Scatter { 4.0 + 14.0 * point.weight.clamp(0.0, 1.0).sqrt() } else { 3.5 };
    shape(out, n, (x, y), radius, colour);
    if let (Style::Scatter, Some(label)) = (style, &point.label) {
        let (x, y) = (x + radius + 3.0, y + 4.0);
        let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"11\">{}</text>", escaped(label));
    }
}

fn axes(out: &mut String, chart: &Chart, plot: &Plot, across: &[f64], up: &[f64]) {
    let [left, top, right, bottom] = FRAME;
    for value in up {
        let (_, y) = plot.at(plot.x.0, *value);
        let stroke = if *value == 0.0 { "#888888" } else { "#dddddd" };
        let _ = writeln!(
            out,
            "<line x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{stroke}\"/>\n\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            y + 4.0,
            number(*value)
        );
    }
    for value in across {
        let (x, _) = plot.at(*value, plot.y.0);
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 18.0,
            number(*value)
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n<text x=\"16\" y=\"{}\">{}</text>",
        f64::midpoint(left, right),
        bottom + 40.0,
        escaped(&chart.x),
        top - 10.0,
        escaped(&chart.y)
    );
}
