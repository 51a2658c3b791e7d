//! GPUs, as `nvidia-smi` reports them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What is asked of `nvidia-smi`, in the order of [`Gpu`]'s fields.
pub(super) const FIELDS: &str =
    "index,uuid,name,utilization.gpu,memory.used,memory.total,power.draw,temperature.gpu";
/// Longest line that is read, in bytes.
const LINE_LIMIT: u64 = 4096;
/// After this long without a line the GPUs count as silent.
const SILENCE: Duration = Duration::from_secs(6);

/// One GPU at one moment. A field the driver does not report is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gpu {
    /// Index among the machine's GPUs.
    pub index: u32,
    /// Identity that survives a renumbering.
    pub uuid: String,
    /// Product name.
    pub name: String,
    /// Share of time with work on it, in `0..=1`.
    pub utilisation: Option<f32>,
    /// Memory in use, in MiB.
    pub memory_used: Option<f32>,
    /// Memory in all, in MiB.
    pub memory_total: Option<f32>,
    /// Power draw in watts.
    pub power: Option<f32>,
    /// Temperature in degrees Celsius.
    pub temperature: Option<f32>,
}

/// Reads one line of `--format=csv,noheader,nounits`. `[N/A]` and the like become `None`; `None` in all when
/// the line has another shape.
pub fn parse_gpu(line: &str) -> Option<Gpu> {
    let mut fields = line.split(',').map(str::trim);
    let index = fields.next()?.parse().ok()?;
    let (uuid, name) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    let mut numbers = fields.map(|f| f.parse::<f32>().ok().filter(|n| n.is_finite() && *n >= 0.0));
    let gpu = Gpu {
        index,
        uuid,
        name,
        utilisation: numbers.next()?.map(|percent| (percent / 100.0).min(1.0)),
        memory_used: numbers.next()?,
        memory_total: numbers.next()?,
        power: numbers.next()?,
        temperature: numbers.next()?,
    };
    numbers.next().is_none().then_some(gpu)
}

/// What the feed knows.
#[derive(Debug, Default)]
struct Latest {
    gpus: Vec<Gpu>,
    heard: Option<Instant>,
    over: bool,
}

impl Latest {
    fn take_in(&mut self, gpu: Gpu) {
        match self.gpus.iter_mut().find(|g| g.index == gpu.index) {
            Some(known) => *known = gpu,
            None => self.gpus.push(gpu),
        }
        self.gpus.sort_by_key(|g| g.index);
        self.heard = Some(Instant::now());
    }
}

/// A running `nvidia-smi` that reports once a second. Ends with its owner.
#[derive(Debug)]
pub(super) struct GpuFeed {
    child: Arc<Mutex<Child>>,
    latest: Arc<Mutex<Latest>>,
}

impl GpuFeed {
    /// Starts the program; `None` when there is none.
    pub(super) fn start(program: &str) -> Option<Self> {
        let mut child = Command::new(program)
            .args([&format!("--query-gpu={FIELDS}"), "--format=csv,noheader,nounits", "--loop=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let output = child.stdout.take()?;
        let feed = Self { child: Arc::new(Mutex::new(child)), latest: Arc::default() };
        let (child, latest) = (Arc::clone(&feed.child), Arc::clone(&feed.latest));
        let listen = move || {
            listen(output, &latest);
            // The child closed its output: it is ending or dead, so this wait is short.
            let _ = child.lock().unwrap_or_else(PoisonError::into_inner).wait();
        };
        thread::Builder::new().name("gpu feed".into()).spawn(listen).ok()?;
        Some(feed)
    }

    /// The newest readings; `None` when the program ended or fell silent, empty while it starts.
    pub(super) fn latest(&self) -> Option<Vec<Gpu>> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = latest.heard.is_some_and(|heard| heard.elapsed() > SILENCE);
        (!latest.over && !silent).then(|| latest.gpus.clone())
    }
}

impl Drop for GpuFeed {
    fn drop(&mut self) {
        // Held only while the child is being waited for, and then it is dead already.
        if let Ok(mut child) = self.child.try_lock() {
            let _ = child.kill();
        }
    }
}

fn listen(output: impl Read, latest: &Mutex<Latest>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = output.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line);
        if !matches!(read, Ok(n) if n > 0) {
            break;
        }
        if let Some(gpu) = parse_gpu(&String::from_utf8_lossy(&line)) {
            latest.lock().unwrap_or_else(PoisonError::into_inner).take_in(gpu);
        }
    }
    latest.lock().unwrap_or_else(PoisonError::into_inner).over = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_line_is_read() {
        let gpu = parse_gpu("0, GPU-2f, NVIDIA H200, 97, 101234, 143771, 612.35, 64\n").unwrap();
        assert_eq!((gpu.index, gpu.name.as_str(), gpu.uuid.as_str()), (0, "NVIDIA H200", "GPU-2f"));
        assert_eq!((gpu.utilisation, gpu.memory_used), (Some(0.97), Some(101_234.0)));
        assert_eq!((gpu.power, gpu.temperature), (Some(612.35), Some(64.0)));
    }

    #[test]
    fn what_the_driver_does_not_say_is_absent() {
        let line = "3, GPU-1, NVIDIA A100 MIG, [N/A], [Not Supported], [Unknown Error], N/A, [N/A]";
        let gpu = parse_gpu(line).unwrap();
        let expected =
            Gpu { index: 3, uuid: "GPU-1".into(), name: "NVIDIA A100 MIG".into(), ..Gpu::default() };
        assert_eq!(gpu, expected);
    }

    #[test]
    fn other_lines_are_ignored() {
        for line in [
            "",
            "No devices were found",
            "x, u, n, 1, 2, 3, 4, 5",
            "0, u, n, 1, 2, 3, 4",
            "0,u,n,1,2,3,4,5,6",
        ] {
            assert_eq!(parse_gpu(line), None, "{line}");
        }
    }

    #[test]
    fn a_feed_delivers_then_ends() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("smi");
        let script =
            "#!/bin/sh\necho '1, b, B, 5, 1, 2, 3, 4'\necho '0, a, A, [N/A], 1, 2, 3, 4'\nexec sleep 1\n";
        std::fs::write(&program, script).unwrap();
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
        std::fs::set_permissions(&program, mode).unwrap();
        let feed = GpuFeed::start(program.to_str().unwrap()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut most = 0;
        while let Some(gpus) = feed.latest() {
            most = most.max(gpus.len());
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(most, 2);
        assert!(GpuFeed::start("/no/such/program").is_none());
    }
}
