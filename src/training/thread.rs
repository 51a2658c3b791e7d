//! The training thread: a stack deep enough for the recursive backward pass and a rayon pool of its own.

use super::error::TrainingError;
use std::ops::ControlFlow;
use std::sync::mpsc;

const STACK: usize = 256 << 20;

/// Runs `work` on its own pool of `threads`, calling `watch` on the caller's thread for everything it
/// reports. The work waits for the verdict.
pub(super) fn run<P: Send, T: Send>(
    threads: usize,
    watch: &mut dyn FnMut(P) -> ControlFlow<()>,
    work: impl FnOnce(&mut dyn FnMut(P) -> ControlFlow<()>) -> Result<T, TrainingError> + Send,
) -> Result<T, TrainingError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(STACK)
        .thread_name(|index| format!("training-{index}"))
        .build()
        .map_err(|error| TrainingError::Thread(error.to_string()))?;
    std::thread::scope(|scope| {
        let (reports, reported) = mpsc::sync_channel::<P>(0);
        let (verdicts, verdict) = mpsc::sync_channel::<ControlFlow<()>>(1);
        let handle = scope.spawn(|| {
            let report = move |progress: P| match reports.send(progress) {
                Ok(()) => verdict.recv().unwrap_or(ControlFlow::Break(())),
                Err(_) => ControlFlow::Break(()),
            };
            pool.install(move || {
                let mut report = report;
                work(&mut report)
            })
        });
        while let Ok(progress) = reported.recv() {
            if verdicts.send(watch(progress)).is_err() {
                break;
            }
        }
        handle.join().unwrap_or_else(|_| Err(TrainingError::Thread("it panicked".to_owned())))
    })
}

/// The threads to use where the job does not say.
pub(super) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
