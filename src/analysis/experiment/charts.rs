//! Results as figures.

use std::collections::BTreeSet;

use super::results::{ArmRow, ContrastRow, Results, SkillPoint};
use crate::analysis::figure::{Chart, Point, Series};
use crate::gym::statistics::over_seeds;

impl Results {
    /// Its figures, by the name of their files, those without anything to show left out.
    pub fn charts(&self) -> Vec<(&'static str, Chart)> {
        let all = [
            ("gains", self.gains()),
            ("differences", self.differences()),
            ("learning-curves", self.learning_curves()),
            ("accuracy-by-data", self.accuracy_by_data()),
            ("gain-by-difficulty", self.by_difficulty()),
            ("gain-by-frequency", self.by_frequency()),
        ];
        all.into_iter().filter(|(_, chart)| !chart.is_empty()).collect()
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
            let rows: Vec<&ContrastRow> = self.contrasts.iter().filter(|c| c.family == family).collect();
            let alike = rows.first().filter(|first| rows.iter().all(|row| row.against == first.against));
            let name = alike.map_or_else(
                || format!("comparison {}", family + 1),
                |row| format!("against {}", row.against),
            );
            let points = rows.into_iter().map(point).collect();
            chart = chart.with(Series::new(name, points));
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

    /// Mean validation accuracy over the mean of what was accepted up to there: arms take their data in turns of
    /// unlike size.
    fn accuracy_by_data(&self) -> Chart {
        let mut chart = Chart::lines(
            "Validation accuracy by training data",
            "accepted data, mean over seeds",
            "accuracy in %, mean over seeds",
        );
        for arm in &self.arms {
            let iterations = arm.runs.iter().map(|run| run.validation.len()).min().unwrap_or(0);
            let point = |n: usize| {
                let scores: Vec<f64> = arm.runs.iter().map(|run| run.validation[n]).collect();
                let data = arm.mean(|run| run.accepted.get(n).copied().unwrap_or_default() as f64);
                Some(Point::percent(data, over_seeds(&scores)?.effect))
            };
            chart = chart.with(Series::new(arm.name.clone(), (0..iterations).filter_map(point).collect()));
        }
        chart
    }

    /// Gain by skill, a series per arm, over what is told of the skill in `0..=1`.
    fn by_skill(&self, title: &str, across: &str, of: fn(&SkillPoint) -> f64) -> Chart {
        let mut chart = Chart::scatter(title, across, "gain on test in points");
        // A skill has one place across: its name stands at its first point alone.
        let mut named = BTreeSet::new();
        for arm in &self.arms {
            let mut point = |skill: &SkillPoint| {
                let gain = skill.gain.get(&arm.name)?;
                Some(Point {
                    x: 100.0 * of(skill),
                    y: 100.0 * gain,
                    weight: skill.frequency,
                    label: named.insert(skill.skill.clone()).then(|| skill.skill.clone()),
                    range: None,
                })
            };
            let points = self.skills.iter().filter_map(&mut point).collect();
            chart = chart.with(Series::new(arm.name.clone(), points));
        }
        chart
    }

    fn by_difficulty(&self) -> Chart {
        self.by_skill(
            "Gain by difficulty of the skill, mean over the runs with the same skills",
            "wrong answers of the untrained student on validation in %",
            |skill| skill.difficulty,
        )
    }

    /// Nothing where every skill is as frequent as the others.
    fn by_frequency(&self) -> Chart {
        let chart = self.by_skill(
            "Gain by frequency of the skill, mean over the runs with the same skills",
            "share of the validation questions in %",
            |skill| skill.frequency,
        );
        let first = self.skills.first().map_or(0.0, |skill| skill.frequency);
        let alike = self.skills.iter().all(|skill| (skill.frequency - first).abs() < 1e-9);
        if alike { Chart { series: Vec::new(), ..chart } } else { chart }
    }
}
