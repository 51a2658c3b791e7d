//! Its records of data, as it writes them.

use serde::Serialize;
use serde_json::{Value, json};

use crate::exchange::error::ExchangeError;
use crate::exchange::reference::beside::QUALITY;
use crate::exchange::{image, json as text};
use crate::gym::datum::{JudgedDatum, TrainingDatum, Verdict};
use crate::gym::instance::Domain;
use crate::gym::report::UNSORTED;
use crate::gym::ulid::Ulid;

#[derive(Debug, Serialize)]
struct SerializedImage {
    base64_payload: String,
}

/// A training datum of any of its types.
#[derive(Debug, Serialize)]
pub(super) struct TheirDatum<'a> {
    ulid: Ulid,
    instruction: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<SerializedImage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chosen_response: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_response: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skill_category: Option<&'a str>,
}

impl<'a> TheirDatum<'a> {
    /// The category of the skill-tree engine is the subskill, whose skill the trees name; that of the others is
    /// the skill.
    pub(super) fn new(ulid: Ulid, datum: &'a TrainingDatum, image: Option<Vec<u8>>, trees: bool) -> Self {
        let rejected_response = datum.rejected_response.as_deref();
        let only = |wanted: bool| wanted.then_some(datum.response.as_str());
        let category = if trees { &datum.subskill } else { &datum.skill };
        Self {
            ulid,
            instruction: &datum.instruction,
            image: image.map(|bytes| SerializedImage { base64_payload: image::encoded(&bytes) }),
            response: only(rejected_response.is_none()),
            chosen_response: only(rejected_response.is_some()),
            rejected_response,
            skill_category: Some(category.as_str()).filter(|name| !name.is_empty() && *name != UNSORTED),
        }
    }
}

/// A line of its cache: the record is a text.
#[derive(Debug, Serialize)]
pub(super) struct Cached {
    pub(super) key: Ulid,
    pub(super) value: String,
}

/// What it calls a hypothesis: what the student lacks, and data against it.
#[derive(Debug, Serialize)]
pub(super) struct Hypothesis {
    pub(super) inferred_weak_skill: String,
    pub(super) data_specs: Vec<TheirSpec>,
}

/// A specification by domain. The description that an image was drawn from stands in the teacher call alone.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum TheirSpec {
    Mathematics {
        problem: String,
        chain_of_thought: String,
        final_answer: String,
    },
    Programming {
        ulid: Ulid,
        instruction: String,
        solution: String,
        starter_code: Option<String>,
    },
    Visual {
        instruction: String,
        image_description: String,
        response: String,
    },
    Pair {
        instruction: String,
        image_description: String,
        chosen_response: String,
        rejected_response: String,
    },
}

impl TheirSpec {
    pub(super) fn new(ulid: Ulid, datum: &TrainingDatum, domain: Domain) -> Self {
        let (asked, answered) = (datum.question().to_owned(), datum.response.clone());
        let image_description = String::new();
        match (domain, &datum.rejected_response) {
            (_, Some(worse)) => {
                let rejected_response = worse.clone();
                Self::Pair {
                    instruction: datum.instruction.clone(),
                    image_description,
                    chosen_response: answered,
                    rejected_response,
                }
            }
            (Domain::VisualQuestionAnswering, None) => {
                Self::Visual { instruction: datum.instruction.clone(), image_description, response: answered }
            }
            (Domain::Mathematics, None) => Self::Mathematics {
                problem: asked,
                chain_of_thought: answered,
                final_answer: datum.answer.clone().unwrap_or_default(),
            },
            (Domain::Programming | Domain::ToolUse, None) => {
                Self::Programming { ulid, instruction: asked, solution: answered, starter_code: None }
            }
        }
    }
}

/// Its record of the checks of a datum, as a text with its ULID; nothing for a datum without checks that it
/// knows.
pub(super) fn quality(
    seed: u64,
    ulid: Ulid,
    judged: &JudgedDatum,
    domain: Domain,
) -> Result<Option<(Ulid, String)>, ExchangeError> {
    let named = |name: &str| judged.checks.iter().find(|check| check.check == name);
    let (form, known, passed) = (named("form"), named("known"), named(QUALITY));
    if form.or(known).or(passed).is_none() {
        return Ok(None);
    }
    let check = Ulid::derived(seed, ulid.order(), &format!("check/{ulid}"));
    let accuracy = known.and_then(|known| known.score);
    let qa_passed = passed.map_or(judged.verdict == Verdict::Accepted, |quality| quality.passed);
    let record = match (form, domain) {
        (Some(form), Domain::Mathematics) => {
            let knows = match (form.passed, accuracy) {
                // What the student answered is a call of its own in our records.
                (_, Some(accuracy)) => json!({
                    "predictor_response": "",
                    "ground_truth_answer": judged.datum.answer.clone().unwrap_or_default(),
                    "answered_correctly": accuracy >= 1.0,
                }),
                (false, None) => Value::from("not applicable: training data failed scoring code"),
                (true, None) => Value::from("not applicable: was not checked"),
            };
            json!({
                "ulid": check,
                "training_datum_ulid": ulid,
                "annotated_answer_passes_scoring_code": form.passed,
                "student_already_knows_answer": knows,
                "qa_passed": qa_passed,
                "student_accuracy": accuracy,
            })
        }
        _ => json!({
            "ulid": check,
            "training_datum_ulid": ulid,
            "qa_passed": qa_passed,
            "student_accuracy": accuracy,
        }),
    };
    Ok(Some((check, text::text(&record)?)))
}
