//! Runs beside each other: what is read of them, and the files of a comparison.

use std::path::PathBuf;

use super::charts::Exported;
use crate::analysis::compare::{self, Comparison, Entrant};
use crate::gym::instance::Split;
use crate::store::Reader;

/// A run to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// Where its database lies.
    pub(crate) database: PathBuf,
}

/// Reads the runs and compares the first with the others.
///
/// # Errors
/// A sentence for a person: which run cannot be read, or why there is nothing to compare.
pub(crate) fn compare(runs: &[Named], split: Split) -> Result<Comparison, String> {
    let read = |run: &Named| {
        let entrant = Reader::open(&run.database).and_then(|reader| Entrant::read(&reader, split));
        entrant.map_err(|error| format!("run {}: {error}", run.name))
    };
    let entrants: Vec<Entrant> = runs.iter().map(read).collect::<Result<_, _>>()?;
    compare::compare(&entrants, split).map_err(|error| error.to_string())
}

/// The numbers of a comparison, and its differences as a figure.
pub(crate) fn exported(comparison: &Comparison) -> Vec<Exported> {
    let name = format!("comparison-{}", comparison.split.as_str());
    vec![
        Exported { name: format!("{name}.csv"), text: comparison.csv() },
        Exported { name: format!("{name}.svg"), text: comparison.chart().svg() },
    ]
}
