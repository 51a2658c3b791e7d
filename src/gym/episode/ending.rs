//! When a run ends, and how it goes on when its limits change.

use super::{Effect, Episode, Halt, Phase, Work};
use crate::gym::budget::{Budget, Limit};

impl Episode {
    /// The limit that what was spent so far has reached. Tested between rounds and between iterations.
    pub(super) fn spent(&self) -> Option<Limit> {
        let budget = &self.rules.budget;
        let tokens: u64 = self.iterations.iter().map(|i| i.tokens).sum();
        let elapsed: u64 = self.iterations.iter().map(|i| i.elapsed_ms).sum();
        let limits = [
            (budget.training_data.is_some_and(|limit| self.accepted() >= limit), Limit::TrainingData),
            (budget.tokens.is_some_and(|limit| tokens >= limit), Limit::Tokens),
            (budget.time_ms.is_some_and(|limit| elapsed >= limit), Limit::Time),
        ];
        limits.into_iter().find_map(|(reached, limit)| reached.then_some(limit))
    }

    /// The limit that ends the run after an evaluation.
    pub(super) fn reached(&self) -> Option<Limit> {
        let all = (self.last() >= self.rules.budget.iterations).then_some(Limit::Iterations);
        all.or_else(|| self.spent()).or_else(|| self.flat().then_some(Limit::Plateau))
    }

    /// Whether the best validation accuracy has not risen enough for as many iterations as allowed.
    fn flat(&self) -> bool {
        let Some(plateau) = self.rules.budget.plateau else { return false };
        let means: Vec<f64> =
            self.iterations.iter().filter_map(|i| Some(i.validation.as_ref()?.overall.mean)).collect();
        let patience = plateau.patience.max(1) as usize;
        let Some(turn) = means.len().checked_sub(patience).filter(|turn| *turn > 0) else { return false };
        let best = |means: &[f64]| means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // A gain of 0 asks for any rise at all.
        let rise = best(&means[turn..]) - best(&means[..turn]);
        rise <= 0.0 || rise < plateau.gain
    }

    /// Takes new limits; a finished run is opened again when they allow another iteration.
    pub(super) fn extend(&mut self, budget: Budget) -> Vec<Effect> {
        self.rules.budget = budget;
        // What is running ends first; where it leads is decided then, by the new limits.
        let between = self.selected.is_some() && !self.running;
        if between && self.reached().is_none() {
            (self.selected, self.limit) = (None, None);
            self.work = Some(Work { iteration: self.last() + 1, round: 0, phase: Phase::Plan, split: None });
            self.halt = Some(Halt::Asked);
        }
        Vec::new()
    }
}
