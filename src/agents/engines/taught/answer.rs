//! Reading a teacher's answer: whole, or as far as it goes.

use serde::Deserialize;

use crate::gym::instance::Domain;
use crate::prompts::reply;

/// What a teacher writes for one datum. A field that a domain does not have stays empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Specification {
    /// The user turn, without the task's format instruction.
    pub(super) question: String,
    /// The steps to the answer.
    #[serde(default)]
    pub(super) reasoning: String,
    /// The bare answer: a number, a program, a tool plan.
    pub(super) answer: String,
    /// What the picture shows, for visual question answering.
    #[serde(default)]
    pub(super) image: String,
}

/// The specifications of an answer, and what is wrong with it where something is. An answer that breaks off
/// keeps its whole entries; a fence around the JSON is no fault, and neither is plain LaTeX in mathematics or an answer
/// that is a number.
pub(super) fn read(reply: &str, domain: Domain) -> (Vec<Specification>, Option<String>) {
    let reply = reply::with_texts(reply, "answer");
    let (mut found, fault) = match domain {
        Domain::Mathematics => reply::entries::<Specification>(&reply::with_latex(&reply)),
        _ => reply::entries::<Specification>(&reply),
    };
    match found.iter().position(|entry| entry.question.trim().is_empty()) {
        Some(place) => {
            found.truncate(place);
            (found, Some("a question is empty".to_owned()))
        }
        None => (found, fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompts::tests::recorded;

    #[test]
    fn the_recorded_answers() {
        for domain in Domain::ALL {
            let prompt = domain.as_str();
            for answer in recorded(prompt) {
                let (found, fault) = read(&answer.reply, domain);
                let fault = fault.map(|reason| format!("; {reason}")).unwrap_or_default();
                let summary = format!("{} entries{fault}", found.len());
                assert!(summary.starts_with(&answer.expected), "{prompt}, {}: {summary}", answer.name);
            }
        }
    }

    #[test]
    fn an_answer_that_is_a_number_keeps_its_digits() {
        let text = r#"{"data": [{"question": "2?", "answer": 12345678901234567890123}, {"question": "3?", "answer": 0.10}]}"#;
        let (found, fault) = read(text, Domain::Mathematics);
        let answers: Vec<&str> = found.iter().map(|entry| entry.answer.as_str()).collect();
        assert_eq!((answers.as_slice(), fault), (["12345678901234567890123", "0.10"].as_slice(), None));
    }

    #[test]
    fn an_empty_question_ends_the_list() {
        let text = r#"[{"question": "2?", "answer": "\\frac{1}{2}"}, {"question": " ", "answer": "1"}]"#;
        let (found, fault) = read(text, Domain::Mathematics);
        assert_eq!(found[0].answer, r"\frac{1}{2}");
        assert_eq!((found.len(), fault.as_deref()), (1, Some("a question is empty")));
    }
}
