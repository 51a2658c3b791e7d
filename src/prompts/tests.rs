//! Golden renderings, replacements, and the answers recorded for the readers.

use super::*;

/// An answer that a model might give, and what reading it comes to.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Recorded {
    /// Its kind: `well_formed`, `truncated`, `duplicate`, `hostile`, `off_topic`.
    pub(crate) name: String,
    /// The whole answer.
    pub(crate) reply: String,
    /// What its reader makes of it, as one line.
    pub(crate) expected: String,
}

/// The line of a reading.
pub(crate) fn summary(read: Result<String, String>) -> String {
    read.unwrap_or_else(|reason| format!("refused: {reason}"))
}

/// The recorded answers to a prompt.
pub(crate) fn recorded(prompt: &str) -> Vec<Recorded> {
    #[derive(serde::Deserialize)]
    struct File {
        answer: Vec<Recorded>,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/replies");
    let text = std::fs::read_to_string(folder.join(format!("{prompt}.toml"))).unwrap();
    let file: File = toml::from_str(&text).unwrap();
    for kind in ["well_formed", "truncated", "duplicate", "hostile", "off_topic"] {
        assert!(file.answer.iter().any(|answer| answer.name.starts_with(kind)), "{prompt} lacks {kind}");
    }
    file.answer
}

#[test]
fn golden_renderings() {
    for prompt in BUILT_IN {
        let rendered = Prompts::default().render(prompt.name, &prompt.sample()).unwrap();
        assert_eq!(rendered.name, format!("{}@{}", prompt.name, prompt.version));
        insta::assert_snapshot!(format!("{}_{}", prompt.name, prompt.version), rendered.text);
    }
}

/// The same prompt without anything that can be left out: no skill, no errors, no headings.
#[test]
fn golden_rendering_of_the_shortest_exercise() {
    let values = serde_json::json!({"skill": "", "subskill": "", "count": 2, "written": [], "shown": [],
                                    "headings": false});
    let rendered = Prompts::default().render("mathematics", &values).unwrap();
    insta::assert_snapshot!("mathematics_2_shortest", rendered.text);
}

#[test]
fn compact_texts_are_filled_like_those_they_stand_for() {
    let prompts = Prompts::of(PromptSet::Compact);
    for compact in COMPACT {
        let built_in = BUILT_IN.iter().find(|prompt| prompt.name == compact.name).unwrap();
        let rendered = prompts.render(compact.name, &built_in.sample()).unwrap();
        assert_eq!(rendered.name, format!("{}@compact-{}", compact.name, compact.version));
        insta::assert_snapshot!(format!("compact_{}_{}", compact.name, compact.version), rendered.text);
    }
    let exercise = |subskill: &str, skill: &str, shown: &[&str]| {
        let shown: Vec<_> = shown.iter().map(|text| serde_json::json!({"question": text})).collect();
        let values = serde_json::json!({"skill": skill, "subskill": subskill, "shown": shown});
        prompts.render("mathematics", &values).unwrap().text
    };
    assert_eq!(exercise("carry", "add", &["1?"]), "exercise for add: carry");
    assert_eq!(exercise("", "add", &["1?", "2?"]), "exercise like: 1?");
    assert_eq!(exercise("", "add", &[]), "exercise for add");
    assert_eq!(exercise("", "", &[]), "exercise");
    assert_eq!(prompts.render("label", &BUILT_IN[4].sample()).unwrap().name, "label@1");
}

#[test]
fn a_folder_replaces_prompts_by_name() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Prompts::with(PromptSet::Standard, &folder.path().join("none")).unwrap(), Prompts::default());
    std::fs::write(folder.path().join("solve.txt"), "Solve: {{ question }}").unwrap();
    std::fs::write(folder.path().join("notes.md"), "not a prompt").unwrap();
    let prompts = Prompts::with(PromptSet::Standard, folder.path()).unwrap();
    let rendered = prompts.render("solve", &serde_json::json!({"question": "2+2?"})).unwrap();
    assert_eq!(rendered.text, "Solve: 2+2?");
    assert!(rendered.name.starts_with("solve@") && rendered.name.len() == "solve@".len() + 8);
    let said = |name: &str, text: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        Prompts::with(PromptSet::Standard, folder.path()).unwrap_err().to_string()
    };
    let unknown = said("sovle.txt", "");
    assert!(unknown.contains("sovle.txt") && unknown.contains("solve.txt"), "{unknown}");
    let misspelt = said("solve.txt", "one\n{{ qestion }}");
    assert!(misspelt.contains("line 2: undefined") && misspelt.contains("given: question"), "{misspelt}");
    let broken = said("solve.txt", "{% if %}");
    assert!(broken.contains("solve.txt") && broken.contains("line 1"), "{broken}");
}
