//! A new run being made: a ready configuration with the values that matter, as lines.

use super::text_box::TextBox;

/// One value of a configuration that a person may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its key, with dots: `policy.kind`.
    pub key: &'static str,
    /// What it is, for a person.
    pub about: &'static str,
    /// The value the ready configuration has.
    pub value: String,
    /// The words it can be, where they are few.
    pub choices: Vec<String>,
}

/// The form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewRun {
    pub(crate) configuration: String,
    pub(crate) settings: Vec<Setting>,
    pub(crate) lines: Vec<TextBox>,
    pub(crate) selected: usize,
    /// What the check of the configuration said of the values as they stand; `None` while it has not answered.
    pub(crate) checked: Option<Result<(), String>>,
}

impl NewRun {
    pub(crate) fn new(configuration: String, settings: Vec<Setting>) -> Self {
        let lines = settings.iter().map(|setting| TextBox::of(setting.value.clone())).collect();
        Self { configuration, settings, lines, selected: 0, checked: None }
    }

    /// The values that differ from the configuration's, by key.
    pub(crate) fn changes(&self) -> Vec<(String, String)> {
        let values = self.settings.iter().zip(&self.lines);
        let changed = values.filter(|(setting, line)| line.text().trim() != setting.value);
        changed.map(|(setting, line)| (setting.key.to_owned(), line.text().trim().to_owned())).collect()
    }

    /// The next or previous of the words that the selected value can be.
    pub(crate) fn turn(&mut self, by: isize) {
        let Some(setting) = self.settings.get(self.selected) else { return };
        let count = setting.choices.len() as isize;
        if count == 0 {
            return;
        }
        let now = setting.choices.iter().position(|choice| choice == self.lines[self.selected].text());
        let next = now.map_or(0, |n| (n as isize + by).rem_euclid(count));
        self.lines[self.selected] = TextBox::of(setting.choices[next as usize].clone());
        self.checked = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_changed_is_said() {
        let setting = |key, value: &str, choices: &[&str]| Setting {
            key,
            about: "",
            value: value.into(),
            choices: choices.iter().map(|c| (*c).to_owned()).collect(),
        };
        let settings = vec![
            setting("seed", "1", &[]),
            setting("environment.kind", "skill_tree", &["open_ended", "skill_tree"]),
        ];
        let mut form = NewRun::new("quickstart".into(), settings);
        assert_eq!(form.changes(), []);
        form.turn(1);
        assert_eq!(form.changes(), [], "a seed has no list of words");
        form.selected = 1;
        form.turn(1);
        assert_eq!(form.changes(), [("environment.kind".to_owned(), "open_ended".to_owned())]);
        form.turn(-1);
        assert_eq!(form.changes(), []);
    }
}
