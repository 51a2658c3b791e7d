//! Results as tables, for documents, terminals and programs.

use std::collections::BTreeSet;

use super::results::{ContrastRow, Results, RunRow, SkillPoint};
use crate::analysis::table::{Table, p_value, points};
use crate::gym::statistics::{Estimate, SeedEffect};

/// A share in per cent.
fn tenths(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

fn number(value: f64) -> String {
    value.to_string()
}

impl Results {
    /// One row per arm.
    pub fn arm_table(&self) -> Table {
        let judged = self.arms.iter().any(|arm| arm.labels().is_some());
        let head = [
            "arm",
            "runs",
            "before, %",
            "after, %",
            "gain over seeds, points",
            "p",
            "trainings",
            "steps",
            "data asked for",
            "produced",
            "accepted",
            "labels not right, %",
            "without an answer, %",
        ];
        let columns = head.len() - if judged { 0 } else { 2 };
        let mut table = Table::with_head(head[..columns].iter().map(|&name| name.to_owned()).collect());
        for arm in &self.arms {
            let mean = |digits: usize, of: fn(&RunRow) -> f64| {
                if arm.runs.is_empty() { String::new() } else { format!("{:.digits$}", arm.mean(of)) }
            };
            table.push(vec![
                arm.name.clone(),
                arm.runs.len().to_string(),
                mean(1, |run| 100.0 * run.base.mean),
                mean(1, |run| 100.0 * run.accuracy.mean),
                arm.gain.map(|gain| points(&gain.effect)).unwrap_or_default(),
                arm.gain.map(|gain| p_value(gain.p)).unwrap_or_default(),
                mean(1, |run| run.validation.len().saturating_sub(1) as f64),
                mean(0, |run| run.steps as f64),
                mean(0, |run| run.data.specified as f64),
                mean(0, |run| run.data.produced as f64),
                mean(0, |run| run.data.accepted as f64),
                arm.labels().map(|labels| tenths(labels.not_right())).unwrap_or_default(),
                arm.labels().map(|labels| tenths(labels.unanswerable())).unwrap_or_default(),
            ]);
        }
        table
    }

    /// The same for programs: shares and differences in `-1..=1`, one number per cell.
    pub fn arm_numbers(&self) -> Table {
        let mut table = Table::new([
            "arm",
            "runs",
            "base",
            "accuracy",
            "gain",
            "gain_low",
            "gain_high",
            "p",
            "trainings",
            "steps",
            "specified",
            "produced",
            "accepted",
            "labels_not_right",
            "labels_without_answer",
        ]);
        for arm in self.arms.iter().filter(|arm| !arm.runs.is_empty()) {
            let mean = |of: fn(&RunRow) -> f64| arm.mean(of).to_string();
            let gain = |of: fn(SeedEffect) -> f64| arm.gain.map(of).map(number).unwrap_or_default();
            table.push(vec![
                arm.name.clone(),
                arm.runs.len().to_string(),
                mean(|run| run.base.mean),
                mean(|run| run.accuracy.mean),
                gain(|gain| gain.effect.mean),
                gain(|gain| gain.effect.low),
                gain(|gain| gain.effect.high),
                gain(|gain| gain.p),
                mean(|run| run.validation.len().saturating_sub(1) as f64),
                mean(|run| run.steps as f64),
                mean(|run| run.data.specified as f64),
                mean(|run| run.data.produced as f64),
                mean(|run| run.data.accepted as f64),
                arm.labels().map(|labels| number(labels.not_right())).unwrap_or_default(),
                arm.labels().map(|labels| number(labels.unanswerable())).unwrap_or_default(),
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

    /// The same for programs: differences and p-values as numbers.
    pub fn contrast_numbers(&self) -> Table {
        let mut table = Table::new([
            "arm",
            "against",
            "seeds",
            "difference",
            "low",
            "high",
            "questions_low",
            "questions_high",
            "p",
            "p_corrected",
            "detectable",
        ]);
        for row in &self.contrasts {
            let (effect, questions) = (&row.over_seeds.effect, &row.over_questions);
            let numbers = [
                effect.mean,
                effect.low,
                effect.high,
                questions.low,
                questions.high,
                row.over_seeds.p,
                row.p_corrected,
                row.over_seeds.detectable,
            ];
            let names = [row.arm.clone(), row.against.clone(), effect.n.to_string()];
            table.push(names.into_iter().chain(numbers.map(number)).collect());
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
            "steps",
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
                run.steps.to_string(),
                run.tokens.to_string(),
                run.elapsed_ms.to_string(),
                run.configuration_sha256.clone(),
            ]);
        }
        table
    }

    /// Share of the produced data that failed a check, in per cent, by arm: whether it rejects or not.
    pub fn check_table(&self) -> Table {
        let names: BTreeSet<&str> = self
            .arms
            .iter()
            .flat_map(|arm| &arm.runs)
            .flat_map(|run| run.failed.keys().map(String::as_str))
            .collect();
        let head = std::iter::once("failed, % of the produced").chain(names.iter().copied());
        let mut table = Table::with_head(head.map(str::to_owned).collect());
        for arm in self.arms.iter().filter(|arm| !arm.runs.is_empty() && !names.is_empty()) {
            let produced: u64 = arm.runs.iter().map(|run| run.data.produced).sum();
            let share = |name: &&str| {
                let failed: u64 = arm.runs.iter().filter_map(|run| run.failed.get(*name)).sum();
                format!("{:.1}", 100.0 * failed as f64 / produced.max(1) as f64)
            };
            table.push(std::iter::once(arm.name.clone()).chain(names.iter().map(share)).collect());
        }
        table
    }

    /// One row per skill, the hardest first: how often the untrained student is wrong, its share of the questions, and
    /// the mean gain on the test split by arm.
    pub fn skill_table(&self) -> Table {
        let arms: Vec<&str> = self
            .arms
            .iter()
            .map(|arm| arm.name.as_str())
            .filter(|name| self.skills.iter().any(|skill| skill.gain.contains_key(*name)))
            .collect();
        let head = ["skill", "wrong before, %", "of the questions, %"].into_iter().map(str::to_owned);
        let mut table =
            Table::with_head(head.chain(arms.iter().map(|arm| format!("{arm}, points"))).collect());
        let mut skills: Vec<&SkillPoint> = self.skills.iter().collect();
        skills.sort_by(|a, b| b.difficulty.total_cmp(&a.difficulty));
        for skill in skills {
            let gain = |arm: &&str| {
                skill.gain.get(*arm).map_or_else(String::new, |gain| format!("{:+.1}", 100.0 * gain))
            };
            let numbers = [skill.difficulty, skill.frequency].map(|share| format!("{:.1}", 100.0 * share));
            let row = std::iter::once(skill.skill.clone()).chain(numbers).chain(arms.iter().map(gain));
            table.push(row.collect());
        }
        table
    }
}
