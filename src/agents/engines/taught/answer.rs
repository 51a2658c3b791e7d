//! Reading a teacher's answer: whole, or as far as it goes.

use serde::Deserialize;

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
/// keeps its whole entries; a fence around the JSON is no fault.
pub(super) fn read(reply: &str) -> (Vec<Specification>, Option<String>) {
    let Some(open) = reply.find('[') else {
        return (Vec::new(), Some("there is no list in it".to_owned()));
    };
    let mut rest = &reply[open + 1..];
    let mut found: Vec<Specification> = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if rest.starts_with(']') {
            return (found, None);
        }
        let mut entries = serde_json::Deserializer::from_str(rest).into_iter::<serde_json::Value>();
        let entry = match entries.next() {
            Some(Ok(entry)) => entry,
            Some(Err(error)) => {
                let reason = format!("entry {} is not JSON: {error}", found.len() + 1);
                return (found, Some(reason));
            }
            None => return (found, Some("it breaks off".to_owned())),
        };
        rest = &rest[entries.byte_offset()..];
        match serde_json::from_value::<Specification>(entry) {
            Ok(entry) if !entry.question.trim().is_empty() => found.push(entry),
            Ok(_) => return (found, Some("a question is empty".to_owned())),
            Err(error) => {
                let reason = format!("entry {} has another form: {error}", found.len() + 1);
                return (found, Some(reason));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_fenced_cut_and_foreign_answers() {
        let one = r#"{"question": "2+2?", "reasoning": "", "answer": "4"}"#;
        let rows = [
            (format!(r#"{{"data": [{one}, {one}]}}"#), 2, true),
            (format!("Here you are:\n```json\n{{\"data\": [{one}]}}\n```"), 1, true),
            (format!(r#"{{"data": [{one}, {{"question": "3+"#), 1, false),
            (format!(r#"{{"data": [{one}, {{"problem": "3+3?"}}]}}"#), 1, false),
            (r#"{"data": [{"question": " ", "answer": "1"}]}"#.to_owned(), 0, false),
            ("I cannot help with that.".to_owned(), 0, false),
            (r#"{"data": []}"#.to_owned(), 0, true),
        ];
        for (reply, count, clean) in rows {
            let (found, fault) = read(&reply);
            assert_eq!((found.len(), fault.is_none()), (count, clean), "{reply}: {fault:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,200}") {
            read(&text);
        }

        #[test]
        fn a_cut_answer_is_never_worse_than_its_whole_entries(count in 0_usize..5, cut in 0_usize..400) {
            let one = r#"{"question": "é?", "reasoning": "", "answer": "4"}"#;
            let text = format!(r#"{{"data": [{}]}}"#, vec![one; count].join(", "));
            let cut: String = text.chars().take(cut).collect();
            let (found, fault) = read(&cut);
            prop_assert_eq!(found.len(), cut.matches(one).count());
            prop_assert_eq!(fault.is_none(), cut.contains(']'));
        }
    }
}
