//! One training from folder to folder.

use super::chat::ChatFormat;
use super::control::Control;
use super::data::{Data, ROW};
use super::error::TrainingError;
use super::export::{self, Archive, Precision};
use super::schedule::Schedule;
use super::session::{Discipline, Session};
use super::start::{self, Start};
use super::state::{Saved, Standing};
use super::thread;
use super::weights::Weights;
use crate::gym::ports::{
    Checkpoint, TrainingAccount, TrainingMethod, TrainingOrder, TrainingOutcome, TrainingProgress,
    TrainingSink,
};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a training may use beside the devices that its order names. On CPUs the result is the same bits whatever the
/// threads.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    /// Threads of the CPU; all of the machine where absent.
    pub threads: Option<usize>,
    /// Pauses and stops it.
    pub control: Arc<Control>,
}

/// Trains and writes `order.output`. Blocks; `sink` is called after every optimiser step, on the calling
/// thread, and ends the training by breaking ([`TrainingError::Stopped`]). A training that was stopped, or
/// whose process died, goes on from its last saved state when it is asked for again, to the same result.
pub fn train(
    order: &TrainingOrder,
    resources: &Resources,
    sink: &mut TrainingSink<'_>,
) -> Result<TrainingOutcome, TrainingError> {
    check(order, resources)?;
    let threads = resources.threads.unwrap_or_else(thread::default_threads);
    thread::run(threads, sink, |report| Course::prepare(order, resources)?.run(report))
}

fn check(order: &TrainingOrder, resources: &Resources) -> Result<(), TrainingError> {
    let settings = &order.settings;
    let at_least_zero = |x: f64| x.is_finite() && x >= 0.0;
    let refuse = |problem: &str| Err(TrainingError::Job(problem.to_owned()));
    if order.examples.is_empty() {
        return refuse("there are no examples");
    }
    if settings.epochs == 0 || settings.batch_size == 0 || settings.max_length < 2 {
        return refuse("epochs, batch size and longest length must be positive");
    }
    if resources.threads == Some(0) {
        return refuse("it needs a thread at least");
    }
    if !(settings.learning_rate.is_finite() && settings.learning_rate > 0.0) {
        return refuse("the learning rate must be positive");
    }
    if !(0.0..=1.0).contains(&settings.warmup)
        || !at_least_zero(settings.weight_decay)
        || !at_least_zero(settings.clip)
    {
        return refuse("warm-up must lie in 0..=1, weight decay and clip must not be negative");
    }
    if !(0.0..1.0).contains(&settings.replay) || !(0.0..1.0).contains(&settings.held_out) {
        return refuse("the shares of replay and of held-out examples must lie in 0..1");
    }
    if settings.patience > 0 && settings.held_out <= 0.0 {
        return refuse("stopping early needs held-out examples: give `held_out` a share");
    }
    match settings.method {
        TrainingMethod::Full if settings.devices.len() > 1 => {
            refuse("several devices can share the training of an adapter, not of a whole model")
        }
        TrainingMethod::Lora { rank, alpha } if rank == 0 || !(alpha.is_finite() && alpha > 0.0) => {
            refuse("rank and alpha must be positive")
        }
        _ => Ok(()),
    }
}

/// A training under way.
struct Course<'a> {
    order: &'a TrainingOrder,
    control: &'a Control,
    start: Start,
    data: Data,
    session: Session,
    saved: Saved,
    standing: Standing,
    /// Weights of the lowest held-out loss.
    best: Option<Weights>,
}

/// Whether to go on after a step.
enum Verdict {
    GoOn,
    /// The held-out loss has not fallen for too long.
    Enough,
}

impl<'a> Course<'a> {
    fn prepare(order: &'a TrainingOrder, resources: &'a Resources) -> Result<Self, TrainingError> {
        let mut start = start::load(order)?;
        let format = ChatFormat::load(&start.base)?;
        format.check_fits(start.config.vocabulary)?;
        let longest = (order.settings.max_length as usize).min(start.config.max_positions);
        let data = Data::new(order, &format, longest)?;
        let replicas = start.replicas(&order.settings.devices, data.longest().max(ROW))?;
        let discipline = Discipline {
            clip: order.settings.clip,
            weight_decay: order.settings.weight_decay,
            checkpointing: order.settings.checkpointing,
        };
        let mut session = Session::new(replicas, start.variables.clone(), discipline);
        let saved = Saved::of(order)?;
        let (standing, best) = saved.resume(&mut session)?.unwrap_or_default();
        if standing.step > 0 {
            tracing::info!(step = standing.step, "a training goes on where it was left");
        }
        let control = &resources.control;
        Ok(Self { order, control, start, data, session, saved, standing, best })
    }

    fn run(
        mut self,
        report: &mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
    ) -> Result<TrainingOutcome, TrainingError> {
        let done = self.steps(report);
        if matches!(done, Err(TrainingError::Stopped { .. })) {
            self.save()?;
        }
        let stopped_early = done?;
        self.write()?;
        self.saved.remove();
        let account = TrainingAccount {
            parameters: self.start.variables.values().map(|variable| variable.elem_count() as u64).sum(),
            response_tokens: self.standing.response_tokens,
            cut_examples: self.data.cut,
            skipped_examples: self.data.skipped,
            first_loss: self.standing.first_loss,
            held_out_loss: self.standing.best,
            stopped_early,
        };
        let output = self.order.output.clone();
        Ok(TrainingOutcome {
            checkpoint: match self.order.settings.method {
                TrainingMethod::Full => Checkpoint::Full { folder: output },
                TrainingMethod::Lora { .. } => Checkpoint::Adapter { base: self.start.base, adapter: output },
            },
            steps: self.standing.step as u32,
            final_loss: self.standing.last_loss,
            tokens: self.standing.tokens,
            account,
        })
    }

    fn save(&self) -> Result<(), TrainingError> {
        self.saved.write(&self.standing, &self.session, self.best.as_ref())
    }

    /// All steps that are still to be done. Whether it ended before the last epoch.
    fn steps(
        &mut self,
        report: &mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
    ) -> Result<bool, TrainingError> {
        let settings = &self.order.settings;
        let per_epoch = self.data.steps_per_epoch();
        let total = per_epoch * settings.epochs as usize;
        let warmup = (total as f64 * settings.warmup).ceil() as usize;
        let schedule = Schedule { peak: settings.learning_rate, warmup, total, decay: None };
        let held_out = self.data.held_out();
        let pause = Duration::from_secs(u64::from(settings.save_seconds));
        // A training that was stopped between an epoch and its measurement.
        let left_over = self.measure(&held_out)?;
        self.judge(left_over)?;
        let (stepping, before) = (Instant::now(), (self.standing.step, self.standing.tokens));
        let mut kept = Instant::now();
        for epoch in self.standing.step / per_epoch..settings.epochs as usize {
            if self.exhausted() {
                return Ok(true);
            }
            let chosen: Vec<Vec<_>> =
                self.data.epoch(epoch).into_iter().map(|members| self.data.batches(&members)).collect();
            for batches in chosen.into_iter().skip(self.standing.step - epoch * per_epoch) {
                let step = self.standing.step + 1;
                let learning_rate = schedule.at(step);
                let loss = self.session.step(&batches, learning_rate, self.control)?;
                self.count(loss, &batches);
                self.standing.unmeasured = step.is_multiple_of(per_epoch) && !held_out.is_empty();
                let held_out_loss = self.measure(&held_out)?;
                let verdict = self.judge(held_out_loss)?;
                let seconds = stepping.elapsed().as_secs_f64().max(1e-9);
                let progress = TrainingProgress {
                    step: step as u32,
                    steps: total as u32,
                    loss,
                    learning_rate,
                    tokens_per_second: (self.standing.tokens - before.1) as f64 / seconds,
                    seconds_left: seconds / (step - before.0) as f64 * (total - step) as f64,
                    held_out_loss,
                };
                if report(progress).is_break() {
                    return Err(TrainingError::Stopped { step });
                }
                if matches!(verdict, Verdict::Enough) {
                    return Ok(true);
                }
                // Writing takes its own time; it must not become what the training mostly does.
                if step < total && kept.elapsed() >= pause {
                    self.save()?;
                    kept = Instant::now();
                }
            }
        }
        Ok(false)
    }

    fn count(&mut self, loss: f64, batches: &[super::batch::Batch]) {
        let standing = &mut self.standing;
        standing.step += 1;
        if standing.step == 1 {
            standing.first_loss = loss;
        }
        standing.last_loss = loss;
        standing.tokens += batches.iter().map(|batch| batch.real_tokens as u64).sum::<u64>();
        standing.response_tokens += batches.iter().map(|batch| batch.targets.len() as u64).sum::<u64>();
    }

    /// The held-out loss, where an epoch's is due.
    fn measure(&mut self, held_out: &[super::batch::Batch]) -> Result<Option<f64>, TrainingError> {
        if !self.standing.unmeasured {
            return Ok(None);
        }
        let loss = self.session.measure(held_out, self.control)?;
        self.standing.unmeasured = false;
        Ok(Some(loss))
    }

    /// Whether the held-out loss had its last chance already.
    fn exhausted(&self) -> bool {
        let patience = self.order.settings.patience;
        patience > 0 && self.standing.stale >= patience
    }

    /// Takes an epoch's held-out loss in. With patience the weights of the lowest one are kept.
    fn judge(&mut self, held_out_loss: Option<f64>) -> Result<Verdict, TrainingError> {
        let Some(loss) = held_out_loss else { return Ok(Verdict::GoOn) };
        if !loss.is_finite() {
            let what = "the held-out loss".to_owned();
            return Err(TrainingError::Diverged { step: self.standing.step, what });
        }
        if self.standing.best.is_none_or(|best| loss < best) {
            self.standing.best = Some(loss);
            self.standing.stale = 0;
            if self.order.settings.patience > 0 {
                self.best = Some(self.current()?);
            }
        } else {
            self.standing.stale += 1;
        }
        Ok(if self.exhausted() { Verdict::Enough } else { Verdict::GoOn })
    }

    /// A copy of the variables as they stand.
    fn current(&self) -> Result<Weights, TrainingError> {
        let copy =
            |(key, variable): (&String, &candle_core::Var)| Ok((key.clone(), variable.as_tensor().copy()?));
        self.session.variables().iter().map(copy).collect()
    }

    fn write(&self) -> Result<(), TrainingError> {
        let now = || self.session.variables().iter().map(|(key, var)| (key.clone(), var.as_tensor().clone()));
        let tensors = self.best.clone().unwrap_or_else(|| now().collect());
        let Some(adapter) = self.start.adapter else {
            let archive = Archive::of(&tensors, Precision::F32);
            let base = (self.start.base.as_path(), &self.start.config);
            return export::model(&self.order.output, base, archive, Vec::new());
        };
        export::adapter(&self.order.output, &self.start.base, adapter, &tensors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::ports::{TrainingMethod, TrainingSettings};
    use crate::training::tests::support::{alone, order, student};

    #[test]
    fn a_stop_while_the_held_out_loss_is_measured_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        student(&base);
        let settings =
            |settings| TrainingSettings { held_out: 0.25, patience: 2, batch_size: 64, ..settings };
        let into = |name: &str| {
            let order = order(&base, &folder.path().join(name), TrainingMethod::Lora { rank: 2, alpha: 4.0 });
            TrainingOrder { settings: settings(order.settings.clone()), ..order }
        };
        let finished = |order: &TrainingOrder| {
            let outcome = train(order, &alone(), &mut |_| ControlFlow::Continue(())).unwrap();
            (outcome.account, std::fs::read(order.output.join("adapter_model.safetensors")).unwrap())
        };
        let straight = finished(&into("straight"));

        let order = into("stopped");
        let resources = alone();
        let mut course = Course::prepare(&order, &resources).unwrap();
        let chosen: Vec<_> =
            course.data.epoch(0).iter().flat_map(|members| course.data.batches(members)).collect();
        let held_out = course.data.held_out();
        let total = course.data.steps_per_epoch() * 3;
        let schedule =
            Schedule { peak: 2e-3, warmup: (total as f64 * 0.1).ceil() as usize, total, decay: None };
        let loss = course.session.step(&chosen, schedule.at(1), &resources.control).unwrap();
        course.count(loss, &chosen);
        course.standing.unmeasured = true;
        resources.control.stop();
        assert!(matches!(course.measure(&held_out), Err(TrainingError::Stopped { step: 1 })));
        course.save().unwrap();
        assert!(finished(&order) == straight);
    }
}
