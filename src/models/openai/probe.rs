//! What an endpoint can do, tried out with a few small requests, because servers ignore what they do not know, or refuse
//! the whole request for it.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::dialect::Completion;
use super::purse::Purse;
use super::server::{Call, End, Server};
use crate::gym::ports::{MaxTokensKey, SchemaMode};
use crate::gym::prediction::FinishReason;

/// The question of most trials, and the limit of its answer in tokens: a word, of which there are many.
const WORD: (&str, u32) = ("Write one word that nobody expects.", 16);

/// What an endpoint can do.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Another answer for another seed.
    pub(super) samples: bool,
    /// Fields of an ordinary question that it does not take.
    pub(super) refused: Vec<&'static str>,
}

impl Abilities {
    /// What is missing and what is done instead, in sentences, for an endpoint that is configured so.
    pub(super) fn notes(&self, mode: SchemaMode, wants_logprobs: bool) -> Vec<String> {
        let mut notes = Vec::new();
        let mut missing = |there: bool, note: &str| {
            if !there {
                notes.push(note.to_owned());
            }
        };
        let schema = match mode {
            SchemaMode::Server => {
                "no answer was seen to keep to a JSON schema, as `schema = \"server\"` has it"
            }
            _ => "no JSON schema: it is written into the prompt and answers are checked",
        };
        missing(self.schema || mode == SchemaMode::Prompt, schema);
        missing(self.seed, "no seed: a sampled answer cannot be drawn again");
        missing(self.samples, "the same answer for two seeds: it may not sample at all");
        missing(self.logprobs || !wants_logprobs, "no probabilities: none are kept");
        missing(self.n, "one answer per request: samples are asked for one by one, as always");
        notes.extend(self.refused.iter().map(|field| match *field {
            "temperature" => "`temperature` is refused and left out: greedy answers are drawn".to_owned(),
            field => format!("`{field}` is refused and left out"),
        }));
        notes
    }

    /// Takes out of a question what this endpoint would refuse it for.
    pub(super) fn without(&self, body: &mut Map<String, Value>) {
        body.retain(|field, _| !self.refused.iter().any(|refused| refused == field));
        if !self.logprobs {
            body.remove("logprobs");
        }
        if !body.contains_key("stream") {
            body.remove("stream_options");
        }
    }
}

/// The fields of a run's questions that some servers refuse, each with a value it may have.
fn usual(stream: bool, seed: u64) -> Vec<(&'static str, Value)> {
    let mut fields = vec![
        ("temperature", json!(1.0)),
        ("top_p", json!(0.95)),
        ("seed", json!(seed)),
        ("stop", json!(["###"])),
    ];
    if stream {
        fields.extend([("stream_options", json!({"include_usage": true})), ("stream", json!(true))]);
    }
    fields
}

/// The requests of a trial.
struct Trial<'a> {
    server: &'a Server,
    call: &'a Call,
    purse: &'a Purse,
}

impl Trial<'_> {
    /// One question.
    async fn say(
        &self,
        id: &str,
        (prompt, tokens): (&str, u32),
        with: &[(&str, Value)],
    ) -> Result<Completion, End> {
        let mut body: Map<String, Value> = self.server.extra.clone();
        body.extend(with.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        body.insert("model".into(), self.server.model().into());
        body.insert("messages".into(), json!([{"role": "user", "content": prompt}]));
        let limit = match self.server.endpoint.max_tokens_key {
            MaxTokensKey::MaxTokens => "max_tokens",
            MaxTokensKey::MaxCompletionTokens => "max_completion_tokens",
        };
        body.insert(limit.into(), tokens.into());
        let completion =
            self.server.complete(body, &|bytes| bytes as u64 / 2, id, self.call, self.purse).await?;
        if completion.usage.is_none() {
            self.server.uncounted.store(true, Ordering::Relaxed);
        }
        // It was paid for, and no answer of the run will tell it.
        self.server.waste(completion.usage);
        Ok(completion)
    }

    /// One word for the request of that name; `None` where the endpoint refuses it.
    async fn word(&self, name: &str, with: &[(&str, Value)]) -> Result<Option<Completion>, End> {
        taken(self.say(&format!("probe-{name}"), WORD, with).await)
    }
}

/// A refusal of what was asked for is an answer to a trial.
fn taken(outcome: Result<Completion, End>) -> Result<Option<Completion>, End> {
    match outcome {
        Ok(completion) => Ok(Some(completion)),
        Err(End::Refused { status: 400 | 422, message }) => {
            tracing::info!(message, "a trial was refused");
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// Tries it out. A request that is refused with everything in it is made again field by field, so that only an
/// endpoint that cannot chat at all fails.
pub(super) async fn probe(server: &Server, call: &Call, purse: &Purse) -> Result<Abilities, End> {
    let trial = Trial { server, call, purse };
    let all = usual(server.endpoint.stream, 8);
    let mut refused = Vec::new();
    let mut other = trial.word("usual", &all).await?;
    if other.is_none() {
        for (name, value) in &all {
            let mut alone = vec![(*name, value.clone())];
            if *name == "stream_options" {
                // They are refused where there is no stream.
                alone.push(("stream", json!(true)));
            }
            if trial.word(name, &alone).await?.is_none() {
                refused.push(*name);
            }
        }
        let rest: Vec<_> = all.iter().filter(|(name, _)| !refused.contains(name)).cloned().collect();
        other = trial.word("rest", &rest).await?;
    }
    if other.is_none() {
        // An endpoint that refuses even this cannot chat, and says why.
        other = Some(trial.say("probe-bare", WORD, &[]).await?);
        refused = all.iter().map(|(name, _)| *name).collect();
    }
    let drawn: Vec<_> =
        usual(server.endpoint.stream, 7).into_iter().filter(|(name, _)| !refused.contains(name)).collect();
    let with = |more: (&'static str, Value)| -> Vec<_> { drawn.iter().cloned().chain([more]).collect() };
    let (mut texts, mut logprobs) = (Vec::new(), false);
    for turn in ["first", "second"] {
        let completion = match trial.word(turn, &with(("logprobs", json!(true)))).await? {
            Some(completion) => Some(completion),
            None => trial.word(&format!("{turn}-plain"), &drawn).await?,
        };
        if let Some(completion) = completion {
            logprobs = !completion.logprobs.is_empty();
            texts.push(completion.text().to_owned());
        }
    }
    let same = matches!(texts.as_slice(), [first, second] if first == second);
    let seed = same && !refused.contains(&"seed");
    let stuck = seed && other.is_some_and(|other| texts.first().is_some_and(|text| text == other.text()));
    let several = trial.word("several", &with(("n", json!(2)))).await?;
    let n = several.is_some_and(|completion| completion.texts.len() == 2);
    let schema = json!({"type": "object", "properties": {"digit": {"type": "integer"}},
        "required": ["digit"], "additionalProperties": false});
    let named = json!({"name": "answer", "schema": schema, "strict": true});
    let held = [("response_format", json!({"type": "json_schema", "json_schema": named}))];
    let held = taken(trial.say("probe-schema", ("Hello! How are you?", 32), &held).await)?;
    let schema = held.is_some_and(|completion| obeys(completion.text(), completion.finish()));
    Ok(Abilities { n, schema, logprobs, seed, samples: !stuck, refused })
}

/// Whether the answer is the object that was asked for. One that was cut off began as it: small models fill an object
/// with blanks as long as they may.
fn obeys(text: &str, finish: FinishReason) -> bool {
    const BEGINS: &str = "{\"digit\":";
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let cut = finish == FinishReason::Length && !squeezed.is_empty() && BEGINS.starts_with(&squeezed);
    squeezed.starts_with(BEGINS) || cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let able = |able| Abilities {
            n: able,
            schema: able,
            logprobs: able,
            seed: able,
            samples: able,
            refused: if able { vec![] } else { vec!["temperature", "top_p"] },
        };
        assert!(able(true).notes(SchemaMode::Auto, true).is_empty());
        let count = |mode, logprobs| able(false).notes(mode, logprobs).len();
        assert_eq!((count(SchemaMode::Auto, true), count(SchemaMode::Auto, false)), (7, 6));
        assert_eq!((count(SchemaMode::Server, true), count(SchemaMode::Prompt, true)), (7, 6));
    }

    #[test]
    fn what_is_refused_is_left_out() {
        let abilities = Abilities {
            n: true,
            schema: true,
            logprobs: false,
            seed: true,
            samples: true,
            refused: vec!["temperature", "stream"],
        };
        let mut body = json!({"model": "m", "temperature": 0.0, "seed": 3, "logprobs": true, "stream": true,
            "stream_options": {}});
        abilities.without(body.as_object_mut().unwrap());
        assert_eq!(body, json!({"model": "m", "seed": 3}));
    }

    #[test]
    fn an_answer_obeys_or_greets() {
        let (whole, cut) = (FinishReason::Stop, FinishReason::Length);
        assert!(obeys(" {\n \"digit\": 4}", whole) && obeys("{\"digit\": 12345", cut));
        assert!(obeys("{\n\n   \"di", cut) && !obeys("{\n\n   \"di", whole));
        assert!(!obeys("Hello! {\"digit\": 4}", whole) && !obeys("{}", cut) && !obeys(" ", cut));
    }
}
