//! What a training starts from: the base, what is trained on it, and a decoder per device.

use super::chat::ChatFormat;
use super::config::DecoderConfig;
use super::error::TrainingError;
use super::lora::Adapter;
use super::model::{Decoder, Path, Variables};
use super::session::Replica;
use super::weights::{self, Weights};
use crate::checksums;
use crate::gym::ports::{Checkpoint, Device, TrainingMethod, TrainingOrder};
use candle_core::{DType, Tensor, Var};
use std::path::PathBuf;

/// The tensors a training starts from, all on the CPU in f32.
pub(super) struct Start {
    /// The folder that an adapter belongs to, and that a full model takes its other files from.
    pub(super) base: PathBuf,
    pub(super) config: DecoderConfig,
    /// What is not trained, until the decoders have it.
    weights: Weights,
    pub(super) variables: Variables,
    pub(super) adapter: Option<Adapter>,
}

/// Whether a model folder is one that can be trained here, as far as can be said without its weights.
///
/// # Errors
/// What cannot be computed, by name.
pub fn check(folder: &std::path::Path) -> Result<(), TrainingError> {
    let config = DecoderConfig::load(folder)?;
    ChatFormat::load(folder)?.check_fits(config.vocabulary)
}

/// Reads the folders that the order starts from.
pub(super) fn load(order: &TrainingOrder) -> Result<Start, TrainingError> {
    let (base, earlier) = match &order.start {
        Checkpoint::Full { folder } => (folder, None),
        Checkpoint::Adapter { base, adapter } => (base, Some(adapter)),
    };
    checksums::verify(base)?;
    if let Some(adapter) = earlier {
        checksums::verify(adapter)?;
    }
    let config = DecoderConfig::load(base)?;
    let mut weights = weights::load(base, &config)?;
    let earlier = earlier.map(|folder| Adapter::load(folder, &config)).transpose()?;
    let (variables, adapter) = match order.settings.method {
        TrainingMethod::Full => {
            if let Some((adapter, variables)) = earlier {
                weights = adapter.merge(weights, &variables)?;
            }
            let variables = weights.iter().map(|(key, tensor)| Ok((key.clone(), Var::from_tensor(tensor)?)));
            let variables = variables.collect::<Result<_, TrainingError>>()?;
            // They are the variables now; a second copy would only take memory.
            weights.clear();
            (variables, None)
        }
        TrainingMethod::Lora { rank, alpha } => {
            let adapter = Adapter { rank: rank as usize, alpha };
            let variables = match earlier {
                None => adapter.init(&config, order.seed)?,
                Some((found, variables)) if found == adapter => variables,
                Some((found, _)) => {
                    return Err(TrainingError::Job(format!(
                        "the adapter to continue has rank {} and alpha {}, the order asks for {rank} and {alpha}",
                        found.rank, found.alpha
                    )));
                }
            };
            (variables, Some(adapter))
        }
    };
    Ok(Start { base: base.clone(), config, weights, variables, adapter })
}

fn place(device: Device) -> Result<candle_core::Device, TrainingError> {
    let placed = match device {
        Device::Cpu => Ok(candle_core::Device::Cpu),
        Device::Cuda(index) => candle_core::Device::new_cuda(index as usize),
        Device::Metal => candle_core::Device::new_metal(0),
    };
    placed.map_err(|error| TrainingError::Device { device: device.to_string(), problem: error.to_string() })
}

impl Start {
    /// One decoder per device, for rows of at most `positions` tokens. A single one on the CPU is fused and
    /// computes with the variables themselves; elsewhere a frozen base is kept in bf16. The frozen weights are handed
    /// over: resuming and writing need the variables alone, and a copy on the host would live as long as the training.
    pub(super) fn replicas(
        &mut self,
        devices: &[Device],
        positions: usize,
    ) -> Result<Vec<Replica>, TrainingError> {
        let base = std::mem::take(&mut self.weights);
        let decoder = |weights: &Weights, variables: &Variables| {
            Decoder::new(&self.config, weights, variables, self.adapter.as_ref(), positions)
        };
        if let [] | [Device::Cpu] = devices {
            let variables = self.variables.clone();
            let decoder = decoder(&base, &variables)?;
            return Ok(vec![Replica { path: Path::Fused, decoder, variables }]);
        }
        let copies = devices.iter().map(|&device| {
            let (cpu, device) = (device == Device::Cpu, place(device)?);
            let frozen = if cpu { DType::F32 } else { DType::BF16 };
            let weights = weights::place(&base, &device, frozen)?;
            let copy = |variable: &Var| -> Result<Var, TrainingError> {
                let moved = variable.as_detached_tensor().to_device(&device)?;
                Ok(Var::from_tensor(&Tensor::copy(&moved)?)?)
            };
            let copies = self.variables.iter().map(|(key, variable)| Ok((key.clone(), copy(variable)?)));
            let variables = copies.collect::<Result<Variables, TrainingError>>()?;
            let path = if cpu { Path::Fused } else { Path::Composed };
            Ok(Replica { path, decoder: decoder(&weights, &variables)?, variables })
        });
        copies.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::tests::support::{order, student};

    #[test]
    fn the_decoders_take_the_frozen_weights_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        student(&base);
        let order = order(&base, &folder.path().join("out"), TrainingMethod::Lora { rank: 2, alpha: 4.0 });
        for devices in [&[][..], &[Device::Cpu; 2]] {
            let mut start = load(&order).unwrap();
            assert!(!start.weights.is_empty());
            assert_eq!(start.replicas(devices, 128).unwrap().len(), devices.len().max(1));
            assert!(start.weights.is_empty(), "they would stay on the host as long as the training");
        }
    }
}
