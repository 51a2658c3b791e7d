//! The report as a document.

use std::fmt::Write as _;

use super::{Report, TestScore};
use crate::analysis::facts::DataCounts;
use crate::analysis::table::{Table, inline, p_value, percent, points, visible};
use crate::gym::leakage::{Contamination, PASSAGE};

impl Report {
    /// The whole report as Markdown. Texts of others are in it visibly: between words without
    /// markup, else inside fences that they cannot end.
    pub fn markdown(&self) -> String {
        let mut out = format!("# Run {}\n\n", self.run);
        let _ = writeln!(
            out,
            "Task {}, student {}, environment {}, policy {}, engine {}, seed {}, made by version {}.",
            self.task,
            self.student,
            self.environment.as_str(),
            self.policy,
            self.engine,
            self.seed,
            self.version
        );
        if let Some(hash) = &self.configuration_sha256 {
            let _ = writeln!(out, "Configuration SHA-256 `{hash}`.");
        }
        out.push_str(&self.outcome());
        section(&mut out, "Iterations", &self.iteration_table());
        section(&mut out, "Skills on the test split", &self.skill_table());
        section(&mut out, "Parts of the test split", &self.slice_table());
        section(&mut out, "Training data by skill", &self.data_table());
        section(&mut out, "Checks", &self.check_table());
        out.push_str(&self.leak_certificate());
        section(&mut out, "Time by phase", &self.phase_table());
        let _ = writeln!(out, "\nTokens of all models: {}.", self.tokens);
        section(&mut out, "Endpoints", &self.endpoint_table());
        self.write_answers(&mut out);
        out
    }

    /// The result in a few sentences.
    pub fn outcome(&self) -> String {
        let mut out = String::new();
        if !self.finished {
            out.push_str("\nThe run is **not finished**: what follows is what there is so far.\n");
        }
        if let Some(limit) = self.ended_by {
            let _ = writeln!(out, "\nIt ended by its limit: {}.", limit.as_str());
        }
        match (&self.test, self.selected) {
            (Some(test), Some(selected)) => out.push_str(&sentence(test, selected)),
            (None, Some(_)) => out.push_str("\nThe test split has no answers of both students.\n"),
            (_, None) => {}
        }
        out
    }

    /// What each endpoint was paid; empty where none was asked.
    pub fn endpoint_table(&self) -> Table {
        let mut table = Table::new(["endpoint", "answers", "tokens", "cost"]);
        for (name, (answers, tokens, cost)) in &self.spending.endpoints {
            table.push(vec![name.clone(), answers.to_string(), tokens.to_string(), format!("{cost:.4}")]);
        }
        table
    }

    /// Accuracy and data by iteration.
    pub fn iteration_table(&self) -> Table {
        let mut table = Table::new([
            "iteration",
            "validation, %",
            "test, %",
            "data asked for",
            "produced",
            "accepted",
            "tokens",
            "seconds",
        ]);
        for row in &self.iterations {
            let DataCounts { specified, produced, accepted } = row.data;
            let score = |e: &Option<_>| e.as_ref().map(percent).unwrap_or_default();
            let mark = if self.selected == Some(row.iteration) { " *" } else { "" };
            table.push(vec![
                format!("{}{mark}", row.iteration),
                score(&row.validation),
                score(&row.test),
                specified.to_string(),
                produced.to_string(),
                accepted.to_string(),
                row.tokens.to_string(),
                seconds(row.elapsed_ms),
            ]);
        }
        table
    }

    /// Gain by skill.
    pub fn skill_table(&self) -> Table {
        let mut table = Table::new([
            "skill",
            "questions",
            "before, %",
            "after, %",
            "gain, points",
            "p (Holm)",
            "wrong before on validation, %",
            "share of validation, %",
            "accepted data",
        ]);
        for row in &self.skills {
            let share = |v: Option<f64>| v.map(|v| format!("{:.1}", 100.0 * v)).unwrap_or_default();
            table.push(vec![
                row.skill.clone(),
                row.base.n.to_string(),
                percent(&row.base),
                percent(&row.selected),
                points(&row.gain),
                p_value(row.p),
                share(row.difficulty),
                share(row.frequency),
                row.data.accepted.to_string(),
            ]);
        }
        table
    }

    /// Gain by subject, level and task; empty where the questions have none.
    pub fn slice_table(&self) -> Table {
        let mut table = Table::new(["part", "questions", "before, %", "after, %", "gain, points"]);
        for row in &self.slices {
            table.push(vec![
                format!("{} {}", row.facet, row.name),
                row.base.n.to_string(),
                percent(&row.base),
                percent(&row.selected),
                points(&row.gain),
            ]);
        }
        table
    }

    /// Specified against produced.
    fn data_table(&self) -> Table {
        let mut table = Table::new(["skill", "asked for", "produced", "accepted"]);
        let row = |name: &str, data: &DataCounts| {
            vec![
                name.to_owned(),
                data.specified.to_string(),
                data.produced.to_string(),
                data.accepted.to_string(),
            ]
        };
        for (skill, data) in &self.data_by_skill {
            table.push(row(if skill.is_empty() { "(no skill named)" } else { skill }, data));
        }
        if self.data != DataCounts::default() {
            table.push(row("all", &self.data));
        }
        table
    }

    /// What the checks found.
    fn check_table(&self) -> Table {
        let mut table = Table::new(["check", "data that failed it"]);
        let mut counts = std::collections::BTreeMap::<&str, u64>::new();
        for (check, count) in self.iterations.iter().flat_map(|i| &i.failed) {
            *counts.entry(check).or_default() += u64::from(*count);
        }
        for (check, count) in counts {
            table.push(vec![check.to_owned(), count.to_string()]);
        }
        table
    }

    fn phase_table(&self) -> Table {
        let mut table = Table::new(["phase", "seconds"]);
        for (phase, ms) in &self.phases_ms {
            table.push(vec![phase.clone(), seconds(*ms)]);
        }
        table
    }

    /// What the data share with held-out questions.
    fn leak_certificate(&self) -> String {
        let leaks = &self.leaks;
        let verdict = match (leaks.data, leaks.same_key + leaks.same_words + leaks.same_passages) {
            (0, _) => "There are no accepted data yet.",
            (_, 0) => "None of them asks a held-out question again.",
            _ => "**Scores of the questions concerned say nothing about learning.**",
        };
        let found = |found: &Contamination| format!(" Between the splits when the run was made: {found}.");
        let between = self.contamination.as_ref().map(found).unwrap_or_default();
        format!(
            "\n## Leakage\n\n{} accepted data against {} validation and test questions, counted anew from the \
             database: {} with the key of a question (the same numbers in any order), {} with its words, {} with \
             four fifths of their passages of {PASSAGE} words in one question. {verdict}{between}\n",
            leaks.data, leaks.held_out, leaks.same_key, leaks.same_words, leaks.same_passages
        )
    }

    fn write_answers(&self, out: &mut String) {
        for (gained, title) in [(true, "Answers that turned right"), (false, "Answers that turned wrong")] {
            let mut answers = self.answers.iter().filter(|a| a.gained == gained).peekable();
            if answers.peek().is_some() {
                let _ = writeln!(out, "\n## {title}");
            }
            for a in answers {
                let _ = writeln!(
                    out,
                    "\n{} ({}), the truth is {}\n",
                    inline(&a.instance),
                    inline(&a.skill),
                    inline(&a.truth)
                );
                for (name, text) in [("question", &a.question), ("before", &a.before), ("after", &a.after)] {
                    let text = visible(text, true);
                    let fence = fence(&text);
                    let _ = writeln!(out, "{name}:\n\n{fence}text\n{text}\n{fence}");
                }
            }
        }
    }
}

fn sentence(test: &TestScore, selected: u32) -> String {
    let moves = format!("{} keys turned right, {} wrong, p {}", test.gained, test.lost, p_value(test.p));
    let detectable = test.detectable.map_or_else(
        || "so few answers changed that no effect could have been found".to_owned(),
        |effect| {
            format!("a change of {:.1} points would have been found four times out of five", 100.0 * effect)
        },
    );
    format!(
        "\nIteration {selected} is selected by validation. Test accuracy of {} questions: {} % before, {} % \
         after; paired gain **{} points** ({moves}; {detectable}).\n",
        test.base.n,
        percent(&test.base),
        percent(&test.selected),
        points(&test.paired_gain)
    )
}

/// A fence that is longer than any in the text.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

fn section(out: &mut String, title: &str, table: &Table) {
    if !table.is_empty() {
        let _ = write!(out, "\n## {title}\n\n{}", table.markdown());
    }
}

fn seconds(ms: u64) -> String {
    format!("{:.1}", ms as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_its_fence() {
        assert_eq!(fence("plain"), "```");
        assert_eq!(fence("a ```` b"), "`````");
    }
}
