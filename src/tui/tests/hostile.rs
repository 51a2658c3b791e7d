//! Hostile text through the whole screen onto a terminal, with a terminal emulator as the judge.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use super::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::gym::datum::Review;
use crate::gym::instance::Content;
use crate::tui::canvas::{Canvas, Marks, paragraph};
use crate::tui::facts::Sample;
use crate::tui::screen::Frames;
use crate::tui::status::State;
use crate::tui::text;
use crate::tui::theme::Scope;

/// Every byte that was sent.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Vec<u8>>>);

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A counter generator, so that a number names a case.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Text as somebody would write it who wants to do harm, mixed with all of Unicode.
    fn text(&mut self) -> String {
        const WHOLE: [&str; 16] = [
            "\x1b]52;c;aGVsbG8=\x07",
            "\x1b[2J\x1b[H",
            "\x1b]0;title\x1b\\",
            "\u{9b}31m",
            "\x1bP1$r0m\x1b\\",
            "\u{202e}txt.exe",
            "\u{2066}\u{2069}",
            "\r\n\x08\x7f",
            "\u{e0041}\u{e007f}",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{1f44d}\u{1f3fd}",
            "1\u{fe0f}\u{20e3}",
            "e\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}",
            "```sh\nrm\t-rf\n```",
            "[{\"tool\": \"\x1b[1m\"}]",
            "日本語",
        ];
        let mut out = String::new();
        for _ in 0..=self.below(6) {
            match self.below(4) {
                0 => out.push_str(WHOLE[self.below(16) as usize]),
                // The emulator takes U+FFFD for a mistake in the bytes and leaves it out.
                1 => out.extend(char::from_u32(self.below(0x11_0000) as u32).filter(|c| *c != '\u{fffd}')),
                2 => out.extend(char::from_u32(self.below(0x3000) as u32)),
                _ => out.push_str("plain text "),
            }
        }
        out
    }
}

/// Puts hostile text wherever somebody else's text can stand.
fn poison(app: &mut App, dice: &mut Dice) {
    let Some(facts) = &mut app.facts else { return };
    facts.record.name = dice.text();
    facts.record.student = dice.text();
    if let Some(message) = &mut facts.episode.last_failure {
        *message = dice.text();
    }
    if let Some(crate::gym::episode::Halt::Failure { message }) = &mut facts.episode.halt {
        *message = dice.text();
    }
    let tree = dice.below(facts.episode.forest.trees.len().max(1) as u64) as usize;
    if let Some(tree) = facts.episode.forest.trees.get_mut(tree) {
        tree.skill = dice.text();
        tree.subskills.iter_mut().for_each(|s| s.name = dice.text());
    }
    app.source_error = (dice.below(4) == 0).then(|| dice.text());
    app.notice = (dice.below(4) == 0).then(|| dice.text());
    let selected = app.samples.selected;
    let Some(page) = &mut app.samples.page else { return };
    let from = page.offset.min(selected);
    for sample in page.samples.iter_mut().skip(from).take(30) {
        match sample {
            Sample::Datum(judged) => {
                judged.datum.id = dice.text();
                judged.datum.instruction = dice.text();
                judged.datum.response = dice.text();
                judged.datum.answer = Some(dice.text());
                judged.datum.skill = dice.text();
                judged.checks.iter_mut().for_each(|check| check.reason = dice.text());
                judged.review = Some(Review { note: Some(dice.text()), ..Review::default() });
            }
            Sample::Prediction(scored) => {
                scored.prediction.response = dice.text();
                scored.prediction.answer = Some(dice.text());
                if let Content::Mathematics { question, answer, .. } = &mut scored.instance.content {
                    (*question, *answer) = (dice.text(), dice.text());
                }
            }
            Sample::Call(call) => call.reply = dice.text(),
        }
    }
}

/// What is left of the bytes without the sequences this program sends: none of it may steer a terminal.
fn harmless(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        let (before, sequence) = rest.split_at(at);
        check(before)?;
        let body = sequence
            .strip_prefix("\x1b[")
            .ok_or_else(|| format!("{:?}", &sequence[..sequence.len().min(20)]))?;
        let end = body.find(|c: char| c.is_ascii_alphabetic()).ok_or("a sequence without an end")?;
        let (parameters, last) = (&body[..end], &body[end..=end]);
        let numbers = parameters.bytes().all(|b| b.is_ascii_digit() || b == b';');
        let known = match last {
            "m" | "H" | "J" | "r" | "S" | "T" => numbers,
            "h" | "l" => parameters == "?2026",
            _ => false,
        };
        if !known {
            return Err(format!("the sequence {parameters}{last}"));
        }
        rest = &body[end + 1..];
    }
    check(rest)
}

fn check(text: &str) -> Result<(), String> {
    let bad = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e0fff}')
    };
    text.chars().find(|c| bad(*c)).map_or(Ok(()), |c| Err(format!("the character {:04X}", u32::from(c))))
}

/// Draws cases `from..from + count`, each with other text, in many places and sizes. Says which case failed.
fn play(from: u64, count: u64) {
    const PLACES: [(&str, &str); 12] = [
        ("training", "1jjj<Enter>"),
        ("training", "4jj"),
        ("training", "4jj<Enter>"),
        ("finished", "4ttj<Enter>"),
        ("failed", "2<Enter>"),
        ("checked", "4e"),
        ("planned", "P"),
        ("planned", "P<Tab>"),
        ("finished", "C<Tab>"),
        ("finished", "x"),
        ("training", "q"),
        ("checked", "B"),
    ];
    let mut desks: Vec<_> = PLACES
        .iter()
        .map(|(name, keys)| {
            let (folder, mut desk) = scene(name, (100, 30));
            desk.press(keys);
            (folder, desk)
        })
        .collect();
    for case in from..from + count {
        let mut dice = Dice(case);
        let place = dice.below(PLACES.len() as u64) as usize;
        let desk = &mut desks[place].1;
        let size = (40 + dice.below(120) as u16, 10 + dice.below(40) as u16);
        desk.tell(Message::Resize(size.0, size.1));
        poison(&mut desk.app, &mut dice);
        if dice.below(3) == 0 {
            desk.app.theme = dice.below(desk.app.themes.len() as u64) as usize;
        }
        assert!(!matches!(State::of(&desk.app), State::Unread));
        let wire = Wire::default();
        let mut frames = Frames::new(wire.clone(), size);
        frames.draw(|buffer| view(&desk.app, buffer)).unwrap();
        let bytes = wire.0.borrow();
        if let Err(what) = harmless(&bytes) {
            panic!("case {case} at {:?} {size:?}: {what}", PLACES[place]);
        }
        let mut terminal = vt100::Parser::new(size.1, size.0, 0);
        terminal.process(&bytes);
        let clean =
            |s: &str| s.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned();
        let (shown, drawn) = (clean(&terminal.screen().contents()), clean(&desk.text()));
        assert!(
            shown == drawn,
            "case {case} at {:?} {size:?}:\n{}",
            PLACES[place],
            first_difference(&shown, &drawn)
        );
    }
}

fn first_difference(shown: &str, drawn: &str) -> String {
    let pair = shown.lines().zip(drawn.lines()).find(|(a, b)| a != b);
    pair.map_or_else(|| "other length".into(), |(a, b)| format!("terminal {a:?}\ndrawn    {b:?}"))
}

#[test]
fn hostile_text_never_steers_the_terminal() {
    play(0, 600);
}

/// Columns and rows that the strings are drawn into, sixteen strings a frame.
const ROWS: u16 = 16;
const COLUMNS: u16 = 60;

/// Draws strings `from..from + count` through the escape and the canvas, wrapped and on one line, and judges every
/// byte that is sent and what a terminal makes of it. Says which string failed.
fn fuzz(from: u64, count: u64) {
    let theme = Look::default().themes.swap_remove(0);
    let wire = Wire::default();
    let mut frames = Frames::new(wire.clone(), (COLUMNS, ROWS));
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    let end = from + count;
    for first in (from..end).step_by(ROWS.into()) {
        let strings: Vec<_> = (first..end.min(first + u64::from(ROWS))).map(|n| Dice(n).text()).collect();
        let mut drawn = String::new();
        let draw = |buffer: &mut Buffer| {
            let mut canvas = Canvas::new(buffer, &theme, &Marks::UNICODE);
            for (row, string) in (0..).zip(&strings) {
                // In turn as one line, as the first line of a paragraph, and cut.
                match row % 3 {
                    0 => drop(canvas.text(0, row, COLUMNS, Scope::Text, string)),
                    1 => {
                        let area = Rect::new(0, row, COLUMNS, 1);
                        let lines = paragraph(Scope::Muted, string, COLUMNS.into());
                        canvas.lines(area, &lines, 0);
                    }
                    _ => drop(canvas.text(0, row, COLUMNS, Scope::Key, text::cut(string, COLUMNS.into()))),
                }
            }
            drawn = contents(buffer);
        };
        // As a rule only what changed is sent: what stood there before must not be left standing.
        if Dice(first).below(8) == 0 {
            frames.repaint((COLUMNS, ROWS));
        }
        frames.draw(draw).unwrap();
        let mut bytes = wire.0.borrow_mut();
        if let Err(what) = harmless(&bytes) {
            panic!("one of the strings from {first}: {what}");
        }
        terminal.process(&bytes);
        bytes.clear();
        let shown = terminal.screen().contents();
        let clean =
            |s: &str| s.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned();
        let (shown, drawn) = (clean(&shown), clean(&drawn));
        assert!(shown == drawn, "one of the strings from {first}: {}", first_difference(&shown, &drawn));
    }
}

/// What stands in a buffer, as an emulator says it.
fn contents(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            out.push_str(symbol);
            x += (symbol.width() as u16).max(1);
        }
        out.push('\n');
    }
    out
}

#[test]
fn hostile_strings_send_only_what_is_known() {
    fuzz(0, 20_000);
}

/// A minute and a half on two cores: `cargo test --release --no-default-features ten_million_strings -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn ten_million_strings_send_only_what_is_known() {
    each_worker(10_000_000, fuzz);
}

/// Whole screens in all places and sizes instead of strings; hours:
/// `cargo test --release --no-default-features a_million_hostile_frames -- --ignored`.
#[test]
#[ignore = "takes hours"]
fn a_million_hostile_frames() {
    each_worker(1_000_000, play);
}

fn each_worker(count: u64, part: fn(u64, u64)) {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let from = worker * count / workers;
            scope.spawn(move || part(from, (worker + 1) * count / workers - from));
        }
    });
}

#[test]
fn what_is_copied_went_through_the_escape() {
    let (_folder, mut desk) = scene("training", (120, 40));
    desk.press("4jj");
    for case in 0..200 {
        poison(&mut desk.app, &mut Dice(case));
        desk.effects.clear();
        desk.press("y");
        let [Effect::Copy(text)] = desk.effects.as_slice() else { panic!("{:?}", desk.effects) };
        assert!(text.lines().count() > 3);
        check(&text.replace('\n', "")).unwrap();
        let sent = crate::tui::screen::clipboard(text);
        let inside = sent.strip_prefix(b"\x1b]52;c;").and_then(|rest| rest.strip_suffix(b"\x07")).unwrap();
        assert!(inside.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b)));
    }
}

#[test]
fn the_judge_sees_what_it_must() {
    assert!(harmless(b"\x1b[1;2Hab\x1b[0m\x1b[?2026l").is_ok());
    for bad in ["\x1b]52;c;x\x07", "\x1b[?1049l", "a\u{202e}", "\x07", "\x1b[5n"] {
        assert!(harmless(bad.as_bytes()).is_err(), "{bad:?}");
    }
}
