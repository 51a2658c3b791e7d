//! The experiment file: what is compared, under which seeds.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// An experiment as its file says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Design {
    /// Its name: letters, digits, dashes and underscores.
    pub name: String,
    /// What it asks, in a sentence.
    pub question: String,
    /// The ready configuration or the file that every run begins with.
    pub base: String,
    /// One run of every arm per seed: numbers and ranges, as in `[1, "101-110"]`.
    pub seeds: Vec<SeedRange>,
    /// Runs at the same time; each on the next of `devices`, where there are any.
    #[serde(default = "one")]
    pub jobs: u32,
    /// What `CUDA_VISIBLE_DEVICES` is for each of the runs at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Configuration keys of every arm.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub set: Table,
    /// What differs.
    pub axis: Vec<Axis>,
    /// Combinations that are left out: a value per axis named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skip: Vec<Table>,
    /// What is compared.
    #[serde(default)]
    pub compare: Vec<Contrast>,
    /// Whether the same arm is compared with itself, to show how often that is called a difference.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blank: bool,
}

fn one() -> u32 {
    1
}

/// Seeds as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SeedRange {
    /// One.
    One(u32),
    /// `"101-110"`: both ends included.
    Range(String),
}

/// One thing that differs between arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// Its values, in the order of tables and figures.
    pub value: Vec<AxisValue>,
}

/// One value of an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AxisValue {
    /// Its name: letters, digits, dashes and underscores.
    pub name: String,
    /// Configuration keys.
    #[serde(default)]
    pub set: Table,
}

/// Comparisons along one axis: one for every combination of the other axes. Holm's correction runs over all
/// comparisons of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrast {
    /// The axis.
    pub axis: String,
    /// The values looked at; all but `against` when none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<String>,
    /// The value they are compared with.
    pub against: String,
}

/// A combination of values.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// The values' names joined by `+`.
    pub name: String,
    /// The value of every axis, in order.
    pub values: Vec<String>,
    /// Its configuration keys, those of all arms included.
    pub set: Table,
}

/// One comparison of two arms, by their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// The `[[compare]]` that it comes from.
    pub family: usize,
    /// What is compared.
    pub arm: usize,
    /// With what.
    pub against: usize,
}

/// Why an experiment file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}")]
pub struct DesignError {
    /// The file.
    pub file: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl Design {
    /// Reads the text of `file`.
    ///
    /// # Errors
    /// What is wrong, with the line where TOML knows one.
    pub fn parse(text: &str, file: &Path) -> Result<Self, DesignError> {
        let wrong = |what: String| DesignError { file: file.display().to_string(), what };
        let design: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        design.check().map_err(wrong)?;
        Ok(design)
    }

    fn check(&self) -> Result<(), String> {
        let plain = |what: &str, name: &str| {
            let wrong = || format!("the {what} `{name}` may hold letters, digits, `-` and `_` only");
            is_plain(name).then_some(()).ok_or_else(wrong)
        };
        plain("name", &self.name)?;
        if self.axis.is_empty() {
            return Err("no [[axis]]: nothing differs between the arms".into());
        }
        for axis in &self.axis {
            plain("axis", &axis.name)?;
            if axis.value.is_empty() {
                return Err(format!("axis `{}` has no [[axis.value]]", axis.name));
            }
            axis.value.iter().try_for_each(|value| plain("value", &value.name))?;
            unique(&format!("value of axis `{}`", axis.name), axis.value.iter().map(|v| v.name.as_str()))?;
        }
        unique("axis", self.axis.iter().map(|a| a.name.as_str()))?;
        for skip in &self.skip {
            for (axis, value) in skip {
                self.value(axis, value.as_str().unwrap_or_default()).map_err(|e| format!("[[skip]]: {e}"))?;
            }
        }
        for contrast in &self.compare {
            for value in contrast.of.iter().chain([&contrast.against]) {
                self.value(&contrast.axis, value).map_err(|e| format!("[[compare]]: {e}"))?;
            }
            if contrast.of.contains(&contrast.against) {
                return Err(format!("[[compare]]: `{}` is compared with itself", contrast.against));
            }
        }
        if self.arms().is_empty() {
            return Err("[[skip]] leaves no arm".into());
        }
        match self.seeds()?.len() {
            0 => Err("`seeds` names no seed".into()),
            1 if !self.compare.is_empty() => {
                Err("`seeds` names one seed: comparisons over seeds need two at least, better ten".into())
            }
            n if self.blank && n < 4 => Err("a blank needs four seeds at least, better forty".into()),
            _ if self.jobs == 0 => Err("`jobs` must be at least 1".into()),
            _ => Ok(()),
        }
    }

    fn value(&self, axis: &str, value: &str) -> Result<(), String> {
        let Some(axis) = self.axis.iter().find(|a| a.name == axis) else {
            return Err(format!("there is no axis `{axis}`"));
        };
        if axis.value.iter().any(|v| v.name == value) {
            return Ok(());
        }
        let names: Vec<&str> = axis.value.iter().map(|v| v.name.as_str()).collect();
        Err(format!("axis `{}` has no value `{value}`: it has {}", axis.name, names.join(", ")))
    }

    /// Every seed once, in order of the file.
    pub fn seeds(&self) -> Result<Vec<u32>, String> {
        let mut seeds = Vec::new();
        for range in &self.seeds {
            let (first, last) = match range {
                SeedRange::One(seed) => (*seed, *seed),
                SeedRange::Range(text) => {
                    let ends = text.split_once('-').unwrap_or((text, text));
                    match (ends.0.trim().parse::<u32>(), ends.1.trim().parse::<u32>()) {
                        (Ok(first), Ok(last)) if first <= last && last - first < 10_000 => (first, last),
                        _ => return Err(format!("seeds: `{text}` is no range such as \"101-110\"")),
                    }
                }
            };
            for seed in first..=last {
                if !seeds.contains(&seed) {
                    seeds.push(seed);
                }
            }
        }
        Ok(seeds)
    }

    /// Every combination of the axes' values that is not left out, the last axis changing fastest.
    pub fn arms(&self) -> Vec<Arm> {
        let mut arms = vec![Arm { name: String::new(), values: Vec::new(), set: self.set.clone() }];
        for axis in &self.axis {
            let with = |arm: &Arm, value: &AxisValue| {
                let mut set = arm.set.clone();
                lay_over(&mut set, &value.set);
                let values: Vec<String> = arm.values.iter().chain([&value.name]).cloned().collect();
                Arm { name: values.join("+"), values, set }
            };
            arms = arms.iter().flat_map(|arm| axis.value.iter().map(move |value| with(arm, value))).collect();
        }
        arms.retain(|arm| !self.skip.iter().any(|skip| self.matches(arm, skip)));
        arms
    }

    fn matches(&self, arm: &Arm, skip: &Table) -> bool {
        let is = |(axis, value): (&Axis, &String)| {
            skip.get(&axis.name).is_none_or(|wanted| wanted.as_str() == Some(value))
        };
        !skip.is_empty() && self.axis.iter().zip(&arm.values).all(is)
    }

    /// Every comparison, in the order of the file, then of the arms.
    pub fn pairings(&self) -> Vec<Pairing> {
        let arms = self.arms();
        let mut found = Vec::new();
        for (family, contrast) in self.compare.iter().enumerate() {
            let Some(place) = self.axis.iter().position(|axis| axis.name == contrast.axis) else { continue };
            for (n, arm) in arms.iter().enumerate() {
                let value = &arm.values[place];
                let wanted = contrast.of.is_empty() || contrast.of.contains(value);
                if *value == contrast.against || !wanted {
                    continue;
                }
                let mut other = arm.values.clone();
                other[place].clone_from(&contrast.against);
                if let Some(against) = arms.iter().position(|arm| arm.values == other) {
                    found.push(Pairing { family, arm: n, against });
                }
            }
        }
        found
    }
}

/// Lays the keys of one table over those of another, tables inside tables too.
pub fn lay_over(below: &mut Table, above: &Table) {
    for (key, value) in above {
        match (below.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            _ => {
                below.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Whether a name can be part of a folder's.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("the {what} `{name}` is there twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
name = "state"
question = "Does it help to see the student's errors?"
base = "quickstart"
seeds = [7, "101-103"]
jobs = 2
set = { episode.iterations = 2 }
compare = [{ axis = "state", against = "none" }]

[[axis]]
name = "environment"
value = [
    { name = "open_ended", set = { environment.kind = "open_ended", policy.kind = "errors" } },
    { name = "skill_tree" },
]

[[axis]]
name = "state"
value = [{ name = "with" }, { name = "none", set = { environment.state = "none" } }]
"#;

    fn parse(text: &str) -> Result<Design, DesignError> {
        Design::parse(text, Path::new("e.toml"))
    }

    #[test]
    fn a_grid_is_the_product_of_its_axes() {
        let design = parse(TEXT).unwrap();
        assert_eq!(design.seeds().unwrap(), [7, 101, 102, 103]);
        let arms = design.arms();
        let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
        assert_eq!(names, ["open_ended+with", "open_ended+none", "skill_tree+with", "skill_tree+none"]);
        let set = toml::to_string(&arms[1].set).unwrap();
        assert_eq!(set.matches("open_ended").count() + set.matches("\"none\"").count(), 2, "{set}");
        assert!(set.contains("iterations = 2"), "{set}");
        let pairs: Vec<_> = design.pairings().iter().map(|p| (p.family, p.arm, p.against)).collect();
        assert_eq!(pairs, [(0, 0, 1), (0, 2, 3)]);
    }

    #[test]
    fn combinations_can_be_left_out() {
        let skip = "skip = [{ environment = \"open_ended\", state = \"none\" }]\n";
        let design = parse(&TEXT.replacen("compare", &format!("{skip}compare"), 1)).unwrap();
        assert_eq!(design.arms().len(), 3);
        assert_eq!(design.pairings().len(), 1);
    }

    #[test]
    fn mistakes_are_named() {
        for (from, to, said) in [
            ("axis = \"state\", against", "axis = \"stat\", against", "no axis `stat`"),
            ("against = \"none\"", "against = \"nothing\"", "has no value `nothing`: it has with, none"),
            ("seeds = [7, \"101-103\"]", "seeds = [\"9-1\"]", "no range"),
            ("seeds = [7, \"101-103\"]", "seeds = [7]", "one seed"),
            ("name = \"state\"\nquestion", "name = \"a/b\"\nquestion", "letters, digits"),
            ("jobs = 2", "job = 2", "unknown field `job`"),
            ("{ name = \"with\" }", "{ name = \"none\" }", "there twice"),
        ] {
            let error = parse(&TEXT.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(said) && error.starts_with("e.toml"), "{error}");
        }
    }
}
