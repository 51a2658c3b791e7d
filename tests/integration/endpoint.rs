//! Endpoints: the client against servers that misbehave, and whole runs against servers that come and go.

mod canary;
mod faulty;
mod runs;
mod secure;
mod servers;
mod tries;

use std::ops::ControlFlow;

use dataenvgym::gym::ports::{ChatModel, ChatReply, ChatRequest, Endpoint, PortError, Price, Sampling};
use dataenvgym::models::openai::{EndpointModel, Endpoints};

/// An endpoint with the patience of a test.
fn hasty(url: &str) -> Endpoint {
    Endpoint {
        url: url.to_owned(),
        model: "m".into(),
        probe: false,
        price: Price { prompt: 1.0, answer: 2.0 },
        connect_s: 0.5,
        first_byte_s: 1.5,
        idle_s: 0.6,
        total_s: 1.5,
        retry_first_s: 0.004,
        retry_most_s: 0.02,
        retry_after_most_s: 0.02,
        patience_s: 20.0,
        body_mib: 1,
        ..Endpoint::default()
    }
}

fn model(members: Vec<(&str, Endpoint, f64)>) -> EndpointModel {
    let members = members.into_iter().map(|(name, endpoint, weight)| (name.to_owned(), endpoint, weight));
    EndpointModel::new(&Endpoints { members: members.collect(), ..Endpoints::default() }).unwrap()
}

fn questions(count: usize) -> Vec<ChatRequest> {
    (0..count).map(|n| ChatRequest::text(format!("question {n}"), Sampling::Greedy, 32)).collect()
}

/// Every answer under its index; one answered twice is a failure of the test.
fn collect(
    model: &mut EndpointModel,
    requests: &[ChatRequest],
) -> (Vec<Option<ChatReply>>, Result<(), PortError>) {
    let mut answers = vec![None; requests.len()];
    let outcome = model.answer(requests, &mut |index, reply| {
        assert!(answers[index].replace(reply).is_none(), "{index} was answered twice");
        ControlFlow::Continue(())
    });
    (answers, outcome)
}
