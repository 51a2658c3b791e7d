//! Rules about the source and the documents of the screen.

use std::path::{Path, PathBuf};

use crate::tui::look::Look;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// A cell takes any text, also one that steers the terminal. So only one file may touch cells, and that one takes
/// nothing but escaped text.
#[test]
fn only_the_canvas_touches_cells() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tui");
    let doors = [
        "set_string",
        "set_symbol",
        "set_span",
        "set_line",
        "ratatui::text",
        "ratatui::widgets",
        "Paragraph",
    ];
    let mut files = 0;
    for path in sources(&root) {
        let below = path.strip_prefix(&root).unwrap().to_owned();
        if below.starts_with("tests") || below == Path::new("canvas.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        files += 1;
        for door in doors {
            assert!(!text.contains(door), "{} says `{door}`: draw through the canvas", below.display());
        }
    }
    assert!(files > 40);
}

#[test]
fn the_key_reference_of_the_readme_is_current() {
    let readme = include_str!("../../../README.md");
    let part = readme.split("<!-- keys -->\n").nth(1).and_then(|rest| rest.split("<!-- /keys -->").next());
    let expected = Look::default().keys();
    assert!(
        part.is_some_and(|part| part.trim() == expected.trim()),
        "put the output of `dataenvgym keys` between the two marks in README.md; it should be\n\n{expected}"
    );
}
