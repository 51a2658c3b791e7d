//! Reviews: what a person may do to generated data, and what that changes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::datum::{JudgedDatum, Review, Verdict, Wording};

/// Which data a person means. Every given field narrows the selection; without any it names all data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSelection {
    /// These data.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ids: BTreeSet<String>,
    /// Data of this iteration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<u32>,
    /// Data of this round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// Data for this skill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill: Option<String>,
    /// Data for this subskill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subskill: Option<String>,
    /// Data with this verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Data that failed this check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_check: Option<String>,
}

impl DataSelection {
    /// One datum.
    pub fn one(id: impl Into<String>) -> Self {
        Self { ids: BTreeSet::from([id.into()]), ..Self::default() }
    }

    /// Whether it names the datum.
    pub fn names(&self, judged: &JudgedDatum) -> bool {
        let (datum, from) = (&judged.datum, &judged.datum.provenance);
        let failed = |check: &String| judged.checks.iter().any(|c| c.check == *check && !c.passed);
        (self.ids.is_empty() || self.ids.contains(&datum.id))
            && self.iteration.is_none_or(|n| n == from.iteration)
            && self.round.is_none_or(|n| n == from.round)
            && self.skill.as_ref().is_none_or(|s| *s == datum.skill)
            && self.subskill.as_ref().is_none_or(|s| *s == datum.subskill)
            && self.verdict.is_none_or(|v| v == judged.verdict)
            && self.failed_check.as_ref().is_none_or(failed)
    }
}

/// What a person does to data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
pub enum DatumEdit {
    /// Train on it, whatever the checks say.
    Accept,
    /// Do not train on it.
    Reject,
    /// Other words. The datum is accepted: the person has read it.
    Reword {
        /// The new words.
        wording: Wording,
    },
    /// A remark.
    Note {
        /// The remark; an empty one takes an earlier one away.
        text: String,
    },
    /// Back to the engine's words and the checks' verdict.
    Restore,
}

impl DatumEdit {
    /// The datum after the edit.
    pub fn apply(&self, mut judged: JudgedDatum) -> JudgedDatum {
        let mut review = judged.review.take().unwrap_or_default();
        match self {
            Self::Accept => review.verdict = Some(Verdict::Accepted),
            Self::Reject => review.verdict = Some(Verdict::Rejected),
            Self::Reword { wording } => {
                let before = reword(&mut judged, wording.clone());
                review.original.get_or_insert(before);
                review.verdict = Some(Verdict::Accepted);
            }
            Self::Note { text } => review.note = (!text.is_empty()).then(|| text.clone()),
            Self::Restore => {
                if let Some(original) = review.original.take() {
                    reword(&mut judged, original);
                }
                review.verdict = None;
            }
        }
        judged.review = (review != Review::default()).then_some(review);
        judged.settled()
    }
}

fn reword(judged: &mut JudgedDatum, new: Wording) -> Wording {
    let datum = &mut judged.datum;
    if datum.instruction != new.instruction {
        // What the bare question of the new words is nobody said.
        datum.question = None;
    }
    Wording {
        instruction: std::mem::replace(&mut datum.instruction, new.instruction),
        response: std::mem::replace(&mut datum.response, new.response),
        answer: std::mem::replace(&mut datum.answer, new.answer),
    }
}

/// How a review changes the counts of one iteration and subskill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewCount {
    /// Iteration the data belong to.
    pub iteration: u32,
    /// Round the data belong to.
    pub round: u32,
    /// Skill of the data.
    pub skill: String,
    /// Subskill of the data.
    pub subskill: String,
    /// Change of the number of accepted data.
    pub accepted: i64,
    /// Change of the number of rejected data.
    pub rejected: i64,
}

/// Counts the changes from `before` to `after`, which are the same data.
pub fn counts(before: &[JudgedDatum], after: &[JudgedDatum]) -> Vec<ReviewCount> {
    type Key<'a> = (u32, u32, &'a str, &'a str);
    let mut changes: BTreeMap<Key<'_>, (i64, i64)> = BTreeMap::new();
    for (old, new) in before.iter().zip(after) {
        let datum = &new.datum;
        let from = &datum.provenance;
        let key = (from.iteration, from.round, datum.skill.as_str(), datum.subskill.as_str());
        let change = |verdict| i64::from(new.verdict == verdict) - i64::from(old.verdict == verdict);
        let sum = changes.entry(key).or_default();
        sum.0 += change(Verdict::Accepted);
        sum.1 += change(Verdict::Rejected);
    }
    let changed = changes.into_iter().filter(|(_, change)| *change != (0, 0));
    let count = |((iteration, round, skill, subskill), (accepted, rejected)): (Key<'_>, _)| {
        let (skill, subskill) = (skill.to_owned(), subskill.to_owned());
        ReviewCount { iteration, round, skill, subskill, accepted, rejected }
    };
    changed.map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::datum::{CheckResult, Provenance, TrainingDatum};

    fn judged(id: &str, passed: bool) -> JudgedDatum {
        let provenance = Provenance {
            iteration: 1,
            round: 0,
            engine: "e".into(),
            allocation: 0,
            draw: 0,
            source_errors: Vec::new(),
            source_instance: None,
            teacher_call: None,
        };
        let datum = TrainingDatum {
            id: id.into(),
            instruction: "2+2?".into(),
            question: None,
            response: "#### 4".into(),
            answer: Some("4".into()),
            rejected_response: None,
            images: Vec::new(),
            skill: "add".into(),
            subskill: "small".into(),
            key: "2 2".into(),
            provenance,
        };
        let check =
            CheckResult { check: "answer".into(), passed, filters: true, score: None, reason: "so".into() };
        JudgedDatum { checks: vec![check], ..JudgedDatum::pending(datum) }.settled()
    }

    #[test]
    fn edits_and_their_restoration() {
        let good = judged("a", true);
        assert_eq!(DatumEdit::Reject.apply(good.clone()).verdict, Verdict::Rejected);
        let wording =
            Wording { instruction: "3+3?".into(), response: "#### 6".into(), answer: Some("6".into()) };
        let once = DatumEdit::Reword { wording: wording.clone() }.apply(judged("a", false));
        let twice =
            DatumEdit::Reword { wording: Wording { instruction: "4?".into(), ..wording } }.apply(once);
        assert_eq!((twice.datum.instruction.as_str(), twice.verdict), ("4?", Verdict::Accepted));
        assert_eq!(twice.review.as_ref().unwrap().original.as_ref().unwrap().instruction, "2+2?");
        let restored = DatumEdit::Restore.apply(twice);
        assert_eq!(restored, judged("a", false));
        let noted = DatumEdit::Note { text: "odd".into() }.apply(good.clone());
        assert_eq!(noted.verdict, Verdict::Accepted);
        assert_eq!(DatumEdit::Note { text: String::new() }.apply(noted), good);
    }

    #[test]
    fn the_person_has_the_last_word_when_checks_run_again() {
        let accepted = DatumEdit::Accept.apply(judged("a", false));
        assert_eq!(accepted.settled().verdict, Verdict::Accepted);
    }

    #[test]
    fn counts_and_selections() {
        let before = [judged("a", true), judged("b", false)];
        let after: Vec<_> = before.iter().cloned().map(|d| DatumEdit::Accept.apply(d)).collect();
        let changes = counts(&before, &after);
        assert_eq!((changes.len(), changes[0].accepted, changes[0].rejected), (1, 1, -1));
        let selection = DataSelection { verdict: Some(Verdict::Rejected), ..DataSelection::default() };
        assert_eq!(before.each_ref().map(|d| selection.names(d)), [false, true]);
        let failed = DataSelection { failed_check: Some("answer".into()), ..DataSelection::default() };
        assert_eq!(before.each_ref().map(|d| failed.names(d)), [false, true]);
        assert!(DataSelection::one("a").names(&before[0]) && !DataSelection::one("a").names(&before[1]));
    }
}
