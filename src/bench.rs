//! What `dataenvgym bench` measures: one file per bench, figures as values.
//!
//! Owns the making of its own inputs, in a temporary folder, and the measuring. It does not judge, and it does
//! not print: that is the command line's.

pub mod batches;
pub mod endpoint;
pub mod generate;
mod process;
pub mod refresh;
pub mod resume;
pub mod score;
mod scratch;
pub mod screen;
mod serving;
pub mod shape;
pub mod store;
pub mod teacher;
pub mod train;
pub mod turn;
mod usage;

use serde::Serialize;

/// One measured number. Serialised it is one line of `bench --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Its name, from the general to the special: `store.next_page_p99_ms.skill`.
    pub figure: String,
    /// The number.
    pub value: f64,
    /// What it counts.
    pub unit: &'static str,
    /// The same number of the peer, where there is one.
    pub peer: Option<f64>,
    /// Ours over the peer's.
    pub ratio: Option<f64>,
    /// Under which conditions it was measured.
    pub conditions: String,
}

impl Figure {
    /// A number without a peer's beside it.
    pub fn new(
        figure: impl Into<String>,
        value: f64,
        unit: &'static str,
        conditions: impl Into<String>,
    ) -> Self {
        let (figure, conditions) = (figure.into(), conditions.into());
        Self { figure, value, unit, peer: None, ratio: None, conditions }
    }

    /// The same with the peer's number, where there is one.
    #[must_use]
    pub fn beside(self, peer: Option<f64>) -> Self {
        Self { peer, ratio: peer.map(|peer| self.value / peer), ..self }
    }
}

/// Takes figures as they are measured.
pub type Sink<'a> = dyn FnMut(Figure) + 'a;

/// Why a bench could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The store under measurement failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// The ledger of the store failed.
    #[error(transparent)]
    Ledger(#[from] crate::gym::ports::PortError),
    /// A file, folder or process could not be had.
    #[error("{what}: {source}; make room in the temporary folder (TMPDIR) and try again")]
    Io {
        /// What was wanted.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A run did not come to its end.
    #[error("{0} did not come to its end; its log says why")]
    Unfinished(String),
    /// The client did not show what it should.
    #[error("the client did not show {wanted}; it shows:\n{shown}")]
    Screen {
        /// What was waited for.
        wanted: String,
        /// What is there instead.
        shown: String,
    },
    /// The trainer failed.
    #[error(transparent)]
    Training(#[from] crate::training::TrainingError),
    /// A measuring process could not be started.
    #[error("cannot start {}: {source}; a peer is a Python with tests/peers/requirements.txt", program.display())]
    Start {
        /// The program.
        program: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A measuring process did not say what was expected.
    #[error("{} ended without its figures; look at its messages above", program.display())]
    Silent {
        /// The program.
        program: std::path::PathBuf,
    },
    /// The system does not tell processor time or memory.
    #[error("processor time and peak memory are read from /proc, which this system does not have")]
    Unmeasurable,
    /// A second process said something unexpected.
    #[error("the second process ended without its figures; look at its messages above")]
    Process,
}

/// Values of the same thing measured again; times of an action are in milliseconds.
#[derive(Debug, Default, Clone)]
pub struct Times(Vec<f64>);

impl Times {
    /// No value yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a value.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The largest value alone.
    #[must_use]
    pub fn largest(&self) -> Self {
        Self(vec![self.quantile(1.0)])
    }

    /// Does it, takes the time and hands the result on.
    pub fn take<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let begun = std::time::Instant::now();
        let result = act();
        self.0.push(begun.elapsed().as_secs_f64() * 1000.0);
        result
    }

    /// Adds the times of another series.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// The time that this share of the actions did not exceed; 0 without actions.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
    }

    /// All of it together.
    pub fn sum(&self) -> f64 {
        self.0.iter().sum()
    }

    /// How often it was done.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it was never done.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let times = Times((1..=100).rev().map(f64::from).collect());
        let found = [0.0, 0.5, 0.99, 1.0].map(|share| times.quantile(share) as u32);
        assert_eq!(found, [1, 50, 99, 100]);
        assert_eq!((times.sum() as u32, Times::default().quantile(0.99) as u32), (5050, 0));
    }
}
