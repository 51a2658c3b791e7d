//! Themes: TOML files that give each scope of the screen a style.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

/// The built-in themes, the default first.
const BUILT_IN: [&str; 3] = [
    include_str!("../../themes/terminal.toml"),
    include_str!("../../themes/dusk.toml"),
    include_str!("../../themes/mono.toml"),
];

/// Why a theme cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    /// The file is not a theme.
    #[error("the theme cannot be read: {0}")]
    Malformed(#[from] toml::de::Error),
    /// A style names a scope that does not exist.
    #[error("the theme `{theme}` styles `{scope}`, which is no scope; the scopes are: {known}")]
    UnknownScope {
        /// Name of the theme.
        theme: String,
        /// The name that was given.
        scope: String,
        /// The scopes there are.
        known: String,
    },
}

macro_rules! scopes {
    ($($variant:ident = $name:literal,)*) => {
        /// What a piece of the screen means; the theme says how it looks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Scope { $($variant),* }

        impl Scope {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

scopes! {
    Text = "text",
    Muted = "text.muted",
    Strong = "text.strong",
    Border = "border",
    BorderFocus = "border.focus",
    Title = "title",
    TitleFocus = "title.focus",
    Selection = "selection",
    SelectionInactive = "selection.inactive",
    Key = "key",
    Hint = "hint",
    Good = "good",
    Bad = "bad",
    Warn = "warn",
    Running = "running",
    Bar = "bar",
    Explore = "explore",
    Exploit = "exploit",
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    styles: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    fg: Option<Colour>,
    bg: Option<Colour>,
    #[serde(default)]
    modifiers: Vec<Look>,
}

#[derive(Clone, Copy)]
struct Colour(Color);

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        let message = || format!("`{text}` is no colour; use a name, 0 to 255, or #rrggbb");
        text.parse().map(Self).map_err(|_| serde::de::Error::custom(message()))
    }
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Look {
    Bold,
    Dim,
    Italic,
    Underlined,
    Reversed,
}

impl From<Look> for Modifier {
    fn from(look: Look) -> Self {
        match look {
            Look::Bold => Self::BOLD,
            Look::Dim => Self::DIM,
            Look::Italic => Self::ITALIC,
            Look::Underlined => Self::UNDERLINED,
            Look::Reversed => Self::REVERSED,
        }
    }
}

/// How every scope looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    name: String,
    styles: Vec<Style>,
}

impl Default for Theme {
    fn default() -> Self {
        Self::parse(BUILT_IN[0])
            .unwrap_or_else(|_| Self { name: "plain".into(), styles: vec![Style::new(); Scope::ALL.len()] })
    }
}

impl Theme {
    /// Reads a theme file. A scope without a style takes that of the scope above it (`text.muted`: `text`),
    /// in the end that of `text`.
    pub fn parse(text: &str) -> Result<Self, ThemeError> {
        let file: File = toml::from_str(text)?;
        let names: Vec<_> = Scope::ALL.iter().map(|s| s.name()).collect();
        if let Some(scope) = file.styles.keys().find(|name| !names.contains(&name.as_str())) {
            let (scope, known) = (scope.clone(), names.join(", "));
            return Err(ThemeError::UnknownScope { theme: file.name, scope, known });
        }
        let styles = names.iter().map(|name| style_of(name, &file.styles)).collect();
        Ok(Self { name: file.name, styles })
    }

    /// The built-in theme of that name.
    pub fn built_in(name: &str) -> Option<Self> {
        BUILT_IN.iter().filter_map(|text| Self::parse(text).ok()).find(|theme| theme.name == name)
    }

    /// Names of the built-in themes, the default first.
    pub fn names() -> Vec<String> {
        BUILT_IN.iter().filter_map(|text| Some(Self::parse(text).ok()?.name)).collect()
    }

    /// The theme without colour.
    pub fn mono() -> Self {
        Self::built_in("mono").unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How a scope looks.
    pub(crate) fn style(&self, scope: Scope) -> Style {
        self.styles[scope as usize]
    }
}

fn style_of(name: &str, styles: &BTreeMap<String, Entry>) -> Style {
    let mut looked = name;
    loop {
        if let Some(entry) = styles.get(looked) {
            let modifiers = entry.modifiers.iter().map(|l| Modifier::from(*l)).collect();
            let style = Style { fg: entry.fg.map(|c| c.0), bg: entry.bg.map(|c| c.0), ..Style::new() };
            return style.add_modifier(modifiers);
        }
        looked = match (looked.rfind('.'), looked) {
            (Some(dot), _) => &looked[..dot],
            (None, "text") => return Style::new(),
            (None, _) => "text",
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_theme_loads_under_its_own_name() {
        assert_eq!(Theme::names(), ["terminal", "dusk", "mono"]);
        for name in Theme::names() {
            assert_eq!(Theme::built_in(&name).unwrap().name(), name);
        }
        assert_eq!(Theme::default().name(), "terminal");
        assert_eq!(Theme::built_in("no such"), None);
    }

    #[test]
    fn mono_has_no_colour_and_terminal_only_the_sixteen() {
        for scope in Scope::ALL {
            let (mono, terminal) = (Theme::mono().style(*scope), Theme::default().style(*scope));
            assert_eq!((mono.fg, mono.bg), (None, None));
            let wide = |c: Option<Color>| matches!(c, Some(Color::Rgb(..) | Color::Indexed(_)));
            assert!(!wide(terminal.fg) && !wide(terminal.bg));
        }
    }

    #[test]
    fn scopes_fall_back_and_mistakes_are_named() {
        let theme =
            Theme::parse("name = 'a'\n[styles]\ntext = { fg = '7' }\ntitle = { bg = '#010203' }").unwrap();
        assert_eq!(theme.style(Scope::Muted).fg, Some(Color::Indexed(7)));
        assert_eq!(theme.style(Scope::TitleFocus).bg, Some(Color::Rgb(1, 2, 3)));
        assert_eq!(theme.style(Scope::Good).fg, Some(Color::Indexed(7)));
        let wrong = Theme::parse("name = 'a'\n[styles]\ntitel = {}").unwrap_err();
        assert!(wrong.to_string().contains("`titel`"));
        assert!(Theme::parse("name = 'a'\n[styles]\ntext = { fg = 'blurple' }").is_err());
    }
}
