//! What endpoints were paid in a run, and what may still be spent.
//!
//! The account lies in a file of the run's folder, which is replaced whole: at most twice a second, at the end of
//! every phase, and at the end of the process. A kill between two savings forgets half a second of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::gym::budget::Spending;
use crate::gym::ports::{Allowance, Served};
use crate::store::spending;

/// Time between two savings while answers arrive.
const SAVE: Duration = Duration::from_millis(500);

/// The account of a run; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Purse {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    folder: Option<PathBuf>,
    spending: Spending,
    money: Option<f64>,
    tokens: Option<u64>,
    saved: Option<Instant>,
    dirty: bool,
}

impl Purse {
    /// The account of the run in a folder.
    ///
    /// # Errors
    /// A sentence about an account that cannot be read.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let spending = spending::read(folder)?;
        let inner = Inner { folder: Some(folder.to_owned()), spending, ..Inner::default() };
        Ok(Self { inner: Arc::new(Mutex::new(inner)) })
    }

    /// Sets the limits: money of the whole run, and tokens from now on.
    pub fn limit(&self, money: Option<f64>, tokens: Option<u64>) {
        let mut inner = self.lock();
        (inner.money, inner.tokens) = (money, tokens);
    }

    /// What may still be spent.
    pub fn left(&self) -> Allowance {
        let inner = self.lock();
        Allowance {
            cost: inner.money.map(|money| (money - inner.spending.cost).max(0.0)),
            tokens: inner.tokens,
        }
    }

    /// Something was paid: so many answers that are used, or none.
    pub fn pay(&self, served: &Served, answers: u64) {
        let mut inner = self.lock();
        inner.spending.add(&served.endpoint, answers, served.tokens, served.cost);
        inner.tokens = inner.tokens.map(|left| left.saturating_sub(served.tokens));
        inner.dirty = true;
        if inner.saved.is_none_or(|saved| saved.elapsed() >= SAVE) {
            inner.save();
        }
    }

    /// What was spent so far.
    pub fn spending(&self) -> Spending {
        self.lock().spending.clone()
    }

    /// Writes what is not yet written.
    pub fn save(&self) {
        self.lock().save();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn save(&mut self) {
        let Some(folder) = self.folder.as_ref().filter(|_| self.dirty) else { return };
        match spending::write(folder, &self.spending) {
            Ok(()) => self.dirty = false,
            Err(error) => tracing::warn!(%error, "what was spent could not be written"),
        }
        self.saved = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(cost: f64) -> Served {
        Served { endpoint: "x".into(), model: "m".into(), tokens: 10, cost, mean_logprob: None }
    }

    #[test]
    fn what_was_paid_is_found_again_and_limits_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let purse = Purse::open(folder.path()).unwrap();
        assert_eq!(purse.left(), Allowance::default());
        purse.limit(Some(1.0), Some(15));
        purse.pay(&served(0.25), 1);
        purse.pay(&served(0.25), 0);
        assert_eq!(purse.left(), Allowance { tokens: Some(0), cost: Some(0.5) });
        purse.save();
        let again = Purse::open(folder.path()).unwrap();
        assert_eq!((again.spending().cost, again.spending().endpoints["x"]), (0.5, (1, 20, 0.5)));
        std::fs::write(folder.path().join("spending.json"), "{").unwrap();
        assert!(Purse::open(folder.path()).unwrap_err().contains("spending.json"));
    }
}
