//! The benchmarks on small files made here, and on the real ones where they lie beside the checkout.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::*;

fn settings(source: Source, path: PathBuf) -> Settings {
    Settings {
        source,
        path,
        test: None,
        shares: [0.5, 0.25, 0.25],
        splits: ("val_balanced_subset_10".parse().unwrap(), "test_all".parse().unwrap()),
        most: [0, 0],
        style: Style::ZeroShot,
        scoring: Scoring::Strict,
        max_tokens: 256,
    }
}

fn read(settings: &Settings) -> Benchmark {
    Benchmark::read(settings, Arc::default()).unwrap()
}

/// A real file, or a visible note that it is not here.
#[allow(clippy::print_stdout)] // that is how a test says that it did not run
fn real(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(file);
    if !path.exists() {
        println!("skipped: no benchmark data at {}", path.display());
        return None;
    }
    Some(path)
}

const ALL: [Split; 3] = [Split::Pool, Split::Validation, Split::Test];

/// What holds for every benchmark: parts without common keys, canonical responses right, others wrong, and a
/// prompt that holds the question once.
fn holds(task: &Benchmark) -> usize {
    let keys = |split| task.instances(split).iter().map(|i| i.key.as_str()).collect::<HashSet<_>>();
    assert!(keys(Split::Pool).is_disjoint(&keys(Split::Validation)));
    assert!(keys(Split::Pool).is_disjoint(&keys(Split::Test)));
    let mut ids = HashSet::new();
    let (mut right, mut all) = (0, 0);
    for instance in ALL.into_iter().flat_map(|split| task.instances(split)) {
        assert!(ids.insert(&instance.id), "{}", instance.id);
        let Content::Mathematics { solution: Some(solution), question, .. } = &instance.content else {
            panic!()
        };
        all += 2;
        right += usize::from(task.score(instance, solution).1);
        right += usize::from(task.score(instance, &task.solution(instance)).1);
        assert!(!task.score(instance, "wrong").1 && !task.score(instance, "").1);
        assert_eq!(task.prompt(instance).matches(question.as_str()).count(), 1, "{question}");
    }
    assert!(right * 100 >= all * 99, "{right} of {all}");
    ids.len()
}

/// Questions that stand in a split measured later as well, few of all.
fn left_out(task: &Benchmark) -> usize {
    let found = task.contamination().unwrap();
    assert_eq!(found.pool.operands, 0, "the splits are drawn by operands: {found}");
    let pool = task.instances(Split::Pool).len();
    assert!(found.pool.total() as usize * 10 < pool, "{found}");
    (found.pool.total() + found.left_out.total()) as usize
}

#[test]
fn gsm8k_as_published() {
    let Some(path) = real("gsm8k/train.jsonl") else { return };
    let task = read(&settings(Source::Gsm8k, path));
    assert_eq!(holds(&task) + left_out(&task), 7473);
    let solution = task.instances(Split::Pool).iter().find_map(|i| match &i.content {
        Content::Mathematics { solution, question, .. } if question.starts_with("Natalia") => {
            solution.clone()
        }
        _ => None,
    });
    if let Some(solution) = solution {
        assert!(solution.contains("48/2 = 24 clips") && solution.ends_with("\n#### 72"), "{solution}");
    }
}

#[test]
fn svamp_as_published() {
    let Some(path) = real("svamp/svamp.jsonl") else { return };
    let task = read(&settings(Source::Svamp, path));
    assert_eq!(holds(&task) + left_out(&task), 723);
    let skills: HashSet<String> = task.skills().into_iter().collect();
    let expected = ["Addition", "Subtraction", "Multiplication", "Common-Division"].map(str::to_owned);
    assert_eq!(skills, HashSet::from(expected));
}

#[test]
fn one_list_reads_like_lines() {
    let folder = tempfile::tempdir().unwrap();
    let record = |n: u32| {
        format!(
            r#"{{"ID": "i{n}", "Body": "Ann has {n} pens and {} cups and 2 hats", "Question": "How many?", "Equation": "( {n}.0 + {}.0 )", "Answer": {}.0, "Type": "Addition"}}"#,
            n + 1,
            n + 3,
            2 * n + 3
        )
    };
    let records: Vec<String> = (0..60).map(record).collect();
    let written = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&settings(Source::Svamp, path))
    };
    let (list, lines) = (
        written("SVAMP.json", format!("\n[{}]\n", records.join(",\n"))),
        written("svamp.jsonl", records.join("\n")),
    );
    assert_eq!(holds(&list), 60);
    assert_eq!(list.splits, lines.splits);
    let said = Benchmark::read(&settings(Source::Math, folder.path().join("MATH")), Arc::default());
    let said = said.unwrap_err().to_string();
    assert!(said.contains("Get MATH from https://github.com/hendrycks/math"), "{said}");
}

#[test]
fn aqua_as_published() {
    let Some(path) = real("aqua/aqua.jsonl") else { return };
    let task = read(&settings(Source::Aqua, path));
    assert_eq!(holds(&task) + left_out(&task), 127);
    let prompt = task.prompt(&task.instances(Split::Validation)[0]);
    assert!(prompt.contains("\nA) ") && prompt.contains("letter of the right option"), "{prompt}");
}

#[test]
fn options_are_found_as_models_write_them() {
    let options: Vec<String> = ["A) 36", "B) 15", "C) a lot"].map(str::to_owned).to_vec();
    let rows = [
        ("so\n#### B", Some("B")),
        ("#### (c)", Some("C")),
        ("#### **A**", Some("A")),
        ("#### 15", Some("B")),
        ("#### a lot", Some("A")),
        ("#### 99", None),
        ("The answer is (B).", Some("B")),
        ("Answer: c", Some("C")),
        ("the answer is B) 15 because", Some("B")),
        ("I choose (A)", Some("A")),
        ("About that answer I know nothing", None),
        ("é(ü)", None),
        ("", None),
    ];
    for (response, expected) in rows {
        assert_eq!(option(response, &options).as_deref(), expected, "{response}");
    }
}

#[test]
fn few_shots_are_of_the_pool_and_never_the_question_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items.jsonl");
    let line = |n: u32| {
        format!(
            r#"{{"question": "Ann has {n} pens and {} cups and {} hats. How many things?", "answer": "Add.\n#### {}"}}"#,
            n + 1,
            n + 2,
            3 * n + 3
        )
    };
    std::fs::write(&path, (0..60).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let task = read(&Settings { style: Style::FewShot(2), ..settings(Source::Gsm8k, path.clone()) });
    for split in ALL {
        let prompt = task.prompt(&task.instances(split)[0]);
        assert_eq!(
            (prompt.matches("Problem: ").count(), prompt.matches("#### ").count()),
            (3, 3),
            "{prompt}"
        );
        assert!(prompt.ends_with("end with a line that holds #### and the number."), "{prompt}");
    }
    assert_eq!(holds(&task), 60);
    let few = Benchmark::read(
        &Settings { style: Style::FewShot(500), ..settings(Source::Gsm8k, path.clone()) },
        Arc::default(),
    );
    assert!(few.unwrap_err().to_string().contains("pool"));
    std::fs::write(&path, format!("{}\n{{\"question\": \"x\"}}", line(1))).unwrap();
    let said = Benchmark::read(&settings(Source::Gsm8k, path), Arc::default()).unwrap_err().to_string();
    assert!(said.contains("items.jsonl, record 2") && said.contains("`answer`"), "{said}");
}

/// A MATH of our own: so many questions per subject and level, fewer in one cell.
fn made(folder: &Path, per_cell: usize) {
    for part in ["train", "test"] {
        for subject in SUBJECTS {
            let place = folder.join(part).join(snake_folder(subject));
            std::fs::create_dir_all(&place).unwrap();
            let mut number = 0;
            for level in LEVELS {
                let count = if (subject, level) == ("Geometry", "Level 1") { per_cell / 2 } else { per_cell };
                for n in 0..count {
                    let record = serde_json::json!({
                        "problem": format!("{part} {subject} {level} number {n}: what is it?"),
                        "level": level, "type": subject,
                        "solution": format!("It is $\\boxed{{\\frac{{{n}}}{{7}}}}$."),
                    });
                    std::fs::write(place.join(format!("{number}.json")), record.to_string()).unwrap();
                    number += 1;
                }
            }
        }
    }
}

fn snake_folder(subject: &str) -> String {
    subject.to_lowercase().replace(" & ", "_and_").replace(' ', "_")
}

#[test]
fn math_has_the_named_splits_of_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), 12);
    let sizes = |validation: &str, test: &str| {
        let splits = (validation.parse().unwrap(), test.parse().unwrap());
        let task = read(&Settings { splits, ..settings(Source::Math, folder.path().to_owned()) });
        assert_eq!(task.name(), format!("math/{validation}"));
        [Split::Validation, Split::Test].map(|split| task.instances(split).len())
    };
    assert_eq!(sizes("val_balanced_subset_1", "test_all"), [35, 414]);
    assert_eq!(sizes("val_balanced_subset_10", "test_balanced_subset_10"), [346, 346]);
    assert_eq!(sizes("val_balanced_subset_50", "algebra_test_all"), [414, 60]);
    assert_eq!(sizes("train_level_1_balanced_1", "number_theory_test_500"), [7, 60]);
    assert_eq!(sizes("counting_and_probability_train_500", "test_balanced_subset_1"), [60, 35]);
    assert_eq!(sizes("debug", "test_all"), [1, 414]);
    for name in
        ["val_balanced_subset_0", "train_level_6_balanced_1", "music_test_all", "", "val_balanced_subset_x"]
    {
        let said = name.parse::<MathSplit>().unwrap_err().to_string();
        assert!(said.contains("val_balanced_subset_K"), "{said}");
    }
    for name in [
        "train_all",
        "test_all",
        "debug",
        "geometry_test_all",
        "intermediate_algebra_train_500",
        "train_level_3_balanced_2",
    ] {
        assert_eq!(name.parse::<MathSplit>().unwrap().to_string(), name);
    }
}

#[test]
fn math_is_balanced_scored_and_reported_by_subject_and_level() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path(), 4);
    for scoring in [Scoring::Strict, Scoring::Parity] {
        let splits = ("val_balanced_subset_2".parse().unwrap(), "test_all".parse().unwrap());
        let task = read(&Settings { splits, scoring, ..settings(Source::Math, folder.path().to_owned()) });
        let mut cells: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for instance in task.instances(Split::Validation) {
            *cells.entry((&instance.facets["subject"], &instance.facets["level"])).or_default() += 1;
            assert_eq!(instance.skill.as_ref(), Some(&instance.facets["subject"]));
        }
        assert!(cells.len() == 35 && cells.values().all(|count| *count == 2), "{cells:?}");
        // Every training question is in the validation split or in the pool.
        assert_eq!(task.instances(Split::Pool).len() + 70, 7 * 5 * 4 - 2);
        holds(&task);
        let first = &task.instances(Split::Validation)[0];
        assert_eq!(first.id, "MATH_train_0");
        let line = task.solution(first);
        assert_eq!(line, "Final Answer: The final answer is $\\boxed{ \\frac{0}{7} }$.");
    }
    let lines = folder.path().join("lines");
    std::fs::create_dir(&lines).unwrap();
    let record = r#"{"problem": "p?", "level": "Level ?", "type": "Algebra", "solution": "$\\boxed{2}$"}"#;
    let open = r#"{"problem": "p?", "level": "Level 1", "type": "Algebra", "solution": "two"}"#;
    std::fs::write(lines.join("train.jsonl"), format!("{record}\n{open}")).unwrap();
    let said =
        Benchmark::read(&settings(Source::Math, lines.clone()), Arc::default()).unwrap_err().to_string();
    assert!(said.contains("train.jsonl, record 2") && said.contains("boxed"), "{said}");
    std::fs::write(lines.join("train.jsonl"), record).unwrap();
    let said = Benchmark::read(&settings(Source::Math, lines.join("train.jsonl")), Arc::default());
    assert!(said.unwrap_err().to_string().contains("no test questions"));
}

/// The gold answers that normalisation damages: strict mode has them as they were written, parity as the reference.
#[test]
fn gold_answers_of_math_are_whole_where_they_are_read_as_mathematics() {
    let folder = tempfile::tempdir().unwrap();
    let answers =
        ["1,2,3", "(-\\infty,5]", "\\left(3,\\frac{\\pi}{2}\\right)", "\\text{no solution}", "\\boxed5"];
    for part in ["train", "test"] {
        let record = |(n, answer): (usize, &&str)| {
            let boxed = if answer.starts_with("\\boxed") {
                "\\boxed 5".to_owned()
            } else {
                format!("\\boxed{{{answer}}}")
            };
            let problem = format!("{part} problem of the kind {n}: what is it?");
            serde_json::json!({"problem": problem, "level": "Level 1", "type": "Algebra", "solution": format!("It is ${boxed}$.")})
                .to_string()
        };
        let lines: Vec<String> = answers.iter().enumerate().map(record).collect();
        std::fs::write(folder.path().join(format!("{part}.jsonl")), lines.join("\n")).unwrap();
    }
    let golds = |scoring| {
        let splits = ("train_all".parse().unwrap(), "test_all".parse().unwrap());
        let task = read(&Settings { splits, scoring, ..settings(Source::Math, folder.path().to_owned()) });
        for instance in task.instances(Split::Test) {
            let gold = instance.content.truth();
            assert!(task.score(instance, &task.solution(instance)).1 || scoring == Scoring::Parity, "{gold}");
            let Content::Mathematics { solution: Some(solution), .. } = &instance.content else { panic!() };
            assert!(solution.ends_with(&format!("$\\boxed{{ {gold} }}$.")), "{solution}");
            let other = if gold == "5" { "6" } else { "123" };
            let other = task.response("", other);
            assert!(!task.score(instance, &other).1 || scoring == Scoring::Parity, "{gold}");
        }
        task.instances(Split::Test).iter().map(|instance| instance.content.truth()).collect::<Vec<_>>()
    };
    assert_eq!(golds(Scoring::Strict), [answers[0], answers[1], answers[2], answers[3], "5"]);
    assert_eq!(
        golds(Scoring::Parity),
        ["123", "(-\\iny,5]", "\\le(3,\\frac{\\pi}{2}\\right)", "nosolution", "5"]
    );
}

/// The acceptance of the reference: rendering a gold answer and scoring it gives at least 99 in 100.
#[test]
fn canonical_lines_of_real_answers_are_right() {
    let Some(path) = real("answer_equivalence/minerva_scoring.jsonl") else { return };
    let golds: HashSet<String> = records::lines(&path)
        .unwrap()
        .into_iter()
        .filter_map(|(_, record)| Some(record.get("gold")?.as_str()?.trim().to_owned()))
        .filter(|gold| !gold.is_empty())
        .collect();
    assert!(golds.len() > 30, "{}", golds.len());
    let line = |gold: &str| response(Form::Expression(Scoring::Strict), "", gold);
    let wrong: Vec<&String> =
        golds.iter().filter(|gold| !crate::tasks::math::score(Scoring::Strict, gold, &line(gold))).collect();
    assert!(wrong.len() * 100 <= golds.len(), "{} of {}: {wrong:?}", wrong.len(), golds.len());
    assert!(golds.iter().all(|gold| !crate::tasks::math::score(Scoring::Strict, gold, "no such thing")));
}

/// What the scorer makes of answers to the student's prompts.
#[test]
fn recorded_answers_are_scored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.jsonl");
    let line = |n: u32| {
        let (april, may) = (2 * n, n);
        let all = april + may;
        format!(
            r#"{{"question": "In April she sold {april} clips, in May half as many. How many clips altogether?", "answer": "{april} + {may} = {all}\n#### {all}"}}"#
        )
    };
    std::fs::write(&path, (20..32).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    for (prompt, style) in [("student_zero_shot", Style::ZeroShot), ("student_few_shot", Style::FewShot(2))] {
        let task = read(&Settings { style, ..settings(Source::Gsm8k, path.clone()) });
        let mut all = ALL.into_iter().flat_map(|split| task.instances(split));
        let clips = all.find(|instance| task.score(instance, "#### 72").1).unwrap();
        for answer in crate::prompts::tests::recorded(prompt) {
            // A model's host ends the answer there.
            let stop = task.stop(clips).iter().filter_map(|stop| answer.reply.find(stop)).min();
            let (found, right) = task.score(clips, &answer.reply[..stop.unwrap_or(answer.reply.len())]);
            let verdict = if right { "right" } else { "wrong" };
            let said = format!("{}, {verdict}", found.unwrap_or_else(|| "nothing".to_owned()));
            assert_eq!(said, answer.expected, "{prompt}: {}", answer.name);
        }
    }
}
