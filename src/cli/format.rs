//! Texts and numbers as the command line prints them.

use crate::gym::statistics::Estimate;

/// An accuracy with its interval in percent: `60.7 % [58.1, 63.2]`.
pub(super) fn accuracy(estimate: &Estimate) -> String {
    let Estimate { mean, low, high, .. } = estimate;
    format!("{:.1} % [{:.1}, {:.1}]", 100.0 * mean, 100.0 * low, 100.0 * high)
}

/// A difference with its interval in points: `+14.9 points [+12.9, +16.9]`.
pub(super) fn gain(estimate: &Estimate) -> String {
    let Estimate { mean, low, high, .. } = estimate;
    format!("{:+.1} points [{:+.1}, {:+.1}]", 100.0 * mean, 100.0 * low, 100.0 * high)
}

/// A duration in the two largest units: `1 h 05 min`, `4 min 12 s`, `3.4 s`.
pub(super) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, _) => format!("{:.1} s", ms as f64 / 1000.0),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

/// A text from outside without control characters, so that it cannot drive the terminal.
pub(super) fn escaped(text: &str) -> String {
    let plain = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_read_it() {
        let e = Estimate { mean: 0.607, low: 0.581, high: 0.632, n: 480 };
        assert_eq!(accuracy(&e), "60.7 % [58.1, 63.2]");
        assert_eq!(gain(&Estimate { mean: -0.01, low: -0.02, ..e }), "-1.0 points [-2.0, +63.2]");
        assert_eq!([3_400, 252_000, 3_900_000].map(duration), ["3.4 s", "4 min 12 s", "1 h 05 min"]);
        assert_eq!(escaped("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\n");
    }
}
