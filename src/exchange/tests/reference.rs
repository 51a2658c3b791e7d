//! Experiment folders of the reference system.

use std::fs;
use std::path::{Path, PathBuf};

use super::support::{data, everything, imported, refused};
use crate::exchange::Record;
use crate::gym::decimal::decimal;
use crate::gym::episode::{Episode, Halt};
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::plan::Action;
use crate::store::Reader;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference").join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn episode(run: &Path) -> Episode {
    Reader::open(run).unwrap().episode().unwrap()
}

fn accuracies(episode: &Episode) -> Vec<(Option<f64>, Option<f64>)> {
    let mean = |report: &Option<crate::gym::report::Report>| report.as_ref().map(|r| r.overall.mean);
    episode.iterations.iter().map(|row| (mean(&row.validation), mean(&row.test))).collect()
}

#[test]
fn an_episode_becomes_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let summary = imported(&fixture("episode"), &run);
    assert_eq!((summary.instances, summary.predictions, summary.data), (6, 12, 5));
    for expected in [
        "training_data.jsonl, line 6: the datum 01J00000000000000000",
        "stands a second time and is imported once",
        "images of questions are lost",
        "the report of `toy_code` says 0.2500, the answers say 0.5000",
    ] {
        assert!(summary.notes.iter().any(|note| note.contains(expected)), "{expected}: {:#?}", summary.notes);
    }
    let instances: Vec<TaskInstance> = everything(&run)
        .into_iter()
        .filter_map(|(_, record)| match record {
            Record::Instance(instance) => Some(instance),
            _ => None,
        })
        .collect();
    let Content::Mathematics { answer, solution, .. } = &instances[0].content else { panic!() };
    assert_eq!((answer.as_str(), solution.as_deref().unwrap().lines().count()), ("2", 2));
    let Content::VisualQuestionAnswering { answers, choices, .. } = &instances[2].content else { panic!() };
    assert_eq!((answers.len(), choices.len()), (2, 0));
    let Content::VisualQuestionAnswering { choices, .. } = &instances[3].content else { panic!() };
    assert_eq!(choices.len(), 2);
    let Content::Programming { starter_code, solution, .. } = &instances[4].content else { panic!() };
    assert!(starter_code.is_some() && solution.is_some());

    let data: Vec<_> = data(&run).into_iter().map(|(_, judged)| judged.datum).collect();
    let place = |n: usize| (data[n].skill.as_str(), data[n].subskill.as_str());
    assert_eq!(
        [place(0), place(1), place(4)],
        [("sums", "small sums"), ("sums", "large sums"), ("printing", "")]
    );
    assert_eq!((data[2].images[0].size, data[2].images[0].media_type.as_str()), ((3, 2), "image/png"));
    assert_eq!(data[3].rejected_response.as_deref(), Some("blue"));
    assert!(data.iter().all(|d| d.provenance.engine == "import" && d.provenance.iteration == 1));

    let episode = episode(&run);
    assert_eq!(accuracies(&episode), [(Some(0.5), None), (Some(decimal(5.0 / 6.0)), None)]);
    assert_eq!((episode.selected, episode.halt), (Some(1), Some(Halt::Stopped)));
    assert_eq!((episode.iterations[1].accepted, episode.iterations[1].plans[0].total()), (5, 2));
    let explored = Action::Explore { new_subskills: 2, data_per_subskill: 1 };
    let tree = episode.forest.tree("sums").unwrap();
    assert_eq!(
        (&tree.history[0].action, tree.history[0].accuracy_after, tree.produced()),
        (&explored, Some(1.0), 2)
    );
}

#[test]
fn the_accumulate_train_loop_appends_its_last_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let summary = imported(&fixture("accumulate"), &run);
    let note = "completed_val_task_instances.jsonl: 2 evaluations in one file (lines 1-2, 3-4)";
    assert!(summary.notes.iter().any(|found| found.contains(note)), "{:#?}", summary.notes);
    let episode = episode(&run);
    let expected = [(Some(0.0), Some(0.0)), (Some(0.5), Some(0.0)), (Some(1.0), Some(1.0))];
    assert_eq!(accuracies(&episode), expected);
    assert_eq!((episode.selected, episode.halt), (Some(2), Some(Halt::Finished)));
    let iterations: Vec<u32> =
        data(&run).iter().map(|(_, judged)| judged.datum.provenance.iteration).collect();
    assert_eq!(iterations, [1, 2]);
}

#[test]
fn a_second_run_in_the_same_folder_is_reported_and_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let (mixed, run) = (folder.path().join("mixed"), folder.path().join("run"));
    copy(&fixture("episode"), &mixed);
    let path = mixed.join("iteration_1/completed_val_task_instances.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"was_correct\": true", "\"was_correct\": false") + &text).unwrap();
    let summary = imported(&mixed, &run);
    let note = "2 runs wrote into one file (lines 1-6, 7-12); only the last is imported";
    assert!(summary.notes.iter().any(|found| found.contains(note)), "{:#?}", summary.notes);
    assert_eq!(accuracies(&episode(&run))[1].0, Some(decimal(5.0 / 6.0)));
}

#[test]
fn damage_is_named_by_file_and_line() {
    for (file, line, broken, expected) in [
        ("iteration_0/completed_val_task_instances.jsonl", 2, "{\"ulid\": \"x\"}", "`x` is no ULID"),
        ("iteration_0/completed_val_task_instances.jsonl", 3, "{\"a\"", "not JSON"),
        (
            "iteration_1/training_data.jsonl",
            1,
            "{\"ulid\": \"a\", \"instruction\": \"b\"}",
            "either `response`, or",
        ),
        ("iteration_0/val_performance_reports.jsonl", 1, "{\"task_name\": \"a\"}", "missing field"),
        ("past_experiences.jsonl", 1, "[{\"sums\": 1}]", "no experiences"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        copy(&fixture("episode"), folder.path());
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        lines[line - 1] = broken;
        fs::write(&path, lines.join("\n")).unwrap();
        let said = refused(folder.path());
        let place = if file.starts_with("past") { file.to_owned() } else { format!("{file}, line {line}: ") };
        assert!(said.contains(&place) && said.contains(expected), "{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&fixture("episode"), folder.path());
    let summary = {
        fs::create_dir(folder.path().join("iteration_4")).unwrap();
        imported(folder.path(), &folder.path().join("run"))
    };
    assert!(summary.notes.iter().any(|note| note.contains("without a folder: 2, 3")), "{:?}", summary.notes);
}

#[test]
fn whether_an_instance_of_a_test_split_is_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    imported(&fixture("accumulate"), &run);
    let split = |wanted| {
        let mut count = 0;
        Reader::open(&run).unwrap().each_instance(wanted, |_| count += 1).unwrap();
        count
    };
    assert_eq!((split(Split::Validation), split(Split::Test)), (2, 1));
}
