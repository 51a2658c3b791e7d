//! Numbers that a person changes: the limits of a run, and the pieces of a plan.

use crate::gym::budget::{Budget, Plateau};

/// One number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) label: String,
    /// What it was before the person changed it.
    pub(crate) before: Option<i64>,
    /// `None` is no limit, or none of it.
    pub(crate) value: Option<i64>,
    least: i64,
    most: i64,
    /// Whether it may be without a value.
    optional: bool,
    /// Whether the next digit begins a new number.
    fresh: bool,
}

impl Field {
    pub(crate) fn new(label: impl Into<String>, value: Option<i64>, least: i64, most: i64) -> Self {
        Self { label: label.into(), before: value, value, least, most, optional: false, fresh: true }
    }

    fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    pub(crate) fn changed(&self) -> bool {
        self.value != self.before
    }

    /// More, or less.
    pub(crate) fn change(&mut self, by: i64) {
        let from = self.value.unwrap_or(if by > 0 { self.least.max(1) - 1 } else { self.least });
        self.value = Some(from.saturating_add(by).clamp(self.least, self.most));
        self.fresh = true;
    }

    /// A digit was typed.
    pub(crate) fn digit(&mut self, digit: u8) {
        let from = if self.fresh { 0 } else { self.value.unwrap_or(0) };
        let sign = if from < 0 { -1 } else { 1 };
        let value = from.saturating_mul(10).saturating_add(sign * i64::from(digit));
        // The least is a matter of the whole number, not of its first digit.
        self.value = Some(value.clamp(self.least.min(0), self.most));
        self.fresh = false;
    }

    /// The last digit goes.
    pub(crate) fn back(&mut self) {
        self.value = match self.value {
            Some(value) if value.abs() >= 10 => Some(value / 10),
            _ if self.optional => None,
            _ => Some(0),
        };
        self.fresh = false;
    }

    pub(crate) fn clear(&mut self) {
        self.value = if self.optional { None } else { Some(0.clamp(self.least, self.most)) };
        self.fresh = true;
    }

    /// The selection moved away from it.
    pub(crate) fn settle(&mut self) {
        self.value = self.value.map(|value| value.clamp(self.least, self.most));
        self.fresh = true;
    }

    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.value.unwrap_or(0)).unwrap_or(0)
    }
}

const MINUTE: u64 = 60_000;
const PHASE_TOKENS: &str = "teacher tokens per phase";
const MONEY: &str = "money for endpoints";

/// The limits of a run, being changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limits {
    pub(crate) fields: Vec<Field>,
    pub(crate) selected: usize,
    before: Budget,
}

impl Limits {
    pub(crate) fn new(budget: &Budget) -> Self {
        let large = i64::from(u32::MAX);
        let number = |n: Option<u64>| n.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let minutes = budget.time_ms.map(|ms| ms.div_ceil(MINUTE));
        let mut fields = vec![
            Field::new("iterations", Some(budget.iterations.into()), 0, 100_000),
            Field::new("accepted training data", number(budget.training_data.map(u64::from)), 1, large)
                .optional(),
            Field::new("tokens of all models", number(budget.tokens), 1, i64::MAX / 16).optional(),
            Field::new("minutes of work", number(minutes), 1, 10_000_000).optional(),
            Field::new("iterations without a gain", budget.plateau.map(|p| p.patience.into()), 1, 100_000)
                .optional(),
        ];
        // Most runs have no limit within a phase, and ask no endpoint.
        if let Some(tokens) = budget.phase_tokens {
            fields.push(Field::new(PHASE_TOKENS, number(Some(tokens)), 1, i64::MAX / 16).optional());
        }
        if let Some(money) = budget.money {
            fields.push(Field::new(MONEY, Some(money.ceil() as i64), 1, large).optional());
        }
        Self { fields, selected: 0, before: budget.clone() }
    }

    /// The limits as they stand on the screen.
    pub(crate) fn budget(&self) -> Budget {
        let value = |n: usize| self.fields[n].value;
        let small = |n: usize| value(n).and_then(|v| u32::try_from(v).ok());
        let time = |v: i64| u64::try_from(v).ok().map(|minutes| minutes * MINUTE);
        let named = |name| self.fields.iter().find(|field| field.label == name);
        let gain = self.before.plateau.map_or(0.0, |p| p.gain);
        Budget {
            iterations: small(0).unwrap_or(0),
            training_data: small(1),
            tokens: value(2).and_then(|v| u64::try_from(v).ok()),
            // Whole units and minutes are coarser than what was configured.
            phase_tokens: named(PHASE_TOKENS).and_then(|field| u64::try_from(field.value?).ok()),
            money: match named(MONEY) {
                Some(field) if field.changed() => field.value.map(|m| m as f64),
                _ => self.before.money,
            },
            time_ms: if self.fields[3].changed() { value(3).and_then(time) } else { self.before.time_ms },
            plateau: small(4).map(|patience| Plateau { patience, gain }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(field: &mut Field, digits: &str) -> Option<i64> {
        digits.bytes().for_each(|digit| field.digit(digit - b'0'));
        field.value
    }

    #[test]
    fn digits_begin_a_new_number_and_go_on() {
        let mut field = Field::new("n", Some(40), 5, 300);
        assert_eq!(typed(&mut field, "120"), Some(120));
        field.back();
        assert_eq!(field.value, Some(12));
        field.change(-10);
        assert_eq!(field.value, Some(5));
        assert_eq!(typed(&mut field, "2"), Some(2));
        field.settle();
        assert_eq!(field.value, Some(5));
        assert_eq!(typed(&mut field, "9999"), Some(300));
        field.clear();
        assert_eq!(field.value, Some(5));
    }

    #[test]
    fn limits_go_back_into_a_budget() {
        let budget = Budget {
            iterations: 4,
            time_ms: Some(90_001),
            plateau: Some(Plateau { patience: 2, gain: 0.01 }),
            ..Budget::default()
        };
        let mut limits = Limits::new(&budget);
        assert_eq!(limits.budget(), budget);
        let paid = Budget { money: Some(2.5), ..budget.clone() };
        let mut more = Limits::new(&paid);
        assert_eq!(more.budget(), paid);
        more.fields[5].change(4);
        assert_eq!(more.budget().money, Some(7.0));
        let phases = Budget { phase_tokens: Some(1000), ..paid.clone() };
        let mut both = Limits::new(&phases);
        assert_eq!(both.budget(), phases);
        both.fields[5].change(500);
        assert_eq!(both.budget(), Budget { phase_tokens: Some(1500), ..phases });
        limits.fields[0].change(3);
        limits.fields[1].change(10);
        limits.fields[4].clear();
        limits.fields[3].change(1);
        let changed = limits.budget();
        assert_eq!((changed.iterations, changed.training_data, changed.plateau), (7, Some(10), None));
        assert_eq!(changed.time_ms, Some(3 * MINUTE));
        limits.fields[1].back();
        limits.fields[1].back();
        assert_eq!(limits.budget().training_data, None);
    }
}
