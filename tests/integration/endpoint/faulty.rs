//! A server that fails in every way it can: 2,000 questions, none lost, none doubled, nothing paid twice.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dataenvgym::bench::endpoint::{Asked, Said, Stub, completion};
use dataenvgym::gym::ports::Endpoint;
use serde_json::json;

use super::{collect, hasty, model, questions};

/// Everything that goes wrong, each at its share of the first tries.
const FAULTS: &[&str] = &[
    "429 seconds",
    "429 date",
    "429 old date",
    "500",
    "503",
    "reset before the head",
    "reset in the body",
    "half an event",
    "page",
    "huge",
    "huge without a length",
    "slow",
    "silent",
    "wrong model",
    "not utf-8",
    "error with success",
    "no choice",
    "nonsense",
    "the id of another",
];

/// What the server did.
#[derive(Debug, Default)]
struct Book {
    /// Tries of each question.
    tries: HashMap<String, u32>,
    /// Good answers sent for each question.
    answered: HashMap<String, u32>,
    /// Faults by name.
    faults: HashMap<&'static str, u32>,
    /// Requests under way, and the most there were.
    open: (usize, usize),
}

fn text_of(prompt: &str) -> String {
    format!("the answer to {prompt} — grüß dich")
}

/// The date of an HTTP header, so many seconds from now, in the preferred form or the oldest one.
fn date(ahead: i64, old: bool) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 + ahead;
    let (days, time) = (now.div_euclid(86_400), now.rem_euclid(86_400));
    let (mut year, mut left) = (1970, days);
    let length = |year: i64| if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 };
    while left >= length(year) {
        left -= length(year);
        year += 1;
    }
    let months = [31, length(year) - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut month = 0;
    while left >= months[month] {
        left -= months[month];
        month += 1;
    }
    let clock = format!("{:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60);
    let (day, name) = (left + 1, names[month]);
    if old {
        format!("Sun {name} {day:2} {clock} {year}")
    } else {
        format!("Sun, {day:02} {name} {year} {clock} GMT")
    }
}

/// The stream of an answer, cut after so many bytes.
fn stream(prompt: &str, model: &str, cut: Option<usize>) -> Said {
    let mut body = String::new();
    for piece in text_of(prompt).split_inclusive(' ') {
        let event =
            json!({"id": "s", "model": model, "choices": [{"index": 0, "delta": {"content": piece}}]});
        let _ = write!(body, "data: {event}\n\n");
    }
    let last =
        json!({"id": "s", "model": model, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let usage = json!({"id": "s", "model": model, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}});
    let _ = write!(body, "data: {last}\n\ndata: {usage}\n\ndata: [DONE]\n\n");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let mut bytes = [head, &body].concat().into_bytes();
    if let Some(cut) = cut {
        bytes.truncate(head.len() + cut);
    }
    Said::raw(bytes)
}

fn faulty(fault: &str, asked: &Asked) -> Said {
    let model = asked.body["model"].as_str().unwrap();
    let body = completion("c", model, &text_of(asked.prompt()), (10, 5)).to_string();
    let limited = |value: &str| {
        let body = json!({"error": {"message": "slow down", "code": "rate_limit"}}).to_string();
        Said::whole(429, "application/json", &[("retry-after", value)], body.as_bytes())
    };
    let head = |length: u64| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
    };
    match fault {
        "429 seconds" => limited("1"),
        "429 date" => limited(&date(1, false)),
        "429 old date" => limited(&date(1, true)),
        "500" => Said::json(500, &json!({"error": {"message": "boom"}})),
        "503" => Said::json(503, &json!({"detail": "loading"})),
        "reset before the head" => Said::raw(""),
        "reset in the body" => {
            Said::raw([head(body.len() as u64).as_bytes(), &body.as_bytes()[..40]].concat())
        }
        "half an event" => stream(asked.prompt(), model, Some(150)),
        "page" => {
            Said::whole(200, "text/html; charset=utf-8", &[], b"<html><body>Please log in</body></html>")
        }
        "huge" => Said { again: 40, ..Said::raw([head(3 << 30).as_bytes(), &vec![b' '; 65536]].concat()) },
        "huge without a length" => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
            let pieces = vec![(Duration::ZERO, head.into()), (Duration::ZERO, vec![b' '; 1 << 20])];
            Said { pieces, again: 3 << 10, close: true }
        }
        "slow" => {
            let pieces =
                vec![(Duration::ZERO, head(1000).into_bytes()), (Duration::from_millis(100), vec![b'{'])];
            Said { pieces, again: 30, close: true }
        }
        "silent" => Said::json(200, &json!({})).after(Duration::from_secs(3)),
        "wrong model" => Said::json(200, &completion("c", "another", "nobody asked me", (0, 0))),
        "not utf-8" => {
            let mut bytes = body.into_bytes();
            let place = bytes.windows(3).position(|w| w == b"the").unwrap();
            bytes[place] = 0xff;
            Said::whole(200, "application/json", &[], &bytes)
        }
        "error with success" => Said::json(200, &json!({"error": {"message": "out of memory", "code": 500}})),
        "no choice" => Said::json(200, &json!({"id": "c", "model": model, "choices": []})),
        "nonsense" => Said::whole(200, "application/json", &[], b"{\"choices\": [{\"mess"),
        other => panic!("{other}"),
    }
}

/// Every fifth question meets a fault, some of them two in a row.
fn serve(book: &Mutex<Book>, asked: &Asked) -> Said {
    let prompt = asked.prompt().to_owned();
    let number: usize = prompt.rsplit(' ').next().unwrap().parse().unwrap();
    let mut book = book.lock().unwrap();
    let tries = book.tries.entry(prompt.clone()).or_default();
    *tries += 1;
    let turn = (number / 5 + (*tries as usize - 1) * 7) % FAULTS.len();
    let fails = number.is_multiple_of(5) && (*tries == 1 || (*tries == 2 && number.is_multiple_of(25)));
    // An id says nothing: the answer is as good as any.
    if fails && FAULTS[turn] != "the id of another" {
        *book.faults.entry(FAULTS[turn]).or_default() += 1;
        drop(book);
        return faulty(FAULTS[turn], asked);
    }
    if fails {
        *book.faults.entry(FAULTS[turn]).or_default() += 1;
    }
    *book.answered.entry(prompt.clone()).or_default() += 1;
    drop(book);
    let model = asked.body["model"].as_str().unwrap();
    if asked.body["stream"] == true {
        return stream(&prompt, model, None);
    }
    Said::json(200, &completion("always-the-same", model, &text_of(&prompt), (10, 5)))
}

fn survives(endpoint: impl Fn(&str) -> Endpoint, count: usize) -> Book {
    let book = Arc::new(Mutex::new(Book::default()));
    let served = Arc::clone(&book);
    let stub = Stub::start(move |asked| {
        {
            let mut book = served.lock().unwrap();
            book.open.0 += 1;
            book.open.1 = book.open.1.max(book.open.0);
        }
        let said = serve(&served, asked);
        served.lock().unwrap().open.0 -= 1;
        said
    })
    .unwrap();
    let requests = questions(count);
    let mut model = model(vec![("x", endpoint(&stub.url()), 1.0)]);
    let (answers, outcome) = collect(&mut model, &requests);
    outcome.unwrap();
    let (mut tokens, mut cost) = (0, 0.0);
    for (request, answer) in requests.iter().zip(&answers) {
        let answer = answer.as_ref().unwrap_or_else(|| panic!("`{}` was lost", request.prompt));
        // The right answer to the right question.
        assert_eq!(answer.text, text_of(&request.prompt));
        assert_eq!((answer.prompt_tokens, answer.tokens), (10, 5));
        let served = answer.served.as_ref().unwrap();
        tokens += served.tokens;
        cost += served.cost;
    }
    // What was paid by our own account, and what the server sold.
    let ideal = count as f64 * (10.0 * 1.0 + 5.0 * 2.0) / 1e6;
    assert!((cost / ideal - 1.0).abs() < 0.01, "paid {cost}, ideal {ideal}");
    assert!((tokens as f64 / (15.0 * count as f64) - 1.0).abs() < 0.01, "{tokens} tokens");
    let book = std::mem::take(&mut *book.lock().unwrap());
    let sold: u32 = book.answered.values().sum();
    assert!((f64::from(sold) / count as f64 - 1.0).abs() < 0.01, "{sold} answers sold for {count}");
    book
}

#[test]
fn two_thousand_questions_survive_every_fault() {
    let book = survives(|url| Endpoint { in_flight: 64, ..hasty(url) }, 2000);
    for fault in FAULTS {
        assert!(book.faults.contains_key(fault), "{fault} was never met: {:?}", book.faults);
    }
    assert_eq!(book.answered.len(), 2000);
    assert!(book.open.1 <= 64, "{} at once", book.open.1);
}

#[test]
fn streams_survive_them_too() {
    let book = survives(|url| Endpoint { stream: true, ..hasty(url) }, 400);
    assert!(book.faults.contains_key("half an event") && book.answered.len() == 400);
}
