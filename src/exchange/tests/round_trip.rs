//! What is exported and imported is the same.

use proptest::prelude::*;

use super::support::{Generated, data, everything, exported, files, generated, imported, make, order};
use crate::exchange::{Container, Filter, Format, Images, Kind, export_to};
use crate::gym::datum::{JudgedDatum, Verdict};

/// The part of a datum that a training format keeps.
fn kept(judged: &JudgedDatum) -> impl PartialEq + std::fmt::Debug + Ord + use<> {
    let datum = &judged.datum;
    (
        datum.instruction.clone(),
        datum.response.clone(),
        datum.skill.clone(),
        datum.subskill.clone(),
        datum.provenance.iteration,
        judged.verdict.as_str(),
        datum.images.iter().map(|image| (image.sha256.clone(), image.size)).collect::<Vec<_>>(),
    )
}

const CONTAINERS: [Container; 2] = [Container::Jsonl, Container::Parquet];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn records_lose_nothing(from in generated(), inline: bool) {
        let folder = tempfile::tempdir().unwrap();
        let run = make(folder.path(), "a", &from);
        for container in CONTAINERS {
            let name = |what: &str| folder.path().join(format!("{what}-{container:?}"));
            let mut order = order(&run, Format::Records, container);
            order.images = if inline { Images::Inline } else { Images::Files };
            exported(&order, &name("out"));
            imported(&name("out"), &name("run"));
            prop_assert_eq!(everything(&name("run")), everything(&run));
            order.run = name("run");
            exported(&order, &name("again"));
            prop_assert_eq!(files(&name("again")), files(&name("out")));
        }
    }

    #[test]
    fn training_formats_keep_the_words(from in generated()) {
        let folder = tempfile::tempdir().unwrap();
        let run = make(folder.path(), "a", &from);
        for format in Format::ALL.into_iter().filter(|format| *format != Format::Records) {
            for container in CONTAINERS {
                let name = |what: &str| folder.path().join(format!("{what}-{format:?}-{container:?}"));
                let pair = |j: &JudgedDatum| format != Format::Preference || j.datum.rejected_response.is_some();
                let mut wanted: Vec<_> = data(&run).into_iter().filter(|(_, j)| pair(j)).collect();
                let order = order(&run, format, container);
                let summary = exported(&order, &name("out"));
                prop_assert_eq!(summary.data as usize, wanted.len());
                prop_assert_eq!(summary.data + summary.no_pairs, from.data.len() as u64);
                imported(&name("out"), &name("run"));
                let mut found = data(&name("run"));
                // The ULID of a row is the id of the datum that is made of it.
                wanted.sort_by(|a, b| a.0.cmp(&b.0));
                found.sort_by(|a, b| a.1.datum.id.cmp(&b.1.datum.id));
                for ((ulid, before), (_, after)) in wanted.iter().zip(&found) {
                    prop_assert_eq!(ulid, &after.datum.id);
                    prop_assert_eq!(kept(before), kept(after));
                    prop_assert_eq!(&after.datum.provenance.engine, "import");
                    if format == Format::Preference {
                        prop_assert_eq!(&before.datum.rejected_response, &after.datum.rejected_response);
                    }
                }
                prop_assert_eq!(wanted.len(), found.len());
            }
        }
    }

    #[test]
    fn one_seed_gives_the_same_bytes_and_another_seed_others(from in generated()) {
        prop_assume!(!from.data.is_empty());
        let folder = tempfile::tempdir().unwrap();
        let other = Generated { seed: from.seed ^ 1, ..from.clone() };
        let runs = [("a", &from), ("longer-name", &from), ("c", &other)];
        let runs = runs.map(|(name, from)| make(folder.path(), name, from));
        for container in CONTAINERS {
            for format in [Format::Messages, Format::Records] {
                let [a, b, c] = [0, 1, 2].map(|n| {
                    let out = folder.path().join(format!("out-{n}-{format:?}-{container:?}"));
                    exported(&order(&runs[n], format, container), &out);
                    files(&out)
                });
                prop_assert!(a == b);
                prop_assert!(a != c);
            }
        }
    }

    #[test]
    fn a_filter_changes_which_data_and_not_what_they_are(from in generated(), iteration in 1_u32..4) {
        let folder = tempfile::tempdir().unwrap();
        let run = make(folder.path(), "a", &from);
        let mut order = order(&run, Format::PromptCompletion, Container::Jsonl);
        order.images = Images::None;
        let lines = |order: &_| {
            let mut out = Vec::new();
            export_to(order, &mut out).unwrap();
            String::from_utf8(out).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let all = lines(&order);
        order.filter = Filter {
            verdict: Some(Verdict::Accepted),
            iterations: vec![iteration..=iteration],
            skills: from.data.iter().take(4).map(|j| j.datum.skill.clone()).collect(),
        };
        let wanted = |j: &JudgedDatum| {
            j.verdict == Verdict::Accepted
                && j.datum.provenance.iteration == iteration
                && (order.filter.skills.is_empty() || order.filter.skills.contains(&j.datum.skill))
        };
        let of = data(&run).into_iter().zip(&all).filter(|((_, j), _)| wanted(j)).map(|(_, line)| line.clone());
        prop_assert_eq!(lines(&order), of.collect::<Vec<_>>());
    }
}

/// A run without records, whatever the format is.
#[test]
fn an_empty_run_is_exported_and_imported() {
    let folder = tempfile::tempdir().unwrap();
    let from = Generated {
        seed: 1,
        instances: Vec::new(),
        predictions: Vec::new(),
        data: Vec::new(),
        calls: Vec::new(),
        curve: Vec::new(),
        pictures: Vec::new(),
    };
    let run = make(folder.path(), "a", &from);
    for format in Format::ALL {
        for container in CONTAINERS {
            let name = |what: &str| folder.path().join(format!("{what}-{format:?}-{container:?}"));
            exported(&order(&run, format, container), &name("out"));
            assert_eq!(imported(&name("out"), &name("run")).data, 0);
        }
    }
}

#[test]
fn shards_are_numbered_and_read_in_order() {
    use proptest::strategy::ValueTree;
    let folder = tempfile::tempdir().unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut from = generated().new_tree(&mut runner).unwrap().current();
    while from.data.is_empty() {
        from = generated().new_tree(&mut runner).unwrap().current();
    }
    let one = JudgedDatum { verdict: Verdict::Accepted, ..from.data[0].clone() };
    let many = (0..25_000).map(|n| {
        let mut judged = one.clone();
        judged.datum.provenance.iteration = 1 + n / 10_000;
        judged.datum.provenance.round = 0;
        judged.datum.id = format!("i{:03}-r0-{n:05}", 1 + n / 10_000);
        judged.datum.instruction = format!("question {n}");
        judged
    });
    from.data = many.collect();
    let run = make(folder.path(), "a", &from);
    let mut order = order(&run, Format::Records, Container::Parquet);
    (order.shard_bytes, order.kinds) = (1, vec![Kind::Data]);
    let out = folder.path().join("out");
    exported(&order, &out);
    let names: Vec<String> = files(&out).into_iter().map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(
        names,
        [
            "README.md",
            "data/train-00000-of-00003.parquet",
            "data/train-00001-of-00003.parquet",
            "data/train-00002-of-00003.parquet"
        ]
    );
    let place = folder.path().join("run");
    assert_eq!(imported(&out, &place).data, 25_000);
    assert_eq!(data(&place).into_iter().map(|(_, j)| j).collect::<Vec<_>>(), from.data);
}
