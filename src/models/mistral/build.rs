//! Loading: every model on a thread of its own.
//!
//! mistral.rs keeps adapters to be merged in a thread-local that nothing clears, and panics on some
//! faults; a fresh thread confines both. Layers are never spread by the library's own judgement: a model goes to
//! the device it was placed on, or fails.

use std::any::Any;
use std::thread;

use candle_core::utils::{cuda_is_available, metal_is_available};
use candle_core::{DType, Device as TensorDevice};
use mistralrs::core::{
    AddModelConfig, DefaultSchedulerMethod, EngineConfig, GGUFLoaderBuilder, GGUFSpecificConfig,
    MemoryGpuConfig, PagedAttentionConfig, SchedulerConfig,
};
use mistralrs::model_builder_trait::build_model_from_pipeline;
use mistralrs::{
    DeviceMapSetting, IsqType, Model, ModelDType, PagedAttentionMetaBuilder, TextModelBuilder, TokenSource,
};
use mistralrs_quant::{LoraAdapter, LoraConfig, ShardedSafeTensors};

use crate::gym::ports::{Device, PortError, Precision, Quantisation, Serving};
use crate::models::folder::{AdapterFolder, ModelFolder, ModelSize};
use crate::models::gguf::GgufFile;
use crate::models::pages;
use crate::models::source::Source;

/// Loads a checked model, with a checked adapter merged into it where one is given. `serving.in_flight` bounds the
/// sequences that run together.
pub(super) fn build(
    base: &Source,
    adapter: Option<&AdapterFolder>,
    device: Device,
    serving: Serving,
) -> Result<Model, PortError> {
    available(device)?;
    let place = base.path().display().to_string();
    if adapter.is_some() && (device != Device::Cpu || serving.quantisation != Quantisation::None) {
        // Workers merge such an adapter before they load.
        return Err(PortError::fatal(format!(
            "device {device}: an adapter is merged on the host only, and not into weights that are quantised while \
             loading. Give the merged model"
        )));
    }
    let work: Box<dyn FnOnce() -> Result<Model, String> + Send> = match base.clone() {
        Source::Folder(folder) => {
            let adapter = adapter.cloned();
            Box::new(move || load_folder(&folder, adapter.as_ref(), device, serving))
        }
        Source::Gguf(_) if serving.quantisation != Quantisation::None => {
            return Err(PortError::fatal(format!(
                "{place}: a GGUF file is quantised already: leave `quantisation` at `none`"
            )));
        }
        Source::Gguf(file) => Box::new(move || load_gguf(&file, device, serving)),
    };
    let failed = |what: &str| PortError::fatal(format!("{place}: the model could not be loaded: {what}"));
    let loader = thread::Builder::new()
        .name("load-student".to_owned())
        .spawn(move || {
            mistralrs_quant::clear_applied_loras();
            let model = work();
            mistralrs_quant::clear_applied_loras();
            model
        })
        .map_err(|error| PortError::transient(format!("no thread to load the student: {error}")))?;
    match loader.join() {
        Ok(built) => built.map_err(|what| failed(&what)),
        Err(panic) => Err(failed(&format!("mistral.rs panicked: {}", panic_text(panic.as_ref())))),
    }
}

fn load_folder(
    base: &ModelFolder,
    adapter: Option<&AdapterFolder>,
    device: Device,
    serving: Serving,
) -> Result<Model, String> {
    let dtype = dtype(serving.precision, device, base.config.dtype.as_deref());
    let mut builder = TextModelBuilder::new(base.path.display())
        .with_dtype(dtype)
        .with_token_source(TokenSource::None)
        .with_prefix_cache_n(None)
        .with_device_mapping(DeviceMapSetting::dummy())
        .with_max_num_seqs(serving.in_flight as usize);
    if device == Device::Cpu {
        builder = builder.with_force_cpu();
    }
    if let Some(isq) = isq(serving.quantisation) {
        builder = builder.with_isq(isq);
    }
    if let Some(pages) = pages(&base.size(), device, serving)? {
        builder = builder.with_paged_attn(pages);
    }
    if let Some(adapter) = adapter {
        // The library adds it to weights of the numbers that it loads.
        let numbers = match dtype {
            ModelDType::F32 => DType::F32,
            ModelDType::F16 => DType::F16,
            _ => DType::BF16,
        };
        mistralrs_quant::push_applied_lora(read_adapter(adapter, numbers)?);
    }
    runtime()?.block_on(builder.build()).map_err(|error| format!("{error:#}"))
}

/// The library's own builder computes in 16 bits on the processor and cannot be told otherwise; these are its steps
/// with the number type handed in.
fn load_gguf(file: &GgufFile, device: Device, serving: Serving) -> Result<Model, String> {
    let said = |error: &dyn std::fmt::Display| format!("{error:#}");
    let folder = file.path.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    let name = file.path.file_name().map(|name| name.display().to_string()).unwrap_or_default();
    let tokenizer = file.tokenizer_folder.as_ref().map(|folder| folder.display().to_string());
    let config = GGUFSpecificConfig { topology: None };
    let loader = GGUFLoaderBuilder::new(None, tokenizer, folder, vec![name], config, false, None).build();
    let place = match device {
        Device::Cpu => TensorDevice::Cpu,
        Device::Cuda(index) => TensorDevice::new_cuda(index as usize).map_err(|error| said(&error))?,
        Device::Metal => TensorDevice::new_metal(0).map_err(|error| said(&error))?,
    };
    let pages = pages(&file.size, device, serving)?;
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let pipeline = loader
        .load_model_from_hf(
            None,
            TokenSource::None,
            &dtype(serving.precision, device, Some("bfloat16")),
            &place,
            true,
            DeviceMapSetting::dummy(),
            None,
            pages,
        )
        .map_err(|error| said(&error))?;
    let sequences = (serving.in_flight as usize).try_into().map_err(|error| said(&error))?;
    let engine = EngineConfig { no_prefix_cache: true, prefix_cache_n: 0, ..EngineConfig::default() };
    runtime.block_on(async {
        let paged = pipeline.lock().await.get_metadata().cache_config.clone();
        let scheduler = match paged {
            Some(config) if pages.is_some() => {
                SchedulerConfig::PagedAttentionMeta { max_num_seqs: serving.in_flight as usize, config }
            }
            _ => SchedulerConfig::DefaultScheduler { method: DefaultSchedulerMethod::Fixed(sequences) },
        };
        Ok(build_model_from_pipeline(pipeline, scheduler, AddModelConfig::new(engine)).await)
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())
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
fn dtype(precision: Precision, device: Device, stored: Option<&str>) -> ModelDType {
    match (precision, stored) {
        (Precision::Bf16, _) => ModelDType::BF16,
        (Precision::F16, _) => ModelDType::F16,
        (Precision::Auto, Some("bfloat16" | "float16")) if device != Device::Cpu => ModelDType::BF16,
        (Precision::F32 | Precision::Auto, _) => ModelDType::F32,
    }
}

fn isq(quantisation: Quantisation) -> Option<IsqType> {
    Some(match quantisation {
        Quantisation::None => return None,
        Quantisation::Q8_0 => IsqType::Q8_0,
        Quantisation::Q6k => IsqType::Q6K,
        Quantisation::Q5k => IsqType::Q5K,
        Quantisation::Q4k => IsqType::Q4K,
        Quantisation::Q4_0 => IsqType::Q4_0,
    })
}

/// The key and value cache of a GPU: as many tokens as there may be, and never a share of the card.
fn pages(size: &ModelSize, device: Device, serving: Serving) -> Result<Option<PagedAttentionConfig>, String> {
    let Device::Cuda(_) = device else { return Ok(None) };
    let tokens = pages::tokens(size, serving);
    let pages = PagedAttentionMetaBuilder::default().with_gpu_memory(MemoryGpuConfig::ContextSize(tokens));
    pages.build().map(Some).map_err(|error| format!("{error:#}"))
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
