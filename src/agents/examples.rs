//! Instances as prompts show them, within a limit on their length.

use serde_json::{Value, json};

use crate::gym::instance::Content;
use crate::gym::ports::Example;

/// Stands for what was left out of a long text.
const CUT: &str = " [...] ";

/// Question, right answer and, where it was wrong, the student's answer of every example, as the variable
/// `shown` of a prompt. `most` is the limit of all of them together in characters: a text longer than a
/// quarter of it loses its middle, and the examples that do not fit any more are left out.
pub(super) fn shown<'a>(examples: impl Iterator<Item = Example<'a>>, most: u32) -> Vec<Value> {
    let mut room = most as usize;
    let mut values = Vec::new();
    for example in examples {
        let longest = most as usize / 4;
        let content = &example.instance.content;
        let wrong = example.prediction.filter(|prediction| !prediction.correct);
        let question = shortened(&asked(content), longest);
        let answer = shortened(&content.truth(), longest);
        let response = wrong.map(|prediction| shortened(&prediction.response, longest));
        let texts = [Some(&question), Some(&answer), response.as_ref()];
        let length: usize = texts.into_iter().flatten().map(|text| text.chars().count()).sum();
        if length > room {
            break;
        }
        room -= length;
        values.push(json!({"question": question, "answer": answer, "response": response}));
    }
    values
}

/// The question with its options, where it has some: without them an answer that is a letter says nothing.
fn asked(content: &Content) -> String {
    match content {
        Content::Mathematics { question, options, .. } if !options.is_empty() => {
            format!("{question}\n{}", options.join("\n"))
        }
        content => content.question().to_owned(),
    }
}

/// A text of at most `most` characters and the mark of the cut; its beginning and its end stay.
fn shortened(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let end = most / 2;
    let head: String = text.chars().take(most - end).collect();
    let tail: String = text.chars().skip(count - end).collect();
    format!("{head}{CUT}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::policies::tests::instances;
    use crate::gym::prediction::{FinishReason, Prediction};

    #[test]
    fn long_answers_lose_their_middle_and_what_does_not_fit_is_left_out() {
        let instances = instances("s", 10);
        let prediction = |length: usize| Prediction {
            instance_id: String::new(),
            response: format!("B{}E", "é".repeat(length)),
            answer: None,
            correct: false,
            tokens: 1,
            finish: FinishReason::Stop,
        };
        let (long, short) = (prediction(5000), prediction(3));
        let with = |prediction, count: usize| {
            let example = |instance| Example { instance, prediction: Some(prediction) };
            shown(instances[..count].iter().map(example), 400)
        };
        let one = with(&long, 1);
        let response = one[0]["response"].as_str().unwrap();
        assert!(response.starts_with("Béé") && response.ends_with("ééE") && response.contains(CUT));
        assert_eq!(response.chars().count(), 100 + CUT.len());
        assert_eq!((with(&long, 10).len(), with(&short, 10).len()), (3, 10));
        assert_eq!(with(&short, 1)[0]["answer"], "0");
        let mut chosen = instances[0].clone();
        chosen.content = Content::Mathematics {
            question: "How many?".into(),
            options: vec!["A) 1".into(), "B) 2".into()],
            answer: "B".into(),
            solution: None,
        };
        let example = Example { instance: &chosen, prediction: None };
        assert_eq!(shown(std::iter::once(example), 400)[0]["question"], "How many?\nA) 1\nB) 2");
    }
}
