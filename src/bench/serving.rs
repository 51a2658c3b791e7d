//! What the benches of generation share: workers of this program, and a whole job put to them.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use super::BenchError;
use crate::gym::ports::{ChatModel as _, ChatReply, ChatRequest, Device, PortError, Serving};
use crate::protocol::worker::Role;
use crate::runner::pool::{Roster, WorkerCommand, WorkerPool};

/// Single-threaded workers on the processor, with logs and caches below `home`. Nothing is started yet.
pub(super) fn pool(program: &Path, home: &Path, workers: usize, in_flight: u32) -> (WorkerPool, Roster) {
    let command = WorkerCommand {
        program: program.to_owned(),
        arguments: Vec::new(),
        log_folder: home.join("logs"),
        cache_folder: home.join("cache"),
        gpus: std::sync::Arc::default(),
        nice: None,
        without: Vec::new(),
    };
    let (serving, roster) = (Serving { in_flight, ..Serving::default() }, Roster::new());
    let devices = vec![Device::Cpu; workers];
    (WorkerPool::new(command, Role::Student, &devices, (serving, 1), roster.clone()), roster)
}

/// The answers to all requests in their order, and the seconds they took.
///
/// # Errors
/// When a worker fails, or one request is not answered.
pub(super) fn job(
    pool: &mut WorkerPool,
    requests: &[ChatRequest],
) -> Result<(Vec<ChatReply>, f64), BenchError> {
    let mut replies: Vec<Option<ChatReply>> = vec![None; requests.len()];
    let began = Instant::now();
    pool.answer(requests, &mut |index, reply| {
        replies[index] = Some(reply);
        ControlFlow::Continue(())
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let all: Option<Vec<ChatReply>> = replies.into_iter().collect();
    let all = all.ok_or_else(|| PortError::fatal("a question was not answered"))?;
    Ok((all, seconds))
}
