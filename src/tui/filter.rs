//! What the lists of samples are filtered by, and the language it is written in:
//! `skill:division iter:>2 verdict:rejected text:"remainder"`. Pure.
//!
//! One filter serves the three lists. A field that a list does not have changes nothing there, so that the same
//! words go with a person from the data over the predictions to the teacher's calls.

mod complete;
mod read;

use std::fmt::Write as _;

use super::app::List;
use crate::gym::datum::Verdict;
use crate::gym::instance::Split;

pub(crate) use complete::{Candidate, candidates, completed, settled};
pub(crate) use read::read;

/// What can be filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Skill,
    Subskill,
    Iteration,
    Round,
    Verdict,
    Correct,
    Split,
    Changed,
    Engine,
    Failed,
    Error,
    Reviewed,
    Prompt,
    Malformed,
    Flagged,
    Id,
    Text,
}

impl Field {
    pub(crate) const ALL: [Self; 17] = [
        Self::Skill,
        Self::Subskill,
        Self::Iteration,
        Self::Round,
        Self::Verdict,
        Self::Correct,
        Self::Split,
        Self::Changed,
        Self::Engine,
        Self::Failed,
        Self::Error,
        Self::Reviewed,
        Self::Prompt,
        Self::Malformed,
        Self::Flagged,
        Self::Id,
        Self::Text,
    ];

    /// How it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Skill => "skill",
            Self::Subskill => "subskill",
            Self::Iteration => "iter",
            Self::Round => "round",
            Self::Verdict => "verdict",
            Self::Correct => "correct",
            Self::Split => "split",
            Self::Changed => "changed",
            Self::Engine => "engine",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Reviewed => "reviewed",
            Self::Prompt => "prompt",
            Self::Malformed => "malformed",
            Self::Flagged => "flagged",
            Self::Id => "id",
            Self::Text => "text",
        }
    }

    /// What its values are, for a person.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Skill => "a skill",
            Self::Subskill => "a subskill",
            Self::Iteration => "2, >2, >=2, <2, <=2 or 1..3",
            Self::Round => "0 for the first round of an iteration",
            Self::Verdict => "accepted, rejected or pending",
            Self::Correct => "true or false",
            Self::Split => "validation or test",
            Self::Changed => "the iteration since which an answer became right or wrong",
            Self::Engine => "who wrote the datum",
            Self::Failed => "a check that the datum failed",
            Self::Error => "the instance whose error led to the datum",
            Self::Reviewed => "true or false: whether a person reviewed it",
            Self::Prompt => "a template, as name@version",
            Self::Malformed => "true or false: whether the answer could not be read",
            Self::Flagged => "true: what you flagged",
            Self::Id => "one sample by its id; of an instance, its answers in every iteration",
            Self::Text => "words in question, response or answer; of a call in question or reply",
        }
    }

    /// The lists that have it.
    pub(crate) fn lists(self) -> &'static [List] {
        use List::{Calls, Predictions, Training};
        match self {
            Self::Iteration | Self::Flagged | Self::Id | Self::Text => &[Training, Predictions, Calls],
            Self::Skill | Self::Subskill => &[Training, Predictions],
            Self::Correct | Self::Split | Self::Changed => &[Predictions],
            Self::Prompt | Self::Malformed => &[Calls],
            _ => &[Training],
        }
    }

    /// The fields of a list.
    pub(crate) fn of(list: List) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |field| field.lists().contains(&list))
    }
}

/// A filter. Empty fields do not filter; all others must hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) skill: Option<String>,
    pub(crate) subskill: Option<String>,
    /// First and last iteration.
    pub(crate) span: Option<(u32, u32)>,
    pub(crate) round: Option<u32>,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) correct: Option<bool>,
    pub(crate) split: Option<Split>,
    pub(crate) changed: Option<u32>,
    pub(crate) engine: Option<String>,
    pub(crate) failed: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) reviewed: Option<bool>,
    pub(crate) prompt: Option<String>,
    pub(crate) malformed: Option<bool>,
    pub(crate) flagged: bool,
    pub(crate) id: Option<String>,
    pub(crate) text: Option<String>,
}

/// After the last iteration that is asked for in `iter:>2`.
pub(crate) const EVER: u32 = u32::MAX;

impl Filter {
    /// The value of a field as it is written, without quotes.
    pub(crate) fn value(&self, field: Field) -> Option<String> {
        let flag = |flag: Option<bool>| flag.map(|flag| flag.to_string());
        let number = |number: Option<u32>| number.map(|number| number.to_string());
        match field {
            Field::Skill => self.skill.clone(),
            Field::Subskill => self.subskill.clone(),
            Field::Iteration => self.span.map(span),
            Field::Round => number(self.round),
            Field::Verdict => self.verdict.map(|verdict| verdict.as_str().to_owned()),
            Field::Correct => flag(self.correct),
            Field::Split => self.split.map(|split| split.as_str().to_owned()),
            Field::Changed => number(self.changed),
            Field::Engine => self.engine.clone(),
            Field::Failed => self.failed.clone(),
            Field::Error => self.error.clone(),
            Field::Reviewed => flag(self.reviewed),
            Field::Prompt => self.prompt.clone(),
            Field::Malformed => flag(self.malformed),
            Field::Flagged => self.flagged.then(|| "true".to_owned()),
            Field::Id => self.id.clone(),
            Field::Text => self.text.clone(),
        }
    }

    /// Sets a field from a value as it is written.
    ///
    /// # Errors
    /// What the field takes instead.
    pub(crate) fn set(&mut self, field: Field, value: &str) -> Result<(), String> {
        let said = || (!value.is_empty()).then(|| value.to_owned()).ok_or_else(|| takes(field));
        let flag = || match value {
            "true" | "yes" => Ok(true),
            "false" | "no" => Ok(false),
            _ => Err(takes(field)),
        };
        let number = || value.parse().map_err(|_| takes(field));
        match field {
            Field::Skill => self.skill = Some(said()?),
            Field::Subskill => self.subskill = Some(said()?),
            Field::Iteration => self.span = Some(read::span(value).ok_or_else(|| takes(field))?),
            Field::Round => self.round = Some(number()?),
            Field::Verdict => {
                let known = [Verdict::Accepted, Verdict::Rejected, Verdict::Pending];
                let found = known.into_iter().find(|verdict| verdict.as_str() == value);
                self.verdict = Some(found.ok_or_else(|| takes(field))?);
            }
            Field::Correct => self.correct = Some(flag()?),
            Field::Split => {
                let found = [Split::Validation, Split::Test].into_iter().find(|s| s.as_str() == value);
                self.split = Some(found.ok_or_else(|| takes(field))?);
            }
            Field::Changed => self.changed = Some(number()?),
            Field::Engine => self.engine = Some(said()?),
            Field::Failed => self.failed = Some(said()?),
            Field::Error => self.error = Some(said()?),
            Field::Reviewed => self.reviewed = Some(flag()?),
            Field::Prompt => self.prompt = Some(said()?),
            Field::Malformed => self.malformed = Some(flag()?),
            Field::Flagged => self.flagged = flag()?,
            Field::Id => self.id = Some(said()?),
            Field::Text => self.text = Some(said()?),
        }
        Ok(())
    }

    /// Whether a list has one of the fields.
    pub(crate) fn touches(&self, list: List) -> bool {
        Field::of(list).any(|field| self.value(field).is_some())
    }

    /// Whether a field that is set means nothing in a list.
    pub(crate) fn idle(&self, list: List) -> Vec<Field> {
        let idle = |field: &Field| self.value(*field).is_some() && !field.lists().contains(&list);
        Field::ALL.into_iter().filter(idle).collect()
    }

    /// As it is written, every field or those of one list.
    pub(crate) fn written(&self, list: Option<List>) -> String {
        let mut out = String::new();
        for field in Field::ALL {
            if let Some(value) = self.value(field)
                && list.is_none_or(|list| field.lists().contains(&list))
            {
                // Writing into a string cannot fail.
                let _ = write!(
                    out,
                    "{}{}:{}",
                    if out.is_empty() { "" } else { " " },
                    field.name(),
                    read::quoted(&value)
                );
            }
        }
        out
    }
}

fn takes(field: Field) -> String {
    format!("`{}` takes {}", field.name(), field.about())
}

fn span((first, last): (u32, u32)) -> String {
    match (first, last) {
        (first, last) if first == last => first.to_string(),
        (0, last) => format!("<={last}"),
        (first, EVER) => format!(">={first}"),
        (first, last) => format!("{first}..{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Filter {
        read(text).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"))
    }

    #[test]
    fn a_line_with_every_kind_of_field() {
        let filter = whole(r#"skill:division correct:false iter:>2 verdict:rejected text:"remainder""#);
        assert_eq!(filter.skill.as_deref(), Some("division"));
        assert_eq!((filter.correct, filter.span), (Some(false), Some((3, EVER))));
        assert_eq!((filter.verdict, filter.text.as_deref()), (Some(Verdict::Rejected), Some("remainder")));
        assert_eq!(filter.idle(List::Training), [Field::Correct]);
        assert_eq!(filter.idle(List::Predictions), [Field::Verdict]);
        assert_eq!(
            filter.written(Some(List::Predictions)),
            "skill:division iter:>=3 correct:false text:remainder"
        );
    }

    #[test]
    fn iterations_are_written_in_many_ways() {
        for (text, span) in [
            ("2", (2, 2)),
            (">2", (3, EVER)),
            (">=2", (2, EVER)),
            ("<2", (0, 1)),
            ("<=2", (0, 2)),
            ("1..3", (1, 3)),
            ("1-3", (1, 3)),
        ] {
            assert_eq!(whole(&format!("iter:{text}")).span, Some(span), "{text}");
        }
        for text in ["<0", "3..1", "x", ">", "1..", "99999999999"] {
            assert!(read(&format!("iter:{text}")).is_err(), "{text}");
        }
    }

    #[test]
    fn bare_words_are_sought_and_quotes_keep_spaces() {
        assert_eq!(whole("two pears").text.as_deref(), Some("two pears"));
        assert_eq!(whole(r#"skill:"word problems" pears"#).skill.as_deref(), Some("word problems"));
        assert_eq!(whole(r#"text:"two \"pears\"""#).text.as_deref(), Some(r#"two "pears""#));
        assert_eq!(whole("what is 3:4").text.as_deref(), Some("what is 3:4"), "no field has that name");
        assert_eq!(whole("  "), Filter::default());
    }

    #[test]
    fn mistakes_have_a_place_and_a_remedy() {
        for (text, at, words) in [
            ("skil:division", 0..4, "did you mean `skill`"),
            ("skill:add verdict:wrong", 18..23, "accepted, rejected or pending"),
            ("verdict:accepted verdict:rejected", 17..33, "comes twice"),
            ("correct:maybe", 8..13, "true or false"),
            ("text:\"open", 5..10, "quote"),
            ("skill:", 6..6, "takes a skill"),
            ("id:x flagged:true skill:add", 18..27, "stands alone"),
        ] {
            let mistake = read(text).unwrap_err();
            assert_eq!(mistake.at, at, "{text}: {}", mistake.message);
            assert!(mistake.message.contains(words), "{text}: {}", mistake.message);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(skill in "[a-z :\"\\\\日]{1,12}", text in "[a-z\" \\\\]{1,12}", first in 0_u32..9, more in 0_u32..9) {
            let filter = Filter {
                skill: Some(skill.clone()),
                text: (!text.trim().is_empty()).then(|| text.trim().to_owned()),
                span: Some((first, first + more)),
                correct: Some(true),
                ..Filter::default()
            };
            proptest::prop_assert_eq!(read(&filter.written(None)), Ok(filter));
        }

        #[test]
        fn any_line_is_read_or_has_a_mistake_within_it(line in "[a-z:\" <>.0-9é日\\\\]{0,30}") {
            if let Err(mistake) = read(&line) {
                proptest::prop_assert!(mistake.at.start <= mistake.at.end && mistake.at.end <= line.len());
                proptest::prop_assert!(line.is_char_boundary(mistake.at.start) && line.is_char_boundary(mistake.at.end));
            }
            for at in (0..=line.len()).filter(|at| line.is_char_boundary(*at)) {
                let found = candidates(&line, at, List::Training, &|_| vec!["a b".into()]);
                for candidate in found {
                    let (text, cursor) = completed(&line, at, &candidate);
                    proptest::prop_assert!(text.is_char_boundary(cursor));
                }
            }
        }
    }

    #[test]
    fn names_and_values_are_completed() {
        let known = |field: Field| match field {
            Field::Skill => vec!["division".to_owned(), "word problems".to_owned()],
            _ => Vec::new(),
        };
        let words = |text: &str| -> Vec<String> {
            candidates(text, text.len(), List::Training, &known).into_iter().map(|c| c.text).collect()
        };
        assert_eq!(
            [settled("iter:2 verd"), settled("two pea"), settled("skill "), settled("skill:")],
            ["iter:2 ", "two pea", "skill ", ""]
        );
        assert_eq!(words("ver"), ["verdict:"]);
        assert_eq!(words("verdict:"), ["accepted", "rejected", "pending"]);
        assert_eq!(words("verdict:rejected skill:w"), ["\"word problems\""]);
        assert_eq!(words("skill:\"wo"), ["\"word problems\""]);
        assert!(words("").contains(&"iter:".to_owned()));
        assert!(!words("").contains(&"correct:".to_owned()), "not a field of training data");
        let (text, cursor) = completed("skill:w", 7, &candidates("skill:w", 7, List::Training, &known)[0]);
        assert_eq!((text.as_str(), cursor), ("skill:\"word problems\" ", 22));
    }
}
