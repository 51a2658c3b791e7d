//! A key is seen by its endpoint and nobody else: every error path is provoked, then every file, every line
//! printed and every frame is searched for it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use dataenvgym::bench::endpoint::{Asked, Said, Stub};
use dataenvgym::gym::instance::Domain;
use serde_json::json;

use super::runs::configuration;
use super::servers::Brain;
use crate::home::{Home, text};
use crate::terminal::Screen;

const VARIABLE: &str = "CANARY_KEY";
const CANARY: &str = "sk-canary-7f3a9b-do-not-leak";

/// Every way to fail, each with the key in the server's words.
fn failing(way: &str, asked: &Asked, other: &str) -> Said {
    let quoted = asked.header("authorization").unwrap_or("none").to_owned();
    let error = json!({"error": {"message": format!("you sent {quoted}"), "code": quoted}});
    match way {
        "401" => Said::json(401, &error),
        "400" => Said::json(400, &error),
        "429" => Said::json(429, &json!({"error": {"message": quoted, "code": "insufficient_quota"}})),
        "500" => Said::json(500, &error),
        "text" => Said::whole(503, "text/plain", &[], quoted.as_bytes()),
        "page" => Said::whole(200, "text/html", &[], quoted.as_bytes()),
        "200" => Said::json(200, &error),
        "model" => {
            let body = dataenvgym::bench::endpoint::completion("c", &quoted, &quoted, (1, 1));
            Said::json(200, &body)
        }
        "redirect" => {
            let to = format!("{other}/chat/completions");
            Said::whole(307, "text/plain", &[("location", &to)], b"")
        }
        "reset" => {
            Said::raw(format!("HTTP/1.1 200 OK\r\nx-echo: {quoted}\r\ncontent-length: 99\r\n\r\n{quoted}"))
        }
        "head" => Said::raw(format!("{quoted} is no HTTP\r\n\r\n")),
        other => panic!("{other}"),
    }
}

/// Every file below a folder that holds the key.
fn leaks(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(leaks(&path));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_key_is_in_no_file_no_line_and_no_frame() {
    let strangers = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&strangers);
    let other = Stub::start(move |_| {
        *counted.lock().unwrap() += 1;
        Said::raw("")
    })
    .unwrap();
    let home = Home::new();
    for way in ["401", "400", "429", "500", "text", "page", "200", "model", "redirect", "reset", "head"] {
        let (url, heard) = (other.url(), Arc::new(Mutex::new(false)));
        let hearing = Arc::clone(&heard);
        let stub = Stub::start(move |asked| {
            *hearing.lock().unwrap() |= asked.header("authorization") == Some(&format!("Bearer {CANARY}"));
            failing(way, asked, &url)
        })
        .unwrap();
        let config =
            configuration(&home, &stub.url(), &format!("key_variable = \"{VARIABLE}\"\ntries = 2\n"));
        let mut command = home.command(&["run", "--headless", "--config", &config, "--name", way]);
        let output = command.env(VARIABLE, CANARY).env("DATAENVGYM_LOG", "trace").output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!output.status.success() && said.contains("endpoint `pupil`"), "{way}: {said}");
        assert!(*heard.lock().unwrap(), "{way}: the endpoint did not get its key");
        assert!(!said.contains(CANARY), "{way}: {said}");
        let screen = Screen::open(&home, &["attach", way], (120, 40));
        screen.wait("endpoint");
        assert!(!screen.text().contains(CANARY), "{way}: {}", screen.text());
        drop(screen);
        home.output(&["export", way, "--out", home.path(&format!("export-{way}")).to_str().unwrap()]);
    }
    assert_eq!(*strangers.lock().unwrap(), 0, "a redirect was followed");

    // A server that answers everything, and quotes the key in every answer.
    let brain = Mutex::new(Brain::new(Domain::Mathematics, 3, 6));
    let stub = Stub::start(move |asked| {
        let said = brain.lock().unwrap().answer(asked);
        let Some((wait, bytes)) = said.pieces.first() else { return said };
        let body = String::from_utf8_lossy(bytes).split_once("\r\n\r\n").unwrap().1.to_owned();
        let body = body.replace("\"content\":\"", &format!("\"content\":\"{CANARY} "));
        Said::whole(200, "application/json", &[], body.as_bytes()).after(*wait)
    })
    .unwrap();
    let config = configuration(&home, &stub.url(), &format!("key_variable = \"{VARIABLE}\"\n"));
    let mut command = home.command(&["run", "--headless", "--config", &config, "--name", "quoting"]);
    let output = command.env(VARIABLE, CANARY).env("DATAENVGYM_LOG", "trace").output().unwrap();
    assert!(!(text(&output.stdout) + &text(&output.stderr)).contains(CANARY));
    home.output(&["export", "quoting", "--out", home.path("export-quoting").to_str().unwrap()]);
    assert_eq!(leaks(&home.path(".")), Vec::<std::path::PathBuf>::new());
}

#[test]
fn without_its_key_a_run_says_which_variable_is_missing() {
    let home = Home::new();
    let config = configuration(&home, "http://127.0.0.1:9/v1", &format!("key_variable = \"{VARIABLE}\"\n"));
    let output = home.output(&["run", "--headless", "--config", &config]);
    assert!(text(&output.stdout).contains(VARIABLE), "{}", text(&output.stdout));
}
