//! What a frame costs on the wire, and that the terminal shows what was drawn.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use super::*;
use crate::tui::screen::Frames;

/// A terminal that parses what it is sent and counts writes.
#[derive(Clone)]
struct Terminal(Rc<RefCell<(vt100::Parser, usize)>>);

impl Terminal {
    fn new(width: u16, height: u16) -> Self {
        Self(Rc::new(RefCell::new((vt100::Parser::new(height, width, 0), 0))))
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut inner = self.0.borrow_mut();
        inner.0.process(bytes);
        inner.1 += 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Watched {
    terminal: Terminal,
    frames: Frames<Terminal>,
}

impl Watched {
    fn new(desk: &Desk) -> Self {
        let terminal = Terminal::new(desk.app.size.0, desk.app.size.1);
        Self { frames: Frames::new(terminal.clone(), desk.app.size), terminal }
    }

    /// Bytes of the next frame; the terminal must show what was drawn.
    fn cost(&mut self, desk: &Desk) -> usize {
        let cost = self.frames.draw(|buffer| view(&desk.app, buffer)).unwrap();
        let shown = self.terminal.0.borrow().0.screen().contents();
        let trimmed =
            |s: &str| s.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned();
        assert_eq!(trimmed(&shown), trimmed(&desk.text()));
        cost.map_or(0, |cost| cost.bytes)
    }
}

#[test]
fn frames_are_small_whole_and_right() {
    let (_folder, mut desk) = scene("training", (120, 40));
    let mut watched = Watched::new(&desk);
    let first = watched.cost(&desk);
    assert!((4_000..16_000).contains(&first), "first paint: {first}");
    assert_eq!(watched.terminal.0.borrow().1, 1, "one write");
    assert_eq!(watched.cost(&desk), 0, "idle");
    desk.press("1");
    watched.cost(&desk);
    let mut largest = 0;
    desk.press("f");
    watched.cost(&desk);
    for _ in 0..5 {
        desk.press("j");
        largest = largest.max(watched.cost(&desk));
    }
    assert!(largest <= 600, "selection: {largest}");
    let mut live = live(work(2, Phase::Train, None), 41, 80);
    live.elapsed_ms = 31_600;
    desk.tell(Message::Link(LinkEvent::Live(Box::new(live.clone()))));
    let tick = watched.cost(&desk);
    assert!(tick <= 400, "progress: {tick}");
    desk.tell(Message::Link(LinkEvent::Live(Box::new(live))));
    assert_eq!(watched.cost(&desk), 0, "nothing new");
}

#[test]
fn every_scene_arrives_on_the_terminal_as_drawn() {
    for name in SCENES {
        let (_folder, mut desk) = scene(name, (100, 30));
        let mut watched = Watched::new(&desk);
        watched.cost(&desk);
        for keys in [
            "1", "4", "t", "j", "<Enter>", "G", "<Esc>", "?", "<Esc>", "z", "q", "<Esc>", "Tj", "<Esc>", "C",
            "<Esc>",
        ] {
            desk.press(keys);
            watched.cost(&desk);
        }
        desk.tell(Message::Resize(90, 25));
        watched.terminal.0.borrow_mut().0.screen_mut().set_size(25, 90);
        watched.frames.repaint((90, 25));
        watched.cost(&desk);
    }
}

#[test]
fn a_line_of_the_log_is_cheap_before_and_after_the_window_is_full() {
    let (_folder, mut desk) = scene("checked", (120, 40));
    let mut watched = Watched::new(&desk);
    desk.press("L");
    watched.cost(&desk);
    let mut entries = desk.app.journal.clone().unwrap();
    for n in 0..60_i64 {
        let text = format!("the note of number {n} in the log");
        let event = crate::gym::episode::Event::Commanded { command: Command::Note { text } };
        let last = entries.last().unwrap();
        entries.push(crate::store::JournalEntry { at_ms: last.at_ms + 21_000, event, ..last.clone() });
        desk.tell(Message::Journal(entries.clone()));
        let line = watched.cost(&desk);
        assert!((1..=400).contains(&line), "line {n}: {line}");
    }
}
