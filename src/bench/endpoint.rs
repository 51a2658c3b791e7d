//! The client of endpoints against a server of ours in another process: requests per second, processor time,
//! memory.

mod stub;

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

pub use stub::{Asked, Said, Stub, completion};

use super::usage::{SELF, mebibytes};
use super::{BenchError, Figure, Sink};
use crate::gym::ports::{ChatModel, ChatRequest, Endpoint, Price, Sampling};
use crate::models::openai::{EndpointModel, Endpoints};

/// Requests in flight.
const IN_FLIGHT: u32 = 64;

/// Serves answers of a sentence until the input ends; `up` is told the address.
///
/// # Errors
/// When no port can be had.
pub fn serve(up: impl FnOnce(&str)) -> Result<(), BenchError> {
    let answer = "The answer is 42, because six times seven is forty-two. ".repeat(4);
    let stub = Stub::start(move |asked| {
        let model = asked.body["model"].as_str().unwrap_or_default();
        Said::json(200, &completion("c", model, &answer, (120, 60)))
    })
    .map_err(|source| io_error("a port", source))?;
    up(&stub.url());
    // The other side closes it when it is done.
    let _ = io::stdin().read(&mut [0]);
    Ok(())
}

/// Measures.
///
/// # Errors
/// When the server cannot be started or a request fails.
pub fn run(requests: usize, program: &Path, sink: &mut Sink<'_>) -> Result<(), BenchError> {
    let mut server = Command::new(program)
        .args(["bench", "endpoint", "--part", "serve"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| io_error("the server's process", source))?;
    let mut url = String::new();
    let out = server.stdout.take().ok_or(BenchError::Process)?;
    BufReader::new(out).read_line(&mut url).map_err(|source| io_error("the server's address", source))?;
    let measured = measure(url.trim(), requests.max(100), sink);
    drop(server.stdin.take());
    let _ = server.wait();
    measured
}

fn measure(url: &str, requests: usize, sink: &mut Sink<'_>) -> Result<(), BenchError> {
    let endpoint = Endpoint {
        url: url.to_owned(),
        model: "m".into(),
        in_flight: IN_FLIGHT,
        probe: false,
        price: Price { prompt: 1.0, answer: 2.0 },
        ..Endpoint::default()
    };
    let endpoints = Endpoints { members: vec![("bench".into(), endpoint, 1.0)], ..Endpoints::default() };
    let mut model = EndpointModel::new(&endpoints)?;
    let asked = |from: usize, count: usize| -> Vec<ChatRequest> {
        let padding = "a question of a usual length ".repeat(12);
        (from..from + count)
            .map(|n| ChatRequest::text(format!("{padding}{n}"), Sampling::Greedy, 100))
            .collect()
    };
    // Connections, the allocator and the limit in flight settle.
    let mut answer = |requests: &[ChatRequest]| {
        let mut heard = 0;
        model
            .answer(requests, &mut |_, _| {
                heard += 1;
                ControlFlow::Continue(())
            })
            .map(|()| heard)
    };
    answer(&asked(0, requests / 10))?;
    let all = asked(requests, requests);
    let (memory, processor, began) = (mebibytes(SELF, "VmRSS"), processor_s(), Instant::now());
    let half = requests / 2;
    let mut heard = answer(&all[..half])?;
    let middle = mebibytes(SELF, "VmRSS");
    heard += answer(&all[half..])?;
    let (elapsed, used) = (began.elapsed().as_secs_f64(), processor_s() - processor);
    if heard != requests {
        return Err(BenchError::Process);
    }
    let conditions = format!(
        "{requests} requests, {IN_FLIGHT} in flight, answers of 220 bytes, server in its own process"
    );
    let mut say = |figure: &str, value: f64, unit: &'static str| {
        sink(Figure::new(figure, value, unit, &conditions));
    };
    say("endpoint.requests_per_s", requests as f64 / elapsed, "1/s");
    say("endpoint.client_cores", used / elapsed, "cores");
    say("endpoint.client_us_per_request", used * 1e6 / requests as f64, "us");
    say("endpoint.memory_mb", mebibytes(SELF, "VmRSS"), "MB");
    say("endpoint.memory_growth_first_half_mb", middle - memory, "MB");
    say("endpoint.memory_growth_second_half_mb", mebibytes(SELF, "VmRSS") - middle, "MB");
    Ok(())
}

/// Processor seconds of this process, both kinds.
fn processor_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything: fields 14 and 15, in hundredths on every Linux.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn io_error(what: &str, source: io::Error) -> BenchError {
    BenchError::Io { what: what.to_owned(), source }
}
