//! Loading: every model on a thread of its own.
//!
//! mistral.rs keeps adapters to be merged in a thread-local that nothing clears, and panics on some
//! faults; a fresh thread confines both.

use std::any::Any;
use std::thread;

use candle_core::utils::{cuda_is_available, metal_is_available};
use candle_core::{DType, Device as TensorDevice};
use mistralrs::{Model, ModelDType, TextModelBuilder, TokenSource};
use mistralrs_quant::{LoraAdapter, LoraConfig, ShardedSafeTensors};

use crate::gym::ports::{Device, PortError};
use crate::models::folder::{AdapterFolder, ModelFolder};

/// Loads a checked folder, with a checked adapter merged into it where one is given. `in_flight` bounds
/// the sequences that run together.
pub(super) fn build(
    base: &ModelFolder,
    adapter: Option<&AdapterFolder>,
    device: Device,
    in_flight: u32,
) -> Result<Model, PortError> {
    available(device)?;
    if adapter.is_some() && device != Device::Cpu {
        return Err(PortError::fatal(format!(
            "device {device}: adapters are merged on the host only. Train full checkpoints, or place the \
             student on `cpu`"
        )));
    }
    let dtype = dtype(device, base);
    let builder = TextModelBuilder::new(base.path.display())
        .with_dtype(if dtype == DType::F32 { ModelDType::F32 } else { ModelDType::BF16 })
        .with_token_source(TokenSource::None)
        .with_prefix_cache_n(None)
        .with_max_num_seqs(in_flight as usize);
    let builder = if device == Device::Cpu { builder.with_force_cpu() } else { builder };
    let adapter = adapter.cloned();
    let place = base.path.display().to_string();
    let failed = |what: &str| PortError::fatal(format!("{place}: the model could not be loaded: {what}"));

    let loader = thread::Builder::new()
        .name("load-student".to_owned())
        .spawn(move || -> Result<Model, String> {
            mistralrs_quant::clear_applied_loras();
            if let Some(adapter) = adapter {
                mistralrs_quant::push_applied_lora(read_adapter(&adapter, dtype)?);
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            let model = runtime.block_on(builder.build()).map_err(|error| format!("{error:#}"));
            mistralrs_quant::clear_applied_loras();
            model
        })
        .map_err(|error| PortError::transient(format!("no thread to load the student: {error}")))?;
    match loader.join() {
        Ok(built) => built.map_err(|what| failed(&what)),
        Err(panic) => Err(failed(&format!("mistral.rs panicked: {}", panic_text(panic.as_ref())))),
    }
}

/// Whether this program can compute there at all.
fn available(device: Device) -> Result<(), PortError> {
    let (there, feature) = match device {
        Device::Cpu => return Ok(()),
        Device::Cuda(_) => (cuda_is_available(), "cuda"),
        Device::Metal => (metal_is_available(), "metal"),
    };
    if there {
        return Ok(());
    }
    Err(PortError::fatal(format!(
        "device {device}: this program was built without it. Build it with `--features {feature}`, or \
         place the student on `cpu`"
    )))
}

/// Single precision on the host; on an accelerator what the weights are stored in.
fn dtype(device: Device, base: &ModelFolder) -> DType {
    let half = matches!(base.config.dtype.as_deref(), Some("bfloat16" | "float16"));
    if device == Device::Cpu || !half { DType::F32 } else { DType::BF16 }
}

fn read_adapter(adapter: &AdapterFolder, dtype: DType) -> Result<LoraAdapter, String> {
    // Read into memory; the merge happens on the host, layer by layer.
    let tensors = candle_core::safetensors::load(&adapter.file, &TensorDevice::Cpu)
        .map_err(|error| format!("{}: {error}", adapter.file.display()))?;
    // The library joins these into one regular expression and searches it in the layer's path.
    let target_modules = adapter.targets.iter().map(|name| format!(r"(?:^|\.){name}$")).collect();
    Ok(LoraAdapter {
        config: LoraConfig { rank: adapter.rank, alpha: adapter.alpha, target_modules },
        weights: ShardedSafeTensors::wrap(Box::new(tensors), dtype, TensorDevice::Cpu),
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "without a message".to_owned(),
    }
}
