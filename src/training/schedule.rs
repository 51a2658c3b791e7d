//! Learning rate over the steps of a training.

/// Linear warm-up, then down to a twentieth of the peak: by a cosine over all steps, or in a line over the last ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub(super) peak: f64,
    pub(super) warmup: usize,
    pub(super) total: usize,
    /// The last steps, in which alone the rate falls.
    pub(super) decay: Option<usize>,
}

const FLOOR: f64 = 0.05;

impl Schedule {
    /// Learning rate of a step, counted from 1.
    pub(super) fn at(&self, step: usize) -> f64 {
        if step <= self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        if let Some(decay) = self.decay {
            let left = self.total.saturating_sub(step) as f64 / decay.max(1) as f64;
            return self.peak * (FLOOR + (1.0 - FLOOR) * left.min(1.0));
        }
        let span = self.total.saturating_sub(self.warmup).max(1) as f64;
        let progress = ((step - self.warmup) as f64 / span).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        self.peak * (FLOOR + (1.0 - FLOOR) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_the_peak_and_falls_to_a_twentieth() {
        let schedule = Schedule { peak: 1.0, warmup: 10, total: 110, decay: None };
        assert!((schedule.at(1) - 0.1).abs() < 1e-12);
        assert!((schedule.at(10) - 1.0).abs() < 1e-12);
        assert!((schedule.at(60) - 0.525).abs() < 1e-12);
        assert!((schedule.at(110) - 0.05).abs() < 1e-12);
        assert!((1..110).all(|step| schedule.at(step) > 0.0));
        assert!((Schedule { peak: 1.0, warmup: 0, total: 1, decay: None }.at(1) - 0.05).abs() < 1e-12);
        let level = Schedule { decay: Some(20), ..schedule };
        assert!([11, 50, 90].iter().all(|&step| (level.at(step) - 1.0).abs() < 1e-12));
        assert!((level.at(100) - 0.525).abs() < 1e-12 && (level.at(110) - 0.05).abs() < 1e-12);
    }
}
