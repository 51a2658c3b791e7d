//! The screen against scripted runs in real databases.

mod bytes;
mod conversation;
mod domains;
mod driving;
mod finding;
mod frames;
mod hostile;
mod keys;
mod reference;
mod script;

use std::fmt::Write as _;
use std::path::Path;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::app::App;
use super::look::Look;
use super::overlay::Overlay;
use super::source::{Source, Wanted};
use super::theme::Themes;
use super::update::{Effect, LinkEvent, Message, update};
use super::view::view;
use crate::gym::budget::Spending;
use crate::gym::episode::{Command, Event, Phase, Work};
use crate::gym::instance::Split;
use crate::probes::{Gpu, GpuReading, History, Memory, Snapshot};
use crate::protocol::control::{Live, WorkerStatus};
use script::Player;

/// A screen over a run folder, without terminal, threads or clock.
struct Desk {
    app: App,
    source: Source,
    /// Effects other than loading, in order.
    effects: Vec<Effect>,
}

impl Desk {
    fn new(folder: &Path, size: (u16, u16)) -> Self {
        let app = App::new(size, Look::default());
        let mut desk = Self { app, source: Source::new(folder.into()), effects: Vec::new() };
        desk.settle();
        desk
    }

    /// Feeds what the database has to say until it has nothing more to say.
    fn settle(&mut self) {
        loop {
            let news = self.source.look().unwrap();
            for message in news {
                self.tell(message);
            }
            if !self.source.searching() {
                return;
            }
        }
    }

    fn tell(&mut self, message: Message) {
        for effect in update(&mut self.app, steady(message)) {
            match effect {
                Effect::Load(query) => {
                    self.source.ask(query, true, std::sync::Arc::default());
                    self.settle();
                }
                Effect::FollowJournal(on) => {
                    self.source.follow_journal(on);
                    self.settle();
                }
                Effect::Look => {
                    self.source.again();
                    self.settle();
                }
                Effect::Facet(listing, field) => self.ask(Wanted::Facet(listing, field)),
                Effect::Values(listing, fields) => self.ask(Wanted::Values(listing, fields)),
                Effect::Calls(iteration) => self.ask(Wanted::Calls(iteration)),
                Effect::Ids(listing) => self.ask(Wanted::Ids(listing)),
                other => self.effects.push(other),
            }
        }
    }

    fn ask(&mut self, wanted: Wanted) {
        if let Some(message) = self.source.answer(wanted).unwrap() {
            self.tell(message);
        }
    }

    /// Presses keys: characters, or names in angle brackets: `jj<Enter>`.
    fn press(&mut self, keys: &str) {
        let mut rest = keys;
        while let Some(c) = rest.chars().next() {
            let (code, length) = match rest.find('>').filter(|_| c == '<') {
                Some(end) => (named(&rest[1..end]), end + 1),
                None => (KeyCode::Char(c), c.len_utf8()),
            };
            let modifiers = if rest[1..].starts_with("Ctrl-") && c == '<' {
                KeyModifiers::CONTROL
            } else {
                KeyModifiers::NONE
            };
            self.tell(Message::Key(KeyEvent::new(code, modifiers)));
            rest = &rest[length..];
        }
    }

    fn connect(&mut self) {
        self.tell(Message::Link(LinkEvent::Connected { pid: 4242 }));
    }

    fn draw(&self) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.app.size.0, self.app.size.1));
        view(&self.app, &mut buffer);
        buffer
    }

    fn text(&self) -> String {
        text(&self.draw())
    }

    /// What a golden frame holds: the text, then the styles.
    fn frame(&self) -> String {
        let buffer = self.draw();
        format!("{}\n{}", text(&buffer), styles(&buffer))
    }
}

/// Real times differ from run to run.
fn steady(mut message: Message) -> Message {
    if let Message::Facts(facts) = &mut message {
        for (n, timing) in facts.timings.iter_mut().enumerate() {
            timing.began_ms = n as i64 * 100_000;
            timing.ended_ms = timing.ended_ms.map(|_| n as i64 * 100_000 + 42_000);
        }
    }
    if let Message::Journal(entries) = &mut message {
        entries.iter_mut().enumerate().for_each(|(n, entry)| entry.at_ms = n as i64 * 21_000);
    }
    message
}

fn named(name: &str) -> KeyCode {
    match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "BackTab" => KeyCode::BackTab,
        "PageDown" => KeyCode::PageDown,
        "PageUp" => KeyCode::PageUp,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "Backspace" => KeyCode::Backspace,
        _ => match name.strip_prefix("Ctrl-").map(|rest| rest.chars().collect::<Vec<_>>()).as_deref() {
            Some([c]) => KeyCode::Char(*c),
            _ => panic!("no key {name}"),
        },
    }
}

/// The characters of a frame.
fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut out = String::new();
    for y in area.y..area.bottom() {
        let mut row = String::new();
        let mut skip = 0;
        for x in area.x..area.right() {
            if skip == 0 {
                let symbol = buffer[(x, y)].symbol();
                skip = unicode_width::UnicodeWidthStr::width(symbol).max(1);
                row.push_str(symbol);
            }
            skip -= 1;
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

/// The runs of one style of a frame, without the plain ones; rows that have the same ones share a line.
fn styles(buffer: &Buffer) -> String {
    let area = buffer.area;
    let row = |y: u16| {
        let cells: Vec<String> = (area.x..area.right()).map(|x| style(&buffer[(x, y)])).collect();
        let mut runs = Vec::new();
        let mut begun = 0;
        for run in cells.chunk_by(|a, b| a == b) {
            let end = begun + run.len();
            if !run[0].is_empty() {
                runs.push(format!("{begun}-{} {}", end - 1, run[0]));
            }
            begun = end;
        }
        runs.join(", ")
    };
    let rows: Vec<(u16, String)> = (area.y..area.bottom()).map(|y| (y, row(y))).collect();
    let mut out = String::new();
    for same in rows.chunk_by(|a, b| a.1 == b.1).filter(|same| !same[0].1.is_empty()) {
        let (first, last) = (same[0].0, same[same.len() - 1].0);
        let at = if first == last { first.to_string() } else { format!("{first}-{last}") };
        writeln!(out, "{at}: {}", same[0].1).unwrap();
    }
    out
}

/// `cyan on blue bold`; empty where nothing is special.
fn style(cell: &ratatui::buffer::Cell) -> String {
    let plain = ratatui::style::Color::Reset;
    let mut words = Vec::new();
    if cell.fg != plain {
        words.push(cell.fg.to_string().to_lowercase());
    }
    if cell.bg != plain {
        words.push(format!("on {}", cell.bg).to_lowercase());
    }
    words.extend(cell.modifier.iter_names().map(|(name, _)| name.to_lowercase()));
    words.join(" ")
}

fn work(iteration: u32, phase: Phase, split: Option<Split>) -> Work {
    Work { iteration, round: 0, phase, split }
}

fn live(work: Work, done: u64, total: u64) -> Live {
    let training = (work.phase == Phase::Train).then(|| script::progress(done as u32));
    // The runner was told to use the second GPU first.
    let gpus = |name: &str| vec![if name.contains("cuda:0") { "GPU-1" } else { "GPU-0" }.to_owned()];
    let worker = |name: &str, pid, state: &str| WorkerStatus {
        name: name.into(),
        pid,
        state: state.into(),
        gpus: gpus(name),
        notes: vec![],
        text: String::new(),
    };
    let (student, trainer) =
        if work.phase == Phase::Train { ("idle", "training") } else { ("answering", "idle") };
    Live {
        work: Some(work),
        done,
        before: 0,
        total,
        asking: false,
        elapsed_ms: 31_000,
        tokens_per_second: 812.0,
        correct: done / 2,
        training,
        workers: vec![worker("student@cuda:0#0", 4001, student), worker("trainer@cuda:1#0", 4002, trainer)],
        spending: Spending::default(),
    }
}

fn machine() -> Snapshot {
    let past = |from: f32| {
        let mut history = History::default();
        (0..60_u8).for_each(|n| history.push(Some((from + f32::from(n % 13) / 20.0) % 1.0)));
        history
    };
    let gpu = |index| Gpu {
        index,
        uuid: format!("GPU-{index}"),
        name: "NVIDIA H200".into(),
        utilisation: Some(0.9),
        memory_used: Some(96_563.0),
        memory_total: Some(143_771.0),
        power: Some(612.0),
        temperature: Some(64.0),
    };
    Snapshot {
        cpu: past(0.1),
        memory_share: past(0.4),
        memory: Some(Memory { used: 40_000, total: 131_072 }),
        gpus: (0..2)
            .map(|n| GpuReading {
                gpu: gpu(n),
                utilisation: past(0.3),
                memory: past(0.5),
                power: past(0.2),
                temperature: past(0.6),
            })
            .collect(),
    }
}

/// The situations that are looked at.
const SCENES: [&str; 8] =
    ["fresh", "evaluating", "planned", "checked", "training", "failed", "gone", "finished"];

/// A screen in one of the situations; the folder must live as long as it.
fn scene(name: &str, size: (u16, u16)) -> (tempfile::TempDir, Desk) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut player = Player::create(&run, &script::record("first-run"));
    let train = work(2, Phase::Train, None);
    let mut said = None;
    match name {
        "evaluating" => {
            let evaluate = work(1, Phase::Evaluate, Some(Split::Validation));
            player.run(|w| w == evaluate);
            player.part(evaluate, 0.4);
            said = Some(live(evaluate, 240, 600));
        }
        "training" => {
            player.run(|w| w == train);
            player.part(train, 0.5);
            said = Some(live(train, 40, 80));
        }
        "planned" => {
            player.run(|w| w.iteration == 2 && w.phase == Phase::Plan);
            player.command(Command::Gate { phase: Phase::Generate, wait: true });
            player.finish(work(2, Phase::Plan, None));
        }
        "checked" => {
            player.run(|w| w == work(2, Phase::Check, None));
            player.command(Command::Gate { phase: Phase::Train, wait: true });
            player.finish(work(2, Phase::Check, None));
        }
        "gone" => player.run(|w| w == train),
        "failed" => {
            player.run(|w| w == train);
            let message = "the trainer ended: CUDA out of memory: tried to allocate 2.50 GiB on device 1 (79.15 \
                GiB in all, 1.20 GiB free).\nAnother process holds 61 GiB there: pid 8123 (python).\nFree the \
                card or choose another device with `placement.trainer`, then resume.";
            player.tell(&Event::Failed { message: message.into(), transient: false, progressed: false });
        }
        "finished" => player.run(|_| false),
        _ => {}
    }
    drop(player);
    let mut desk = Desk::new(&run, size);
    match name {
        "gone" => desk.tell(Message::Link(LinkEvent::Absent)),
        _ => desk.connect(),
    }
    desk.tell(Message::Machine(Box::new(machine())));
    if let Some(live) = said {
        desk.tell(Message::Link(LinkEvent::Live(Box::new(live))));
    }
    (folder, desk)
}
