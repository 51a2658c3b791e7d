//! A chart as an SVG file.

use std::fmt::Write as _;

use super::Chart;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
/// Left, top, right and bottom of the frame.
const FRAME: [f64; 4] = [64.0, 40.0, 700.0, 372.0];
/// Colours that stay apart without one kind of cone (Okabe and Ito).
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];

/// The chart as a file of its own.
pub(super) fn drawn(chart: &Chart) -> String {
    let ((x_low, x_high), (y_low, y_high)) = chart.bounds();
    let [left, top, right, bottom] = FRAME;
    let x = |v: f64| left + (v - x_low) / (x_high - x_low) * (right - left);
    let y = |v: f64| bottom - (v.clamp(y_low, y_high) - y_low) / (y_high - y_low) * (bottom - top);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{left}\" y=\"24\" font-size=\"16\">{}</text>\n",
        escaped(&chart.title)
    );
    let mut put = |line: String| {
        out.push_str(&line);
        out.push('\n');
    };
    for step in 0..=4 {
        let value = y_low + (y_high - y_low) * f64::from(step) / 4.0;
        let at = y(value);
        put(format!("<line x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#dddddd\"/>"));
        put(format!(
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            at + 4.0,
            label(value)
        ));
        let value = x_low + (x_high - x_low) * f64::from(step) / 4.0;
        put(format!(
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(value),
            bottom + 18.0,
            label(value)
        ));
    }
    put(format!("<text x=\"{right}\" y=\"{}\" text-anchor=\"end\">{}</text>", bottom + 36.0, chart.x));
    put(format!("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", left - 8.0, top - 12.0, chart.y));
    let mut named = 0;
    for (series, colour) in chart.series.iter().zip(COLOURS.iter().cycle()) {
        if series.points.is_empty() {
            continue;
        }
        let mut places = String::new();
        for p in &series.points {
            // Writing into a string cannot fail.
            let _ = write!(places, "{:.1},{:.1} ", x(p.x), y(p.y));
            if let Some((low, high)) = p.range {
                let (at, low, high) = (x(p.x), y(low), y(high));
                put(format!(
                    "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\" stroke=\"{colour}\"/>"
                ));
            }
        }
        put(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            places.trim_end()
        ));
        // Many points are a line; few are marked.
        if series.points.len() <= 60 {
            for p in &series.points {
                put(format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/>", x(p.x), y(p.y)));
            }
        }
        let at = right - 150.0 + 80.0 * f64::from(named);
        put(format!("<text x=\"{at}\" y=\"24\" fill=\"{colour}\">{}</text>", escaped(series.name)));
        named += 1;
    }
    put("</svg>".to_owned());
    out
}

fn label(value: f64) -> String {
    if value.abs() >= 10.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
