//! The walls between the rooms: which room may import which, and which outside crate is used where.
//!
//! The tables below are those of `ARCHITECTURE.md`, section 3; a change is made in both places. Every
//! path of every source file counts, not only `use` lines: types, expressions, attributes and the
//! arguments of macros too.

mod lexer;
mod paths;
mod snippets;

use std::fs;
use std::path::{Path, PathBuf};

use paths::Target;

/// What a room may import, itself aside.
enum Imports {
    Everything,
    Only(&'static [&'static str]),
}

/// Every room of the crate. `main` and `lib` are the two root files.
const ROOMS: &[(&str, Imports)] = &[
    ("main", Imports::Everything),
    ("lib", Imports::Everything),
    ("gym", Imports::Only(&[])),
    ("faults", Imports::Only(&[])),
    ("checksums", Imports::Only(&["gym"])),
    ("chat_template", Imports::Only(&[])),
    // The loop's own rooms, lowest first: each may import those above it in this list.
    ("worlds", Imports::Only(&["gym"])),
    ("prompts", Imports::Only(&["gym"])),
    ("tasks", Imports::Only(&["gym", "worlds", "prompts"])),
    ("checks", Imports::Only(&["gym", "worlds", "prompts", "tasks"])),
    ("skills", Imports::Only(&["gym", "worlds", "prompts", "tasks", "checks"])),
    ("agents", Imports::Only(&["gym", "worlds", "prompts", "tasks", "checks", "skills"])),
    ("environments", Imports::Only(&["gym", "worlds", "prompts", "tasks", "checks", "skills", "agents"])),
    // What touches models and machines.
    ("models", Imports::Only(&["gym", "worlds", "faults", "checksums", "chat_template"])),
    ("training", Imports::Only(&["gym", "worlds", "prompts", "faults", "checksums", "chat_template"])),
    ("sandbox", Imports::Only(&["gym", "worlds"])),
    ("probes", Imports::Only(&["gym", "worlds"])),
    // Processes and what they share.
    ("protocol", Imports::Only(&["gym"])),
    ("config", Imports::Only(&["gym", "prompts", "tasks", "checks", "skills", "agents"])),
    ("store", Imports::Only(&["gym", "faults"])),
    ("exchange", Imports::Only(&["gym", "store", "skills"])),
    ("worker", Imports::Only(&["gym", "protocol", "models", "training", "sandbox", "tasks"])),
    (
        "runner",
        Imports::Only(&[
            "gym",
            "faults",
            "prompts",
            "protocol",
            "store",
            "environments",
            "agents",
            "skills",
            "checks",
            "tasks",
            "worlds",
            "config",
        ]),
    ),
    ("analysis", Imports::Only(&["gym", "store"])),
    ("tui", Imports::Only(&["gym", "store", "protocol", "probes", "analysis", "config", "faults"])),
    ("bench", Imports::Everything),
    ("cli", Imports::Everything),
];

/// Outside crates (or modules of them) that have a place, and the modules that are that place. A crate
/// that is not named here may be used anywhere.
const CRATES: &[(&str, &[&str])] = &[
    ("tokio", &["models::mistral", "models::openai"]),
    ("reqwest", &["models::openai"]),
    ("rustls_native_certs", &["models::openai"]),
    ("mistralrs", &["models::mistral"]),
    ("mistralrs_quant", &["models::mistral"]),
    ("hf_hub", &["models::hub"]),
    ("candle_core", &["training", "models::mistral"]),
    ("candle_nn", &["training", "models::mistral"]),
    ("gemm", &["training"]),
    ("pulp", &["training"]),
    ("core_affinity", &["worker::core"]),
    ("portable_pty", &["bench"]),
    ("vt100", &["bench", "tui::tests"]),
    ("ratatui", &["tui"]),
    ("crossterm", &["tui"]),
    ("mio", &["tui::input"]),
    ("rusqlite", &["store"]),
    ("parquet", &["exchange"]),
    ("base64", &["exchange", "models::openai", "tui::screen"]),
    ("clap", &["cli", "main"]),
    ("color_eyre", &["cli", "main"]),
];

/// What the pure room never reaches for: files, clocks, processes, threads, the network.
const NOT_IN_GYM: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "rustix",
    "directories",
    "rayon",
    "tracing",
];

#[test]
fn no_import_crosses_a_wall() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = source_files(&root);
    assert!(files.iter().any(|file| file.ends_with("lib.rs")), "no sources found below {}", root.display());
    let mut broken = Vec::new();
    for file in files {
        let below = file.strip_prefix(&root).expect("a file below src");
        let source = fs::read_to_string(&file).expect("a readable source file");
        broken.extend(violations(below, &source));
    }
    assert!(
        broken.is_empty(),
        "{} broken walls:\n{}\n\nWhat to do: move the item into a room below, hand it in through a port of \
         `gym`, or, when the wall stands in the wrong place, move it: change the table in \
         tests/integration/walls.rs and in ARCHITECTURE.md, section 3, and say why.",
        broken.len(),
        broken.join("\n")
    );
}

#[test]
fn the_table_names_rooms_only_and_has_no_circle() {
    // Rooms are settled once everything they import is; what never settles is a circle.
    let mut settled: Vec<&str> = Vec::new();
    let mut waiting: Vec<(&str, &[&str])> = Vec::new();
    for (room, imports) in ROOMS {
        if let Imports::Only(list) = imports {
            for import in *list {
                assert!(imports_of(import).is_some(), "`{room}` lists `{import}`, which is no room");
            }
            waiting.push((room, list));
        }
    }
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|(room, list)| {
            let ready = list.iter().all(|import| settled.contains(import));
            if ready {
                settled.push(room);
            }
            !ready
        });
        assert!(waiting.len() < before, "these rooms import each other: {waiting:?}");
    }
}

fn imports_of(room: &str) -> Option<&'static Imports> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, imports)| imports)
}

/// All `.rs` files below `folder`, sorted.
fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The module of a file, from its path below `src`; empty for the two root files.
fn module_of(file: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module == ["main"] || module == ["lib"] {
        module.clear();
    }
    module
}

/// Every broken wall of a file (its path below `src`), one line of text each.
fn violations(file: &Path, source: &str) -> Vec<String> {
    let module = module_of(file);
    let place = if module.is_empty() {
        file.with_extension("").to_string_lossy().into_owned()
    } else {
        module.join("::")
    };
    let room = place.split("::").next().unwrap_or_default();
    let name = file.display();
    let Some(imports) = imports_of(room) else {
        return vec![format!("src/{name}: {}", unknown(room))];
    };
    let tokens = lexer::tokens(source);
    let mut broken: Vec<String> = Vec::new();
    if file.file_name().is_some_and(|last| last == "mod.rs") {
        broken.push(format!("src/{name}: write `room.rs` beside `room/`, not `mod.rs`"));
    }
    for window in tokens.windows(4) {
        if let [
            lexer::Kind::Punct('#'),
            lexer::Kind::Punct('['),
            lexer::Kind::Ident(word),
            lexer::Kind::Punct('='),
        ] = [&window[0].kind, &window[1].kind, &window[2].kind, &window[3].kind]
            && word == "path"
        {
            broken.push(format!("src/{name}:{}: `#[path]` hides which room a file is in", window[0].line));
        }
    }
    for found in paths::paths(&tokens, &module) {
        let problem = match &found.target {
            Target::Here(segments) => import_problem(room, imports, segments),
            Target::Name(segments) => crate_problem(&place, room, segments),
        };
        broken.extend(problem.map(|problem| format!("src/{name}:{}: {problem}", found.line)));
    }
    broken.dedup();
    broken
}

/// What is wrong with a path into this crate from `room`.
fn import_problem(room: &str, imports: &Imports, segments: &[String]) -> Option<String> {
    let Some(target) = segments.first() else {
        return Some("another name for the crate root hides which rooms are imported".to_owned());
    };
    if target == room || ["lib", "main"].contains(&room) && target == "*" {
        return None;
    }
    if target == "*" {
        return Some("a glob of the crate root hides which rooms are imported".to_owned());
    }
    if imports_of(target).is_none() || ["lib", "main"].contains(&target.as_str()) {
        return Some(unknown(target));
    }
    match imports {
        Imports::Everything => None,
        Imports::Only(list) if list.contains(&target.as_str()) => None,
        Imports::Only(list) => Some(format!(
            "`{room}` may not import `{target}` (path `crate::{}`); it may import {}",
            segments.join("::"),
            if list.is_empty() { "no room".to_owned() } else { list.join(", ") }
        )),
    }
}

/// What is wrong with a path that begins with an outside name, in module `place` of `room`.
fn crate_problem(place: &str, room: &str, segments: &[String]) -> Option<String> {
    let path = segments.join("::");
    let first = segments.first().map_or("", String::as_str);
    if let Some((_, places)) = CRATES.iter().find(|(name, _)| *name == first)
        && !places.iter().any(|allowed| is_below(place, allowed))
    {
        return Some(format!("`{path}` in `{place}`: `{first}` is used only in {}", places.join(", ")));
    }
    let std_path = path.replacen("core::", "std::", 1);
    if room == "gym" && NOT_IN_GYM.iter().any(|never| is_below(&std_path, never)) {
        return Some(format!("`{path}` in `gym`: the pure room touches no file, clock, process or thread"));
    }
    None
}

/// Whether module path `inner` is `outer` or lies below it.
fn is_below(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn unknown(room: &str) -> String {
    format!(
        "`{room}` is not a room. Only rooms stand at the crate root: move the item into one, or, for a new \
         room, add it to ROOMS in tests/integration/walls.rs and to the table in ARCHITECTURE.md, section 3"
    )
}
