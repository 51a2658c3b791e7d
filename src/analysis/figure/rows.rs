//! Estimates below each other, each with its interval across: comparisons, gains by skill.

use std::fmt::Write as _;

use super::svg::{COLOURS, head};
use super::{Chart, escaped, number, ticks};

const WIDTH: f64 = 720.0;
const LEFT: f64 = 280.0;
const RIGHT: f64 = 690.0;
const TOP: f64 = 48.0;
const ROW: f64 = 22.0;

/// The chart as a file of its own.
pub(super) fn drawn(chart: &Chart) -> String {
    let count: usize = chart.series.iter().map(|s| s.points.len()).sum();
    let bottom = TOP + ROW * count as f64;
    let height = bottom + 56.0;
    // Nought belongs to every chart of differences.
    let low = chart.values().fold(0.0, f64::min);
    let high = chart.values().fold(0.0, f64::max);
    let steps = ticks(low, high, 8, 0.0);
    let (first, last) = (steps[0], steps[steps.len() - 1]);
    let at = |v: f64| LEFT + (v - first) / (last - first) * (RIGHT - LEFT);
    let mut out = head(WIDTH, height, &chart.title);
    for value in &steps {
        let x = at(*value);
        let stroke = if *value == 0.0 { "#888888" } else { "#dddddd" };
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\" stroke=\"{stroke}\"/>\n\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 18.0,
            number(*value)
        );
    }
    let mut y = TOP + ROW / 2.0;
    for (series, colour) in chart.series.iter().zip(COLOURS.iter().cycle()) {
        for point in &series.points {
            let label = point.label.as_deref().unwrap_or(&series.name);
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 10.0,
                y + 4.0,
                escaped(label)
            );
            if let Some((low, high)) = point.range {
                let (low, high) = (at(low), at(high));
                let _ = writeln!(
                    out,
                    "<line x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\" \
                     stroke-width=\"2\"/>"
                );
            }
            let _ =
                writeln!(out, "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>", at(point.y));
            y += ROW;
        }
    }
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, RIGHT),
        bottom + 40.0,
        escaped(&chart.x)
    );
    out + "</svg>\n"
}
