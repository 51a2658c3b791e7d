//! Tables as values, and as text: Markdown for documents, aligned columns for a terminal, CSV for programs.

use std::fmt::Write as _;

use super::figure::csv_field;
use crate::gym::statistics::Estimate;

/// Rows of cells under a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    /// An empty table whose columns are known only when it is made.
    pub fn with_head(head: Vec<String>) -> Self {
        Self { head, rows: Vec::new() }
    }

    /// Adds a row; cells that are missing stay empty.
    pub fn push(&mut self, mut row: Vec<String>) {
        row.resize(self.head.len(), String::new());
        self.rows.push(row);
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As Markdown; what would end a cell, be markup or drive a terminal is escaped.
    pub fn markdown(&self) -> String {
        let cells = |cells: &[String]| cells.iter().map(|text| inline(text)).collect::<Vec<_>>().join(" | ");
        let line = |row: &[String]| format!("| {} |\n", cells(row));
        let rule = format!("|{}\n", "---|".repeat(self.head.len()));
        self.rows.iter().fold(line(&self.head) + &rule, |text, row| text + &line(row))
    }

    /// As columns of one width, the first to the left and the others to the right. Texts are taken as they
    /// are: whoever prints them escapes them.
    pub fn text(&self) -> String {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let width = |n: usize| all().map(|row| row[n].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut out = String::new();
        for row in all() {
            let mut line = String::new();
            for (n, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                // Writing into a string cannot fail.
                let _ =
                    if n == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") };
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// As CSV with a head.
    pub fn csv(&self) -> String {
        let line = |row: &Vec<String>| row.iter().map(|c| csv_field(c)).collect::<Vec<_>>().join(",") + "\n";
        std::iter::once(&self.head).chain(&self.rows).map(line).collect()
    }
}

/// A text of others within a line of Markdown.
pub fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let text = visible(text, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('\\' | '|' | '`', _) | (']', Some('(')) => out.extend(['\\', c]),
            ('<', Some(next)) if next.is_ascii_alphabetic() || "/!?".contains(*next) => out.push_str("&lt;"),
            (c, _) => out.push(c),
        }
    }
    out
}

/// A text of others for a file that people print: what drives a terminal, turns the direction of writing or has no
/// place of its own is U+FFFD. Ends of lines stay where they may, and are spaces elsewhere.
pub fn visible(text: &str, lines: bool) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' if lines => c,
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() || hidden(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// Whether a character has no place of its own or turns the direction of writing.
fn hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

/// An accuracy in percent with its interval: `60.7 [58.1, 63.2]`.
pub fn percent(estimate: &Estimate) -> String {
    let Estimate { mean, low, high, .. } = estimate;
    format!("{:.1} [{:.1}, {:.1}]", 100.0 * mean, 100.0 * low, 100.0 * high)
}

/// A difference in points with its interval: `+14.9 [+12.9, +16.9]`.
pub fn points(estimate: &Estimate) -> String {
    let Estimate { mean, low, high, .. } = estimate;
    format!("{:+.1} [{:+.1}, {:+.1}]", 100.0 * mean, 100.0 * low, 100.0 * high)
}

/// A p-value as people read it: `0.031`, `< 0.001`.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_in_three_forms() {
        let mut table = Table::new(["skill", "gain"]);
        table.push(vec!["a|b".into(), "+1.0".into()]);
        table.push(vec!["longer, name".into()]);
        assert_eq!(table.markdown(), "| skill | gain |\n|---|---|\n| a\\|b | +1.0 |\n| longer, name |  |\n");
        assert_eq!(table.text(), "skill         gain\na|b           +1.0\nlonger, name\n");
        assert_eq!(table.csv(), "skill,gain\na|b,+1.0\n\"longer, name\",\n");
    }

    #[test]
    fn what_others_wrote_is_neither_markup_nor_a_command() {
        let mut table = Table::new(["skill"]);
        table.push(vec!["\u{1b}[31m<b>`a` [x](y)\u{202e}\n\u{9b}0m".into()]);
        let cell = "\u{fffd}[31m&lt;b>\\`a\\` [x\\](y)\u{fffd} \u{fffd}0m";
        assert_eq!(table.markdown(), format!("| skill |\n|---|\n| {cell} |\n"));
        assert_eq!(visible("a\n\u{1b}b", true), "a\n\u{fffd}b");
    }

    #[test]
    fn small_p_values_are_not_nought() {
        assert_eq!([0.0, 0.0312].map(p_value), ["< 0.001", "0.031"]);
    }
}
