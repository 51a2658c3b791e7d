//! What is killed: runs of several kinds, and a training.

/// The run that is killed: images, a teacher that breaks off now and then, two rounds, both splits.
const CONFIGURATION: &str = "
name = \"resume\"
[task]
kind = \"scripted\"
domain = \"visual_question_answering\"
skills = 2
per_skill = 5
[policy]
kind = \"alternating\"
explore = { new_subskills = 1, data_per_subskill = 5 }
[engine]
kind = \"taught\"
data_per_question = 3
[teacher]
model = \"scripted\"
workers = 1
script = { truncated = 0.2 }
[student]
model = \"scripted\"
workers = 1
[trainer]
epochs = 1
[episode]
iterations = 2
rounds = 2
retries = 0
";

/// Added to it where the skills are discovered too.
const DISCOVERED: &str = "
[skills]
kind = \"discovered\"
categories = 2
[environment]
subskills = \"taught\"
";

/// A small run that asks models in every phase that can: the student while it plans, the teacher and the student while
/// it checks.
const ASKED: &str = "
name = \"asked\"
[task]
kind = \"scripted\"
domain = \"mathematics\"
skills = 1
per_skill = 3
[engine]
kind = \"taught\"
data_per_question = 2
[teacher]
model = \"scripted\"
workers = 1
[student]
model = \"scripted\"
workers = 1
[trainer]
epochs = 1
[checks]
votes = 1
known_samples = 1
[episode]
iterations = 1
retries = 0
";

/// Its policy asks the student, and a second model votes.
const SAMPLED: &str = "
[verifier]
model = \"scripted\"
workers = 1
script = { malformed = 0.5 }
[policy]
kind = \"pass_rate_band\"
data = 2
samples = 1
";

/// Its policy asks the teacher.
const GUESSED: &str = "
[environment]
kind = \"skill_list\"
[policy]
kind = \"hypotheses\"
hypotheses = 2
specifications = 1
";

/// A training that keeps its state after every step.
const TRAINING: &str = "
[trainer]
method = \"full\"
epochs = 1
batch_size = 2
save_seconds = 0
";

/// What is learned in it.
pub(super) const LESSONS: &str = r#"{"instruction": "Add 2 and 3.", "response": "2+3=5. #### 5"}
{"instruction": "Add 4 and 3.", "response": "4+3=7. #### 7"}
{"instruction": "Add 1 and 8.", "response": "1+8=9. #### 9"}
{"instruction": "Add 6 and 1.", "response": "6+1=7. #### 7"}
{"instruction": "Add 2 and 2.", "response": "2+2=4. #### 4"}
"#;

/// How the run that is killed is worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// In its folder.
    Local,
    /// On scratch: its folder is on a file system that other machines see.
    Shared,
    /// When it is over, a person rejects a datum; the process that journals that is the one killed.
    Reviewed,
    /// In its folder; the teacher finds the skills first.
    Discovered,
    /// In its folder; models are asked while it plans with pass rates, and while it checks.
    Sampled,
    /// The same with hypotheses of the teacher.
    Guessed,
    /// Not a run: a training by `train`, with the trainer that runs have too.
    Trained,
}

impl Way {
    pub(super) const ALL: [Self; 7] = [
        Self::Local,
        Self::Shared,
        Self::Reviewed,
        Self::Discovered,
        Self::Sampled,
        Self::Guessed,
        Self::Trained,
    ];

    /// Whether it is killed at every answer, though other ways meet those points first.
    pub(super) fn asks(self) -> bool {
        matches!(self, Self::Sampled | Self::Guessed)
    }

    /// The configuration's file and its text.
    pub(super) fn configuration(self) -> (&'static str, String) {
        match self {
            Self::Local | Self::Shared | Self::Reviewed => ("resume.toml", CONFIGURATION.to_owned()),
            Self::Discovered => ("discovered.toml", format!("{CONFIGURATION}{DISCOVERED}")),
            Self::Sampled => ("sampled.toml", format!("{ASKED}{SAMPLED}")),
            Self::Guessed => ("guessed.toml", format!("{ASKED}{GUESSED}")),
            Self::Trained => ("training.toml", TRAINING.to_owned()),
        }
    }
}
