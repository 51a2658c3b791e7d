//! What processes and the machine use, from `/proc`.

use std::path::Path;

/// Name of this process in `/proc`.
pub(super) const SELF: &str = "self";

/// Processor time of a process with its living threads, from the scheduler's nanoseconds.
pub(super) fn cpu_seconds(process: &str) -> Option<f64> {
    let tasks = std::fs::read_dir(Path::new("/proc").join(process).join("task")).ok()?;
    let nanoseconds = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Some(nanoseconds.sum::<u64>() as f64 / 1e9).filter(|seconds| *seconds > 0.0)
}

/// A number of a process's `status`, in the unit it has there.
pub(super) fn status(process: &str, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(Path::new("/proc").join(process).join("status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Memory of a process by its field in `status`, in MiB; 0 where the system does not say.
pub(super) fn mebibytes(process: &str, field: &str) -> f64 {
    status(process, field).map_or(0.0, |kib| kib as f64 / 1024.0)
}

/// Processes that wanted a core in the last minute, on average.
pub(super) fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}
