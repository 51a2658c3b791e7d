//! Results as a document, as figures and as tables for programs.

use std::fmt::Write as _;

use super::results::{ArmRow, ContrastRow, Results, RunRow};
use crate::analysis::figure::{Chart, Point, Series};
use crate::analysis::table::{Table, p_value, points};
use crate::gym::statistics::{Estimate, over_seeds};

/// From here on two arms did not spend the same.
const UNEQUAL: f64 = 0.02;

impl Results {
    /// The files of a report: name and content.
    pub fn files(&self) -> Vec<(String, String)> {
        let mut files = vec![
            ("report.md".to_owned(), self.markdown("")),
            ("arms.csv".to_owned(), self.arm_table().csv()),
            ("contrasts.csv".to_owned(), self.contrast_table().csv()),
            ("runs.csv".to_owned(), self.run_table().csv()),
        ];
        for (name, chart) in self.charts() {
            files.push((format!("{name}.svg"), chart.svg()));
            files.push((format!("{name}.csv"), chart.csv()));
        }
        files
    }

    /// The files for a folder of results of several experiments: tables and figures, each name beginning with `stem`.
    pub fn files_of(&self, stem: &str) -> Vec<(String, String)> {
        let figures = format!("{stem}-");
        let mut files = vec![(format!("{stem}.md"), self.markdown(&figures))];
        files.extend(
            self.charts().into_iter().map(|(name, chart)| (format!("{figures}{name}.svg"), chart.svg())),
        );
        files
    }

    /// Its figures, by the name of their files, those without anything to show left out.
    pub fn charts(&self) -> Vec<(&'static str, Chart)> {
        let all = [
            ("gains", self.gains()),
            ("differences", self.differences()),
            ("learning-curves", self.learning_curves()),
            ("gain-by-difficulty", self.by_difficulty()),
        ];
        all.into_iter().filter(|(_, chart)| !chart.is_empty()).collect()
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
        }
        if let Some(blank) = &self.blank {
            let _ = write!(
                out,
                "\n## The same arm against itself\n\n{} runs that differ in the seed alone: their test accuracies \
                 have a standard deviation of {:.1} points. Of {} pairs of single runs, {:.1} % are called \
                 different by a test on their questions at the 5 % level. Of {} divisions of the runs into two \
                 halves, {:.1} % are called different by the test over seeds.\n",
                blank.runs,
                100.0 * blank.deviation,
                blank.pairs,
                100.0 * blank.single_runs,
                blank.divisions,
                100.0 * blank.over_seeds
            );
        }
        for (name, chart) in self.charts() {
            let _ = write!(out, "\n![{}]({figures}{name}.svg)\n", chart.title);
        }
        out
    }

    /// One row per arm.
    pub fn arm_table(&self) -> Table {
        let mut table = Table::new([
            "arm",
            "runs",
            "before, %",
            "after, %",
            "gain over seeds, points",
            "p",
            "trainings",
            "data asked for",
            "produced",
            "accepted",
        ]);
        for arm in &self.arms {
            let mean = |digits: usize, of: fn(&RunRow) -> f64| {
                let sum: f64 = arm.runs.iter().map(of).sum();
                if arm.runs.is_empty() {
                    String::new()
                } else {
                    format!("{:.digits$}", sum / arm.runs.len() as f64)
                }
            };
            table.push(vec![
                arm.name.clone(),
                arm.runs.len().to_string(),
                mean(1, |run| 100.0 * run.base.mean),
                mean(1, |run| 100.0 * run.accuracy.mean),
                arm.gain.map(|gain| points(&gain.effect)).unwrap_or_default(),
                arm.gain.map(|gain| p_value(gain.p)).unwrap_or_default(),
                mean(1, |run| run.validation.len().saturating_sub(1) as f64),
                mean(0, |run| run.data.specified as f64),
                mean(0, |run| run.data.produced as f64),
                mean(0, |run| run.data.accepted as f64),
            ]);
        }
        table
    }

    /// One row per comparison.
    pub fn contrast_table(&self) -> Table {
        let mut table = Table::new([
            "arm",
            "against",
            "seeds",
            "difference over seeds, points",
            "over seeds and questions",
            "p (Holm)",
            "detectable, points",
        ]);
        for ContrastRow { arm, against, over_seeds, p_corrected, over_questions, .. } in &self.contrasts {
            table.push(vec![
                arm.clone(),
                against.clone(),
                over_seeds.effect.n.to_string(),
                points(&over_seeds.effect),
                points(over_questions),
                p_value(*p_corrected),
                format!("{:.1}", 100.0 * over_seeds.detectable),
            ]);
        }
        table
    }

    /// One row per run.
    pub fn run_table(&self) -> Table {
        let mut table = Table::new([
            "arm",
            "seed",
            "selected",
            "base",
            "accuracy",
            "gain",
            "gain_low",
            "gain_high",
            "specified",
            "produced",
            "accepted",
            "tokens",
            "elapsed_ms",
            "configuration_sha256",
        ]);
        for (arm, run) in self.arms.iter().flat_map(|arm| arm.runs.iter().map(move |run| (arm, run))) {
            let Estimate { mean, low, high, .. } = run.gain;
            table.push(vec![
                arm.name.clone(),
                run.seed.to_string(),
                run.selected.to_string(),
                run.base.mean.to_string(),
                run.accuracy.mean.to_string(),
                mean.to_string(),
                low.to_string(),
                high.to_string(),
                run.data.specified.to_string(),
                run.data.produced.to_string(),
                run.data.accepted.to_string(),
                run.tokens.to_string(),
                run.elapsed_ms.to_string(),
                run.configuration_sha256.clone(),
            ]);
        }
        table
    }

    fn gains(&self) -> Chart {
        let point = |arm: &ArmRow| {
            let mut point = Point::percent(0.0, arm.gain?.effect);
            point.label = Some(arm.name.clone());
            Some(point)
        };
        Chart::rows("Gain by arm", "paired gain on the test split in points, mean over seeds")
            .with(Series::new("gain", self.arms.iter().filter_map(point).collect()))
    }

    fn differences(&self) -> Chart {
        let families = self.contrasts.iter().map(|c| c.family + 1).max().unwrap_or(0);
        let mut chart = Chart::rows("Differences", "difference of test accuracy in points, mean over seeds");
        for family in 0..families {
            let point = |c: &ContrastRow| {
                let mut point = Point::percent(0.0, c.over_seeds.effect);
                point.label = Some(format!("{} - {}", c.arm, c.against));
                point
            };
            let points = self.contrasts.iter().filter(|c| c.family == family).map(point).collect();
            chart = chart.with(Series::new(format!("family {}", family + 1), points));
        }
        chart
    }

    /// Mean validation accuracy by iteration, with the interval over seeds.
    fn learning_curves(&self) -> Chart {
        let mut chart =
            Chart::lines("Validation accuracy by iteration", "iteration", "accuracy in %, mean over seeds");
        for arm in &self.arms {
            let iterations = arm.runs.iter().map(|run| run.validation.len()).max().unwrap_or(0);
            let point = |n: usize| {
                let scores: Vec<f64> =
                    arm.runs.iter().filter_map(|run| run.validation.get(n).copied()).collect();
                // Runs that ended earlier are no sample of those that went on.
                let effect = over_seeds(&scores).filter(|_| scores.len() == arm.runs.len())?;
                Some(Point::percent(n as f64, effect.effect))
            };
            chart = chart.with(Series::new(arm.name.clone(), (0..iterations).filter_map(point).collect()));
        }
        chart
    }

    fn by_difficulty(&self) -> Chart {
        let point = |skill: &super::results::SkillPoint| {
            let gains: Vec<f64> = skill.gain.values().copied().collect();
            let mean = gains.iter().sum::<f64>() / gains.len() as f64;
            (!gains.is_empty()).then(|| Point {
                x: 100.0 * skill.difficulty,
                y: 100.0 * mean,
                weight: skill.frequency,
                label: Some(skill.skill.clone()),
                range: None,
            })
        };
        Chart::scatter(
            "Gain by difficulty of the skill, mean over the runs with the same skills",
            "wrong answers of the untrained student on validation in %",
            "gain on test in points",
        )
        .with(Series::new("skill", self.skills.iter().filter_map(point).collect()))
    }
}
