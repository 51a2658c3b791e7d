//! Reading a configuration, with messages that name file, line, key and remedy.

use std::path::{Path, PathBuf};

use super::suggest::nearest;
use super::{Config, TaskConfig};

/// The configurations compiled into the program, by name.
pub const BUILT_IN: &[(&str, &str)] = &[("quickstart", include_str!("../../configs/quickstart.toml"))];

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}{hint}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What to do.
        hint: String,
    },
    /// The file does not say what a configuration says.
    #[error("{origin}: {message}{hint}")]
    Invalid {
        /// File, and line where it is known.
        origin: String,
        /// What is wrong.
        message: String,
        /// What to do, with its own punctuation; may be empty.
        hint: String,
    },
}

/// A compiled-in configuration.
pub fn built_in(name: &str) -> Option<Result<Config, ConfigError>> {
    let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    Some(parse(text, &format!("built-in configuration `{name}`")))
}

/// Reads a file. A relative path in it starts at its folder; what is returned names absolute paths, so that
/// the copy in a run folder means the same.
pub fn read(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| {
        let names = BUILT_IN.iter().map(|(name, _)| *name);
        let hint = format!("\n  built-in configurations: {}", names.collect::<Vec<_>>().join(", "));
        ConfigError::Unreadable { path: path.to_owned(), source, hint }
    })?;
    let mut config = parse(&text, &path.display().to_string())?;
    let base = path.parent().unwrap_or(Path::new("."));
    let absolute = |path: &Path| {
        let joined = base.join(path);
        joined.canonicalize().or_else(|_| std::path::absolute(&joined)).unwrap_or(joined)
    };
    if let TaskConfig::Jsonl { file, .. } = &mut config.task {
        *file = absolute(file);
    }
    if !matches!(config.student.model.as_str(), "embedded" | "scripted") {
        config.student.model = absolute(Path::new(&config.student.model)).display().to_string();
    }
    Ok(config)
}

/// Reads a text; `origin` names it in messages.
pub fn parse(text: &str, origin: &str) -> Result<Config, ConfigError> {
    let config: Config = toml::from_str(text).map_err(|error| explain(text, origin, &error))?;
    check(&config).map_err(|message| ConfigError::Invalid {
        origin: origin.to_owned(),
        message,
        hint: String::new(),
    })?;
    Ok(config)
}

/// Turns the parser's complaint into one line with position, and a suggestion for a mistyped key.
fn explain(text: &str, origin: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let origin = line.map_or_else(|| origin.to_owned(), |line| format!("{origin}, line {line}"));
    let message = error.message().to_owned();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let hint = match quoted.split_first() {
        Some((wrong, known)) if message.starts_with("unknown") => nearest(wrong, known.iter().copied())
            .map(|word| format!("\n  did you mean `{word}`?"))
            .unwrap_or_default(),
        _ => String::new(),
    };
    ConfigError::Invalid { origin, message, hint }
}

/// What the types cannot say.
fn check(config: &Config) -> Result<(), String> {
    let trainer = &config.trainer;
    let positive = |key: &str, value: f64| {
        (value > 0.0 && value.is_finite())
            .then_some(())
            .ok_or_else(|| format!("`{key}` must be above 0, it is {value}"))
    };
    positive("trainer.learning_rate", trainer.learning_rate)?;
    positive("trainer.clip", trainer.clip)?;
    positive("trainer.alpha", trainer.alpha)?;
    positive("trainer.rank", f64::from(trainer.rank))?;
    positive("trainer.epochs", f64::from(trainer.epochs))?;
    positive("trainer.batch_size", f64::from(trainer.batch_size))?;
    positive("trainer.max_length", f64::from(trainer.max_length))?;
    positive("student.in_flight", f64::from(config.student.in_flight))?;
    positive("student.max_tokens", f64::from(config.student.max_tokens))?;
    if !(0.0..1.0).contains(&trainer.warmup) {
        return Err(format!("`trainer.warmup` must lie in 0..1, it is {}", trainer.warmup));
    }
    positive("trainer.micro_tokens", f64::from(trainer.micro_tokens))?;
    for (key, share) in [("trainer.replay", trainer.replay), ("trainer.held_out", trainer.held_out)] {
        if !(0.0..1.0).contains(&share) {
            return Err(format!("`{key}` must lie in 0..1, it is {share}"));
        }
    }
    if trainer.patience > 0 && trainer.held_out <= 0.0 {
        return Err("`trainer.patience` needs held-out examples: give `trainer.held_out` a share".to_owned());
    }
    let name = &config.name;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(format!("`name` must be letters, digits, `-`, `_` or `.`, it is {name:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "name = \"x\"\n[task]\nkind = \"arithmetic\"\n";

    fn message(text: &str) -> String {
        parse(text, "my.toml").unwrap_err().to_string()
    }

    #[test]
    fn every_built_in_configuration_is_valid_and_survives_a_round_trip() {
        for (name, _) in BUILT_IN {
            let config = built_in(name).unwrap().unwrap();
            assert_eq!(parse(&toml::to_string(&config).unwrap(), "again").unwrap(), config);
        }
        assert!(built_in("nothing").is_none());
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line_and_a_suggestion() {
        let text = format!("{MINIMAL}[episode]\nitertions = 3\n");
        let said = message(&text);
        assert!(said.contains("my.toml, line 5") && said.contains("`itertions`"), "{said}");
        assert!(said.contains("did you mean `iterations`?"), "{said}");
    }

    #[test]
    fn bad_values_are_named_by_key() {
        let with = |section: &str| message(&format!("{MINIMAL}{section}"));
        assert!(with("[trainer]\nlearning_rate = 0\n").contains("trainer.learning_rate"));
        assert!(with("[trainer]\nwarmup = 1.5\n").contains("trainer.warmup"));
        assert!(with("[trainer]\nepochs = \"three\"\n").contains("line 5"));
        assert!(message("name = \"../x\"\n[task]\nkind = \"arithmetic\"\n").contains("`name`"));
        assert!(message("name = \"x\"\n").contains("task"));
    }

    #[test]
    fn the_copy_in_a_run_folder_means_the_same_files() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        std::fs::create_dir_all(&one).unwrap();
        std::fs::create_dir_all(&two).unwrap();
        let text = "name = \"x\"\n[task]\nkind = \"jsonl\"\nfile = \"../items.jsonl\"\nresponse = \"{a}\"\n\
                    columns = { question = [\"q\"], answer = \"a\" }\n[student]\nmodel = \"m\"\n";
        std::fs::write(one.join("c.toml"), text).unwrap();
        let first = read(&one.join("c.toml")).unwrap();
        std::fs::write(two.join("c.toml"), toml::to_string(&first).unwrap()).unwrap();
        assert_eq!(read(&two.join("c.toml")).unwrap(), first);
        assert!(Path::new(&first.student.model).is_absolute());
    }

    #[test]
    fn a_missing_file_is_named() {
        let said = read(Path::new("no/such.toml")).unwrap_err().to_string();
        assert!(said.contains("no/such.toml") && said.contains("quickstart"), "{said}");
    }
}
