//! What goes on, in words: the state of the run, why it holds, what was asked of it.

use super::action::{Action, Context, Review};
use super::app::{App, Link, Stage};
use super::text::{duration, percent, points, rate};
use super::theme::Scope;
use crate::gym::episode::{Command, Episode, Halt, Pace, Phase, Work};
use crate::gym::instance::Split;
use crate::gym::review::DatumEdit;
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
    /// A disk is full.
    NoRoom {
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
            Some(Halt::NoRoom { message }) => Self::NoRoom { work, message: message.clone() },
            // A plan that was taken back leaves the gate behind.
            Some(Halt::Gate { phase }) if *phase == work.phase => Self::Gate(*phase),
            Some(Halt::Gate { .. }) => Self::Paused(work),
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
            Self::NoRoom { .. } => (Scope::Bad, "DISK FULL".into()),
            Self::Stopped(_) => (Scope::Hint, "stopped".into()),
            Self::Finished => (Scope::Good, "finished".into()),
        }
    }

    /// Why nothing goes on and what to do, as paragraphs. Empty while a phase runs.
    pub(crate) fn reasons(&self, app: &App) -> Vec<(Scope, String)> {
        let key = |command: Command| app.keymap.key(Context::Everywhere, &Action::Tell(command));
        let (run, phase, iteration) =
            (key(Command::Run), key(Command::AdvancePhase), key(Command::AdvanceIteration));
        let go = format!(
            "Press {run} to run on to the end, {iteration} for one iteration, {phase} for one phase."
        );
        let mut said = match self {
            Self::Unread => vec![(Scope::Muted, "Reading the run.".into())],
            Self::Fresh => vec![
                (Scope::Strong, "Nothing has been done yet.".into()),
                (Scope::Text, "First the student as it is answers the validation split: iteration 0.".into()),
                (Scope::Hint, go),
            ],
            Self::Running(_) => Vec::new(),
            Self::Cut(work) => vec![
                (Scope::Warn, format!("The runner ended during {}.", describe(*work))),
                (Scope::Text, "What was committed is kept; only this phase is repeated.".into()),
                (Scope::Hint, format!("Press {run} to start a runner and go on.")),
            ],
            Self::Paused(work) => {
                vec![(Scope::Strong, format!("Paused before {}.", describe(*work))), (Scope::Hint, go)]
            }
            Self::Gate(gate) => vec![
                (Scope::Strong, format!("At the gate before {}: the run waits for you.", gate.as_str())),
                (Scope::Text, at_gate(app, *gate)),
                (Scope::Hint, format!("Press {run} to pass, {phase} to do this phase only.")),
            ],
            Self::Failed { work, message } => vec![
                (Scope::Bad, format!("Failed: {}.", describe(*work))),
                (Scope::Text, message.clone()),
                (Scope::Hint, format!("Press {run} to try again from here. What was committed is kept.")),
            ],
            Self::NoRoom { work, message } => vec![
                (Scope::Bad, format!("A disk is full: {} waits for room.", describe(*work))),
                (Scope::Text, message.clone()),
                (Scope::Hint, format!("Make room, then press {run}. What was committed is kept.")),
            ],
            Self::Stopped(work) => vec![
                (Scope::Strong, format!("Stopped before {}.", describe(*work))),
                (Scope::Hint, format!("Press {run} to resume.")),
            ],
            Self::Finished => finished(app),
        };
        let acting = app.facts.as_ref().and_then(|facts| facts.episode.acting.as_ref());
        if let Some(actions) = acting.filter(|_| !said.is_empty()) {
            let each: Vec<String> =
                actions.iter().map(|a| format!("{} {}", a.action.kind(), a.skill)).collect();
            said.insert(1, (Scope::Running, format!("The next plan is yours: {}.", each.join(", "))));
        }
        said
    }
}

/// What a person can do at a gate.
fn at_gate(app: &App, gate: Phase) -> String {
    let everywhere = |action: &Action| app.keymap.key(Context::Everywhere, action);
    let samples = |action: &Action| app.keymap.key(Context::Samples, action);
    let (plan, data) =
        (everywhere(&Action::Plan), everywhere(&Action::Focus(crate::tui::layout::Pane::Samples)));
    match gate {
        Phase::Plan => format!("{plan} lets you act in place of the policy."),
        Phase::Generate => {
            format!("{plan} changes the plan: how much data each subskill gets, or what to do per skill.")
        }
        Phase::Check | Phase::Train => format!(
            "In the samples ({data}) {} accepts a datum, {} rejects it, {} edits it, {} does it to all listed.",
            samples(&Action::Review(Review::Accept)),
            samples(&Action::Review(Review::Reject)),
            samples(&Action::EditHere),
            samples(&Action::Bulk)
        ),
        Phase::Evaluate => "The student is about to be evaluated.".into(),
    }
}

fn finished(app: &App) -> Vec<(Scope, String)> {
    let Some(facts) = &app.facts else { return Vec::new() };
    let episode = &facts.episode;
    let selected = episode.selected.unwrap_or(0);
    let mut said = Vec::new();
    let why = episode.limit.map_or_else(String::new, |limit| format!(": {}", limit.as_str()));
    if selected == 0 {
        let text = format!("Finished{why}. No iteration did better than the untrained student.");
        said.push((Scope::Strong, text));
    } else {
        let text = format!("Finished{why}. Iteration {selected} is the best by validation accuracy.");
        said.push((Scope::Strong, text));
    }
    if let Some((before, after)) = tests(episode, selected) {
        said.push((Scope::Text, format!("Test: {} before, {} after.", percent(before), percent(after))));
    }
    if let Some(gain) = &facts.gain {
        let scope = if gain.low > 0.0 { Scope::Good } else { Scope::Warn };
        said.push((scope, paired(gain)));
    }
    let limits = app.keymap.key(Context::Everywhere, &Action::Limits);
    let charts = app.keymap.key(Context::Everywhere, &Action::Charts);
    said.push((
        Scope::Hint,
        format!("{charts} draws charts; {limits} changes the limits, and the run goes on."),
    ));
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

/// What a command asks for, in a few words.
pub(crate) fn wish(command: &Command) -> String {
    match command {
        Command::Run => "run on".into(),
        Command::AdvancePhase => "one phase".into(),
        Command::AdvanceIteration => "one iteration".into(),
        Command::Pause => "pause".into(),
        Command::Stop => "stop".into(),
        Command::StopNow => "stop now".into(),
        Command::Gate { phase, wait: true } => format!("a gate before {}", phase.as_str()),
        Command::Gate { phase, wait: false } => format!("no gate before {}", phase.as_str()),
        Command::Extend { .. } => "other limits".into(),
        Command::Allocate { .. } => "another plan".into(),
        Command::Act { actions } => format!("your actions for {} skills", actions.len()),
        Command::Review { edit, .. } => match edit {
            DatumEdit::Accept => "accept data".into(),
            DatumEdit::Reject => "reject data".into(),
            DatumEdit::Reword { .. } => "other words for a datum".into(),
            DatumEdit::Note { .. } => "a remark".into(),
            DatumEdit::Restore => "restore data".into(),
        },
        Command::Note { .. } => "a note".into(),
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
    let items = match (live.asking, work.phase) {
        (true, _) | (_, Phase::Evaluate) => "answers",
        (_, Phase::Plan) => "skills",
        (_, Phase::Generate | Phase::Check) => "data",
        (_, Phase::Train) => "steps",
    };
    let (done, total, elapsed) = (live.done, live.total, live.elapsed_ms);
    let count = match total {
        0 if done == 0 => String::new(),
        0 => format!("{done} {items}"),
        _ => format!("{done} of {total} {items}"),
    };
    // What a resume found done took none of this time.
    let new = done.saturating_sub(live.before);
    let left = match &live.training {
        Some(step) if work.phase == Phase::Train && step.seconds_left > 0.0 => {
            Some(step.seconds_left * 1000.0)
        }
        _ => (new > 0).then(|| elapsed as f64 / new as f64 * total.saturating_sub(done) as f64),
    };
    let left = left.filter(|left| *left > 0.0 && total > done);
    let time = match left {
        Some(left) => format!("{}, about {} left", duration(elapsed), duration(left as u64)),
        None => duration(elapsed),
    };
    let mut speed = Vec::new();
    if new > 0 && elapsed > 0 {
        speed.push(format!("{} {items}/s", rate(new as f64 * 1000.0 / elapsed as f64)));
    }
    if live.tokens_per_second > 0.0 {
        speed.push(format!("{} tokens/s", rate(live.tokens_per_second)));
    }
    if let Some(paid) = live.spending.words() {
        speed.push(format!("spent {paid}"));
    }
    let quality = match (work.phase, &live.training) {
        (Phase::Evaluate, _) if done > 0 && !live.asking => {
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
