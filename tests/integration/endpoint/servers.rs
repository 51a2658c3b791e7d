//! Servers that exchange adapters, and one that serves the scripted models of this project.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use dataenvgym::bench::endpoint::{Asked, Said, Stub, completion};
use dataenvgym::gym::instance::{Domain, Split};
use dataenvgym::gym::ports::{
    AdapterServer, ChatModel, ChatRequest, Checkpoint, Endpoint, Sampling, Student, Task,
};
use dataenvgym::models::openai::{EndpointModel, Endpoints};
use dataenvgym::models::scripted::{Script, ScriptedStudent, ScriptedTeacher};
use dataenvgym::tasks::scripted::ScriptedTask;
use serde_json::json;

use super::{collect, hasty, questions};

/// Adapters as a server has them: folders by name.
#[derive(Debug, Default)]
pub struct Shelf {
    pub loaded: BTreeMap<String, PathBuf>,
    /// Everything that was asked about adapters, in order.
    pub history: Vec<String>,
}

/// The routes of both kinds of servers; `None` for other requests.
pub fn adapters(shelf: &mut Shelf, asked: &Asked) -> Option<Said> {
    let error = |status, message: &str| Said::json(status, &json!({"error": {"message": message}}));
    let plain = |text: &str| Said::whole(200, "text/plain", &[], text.as_bytes());
    let name = asked.body["lora_name"].as_str().unwrap_or_default().to_owned();
    let said = match asked.path.as_str() {
        "/v1/models" => {
            let base = json!({"id": "base"});
            let ids = shelf.loaded.keys().map(|name| json!({"id": name, "parent": "base"}));
            return Some(Said::json(200, &json!({"data": ids.chain([base]).collect::<Vec<_>>()})));
        }
        "/v1/load_lora_adapter" | "/load_lora_adapter" => {
            let path = PathBuf::from(asked.body["lora_path"].as_str().unwrap());
            if shelf.loaded.contains_key(&name) {
                error(400, &format!("The lora adapter '{name}' has already been loaded."))
            } else if path.join("adapter_model.safetensors").is_file() {
                shelf.loaded.insert(name.clone(), path);
                plain("Success: LoRA adapter added successfully.")
            } else {
                error(404, &format!("No adapter found for {}", path.display()))
            }
        }
        "/v1/unload_lora_adapter" | "/unload_lora_adapter" => match shelf.loaded.remove(&name) {
            Some(_) => plain("Success"),
            None => error(404, "not loaded"),
        },
        _ => return None,
    };
    let verb = if asked.path.contains("unload") { "unload" } else { "load" };
    shelf.history.push(format!("{verb} {name}"));
    Some(said)
}

fn iteration(run: &Path, n: u32, weights: &str) -> Checkpoint {
    let adapter = run.join("checkpoints").join(format!("iteration-{n:03}"));
    std::fs::create_dir_all(&adapter).unwrap();
    std::fs::write(adapter.join("adapter_model.safetensors"), weights).unwrap();
    Checkpoint::Adapter { base: "base".into(), adapter }
}

/// The models that answered, by the server's own words.
fn answering(model: &mut EndpointModel) -> String {
    let (answers, outcome) = collect(model, &questions(1));
    outcome.unwrap();
    answers[0].as_ref().unwrap().text.clone()
}

fn exchanges(kind: AdapterServer, asked_as: fn(&str) -> String) {
    let shelf = Arc::new(Mutex::new(Shelf::default()));
    let served = Arc::clone(&shelf);
    let stub = Stub::start(move |asked| {
        if let Some(said) = adapters(&mut served.lock().unwrap(), asked) {
            return said;
        }
        let model = asked.body["model"].as_str().unwrap();
        Said::json(200, &completion("c", model, model, (1, 1)))
    })
    .unwrap();
    let here = tempfile::tempdir().unwrap();
    let run = here.path().join("my-run");
    let endpoint = Endpoint { model: "base".into(), adapters: kind, ..hasty(&stub.url()) };
    let base = PathBuf::from("base");
    let endpoints = Endpoints {
        members: vec![("x".into(), endpoint.clone(), 1.0)],
        base: Some(base.clone()),
        images: None,
    };
    let mut model = EndpointModel::new(&endpoints).unwrap();
    model.refresh(&Checkpoint::Full { folder: base.clone() }).unwrap();
    assert_eq!(answering(&mut model), "base");
    let mut names = Vec::new();
    for n in 1..=3 {
        model.refresh(&iteration(&run, n, &format!("weights {n}"))).unwrap();
        let loaded: Vec<String> = shelf.lock().unwrap().loaded.keys().cloned().collect();
        let name = loaded.iter().find(|name| name.contains(&format!("iteration-{n:03}"))).unwrap().clone();
        assert!(name.starts_with("student-my-run-iteration-"), "{name}");
        assert_eq!(answering(&mut model), asked_as(&name));
        // The one before stays, older ones are gone.
        assert_eq!(loaded.len(), n.min(2) as usize, "{loaded:?}");
        names.push(name);
    }
    // A worker that starts anew finds what it wants loaded already, and goes back to the base and forth.
    let mut again = EndpointModel::new(&endpoints).unwrap();
    again.refresh(&iteration(&run, 3, "weights 3")).unwrap();
    assert_eq!(answering(&mut again), asked_as(&names[2]));
    again.refresh(&Checkpoint::Full { folder: base.clone() }).unwrap();
    assert_eq!(answering(&mut again), "base");
    // The same iteration with other weights is another name.
    again.refresh(&iteration(&run, 3, "other weights")).unwrap();
    assert_ne!(answering(&mut again), asked_as(&names[2]));
    // A whole model cannot be served.
    let error = again.refresh(&Checkpoint::Full { folder: run.clone() }).unwrap_err();
    assert!(!error.transient && error.message.contains("given adapters only"), "{error}");
    // The server may know the folder under another name.
    let there = tempfile::tempdir().unwrap();
    let moved = Endpoint {
        adapters_here: Some(here.path().into()),
        adapters_there: Some(there.path().into()),
        ..endpoint
    };
    let endpoints = Endpoints { members: vec![("x".into(), moved, 1.0)], base: Some(base), images: None };
    let mut model = EndpointModel::new(&endpoints).unwrap();
    let four = iteration(&run, 4, "weights 4");
    let error = model.refresh(&four).unwrap_err();
    assert!(error.message.contains("adapters_there") && !error.transient, "{error}");
    iteration(&there.path().join("my-run"), 4, "weights 4");
    model.refresh(&four).unwrap();
    let shelf = shelf.lock().unwrap();
    assert!(shelf.loaded.values().any(|path| path.starts_with(there.path())), "{:?}", shelf.history);
}

#[test]
fn adapters_are_exchanged_as_vllm_wants_it() {
    exchanges(AdapterServer::Vllm, str::to_owned);
}

#[test]
fn adapters_are_exchanged_as_sglang_wants_it() {
    exchanges(AdapterServer::Sglang, |name| format!("base:{name}"));
}

#[test]
fn whole_models_are_asked_for_by_folder_and_content() {
    let stub = Stub::start(|asked| {
        let model = asked.body["model"].as_str().unwrap();
        // As `transformers serve` names a model: with its revision.
        let named = if model.contains('@') { model.to_owned() } else { format!("{model}@main") };
        Said::json(200, &completion("c", &named, model, (1, 1)))
    })
    .unwrap();
    let here = tempfile::tempdir().unwrap();
    let base = here.path().join("base");
    let endpoint = Endpoint {
        model: base.display().to_string(),
        adapters: AdapterServer::Transformers,
        ..hasty(&stub.url())
    };
    let endpoints =
        Endpoints { members: vec![("x".into(), endpoint, 1.0)], base: Some(base.clone()), images: None };
    let mut model = EndpointModel::new(&endpoints).unwrap();
    model.refresh(&Checkpoint::Full { folder: base.clone() }).unwrap();
    assert_eq!(answering(&mut model), base.display().to_string());
    let folder = here.path().join("run/checkpoints/iteration-001");
    std::fs::create_dir_all(&folder).unwrap();
    let mut asked = Vec::new();
    for weights in ["one", "two", "one"] {
        std::fs::write(folder.join("model.safetensors"), weights).unwrap();
        model.refresh(&Checkpoint::Full { folder: folder.clone() }).unwrap();
        asked.push(answering(&mut model));
    }
    assert!(asked[0].starts_with(&format!("{}@", folder.display())) && asked[0] == asked[2], "{asked:?}");
    assert_ne!(asked[0], asked[1]);
    let error = model.refresh(&iteration(here.path(), 1, "w")).unwrap_err();
    assert!(!error.transient && error.message.contains("whole models only"), "{error}");
}

#[test]
fn a_server_without_adapters_is_named() {
    let stub = Stub::start(|_| Said::json(404, &json!({"detail": "Not Found"}))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = iteration(folder.path(), 1, "w");
    for (adapters, words) in
        [(AdapterServer::None, "`adapters`"), (AdapterServer::Vllm, "without the routes")]
    {
        let endpoint = Endpoint { adapters, ..hasty(&stub.url()) };
        let endpoints =
            Endpoints { members: vec![("x".into(), endpoint, 1.0)], base: Some("base".into()), images: None };
        let error = EndpointModel::new(&endpoints).unwrap().refresh(&checkpoint).unwrap_err();
        assert!(!error.transient && error.message.contains(words), "{error}");
    }
}

/// The scripted models behind the interface: `teacher`, and `base` with its adapters.
pub struct Brain {
    answers: HashMap<String, String>,
    pub shelf: Shelf,
}

impl Brain {
    pub fn new(domain: Domain, skills: u32, per_skill: u32) -> Self {
        let task = ScriptedTask::new(domain, skills, per_skill, 64).unwrap();
        let instances = [Split::Validation, Split::Test].into_iter().flat_map(|split| task.instances(split));
        let answers = instances.map(|instance| (task.prompt(instance), task.solution(instance))).collect();
        Self { answers, shelf: Shelf::default() }
    }

    /// Answers as this project's own worker would.
    pub fn answer(&mut self, asked: &Asked) -> Said {
        if let Some(said) = adapters(&mut self.shelf, asked) {
            return said;
        }
        let model = asked.body["model"].as_str().unwrap();
        let body = &asked.body;
        let sampling = match body["seed"].as_u64() {
            Some(seed) => Sampling::Sampled {
                temperature: body["temperature"].as_f64().unwrap(),
                top_p: body["top_p"].as_f64().unwrap(),
                top_k: body["top_k"].as_u64().unwrap_or(0) as u32,
                seed,
            },
            None => Sampling::Greedy,
        };
        let limit = body["max_tokens"].as_u64().unwrap() as u32;
        let schema = body["response_format"]["json_schema"]["schema"].clone();
        let request = ChatRequest {
            schema: Some(schema).filter(|schema| !schema.is_null()),
            ..ChatRequest::text(asked.prompt(), sampling, limit)
        };
        let mut said = None;
        let mut sink = |_, reply| {
            said = Some(reply);
            ControlFlow::Continue(())
        };
        if model == "teacher" {
            ScriptedTeacher::default().answer(&[request], &mut sink).unwrap();
        } else {
            let mut student = ScriptedStudent::knowing(Script::default(), self.answers.clone());
            if let Some(adapter) = self.shelf.loaded.get(model) {
                student.refresh(&Checkpoint::Full { folder: adapter.clone() }).unwrap();
            }
            student.answer(&[request], &mut sink).unwrap();
        }
        let reply = said.unwrap();
        let usage = (reply.prompt_tokens.into(), reply.tokens.into());
        Said::json(200, &completion("c", model, &reply.text, usage))
    }
}
