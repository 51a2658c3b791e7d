//! Schema, checks and types say the same of every file.

use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use proptest::prelude::*;
use toml::Value;

use super::{checked, mistakes};
use crate::config::schema::{shape, text};
use crate::config::shape::Shape;
use crate::config::{Origin, READY};

/// The committed schema in a validator that knows nothing of this program.
struct Judge {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Judge {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let schema = serde_json::from_str(&committed()).unwrap();
        compiler.add_resource("schema.json", schema).unwrap();
        let index = compiler.compile("schema.json", &mut schemas).unwrap();
        Self { schemas, index }
    }

    fn accepts(&self, text: &str) -> bool {
        let Ok(table) = toml::from_str::<toml::Table>(text) else { return false };
        self.schemas.validate(&serde_json::to_value(table).unwrap(), self.index).is_ok()
    }
}

fn configs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs")
}

fn committed() -> String {
    std::fs::read_to_string(configs().join("schema.json")).unwrap()
}

#[test]
fn the_committed_schema_is_current() {
    assert!(
        committed() == text(),
        "configs/schema.json is out of date: `cargo run --release -- config schema > configs/schema.json`"
    );
}

/// What the shape does not understand would be checked nowhere.
#[test]
fn the_shape_understands_every_part_of_the_schema() {
    fn check(shape: &Shape, path: &str) {
        match shape {
            Shape::Any => panic!("`{path}` is not understood"),
            Shape::Table(fields) => {
                for (key, field) in fields {
                    check(&field.shape, &format!("{path}.{key}"));
                }
            }
            Shape::Kinds { kinds, .. } => {
                for (key, field) in kinds.values().flatten() {
                    check(&field.shape, &format!("{path}.{key}"));
                }
            }
            Shape::Map(item) | Shape::Array { item, .. } => check(item, path),
            Shape::Text { pattern: Some(pattern), .. } => {
                regex::Regex::new(pattern).unwrap_or_else(|error| panic!("{path}: {error}"));
            }
            _ => {}
        }
    }
    check(shape(), "");
    assert!(shape().paths().len() > 50);
    for key in ["policy", "engine", "task"] {
        let found = shape().at(&[key.to_owned()]);
        assert!(matches!(found.as_slice(), [Shape::Kinds { tag, .. }] if tag == "kind"), "{key}");
    }
}

#[test]
fn every_key_is_described() {
    fn check(value: &serde_json::Value, path: &str) {
        for (key, property) in value["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            let said = property["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(said || property.get("const").is_some(), "{path} has no docstring");
            check(property, &path);
        }
        for choice in value["oneOf"].as_array().into_iter().flatten() {
            check(choice, path);
        }
    }
    check(&serde_json::from_str(&text()).unwrap(), "");
}

#[test]
fn every_file_of_the_project_is_valid() {
    let judge = Judge::new();
    let mut seen = 0;
    for path in std::fs::read_dir(configs()).unwrap().map(|entry| entry.unwrap().path()) {
        // The keys of the screen are no run's configuration.
        if path.extension().is_some_and(|extension| extension == "toml") && !path.ends_with("keymap.toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(judge.accepts(&text), "{}", path.display());
            checked(&text).unwrap_or_else(|error| panic!("{error}"));
            seen += 1;
        }
    }
    assert!(seen >= READY.len());
}

/// Partial files are valid: the defaults supply the rest.
const VALID: &[&str] = &[
    "",
    "name = \"a-b_c.9\"\nseed = 9223372036854775807\n",
    "[task]\ntest_per_skill = 3\n",
    "[policy]\ndata = 3\n",
    "[policy]\nkind = \"fixed\"\nexplore = { new_subskills = 1, data_per_subskill = 2 }\n",
    "[policy]\nkind = \"random\"\n",
    "[engine]\nkind = \"taught\"\ntop_p = 1\n",
    "[task]\nkind = \"scripted\"\ndomain = \"programming\"\n",
    "[task]\nkind = \"jsonl\"\nfile = \"f\"\nresponse = \"r\"\ncolumns = { question = [], answer = \"a\" }\nrename_skills = { a = \"b\" }\nscoring = \"parity\"\n",
    "[student]\ndevice = \"cuda:12\"\nscript = { skill = 0, ceiling = 1 }\n",
    "[trainer]\nwarmup = 0.0\nlearning_rate = 1\nepochs = 1_000\nmax_length = 0xff\nclip = 1_0.2_5e0_1\n",
    "[checks]\nfilter = []\n",
    "[episode]\ngates = [\"plan\", \"plan\"]\nplateau = { patience = 1 }\n",
    "[environment]\nkind = \"open_ended\"\nstate = \"none\"\n",
];

const INVALID: &[&str] = &[
    "nam = \"x\"\n",
    "name = 3\n",
    "name = \"\"\n",
    "name = \".x\"\n",
    "name = \"a/b\"\n",
    "seed = -1\n",
    "seed = 1.5\n",
    "task = \"arithmetic\"\n",
    "[task]\nkind = \"jsonl\"\n",
    "[task]\nkind = \"arithmetic\"\nskills = 3\n",
    "[task]\ndomain = \"programming\"\n",
    "[task]\nkind = \"scripted\"\ndomain = \"cooking\"\n",
    "[task]\nkind = \"jsonl\"\nfile = \"f\"\nresponse = \"r\"\ncolumns = { question = \"q\", answer = \"a\" }\n",
    "[task]\nkind = \"jsonl\"\nfile = \"f\"\nresponse = \"r\"\ncolumns = { question = [1], answer = \"a\" }\n",
    "[task]\nkind = \"jsonl\"\nfile = \"f\"\nresponse = \"r\"\ncolumns = { question = [], answer = \"a\" }\nrename_skills = { a = 1 }\n",
    "[task]\nkind = \"jsonl\"\nfile = \"f\"\nresponse = \"r\"\ncolumns = { question = [], answer = \"a\" }\nscoring = \"exact\"\n",
    "[student]\nworkers = 4294967296\n",
    "[student]\ndevice = \"cuda:x\"\n",
    "[student]\nin_flight = 0\n",
    "[student]\nscript = { skill = 1.5 }\n",
    "[student]\nscript = { skil = 0.5 }\n",
    "[trainer]\nmethod = \"qlora\"\n",
    "[trainer]\nlearning_rate = 0\n",
    "[trainer]\nlearning_rate = true\n",
    "[trainer]\nwarmup = 1\n",
    "[trainer]\nweight_decay = -0.1\n",
    "[environment]\nkind = \"skill tree\"\n",
    "[policy]\nkind = \"fixed\"\nexplore = { new_subskills = 1 }\n",
    "[policy]\nkind = 3\n",
    "[policy]\nkind = \"threshold\"\ngain = 2\n",
    "[policy]\nkind = \"alternating\"\nexplore = { new_subskills = 1 }\n",
    "[engine]\nkind = \"procedural\"\nspeed = 2\n",
    "[engine]\nkind = \"taught\"\ntop_p = 0\n",
    "[teacher]\nscript = { truncated = -0.1 }\n",
    "[checks]\nfilter = [\"leakage\", \"leakage\"]\n",
    "[checks]\nfilter = [\"spelling\"]\n",
    "[episode]\nrounds = 0\n",
    "[episode]\nminutes = -1\n",
    "[episode]\ngates = [\"sleep\"]\n",
    "[episode]\nplateau = {}\n",
    "[episode]\nplateau = { patience = 0 }\n",
    "[episode]\ntest_every_iteration = 1\n",
    "name = 1979-05-27\nbroken",
];

#[test]
fn samples_are_judged_alike() {
    let judge = Judge::new();
    for text in VALID {
        checked(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert!(judge.accepts(text), "{text}");
    }
    for text in INVALID {
        assert!(!mistakes(text).is_empty() && !judge.accepts(text), "{text}");
    }
}

/// JSON has one type of numbers, without NaN and infinity; TOML has two, with them.
#[test]
fn numbers_differ_where_json_cannot_say_what_toml_says() {
    let judge = Judge::new();
    assert!(judge.accepts("seed = 3.0\n") && checked("seed = 3.0\n").is_err());
    assert!(checked("[trainer]\nclip = inf\n").is_err());
}

/// A value that may or may not fit somewhere.
fn value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("arithmetic"),
        Just("scripted"),
        Just("jsonl"),
        Just("fixed"),
        Just("threshold"),
        Just("taught"),
        Just("selection"),
        Just("programming"),
        Just("plan"),
        Just("answer"),
        Just("cpu"),
        Just("none"),
        Just(""),
        Just("lora"),
        Just("skill_list"),
        Just("f"),
    ];
    let leaf = prop_oneof![
        word.prop_map(|word| Value::String(word.to_owned())),
        prop_oneof![Just(-1_i64), Just(0), Just(1), Just(7), Just(1 << 32), Just(i64::MAX)]
            .prop_map(Value::Integer),
        // Never a whole number: those are the known difference.
        prop_oneof![Just(-0.5), Just(0.25), Just(1.5)].prop_map(Value::Float),
        any::<bool>().prop_map(Value::Boolean),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = prop_oneof![
            Just("kind"),
            Just("explore"),
            Just("new_subskills"),
            Just("data_per_subskill"),
            Just("data"),
            Just("gain"),
            Just("patience"),
            Just("skill"),
            Just("question"),
            Just("answer"),
            Just("domain"),
            Just("other"),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map(key, inner, 0..4).prop_map(|entries| {
                Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

fn put(document: &mut toml::Table, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        document.insert(key.clone(), value);
    } else if let Value::Table(inner) =
        document.entry(key.clone()).or_insert_with(|| Value::Table(toml::Table::new()))
    {
        put(inner, rest, value);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Any values at any known places: schema and program agree, and the types take what the shape allows.
    #[test]
    fn random_documents_are_judged_alike(
        changes in prop::collection::vec((any::<prop::sample::Index>(), value()), 0..5)
    ) {
        thread_local!(static JUDGE: Judge = Judge::new());
        let paths = shape().paths();
        let mut document = toml::Table::new();
        for (at, value) in changes {
            put(&mut document, at.get::<Vec<String>>(&paths), value);
        }
        let text = toml::to_string(&document).unwrap();
        let found = checked(&text);
        prop_assert_eq!(found.is_ok(), JUDGE.with(|judge| judge.accepts(&text)), "{}\n{:?}", text, found.err());
        if let Err(crate::config::ConfigError::Invalid(found)) = found {
            prop_assert!(found.0.iter().all(|mistake| mistake.origin != Origin::BuiltIn), "{}\n{}", text, found);
        }
    }
}

#[test]
fn words_of_keys_come_from_the_schema() {
    let kinds = crate::config::choices("environment.kind");
    assert_eq!(kinds, ["open_ended", "skill_list", "skill_tree"]);
    assert!(crate::config::choices("policy.kind").contains(&"by_error".to_owned()));
    assert_eq!(crate::config::choices("environment.state"), ["with", "none"]);
    assert!(crate::config::choices("seed").is_empty() && crate::config::choices("no.such.key").is_empty());
}
