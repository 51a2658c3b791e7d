//! Commands to the runner, and the question before leaving.

use super::{Effect, Exit, overlays};
use crate::gym::episode::Command;
use crate::tui::action::{Action, Context};
use crate::tui::app::{App, Asked, Link, Stage};
use crate::tui::overlay::Overlay;

/// Answers of the question before leaving, in order.
pub(crate) const ANSWERS: [&str; 4] = [
    "leave; the run goes on in the background",
    "stop after the running phase, and leave",
    "stop now, and leave (the running phase is repeated on resume)",
    "stay here",
];

/// A person asks something of the run.
pub(super) fn tell(app: &mut App, command: Command) -> Vec<Effect> {
    match refusal(app, &command) {
        Some(reason) => {
            app.notice = Some(reason);
            Vec::new()
        }
        None => vec![ask(app, command)],
    }
}

/// The same from a form, which stays or comes back when the answer is no.
pub(super) fn tell_from(app: &mut App, command: Command, form: Overlay) -> Vec<Effect> {
    let effects = tell(app, command);
    match &app.asked {
        Some(asked) if !effects.is_empty() => app.sent_from.push((asked.id, form)),
        _ => app.overlay = Some(form),
    }
    effects
}

/// Why a command would be refused or change nothing.
pub(super) fn refusal(app: &App, command: &Command) -> Option<String> {
    let holds = matches!(command, Command::Pause | Command::Stop | Command::StopNow);
    let starting = app.asked.as_ref().is_some_and(|asked| asked.stage == Stage::Starting);
    if let Link::Refused { message } = &app.link {
        return Some(format!("the runner refuses this program: {message}"));
    }
    if starting {
        return Some("a runner is being started; wait a moment".into());
    }
    if holds && !app.connected() {
        let key = app.keymap.key(Context::Everywhere, &Action::Tell(Command::Run));
        return Some(format!("no runner is there, so nothing runs; {key} starts one"));
    }
    // Before the run was read nothing is known of it; the runner knows.
    if *command == Command::Pause && app.facts.is_some() && !app.running() && app.asked.is_none() {
        return Some("it is paused already".into());
    }
    overlays::settled(app)?.allows(command).err().map(|refusal| refusal.to_string())
}

fn ask(app: &mut App, command: Command) -> Effect {
    let id = app.next_id;
    app.next_id += 1;
    let connected = app.connected();
    let stage = if connected { Stage::Sent } else { Stage::Starting };
    app.asked = Some(Asked { id, command: command.clone(), stage });
    if connected { Effect::Send { id, command } } else { Effect::Start { id, command } }
}

/// `q`: a question when a runner is there, else the end.
pub(super) fn quit(app: &mut App) -> Vec<Effect> {
    if app.leaving.is_some() {
        return vec![Effect::Quit(Exit::Stopping)];
    }
    if !app.connected() {
        return vec![Effect::Quit(Exit::NoRunner)];
    }
    app.overlay = Some(Overlay::Leaving { choice: 0 });
    Vec::new()
}

/// A key while the question is asked.
pub(super) fn answer_leaving(app: &mut App, action: &Action, choice: usize) -> Vec<Effect> {
    let last = ANSWERS.len() - 1;
    match action {
        Action::Up => app.overlay = Some(Overlay::Leaving { choice: choice.checked_sub(1).unwrap_or(last) }),
        Action::Down => app.overlay = Some(Overlay::Leaving { choice: (choice + 1) % ANSWERS.len() }),
        Action::Open => return leave(app, choice),
        Action::Answer(chosen) => return leave(app, *chosen),
        _ => {}
    }
    Vec::new()
}

fn leave(app: &mut App, choice: usize) -> Vec<Effect> {
    app.overlay = None;
    let command = match choice {
        0 => return vec![Effect::Quit(Exit::Detached)],
        1 => Command::Stop,
        2 => Command::StopNow,
        _ => return Vec::new(),
    };
    if !app.connected() {
        return vec![Effect::Quit(Exit::NoRunner)];
    }
    let effect = ask(app, command);
    app.leaving = app.asked.as_ref().map(|asked| asked.id);
    let key = app.keymap.key(Context::Everywhere, &Action::Quit);
    app.notice =
        Some(format!("stop asked; this screen closes when the runner has answered ({key} closes it now)"));
    vec![effect]
}
