//! What goes on, in words: the state of the run, why it holds, what was asked of it.

use super::app::{App, Link, Stage};
use super::text::{duration, percent, points, rate};
use super::theme::Scope;
use crate::gym::episode::{Command, Episode, Halt, Pace, Phase, Work};
use crate::gym::instance::Split;
use crate::gym::statistics::Estimate;

/// The state of the run as far as this screen knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// The database has not been read yet.
    Unread,
    /// Nothing has been done yet.
    Fresh,
    Running(Work),
    /// The database says that a phase runs, and no runner is there.
    Cut(Work),
    Paused(Work),
    Gate(Phase),
    Failed {
        work: Work,
        message: String,
    },
    Stopped(Work),
    Finished,
}

impl State {
    pub(crate) fn of(app: &App) -> Self {
        let Some(facts) = &app.facts else { return Self::Unread };
        let episode = &facts.episode;
        let Some(work) = episode.work else { return Self::Finished };
        if episode.running {
            return if matches!(app.link, Link::Absent) { Self::Cut(work) } else { Self::Running(work) };
        }
        match &episode.halt {
            Some(Halt::Failure { message }) => Self::Failed { work, message: message.clone() },
            Some(Halt::Gate { phase }) => Self::Gate(*phase),
            Some(Halt::Stopped) => Self::Stopped(work),
            Some(Halt::Finished) => Self::Finished,
            Some(Halt::Asked) | None => {
                let untouched =
                    facts.timings.is_empty() && work.iteration == 0 && work.phase == Phase::Evaluate;
                if untouched { Self::Fresh } else { Self::Paused(work) }
            }
        }
    }

    /// One or two words for the header.
    pub(crate) fn badge(&self) -> (Scope, String) {
        match self {
            Self::Unread => (Scope::Muted, "reading".into()),
            Self::Fresh => (Scope::Hint, "ready".into()),
            Self::Running(work) => (Scope::Running, format!("running: {}", work.phase.as_str())),
            Self::Cut(_) => (Scope::Warn, "interrupted".into()),
            Self::Paused(_) => (Scope::Hint, "paused".into()),
            Self::Gate(_) => (Scope::Hint, "at a gate".into()),
            Self::Failed { .. } => (Scope::Bad, "FAILED".into()),
            Self::Stopped(_) => (Scope::Hint, "stopped".into()),
            Self::Finished => (Scope::Good, "finished".into()),
        }
    }

    /// Why nothing goes on and what to do, as paragraphs. Empty while a phase runs.
    pub(crate) fn reasons(&self, app: &App) -> Vec<(Scope, String)> {
        let go = "Press r to run on to the end, i for one iteration, n for one phase.";
        match self {
            Self::Unread => vec![(Scope::Muted, "Reading the run.".into())],
            Self::Fresh => vec![
                (Scope::Strong, "Nothing has been done yet.".into()),
                (Scope::Text, "First the student as it is answers the validation split: iteration 0.".into()),
                (Scope::Hint, go.into()),
            ],
            Self::Running(_) => Vec::new(),
            Self::Cut(work) => vec![
                (Scope::Warn, format!("The runner ended during {}.", describe(*work))),
                (Scope::Text, "What was committed is kept; only this phase is repeated.".into()),
                (Scope::Hint, "Press r to start a runner and go on.".into()),
            ],
            Self::Paused(work) => {
                vec![(Scope::Strong, format!("Paused before {}.", describe(*work))), (Scope::Hint, go.into())]
            }
            Self::Gate(phase) => vec![
                (Scope::Strong, format!("At the gate before {}.", phase.as_str())),
                (
                    Scope::Text,
                    "The run waits for a person here: look at the plan (1) and the data (4).".into(),
                ),
                (Scope::Hint, "Press r to pass, n to do this phase only.".into()),
            ],
            Self::Failed { work, message } => vec![
                (Scope::Bad, format!("Failed: {}.", describe(*work))),
                (Scope::Text, message.clone()),
                (Scope::Hint, "Press r to try again from here. What was committed is kept.".into()),
            ],
            Self::Stopped(work) => vec![
                (Scope::Strong, format!("Stopped before {}.", describe(*work))),
                (Scope::Hint, "Press r to resume.".into()),
            ],
            Self::Finished => finished(app),
        }
    }
}

fn finished(app: &App) -> Vec<(Scope, String)> {
    let Some(facts) = &app.facts else { return Vec::new() };
    let episode = &facts.episode;
    let selected = episode.selected.unwrap_or(0);
    let mut said = Vec::new();
    if selected == 0 {
        said.push((Scope::Strong, "Finished. No iteration did better than the untrained student.".into()));
    } else {
        let text = format!("Finished. Iteration {selected} is the best by validation accuracy.");
        said.push((Scope::Strong, text));
    }
    if let Some((before, after)) = tests(episode, selected) {
        said.push((Scope::Text, format!("Test: {} before, {} after.", percent(before), percent(after))));
    }
    if let Some(gain) = &facts.gain {
        let scope = if gain.low > 0.0 { Scope::Good } else { Scope::Warn };
        said.push((scope, paired(gain)));
    }
    said.push((Scope::Hint, "1 and 4 show what was learned; q leaves.".into()));
    said
}

fn tests(episode: &Episode, selected: u32) -> Option<(f64, f64)> {
    let of = |n: u32| episode.iterations.get(n as usize)?.test.as_ref().map(|r| r.overall.mean);
    (selected > 0).then_some(())?;
    Some((of(0)?, of(selected)?))
}

fn paired(gain: &Estimate) -> String {
    let (low, high) = (points(gain.low), points(gain.high));
    let verdict = if gain.low > 0.0 { "" } else { ": not surely above zero" };
    format!(
        "Paired gain on test: {} points, 95 % interval {low} to {high}, over the same {} instances{verdict}.",
        points(gain.mean),
        gain.n
    )
}

/// `train of iteration 2`, `evaluate test of iteration 0`.
pub(crate) fn describe(work: Work) -> String {
    let phase = work.phase.as_str();
    let round = if work.round > 0 { format!(", round {}", work.round + 1) } else { String::new() };
    match work.split {
        Some(split) => format!("{phase} ({}) of iteration {}{round}", split.as_str(), work.iteration),
        None => format!("{phase} of iteration {}{round}", work.iteration),
    }
}

/// What a phase does, for somebody who sees it the first time.
pub(crate) fn explain(work: Work) -> &'static str {
    match (work.phase, work.split) {
        (Phase::Evaluate, Some(Split::Test)) => {
            "the student answers the test split, kept for the final verdict"
        }
        (Phase::Evaluate, _) => "the student answers the validation split",
        (Phase::Plan, _) => "the policy decides which skills get how much data",
        (Phase::Generate, _) => "the engine writes the training data of the plan",
        (Phase::Check, _) => "quality checks accept or reject the data",
        (Phase::Train, _) => "the student is trained on the accepted data",
    }
}

/// What was asked for and has not happened yet.
pub(crate) fn transition(app: &App) -> Option<String> {
    let episode = &app.facts.as_ref()?.episode;
    let running = app.running();
    if let Some(asked) = &app.asked {
        let wait = match asked.stage {
            Stage::Starting => return Some(format!("starting a runner, then: {}", wish(&asked.command))),
            Stage::Sent => " (sent)",
            Stage::Acknowledged => "",
        };
        return Some(format!("{}{wait}", promise(&asked.command, episode, running)));
    }
    if !running {
        return None;
    }
    match (episode.stopping, episode.pace) {
        (true, _) => Some(promise(&Command::Stop, episode, true)),
        (false, Pace::Hold) => Some(promise(&Command::Pause, episode, true)),
        (false, Pace::Phase) => Some(promise(&Command::AdvancePhase, episode, true)),
        (false, Pace::Iteration) => Some(promise(&Command::AdvanceIteration, episode, true)),
        (false, Pace::Free) => None,
    }
}

fn wish(command: &Command) -> &'static str {
    match command {
        Command::Run => "run on",
        Command::AdvancePhase => "one phase",
        Command::AdvanceIteration => "one iteration",
        Command::Pause => "pause",
        Command::Stop => "stop",
        Command::StopNow => "stop now",
        Command::Gate { wait: true, .. } => "a gate",
        Command::Gate { wait: false, .. } => "an open gate",
        Command::Extend { .. } => "other limits",
        Command::Allocate { .. } | Command::Act { .. } => "another plan",
        Command::Review { .. } => "a review",
        Command::Note { .. } => "a note",
    }
}

fn promise(command: &Command, episode: &Episode, running: bool) -> String {
    let Some(work) = episode.work else { return format!("{} asked", wish(command)) };
    let phase = work.phase.as_str();
    match (command, running) {
        (Command::Pause, true) => format!("pause asked, waits for the end of {phase}"),
        (Command::Pause, false) => "pause asked".into(),
        (Command::Stop, true) => format!("stop asked, waits for the end of {phase}, then the runner ends"),
        (Command::Stop, false) => "stop asked, the runner ends".into(),
        (Command::StopNow, _) => format!("stop now asked, {phase} is abandoned"),
        (Command::AdvancePhase, true) => format!("will pause at the end of {phase}"),
        (Command::AdvanceIteration, true) => format!("will pause at the end of iteration {}", work.iteration),
        (Command::AdvancePhase | Command::AdvanceIteration | Command::Run, false) => {
            format!("{} asked, {phase} starts", wish(command))
        }
        (other, _) => format!("{} asked", wish(other)),
    }
}

/// Progress of the running phase in numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress {
    /// Share done, where the total is known.
    pub(crate) share: Option<f64>,
    /// `120 of 400 answers`.
    pub(crate) count: String,
    /// `31 s, about 1 min 12 s left`.
    pub(crate) time: String,
    /// `3.9 answers/s, 812 tokens/s`.
    pub(crate) speed: String,
    /// `61 right so far (50.8 %)`, `loss 0.831`.
    pub(crate) quality: String,
}

/// Progress as the runner last told it; `None` before it said anything.
pub(crate) fn progress(app: &App, work: Work) -> Option<Progress> {
    let live = app.live.as_ref().filter(|l| l.work == Some(work))?;
    let items = match work.phase {
        Phase::Evaluate => "answers",
        Phase::Plan => "skills",
        Phase::Generate | Phase::Check => "data",
        Phase::Train => "steps",
    };
    let (done, total, elapsed) = (live.done, live.total, live.elapsed_ms);
    let count = match total {
        0 if done == 0 => String::new(),
        0 => format!("{done} {items}"),
        _ => format!("{done} of {total} {items}"),
    };
    let left = (done > 0 && total > done).then(|| elapsed as f64 / done as f64 * (total - done) as f64);
    let time = match left {
        Some(left) => format!("{}, about {} left", duration(elapsed), duration(left as u64)),
        None => duration(elapsed),
    };
    let mut speed = Vec::new();
    if done > 0 && elapsed > 0 {
        speed.push(format!("{} {items}/s", rate(done as f64 * 1000.0 / elapsed as f64)));
    }
    if live.tokens_per_second > 0.0 {
        speed.push(format!("{} tokens/s", rate(live.tokens_per_second)));
    }
    let quality = match (work.phase, &live.training) {
        (Phase::Evaluate, _) if done > 0 => {
            format!("{} right so far ({})", live.correct, percent(live.correct as f64 / done as f64))
        }
        (Phase::Train, Some(step)) => {
            format!("loss {:.3}, learning rate {:.1e}", step.loss, step.learning_rate)
        }
        _ => String::new(),
    };
    let share = (total > 0).then(|| (done as f64 / total as f64).min(1.0));
    Some(Progress { share, count, time, speed: speed.join(", "), quality })
}

/// Who looks after the run, for the header.
pub(crate) fn link(app: &App) -> (Scope, String) {
    match &app.link {
        Link::Searching => (Scope::Muted, "looking for the runner".into()),
        Link::Connected { pid } => (Scope::Muted, format!("runner {pid}")),
        Link::Refused { .. } => (Scope::Bad, "the runner refuses".into()),
        Link::Absent => (Scope::Warn, "no runner".into()),
    }
}
