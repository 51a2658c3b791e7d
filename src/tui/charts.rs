//! What the charts show, and how they are written to files. Pure: numbers of the run in, text out.

mod plot;

use std::fmt::Write as _;

use super::app::App;
use crate::analysis::figure;
use crate::gym::episode::Iteration;
use crate::gym::report::Report;
use crate::gym::statistics::Estimate;

pub(crate) use plot::plot;

/// The charts, in order.
pub(crate) const NAMES: [&str; 4] = ["accuracy", "skill", "loss", "speed"];

/// Steps of a curve that count as recent.
const RECENT: usize = 50;
/// Iterations that count as recent.
const RECENT_ITERATIONS: usize = 10;

/// One value, with its 95 % interval where it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) range: Option<(f64, f64)>,
}

/// Values that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) points: Vec<Point>,
}

/// One chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) series: Vec<Series>,
    /// Whether `y` counts per cent, which begin at 0 and end at 100.
    pub(crate) percent: bool,
}

/// A file with a chart in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exported {
    /// Name of the file; only letters, digits, dashes and a dot.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// The skills that have a chart.
pub(crate) fn skills(app: &App) -> Vec<String> {
    let report = app.facts.as_ref().and_then(|facts| facts.episode.latest_report());
    report.map_or_else(Vec::new, |report| report.skills.iter().map(|s| s.skill.clone()).collect())
}

/// One of the charts.
pub(crate) fn chart(app: &App, number: usize, skill: usize, recent: bool) -> Chart {
    match number {
        0 => accuracy(app, "Accuracy by iteration".into(), recent, |report| Some(report.overall)),
        1 => {
            let name = skills(app).get(skill).cloned().unwrap_or_else(|| "no skill yet".into());
            let title = format!("Accuracy in {name} by iteration");
            accuracy(app, title, recent, |report| report.skill(&name).map(|s| s.accuracy))
        }
        2 => training(app, "Loss per response token", "nats", recent, |step| step.loss),
        _ => training(app, "Training speed", "tokens/s", recent, |step| step.tokens_per_second),
    }
}

fn accuracy(app: &App, title: String, recent: bool, of: impl Fn(&Report) -> Option<Estimate>) -> Chart {
    let all = app.facts.as_ref().map(|facts| &facts.episode.iterations);
    let count = app.facts.as_ref().map_or(0, |facts| facts.episode.iterations.len());
    let first = if recent { count.saturating_sub(RECENT_ITERATIONS) } else { 0 };
    let title = if first > 0 { format!("{title}, the newest {RECENT_ITERATIONS} of {count}") } else { title };
    let rows = all.into_iter().flatten().enumerate().skip(first);
    let points = |report: fn(&Iteration) -> Option<&Report>| {
        let point = |(n, row): (usize, &Iteration)| {
            let e = of(report(row)?)?;
            let range = Some((e.low * 100.0, e.high * 100.0));
            Some(Point { x: n as f64, y: e.mean * 100.0, range })
        };
        rows.clone().filter_map(point).collect()
    };
    let series = vec![
        Series { name: "validation", points: points(|row| row.validation.as_ref()) },
        Series { name: "test", points: points(|row| row.test.as_ref()) },
    ];
    Chart { title, x: "iteration", y: "%", series, percent: true }
}

fn training(
    app: &App,
    what: &str,
    y: &'static str,
    recent: bool,
    of: impl Fn(&crate::gym::ports::TrainingProgress) -> f64,
) -> Chart {
    let all = app.facts.as_ref().map_or(&[][..], |facts| &facts.curve);
    let curve = if recent { &all[all.len().saturating_sub(RECENT)..] } else { all };
    let part = if recent && curve.len() < all.len() {
        format!(", the newest {RECENT} of {} steps", all.len())
    } else {
        format!(", all {} steps", all.len())
    };
    let point = |step: &crate::gym::ports::TrainingProgress| {
        let y = of(step);
        y.is_finite().then_some(Point { x: f64::from(step.step), y, range: None })
    };
    let series = vec![Series { name: "newest training", points: curve.iter().filter_map(point).collect() }];
    Chart { title: format!("{what}, newest training{part}"), x: "step", y, series, percent: false }
}

impl Chart {
    pub(crate) fn is_empty(&self) -> bool {
        self.series.iter().all(|series| series.points.is_empty())
    }

    /// Lowest and highest `x`, lowest and highest `y`, with a little room around; never of no width.
    pub(crate) fn bounds(&self) -> ((f64, f64), (f64, f64)) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let span = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
        };
        let x = span(&mut points().map(|p| p.x));
        let ends = |p: &Point| p.range.map_or([p.y, p.y], |(low, high)| [low, high]);
        let (low, high) = span(&mut points().flat_map(ends));
        if !(low.is_finite() && high.is_finite()) {
            return ((0.0, 1.0), (0.0, 1.0));
        }
        let room = ((high - low) * 0.05).max(1e-9 + high.abs() * 1e-3);
        let y = if self.percent {
            ((low - room).max(0.0).floor(), (high + room).min(100.0).ceil())
        } else {
            ((low - room).max(0.0), high + room)
        };
        let wide = |(low, high): (f64, f64)| if high > low { (low, high) } else { (low - 0.5, high + 0.5) };
        (wide(x), wide(y))
    }

    /// The same as a figure for a file.
    fn figure(&self) -> figure::Chart {
        let point = |p: &Point| figure::Point { x: p.x, y: p.y, range: p.range, ..figure::Point::default() };
        let series = |s: &Series| figure::Series::new(s.name, s.points.iter().map(point).collect());
        let empty = figure::Chart::lines(&self.title, self.x, self.y);
        self.series.iter().map(series).fold(empty, figure::Chart::with)
    }

    /// One line per value.
    fn csv(&self) -> String {
        let mut out =
            format!("series,{},{},low,high\n", self.x, if self.percent { "percent" } else { self.y });
        for series in &self.series {
            for p in &series.points {
                let range = p.range.map_or_else(|| ",".to_owned(), |(low, high)| format!("{low},{high}"));
                // Writing into a string cannot fail.
                let _ = writeln!(out, "{},{},{},{range}", series.name, p.x, p.y);
            }
        }
        out
    }
}

/// Every chart that has values, as it is seen, as SVG and as CSV.
pub(crate) fn exported(app: &App, recent: bool) -> Vec<Exported> {
    let mut charts = vec![("accuracy".to_owned(), chart(app, 0, 0, recent))];
    for (n, skill) in skills(app).iter().enumerate() {
        charts.push((format!("skill-{:02}-{}", n + 1, plain(skill)), chart(app, 1, n, recent)));
    }
    charts.push(("loss".to_owned(), chart(app, 2, 0, recent)));
    charts.push(("speed".to_owned(), chart(app, 3, 0, recent)));
    let files = |(name, chart): (String, Chart)| {
        [
            Exported { name: format!("{name}.svg"), text: chart.figure().svg() },
            Exported { name: format!("{name}.csv"), text: chart.csv() },
        ]
    };
    charts.into_iter().filter(|(_, chart)| !chart.is_empty()).flat_map(files).collect()
}

/// A name fit for a file, whoever chose it.
fn plain(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    name.chars().take(40).map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let point = |x: f64, y: f64| Point { x, y, range: Some((y - 5.0, y + 5.0)) };
        let points = vec![point(0.0, 40.0), point(1.0, 60.0), point(2.0, 97.0)];
        let series = vec![Series { name: "validation", points }, Series { name: "test", points: Vec::new() }];
        Chart { title: "A & <b>".into(), x: "iteration", y: "%", series, percent: true }
    }

    #[test]
    fn bounds_hold_everything_and_per_cents_stay_in_range() {
        assert_eq!(chart().bounds(), ((0.0, 2.0), (31.0, 100.0)));
        let none = Chart { series: Vec::new(), ..chart() };
        assert_eq!(none.bounds(), ((0.0, 1.0), (0.0, 1.0)));
        let one = Series { name: "x", points: vec![Point { x: 3.0, y: 2.0, range: None }] };
        let ((left, right), (low, high)) = Chart { series: vec![one], percent: false, ..chart() }.bounds();
        assert!(left < 3.0 && right > 3.0 && low < 2.0 && high > 2.0);
    }

    #[test]
    fn files_hold_the_values_and_no_foreign_markup() {
        assert_eq!(
            chart().csv(),
            "series,iteration,percent,low,high\nvalidation,0,40,35,45\nvalidation,1,60,55,65\nvalidation,2,97,92,102\n"
        );
        let svg = chart().figure().svg();
        assert!(svg.contains("A &amp; &lt;b&gt;") && !svg.contains("<b>"));
        assert_eq!((svg.matches("<circle").count(), svg.matches("<polyline").count()), (3, 1));
        assert_eq!(plain("../Über 2"), "----ber-2");
    }
}
