//! What a person reads.

use super::{checked, mistakes};
use crate::config::read;

/// Text, and what each of its messages must say.
#[test]
fn every_mistake_names_its_place_its_key_and_a_remedy() {
    let cases: &[(&str, &[&str])] = &[
        (
            "name = \"x\"\n[episode]\nitertions = 3\n",
            &["my.toml, line 3, column 1: unknown key `itertions` in `episode`; did you mean `iterations`?"],
        ),
        ("[episode]\nepochs = 3\n", &["unknown key `epochs` in `episode`; did you mean `trainer.epochs`?"]),
        ("[episod]\n", &["line 1, column 2: unknown key `episod`; did you mean `episode`?"]),
        ("colour = 1\n", &["unknown key `colour`; known here: `checks`, `endpoints`, `engine`"]),
        (
            "[trainer]\nepochs = \"three\"\nwarmup = 1\n  clip = -2.5\nrank = 0\nupdate = \"retain\"\n",
            &[
                "line 2, column 1: `trainer.epochs` is \"three\"; it takes a whole number from 1",
                "line 3, column 1: `trainer.warmup` is 1; it takes a number from 0 below 1",
                "line 4, column 3: `trainer.clip` is -2.5; it takes a number above 0",
                "line 5, column 1: `trainer.rank` is 0; it takes a whole number from 1",
                "`trainer.update` is \"retain\"; did you mean `retrain`? it can be `retrain`, `continue`",
            ],
        ),
        ("[trainer]\nlearning_rate = nan\n", &["`trainer.learning_rate` is nan; it takes a number above 0"]),
        ("trainer = 3\n", &["`trainer` is 3; it takes a table of keys"]),
        ("name = { first = 1 }\n", &["`name` is a table; it takes letters, digits"]),
        ("name = \"../x\"\n", &["`name` is \"../x\"; it takes letters, digits"]),
        ("[student]\ndevice = \"gpu\"\n", &["`student.device` is \"gpu\"; it takes `cpu`, `cuda:0`"]),
        ("[policy]\nkind = \"best\"\n", &["`policy.kind` is \"best\"; it can be `alternating`"]),
        (
            "[policy]\nexplore = {}\n",
            &[
                "it is a key of the kind `alternating`, `fill_balanced`, `fixed`, `threshold`, and `policy.kind` is `by_error`",
            ],
        ),
        (
            "\n[policy]\nkind = \"fixed\"\nexplore = { new_subskills = 1 }\n",
            &[
                "line 4, column 1: `policy.explore.data_per_subskill` is missing; it takes a whole number from 0",
            ],
        ),
        (
            "[task]\nkind = \"jsonl\"\nfile = \"f\"\nresponse = \"r\"\n",
            &["`task.columns` is missing, which the kind `jsonl` needs; it takes a table of keys"],
        ),
        (
            "[engine]\nkind = \"procedural\"\nspeed = 1\n",
            &["unknown key `speed` in `engine`; known here: `kind`"],
        ),
        (
            "[checks]\nfilter = [\"leak\", \"form\", \"form\"]\n",
            &["`checks.filter[0]` is \"leak\"", "`checks.filter[2]` says \"form\" again"],
        ),
        (
            "[episode]\ngates = \"plan\"\n",
            &["`episode.gates` is \"plan\"; it takes a list of `evaluate`, `plan`"],
        ),
        (
            "[episode]\nplateau = { patience = 0, gain = 2 }\n",
            &["from 1", "`episode.plateau.gain` is 2; it takes a number from 0 to 1"],
        ),
        (
            "seed = 99999999999999999999\n",
            &["line 1, column 1: the whole number 99999999999999999999 is too large"],
        ),
        ("seed = 1\nseed = 2\n", &["my.toml, line 2, column 1: duplicate key"]),
        ("a = \nb = ]\n", &["my.toml, line 1, column", "my.toml, line 2, column"]),
    ];
    for (text, expected) in cases {
        let found: Vec<String> = mistakes(text).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{text}\n{found:#?}");
        for (said, expected) in found.iter().zip(*expected) {
            assert!(said.contains(expected), "{text}\n{said}\n{expected}");
        }
    }
}

#[test]
fn many_mistakes_are_counted_and_outside_text_is_shortened_and_escaped() {
    let text = (0..100).fold(String::new(), |text, n| text + &format!("key_{n} = 1\n"));
    let said = checked(&text).unwrap_err().to_string();
    assert!(said.starts_with("100 mistakes in the configuration\n  my.toml, line 1"), "{said}");
    assert!(said.ends_with("and 60 more"), "{said}");
    let long = "x".repeat(1000);
    let said = checked(&format!("\"\\u001b[2J{long}\" = 1\n[student]\ndevice = \"\\u009b{long}\"\n"));
    let said = said.unwrap_err().to_string();
    assert!(!said.chars().any(|c| c.is_control() && c != '\n') && said.len() < 500, "{said:?}");
}

#[test]
fn a_missing_file_is_named_with_what_there_is() {
    let said = |path: &str| read(path.as_ref()).unwrap_err().to_string();
    assert!(said("no/such.toml").contains("no/such.toml") && said("no/such.toml").contains("quickstart"));
    assert!(said("quickstrt").ends_with("did you mean the ready configuration `quickstart`?"));
    assert!(said("/dev/zero").contains("1 MiB"), "{}", said("/dev/zero"));
}
