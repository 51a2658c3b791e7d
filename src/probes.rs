//! Measurements of the machine a run works on: processor, memory, GPUs.
//!
//! Owns the parsers of what the system reports and the thread that asks once a second. Every measurement may
//! be absent; that is a normal state and never an error. Never draws and never decides anything.

mod gpu;
mod history;
mod host;
mod sampler;
mod visible;

pub use gpu::{Gpu, parse_gpu};
pub use history::History;
pub use host::{CpuTimes, Memory, group_memory, parse_memory, processor_name};
pub use sampler::{FULL_HEAT, FULL_POWER, GpuReading, Sampler, Snapshot};
pub use visible::{gpus, listed, visible};
