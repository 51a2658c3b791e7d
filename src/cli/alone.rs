//! Students outside a run: `eval` scores one on a task, `chat` asks it.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use color_eyre::eyre::{Result, bail, eyre};
use serde::Serialize;

use super::{format, launch, placement, scene, work};
use crate::config::{Config, ENDPOINT, Paths};
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::{ChatReply, ChatRequest, Checkpoint, Sampling, Student};
use crate::gym::prediction::Prediction;
use crate::gym::report::Report;
use crate::prompts::Prompts;
use crate::store::put_artifact;

/// Which student.
#[derive(Debug, Args)]
pub(super) struct StudentArgs {
    /// A configuration file, or the name of a built-in one.
    #[arg(long, value_name = "FILE", default_value = "quickstart")]
    config: String,
    /// `embedded`, `hub:ORGANISATION/NAME@REVISION`, a model folder, or a GGUF file to be asked [default: the
    /// configuration's].
    #[arg(long, value_name = "FOLDER")]
    student: Option<String>,
    /// A PEFT adapter folder on top of it.
    #[arg(long, value_name = "FOLDER")]
    adapter: Option<PathBuf>,
}

impl StudentArgs {
    /// The weights meant, which can be trained.
    pub(super) fn checkpoint(&self, paths: &Paths, config: &Config) -> Result<Checkpoint> {
        self.upon(scene::base(paths, config)?)
    }

    /// The weights meant, to be asked: without an adapter they may be a GGUF file.
    fn asked(&self, paths: &Paths, config: &Config) -> Result<Checkpoint> {
        if self.adapter.is_some() || config.student.model.starts_with(ENDPOINT) {
            return self.checkpoint(paths, config);
        }
        self.upon(scene::weights(paths, &config.student.model)?)
    }

    fn upon(&self, base: PathBuf) -> Result<Checkpoint> {
        let Some(adapter) = &self.adapter else { return Ok(Checkpoint::Full { folder: base }) };
        if !adapter.join("adapter_config.json").is_file() {
            bail!("{} is no adapter: it has no adapter_config.json", adapter.display());
        }
        Ok(Checkpoint::Adapter { base, adapter: std::path::absolute(adapter)? })
    }
}

/// The configuration meant, with the command line's student.
pub(super) fn configuration(paths: &Paths, args: &StudentArgs) -> Result<Config> {
    let mut config = launch::named(paths, &args.config)?;
    if let Some(student) = &args.student {
        config.student.model.clone_from(student);
    }
    Ok(config)
}

/// What an evaluation is given.
#[derive(Debug, Args)]
pub(super) struct EvalArgs {
    #[command(flatten)]
    student: StudentArgs,
    /// `validation`, `test` or `pool`.
    #[arg(long, default_value = "validation", value_parser = split)]
    split: Split,
    /// Only the first questions.
    #[arg(long)]
    limit: Option<usize>,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

fn split(word: &str) -> Result<Split, String> {
    let found =
        [Split::Validation, Split::Test, Split::Pool].into_iter().find(|split| split.as_str() == word);
    found.ok_or_else(|| "expected `validation`, `test` or `pool`".to_owned())
}

/// Hands a student to `work`, which asks it at most so many questions at once. Its logs are kept when something goes
/// wrong.
fn with_student<T>(
    paths: &Paths,
    (args, questions): (&StudentArgs, usize),
    work: impl FnOnce(&Config, &Path, &mut dyn Student) -> Result<T>,
) -> Result<T> {
    let config = configuration(paths, args)?;
    let checkpoint = args.asked(paths, &config)?;
    placement::of_student(&config, &checkpoint, questions)?;
    let folder = paths.cache.join("alone").join(std::process::id().to_string());
    std::fs::create_dir_all(&folder)?;
    let mut hands = work::hands(paths, &config, &folder)?;
    hands.student.refresh(&checkpoint)?;
    let result = work(&config, &folder, hands.student.as_mut());
    drop(hands);
    match result {
        Ok(done) => {
            // Nothing in it is wanted any more; what cannot be removed is only untidy.
            let _ = std::fs::remove_dir_all(&folder);
            Ok(done)
        }
        Err(error) => Err(eyre!("{error:#}\n  the student's logs are in {}", folder.display())),
    }
}

/// What an evaluation found, and how long it took.
#[derive(Debug, Serialize)]
struct Evaluation {
    #[serde(flatten)]
    report: Report,
    #[serde(flatten)]
    speed: Speed,
}

/// How fast a student answered. Its loading is in the seconds, and not in the rates: those count what came after the
/// first answer, and nothing came after a single one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Speed {
    seconds: f64,
    answers_per_second: Option<f64>,
    tokens_per_second: Option<f64>,
}

impl Speed {
    /// Of answers with so many tokens each, in the order in which they came, the first of them after `loading`.
    fn of(tokens: &[u32], whole: Duration, loading: Duration) -> Self {
        let later = tokens.get(1..).filter(|later| !later.is_empty());
        let answering = whole.saturating_sub(loading).as_secs_f64().max(1e-6);
        let rate = |sum: fn(&[u32]) -> f64| later.map(|later| sum(later) / answering);
        Self {
            seconds: whole.as_secs_f64(),
            answers_per_second: rate(|later| later.len() as f64),
            tokens_per_second: rate(|later| later.iter().map(|n| f64::from(*n)).sum()),
        }
    }

    fn words(self) -> String {
        let mut words = format!("{:.1} s with loading", self.seconds);
        if let (Some(answers), Some(tokens)) = (self.answers_per_second, self.tokens_per_second) {
            // Writing into a string cannot fail.
            let _ = write!(words, ", then {answers:.1} answers/s, {tokens:.0} tokens/s");
        }
        words
    }
}

/// `dataenvgym eval`.
pub(super) fn eval(paths: &Paths, args: &EvalArgs) -> Result<ExitCode> {
    let questions = args.limit.unwrap_or(usize::MAX);
    let found = with_student(paths, (&args.student, questions), |config, folder, student| {
        let task = scene::task(config, &Arc::new(Prompts::with(config.prompt_set(), &paths.prompts)?))?;
        let instances = task.instances(args.split);
        let instances = &instances[..args.limit.unwrap_or(instances.len()).min(instances.len())];
        // Where the student finds what the questions show.
        for image in instances.iter().flat_map(|instance| instance.content.images()) {
            if let Some(bytes) = task.image(image) {
                put_artifact(folder, &bytes, &image.media_type, image.size)?;
            }
        }
        let requests: Vec<ChatRequest> = instances.iter().map(|instance| task.request(instance)).collect();
        let terminal = std::io::stderr().is_terminal();
        let mut scored: Vec<(&TaskInstance, Prediction)> = Vec::new();
        let (began, mut loading) = (Instant::now(), None);
        student.answer(&requests, &mut |index, reply: ChatReply| {
            loading.get_or_insert_with(|| began.elapsed());
            if let Some(instance) = instances.get(index) {
                scored.push((instance, judged(task.as_ref(), instance, reply)));
            }
            if terminal {
                eprint!("\r\x1b[K{} of {}", scored.len(), requests.len());
            }
            ControlFlow::Continue(())
        })?;
        let whole = began.elapsed();
        if terminal {
            eprint!("\r\x1b[K");
        }
        let tokens: Vec<u32> = scored.iter().map(|(_, prediction)| prediction.tokens).collect();
        scored.sort_by_key(|(instance, _)| instances.iter().position(|other| other.id == instance.id));
        let pairs: Vec<_> = scored.iter().map(|(instance, prediction)| (*instance, prediction)).collect();
        let nothing = || eyre!("task `{}` has no {} questions", task.name(), args.split.as_str());
        let report = Report::new(0, args.split, &pairs).ok_or_else(nothing)?;
        Ok(Evaluation { report, speed: Speed::of(&tokens, whole, loading.unwrap_or(whole)) })
    })?;
    if args.json {
        println!("{}", format::json(&found)?);
        return Ok(ExitCode::SUCCESS);
    }
    let Evaluation { report, speed } = found;
    println!("{:<24} {:>6} questions  {}", "all", report.overall.n, format::accuracy(&report.overall));
    for skill in &report.skills {
        let name = format::escaped(&skill.skill);
        println!("{name:<24} {:>6} questions  {}", skill.accuracy.n, format::accuracy(&skill.accuracy));
    }
    println!("{}", speed.words());
    Ok(ExitCode::SUCCESS)
}

fn judged(task: &dyn crate::gym::ports::Task, instance: &TaskInstance, reply: ChatReply) -> Prediction {
    let (answer, correct) = task.score(instance, &reply.text);
    Prediction {
        instance_id: instance.id.clone(),
        response: reply.text,
        answer,
        correct,
        tokens: reply.tokens,
        finish: reply.finish,
    }
}

/// What a conversation is given.
#[derive(Debug, Args)]
pub(super) struct ChatArgs {
    #[command(flatten)]
    student: StudentArgs,
    /// Upper limit of an answer in tokens.
    #[arg(long, default_value_t = 256)]
    max_tokens: u32,
    /// Divides the logits; 0 takes the most likely token.
    #[arg(long, default_value_t = 0.0)]
    temperature: f64,
}

/// What was printed of the answer that is being written.
#[derive(Default)]
struct Told(String);

impl Told {
    /// What is to be printed now that so much is written, escaped; nothing where it does not begin as what was printed.
    fn news(&mut self, text: &str) -> Option<String> {
        // Marks at the beginning of a piece belong to what stands before them.
        let shown = format::escaped(text).into_owned();
        let news = shown.strip_prefix(self.0.as_str())?.to_owned();
        self.0 = shown;
        Some(news)
    }

    fn tell(&mut self, text: &str) {
        if let Some(news) = self.news(text) {
            print!("{news}");
            let _ = std::io::stdout().flush();
        }
    }

    /// The answer is there.
    fn end(&mut self, text: &str) {
        match self.news(text) {
            Some(rest) => println!("{rest}"),
            None => println!("\n{}", format::escaped(text)),
        }
        self.0.clear();
    }
}

/// `dataenvgym chat`: every line is a question of its own, as a student sees it in a run.
pub(super) fn chat(paths: &Paths, args: &ChatArgs) -> Result<ExitCode> {
    if !(args.temperature.is_finite() && args.temperature >= 0.0) {
        bail!("--temperature must be 0 or above, it is {}", args.temperature);
    }
    with_student(paths, (&args.student, 1), |config, _, student| {
        let terminal = std::io::stdin().is_terminal();
        let told = Arc::new(Mutex::new(Told::default()));
        let listener = Arc::clone(&told);
        student.listen(Box::new(move |_, text| {
            listener.lock().unwrap_or_else(PoisonError::into_inner).tell(text);
        }));
        let ask = || {
            if terminal {
                eprint!("> ");
                let _ = std::io::stderr().flush();
            }
        };
        ask();
        for (seed, line) in (config.seed..).zip(std::io::stdin().lock().lines()) {
            let line = line?;
            if !line.trim().is_empty() {
                let sampling = if args.temperature > 0.0 {
                    Sampling::drawn(args.temperature, 1.0, seed)
                } else {
                    Sampling::Greedy
                };
                let request = ChatRequest::text(line, sampling, args.max_tokens);
                student.answer(&[request], &mut |_, reply: ChatReply| {
                    told.lock().unwrap_or_else(PoisonError::into_inner).end(&reply.text);
                    ControlFlow::Continue(())
                })?;
            }
            ask();
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_of_an_answer_is_printed_once() {
        let mut told = Told::default();
        assert_eq!(told.news("2 +"), Some("2 +".into()));
        assert_eq!(told.news("2 + 2"), Some(" 2".into()));
        assert_eq!(told.news("2 + 2"), Some(String::new()));
        assert_eq!(told.news("other"), None);
        assert_eq!(told.news("2 + 2 = 4"), Some(" = 4".into()));
    }

    #[test]
    fn rates_begin_with_the_first_answer() {
        let (whole, loading) = (Duration::from_secs(12), Duration::from_secs(2));
        let speed = Speed::of(&[50, 100, 300], whole, loading);
        assert_eq!(speed.words(), "12.0 s with loading, then 0.2 answers/s, 40 tokens/s");
        assert_eq!(Speed::of(&[50], loading, loading).words(), "2.0 s with loading");
    }
}
