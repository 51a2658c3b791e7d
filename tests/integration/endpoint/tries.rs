//! What is tried again and what is not, what closes an endpoint, what may be spent.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dataenvgym::bench::endpoint::{Asked, Said, Stub, completion};
use dataenvgym::gym::ports::{Allowance, ChatModel, Checkpoint, Endpoint, PortError, Student};
use dataenvgym::models::openai::Endpoints;
use dataenvgym::models::{Aside, LocalStudent};
use dataenvgym::protocol::worker::Role;
use dataenvgym::runner::pool::{Roster, WorkerCommand, WorkerPool};
use dataenvgym::runner::purse::Purse;
use serde_json::{Value, json};

use super::{collect, hasty, model, questions};

fn good_body(asked: &Asked) -> Value {
    completion("c", asked.body["model"].as_str().unwrap(), asked.prompt(), (10, 5))
}

fn good(asked: &Asked) -> Said {
    Said::json(200, &good_body(asked))
}

fn failure(endpoint: impl Fn(&str) -> Endpoint, said: Said, count: usize) -> (PortError, u32) {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let stub = Stub::start(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        said.clone()
    })
    .unwrap();
    let error =
        collect(&mut model(vec![("x", endpoint(&stub.url()), 1.0)]), &questions(count)).1.unwrap_err();
    (error, asked.load(Ordering::Relaxed))
}

#[test]
fn a_refusal_is_final_and_says_what_to_do() {
    for (status, words) in
        [(400, "bad"), (401, "key_variable"), (403, "key"), (404, "chat_path"), (422, "bad")]
    {
        let said = Said::json(status, &json!({"error": {"message": "bad"}}));
        let (error, asked) = failure(hasty, said, 1);
        assert!(!error.transient && error.message.contains(words), "{error}");
        assert!(
            error.message.contains("endpoint `x`") && error.message.contains(&status.to_string()),
            "{error}"
        );
        assert_eq!(asked, 1, "{status}");
    }
    let spent =
        json!({"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}});
    let (error, asked) = failure(hasty, Said::json(429, &spent), 1);
    assert!(!error.transient && error.message.contains("account"), "{error}");
    assert_eq!(asked, 1);
}

#[test]
fn an_endpoint_that_is_down_closes_after_its_patience_with_the_reason() {
    let patient = |url: &str| Endpoint { patience_s: 0.2, ..hasty(url) };
    let began = Instant::now();
    let (error, asked) = failure(patient, Said::json(500, &json!({"error": {"message": "boom"}})), 20);
    let seconds = began.elapsed().as_secs_f64();
    assert!(
        !error.transient && error.message.contains("no answer for") && error.message.contains("boom"),
        "{error}"
    );
    assert!(error.message.contains("Resume the run"), "{error}");
    // It did not hammer: about 8 questions with waits that double, for as long as it took. Without waits a server of
    // this kind is asked some ten thousand times a second.
    assert!(f64::from(asked) < 4000.0 * seconds, "{asked} in {seconds} s");
    // Nobody listens there.
    let began = Instant::now();
    let gone = Stub::start(|_| Said::raw("")).unwrap().url();
    let error = collect(&mut model(vec![("x", patient(&gone), 1.0)]), &questions(3)).1.unwrap_err();
    assert!(!error.transient && error.message.contains("no answer for"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn answers_that_are_paid_and_of_no_use_close_an_endpoint_soon() {
    let said = Said::json(200, &completion("c", "another", "x", (10, 5)));
    let (error, asked) = failure(|url| Endpoint { patience_s: 60.0, tries: 2, ..hasty(url) }, said, 50);
    assert!(!error.transient && error.message.contains("any_model"), "{error}");
    assert!(asked < 30, "{asked}");
}

#[test]
fn one_question_that_always_fails_gives_up_while_others_are_answered() {
    let stub = Stub::start(|asked| match asked.prompt() {
        "question 3" => Said::json(500, &json!({})),
        _ => good(asked).after(Duration::from_millis(3)),
    })
    .unwrap();
    let mut model = model(vec![("x", Endpoint { in_flight: 2, ..hasty(&stub.url()) }, 1.0)]);
    let (answers, outcome) = collect(&mut model, &questions(80));
    let error = outcome.unwrap_err();
    assert!(error.transient && error.message.contains("failed 6 times"), "{error}");
    assert!(answers[3].is_none() && answers.iter().flatten().count() > 3);
}

#[test]
fn a_wait_that_is_asked_for_is_waited() {
    let first = Mutex::new(None::<Instant>);
    let waited = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&waited);
    let stub = Stub::start(move |asked| {
        let mut first = first.lock().unwrap();
        match *first {
            None => {
                *first = Some(Instant::now());
                Said::whole(429, "application/json", &[("retry-after-ms", "300")], b"{}")
            }
            Some(first) => {
                noted.lock().unwrap().get_or_insert_with(|| first.elapsed());
                good(asked)
            }
        }
    })
    .unwrap();
    let endpoint = Endpoint { retry_after_most_s: 10.0, patience_s: 0.0, ..hasty(&stub.url()) };
    collect(&mut model(vec![("x", Endpoint { in_flight: 1, ..endpoint }, 1.0)]), &questions(5)).1.unwrap();
    let waited = waited.lock().unwrap().unwrap();
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(2), "{waited:?}");
}

#[test]
fn several_endpoints_share_by_weight_and_one_takes_over_when_another_is_down() {
    let (many, few) = (Stub::start(good).unwrap(), Stub::start(good).unwrap());
    let requests = questions(400);
    let share = |answers: &[Option<dataenvgym::gym::ports::ChatReply>], name: &str| {
        answers.iter().flatten().filter(|a| a.served.as_ref().unwrap().endpoint == name).count()
    };
    let quick = |url: &str| Endpoint { patience_s: 0.3, ..hasty(url) };
    let members = |few: &str| vec![("many", quick(&many.url()), 3.0), ("few", quick(few), 1.0)];
    let (answers, outcome) = collect(&mut model(members(&few.url())), &requests);
    outcome.unwrap();
    let (a, b) = (share(&answers, "many"), share(&answers, "few"));
    assert!(a + b == 400 && (260..340).contains(&a), "{a} and {b}");
    // The same question goes to the same endpoint again.
    let (again, _) = collect(&mut model(members(&few.url())), &requests);
    assert_eq!(again, answers);
    let gone = Stub::start(good).unwrap().url();
    let (answers, outcome) = collect(&mut model(members(&gone)), &requests);
    outcome.unwrap();
    assert_eq!(share(&answers, "many"), 400);
}

#[test]
fn nothing_is_sent_that_could_not_be_paid() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let stub = Stub::start(move |asked| {
        counted.fetch_add(1, Ordering::Relaxed);
        good(asked)
    })
    .unwrap();
    let mut model = model(vec![("x", hasty(&stub.url()), 1.0)]);
    // One answer costs 20 millionths; the last one is not begun when its worst case is not covered.
    let money = 1000e-6;
    model.allow(Allowance { cost: Some(money), tokens: None });
    let (answers, outcome) = collect(&mut model, &questions(200));
    let error = outcome.unwrap_err();
    assert!(
        !error.transient && error.message.contains("money") && error.message.contains("not sent"),
        "{error}"
    );
    let paid: f64 = answers.iter().flatten().map(|a| a.served.as_ref().unwrap().cost).sum();
    assert!(paid <= money && paid > 0.8 * money, "{paid}");
    assert_eq!(answers.iter().flatten().count(), asked.load(Ordering::Relaxed));
    model.allow(Allowance { cost: None, tokens: Some(600) });
    let (answers, outcome) = collect(&mut model, &questions(200));
    assert!(outcome.unwrap_err().message.contains("may not spend more tokens"));
    let used: u64 = answers.iter().flatten().map(|a| a.served.as_ref().unwrap().tokens).sum();
    assert!(used <= 600 && used > 300, "{used}");
}

#[test]
fn what_an_endpoint_cannot_do_is_found_out_and_said() {
    let able = Stub::start(|asked| {
        let mut body = completion("c", "m", &format!("word {}", asked.body["seed"]), (5, 2));
        if asked.body["response_format"].is_object() {
            body["choices"][0]["message"]["content"] = "{\"digit\": 1}".into();
        }
        if asked.body["n"] == 2 {
            let second = json!({"index": 1, "message": {"content": "same"}, "finish_reason": "stop"});
            body["choices"].as_array_mut().unwrap().push(second);
        }
        if asked.body["logprobs"] == true {
            body["choices"][0]["logprobs"] = json!({"content": [{"token": "same", "logprob": -0.1}]});
        }
        Said::json(200, &body)
    })
    .unwrap();
    let count = AtomicU32::new(0);
    let plain = Stub::start(move |asked| {
        if asked.body["n"] == 2 {
            return Said::json(400, &json!({"error": {"message": "n must be 1"}}));
        }
        let word = format!("word {}", count.fetch_add(1, Ordering::Relaxed));
        Said::json(200, &completion("c", "m", &word, (5, 2)))
    })
    .unwrap();
    let trying = |url: &str| Endpoint { probe: true, ..hasty(url) };
    let findings = model(vec![("able", trying(&able.url()), 1.0), ("plain", trying(&plain.url()), 1.0)]);
    let findings = findings.probe().unwrap();
    assert!(findings[0].missing.is_empty(), "{findings:?}");
    let said = findings[1].missing.join("\n");
    assert!(said.contains("schema") && said.contains("seed") && said.contains("one answer"), "{said}");

    // Where the server cannot, the schema stands in the prompt.
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let stub = Stub::start(move |asked| {
        noted.lock().unwrap().push(asked.body.clone());
        Said::json(200, &completion("c", "m", "no json", (5, 2)))
    })
    .unwrap();
    let mut model = model(vec![("x", trying(&stub.url()), 1.0)]);
    model.refresh(&Checkpoint::Full { folder: "none".into() }).unwrap();
    let mut request = questions(1);
    request[0].schema = Some(json!({"type": "object", "title": "marked"}));
    collect(&mut model, &request).1.unwrap();
    let last = seen.lock().unwrap().last().unwrap().clone();
    assert!(
        last["response_format"].is_null()
            && last["messages"][0]["content"].as_str().unwrap().contains("marked")
    );
    assert!(model.notes().iter().any(|note| note.contains("schema")), "{:?}", model.notes());
}

#[test]
fn what_an_endpoint_refuses_is_found_out_and_left_out() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let stub = Stub::start(move |asked| {
        noted.lock().unwrap().push(asked.body.clone());
        let refused = ["temperature", "logprobs", "stop", "stream_options"];
        match refused.iter().find(|field| asked.body.get(**field).is_some()) {
            Some(field) => {
                Said::json(400, &json!({"error": {"message": format!("Unsupported parameter: {field}")}}))
            }
            None => good(asked),
        }
    })
    .unwrap();
    let endpoint = Endpoint { probe: true, logprobs: true, stream: true, ..hasty(&stub.url()) };
    let mut model = model(vec![("x", endpoint, 1.0)]);
    model.refresh(&Checkpoint::Full { folder: "none".into() }).unwrap();
    let said = model.notes().join("\n");
    for words in
        ["`temperature` is refused", "`stop` is refused", "`stream_options` is refused", "no probabilities"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!said.contains("`top_p`") && !said.contains("`stream` is"), "{said}");
    let mut requests = questions(3);
    requests[0].stop = vec!["\n".into()];
    requests[1].log_probabilities = true;
    let (answers, outcome) = collect(&mut model, &requests);
    outcome.unwrap();
    assert_eq!(answers.iter().flatten().count(), 3);
    let last = seen.lock().unwrap().last().unwrap().clone();
    assert!(last["stream"] == true && last.get("temperature").is_none(), "{last}");
    // One that refuses everything says why.
    let said = Said::json(400, &json!({"error": {"message": "this key may not chat"}}));
    let stub = Stub::start(move |_| said.clone()).unwrap();
    let endpoint = Endpoint { probe: true, ..hasty(&stub.url()) };
    let error = super::model(vec![("x", endpoint, 1.0)]).probe().unwrap_err();
    assert!(!error.transient && error.message.contains("this key may not chat"), "{error}");
}

#[test]
fn probabilities_of_tokens_come_with_the_answer_that_asked_for_them() {
    for stream in [false, true] {
        let stub = Stub::start(move |asked| {
            let logprobs =
                json!({"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]});
            let logprobs = if asked.body["logprobs"] == true { logprobs } else { json!(null) };
            let mut body = good_body(asked);
            body["choices"][0]["logprobs"] = logprobs;
            if !stream {
                return Said::json(200, &body);
            }
            body["choices"][0]["delta"] = body["choices"][0]["message"].take();
            Said::whole(200, "text/event-stream", &[], format!("data: {body}\n\ndata: [DONE]\n\n").as_bytes())
        })
        .unwrap();
        let mut model = model(vec![("x", Endpoint { stream, ..hasty(&stub.url()) }, 1.0)]);
        let mut requests = questions(2);
        requests[1].log_probabilities = true;
        let (answers, outcome) = collect(&mut model, &requests);
        outcome.unwrap();
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        assert!(
            answers[0].log_probabilities.is_empty()
                && answers[0].served.as_ref().unwrap().mean_logprob.is_none()
        );
        assert_eq!(answers[1].log_probabilities, [-0.5, -1.5]);
        assert_eq!(answers[1].served.as_ref().unwrap().mean_logprob, Some(-1.0));
    }
}

#[test]
fn a_call_that_is_broken_off_asks_no_more_and_everything_that_was_paid_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let seen = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&seen);
    let stub = Stub::start(move |asked| {
        counted.fetch_add(1, Ordering::Relaxed);
        good(asked).after(Duration::from_millis(20))
    })
    .unwrap();
    let endpoint = Endpoint { in_flight: 2, ..hasty(&stub.url()) };
    let members = vec![("x".to_owned(), endpoint, 1.0)];
    let arguments = serde_json::to_string(&Endpoints { members, ..Endpoints::default() }).unwrap();
    let command = WorkerCommand {
        program: env!("CARGO_BIN_EXE_dataenvgym").into(),
        arguments: vec!["--endpoint".into(), arguments.into()],
        log_folder: folder.path().join("logs"),
        cache_folder: folder.path().join("cache"),
        gpus: Arc::default(),
        nice: None,
        without: vec![],
    };
    let purse = Purse::default();
    let mut pool = WorkerPool::of_endpoint(command, Role::Teacher, "x", purse.clone(), Roster::new());
    pool.refresh(&Checkpoint::Full { folder: folder.path().to_owned() }).unwrap();
    let questions = questions(200);
    let mut used = 0;
    pool.answer(&questions, &mut |_, _| {
        used += 1;
        if used == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    let (answers, tokens, _) = purse.spending().endpoints["x"];
    let asked = seen.load(Ordering::Relaxed);
    assert_eq!(answers, 3);
    // Fifteen tokens for every answer. Those that were under way when nobody waited any more were given up.
    let paid = (tokens / 15) as u32;
    assert!(tokens % 15 == 0 && (3..=asked).contains(&paid) && asked <= paid + 4, "{paid} of {asked}");
    assert!(asked < 200);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(seen.load(Ordering::Relaxed), asked, "it goes on asking");
    assert_eq!(purse.spending().tokens, tokens);
    // The worker lives and answers the next call.
    let mut again = 0;
    pool.answer(&questions[150..153], &mut |_, _| {
        again += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(again, 3);
    assert_eq!(purse.spending().endpoints["x"].0, 6);
}

/// What a server saw of one connection.
#[derive(Debug, PartialEq)]
enum Seen {
    Asked,
    Closed,
}

/// A server that leaves every question open, but for its first `answers` ones, which it answers once two were asked. Its
/// address, and what it sees.
fn silent(answers: usize) -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (sender, seen) = channel();
    let asked = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (sender, asked) = (sender.clone(), Arc::clone(&asked));
            std::thread::spawn(move || watch(stream, answers, &asked, &sender));
        }
    });
    (url, seen)
}

fn watch(mut stream: TcpStream, answers: usize, asked: &AtomicUsize, seen: &Sender<Seen>) {
    let mut buffer = [0; 1 << 14];
    loop {
        // A question of a few words comes in one piece or two, head and body.
        let mut text = Vec::new();
        while !text.ends_with(b"}") {
            match stream.read(&mut buffer) {
                // The test may be over.
                Ok(0) | Err(_) => return drop(seen.send(Seen::Closed)),
                Ok(read) => text.extend(&buffer[..read]),
            }
        }
        let _ = seen.send(Seen::Asked);
        if asked.fetch_add(1, Ordering::Relaxed) >= answers {
            continue;
        }
        while asked.load(Ordering::Relaxed) < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let body = completion("c", "m", "an answer", (10, 5)).to_string();
        let kind = "content-type: application/json";
        let head = format!("HTTP/1.1 200 X\r\n{kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).unwrap();
    }
}

#[test]
fn what_nobody_waits_for_any_more_is_dropped_with_its_connections_and_not_asked_again() {
    // By the word that comes beside the answers, and by an answer that is the last one wanted.
    for (answers, count, closed) in [(0, 50, 2), (1, 2, 1)] {
        let (url, seen) = silent(answers);
        let endpoint = Endpoint { in_flight: 2, first_byte_s: 300.0, total_s: 300.0, ..hasty(&url) };
        let mut model = model(vec![("x", endpoint, 1.0)]);
        let over = Arc::new(AtomicBool::new(false));
        model.attend(Aside::new(Arc::clone(&over), |_, _| {}));
        let seen = Mutex::new(seen);
        let expect = |what: Seen| {
            assert_eq!(seen.lock().unwrap().recv_timeout(Duration::from_secs(20)), Ok(what));
        };
        let mut heard = 0;
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..2).for_each(|_| expect(Seen::Asked));
                over.store(answers == 0, Ordering::Relaxed);
            });
            model.answer(&questions(count), &mut |_, _| {
                heard += 1;
                ControlFlow::Break(())
            })
        });
        outcome.unwrap();
        assert_eq!(heard, answers);
        // The client lives on; the connections of what it gave up do not, and nothing came between.
        (0..closed).for_each(|_| expect(Seen::Closed));
        assert!(seen.lock().unwrap().try_recv().is_err() && model.unbilled().is_empty());
    }
}
