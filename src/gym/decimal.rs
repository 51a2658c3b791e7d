//! Fractions that survive a file.

use serde_json::{Number, Value};

/// A number to 15 significant digits, and to 22 places behind the point: a decimal that a JSON reader finds
/// again exactly, because its digits and its power of ten are both whole numbers that a double holds (Clinger,
/// "How to read floating point numbers accurately", PLDI 1990). Other fractions can come back one unit in the
/// last place away, and a journal that is replayed would then differ from what it records.
pub fn decimal(value: f64) -> f64 {
    let text = if value.abs() < 1e-8 { format!("{value:.22}") } else { format!("{value:.14e}") };
    // What is no number stays none.
    text.parse().unwrap_or(value)
}

/// Makes every fraction in a JSON value a [`decimal`].
pub fn decimals(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(kept) = number.as_f64().map(decimal).and_then(Number::from_f64) {
                *number = kept;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(decimals),
        Value::Object(fields) => fields.values_mut().for_each(decimals),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_decimal_is_read_as_it_was_written(
            value in prop_oneof![any::<f64>(), -1.0..1.0_f64, -1e6..1e6_f64, 0.0..1e-7_f64]
        ) {
            prop_assume!(value.is_finite() && value.abs() < 1e30);
            let kept = decimal(value);
            prop_assert!((kept - value).abs() <= 1e-14 * value.abs() + 1e-22);
            prop_assert_eq!(decimal(kept).to_bits(), kept.to_bits());
            let text = serde_json::to_string(&kept).unwrap();
            prop_assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), kept.to_bits(), "{}", text);
        }
    }

    #[test]
    fn numbers_that_people_write_stay_what_they_are() {
        for value in [0.0, 1.0, -0.5, 0.1, 1e-5, 2.5e-4, 1e-10, 1e22, 123_456.789] {
            assert!(decimal(value).to_bits() == value.to_bits(), "{value}");
        }
        assert!(decimal(f64::NAN).is_nan() && decimal(f64::INFINITY).is_infinite());
    }
}
