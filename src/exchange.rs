//! Export and import: training data and whole runs as files that other programs write and read.
//!
//! Owns the file formats, the mapping between them and our records, and the making of a run folder from
//! files. Everything streams: memory does not grow with the number of rows. Never loads a model, never
//! prints, never changes a run that exists.
//!
//! The same run gives the same bytes: a file holds no time, no host and no name of a run.

mod card;
mod datum;
mod error;
mod export;
mod folder;
mod format;
mod image;
mod import;
mod json;
mod jsonl;
mod parquet;
mod record;
mod reference;
mod source;
mod table;

pub use error::ExchangeError;
pub use export::{ExportOrder, ExportSummary, Images, Target, export, export_to};
pub use format::{Container, Format, Shape};
pub use import::{ImportOrder, ImportSummary, import};
pub use record::{Kind, Record};
pub use reference::write::{ExperimentOrder, export_experiment};
pub use source::Filter;

#[cfg(test)]
mod tests;
