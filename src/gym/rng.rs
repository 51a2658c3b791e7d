//! A counter generator: every draw is a pure function of (seed, item key, position).
//!
//! No state is carried between items, so a problem, a batch order or an initial weight is the same however
//! the work around it was scheduled, repeated or resumed. The mixing function is the finaliser of `SplitMix64`
//! (Steele, Lea, Flood 2014), applied to a Weyl sequence.

const WEYL: u64 = 0x9e37_79b9_7f4a_7c15;

/// Scrambles one word; a bijection on 64 bits.
#[must_use]
pub const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Hashes text to 64 bits. Stable between releases and machines: splits and item keys depend on it.
#[must_use]
pub fn hash_text(text: &str) -> u64 {
    text.bytes().fold(mix(text.len() as u64 ^ WEYL), |hash, byte| {
        mix(hash.wrapping_add(WEYL).wrapping_add(u64::from(byte)))
    })
}

/// The draws of one item.
#[derive(Debug, Clone)]
pub struct CounterRng {
    key: u64,
    position: u64,
}

impl CounterRng {
    /// The stream of `item` under `seed`.
    #[must_use]
    pub fn keyed(seed: u64, item: &str) -> Self {
        Self { key: mix(mix(seed.wrapping_add(WEYL)) ^ hash_text(item)), position: 0 }
    }

    /// The stream of the `index`-th sibling of this item; independent of draws already made.
    #[must_use]
    pub fn child(&self, index: u64) -> Self {
        Self { key: mix(self.key ^ mix(index.wrapping_add(WEYL))), position: 0 }
    }

    /// The next 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        self.position = self.position.wrapping_add(1);
        mix(self.key.wrapping_add(self.position.wrapping_mul(WEYL)))
    }

    /// Uniform in `0..bound`; 0 when `bound` is 0. The bias of the multiply-shift reduction is below
    /// `bound / 2^64`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// Uniform in `low..=high`; `low` when the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Uniform in `[0, 1)` with 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Standard normal (Box and Muller, cosine branch).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// One element of a non-empty slice; `None` for an empty one.
    pub fn pick<'items, T>(&mut self, items: &'items [T]) -> Option<&'items T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_seed_item_and_position_only() {
        let draws = |seed, item| {
            let mut rng = CounterRng::keyed(seed, item);
            [rng.bits(), rng.bits(), rng.bits()]
        };
        assert_eq!(draws(1, "a"), draws(1, "a"));
        assert_ne!(draws(1, "a"), draws(2, "a"));
        assert_ne!(draws(1, "a"), draws(1, "b"));
        let mut parent = CounterRng::keyed(1, "a");
        let before = parent.child(3).bits();
        parent.bits();
        assert_eq!(before, parent.child(3).bits());
    }

    #[test]
    fn bounded_draws_are_even_and_in_range() {
        let mut rng = CounterRng::keyed(7, "range");
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[rng.between(3, 8) as usize - 3] += 1;
        }
        assert!(counts.iter().all(|&count| (9_600..10_400).contains(&count)), "{counts:?}");
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn normal_draws_have_unit_variance() {
        let mut rng = CounterRng::keyed(7, "normal");
        let draws: Vec<f64> = (0..40_000).map(|_| rng.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 40_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 40_000.0;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }
}
