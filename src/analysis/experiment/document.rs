//! Results as a document and as files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::results::Results;
use crate::analysis::table::Table;

/// From here on two arms did not spend the same data.
const UNEQUAL: f64 = 0.02;
/// From here on two arms did not train alike: steps depend on how the same data are spread over trainings.
const UNEQUAL_STEPS: f64 = 0.05;

impl Results {
    /// The files of a report: name and content.
    pub fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![("report.md".to_owned(), self.markdown(""))];
        files.extend(self.tables().into_iter().map(|(name, table)| (format!("{name}.csv"), table.csv())));
        for (name, chart) in self.charts() {
            files.push((format!("{name}.svg"), chart.svg()));
            files.push((format!("{name}.csv"), chart.csv()));
        }
        files
    }

    /// Its tables, by the name of their files, those without a row left out.
    fn tables(&self) -> Vec<(&'static str, Table)> {
        let all = [
            ("arms", self.arm_numbers()),
            ("contrasts", self.contrast_numbers()),
            ("runs", self.run_table()),
            ("checks", self.check_table()),
            ("skills", self.skill_table()),
        ];
        all.into_iter().filter(|(_, table)| !table.is_empty()).collect()
    }

    /// The files for a folder of results of several experiments: tables and figures, each name beginning with `stem`.
    pub fn files_of(&self, stem: &str) -> Vec<(String, String)> {
        let figures = format!("{stem}-");
        let mut files = vec![(format!("{stem}.md"), self.markdown(&figures))];
        files.extend(
            self.tables().into_iter().map(|(name, table)| (format!("{figures}{name}.csv"), table.csv())),
        );
        files.extend(
            self.charts().into_iter().map(|(name, chart)| (format!("{figures}{name}.svg"), chart.svg())),
        );
        files
    }

    /// Says which arms made other numbers of optimiser steps than those they are compared with.
    fn unequal_steps(&self) -> String {
        let steps = |name: &str| {
            let arm = self.arms.iter().find(|row| row.name == name);
            arm.map_or(0.0, |row| row.mean(|run| run.steps as f64))
        };
        let mut against: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for row in &self.contrasts {
            let (made, others) = (steps(&row.arm), steps(&row.against));
            let ratio = made / others.max(1.0);
            if made + others > 0.0 && (ratio - 1.0).abs() > UNEQUAL_STEPS {
                against.entry(&row.against).or_default().push(format!("{} {:.0} %", row.arm, 100.0 * ratio));
            }
        }
        if against.is_empty() {
            return String::new();
        }
        let said = |(other, arms): (&str, Vec<String>)| format!("of those of {other}, {}", arms.join(", "));
        format!(
            "\nCaution: arms made unlike numbers of optimiser steps: {}. A run trains on all it has so far each time, \
             so that data which come early are trained on more often.\n",
            against.into_iter().map(said).collect::<Vec<_>>().join("; ")
        )
    }

    /// The whole as Markdown; the names of the figures' files begin with `figures`.
    pub fn markdown(&self, figures: &str) -> String {
        let mut out = format!("# Experiment {}\n\n{}\n\n", self.experiment, self.question);
        let (asked, finished) = self.runs;
        let _ = writeln!(
            out,
            "{finished} of {asked} runs are finished, {:.0} minutes of phases on {}; seeds {}. Program {}, file \
             SHA-256 `{}`.",
            self.minutes,
            self.machine,
            self.seeds.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
            self.version,
            self.file_sha256
        );
        if finished < asked {
            out.push_str("\n**The experiment is not finished: what follows may change.**\n");
        }
        let _ = write!(out, "\n## Arms\n\n{}", self.arm_table().markdown());
        out.push_str(
            "\nMeans over the runs. Data asked for, produced and accepted are those of a whole run; steps are those \
             of the optimiser in all its trainings.\n",
        );
        if self.arms.iter().any(|arm| arm.labels().is_some()) {
            out.push_str(
                "\nLabels not right are those of the accepted data that are not what the embedded world answers to \
                 the question as written; without an answer are the questions among them that have none there.\n",
            );
        }
        if !self.contrasts.is_empty() {
            let _ = write!(out, "\n## Comparisons\n\n{}", self.contrast_table().markdown());
            out.push_str(
                "\nDifferences of test accuracy in points, seed by seed, on the same questions. The first \
                 interval is over seeds (Student's t), the second over seeds and questions (bootstrap). \
                 p-values are corrected over all comparisons of the file (Holm). \"Detectable\" is the difference that as many \
                 seeds would have shown four times out of five.\n",
            );
            for contrast in self.contrasts.iter().filter(|c| (c.data_ratio - 1.0).abs() > UNEQUAL) {
                let _ = writeln!(
                    out,
                    "\nCaution: {} spent {:.0} % of the data of {}: that comparison is not at equal data.",
                    contrast.arm,
                    100.0 * contrast.data_ratio,
                    contrast.against
                );
            }
            out.push_str(&self.unequal_steps());
        }
        for (head, table) in [("Checks", self.check_table()), ("Skills", self.skill_table())] {
            if !table.is_empty() {
                let _ = write!(out, "\n## {head}\n\n{}", table.markdown());
            }
        }
        if let Some(blank) = &self.blank {
            let _ = write!(
                out,
                "\n## The same arm against itself\n\n{} runs that differ in the seed alone: their test accuracies \
                 have a standard deviation of {:.1} points. Of {} pairs of single runs, {:.1} % are called \
                 different by a test on their questions at the 5 % level. Of {} draws of {} runs against {} \
                 others, {:.1} % are called different by the test over seeds; of the first {} of them, {:.1} % by \
                 the interval over seeds and questions. All draws are of the same {} runs.\n",
                blank.runs,
                100.0 * blank.deviation,
                blank.pairs,
                100.0 * blank.single_runs,
                blank.draws,
                blank.size,
                blank.size,
                100.0 * blank.over_seeds,
                blank.draws_of_questions,
                100.0 * blank.over_questions,
                blank.runs
            );
        }
        for (name, chart) in self.charts() {
            let _ = write!(out, "\n![{}]({figures}{name}.svg)\n", chart.title);
        }
        out
    }
}
