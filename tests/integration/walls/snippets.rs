//! The test of the test: snippets with and without broken walls.

use std::path::Path;

use super::violations;

/// How many walls `source` breaks when it is the file `file` below `src`.
fn broken(file: &str, source: &str) -> usize {
    violations(Path::new(file), source).len()
}

/// The text of the only violation.
fn only(file: &str, source: &str) -> String {
    let mut all = violations(Path::new(file), source);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn finds_use_lines() {
    assert_eq!(only("gym.rs", "use crate::store::Database;").lines().count(), 1);
    assert_eq!(broken("gym/plan.rs", "use crate::gym::skill;\nuse crate::tui;"), 1);
    assert_eq!(broken("gym.rs", "pub(crate) use ::dataenvgym::runner::Runner as R;"), 1);
    assert_eq!(broken("tui.rs", "use crate::{gym::Plan, store, protocol as p, config::{self, Layer}};"), 0);
}

#[test]
fn finds_rooms_inside_braces() {
    let text =
        only("store.rs", "use crate::{\n    gym::{self, Plan},\n    tui::{\n        Screen,\n    },\n};");
    assert!(text.starts_with("src/store.rs:4: `store` may not import `tui`"), "{text}");
    assert_eq!(broken("gym.rs", "use crate::{store, gym::{X, y::{Z}}, runner};"), 2);
    assert_eq!(broken("gym.rs", "use {crate::store, std::fmt};"), 1);
}

#[test]
fn finds_inline_paths() {
    assert_eq!(broken("gym.rs", "fn f(x: &crate::store::Database) -> u8 { 0 }"), 1);
    assert_eq!(broken("gym.rs", "fn f() { let y = 1 + crate::runner::now::<u8>(); }"), 1);
    assert_eq!(broken("gym.rs", "impl From<crate::store::Error> for Error {}"), 1);
    assert_eq!(broken("gym.rs", "fn f() { for i in 0..crate::store::COUNT {} }"), 1);
    assert_eq!(broken("gym.rs", "fn f() { (<crate::store::X as Y>::z)(); }"), 1);
    assert_eq!(broken("gym.rs", "#[serde(with = \"x\")] #[derive(crate::store::Row)] struct A;"), 1);
    assert_eq!(broken("main.rs", "fn main() { dataenvgym::cli::main(); dataenvgym::runner::run(); }"), 0);
}

#[test]
fn finds_chains_of_super() {
    assert_eq!(broken("gym/plan/budget.rs", "use super::super::super::store::Row;"), 1);
    assert_eq!(broken("gym/plan/budget.rs", "use super::super::store::Row;"), 0);
    assert_eq!(broken("gym.rs", "fn f() { super::store::open(); }"), 1);
    assert_eq!(broken("gym/plan.rs", "use self::super::super::{store, gym::Plan};"), 1);
    // Inline modules are a level of their own, and end with their brace.
    assert_eq!(broken("gym.rs", "mod tests { use super::*; use super::store; }"), 0);
    assert_eq!(broken("gym.rs", "mod tests { use super::super::store; }"), 1);
    assert_eq!(broken("gym.rs", "mod tests { fn f() { {} } }\nfn g() { super::store::open(); }"), 1);
    assert_eq!(broken("gym.rs", "mod a { mod b { use super::super::x; } use super::store; }"), 0);
}

#[test]
fn finds_arguments_of_macros() {
    assert_eq!(broken("gym.rs", "fn f() { assert_eq!(crate::store::rows(), 1, \"rows\"); }"), 1);
    assert_eq!(broken("gym.rs", "macro_rules! m { () => { $crate::store::open() } }"), 1);
    assert_eq!(broken("gym.rs", "macro_rules! m { () => { use $crate::{store, gym}; } }"), 1);
}

#[test]
fn ignores_comments_and_strings() {
    let quiet = r###"
//! Uses crate::store::Row.
/// [`crate::store::Row`] and `use crate::tui;`
/* crate::tui::x /* crate::store */ use crate::runner; */
fn f<'store>(x: &'store str) -> char {
    let a = "crate::store::Row \" use crate::tui; \\";
    let b = r"crate::store::Row \";
    let c = r#"use crate::tui; " crate::store::x "#;
    let d = b"crate::store::Row"; let e = br##"crate::store::x "# "##; let g = c"crate::tui::x";
    let h = ('"', '\'', '\\', b'"', '\u{22}', 'c');
    let r#type = 1.0e-5_f32; // crate::store::Row
    h.5
}
pub(crate) fn g() -> u8 { 0 }
pub(in crate::gym) fn h() -> impl Fn() + use<> { || () }
"###;
    assert_eq!(violations(Path::new("gym.rs"), quiet), Vec::<String>::new());
    // The same text with one real path at its end: nothing above swallowed it.
    let loud = format!("{quiet}\nuse crate::store::Row;");
    assert!(only("gym.rs", &loud).starts_with("src/gym.rs:17: "));
}

#[test]
fn ignores_the_room_itself_and_names_in_scope() {
    assert_eq!(broken("store/page.rs", "use crate::store::Row; use super::Row; use crate::gym::Plan;"), 0);
    assert_eq!(broken("gym.rs", "fn f(store: u8) { store.tui(); self.store::<u8>(); Store::new(); }"), 0);
    assert_eq!(broken("gym.rs", "use std::time::Duration; use serde::Serialize;"), 0);
}

#[test]
fn says_what_to_do_about_unknown_rooms() {
    let text = only("gym.rs", "use crate::attic::Box;");
    assert!(text.contains("`attic` is not a room") && text.contains("ROOMS"), "{text}");
    assert!(only("attic.rs", "").contains("ARCHITECTURE.md"));
    assert!(only("attic/box.rs", "fn f() {}").contains("`attic` is not a room"));
    assert_eq!(broken("lib.rs", "pub mod gym; pub use crate::attic::Box;"), 1);
}

#[test]
fn finds_what_would_hide_a_room() {
    assert_eq!(broken("gym.rs", "use crate as root;"), 1);
    assert_eq!(broken("gym.rs", "use crate::{self as root};"), 1);
    assert_eq!(broken("gym.rs", "use super as root;"), 1);
    assert_eq!(broken("gym.rs", "extern crate self as root;"), 1);
    assert_eq!(broken("gym.rs", "use crate::*;"), 1);
    assert_eq!(broken("gym.rs", "use super::*;"), 1);
    assert_eq!(broken("gym.rs", "#[path = \"../store/row.rs\"] mod row;"), 1);
    assert_eq!(broken("gym/mod.rs", ""), 1);
    assert_eq!(broken("lib.rs", "#[cfg(test)] mod tests { use super::*; }"), 0);
}

#[test]
fn keeps_outside_crates_in_their_place() {
    assert_eq!(broken("gym.rs", "use tokio::sync::mpsc;"), 1);
    assert_eq!(broken("gym.rs", "use {serde::Serialize, tokio};"), 1);
    assert_eq!(broken("protocol.rs", "async fn f(s: ::tokio::net::UnixStream) {}"), 1);
    assert_eq!(broken("models/openai.rs", "#[tokio::main] async fn f() { tokio::spawn(g()); }"), 0);
    assert_eq!(broken("store.rs", "#[tokio::test] async fn f() {}"), 1);
    assert_eq!(broken("models/openai.rs", "use mistralrs::Model; extern crate candle_core as c;"), 2);
    assert_eq!(broken("models/mistral/load.rs", "use mistralrs::Model; use candle_core::Tensor;"), 0);
    assert_eq!(broken("models/mistral_copy.rs", "use mistralrs::Model;"), 1);
    assert_eq!(broken("tui/table.rs", "use ratatui::{layout::Rect, text::Line};"), 0);
    assert_eq!(broken("cli.rs", "use ratatui::layout::Rect; use clap::Parser; use color_eyre::Result;"), 1);
    assert_eq!(broken("runner/lock.rs", "fn f(c: &rusqlite::Connection) {}"), 1);
    assert_eq!(broken("main.rs", "fn main() -> color_eyre::Result<()> { Ok(()) }"), 0);
    assert_eq!(broken("gym.rs", "fn f(tokio: u8) -> u8 { tokio + x.tokio::<u8>() }"), 0);
}

#[test]
fn keeps_the_pure_room_pure() {
    assert_eq!(broken("gym/clock.rs", "use std::{fmt, time::{Duration, Instant}};"), 1);
    assert_eq!(broken("gym.rs", "fn f() { std::fs::read(\"x\"); std::thread::spawn(g); }"), 2);
    assert_eq!(broken("gym.rs", "use std::collections::BTreeMap; use std::path::Path; use std::fmt;"), 0);
    assert_eq!(broken("store.rs", "use std::fs; use std::time::Instant;"), 0);
}
