//! Damaged files are refused with file, line and remedy, and never end the program.

use std::fs;

use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::support::{data, exported, files, generated, imported, importing, make, order, refused};
use crate::exchange::{Container, Format, Images, import};

#[test]
fn every_mistake_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let good = r#"{"prompt": "1 + 1", "completion": "2"}"#;
    let cases = [
        (format!("{good}\n{{\"prompt\": \"1 + 2\"}}\n"), "line 2: `completion` is missing"),
        (format!("{good}\n{{\"prompt\": 3, \"completion\": \"2\"}}\n"), "line 2: `prompt` is a number"),
        (format!("{good}\n\n{good}\n"), "line 2: the line is empty"),
        (format!("{good}\n{{\"prompt\": \"1 +"), "line 2: not JSON"),
        ("{\"question\": \"a\"}\n".to_owned(), "the keys are `question`, which is no format known here"),
        (
            "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}]}\n".to_owned(),
            "line 1: `messages` has 1 turns (user)",
        ),
        ("{\"messages\": [\"a\"]}\n".to_owned(), "every turn must be an object"),
        ("{\"messages\": \"a\"}\n".to_owned(), "it must be a list of objects with `role` and `content`"),
        (good.replace('}', ", \"verdict\": \"fine\"}"), "`verdict` is `fine`"),
        (good.replace('}', ", \"iteration\": -1}"), "`iteration` is -1"),
        (good.replace('}', ", \"iteration\": 1.5}"), "`iteration` is a number; it must be a whole number"),
        (good.replace('}', ", \"ulid\": \"x\"}"), "`ulid`: `x` is no ULID"),
        (good.replace('}', ", \"images\": [\"../x.png\"]}"), "leads out of the file's folder"),
        (good.replace('}', ", \"images\": [\"images/x.png\"]}"), "cannot read the image `images/x.png`"),
        (good.replace('}', ", \"images\": [\"data:image/png;base64,AAAA\"]}"), "neither PNG nor JPEG"),
        ("{\"record\": \"tree\", \"value\": 1}\n".to_owned(), "unknown variant `tree`"),
        ("{\"record\": \"plan\", \"value\": {}}\n".to_owned(), "missing field `iteration`"),
    ];
    for (text, expected) in cases {
        let path = folder.path().join("file.jsonl");
        fs::write(&path, &text).unwrap();
        let said = refused(&path);
        assert!(said.contains(expected) && said.contains("file.jsonl"), "{text}\n{said}");
    }
    let twice = good.replace('}', ", \"ulid\": \"01ARZ3NDEKTSV4RRFFQ69G5FAV\"}");
    fs::write(folder.path().join("file.jsonl"), format!("{twice}\n{twice}\n")).unwrap();
    assert!(refused(&folder.path().join("file.jsonl")).contains("line 2: the ULID"), "a repeated ULID");
    fs::write(folder.path().join("x.parquet"), "PAR1 and no more").unwrap();
    let said = refused(&folder.path().join("x.parquet"));
    assert!(said.contains("x.parquet") && said.contains("copy or make it again"), "{said}");
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert!(refused(&folder.path().join("empty")).contains("nothing to import"));
    assert!(refused(&folder.path().join("nowhere")).contains("nowhere"));
}

#[test]
fn other_spellings_of_the_formats_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [
        r#"{"messages": [{"role": "system", "content": "Add."}, {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "1 + 1"}]}, {"role": "assistant", "content": "2"}], "source": "x"}"#,
        r#"{"prompt": [{"role": "user", "content": "Add.\n\n1 + 1"}], "completion": [{"role": "assistant", "content": "2"}]}"#,
        r#"{"instruction": "Add.\n", "input": "1 + 1", "output": "2"}"#,
        r#"{"conversations": [{"from": "human", "value": "Add.\n\n1 + 1"}, {"from": "gpt", "value": "2"}]}"#,
    ];
    for (n, row) in rows.into_iter().enumerate() {
        let (path, place) =
            (folder.path().join(format!("{n}.jsonl")), folder.path().join(format!("run-{n}")));
        fs::write(&path, row).unwrap();
        imported(&path, &place);
        let found = data(&place);
        let datum = &found[0].1.datum;
        assert_eq!((datum.instruction.as_str(), datum.response.as_str()), ("Add.\n\n1 + 1", "2"), "{row}");
    }
}

#[test]
fn a_missing_image_stops_an_export_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let from = with_images();
    let run = make(folder.path(), "a", &from);
    fs::remove_dir_all(run.join("artifacts")).unwrap();
    let (order, out) = (order(&run, Format::Messages, Container::Jsonl), folder.path().join("out"));
    let target = crate::exchange::Target { folder: out.clone(), replace: false };
    assert!(crate::exchange::export(&order, &target).unwrap_err().to_string().contains("artifacts"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let without = crate::exchange::ExportOrder { images: Images::None, ..order };
    exported(&without, &out);
    let again = crate::exchange::export(&without, &target).unwrap_err().to_string();
    assert!(again.contains("exists already") && again.contains("--force"), "{again}");
    let replace = crate::exchange::Target { folder: out, replace: true };
    crate::exchange::export(&without, &replace).unwrap();
}

fn with_images() -> super::support::Generated {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    loop {
        let from = generated().new_tree(&mut runner).unwrap().current();
        let images = |n: usize| from.data.get(n).is_some_and(|judged| !judged.datum.images.is_empty());
        if images(0) && images(1) {
            return from;
        }
    }
}

/// Any byte of any file changed, or the file cut: an answer, and a whole run or none.
#[test]
fn flipped_and_cut_files_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let run = make(folder.path(), "a", &with_images());
    let place = folder.path().join("run");
    let mut refusals = 0;
    for (format, container) in [
        (Format::Records, Container::Jsonl),
        (Format::Records, Container::Parquet),
        (Format::Sharegpt, Container::Parquet),
    ] {
        let out = folder.path().join(format!("{format:?}-{container:?}"));
        exported(&order(&run, format, container), &out);
        for (name, bytes) in files(&out).into_iter().filter(|(name, _)| !name.ends_with("README.md")) {
            let path = out.join(name);
            let step = (bytes.len() / 16).max(1);
            for at in (0..bytes.len()).step_by(step) {
                let mut flipped = bytes.clone();
                flipped[at] ^= 0x15;
                for changed in [flipped, bytes[..at].to_vec()] {
                    fs::write(&path, changed).unwrap();
                    match import(&importing(&out, &place)) {
                        Ok(_) => fs::remove_dir_all(&place).unwrap(),
                        Err(error) => {
                            refusals += 1;
                            assert!(!error.to_string().is_empty() && !place.exists());
                        }
                    }
                }
            }
            fs::write(&path, bytes).unwrap();
        }
        imported(&out, &place);
        fs::remove_dir_all(&place).unwrap();
    }
    assert!(refusals > 40, "{refusals}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_line_is_answered(line in r#"\{("(record|value|messages|prompt|chosen|ulid)": ?(1|"a"|\[\]|\{\}|null),? ?){0,4}\}"#) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        fs::write(&path, line).unwrap();
        let _ = import(&importing(&path, &folder.path().join("run")));
    }
}
