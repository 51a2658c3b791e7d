//! How the screen looks and which keys it has: what ships with the program, and a person's files in the
//! configuration folder: `screen.toml`, `keymap.toml`, `themes/*.toml`.

use std::path::Path;

use serde::Deserialize;

use super::keymap::{Keymap, KeymapError};
use super::lines::line_of;
use super::theme::{Depth, Theme, ThemeError, Themes};

/// Why a person's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// `keymap.toml`.
    #[error(transparent)]
    Keymap(#[from] KeymapError),
    /// `themes/*.toml`, or a theme that is not there.
    #[error(transparent)]
    Theme(#[from] ThemeError),
    /// `screen.toml`.
    #[error("{0}")]
    Screen(String),
}

/// `screen.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Preferences {
    /// Name of a theme.
    theme: Option<String>,
    /// Colours of the terminal, where the environment does not say.
    colour: Option<Depth>,
    /// Whether to draw with ASCII only.
    #[serde(default)]
    ascii: bool,
    /// Whether to hide the line for newcomers.
    #[serde(default)]
    no_hint: bool,
}

/// Themes, keys and marks of a screen.
#[derive(Debug, Clone)]
pub struct Look {
    pub(crate) themes: Vec<Theme>,
    pub(crate) theme: usize,
    pub(crate) keymap: Keymap,
    pub(crate) depth: Depth,
    pub(crate) ascii: bool,
    pub(crate) hint: bool,
    /// Whether a file of the person's names the theme.
    pub(crate) own_theme: bool,
}

impl Default for Look {
    /// What ships with the program, in all its colours.
    fn default() -> Self {
        Self {
            themes: Themes::built_in().all(),
            theme: 0,
            keymap: Keymap::default(),
            depth: Depth::True,
            ascii: false,
            hint: true,
            own_theme: false,
        }
    }
}

impl Look {
    /// What ships with the program, changed by the files of a folder and by the environment: `NO_COLOR`,
    /// `CLICOLOR_FORCE`, `COLORTERM`, `TERM`.
    ///
    /// # Errors
    /// Every mistake in a file, with file and line.
    pub fn read(folder: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<Self, LookError> {
        let preferences = preferences(&folder.join("screen.toml"))?;
        let of_environment = Depth::of_environment(variable);
        let depth = match (of_environment, preferences.colour) {
            (Depth::None, _) => Depth::None,
            (found, said) => said.unwrap_or(found),
        };
        let themes = Themes::read(Some(&folder.join("themes")), depth)?;
        let wanted = preferences.theme.filter(|_| depth != Depth::None);
        let theme = match &wanted {
            Some(name) => {
                themes.find(name)?;
                themes.names().iter().position(|known| known == name).unwrap_or(0)
            }
            None => 0,
        };
        let keymap = Keymap::read(&folder.join("keymap.toml"))?;
        let (ascii, hint) = (preferences.ascii, !preferences.no_hint);
        let own_theme = wanted.is_some();
        Ok(Self { themes: themes.all(), theme, keymap, depth, ascii, hint, own_theme })
    }

    /// What the person's keys may not have meant: the line in `keymap.toml`, and what it did.
    pub fn key_remarks(&self) -> &[(usize, String)] {
        self.keymap.remarks()
    }

    /// The key reference, as Markdown.
    pub fn keys(&self) -> String {
        self.keymap.markdown()
    }
}

fn preferences(path: &Path) -> Result<Preferences, LookError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Preferences::default()),
        Err(error) => return Err(LookError::Screen(format!("{}: {error}", path.display()))),
    };
    toml::from_str(&text).map_err(|error| {
        let line = line_of(&text, error.span().map_or(0, |span| span.start));
        LookError::Screen(format!("{}, line {line}: {}", path.display(), error.message()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Look, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Look::read(folder.path(), get).map_err(|error| error.to_string())
    }

    #[test]
    fn without_files_it_is_what_ships() {
        let look = read(&[], &[("COLORTERM", "truecolor")]).unwrap();
        assert_eq!((look.themes.len(), look.theme, look.ascii, look.hint), (6, 0, false, true));
        assert_eq!(look.keymap, Keymap::default());
    }

    #[test]
    fn files_choose_and_no_colour_wins() {
        let screen = "theme = 'light'\ncolour = '256'\nascii = true\nno_hint = true\n";
        let look = read(&[("screen.toml", screen)], &[]).unwrap();
        assert_eq!((look.themes[look.theme].name(), look.depth), ("light", Depth::Table));
        assert!(look.ascii && !look.hint);
        let look = read(&[("screen.toml", screen)], &[("NO_COLOR", "1")]).unwrap();
        assert_eq!((look.themes.len(), look.themes[look.theme].name()), (1, "mono"));
        let own = ("themes/own.toml", "name = 'own'\ninherits = 'light'");
        let look = read(&[("screen.toml", "theme = 'own'"), own], &[]).unwrap();
        assert_eq!(look.themes[look.theme].name(), "own");
    }

    #[test]
    fn mistakes_are_named() {
        let said = read(&[("screen.toml", "\ntheem = 'light'")], &[]).unwrap_err();
        assert!(said.contains("screen.toml, line 2") && said.contains("theem"), "{said}");
        assert!(read(&[("screen.toml", "theme = 'lihgt'")], &[]).unwrap_err().contains("`lihgt`"));
        assert!(
            read(&[("keymap.toml", "[everywhere]\nfly = 'f'")], &[])
                .unwrap_err()
                .contains("keymap.toml, line 2")
        );
    }
}
