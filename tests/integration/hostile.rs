//! Texts of a data set and of a model that want to steer the terminal: they reach no output and no log as they are.

use std::process::Output;

use crate::home::{Home, text, wait_for};
use crate::terminal::{Screen, told_only_what_is_known};

/// What somebody would write who wants to do harm.
const HARM: [&str; 9] = [
    "\u{1b}]52;c;aGVsbG8=\u{7}",
    "\u{1b}[2J\u{1b}[H",
    "\u{9b}31m",
    "\u{202e}txt.exe\u{2066}",
    "zero\u{200b}width\u{feff}",
    "a\r\u{8}b\u{7f}",
    "tag\u{e0041}\u{e007f}",
    "\u{85}\u{90}q\u{9c}",
    "line\u{2028}break",
];

/// Writes the data set and a configuration; `bytes` stands in the third line as it is.
fn prepared(home: &Home, bytes: &[u8]) -> String {
    let item = |n: usize| {
        let harm = HARM[n % HARM.len()];
        let long = if n == 7 { "x".repeat(30_000) } else { String::new() };
        serde_json::json!({
            "q": format!("What is {n} plus {}? {harm}{long}", 2 * n),
            "a": 3 * n,
            "t": format!("skill {harm}"),
        })
        .to_string()
    };
    let mut file = (1..120).map(item).collect::<Vec<_>>().join("\n").into_bytes();
    let third = file.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(1).unwrap().0;
    file.splice(third..third, bytes.iter().copied());
    std::fs::write(home.path("it\u{1b}[31mems.jsonl"), file).unwrap();
    let text = "name = \"hostile\"\n[task]\nkind = \"jsonl\"\nfile = \"it\\u001b[31mems.jsonl\"\n\
                response = \"{q} #### {a}\"\ncolumns = { question = [\"q\"], answer = \"a\", skill = \"t\" }\n\
                [student]\nmodel = \"scripted\"\nscript = { skill = 0.5, malformed = 0.1 }\n\
                [engine]\nkind = \"selection\"\n[policy]\nkind = \"by_error\"\ndata = 20\n\
                [episode]\niterations = 2\n";
    let config = home.path("hostile.toml");
    std::fs::write(&config, text).unwrap();
    config.to_str().unwrap().to_owned()
}

/// Nothing but what a person reads, and ends of lines.
fn plain(what: &str, said: &str) {
    let bad = |c: &char| {
        c.is_control() && *c != '\n'
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{e0000}'..='\u{e0fff}')
    };
    let found = said.chars().find(bad);
    assert!(found.is_none(), "{what} has {found:?}:\n{said:?}");
}

fn both(what: &str, output: &Output) {
    plain(what, &text(&output.stdout));
    plain(what, &text(&output.stderr));
}

/// Every text in a value, keys as well.
fn strings(value: &serde_json::Value, out: &mut String) {
    match value {
        serde_json::Value::String(text) => *out = format!("{out}{text}\n"),
        serde_json::Value::Array(all) => all.iter().for_each(|one| strings(one, out)),
        serde_json::Value::Object(fields) => fields.iter().for_each(|(name, one)| {
            *out = format!("{out}{name}\n");
            strings(one, out);
        }),
        _ => {}
    }
}

#[test]
fn hostile_texts_reach_no_output_no_log_and_no_terminal() {
    let home = Home::new();
    let config = prepared(&home, b"");
    let ran = home.output(&["run", "--headless", "--config", &config]);
    assert!(ran.status.success(), "{}\n{}", text(&ran.stdout), text(&ran.stderr));
    both("run --headless", &ran);
    for arguments in [
        &["attach", "--text", "hostile"][..],
        &["runs"],
        &["logs", "hostile"],
        &["wait", "hostile"],
        &["report", "hostile"],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        both(arguments[0], &home.output(arguments));
    }
    // In JSON the texts are whole and harmless.
    let other = ["run", "--headless", "--config", &config, "--name", "other", "--seed", "2"];
    assert!(home.output(&other).status.success());
    for arguments in [&["report", "hostile", "--json"][..], &["compare", "hostile", "other", "--json"]] {
        let output = home.output(arguments);
        both(arguments[0], &output);
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let skills = |text: &str| HARM.iter().filter(|harm| text.contains(&format!("skill {harm}"))).count();
        let mut texts = String::new();
        strings(&said, &mut texts);
        assert!(skills(&texts) > HARM.len() / 2, "{arguments:?} lost its skills:\n{texts:?}");
    }
    let logs = home.run_folder("hostile").join("logs");
    let mut seen = 0;
    for entry in std::fs::read_dir(&logs).unwrap().flatten() {
        plain(&entry.file_name().to_string_lossy(), &text(&std::fs::read(entry.path()).unwrap()));
        seen += 1;
    }
    assert!(seen >= 2, "logs of the runner and its workers");
    let mut screen = Screen::open(&home, &["attach", "hostile"], (160, 50));
    screen.wait("finished");
    // Every pane, every list and every view of a sample.
    for keys in [
        "1jj\r", "4", "jj\r", "]]", "\u{1b}", "t", "jj\r", "]", "\u{1b}", "2\r", "\u{1b}", "L", "\u{1b}", "C",
    ] {
        screen.press(keys);
        std::thread::sleep(std::time::Duration::from_millis(60));
    }
    screen.press("\u{1b}");
    wait_for("the panes", || screen.text().contains("1 Skills").then_some(()));
    std::thread::sleep(std::time::Duration::from_millis(100));
    screen.press("q");
    screen.restored();
    told_only_what_is_known(&screen.bytes());
}

#[test]
fn data_that_are_no_text_are_named_with_their_line() {
    let home = Home::new();
    let config = prepared(&home, b"\xff\xfe\x9b2J");
    let ran = home.output(&["run", "--headless", "--config", &config]);
    let said = text(&ran.stderr);
    assert!(!ran.status.success() && said.contains("ems.jsonl"), "{said}");
    both("run", &ran);
}
