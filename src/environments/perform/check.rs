//! Check: every datum of the round is judged.

use std::collections::BTreeMap;

use super::Stage;
use crate::checks::{AnswerStated, Duplicates, Leakage, judge};
use crate::gym::datum::{JudgedDatum, Verdict};
use crate::gym::ports::{Check, Fact, PortError};

impl Stage<'_, '_, '_> {
    pub(super) fn check(&mut self) -> Result<Fact, PortError> {
        let (fresh, earlier): (Vec<_>, Vec<_>) =
            self.ledger.data()?.into_iter().partition(|d| self.in_round(&d.datum));
        let accepted = earlier.iter().filter(|d| d.verdict == Verdict::Accepted).map(|d| &d.datum);
        let mut checks: Vec<Box<dyn Check>> = vec![
            Box::new(Leakage::new(self.scene.task.as_ref())),
            Box::new(Duplicates::new(accepted)),
            Box::new(AnswerStated),
        ];
        let filters = &self.scene.filters;
        let judged: Vec<JudgedDatum> =
            fresh.into_iter().map(|datum| judge(datum, &mut checks, filters)).collect();
        self.ledger.put_data(self.work.iteration, self.work.round, &judged)?;
        let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
        for d in judged.iter().filter(|d| d.verdict == Verdict::Accepted) {
            *counts.entry((d.datum.skill.clone(), d.datum.subskill.clone())).or_default() += 1;
        }
        let mut forest = self.episode.forest.clone();
        forest.record_produced(&counts);
        let accepted = counts.values().sum();
        Ok(Fact::Checked { accepted, rejected: judged.len() as u32 - accepted, forest })
    }
}
