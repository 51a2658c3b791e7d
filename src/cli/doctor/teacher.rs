//! `dataenvgym doctor --teacher`: every prompt put to a person's own model, and what became of its answers.
//!
//! The questions are made and the answers are read by the very code that a run uses: discovery, proposals,
//! policies, engines and checks.

pub(in crate::cli) mod clerk;
mod rounds;
mod sample;

use std::path::PathBuf;
use std::process::ExitCode;

use color_eyre::eyre::{Report, Result, bail, eyre};
use serde::Serialize;

use self::clerk::{Answered, Clerk};
use super::super::config::LayerArgs;
use super::super::{format, scene, work};
use crate::agents::engines::{EngineChoice, TaughtSettings};
use crate::config::{self, Config, Paths};
use crate::gym::ports::{Checkpoint, PortError};
use crate::prompts::Prompts;
use crate::protocol::worker::Role;
use crate::runner::driver::Hands;

/// Reasons that are printed for each prompt.
const REASONS: usize = 3;

/// What became of the answers to one prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Yield {
    /// The prompt, as `name@version`.
    prompt: String,
    /// Questions asked.
    asked: usize,
    /// Answers that had the asked form and nothing around it.
    well_formed: usize,
    /// Answers that could be used after what was around them or wrong in them was seen to.
    repaired: usize,
    /// Answers of which something could not be used.
    malformed: usize,
    /// What was wrong, the first few.
    reasons: Vec<String>,
}

impl Yield {
    fn of(prompt: String, answers: &[&Answered]) -> Self {
        let malformed = answers.iter().filter(|answer| answer.fault.is_some()).count();
        let repaired = answers.iter().filter(|answer| answer.repaired()).count();
        let mut reasons: Vec<String> = Vec::new();
        for fault in answers.iter().filter_map(|answer| answer.fault.as_ref()) {
            if reasons.len() < REASONS && !reasons.contains(fault) {
                reasons.push(fault.clone());
            }
        }
        let asked = answers.len();
        Self { prompt, asked, well_formed: asked - malformed - repaired, repaired, malformed, reasons }
    }
}

/// A teacher at work outside a run, and the configuration it was hired by.
pub(in crate::cli) struct Hired {
    pub(in crate::cli) config: Config,
    pub(in crate::cli) hands: Hands,
    folder: PathBuf,
}

impl Hired {
    /// Loads `model` in the place of the layers' teacher.
    pub(in crate::cli) fn new(paths: &Paths, model: &str) -> Result<Self> {
        let set = format!("teacher.model={}", toml::Value::from(model));
        let layers = LayerArgs { set: vec![set], ..LayerArgs::default() };
        let mut config = config::resolve(&layers.sources(paths)?)?.config;
        config.engine = EngineChoice::Taught(TaughtSettings::default());
        let folder = paths.cache.join("alone").join(std::process::id().to_string());
        std::fs::create_dir_all(&folder)?;
        let mut hands = work::hands(paths, &config, &folder)?;
        let Some(teacher) = hands.teacher.as_mut() else {
            bail!("`{model}` is no teacher: give `embedded`, `scripted`, `endpoint:NAME` or a model folder")
        };
        teacher
            .refresh(&Checkpoint::Full { folder: scene::teacher_weights(paths, &config, Role::Teacher)? })?;
        Ok(Self { config, hands, folder })
    }

    /// It with an empty book.
    pub(in crate::cli) fn clerk(&mut self, paths: &Paths) -> Result<Clerk<'_>> {
        let prompts = Prompts::with(self.config.prompt_set(), &paths.prompts)?;
        let Some(teacher) = self.hands.teacher.as_mut() else { bail!("there is no teacher") };
        Ok(Clerk::new(teacher.as_mut(), prompts))
    }

    /// What went wrong, with the place of the logs.
    pub(in crate::cli) fn told(&self, error: &PortError) -> Report {
        eyre!("{error}\n  the teacher's logs are in {}", self.folder.display())
    }

    /// Ends its workers.
    pub(in crate::cli) fn dismiss(self) {
        drop(self.hands);
        // Nothing in it is wanted any more; what cannot be removed is only untidy.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Asks the model of the layers, with `model` in the place of theirs, `answers` questions of every prompt, and
/// prints the yield. The exit code is 1 when no answer to some prompt could be used.
pub(crate) fn doctor(paths: &Paths, model: &str, answers: u32, json: bool) -> Result<ExitCode> {
    let mut hired = Hired::new(paths, model)?;
    let seed = hired.config.seed;
    let mut clerk = hired.clerk(paths)?;
    let asked = rounds::all(&mut clerk, answers.max(1), seed);
    let yields = clerk.by_prompt().into_iter().map(|(prompt, answers)| Yield::of(prompt, &answers));
    let yields: Vec<Yield> = yields.collect();
    asked.map_err(|error| hired.told(&error))?;
    hired.dismiss();
    print(&yields, json)?;
    let barren = yields.iter().filter(|row| row.well_formed + row.repaired == 0).count();
    Ok(if barren > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(yields: &[Yield], json: bool) -> Result<()> {
    if json {
        for row in yields {
            println!("{}", format::json(row)?);
        }
        return Ok(());
    }
    println!("{:<30} {:>6} {:>12} {:>9} {:>10}", "prompt", "asked", "well-formed", "repaired", "malformed");
    for row in yields {
        let Yield { prompt, asked, well_formed, repaired, malformed, reasons } = row;
        println!("{prompt:<30} {asked:>6} {well_formed:>12} {repaired:>9} {malformed:>10}");
        for reason in reasons {
            println!("{:<30} {}", "", format::on_one_line(reason));
        }
    }
    let sum = |of: fn(&Yield) -> usize| yields.iter().map(of).sum::<usize>();
    let (asked, usable) = (sum(|y| y.asked), sum(|y| y.well_formed + y.repaired));
    println!("\n{usable} of {asked} answers could be used");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_counted_once() {
        let answer = |schema, reply: &str, fault: Option<&str>| Answered {
            prompt: "p@1".into(),
            schema,
            reply: reply.into(),
            fault: fault.map(str::to_owned),
            tokens: 1,
        };
        let answers = [
            answer(true, " {\"a\": 1}\n", None),
            answer(true, "Sure: {\"a\": 1}", None),
            answer(false, "1. Sums: adding", None),
            answer(true, "no", Some("there is no JSON object in it")),
            answer(true, "nor here", Some("there is no JSON object in it")),
        ];
        let row = Yield::of("p@1".into(), &answers.iter().collect::<Vec<_>>());
        assert_eq!((row.asked, row.well_formed, row.repaired, row.malformed), (5, 2, 1, 2));
        assert_eq!(row.reasons, ["there is no JSON object in it"]);
    }
}
