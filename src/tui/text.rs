//! Words and numbers for the screen: wrapping, cutting, durations, percentages.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::escape::{Breaks, escape};
use crate::gym::statistics::Estimate;

/// Longest text that is wrapped, in characters; more is announced and left out.
const LONGEST: usize = 40_000;

/// Columns a text takes on the screen.
pub(crate) fn width(text: &str) -> usize {
    escape(text, Breaks::Show).width()
}

/// The text on one line of at most `columns`, cut with an ellipsis.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    let text = escape(text, Breaks::Show);
    if text.width() <= columns {
        return text.into_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for piece in pieces(&text) {
        if used + piece.width() + 1 > columns {
            break;
        }
        used += piece.width();
        out.push_str(piece);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The end of a text on one line of at most `columns`, every run of white space one space; what went before is cut.
pub(crate) fn end(text: &str, columns: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = escape(&text, Breaks::Show);
    if text.width() <= columns {
        return text.into_owned();
    }
    let mut used = 1;
    let last = |piece: &&str| {
        used += piece.width();
        used <= columns
    };
    let mut kept: Vec<&str> = pieces(&text).collect::<Vec<_>>().into_iter().rev().take_while(last).collect();
    kept.reverse();
    if columns > 0 { format!("…{}", kept.concat()) } else { String::new() }
}

/// Cuts or pads with spaces on the right.
pub(crate) fn left(text: &str, columns: usize) -> String {
    let mut out = cut(text, columns);
    out.push_str(&" ".repeat(columns.saturating_sub(out.width())));
    out
}

/// Cuts or pads with spaces on the left.
pub(crate) fn right(text: &str, columns: usize) -> String {
    let out = cut(text, columns);
    format!("{}{out}", " ".repeat(columns.saturating_sub(out.width())))
}

/// A preview: every run of white space is one space.
pub(crate) fn one_line(text: &str) -> String {
    let shortened: String = text.chars().take(400).collect();
    shortened.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Wraps a text at spaces, escaped; the indentation of a line is kept and words too long are broken.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let shown: String = text.chars().take(LONGEST).collect();
    let mut lines = Vec::new();
    for line in escape(&shown, Breaks::Keep).split('\n') {
        wrap_line(line, columns, &mut lines);
    }
    let hidden = text.chars().skip(LONGEST).count();
    if hidden > 0 {
        lines.push(cut(&format!("({hidden} more characters are not shown)"), columns));
    }
    lines
}

fn wrap_line(line: &str, columns: usize, lines: &mut Vec<String>) {
    let mut current = String::new();
    let mut used = 0;
    for word in line.split_inclusive(' ') {
        let bare = word.trim_end_matches(' ').width();
        if used > 0 && used + bare > columns && !current.trim().is_empty() {
            lines.push(std::mem::take(&mut current).trim_end().to_owned());
            used = 0;
        }
        for piece in pieces(word) {
            let wide = piece.width();
            if used + wide > columns {
                if piece == " " {
                    continue;
                }
                lines.push(std::mem::take(&mut current));
                used = 0;
            }
            current.push_str(piece);
            used += wide;
        }
    }
    lines.push(current.trim_end().to_owned());
}

/// What the terminal draws as one: a character with its marks.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.graphemes(true)
}

/// `48.3 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// `41-55`: an interval in whole percent.
pub(crate) fn interval(estimate: &Estimate) -> String {
    format!("{:.0}-{:.0}", estimate.low * 100.0, estimate.high * 100.0)
}

/// `+3.2`: a change in percentage points. No sign on what rounds to nothing.
pub(crate) fn points(change: f64) -> String {
    let points = change * 100.0;
    if points.abs() < 0.05 { "0.0".to_owned() } else { format!("{points:+.1}") }
}

/// `42 s`, `3 min 12 s`, `1 h 05 min`, `2 d 03 h`.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {:02} s", seconds % 60),
        3600..86_400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

/// A rate with three meaningful digits: `0.42`, `7.1`, `812`, `12.3k`.
pub(crate) fn rate(value: f64) -> String {
    match value {
        v if !v.is_finite() || v <= 0.0 => "0".to_owned(),
        v if v < 1.0 => format!("{v:.2}"),
        v if v < 10.0 => format!("{v:.1}"),
        v if v < 10_000.0 => format!("{v:.0}"),
        v if v < 1e6 => format!("{:.1}k", v / 1e3),
        v => format!("{:.1}M", v / 1e6),
    }
}

/// MiB as `812 MiB` or `94.3 GiB`.
pub(crate) fn memory(mib: f64) -> String {
    if mib < 1000.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cutting_and_padding_count_columns() {
        assert_eq!(
            (cut("abcdef", 4), cut("abc", 3), cut("abc", 0)),
            ("abc…".into(), "abc".into(), String::new())
        );
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!((end("abc  def\n", 4), end("a b", 3)), ("…def".into(), "a b".into()));
        assert_eq!((end("日本語", 4), end("abc", 0)), ("…語".into(), String::new()));
        assert_eq!((left("日本", 5), right("ab", 4)), ("日本 ".into(), "  ab".into()));
        assert_eq!(one_line(" a\n\n b\tc "), "a b c");
    }

    #[test]
    fn wrapping_breaks_at_spaces_and_keeps_indentation() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("    x = 1\n\n  y", 20), ["    x = 1", "", "  y"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
        assert_eq!(wrap("a\x1bb", 9), ["a␛b"]);
        assert_eq!(wrap(&"x".repeat(LONGEST + 5), 50_000)[1], "(5 more characters are not shown)");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (percent(0.4834), points(0.0321), points(-0.0001)),
            ("48.3 %".into(), "+3.2".into(), "0.0".into())
        );
        let durations = [0, 59_999, 192_000, 3_900_000, 200_000_000].map(duration);
        assert_eq!(durations, ["0 s", "59 s", "3 min 12 s", "1 h 05 min", "2 d 07 h"]);
        assert_eq!(
            [0.0, 0.42, 7.12, 812.0, 12_300.0, 2e6].map(rate),
            ["0", "0.42", "7.1", "812", "12.3k", "2.0M"]
        );
        assert_eq!([812.0, 96_563.2].map(memory), ["812 MiB", "94.3 GiB"]);
    }

    proptest! {
        #[test]
        fn no_line_is_too_long_and_no_word_is_lost(text in "[ a-zé日\u{301}\n]{0,60}", columns in 2_usize..20) {
            let lines = wrap(&text, columns);
            prop_assert!(lines.iter().all(|l| l.width() <= columns), "{lines:?}");
            let bare = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(bare(&lines.concat()), bare(&escape(&text, Breaks::Keep)));
            prop_assert!(cut(&text, columns).width() <= columns);
        }
    }
}
