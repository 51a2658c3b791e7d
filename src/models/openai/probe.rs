//! What an endpoint can do, tried out with three small requests, because servers ignore what they do not know.

use serde_json::{Map, Value, json};

use super::purse::Purse;
use super::server::{Call, End, Server};
use crate::gym::ports::MaxTokensKey;

/// What an endpoint can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // each is found out by itself
pub(super) struct Abilities {
    /// Several answers to one request.
    pub(super) n: bool,
    /// Answers held to a JSON schema.
    pub(super) schema: bool,
    /// Probabilities of tokens.
    pub(super) logprobs: bool,
    /// The same answer again for the same seed.
    pub(super) seed: bool,
}

impl Abilities {
    /// What is missing and what is done instead, in sentences.
    pub(super) fn notes(self, wants_logprobs: bool) -> Vec<String> {
        let mut notes = Vec::new();
        let mut missing = |there: bool, note: &str| {
            if !there {
                notes.push(note.to_owned());
            }
        };
        missing(self.schema, "no JSON schema: it is written into the prompt and answers are checked");
        missing(self.seed, "no seed: a sampled answer cannot be drawn again");
        missing(self.logprobs || !wants_logprobs, "no probabilities: none are kept");
        missing(self.n, "one answer per request: samples are asked for one by one, as always");
        notes
    }
}

/// Tries it out. A request that is refused with everything in it is made again without, so that only an
/// endpoint that cannot chat at all fails.
pub(super) async fn probe(server: &Server, call: &Call, purse: &Purse) -> Result<Abilities, End> {
    let sampled = json!({"n": 2, "logprobs": true, "temperature": 1.0, "seed": 7});
    let word = "Write one word that nobody expects.";
    let (mut texts, mut n, mut logprobs) = (Vec::new(), false, false);
    for turn in ["first", "second"] {
        match ask(server, (word, 16, &sampled), &format!("probe-{turn}"), call, purse).await {
            Ok(completion) => {
                n = completion.texts.len() == 2;
                logprobs = completion.logprobs.1 > 0;
                texts.push(completion.text().to_owned());
            }
            Err(End::Refused { status: 400 | 422, .. }) => {
                let plain = json!({"temperature": 1.0, "seed": 7});
                let plain =
                    ask(server, (word, 16, &plain), &format!("probe-plain-{turn}"), call, purse).await;
                match plain {
                    Ok(completion) => texts.push(completion.text().to_owned()),
                    Err(End::Refused { status: 400 | 422, .. }) => break,
                    Err(other) => return Err(other),
                }
            }
            Err(other) => return Err(other),
        }
    }
    let seed = matches!(texts.as_slice(), [first, second] if first == second);
    let schema = json!({"type": "object", "properties": {"digit": {"type": "integer"}},
        "required": ["digit"], "additionalProperties": false});
    let named = json!({"name": "answer", "schema": schema, "strict": true});
    let held = json!({"temperature": 0.0, "response_format": {"type": "json_schema", "json_schema": named}});
    let schema = match ask(server, ("Hello! How are you?", 32, &held), "probe-schema", call, purse).await {
        Ok(completion) => obeys(completion.text()),
        Err(End::Refused { status: 400 | 422, .. }) => false,
        Err(other) => return Err(other),
    };
    Ok(Abilities { n, schema, logprobs, seed })
}

/// Whether the answer is the object that was asked for. One that was cut off early began as it.
fn obeys(text: &str) -> bool {
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    squeezed.starts_with("{\"digit\":")
}

async fn ask(
    server: &Server,
    (prompt, tokens, with): (&str, u32, &Value),
    id: &str,
    call: &Call,
    purse: &Purse,
) -> Result<super::dialect::Completion, End> {
    let mut body: Map<String, Value> = server.extra.clone();
    body.extend(with.as_object().cloned().unwrap_or_default());
    body.insert("model".into(), server.model().into());
    body.insert("messages".into(), json!([{"role": "user", "content": prompt}]));
    let limit = match server.endpoint.max_tokens_key {
        MaxTokensKey::MaxTokens => "max_tokens",
        MaxTokensKey::MaxCompletionTokens => "max_completion_tokens",
    };
    body.insert(limit.into(), tokens.into());
    let completion = server.complete(body, id, call, purse).await?;
    // It was paid for, and no answer of the run will tell it.
    server.waste(completion.usage);
    Ok(completion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let all = Abilities { n: true, schema: true, logprobs: true, seed: true };
        assert!(all.notes(true).is_empty());
        let none = Abilities { n: false, schema: false, logprobs: false, seed: false };
        assert_eq!((none.notes(true).len(), none.notes(false).len()), (4, 3));
    }

    #[test]
    fn an_answer_obeys_or_greets() {
        assert!(obeys(" {\n \"digit\": 4}") && obeys("{\"digit\": 12345"));
        assert!(!obeys("Hello! {\"digit\": 4}") && !obeys("{}"));
    }
}
