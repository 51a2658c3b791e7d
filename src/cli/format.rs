//! Texts and numbers as the command line prints them.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::gym::statistics::Estimate;
use crate::tui::escape::{Breaks, escape};

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

/// A text from outside with everything that could drive the terminal made visible; lines stay lines.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    escape(text, Breaks::Keep)
}

/// The same on one line.
pub(super) fn on_one_line(text: &str) -> Cow<'_, str> {
    escape(text, Breaks::Show)
}

/// A value as JSON on one line, in which what could drive or disorder a terminal is written as its number
/// (`\\u202e`): the same value for a program, nothing but text for a terminal.
pub(super) fn json(value: &impl serde::Serialize) -> serde_json::Result<String> {
    Ok(harmless(&serde_json::to_string(value)?))
}

/// The same on several lines, with the end of the last one.
pub(super) fn json_lines(value: &impl serde::Serialize) -> serde_json::Result<String> {
    Ok(harmless(&serde_json::to_string_pretty(value)?) + "\n")
}

/// Writes what could drive a terminal as its number. The only ends of lines in a JSON text stand between its values.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n'
            || c.is_ascii() && !c.is_control()
            || escape(c.encode_utf8(&mut [0; 4]), Breaks::Show).starts_with(c)
        {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// A number of bytes in the largest fitting unit: `1.5 GiB`, `12 MiB`, `900 B`.
pub(super) fn bytes(n: u64) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..0x10_0000 => format!("{} KiB", n >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", n >> 20),
        _ => format!("{:.1} GiB", n as f64 / f64::from(1 << 30)),
    }
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
        assert_eq!(escaped("a\u{1b}[2Jb\n"), "a\u{241b}[2Jb\n");
        assert!(!on_one_line("a\nb").contains('\n'));
        let hostile = "\u{9b}31m\u{202e}\u{e0041}\u{7f} \"日本\" \n";
        let said = json(&hostile).unwrap();
        assert_eq!(said, r#""\u009b31m\u202e\udb40\udc41\u007f \"日本\" \n""#);
        assert_eq!(serde_json::from_str::<String>(&said).unwrap(), hostile);
        let said = json_lines(&[hostile]).unwrap();
        assert_eq!(said, concat!("[\n  ", r#""\u009b31m\u202e\udb40\udc41\u007f \"日本\" \n""#, "\n]\n"));
        assert_eq!(serde_json::from_str::<[String; 1]>(&said).unwrap(), [hostile]);
        assert_eq!([900, 4096, 12 << 20, 3 << 29].map(bytes), ["900 B", "4 KiB", "12 MiB", "1.5 GiB"]);
    }
}
