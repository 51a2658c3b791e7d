//! The recent past of one measurement.

use std::collections::VecDeque;

/// Values kept per series: two minutes at one a second.
const KEPT: usize = 120;

/// A short series of shares in `0..=1`, oldest first. A gap is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    values: VecDeque<Option<f32>>,
}

impl History {
    /// Adds the newest value and forgets the oldest when full.
    pub fn push(&mut self, value: Option<f32>) {
        if self.values.len() == KEPT {
            self.values.pop_front();
        }
        self.values.push_back(value.filter(|v| v.is_finite()).map(|v| v.clamp(0.0, 1.0)));
    }

    /// The newest value.
    pub fn latest(&self) -> Option<f32> {
        self.values.back().copied().flatten()
    }

    /// The newest `count` values, oldest first.
    pub fn recent(&self, count: usize) -> impl Iterator<Item = Option<f32>> + '_ {
        self.values.iter().skip(self.values.len().saturating_sub(count)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_bounded_and_in_order() {
        let mut history = History::default();
        assert_eq!(history.latest(), None);
        for n in 0..500_u16 {
            history.push(Some(f32::from(n) / 500.0));
        }
        history.push(Some(7.0));
        history.push(None);
        assert_eq!(history.values.len(), KEPT);
        assert_eq!(history.recent(3).collect::<Vec<_>>(), [Some(499.0 / 500.0), Some(1.0), None]);
        assert_eq!(history.latest(), None);
    }
}
