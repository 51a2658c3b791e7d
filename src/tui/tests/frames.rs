//! Golden frames, and sizes of every kind.

use proptest::prelude::*;

use super::*;
use crate::analysis::compare::{Comparison, Difference, Side};
use crate::gym::statistics::Estimate;
use crate::tui::canvas::Marks;
use crate::tui::filter::Filter;
use crate::tui::layout::Pane;
use crate::tui::new_run::NewRun;
use crate::tui::runs::{Finding, Level, RunRow, RunsNews, Setting};
use crate::tui::text_box::TextBox;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 55)];

#[test]
fn every_scene_at_every_size() {
    for name in SCENES {
        for (width, height) in SIZES {
            let (_folder, desk) = scene(name, (width, height));
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), desk.frame());
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
        insta::assert_snapshot!(format!("narrow_{name}"), desk.frame());
    }
}

/// Everything that can lie over the panes.
const OVERLAYS: [(&str, &str, &str); 30] = [
    ("help", "finished", "?"),
    ("help_found", "finished", "?gate"),
    ("palette", "training", "4:rev"),
    ("gates", "evaluating", "b"),
    ("limits", "finished", "x+j2000j"),
    ("plan", "planned", "Pj25j+"),
    ("plan_acting", "planned", "P<Tab> j3<End>"),
    ("review", "checked", "1jjj4a"),
    ("bulk", "checked", "1jjj4aB"),
    ("draft", "checked", "4ePlease: <Tab><End>"),
    ("discard", "checked", "4ex<Esc>"),
    ("remark", "checked", "4modd one"),
    ("log", "checked", "L"),
    ("chart", "finished", "C"),
    ("chart_loss", "training", "C<Tab><Tab>"),
    ("themes", "training", "T"),
    ("filter", "checked", "4/iter:2 verdict:"),
    ("filter_mistake", "checked", "4/iter:2 verdict:wrong"),
    ("facets", "checked", "4F"),
    ("jump", "checked", "4jjjjJ"),
    ("note", "checked", "Nseen by me"),
    ("leaving", "training", "q"),
    ("details", "finished", "2k<Enter>"),
    ("chart_skill", "finished", "C<Tab>"),
    ("chart_speed", "training", "C<Tab><Tab><Tab>"),
    ("sorted", "checked", "4oo"),
    ("flagged", "checked", "4*jj*"),
    ("zoomed", "training", "3z"),
    ("hidden", "training", "3H"),
    ("log_of_nothing", "fresh", "L"),
];

#[test]
fn every_overlay_at_every_size() {
    for (name, at, keys) in OVERLAYS {
        let (_folder, mut desk) = scene(at, SIZES[0]);
        for (width, height) in SIZES {
            desk.tell(Message::Resize(width, height));
            desk.app.overlay = None;
            desk.app.focus = Pane::Iterations;
            desk.app.zoom = false;
            desk.app.hidden.clear();
            desk.app.samples.filter = Filter::default();
            desk.app.skill = (None, None);
            desk.press(keys);
            insta::assert_snapshot!(format!("over_{name}_{width}x{height}"), desk.frame());
        }
    }
}

fn comparison() -> Comparison {
    let estimate = |mean: f64, n| Estimate { mean, low: mean - 0.05, high: mean + 0.05, n };
    let skills = || {
        script::SKILLS.iter().map(|(name, base, gain, _)| {
            ((*name).to_owned(), f64::from(*base) / 100.0, f64::from(*gain) / 50.0)
        })
    };
    let side = |run: &str, iteration, by: f64| Side {
        run: run.into(),
        iteration,
        base: estimate(0.48, 600),
        accuracy: estimate(0.48 + 0.12 * by, 600),
        skills: skills().map(|(name, base, gain)| (name, estimate(base + gain * by, 50))).collect(),
        accepted: 1200,
        tokens: 90_000,
        against_first: (iteration != 4 || by > 0.0).then(|| Difference {
            difference: estimate(0.12 * by, 600),
            bootstrap: estimate(0.12 * by, 600),
            wins: 80,
            losses: 20,
            p: 0.001,
            detectable: Some(0.03),
            skills: skills()
                .map(|(name, _, gain)| {
                    (name, (estimate(gain * by, 50), if gain * by > 0.1 { 0.01 } else { 0.4 }))
                })
                .collect(),
            items: Vec::new(),
        }),
    };
    Comparison {
        split: Split::Test,
        common: 600,
        questions: (600, 600),
        runs: vec![
            side("quickstart", 4, 0.0),
            side("lora", 3, 1.0),
            side("alternating-with-a-long-name", 3, -0.5),
        ],
    }
}

fn settings() -> Vec<Setting> {
    let setting = |key, about, value: &str, choices: &[&str]| {
        let choices = choices.iter().map(|choice| (*choice).to_owned()).collect();
        Setting { key, about, value: value.into(), choices }
    };
    vec![
        setting("name", "name of the run and of its folder", "quickstart-2", &[]),
        setting(
            "environment.kind",
            "what the agent sees",
            "skill_tree",
            &["open_ended", "skill_list", "skill_tree"],
        ),
        setting("policy.data", "data asked for in each plan", "400", &[]),
        setting("student.model", "the model that learns", "embedded", &[]),
    ]
}

fn findings() -> Vec<Finding> {
    let finding = |check: &str, level, found: &str, remedy: &str| Finding {
        check: check.into(),
        level,
        found: found.into(),
        remedy: remedy.into(),
    };
    vec![
        finding("version", Level::Ok, "0.1.0, features: mistralrs", ""),
        finding("gpu", Level::Warn, "no GPU", "nothing to do: the embedded student needs none"),
        finding(
            "runs",
            Level::Fail,
            "12 MiB free in /home/someone/.local/share/dataenvgym/runs",
            "make room",
        ),
    ]
}

#[test]
fn the_lists_of_runs() {
    let row = |name: &str, state: &str, accuracy| RunRow {
        name: name.into(),
        folder: "/runs".into(),
        database: "/runs".into(),
        state: state.into(),
        iterations: 3,
        accuracy,
        age_ms: 90_000_000,
    };
    let accuracy = Some(Estimate { mean: 0.607, low: 0.581, high: 0.632, n: 480 });
    let listed = vec![row("first-run", "running", None), row("quickstart", "finished", accuracy)];
    for (width, height) in SIZES {
        let (_folder, mut desk) = scene("finished", (width, height));
        desk.press("R");
        desk.tell(Message::Runs(RunsNews::Listed(listed.clone())));
        insta::assert_snapshot!(format!("over_runs_{width}x{height}"), desk.frame());
        desk.press("jd");
        insta::assert_snapshot!(format!("over_delete_{width}x{height}"), desk.frame());
        desk.app.overlay = Some(Overlay::Compare {
            runs: Vec::new(),
            split: Split::Test,
            shown: Some(Ok(comparison())),
            scroll: 0,
        });
        insta::assert_snapshot!(format!("over_compare_{width}x{height}"), desk.frame());
        let mut form = NewRun::new("quickstart".into(), settings());
        (form.selected, form.checked) = (1, Some(Ok(())));
        desk.app.overlay = Some(Overlay::NewRun(form));
        insta::assert_snapshot!(format!("over_new_run_{width}x{height}"), desk.frame());
        desk.app.overlay = Some(Overlay::Doctor { findings: Some(findings()), scroll: 0 });
        insta::assert_snapshot!(format!("over_doctor_{width}x{height}"), desk.frame());
    }
}

/// What is shown before an answer comes, when there is none, and when it is no.
#[test]
fn what_waits_and_what_is_empty() {
    let ready = vec![
        ("quickstart".to_owned(), "The quick start: the embedded student on arithmetic.".to_owned()),
        ("gsm8k".to_owned(), "Grade school mathematics with a student of your own.".to_owned()),
    ];
    for (width, height) in SIZES {
        let (_folder, mut desk) = scene("finished", (width, height));
        let take = |name: &str, desk: &Desk| {
            insta::assert_snapshot!(format!("waits_{name}_{width}x{height}"), desk.frame());
        };
        desk.press("R");
        take("runs", &desk);
        desk.tell(Message::Runs(RunsNews::Listed(Vec::new())));
        take("no_runs", &desk);
        desk.press("n");
        desk.tell(Message::Runs(RunsNews::Ready(ready.clone())));
        take("ready", &desk);
        desk.app.overlay =
            Some(Overlay::Compare { runs: Vec::new(), split: Split::Test, shown: None, scroll: 0 });
        take("compare", &desk);
        let refused = Some(Err("run `other` has no test scores yet".to_owned()));
        desk.app.overlay =
            Some(Overlay::Compare { runs: Vec::new(), split: Split::Test, shown: refused, scroll: 0 });
        take("compare_refused", &desk);
        desk.app.overlay = Some(Overlay::Doctor { findings: None, scroll: 0 });
        take("doctor", &desk);
        let mut form = NewRun::new("quickstart".into(), settings());
        form.checked = Some(Err("policy.data: 0 is too small; it takes 1 to 1000000".into()));
        desk.app.overlay = Some(Overlay::NewRun(form));
        take("new_run_mistake", &desk);
        desk.app.focus = Pane::Samples;
        desk.app.overlay = Some(Overlay::Facets { field: 0, choice: 0, facet: None });
        take("facets", &desk);
    }
}

/// States of a run beyond the usual ones, and what a command and a message look like.
#[test]
fn states_commands_and_messages() {
    use crate::gym::episode::Event;
    for (width, height) in SIZES {
        let take = |name: &str, desk: &Desk| {
            insta::assert_snapshot!(format!("state_{name}_{width}x{height}"), desk.frame());
        };
        let played = |events: &dyn Fn(&mut Player)| {
            let (folder, mut desk) = scene("training", (width, height));
            let mut player = Player::open_as(&folder.path().join("run"), &desk);
            events(&mut player);
            desk.settle();
            (folder, desk)
        };
        let train = work(2, Phase::Train, None);
        let (_folder, desk) = played(&|player| {
            player.command(Command::Pause);
            player.finish(train);
        });
        take("paused", &desk);
        let (_folder, desk) = played(&|player| {
            player.command(Command::Stop);
            player.finish(train);
        });
        take("stopped", &desk);
        let (_folder, desk) = played(&|player| {
            let message = "no room in /runs/first-run: 3 MiB are free, 64 MiB are needed".into();
            player.tell(&Event::NoRoom { message });
        });
        take("disk_full", &desk);
        let (_folder, mut desk) = scene("training", (width, height));
        desk.press("p");
        take("asked", &desk);
        desk.press("2H");
        desk.app.notice = None;
        take("asked_hidden", &desk);
        desk.tell(Message::Link(LinkEvent::Rejected { id: 1, message: "the run is being copied".into() }));
        take("notice", &desk);
        let (_folder, mut desk) = scene("finished", (width, height));
        desk.press("4t");
        take("predictions", &desk);
    }
}

#[test]
fn machines_of_every_kind() {
    for (width, height) in SIZES {
        let (_folder, mut desk) = scene("training", (width, height));
        desk.press("3");
        let mut take = |name: &str, machine: Option<Snapshot>| {
            desk.app.machine = machine;
            insta::assert_snapshot!(format!("machine_{name}_{width}x{height}"), desk.frame());
        };
        take("not_measured", None);
        take("no_gpu", Some(Snapshot { gpus: Vec::new(), ..machine() }));
        let two = machine();
        let mut eight = two.clone();
        eight.gpus = (0..8_u32)
            .map(|n| {
                let mut reading = two.gpus[n as usize % 2].clone();
                (reading.gpu.index, reading.gpu.uuid) = (n, format!("GPU-{n}"));
                reading
            })
            .collect();
        take("eight_gpus", Some(eight));
    }
}

#[test]
fn a_colour_theme() {
    for (width, height) in SIZES {
        let (_folder, mut desk) = scene("training", (width, height));
        desk.press("1");
        desk.app.themes = vec![Themes::built_in().find("dark").unwrap().clone()];
        insta::assert_snapshot!(format!("dark_{width}x{height}"), desk.frame());
    }
}

#[test]
fn predictions_and_details_of_a_finished_run() {
    let (_folder, mut desk) = scene("finished", (120, 40));
    desk.press("4ta2k");
    insta::assert_snapshot!("predictions_of_a_chosen_iteration", desk.frame());
    desk.press("<Enter>");
    insta::assert_snapshot!("details_of_an_iteration", desk.frame());
}

#[test]
fn without_colour_the_selection_and_the_state_can_be_seen() {
    let (_folder, mut desk) = scene("training", (80, 24));
    desk.press("1");
    desk.app.themes = vec![Themes::built_in().find("mono").unwrap().clone()];
    let buffer = desk.draw();
    let coloured = |c: ratatui::style::Color| c != ratatui::style::Color::Reset;
    assert!(buffer.content().iter().all(|cell| !coloured(cell.fg) && !coloured(cell.bg)));
    insta::assert_snapshot!("mono_80x24", format!("{}\n{}", text(&buffer), styles(&buffer)));
}

#[test]
fn without_colour_what_is_made_can_be_told_from_what_is_asked_for() {
    let (_folder, mut desk) = scene("checked", (200, 55));
    desk.app.themes = vec![Themes::built_in().find("mono").unwrap().clone()];
    assert!(desk.text().contains("█░"), "{}", desk.text());
    desk.app.glyphs = &Marks::ASCII;
    assert!(desk.text().contains("#."), "{}", desk.text());
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
    for (width, height) in SIZES {
        desk.tell(Message::Resize(width, height));
        let shown = desk.text();
        assert!(shown.is_ascii(), "{shown}");
        insta::assert_snapshot!(format!("ascii_{width}x{height}"), desk.frame());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_size_breaks_the_screen(
        scene_number in 0..SCENES.len(),
        sizes in proptest::collection::vec((0_u16..230, 0_u16..70), 1..4),
        keys in "[1-4zjkgGhlftav?q PxbCTLRBemE:/+ -]{0,12}",
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
                1 => Some(Overlay::Help { search: TextBox::default(), scroll: 500 }),
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
