//! Models behind the OpenAI-compatible chat interface: one, or several in one role with weights.
//!
//! Owns the client: keys, time-outs, retries, the number of requests in flight, the circuit breaker, what may
//! be spent, what an endpoint can do, and the exchange of adapters. One thread does all of it. Answers are
//! matched to questions by the connection they come on; nothing that an endpoint says decides where an
//! answer belongs. A key is seen by the endpoint it was configured for and nobody else.

mod adapters;
mod date;
mod dialect;
mod events;
mod images;
mod key;
mod lane;
mod probe;
mod purse;
mod server;
mod transport;
mod wait;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Aside, LocalStudent};
use crate::gym::hex::hex;
use crate::gym::ports::{
    AdapterServer, Allowance, BatchTest, ChatModel, ChatReply, ChatRequest, Checkpoint, Endpoint, PortError,
    ReplySink, Served, Student,
};
use crate::gym::rng::CounterRng;
use adapters::{Adapter, Trained};
use probe::Abilities;
use purse::Purse;
use server::{Call, End, Server};
use transport::Transport;

/// The endpoints of one role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Name, endpoint, and its share of the questions relative to the others.
    pub members: Vec<(String, Endpoint, f64)>,
    /// Folder of the weights that the endpoints serve before any training, where they serve the student.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<PathBuf>,
    /// Folder of the images that questions show, each named by its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
}

/// What an endpoint was found to be able to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the endpoint.
    pub endpoint: String,
    /// What it cannot do and what is done instead, and the proxy on the way to it.
    pub missing: Vec<String>,
}

/// A model behind endpoints.
pub struct EndpointModel {
    runtime: Runtime,
    servers: Vec<Arc<Server>>,
    purse: Arc<Purse>,
    base: Option<PathBuf>,
    images: Option<Arc<Path>>,
    aside: Option<Aside>,
    /// Answers that came when nobody waited any more. They are paid all the same.
    unheard: Vec<Served>,
}

/// Between two looks whether anybody still waits.
const LOOK: Duration = Duration::from_millis(20);
/// What the client's own tasks need at most to close connections.
const CLOSING: Duration = Duration::from_millis(10);

/// What is under way: the number of a question and what became of it.
type Tasks = JoinSet<(usize, Result<ChatReply, End>)>;

impl EndpointModel {
    /// Reads keys and certificates; nothing is sent yet.
    ///
    /// # Errors
    /// A fatal one that names the endpoint and what is wrong with its configuration.
    pub fn new(endpoints: &Endpoints) -> Result<Self, PortError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
                PortError::transient(format!("no runtime for the endpoint's client: {error}"))
            })?;
        let server = |(name, endpoint, weight): &(String, Endpoint, f64)| {
            Server::new(name, endpoint, *weight).map(Arc::new).map_err(PortError::fatal)
        };
        let servers: Vec<Arc<Server>> = endpoints.members.iter().map(server).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(PortError::fatal("no endpoint is named"));
        }
        let images = endpoints.images.as_deref().map(Arc::from);
        let base = endpoints.base.clone();
        Ok(Self { runtime, servers, purse: Arc::default(), base, images, aside: None, unheard: Vec::new() })
    }

    /// Tries out what the endpoints can do, where that is wanted and was not done.
    ///
    /// # Errors
    /// When one cannot be reached or cannot chat.
    pub fn probe(&self) -> Result<Vec<Finding>, PortError> {
        let (_end, over) = watch::channel(false);
        let call = Call { over };
        self.runtime.block_on(async {
            for server in self.servers.iter().filter(|server| server.endpoint.probe) {
                if server.abilities.get().is_none() {
                    let found = probe::probe(server, &call, &self.purse).await?;
                    tracing::info!(endpoint = server.name, ?found, "tried out");
                    // Nobody else sets it.
                    let _ = server.abilities.set(found);
                }
            }
            Ok::<(), End>(())
        })?;
        Ok(self.findings())
    }

    fn findings(&self) -> Vec<Finding> {
        let finding = |server: &Arc<Server>| {
            let Endpoint { schema, logprobs, .. } = server.endpoint;
            let notes = |found: &Abilities| found.notes(schema, logprobs);
            let mut missing = server.abilities.get().map_or_else(Vec::new, notes);
            missing.extend(Transport::via(&server.endpoint));
            if server.uncounted.load(Ordering::Relaxed) {
                missing.push("no count of tokens: four bytes are taken for one".to_owned());
            }
            Finding { endpoint: server.name.clone(), missing }
        };
        self.servers.iter().map(finding).collect()
    }
}

/// Whose turn a question is: drawn by its text and the weights, so that it is the same on every resume.
fn home(servers: &[Arc<Server>], request: &ChatRequest) -> usize {
    let total: f64 = servers.iter().map(|server| server.weight).sum();
    let mut left = CounterRng::keyed(0, &request.prompt).unit() * total;
    for (index, server) in servers.iter().enumerate() {
        left -= server.weight;
        if left < 0.0 {
            return index;
        }
    }
    servers.len() - 1
}

/// The answer of the question's own endpoint; of the next one that is open, when that is closed.
async fn one(
    servers: &[Arc<Server>],
    (request, folder): (&ChatRequest, Option<&Path>),
    call: &Call,
    purse: &Purse,
) -> Result<ChatReply, End> {
    let images = images::addresses(folder, &request.images);
    let images = images.map_err(|message| End::Refused { status: 0, message })?;
    let digest = Sha256::digest(serde_json::to_vec(request).unwrap_or_default());
    let id = hex(digest);
    let first = home(servers, request);
    let mut closed = Vec::new();
    for turn in 0..servers.len() {
        let server = &servers[(first + turn) % servers.len()];
        let reply = match server.lane.closed() {
            Some(why) => Err(End::Closed(why)),
            None => server.reply((request, &images), &id[..32], call, purse).await,
        };
        match reply {
            Err(End::Closed(why)) => closed.push(why),
            reply => return reply,
        }
    }
    Err(End::Closed(closed.join("; ")))
}

/// Returns when nobody waits for answers any more; never where nobody would say so.
async fn deserted(aside: Option<&Aside>) {
    let Some(aside) = aside else { return std::future::pending().await };
    while !aside.is_over() {
        tokio::time::sleep(LOOK).await;
    }
}

/// Drops what is under way with its connections. What had been answered until then was paid, and is handed back.
async fn give_up(mut tasks: Tasks) -> Vec<Served> {
    if tasks.is_empty() {
        return Vec::new();
    }
    tasks.abort_all();
    let mut unheard = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        if let Ok((_, Ok(reply))) = joined {
            unheard.extend(reply.served.map(|served| *served));
        }
    }
    // A connection is a task of the client's, and tasks run only while somebody waits in this runtime.
    tokio::time::sleep(CLOSING).await;
    unheard
}

impl ChatModel for EndpointModel {
    /// Starts requests in order and hands answers over as they come. After a failure no other request is
    /// sent, but what is under way is waited for: it is paid. When nobody waits any more it is dropped.
    fn answer(&mut self, requests: &[ChatRequest], sink: &mut ReplySink<'_>) -> Result<(), PortError> {
        let (end, over) = watch::channel(false);
        let call = Call { over };
        // Twice what may be in flight: questions that wait for another try keep nobody from asking.
        let window = 2 * self.servers.iter().map(|server| server.endpoint.in_flight as usize).sum::<usize>();
        let (servers, purse) = (&self.servers, &self.purse);
        let (outcome, unheard) = self.runtime.block_on(async {
            let mut tasks = Tasks::new();
            let mut waiting = requests.iter().enumerate();
            let mut outcome: Result<(), PortError> = Ok(());
            loop {
                while tasks.len() < window && outcome.is_ok() {
                    let Some((index, request)) = waiting.next() else { break };
                    let (servers, purse, call) = (servers.clone(), Arc::clone(purse), call.clone());
                    let (request, folder) = (request.clone(), self.images.clone());
                    tasks.spawn(async move {
                        (index, one(&servers, (&request, folder.as_deref()), &call, &purse).await)
                    });
                }
                let joined = tokio::select! {
                    joined = tasks.join_next() => joined,
                    () = deserted(self.aside.as_ref()) => None,
                };
                let Some(joined) = joined else { break };
                let failed = match joined {
                    Ok((index, Ok(reply))) => {
                        if sink(index, reply).is_break() {
                            // Nobody wants the others.
                            break;
                        }
                        continue;
                    }
                    Ok((_, Err(end))) => end.into(),
                    Err(error) => PortError::transient(format!("the endpoint's client broke: {error}")),
                };
                if outcome.is_ok() {
                    outcome = Err(failed);
                    end.send_replace(true);
                }
            }
            (outcome, give_up(tasks).await)
        });
        self.unheard.extend(unheard);
        outcome
    }
}

impl Student for EndpointModel {
    fn refresh(&mut self, checkpoint: &Checkpoint) -> Result<(), PortError> {
        // A person has looked, or a phase is tried again: what was closed is tried again too.
        for server in &self.servers {
            server.lane.reopen();
        }
        self.probe()?;
        let trained = match checkpoint {
            Checkpoint::Adapter { adapter, .. } => Some(Trained::Adapter(Adapter::of(adapter)?)),
            Checkpoint::Full { folder } if self.base.as_ref().is_none_or(|base| base == folder) => None,
            Checkpoint::Full { folder } => Some(Trained::whole(folder)?),
        };
        let (_end, over) = watch::channel(false);
        let call = Call { over };
        let swaps =
            |server: &&Arc<Server>| trained.is_some() || server.endpoint.adapters != AdapterServer::None;
        self.runtime.block_on(async {
            for server in self.servers.iter().filter(swaps) {
                adapters::serve(server, trained.as_ref(), &call).await?;
            }
            Ok::<(), End>(())
        })?;
        Ok(())
    }
}

impl LocalStudent for EndpointModel {
    fn in_flight(&self) -> u32 {
        self.servers.iter().map(|server| server.endpoint.in_flight).sum()
    }

    fn batch_test(&self) -> Option<BatchTest> {
        None
    }

    fn allow(&mut self, allowance: Allowance) {
        self.purse.allow(allowance);
    }

    fn attend(&mut self, aside: Aside) {
        self.aside = Some(aside);
    }

    fn unbilled(&mut self) -> Vec<Served> {
        self.unheard.drain(..).chain(self.servers.iter().filter_map(|server| server.unbilled())).collect()
    }

    fn notes(&self) -> Vec<String> {
        let said = |finding: Finding| {
            let name = finding.endpoint;
            finding.missing.into_iter().map(move |what| format!("{name}: {what}"))
        };
        self.findings().into_iter().flat_map(said).collect()
    }
}
