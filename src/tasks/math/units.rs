//! Units of measurement: which words are units and how they convert.

use super::number::{Rational, power, ratio, whole};

/// A unit as powers of its dimensions with the factor to the first unit of each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unit {
    /// Exponents of length, time, mass, money, angle, volume.
    dimensions: [i64; 6],
    /// Size in the first unit of each dimension.
    pub(super) factor: Rational,
}

impl Unit {
    /// Whether both measure the same kind of thing.
    pub(super) fn measures_like(&self, other: &Self) -> bool {
        self.dimensions == other.dimensions
    }
}

/// Names of one unit, its dimension and its size as a fraction.
type Row = (&'static str, usize, i64, i64);

const LENGTH: usize = 0;
const TIME: usize = 1;
const MASS: usize = 2;
const MONEY: usize = 3;
const ANGLE: usize = 4;
const VOLUME: usize = 5;

/// International units and their exact conversions (NIST Special Publication 811, appendix B).
const UNITS: [Row; 29] = [
    ("m meter meters metre metres", LENGTH, 1, 1),
    ("cm centimeter centimeters centimetre centimetres", LENGTH, 1, 100),
    ("mm millimeter millimeters", LENGTH, 1, 1000),
    ("km kilometer kilometers kilometre kilometres", LENGTH, 1000, 1),
    ("in inch inches", LENGTH, 254, 10_000),
    ("ft foot feet", LENGTH, 3048, 10_000),
    ("yd yard yards", LENGTH, 9144, 10_000),
    ("mi mile miles", LENGTH, 1_609_344, 1000),
    ("s sec second seconds", TIME, 1, 1),
    ("min minute minutes", TIME, 60, 1),
    ("h hr hrs hour hours", TIME, 3600, 1),
    ("day days", TIME, 86_400, 1),
    ("week weeks", TIME, 604_800, 1),
    ("month months", TIME, 2_629_800, 1),
    ("year years yr yrs", TIME, 31_557_600, 1),
    ("g gm gram grams", MASS, 1, 1),
    ("kg kilogram kilograms", MASS, 1000, 1),
    ("mg milligram milligrams", MASS, 1, 1000),
    ("lb lbs pound pounds", MASS, 45_359_237, 100_000),
    ("oz ounce ounces", MASS, 45_359_237, 1_600_000),
    ("dollar dollars usd", MONEY, 1, 1),
    ("cent cents", MONEY, 1, 100),
    ("° degree degrees deg", ANGLE, 1, 1),
    ("L l liter liters litre litres", VOLUME, 1, 1),
    ("mL ml milliliter milliliters", VOLUME, 1, 1000),
    ("gallon gallons gal", VOLUME, 3_785_411_784, 1_000_000_000),
    ("quart quarts", VOLUME, 946_352_946, 1_000_000_000),
    ("pint pints", VOLUME, 473_176_473, 1_000_000_000),
    ("cup cups", VOLUME, 236_588_236, 1_000_000_000),
];

fn row(name: &str) -> Option<&'static Row> {
    UNITS.iter().find(|row| row.0.split_ascii_whitespace().any(|known| known == name))
}

/// Whether plain letters behind a number are this unit and not a product of variables.
pub(super) fn is_unit(word: &str) -> bool {
    matches!(
        word,
        "mph" | "pct" | "percent" | "percentage" | "units" | "unit" | "square" | "cubic" | "sq" | "per"
    ) || (word.len() > 1 && row(word).is_some())
}

/// What a word multiplies a number by.
pub(super) fn scale(word: &str) -> Option<i64> {
    Some(match word {
        "dozen" => 12,
        "hundred" => 100,
        "thousand" => 1000,
        "million" => 1_000_000,
        "billion" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        _ => return None,
    })
}

/// How the unit of a residue begins.
pub(super) const MODULO: &str = "mod ";

/// Whether the unit is a hundredth.
pub(super) fn is_percent(unit: &str) -> bool {
    matches!(unit, "%" | "percent" | "pct" | "percentage" | "\\%")
}

/// What a unit measures; `None` for words that are no unit ("students"), which then say nothing.
pub(super) fn unit(text: &str) -> Option<Unit> {
    if text == "mph" {
        return unit("miles/hour");
    }
    let mut whole_unit = Unit { dimensions: [0; 6], factor: whole(1) };
    let text = text.replace(" per ", "/");
    for (index, side) in text.split('/').enumerate() {
        let mut exponent = 1;
        for word in side.split_ascii_whitespace() {
            let (name, power_of) = word.split_once('^').unwrap_or((word, "1"));
            exponent *= power_of.parse::<i64>().ok().filter(|power| (1..=4).contains(power))?;
            match name.trim_end_matches('.') {
                "square" | "sq" => exponent *= 2,
                "cubic" => exponent *= 3,
                known => {
                    let (_, dimension, numerator, denominator) = *row(known)?;
                    let signed = if index == 0 { exponent } else { -exponent };
                    whole_unit.dimensions[dimension] += signed;
                    whole_unit.factor *= power(&ratio(numerator, denominator)?, signed)?;
                    exponent = 1;
                }
            }
        }
    }
    // A cubic length is a volume: one litre is a thousandth of a cubic metre.
    let [length, .., volume] = &mut whole_unit.dimensions;
    if *length != 0 && *length % 3 == 0 {
        *volume += *length / 3;
        whole_unit.factor *= power(&whole(1000), *length / 3)?;
        *length = 0;
    }
    (whole_unit.dimensions != [0; 6]).then_some(whole_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_convert_exactly() {
        let same = |a: &str, number: (i64, i64), b: &str| {
            let (a, b) = (unit(a).unwrap(), unit(b).unwrap());
            a.measures_like(&b) && a.factor == ratio(number.0, number.1).unwrap() * b.factor
        };
        assert!(same("meters", (100, 1), "cm"));
        assert!(same("ft^2", (144, 1), "square inches"));
        assert!(same("km/h", (1, 3600), "km per sec"));
        assert!(same("cubic cm", (1, 1), "mL"));
        assert!(same("mph", (5280, 3600), "feet per second"));
        assert!(!unit("cm").unwrap().measures_like(&unit("cm^2").unwrap()));
        assert_eq!((unit("students"), unit(""), unit("hours ago")), (None, None, None));
        assert!(is_unit("cm") && !is_unit("m") && !is_unit("ab") && is_percent("percent"));
    }
}
