//! Clients that come and are killed, very many of them: what the run makes of it.

use super::stage::Stage;
use super::terminal::Terminal;
use super::{Options, SIZE, Taker};
use crate::bench::{BenchError, Times, usage};
use crate::gym::episode::Iteration;
use crate::runner::lock;
use crate::store::Reader;

/// Iterations of the harmed run that are compared with those of one that nobody looked at.
const COMPARED: usize = 5;

/// Attaches a client and kills it, at another moment of its life each time: at once, after its first frame, after
/// it is connected and has sent a key.
pub(super) fn kills(
    options: &Options,
    stage: &mut Stage,
    taker: &mut Taker<'_, '_>,
) -> Result<(), BenchError> {
    stage.start("harmed", 5, None)?;
    stage.until("harmed", |episode| episode.running)?;
    let folder = stage.folder("harmed");
    let runner = || lock::holder(&folder).map_or(0, |holder| holder.pid);
    let process = runner();
    let used = || {
        let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count);
        let threads = usage::status(&process.to_string(), "Threads").unwrap_or(0);
        (descriptors as f64, threads as f64)
    };
    let before = used();
    let mut cycle = Times::new();
    for n in 0..options.kills {
        cycle.take(|| {
            let mut client = Terminal::open(&stage.command(&["attach", "harmed"]), SIZE)?;
            match n % 3 {
                0 => {}
                1 => drop(client.until("a frame", |wire| wire.frames > 0)?),
                _ => {
                    client.words("· runner ")?;
                    client.press("1j4j")?;
                }
            }
            // Dropped, it is killed.
            Ok::<_, BenchError>(())
        })?;
    }
    let begun = iterations(stage, "harmed")?.len();
    stage.until("harmed", |episode| episode.running && episode.iterations.len() > begun.max(COMPARED))?;
    let after = used();
    stage.start("calm", 0, None)?;
    stage.until("calm", |episode| episode.iterations.len() > COMPARED)?;
    let pairs = iterations(stage, "harmed")?.into_iter().zip(iterations(stage, "calm")?);
    let differing = pairs.take(COMPARED).filter(|(harmed, calm)| harmed != calm).count();
    let other = if runner() == process { "the same runner works on" } else { "another runner took over" };
    let once = |value: f64| {
        let mut times = Times::new();
        times.push(value);
        times
    };
    let said = format!("{} clients attached and killed; {other}", options.kills);
    taker.take("kills", "clients", &once(options.kills as f64), &said);
    taker.take("kill_cycle_ms", "ms", &cycle, &said);
    taker.take("kills_descriptors_more", "", &once(after.0 - before.0), &format!("of the runner; {said}"));
    taker.take("kills_threads_more", "", &once(after.1 - before.1), &format!("of the runner; {said}"));
    let compared = format!("of {COMPARED}, beside a run that nobody looked at; {said}");
    taker.take("kills_differing_iterations", "iterations", &once(differing as f64), &compared);
    Ok(())
}

/// What a run came to, iteration by iteration, without its times.
fn iterations(stage: &Stage, run: &str) -> Result<Vec<Iteration>, BenchError> {
    let episode = Reader::open(&stage.folder(run))?.episode()?;
    let timeless = |iteration: &Iteration| Iteration { elapsed_ms: 0, training: None, ..iteration.clone() };
    Ok(episode.iterations.iter().map(timeless).collect())
}
