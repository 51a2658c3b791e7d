//! The thread that asks the machine once a second, while somebody looks.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::gpu::{Gpu, GpuFeed};
use super::history::History;
use super::host::{CpuTimes, Memory, parse_memory};

/// Time between two samples.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time between two starts of what reports the GPUs.
const RESTART: Duration = Duration::from_secs(20);

/// One GPU with its recent past.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GpuReading {
    /// The newest values.
    pub gpu: Gpu,
    /// Utilisation over the last two minutes.
    pub utilisation: History,
    /// Share of its memory in use over the last two minutes.
    pub memory: History,
    /// Power over the last two minutes, as a share of [`FULL_POWER`].
    pub power: History,
    /// Temperature over the last two minutes, as a share of [`FULL_HEAT`].
    pub temperature: History,
}

/// Watts at which a history of power is full: above what one device draws today.
pub const FULL_POWER: f32 = 1000.0;
/// Degrees Celsius at which a history of temperature is full.
pub const FULL_HEAT: f32 = 100.0;

/// The machine at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Processor use over the last two minutes, all cores together.
    pub cpu: History,
    /// Memory use over the last two minutes.
    pub memory_share: History,
    /// Memory now.
    pub memory: Option<Memory>,
    /// The GPUs by index; empty where there are none or the driver does not answer.
    pub gpus: Vec<GpuReading>,
}

/// Handle of the sampling thread, which ends when this is dropped.
#[derive(Debug)]
pub struct Sampler {
    orders: Sender<bool>,
}

impl Sampler {
    /// Starts the thread; it rests until [`Sampler::watch`] wakes it.
    pub fn start(sink: impl FnMut(Snapshot) + Send + 'static) -> io::Result<Self> {
        let (orders, inbox) = channel();
        thread::Builder::new().name("probes".into()).spawn(move || run(&inbox, sink))?;
        Ok(Self { orders })
    }

    /// Starts or stops the sampling.
    pub fn watch(&self, on: bool) {
        // A thread that is gone samples nothing, which is what a failed order would ask for.
        let _ = self.orders.send(on);
    }
}

fn run(inbox: &Receiver<bool>, mut sink: impl FnMut(Snapshot)) {
    let (mut state, mut past) = (Snapshot::default(), Past::default());
    let mut watching: Option<Watch> = None;
    loop {
        let order = match watching {
            Some(_) => inbox.recv_timeout(INTERVAL),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match order {
            Ok(true) if watching.is_none() => {
                past.gap();
                watching = Some(Watch::begin("nvidia-smi"));
            }
            Ok(false) => watching = None,
            Ok(true) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Some(watch) = &mut watching {
            watch.sample(&mut state, &mut past);
            sink(state.clone());
        }
    }
}

/// What lives only while somebody looks.
struct Watch {
    program: String,
    feed: Option<GpuFeed>,
    /// When the feed began.
    since: Instant,
    times: Option<CpuTimes>,
}

impl Watch {
    fn begin(program: &str) -> Self {
        let feed = GpuFeed::start(program);
        Self { program: program.to_owned(), feed, since: Instant::now(), times: cpu_times() }
    }

    /// The newest readings. A feed that ended or fell silent is begun anew, but not at once: where the driver is
    /// broken it would end again.
    fn gpus(&mut self) -> Vec<Gpu> {
        let Some(feed) = &self.feed else { return Vec::new() };
        if let Some(gpus) = feed.latest() {
            return gpus;
        }
        if self.since.elapsed() > RESTART {
            (self.feed, self.since) = (GpuFeed::start(&self.program), Instant::now());
        }
        Vec::new()
    }

    fn sample(&mut self, state: &mut Snapshot, past: &mut Past) {
        let times = cpu_times();
        let earlier = std::mem::replace(&mut self.times, times);
        state.cpu.push(times.zip(earlier).and_then(|(now, before)| now.share_since(before)));
        state.memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| parse_memory(&text));
        state.memory_share.push(state.memory.and_then(Memory::share));
        state.gpus = self.gpus().into_iter().map(|gpu| past.of(gpu)).collect();
    }
}

/// What every GPU did, by its identity. It outlives a watch: time that nobody measured is a gap.
#[derive(Default)]
struct Past(BTreeMap<String, GpuReading>);

impl Past {
    fn gap(&mut self) {
        for reading in self.0.values_mut() {
            let GpuReading { utilisation, memory, power, temperature, .. } = reading;
            for history in [utilisation, memory, power, temperature] {
                history.push(None);
            }
        }
    }

    fn of(&mut self, gpu: Gpu) -> GpuReading {
        let past = self.0.entry(gpu.uuid.clone()).or_default();
        past.utilisation.push(gpu.utilisation);
        past.memory.push(gpu.memory_used.zip(gpu.memory_total).map(|(used, total)| used / total.max(1.0)));
        past.power.push(gpu.power.map(|watts| watts / FULL_POWER));
        past.temperature.push(gpu.temperature.map(|degrees| degrees / FULL_HEAT));
        past.gpu = gpu;
        past.clone()
    }
}

fn cpu_times() -> Option<CpuTimes> {
    fs::read_to_string("/proc/stat").ok().and_then(|text| CpuTimes::parse(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(mut done: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < Duration::from_secs(30));
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_feed_that_ended_is_begun_anew_after_a_while_and_the_past_stays() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("smi");
        let write = |rest: &str| {
            let script = format!("#!/bin/sh\necho '0, GPU-a, A, 50, 1, 2, 3, 4'\n{rest}\n");
            fs::write(&program, script).unwrap();
            let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
            fs::set_permissions(&program, mode).unwrap();
        };
        write("exit");
        let mut watch = Watch::begin(program.to_str().unwrap());
        until(|| watch.feed.as_ref().unwrap().latest().is_none());
        assert!(watch.gpus().is_empty(), "not at once");
        write("exec sleep 60");
        watch.since = Instant::now().checked_sub(2 * RESTART).unwrap();
        let (mut state, mut past) = (Snapshot::default(), Past::default());
        until(|| {
            watch.sample(&mut state, &mut past);
            !state.gpus.is_empty()
        });
        past.gap();
        watch.sample(&mut state, &mut past);
        let recent: Vec<_> = state.gpus[0].utilisation.recent(3).collect();
        assert_eq!(recent, [Some(0.5), None, Some(0.5)]);
    }

    #[test]
    fn samples_come_only_while_somebody_looks() {
        let (sender, receiver) = channel();
        let sampler = Sampler::start(move |snapshot| drop(sender.send(snapshot))).unwrap();
        assert!(receiver.recv_timeout(Duration::from_millis(100)).is_err());
        sampler.watch(true);
        let snapshot = receiver.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(snapshot.memory.is_some(), cfg!(target_os = "linux"));
        drop(sampler);
        while receiver.recv_timeout(Duration::from_secs(5)).is_ok() {}
    }
}
