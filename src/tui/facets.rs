//! How often each value of a field occurs among the listed samples. Pure; the counting is the source's.

use super::app::List;
use super::facts::Listing;
use super::filter::{Field, Filter};
use crate::gym::datum::Verdict;

/// The values of a field, with how many samples have each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facet {
    pub(crate) listing: Listing,
    pub(crate) field: Field,
    /// As they are written in a filter, the most frequent first; iterations and rounds in their order.
    pub(crate) values: Vec<(String, u64)>,
    /// Whether every number is exact.
    pub(crate) exact: bool,
}

impl Listing {
    pub(crate) fn list(&self) -> List {
        match self {
            Self::Training(_) => List::Training,
            Self::Predictions(_) => List::Predictions,
            Self::Calls(_) => List::Calls,
            Self::Picked { list, .. } => *list,
        }
    }

    /// The fields whose values can be counted.
    pub(crate) fn countable(&self) -> &'static [Field] {
        match self.list() {
            List::Training => &[
                Field::Skill,
                Field::Subskill,
                Field::Verdict,
                Field::Iteration,
                Field::Failed,
                Field::Engine,
                Field::Reviewed,
                Field::Error,
            ],
            List::Predictions => &[Field::Skill, Field::Subskill, Field::Correct],
            List::Calls => &[Field::Prompt, Field::Malformed, Field::Iteration],
        }
    }

    /// The part of the list with a value of a field; `None` when the list has no such field, or another value of
    /// it is asked for already.
    pub(crate) fn narrowed(&self, field: Field, value: &str) -> Option<Self> {
        let mut wanted = Filter::default();
        match field {
            // Nobody can write an empty value, but a record may have one.
            Field::Skill if value.is_empty() => wanted.skill = Some(String::new()),
            Field::Subskill if value.is_empty() => wanted.subskill = Some(String::new()),
            Field::Engine if value.is_empty() => wanted.engine = Some(String::new()),
            Field::Prompt if value.is_empty() => wanted.prompt = Some(String::new()),
            _ => wanted.set(field, value).ok()?,
        }
        let mut found = self.clone();
        match (&mut found, field) {
            (Self::Training(f), Field::Skill) => narrow(&mut f.skill, wanted.skill)?,
            (Self::Training(f), Field::Subskill) => narrow(&mut f.subskill, wanted.subskill)?,
            (Self::Training(f), Field::Verdict) => narrow(&mut f.verdict, wanted.verdict)?,
            (Self::Training(f), Field::Failed) => narrow(&mut f.failed, wanted.failed)?,
            (Self::Training(f), Field::Engine) => narrow(&mut f.engine, wanted.engine)?,
            (Self::Training(f), Field::Reviewed) => narrow(&mut f.reviewed, wanted.reviewed)?,
            (Self::Training(f), Field::Error) => narrow(&mut f.source_error, wanted.error)?,
            (Self::Training(f), Field::Iteration) => iteration(&mut f.iteration, f.span, wanted.span)?,
            (Self::Calls(f), Field::Iteration) => iteration(&mut f.iteration, f.span, wanted.span)?,
            (Self::Calls(f), Field::Prompt) => narrow(&mut f.prompt, wanted.prompt)?,
            (Self::Calls(f), Field::Malformed) => narrow(&mut f.malformed, wanted.malformed)?,
            (Self::Predictions(f), Field::Skill) => narrow(&mut f.skill, wanted.skill)?,
            (Self::Predictions(f), Field::Subskill) => narrow(&mut f.subskill, wanted.subskill)?,
            (Self::Predictions(f), Field::Correct) => narrow(&mut f.correct, wanted.correct)?,
            _ => return None,
        }
        Some(found)
    }

    /// The values that a field can have whatever the run.
    pub(crate) fn fixed(field: Field) -> Option<Vec<String>> {
        let words: &[&str] = match field {
            Field::Verdict => {
                let all = [Verdict::Accepted, Verdict::Rejected, Verdict::Pending];
                return Some(all.map(|verdict| verdict.as_str().to_owned()).to_vec());
            }
            Field::Correct => &["false", "true"],
            Field::Malformed | Field::Reviewed => &["true", "false"],
            _ => return None,
        };
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }
}

fn narrow<T: PartialEq>(field: &mut Option<T>, wanted: Option<T>) -> Option<()> {
    if let Some(asked) = field {
        return (Some(&*asked) == wanted.as_ref()).then_some(());
    }
    *field = wanted;
    Some(())
}

fn iteration(asked: &mut Option<u32>, span: Option<(u32, u32)>, wanted: Option<(u32, u32)>) -> Option<()> {
    let (n, _) = wanted?;
    if span.is_some_and(|(first, last)| !(first..=last).contains(&n)) {
        return None;
    }
    narrow(asked, Some(n))
}
