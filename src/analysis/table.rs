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

    /// As Markdown; what would end a cell is escaped.
    pub fn markdown(&self) -> String {
        let cell = |text: &String| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
        let line =
            |cells: &[String]| format!("| {} |\n", cells.iter().map(cell).collect::<Vec<_>>().join(" | "));
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
    fn small_p_values_are_not_nought() {
        assert_eq!([0.0, 0.0312].map(p_value), ["< 0.001", "0.031"]);
    }
}
