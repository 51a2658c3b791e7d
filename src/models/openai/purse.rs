//! What may still be spent, held back before a request is sent.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::gym::ports::Allowance;

/// The allowance of a call and what is held back of it.
#[derive(Debug, Default)]
pub(super) struct Purse {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    left: Allowance,
    held: (u64, f64),
    holders: usize,
}

/// Tokens and money held back for one request; given back with this value.
pub(super) struct Hold<'a> {
    purse: &'a Purse,
    amount: (u64, f64),
}

impl Purse {
    /// Sets what may be spent from now on.
    pub(super) fn allow(&self, allowance: Allowance) {
        self.lock().left = allowance;
        self.changed.notify_one();
    }

    /// Holds back what a request may need at most; waits while others hold what is missing.
    ///
    /// # Errors
    /// What is spent: `"tokens"` or `"money"`, when even what others hold back would not do.
    pub(super) async fn hold(&self, tokens: u64, cost: f64) -> Result<Hold<'_>, &'static str> {
        loop {
            let changed = self.changed.notified();
            {
                let mut inner = self.lock();
                let short = |more: (u64, f64)| {
                    let tokens = inner.left.tokens.is_some_and(|left| left < more.0.saturating_add(tokens));
                    // Rounding is no overdraft.
                    let money = inner.left.cost.is_some_and(|left| left * (1.0 + 1e-9) < more.1 + cost);
                    tokens.then_some("tokens").or(money.then_some("money"))
                };
                match short(inner.held) {
                    None => {
                        inner.held = (inner.held.0 + tokens, inner.held.1 + cost);
                        inner.holders += 1;
                        self.changed.notify_one();
                        return Ok(Hold { purse: self, amount: (tokens, cost) });
                    }
                    Some(word) if inner.holders == 0 => {
                        self.changed.notify_one();
                        return Err(word);
                    }
                    Some(_) => {}
                }
            }
            changed.await;
        }
    }

    /// Spends, whether it was held back or not.
    pub(super) fn spend(&self, tokens: u64, cost: f64) {
        let mut inner = self.lock();
        inner.left.tokens = inner.left.tokens.map(|left| left.saturating_sub(tokens));
        inner.left.cost = inner.left.cost.map(|left| left - cost);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut inner = self.purse.lock();
        inner.holders -= 1;
        // The last one leaves no rounding behind.
        inner.held = if inner.holders == 0 {
            (0, 0.0)
        } else {
            (inner.held.0 - self.amount.0, inner.held.1 - self.amount.1)
        };
        self.purse.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn nothing_is_sent_that_could_not_be_paid() {
        block(async {
            let purse = Purse::default();
            assert!(purse.hold(1 << 40, 1e9).await.is_ok());
            purse.allow(Allowance { tokens: Some(100), cost: Some(1.0) });
            let first = purse.hold(60, 0.5).await.unwrap();
            // It would do if the first gives back: wait, then go.
            let second = purse.hold(60, 0.5);
            let waited = tokio::time::timeout(Duration::from_millis(5), second).await;
            assert!(waited.is_err());
            drop(first);
            purse.spend(30, 0.1);
            assert_eq!(purse.hold(80, 0.1).await.err(), Some("tokens"));
            assert_eq!(purse.hold(70, 0.95).await.err(), Some("money"));
            assert!(purse.hold(70, 0.9).await.is_ok());
        });
    }
}
