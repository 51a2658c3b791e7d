//! One training from folder to folder.

use super::batch::{Batch, Encoded};
use super::chat::ChatFormat;
use super::config::{LlamaConfig, read_json};
use super::error::TrainingError;
use super::export::{Precision, companions, pretty, serialise, write_folder};
use super::job::{Mode, TrainingJob, TrainingOutcome, TrainingProgress};
use super::lora::Adapter;
use super::model::{Decoder, Variables};
use super::schedule::Schedule;
use super::session::{Discipline, Session};
use super::thread;
use super::weights::{self, Weights};
use crate::gym::rng::CounterRng;
use candle_core::Var;
use serde_json::json;
use std::ops::ControlFlow;
use std::time::Instant;

/// Rows of a packed batch hold this many tokens, or the longest example if that is longer.
const ROW: usize = 128;

/// Trains and writes `job.output`. Blocks; `progress` is called after every optimiser step, on the calling
/// thread, and ends the training by breaking ([`TrainingError::Stopped`], nothing written). The result is
/// a function of the job and the folders it names: the same bits on any number of threads.
pub fn train(
    job: &TrainingJob,
    progress: &mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
) -> Result<TrainingOutcome, TrainingError> {
    check(job)?;
    let threads = job.threads.unwrap_or_else(thread::default_threads);
    thread::run(threads, progress, |report| run(job, report))
}

fn check(job: &TrainingJob) -> Result<(), TrainingError> {
    let at_least_zero = |x: f64| x.is_finite() && x >= 0.0;
    let refuse = |problem: &str| Err(TrainingError::Job(problem.to_owned()));
    if job.examples.is_empty() {
        return refuse("there are no examples");
    }
    if job.epochs == 0 || job.batch_size == 0 || job.max_length < 2 || job.threads == Some(0) {
        return refuse("epochs, batch size, threads and longest length must be positive");
    }
    if !(job.learning_rate.is_finite() && job.learning_rate > 0.0) {
        return refuse("the learning rate must be positive");
    }
    if !(0.0..=1.0).contains(&job.warmup) || !at_least_zero(job.weight_decay) || !at_least_zero(job.clip) {
        return refuse("warm-up must lie in 0..=1, weight decay and clip must not be negative");
    }
    match job.mode {
        Mode::Lora { rank, alpha } if rank == 0 || !(alpha.is_finite() && alpha > 0.0) => {
            refuse("rank and alpha must be positive")
        }
        _ => Ok(()),
    }
}

/// The tensors a training starts from.
struct Start {
    config: LlamaConfig,
    weights: Weights,
    variables: Variables,
    adapter: Option<Adapter>,
}

fn start(job: &TrainingJob) -> Result<Start, TrainingError> {
    let config = LlamaConfig::load(&job.base)?;
    let mut weights = weights::load(&job.base, &config)?;
    let earlier = match &job.continue_from {
        Some(folder) if folder.join("adapter_config.json").is_file() => Some(Adapter::load(folder, &config)?),
        Some(folder) => {
            let own = LlamaConfig::load(folder)?;
            let path = folder.join("config.json");
            if own != config {
                return Err(TrainingError::field(
                    &path,
                    "hidden_size (or another size)",
                    "differs from the base",
                ));
            }
            if matches!(job.mode, Mode::Lora { .. }) {
                let problem = "an adapter cannot continue a full checkpoint: name it as the base instead";
                return Err(TrainingError::Job(problem.to_owned()));
            }
            weights = weights::load(folder, &config)?;
            None
        }
        None => None,
    };
    match job.mode {
        Mode::Full => {
            if let Some((adapter, variables)) = earlier {
                weights = adapter.merge(&config, &weights, &variables)?;
            }
            let variables = weights
                .iter()
                .map(|(key, tensor)| Ok((key.clone(), Var::from_tensor(tensor)?)))
                .collect::<Result<_, TrainingError>>()?;
            Ok(Start { config, weights, variables, adapter: None })
        }
        Mode::Lora { rank, alpha } => {
            let adapter = Adapter { rank, alpha };
            let variables = match earlier {
                None => adapter.init(&config, job.seed)?,
                Some((found, variables)) if found == adapter => variables,
                Some((found, _)) => {
                    return Err(TrainingError::Job(format!(
                        "the adapter to continue has rank {} and alpha {}, the job asks for {rank} and {alpha}",
                        found.rank, found.alpha
                    )));
                }
            };
            Ok(Start { config, weights, variables, adapter: Some(adapter) })
        }
    }
}

struct Prepared {
    examples: Vec<Encoded>,
    cut: usize,
    skipped: usize,
}

fn prepare(job: &TrainingJob, config: &LlamaConfig) -> Result<Prepared, TrainingError> {
    let format = ChatFormat::load(&job.base)?;
    if format.vocabulary() > config.vocabulary {
        let path = job.base.join("tokenizer.json");
        let problem =
            format!("it knows {} tokens, the model only {}", format.vocabulary(), config.vocabulary);
        return Err(TrainingError::tokenizer(&path, problem));
    }
    let longest = job.max_length.min(config.max_positions);
    let mut prepared = Prepared { examples: Vec::with_capacity(job.examples.len()), cut: 0, skipped: 0 };
    for example in &job.examples {
        let mut encoded = format.encode(&example.prompt, &example.response)?;
        if encoded.prompt >= longest {
            prepared.skipped += 1;
            continue;
        }
        prepared.cut += usize::from(encoded.tokens.len() > longest);
        encoded.tokens.truncate(longest);
        prepared.examples.push(encoded);
    }
    if prepared.examples.is_empty() {
        return Err(TrainingError::Job(format!("no prompt is shorter than {longest} tokens")));
    }
    Ok(prepared)
}

fn run(
    job: &TrainingJob,
    report: &mut dyn FnMut(TrainingProgress) -> ControlFlow<()>,
) -> Result<TrainingOutcome, TrainingError> {
    let began = Instant::now();
    let Start { config, weights, variables, adapter } = start(job)?;
    let Prepared { examples, cut, skipped } = prepare(job, &config)?;
    let longest = examples.iter().map(|example| example.tokens.len()).max().unwrap_or(0);
    let trained_parameters = variables.values().map(|variable| variable.elem_count()).sum();
    let decoder = Decoder::new(&config, &weights, &variables, adapter.as_ref(), longest.max(ROW))?;
    let discipline = Discipline { clip: job.clip, weight_decay: job.weight_decay };
    let mut session = Session::new(decoder, variables, discipline);
    let per_epoch = examples.len().div_ceil(job.batch_size);
    let total = per_epoch * job.epochs;
    let warmup = (total as f64 * job.warmup).ceil() as usize;
    let schedule = Schedule { peak: job.learning_rate, warmup, total };
    let stream = CounterRng::keyed(job.seed, "training/order");
    let stepping = Instant::now();
    let (mut step, mut tokens, mut response_tokens) = (0, 0_u64, 0_u64);
    let (mut first_loss, mut last_loss) = (0.0, 0.0);
    for epoch in 0..job.epochs {
        let mut order: Vec<&Encoded> = examples.iter().collect();
        stream.child(epoch as u64).shuffle(&mut order);
        last_loss = 0.0;
        for members in order.chunks(job.batch_size) {
            step += 1;
            let batch = Batch::packed(members, ROW);
            let learning_rate = schedule.at(step);
            let loss = session.step(&batch, learning_rate)?;
            if step == 1 {
                first_loss = loss;
            }
            last_loss += loss / per_epoch as f64;
            tokens += batch.real_tokens as u64;
            response_tokens += batch.targets.len() as u64;
            let tokens_per_second = tokens as f64 / stepping.elapsed().as_secs_f64().max(1e-9);
            let progress = TrainingProgress { step, of: total, loss, learning_rate, tokens_per_second };
            if report(progress).is_break() {
                return Err(TrainingError::Stopped { step });
            }
        }
    }
    write(job, session.variables(), adapter)?;
    Ok(TrainingOutcome {
        output: job.output.clone(),
        steps: step,
        trained_parameters,
        tokens,
        response_tokens,
        cut_examples: cut,
        skipped_examples: skipped,
        first_loss,
        last_loss,
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn write(job: &TrainingJob, variables: &Variables, adapter: Option<Adapter>) -> Result<(), TrainingError> {
    let tensors: Weights =
        variables.iter().map(|(key, variable)| (key.clone(), variable.as_tensor().clone())).collect();
    let bytes = serialise(&tensors, Precision::F32)?;
    if let Some(adapter) = adapter {
        let config = adapter.to_json(&job.base.to_string_lossy());
        let files = [("adapter_config.json", pretty(&config)), ("adapter_model.safetensors", bytes)];
        return write_folder(&job.output, &files);
    }
    let mut config = read_json(&job.base.join("config.json"))?;
    if let Some(fields) = config.as_object_mut() {
        fields.insert("torch_dtype".to_owned(), json!(Precision::F32.name()));
        fields.remove("dtype");
        if !fields.contains_key("rope_theta") {
            fields.insert("rope_theta".to_owned(), json!(LlamaConfig::load(&job.base)?.rope_theta));
        }
    }
    let mut files = companions(&job.base)?;
    files.push(("config.json", pretty(&config)));
    files.push(("model.safetensors", bytes));
    write_folder(&job.output, &files)
}
