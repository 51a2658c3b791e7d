//! The whole circle on real models: the embedded student behind mistral.rs, our trainer.

use dataenvgym::config::READY;
use dataenvgym::gym::episode::{Halt, Phase};
use dataenvgym::gym::ports::{
    ChatModel, ChatReply, ChatRequest, Checkpoint, Device, Sampling, Serving, Student,
};
use dataenvgym::gym::teacher_call::CallOutcome;
use dataenvgym::models::mistral::MistralStudent;
use dataenvgym::models::random::{self, Family, Shape};
use dataenvgym::store::{At, CallFilter, Kind, Patience, Reader};

use crate::home::{Home, episode, outcome, text};
use crate::ready::published;

fn config(home: &Home, student: &str, training: &str) -> String {
    let path = home.path("real.toml");
    let text = format!(
        "name = \"real\"\n[task]\nkind = \"arithmetic\"\nvalidation_per_skill = 2\ntest_per_skill = 2\n\
         [student]\nworkers = 2\nmax_tokens = 96\n{student}[trainer]\n{training}\nepochs = 1\nbatch_size = 32\nmax_length = 128\n\
         [policy]\nkind = \"by_error\"\ndata = 40\n[episode]\niterations = 2\n"
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_circle_turns_on_real_models_and_nothing_is_printed_by_the_workers() {
    let home = Home::new();
    for (name, training) in [
        ("full", "method = \"full\"\nupdate = \"continue\"\nlearning_rate = 5e-4"),
        ("adapter", "method = \"lora\"\nupdate = \"continue\"\nlearning_rate = 2e-3"),
        ("again", "method = \"lora\"\nupdate = \"retrain\"\nlearning_rate = 2e-3"),
    ] {
        let config = config(&home, "", training);
        let out = home.stdout(&["run", "--headless", "--config", &config, "--name", name]);
        assert!(out.contains("selected by validation: iteration"), "{out}");
        let folder = home.run_folder(name);
        let finished = episode(&folder).unwrap();
        assert_eq!(finished.halt, Some(Halt::Finished));
        let untrained = finished.iterations[0].validation.as_ref().unwrap();
        // The student that is shipped knows the strong half of the skills.
        assert!((0.4..0.9).contains(&untrained.overall.mean), "{untrained:?}");
        assert_ne!(
            outcome(&folder).predictions[0],
            outcome(&folder).predictions[2],
            "{name}: training changed nothing"
        );
        let checkpoint = folder.join("checkpoints/iteration-001");
        assert_eq!(checkpoint.join("adapter_config.json").exists(), name != "full");
        let whole = home.path(&format!("{name}-whole"));
        let whole = whole.to_str().unwrap();
        home.stdout(&["export", name, "--format", "model", "--iteration", "2", "--out", whole]);
        let said = home.stdout(&["eval", "--config", &config, "--student", whole, "--json"]);
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        let measured = finished.iterations[2].validation.as_ref().unwrap().overall.mean;
        let again = said["overall"]["mean"].as_f64().unwrap();
        assert!((again - measured).abs() < 1e-9, "{name}: {again}, and {measured} in the run");
        for log in std::fs::read_dir(folder.join("logs")).unwrap().flatten() {
            let file = log.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(log.path()).unwrap();
            assert!(file == "runner.log" || text.is_empty(), "{file}: {text}");
        }
    }
}

#[test]
fn a_student_that_is_quantised_while_loading_serves_the_adapters_that_are_trained() {
    let home = Home::new();
    let training = "method = \"lora\"\nlearning_rate = 2e-3";
    let config = config(&home, "quantisation = \"q8_0\"\n", training);
    let out = home.stdout(&["run", "--headless", "--config", &config, "--name", "quantised"]);
    assert!(out.contains("selected by validation: iteration"), "{out}");
    let folder = home.run_folder("quantised");
    assert_eq!(episode(&folder).unwrap().halt, Some(Halt::Finished));
    let predictions = outcome(&folder).predictions;
    assert_ne!(predictions[0], predictions[2], "training changed nothing");
    assert!(folder.join("checkpoints/iteration-001/adapter_config.json").exists());
}

/// Every ready configuration as it is, but for its size: the embedded student, its policy, its engine, its trainer.
#[test]
fn the_ready_configurations_go_around_on_the_embedded_student() {
    let home = Home::new();
    for (name, text) in READY.iter().filter(|(name, _)| *name != "scripted") {
        assert!(text.contains("model = \"embedded\""), "{name}");
        let mut arguments = vec!["run", "--headless", "--config", name, "--name", name];
        for key in [
            "task.validation_per_skill=2",
            "task.test_per_skill=2",
            "student.workers=2",
            "trainer.epochs=1",
            "episode.iterations=1",
        ] {
            arguments.extend(["--set", key]);
        }
        let began = std::time::Instant::now();
        let out = home.stdout(&arguments);
        println!("{name}: {:.1} s", began.elapsed().as_secs_f64());
        let finished = episode(&home.run_folder(name)).unwrap();
        assert_eq!(finished.halt, Some(Halt::Finished), "{name}: {out}");
        let [before, after] = [0, 1].map(|n| finished.iterations[n].validation.clone().unwrap().overall);
        assert!((0.3..0.95).contains(&before.mean) && after.n == before.n, "{name}: {out}");
        assert!(finished.iterations[1].accepted > 0 && finished.training_at(1).is_some(), "{name}: {out}");
    }
}

/// The configurations of benchmarks on the embedded models and files of the published form, everything else but the size
/// as they say.
#[test]
fn the_configurations_of_benchmarks_go_around_on_the_embedded_models() {
    let home = Home::new();
    std::fs::create_dir_all(home.path("configs")).unwrap();
    published(&home.path("."));
    for (name, small) in [
        ("gsm8k-qwen", ["policy.data=8", "policy.data_per_question=4"]),
        ("svamp-llama", ["policy.hypotheses=1", "policy.specifications=3"]),
        // The embedded teachers can put names to questions, but group none of them (no answer of theirs to `aggregate` can
        // be read), so the skills are those of the source; everything behind the discovery is the same.
        (
            "math-gemma",
            ["skills={ kind = \"gold\" }", "policy.explore={ new_subskills = 1, data_per_subskill = 6 }"],
        ),
    ] {
        let config = home.path("configs").join(format!("{name}.toml"));
        let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
        std::fs::copy(std::path::Path::new(ours).join(format!("{name}.toml")), &config).unwrap();
        let config = config.to_str().unwrap();
        let mut arguments = vec!["run", "--headless", "--config", config, "--name", name];
        for key in [
            "student.model=\"embedded\"",
            "student.device=\"cpu\"",
            "student.max_tokens=32",
            "teacher.model=\"embedded\"",
            "teacher.device=\"cpu\"",
            // So small a student is asked nothing but the question, and its teacher writes numbers.
            "task.prompt=\"bare\"",
            "task.validation_questions=8",
            "task.test_questions=8",
            "checks.votes=1",
            "checks.known_samples=1",
            "checks.filter=[\"form\"]",
            "trainer.epochs=1",
            "episode.iterations=1",
        ]
        .iter()
        .chain(&small)
        {
            arguments.extend(["--set", *key]);
        }
        let out = home.stdout(&arguments);
        let finished = episode(&home.run_folder(name)).unwrap();
        assert_eq!(finished.halt, Some(Halt::Finished), "{name}: {out}");
        assert!(finished.iterations[1].accepted > 0 && finished.training_at(1).is_some(), "{name}: {out}");
    }
}

/// Every phase of a small run on real models, the teacher and the verifier embedded ones, is cut short once.
#[test]
fn a_run_on_the_embedded_models_that_is_killed_in_every_phase_comes_to_the_same_end() {
    let home = Home::new();
    let path = home.path("killed.toml");
    let configuration = "name = \"killed\"\n[task]\nkind = \"arithmetic\"\nvalidation_per_skill = 6\ntest_per_skill = 1\n\
         [student]\nworkers = 1\n[teacher]\nmodel = \"embedded\"\nworkers = 1\n\
         [verifier]\nmodel = \"embedded-weak\"\nworkers = 1\n\
         [trainer]\nmethod = \"full\"\nlearning_rate = 5e-4\nepochs = 2\nbatch_size = 4\nmax_length = 128\nsave_seconds = 0\n\
         [policy]\nkind = \"pass_rate_band\"\ndata = 12\nsamples = 1\n[engine]\nkind = \"taught\"\n\
         [checks]\nvotes = 1\nfilter = [\"form\"]\n[episode]\niterations = 1\n";
    std::fs::write(&path, configuration).unwrap();
    let config = path.to_str().unwrap();
    let run = |name: &str, variable: (&str, &str)| {
        let arguments = ["run", "--headless", "--config", config, "--name", name];
        home.command(&arguments).env(variable.0, variable.1).output().unwrap()
    };
    let log = home.path("points");
    let whole = run("whole", ("DATAENVGYM_FAULT_LOG", log.to_str().unwrap()));
    assert!(whole.status.success(), "{}", text_of(&whole));
    // Answers that were committed in each phase of the run that nobody harmed.
    let log = std::fs::read_to_string(log).unwrap();
    let answers: Vec<usize> = log
        .split("store.begin.after")
        .skip(1)
        .map(|phase| phase.matches("store.calls.after").count())
        .collect();
    let [0, planned, written, voted, ..] = answers[..] else { panic!("{answers:?}") };
    assert!(planned == 72 && written >= 12 && voted >= 12, "{answers:?}");
    let answered = |n: usize| format!("store.calls.after:{n}");
    for (phase, fault) in [
        (Phase::Evaluate, "store.predictions.after:1".to_owned()),
        (Phase::Plan, answered(5)),
        (Phase::Generate, answered(planned - 5 + 3)),
        (Phase::Check, answered(written - 3 + 4)),
        (Phase::Train, "store.progress.after:2".to_owned()),
    ] {
        let output = run("killed", ("DATAENVGYM_FAULT", &fault));
        assert!(!output.status.success(), "{phase:?}: {}", text_of(&output));
        let cut = episode(&home.run_folder("killed")).unwrap();
        assert_eq!(cut.work.map(|work| work.phase), Some(phase), "{fault}: {}", text_of(&output));
    }
    let last = run("killed", ("DATAENVGYM_FAULT", ""));
    assert!(last.status.success(), "{}", text_of(&last));
    assert_eq!(outcome(&home.run_folder("killed")), outcome(&home.run_folder("whole")));
    let calls = |name: &str| Reader::open(&home.run_folder(name)).unwrap().call_values(Kind::Prompt).unwrap();
    assert_eq!(calls("killed"), calls("whole"));
}

/// What a command said.
fn text_of(output: &std::process::Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// A tokenizer of a real model, where the machine has one.
fn real_tokenizer() -> Option<std::path::PathBuf> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/tokenizers/gpt2/tokenizer.json");
    let found = path.exists();
    if !found {
        println!("skipped: there is no {}", path.display());
    }
    found.then_some(path)
}

/// Discovery, proposal and generation by a teacher with random weights: what it writes means nothing, but every answer that
/// was committed was used, or is there as malformed with what is wrong with it.
#[test]
fn no_answer_of_a_teacher_without_sense_is_lost() {
    let Some(tokenizer) = real_tokenizer() else { return };
    let home = Home::new();
    let teacher = home.path("teacher");
    let shape = Shape {
        family: Family::Qwen3,
        vocabulary: 50_304,
        hidden: 32,
        intermediate: 64,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head: 16,
        context: 8192,
    };
    random::write(&teacher, &shape, &tokenizer, "<|endoftext|>", 1).unwrap();
    let path = home.path("senseless.toml");
    // Few questions, so that the names and their groups are few: under the schema they end where the lists must.
    let text = format!(
        "name = \"senseless\"\n\
         [task]\nkind = \"scripted\"\ndomain = \"mathematics\"\nskills = 2\nper_skill = 2\n\
         [student]\nmodel = \"scripted\"\nworkers = 1\n\
         [teacher]\nmodel = {:?}\nworkers = 1\ncontext = 8192\n\
         [environment]\nkind = \"skill_tree\"\nsubskills = \"taught\"\n\
         [skills]\nkind = \"discovered\"\n\
         [policy]\nkind = \"fixed\"\nexplore = {{ new_subskills = 1, data_per_subskill = 1 }}\n\
         [engine]\nkind = \"taught\"\nmax_tokens = 512\n\
         [checks]\nfilter = []\n[episode]\niterations = 1\n",
        teacher.to_str().unwrap()
    );
    std::fs::write(&path, text).unwrap();
    // A round of which nothing could be read leaves the run without data; that is told, and not what is asked here.
    let output = home.output(&["run", "--headless", "--config", path.to_str().unwrap()]);
    let reader = Reader::open(&home.run_folder("senseless")).unwrap();
    let page =
        reader.teacher_calls(&CallFilter::default(), At::Position(0), 1000, Patience::default()).unwrap();
    let mut asked = std::collections::BTreeMap::new();
    for (_, call) in &page.rows {
        let prompt = call.context.prompt.split('@').next().unwrap().to_owned();
        *asked.entry(prompt).or_insert(0) += 1;
        if let CallOutcome::Malformed { reason } = &call.outcome {
            assert!(!reason.is_empty(), "{call:?}");
        } else if call.context.prompt.starts_with("mathematics@") {
            let data = serde_json::from_str::<serde_json::Value>(&call.reply).unwrap();
            assert_eq!(data["data"].as_array().map(Vec::len), Some(1), "{call:?}");
        }
    }
    for prompt in ["label", "aggregate", "subskills", "mathematics"] {
        assert!(asked.contains_key(prompt), "{asked:?}: {}", text_of(&output));
    }
}

#[test]
fn a_teacher_without_sense_obeys_the_schema_and_its_seed() {
    let Some(tokenizer) = real_tokenizer() else { return };
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape {
        family: Family::Qwen3,
        vocabulary: 50_304,
        hidden: 32,
        intermediate: 64,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head: 16,
        context: 1024,
    };
    random::write(folder.path(), &shape, &tokenizer, "<|endoftext|>", 1).unwrap();
    let schema = serde_json::json!({
        "type": "object",
        "properties": {"data": {"type": "array", "minItems": 2, "maxItems": 2, "items": {
            "type": "object",
            "properties": {
                "question": {"type": "string", "minLength": 1, "maxLength": 20},
                "answer": {"type": "string", "minLength": 1, "maxLength": 8},
            },
            "required": ["question", "answer"],
            "additionalProperties": false,
        }}},
        "required": ["data"],
        "additionalProperties": false,
    });
    let request = |n: u64| ChatRequest {
        schema: Some(schema.clone()),
        ..ChatRequest::text(
            format!("Write two exercises about topic {n}."),
            Sampling::drawn(1.0, 0.95, n),
            300,
        )
    };
    let mut teacher = MistralStudent::new(Device::Cpu, Serving::default()).unwrap();
    teacher.refresh(&Checkpoint::Full { folder: folder.path().to_owned() }).unwrap();
    let mut answers = |order: Vec<u64>| {
        let requests: Vec<ChatRequest> = order.iter().map(|&n| request(n)).collect();
        let mut texts = std::collections::BTreeMap::new();
        teacher
            .answer(&requests, &mut |index, reply| {
                // Times are never the same twice.
                texts.insert(order[index], ChatReply { elapsed_ms: 0, ..reply });
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        texts
    };
    let forward = answers((0..10).collect());
    for reply in forward.values() {
        let value: serde_json::Value =
            serde_json::from_str(&reply.text).unwrap_or_else(|e| panic!("{e}: {reply:?}"));
        assert_eq!(value["data"].as_array().unwrap().len(), 2, "{reply:?}");
        assert!(reply.tokens < 300 && reply.prompt_tokens > 5);
    }
    assert_ne!(forward[&0].text, forward[&1].text);
    assert_eq!(forward, answers((0..10).rev().collect()));
}
