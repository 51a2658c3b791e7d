//! Golden frames, and sizes of every kind.

use proptest::prelude::*;

use super::*;
use crate::tui::app::Overlay;
use crate::tui::layout::Pane;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 55)];

#[test]
fn every_scene_at_every_size() {
    for name in SCENES {
        for (width, height) in SIZES {
            let (_folder, desk) = scene(name, (width, height));
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), desk.text());
        }
    }
}

#[test]
fn every_pane_of_a_narrow_screen() {
    let (_folder, mut desk) = scene("training", (80, 24));
    for (name, keys) in [
        ("skills", "1j<Enter>"),
        ("machine", "3"),
        ("data", "4"),
        ("data_read", "4jjjj<Enter>"),
        ("predictions", "4t"),
        ("prediction_read", "aj<Enter>"),
        ("leaving", "<Esc>q"),
        ("help", "<Esc>?"),
    ] {
        desk.press(keys);
        insta::assert_snapshot!(format!("narrow_{name}"), desk.text());
    }
}

#[test]
fn predictions_and_details_of_a_finished_run() {
    let (_folder, mut desk) = scene("finished", (120, 40));
    desk.press("4ta2k");
    insta::assert_snapshot!("predictions_of_a_chosen_iteration", desk.text());
    desk.press("<Enter>");
    insta::assert_snapshot!("details_of_an_iteration", desk.text());
}

#[test]
fn without_colour_the_selection_and_the_state_can_be_seen() {
    let (_folder, mut desk) = scene("training", (80, 24));
    desk.press("1T");
    let buffer = desk.draw();
    let coloured = |c: ratatui::style::Color| c != ratatui::style::Color::Reset;
    assert!(buffer.content().iter().all(|cell| !coloured(cell.fg) && !coloured(cell.bg)));
    insta::assert_snapshot!("mono_80x24", format!("{}\n{}", text(&buffer), styles(&buffer)));
}

#[test]
fn colours_of_the_default_theme() {
    let (_folder, mut desk) = scene("training", (80, 24));
    desk.press("1");
    insta::assert_snapshot!("terminal_styles_80x24", styles(&desk.draw()));
}

#[test]
fn hostile_text_is_shown_and_not_obeyed() {
    let (_folder, mut desk) = scene("evaluating", (120, 40));
    desk.press("4t<Enter>");
    assert!(desk.app.samples.reading);
    for _ in 0..600 {
        let shown = desk.text();
        assert!(
            shown.chars().all(|c| c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)))
        );
        if shown.contains("␛[31mred") {
            assert!(shown.contains("<U+202E>"));
            return;
        }
        desk.press("]");
    }
    panic!("the hostile answer was never shown: {} {}", desk.app.samples.selected, desk.text());
}

#[test]
fn ascii_only() {
    let (_folder, mut desk) = scene("training", (120, 40));
    desk.app.glyphs = &Marks::ASCII;
    let shown = desk.text().replace(['·', '…', '°'], "");
    assert!(shown.is_ascii(), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_size_breaks_the_screen(
        scene_number in 0..SCENES.len(),
        sizes in proptest::collection::vec((0_u16..230, 0_u16..70), 1..4),
        keys in "[1-4zjkgGhlftav?q ]{0,12}",
    ) {
        thread_local! {
            static SHOWN: Vec<std::cell::RefCell<(tempfile::TempDir, Desk)>> =
                SCENES.iter().map(|name| std::cell::RefCell::new(scene(name, (80, 24)))).collect();
        }
        SHOWN.with(|all| {
            let mut shown = all[scene_number].borrow_mut();
            let desk = &mut shown.1;
            for (width, height) in sizes {
                desk.tell(Message::Resize(width, height));
                desk.press(&keys);
                desk.draw();
            }
            desk.app.overlay = None;
        });
    }

    #[test]
    fn small_sizes_do_not_break_the_screen(width in 0_u16..40, height in 0_u16..14, pane in 0_usize..4, over in 0..4) {
        thread_local! {
            static SHOWN: std::cell::RefCell<(tempfile::TempDir, Desk)> =
                std::cell::RefCell::new(scene("failed", (80, 24)));
        }
        SHOWN.with(|shown| {
            let desk = &mut shown.borrow_mut().1;
            desk.app.overlay = match over {
                0 => None,
                1 => Some(Overlay::Help { scroll: 500 }),
                2 => Some(Overlay::Details { scroll: 0 }),
                _ => Some(Overlay::Leaving { choice: 1 }),
            };
            desk.app.focus = Pane::ALL[pane];
            desk.tell(Message::Resize(width, height));
            desk.press("jG");
            desk.draw();
        });
    }
}
