//! The ready configurations, headless end to end on scripted models and a small share of their numbers.

use std::path::{Path, PathBuf};

use dataenvgym::config::READY;
use dataenvgym::gym::episode::Halt;

use crate::home::{Home, episode, text};

/// What makes every configuration small.
const SMALL: &[&str] = &[
    "student.model=\"scripted\"",
    "student.script={ skill = 0.4, ceiling = 0.95, examples = 100, latency_ms = 0 }",
    "student.device=\"cpu\"",
    "student.workers=1",
    "episode.iterations=2",
];

fn arguments(config: &str, name: &str, more: &[&str]) -> Vec<String> {
    let mut all: Vec<String> =
        ["run", "--headless", "--config", config, "--name", name].map(str::to_owned).to_vec();
    for key in SMALL.iter().chain(more) {
        all.extend(["--set".to_owned(), (*key).to_owned()]);
    }
    all
}

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")
}

/// Runs a configuration to its end; data were made, and the student was trained on some.
fn goes_around(home: &Home, config: &str, name: &str, more: &[&str]) -> String {
    let arguments = arguments(config, name, more);
    let out = home.stdout(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let episode = episode(&home.run_folder(name)).unwrap();
    assert_eq!(episode.halt, Some(Halt::Finished), "{name}: {out}");
    assert!(episode.iterations.iter().any(|iteration| iteration.accepted > 0), "{name}: {out}");
    out
}

#[test]
fn the_embedded_ones_go_around() {
    let home = Home::new();
    for (name, _) in READY {
        goes_around(&home, name, name, &["task.validation_per_skill=4", "task.test_per_skill=4"]);
    }
}

/// Files in the form in which the benchmarks are published.
pub fn published(folder: &Path) {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let sum = |n: u32| {
        format!(
            r#"{{"question": "Ann has {n} pens, {} cups and {} hats. How many things?", "answer": "Add.\n#### {}"}}"#,
            n + 1,
            n + 2,
            3 * n + 3
        )
    };
    let lines = |range: std::ops::Range<u32>| range.map(sum).collect::<Vec<_>>().join("\n");
    write("data/gsm8k/train.jsonl", lines(0..80));
    write("data/gsm8k/test.jsonl", lines(1000..1010));
    let kind = |n: u32| {
        format!(
            r#"{{"ID": "i{n}", "Body": "Ann has {n} pens, {} cups and 2 hats", "Question": "How many?", "Equation": "( {n}.0 + {}.0 )", "Answer": {}.0, "Type": "{}"}}"#,
            n + 1,
            n + 3,
            2 * n + 3,
            ["Addition", "Subtraction"][n as usize % 2]
        )
    };
    write("data/svamp/SVAMP.json", format!("[{}]", (0..60).map(kind).collect::<Vec<_>>().join(",")));
    for (part, from) in [("train", 0), ("test", 5000)] {
        for n in 0..20 {
            let record = format!(
                r#"{{"problem": "Number {}, {} and {} make what?", "level": "Level {}", "type": "Algebra", "solution": "It is $\\boxed{{{n}}}$."}}"#,
                from + n,
                n + 7,
                3 * n,
                n % 5 + 1
            );
            write(&format!("data/MATH/{part}/algebra/{n}.json"), record);
        }
    }
}

/// With files of the published form and scripted models, everything else as the configuration says.
#[test]
fn those_of_benchmarks_go_around_and_say_what_they_lack() {
    let home = Home::new();
    std::fs::create_dir_all(home.path("configs")).unwrap();
    for name in ["svamp", "gsm8k-qwen", "svamp-llama", "math-gemma"] {
        let config = home.path("configs").join(format!("{name}.toml"));
        std::fs::copy(configs().join(format!("{name}.toml")), &config).unwrap();
        let config = config.to_str().unwrap();
        let output = home.output(&["run", "--headless", "--config", config]);
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains("downloads nothing"), "{said}");
        assert!(said.contains("https://") || said.contains("fetch the folder"), "{said}");
    }
    published(&home.path("."));
    let teacher = ["teacher.model=\"scripted\"", "teacher.device=\"cpu\"", "checks.filter=[\"form\"]"];
    for (name, small) in [
        ("svamp", "policy.data=12"),
        ("gsm8k-qwen", "policy.data=12"),
        ("svamp-llama", "policy.specifications=2"),
        ("math-gemma", "policy.explore={ new_subskills = 1, data_per_subskill = 2 }"),
    ] {
        let config = home.path("configs").join(format!("{name}.toml"));
        let mut more = teacher.to_vec();
        more.push(small);
        goes_around(&home, config.to_str().unwrap(), name, &more);
    }
}

/// What a configuration needs is named with its address at its head.
#[test]
fn every_file_of_a_configuration_has_its_address() {
    for name in ["svamp", "gsm8k-qwen", "svamp-llama", "math-gemma"] {
        let text = std::fs::read_to_string(configs().join(format!("{name}.toml"))).unwrap();
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
        for path in text.lines().filter_map(|line| line.split_once("\"../")?.1.split('"').next()) {
            let told = head.iter().position(|line| line.contains(path)).map(|n| head[n..].iter().take(2));
            let told = told.is_some_and(|mut lines| {
                lines.any(|line| line.contains("https://") || line.contains("the same folder"))
            });
            assert!(told, "{name}: {path}");
        }
        let said = text.contains("Memory, computed from the shapes and not measured");
        assert!(said || text.contains("model = \"embedded\""), "{name}");
    }
}
