//! Training steps on random weights and tokens, for measuring what a step costs.

use super::batch::{Batch, Encoded};
use super::control::Control;
use super::error::TrainingError;
use super::lora::Adapter;
use super::model::{Decoder, Path, Variables};
use super::pretrain::PretrainRecipe;
use super::session::{Discipline, Replica, Session};
use super::thread;
use super::weights::Weights;
use crate::gym::ports::TrainingMethod;
use crate::gym::rng::CounterRng;
use std::ops::ControlFlow;

/// A load that only looks like a training: the sizes of a model, full rows, half of each learned.
#[derive(Debug, Clone)]
pub struct Rehearsal {
    /// Sizes and seed of the model; the rest of the recipe plays no part.
    pub recipe: PretrainRecipe,
    /// Which parameters move.
    pub method: TrainingMethod,
    /// Rows per step.
    pub rows: usize,
    /// Tokens per row.
    pub length: usize,
}

/// Trains on `threads` threads until `step_done` breaks; it is called with the number of steps done, each of
/// `rows * length` tokens.
pub fn rehearse(
    rehearsal: &Rehearsal,
    threads: usize,
    step_done: &mut dyn FnMut(u32) -> ControlFlow<()>,
) -> Result<(), TrainingError> {
    thread::run(threads, step_done, |report| {
        let config = rehearsal.recipe.config();
        let mut variables = rehearsal.recipe.initial()?;
        let (mut weights, mut adapter) = (Weights::new(), None);
        if let TrainingMethod::Lora { rank, alpha } = rehearsal.method {
            let chosen = Adapter { rank: rank as usize, alpha };
            let tensor = |(key, variable): (String, candle_core::Var)| (key, variable.as_detached_tensor());
            weights =
                std::mem::replace(&mut variables, chosen.init(&config, 1)?).into_iter().map(tensor).collect();
            adapter = Some(chosen);
        }
        let mut session = session(&config, &weights, &variables, adapter, rehearsal.length)?;
        let batch = batch(rehearsal);
        for step in 1.. {
            session.step(std::slice::from_ref(&batch), 1e-4, &Control::default())?;
            if report(step).is_break() {
                break;
            }
        }
        Ok(())
    })
}

fn session(
    config: &super::config::DecoderConfig,
    weights: &Weights,
    variables: &Variables,
    adapter: Option<Adapter>,
    positions: usize,
) -> Result<Session, TrainingError> {
    let decoder = Decoder::new(config, weights, variables, adapter.as_ref(), positions)?;
    let replica = Replica { path: Path::Fused, decoder, variables: variables.clone() };
    let discipline = Discipline { clip: 1.0, weight_decay: 0.0, checkpointing: false };
    Ok(Session::new(vec![replica], variables.clone(), discipline))
}

fn batch(rehearsal: &Rehearsal) -> Batch {
    let mut rng = CounterRng::keyed(1, "rehearsal");
    let vocabulary = rehearsal.recipe.vocabulary as u64;
    let rows: Vec<Encoded> = (0..rehearsal.rows)
        .map(|_| Encoded {
            tokens: (0..rehearsal.length).map(|_| rng.below(vocabulary) as u32).collect(),
            prompt: rehearsal.length / 2,
        })
        .collect();
    Batch::padded(&rows.iter().collect::<Vec<_>>())
}
