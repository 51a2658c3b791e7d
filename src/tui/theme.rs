//! Themes: TOML files that give each scope of the screen a style.

mod colour;
mod set;

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use toml::Spanned;

use super::lines::line_of;

pub use colour::Depth;
pub use set::{ThemeError, Themes};

macro_rules! scopes {
    ($($variant:ident = $name:literal,)*) => {
        /// What a piece of the screen means; the theme says how it looks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Scope { $($variant),* }

        impl Scope {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub(crate) fn name(self) -> &'static str {
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
    Cursor = "cursor",
    Match = "match",
    Key = "key",
    Hint = "hint",
    Good = "good",
    Bad = "bad",
    Warn = "warn",
    Running = "running",
    Bar = "bar",
    Made = "bar.made",
    Explore = "explore",
    Exploit = "exploit",
    Code = "code",
    Chart1 = "chart.1",
    Chart2 = "chart.2",
    Chart3 = "chart.3",
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    inherits: Option<Spanned<String>>,
    #[serde(default)]
    palette: BTreeMap<String, Colour>,
    #[serde(default)]
    styles: BTreeMap<Spanned<String>, Entry>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Entry {
    fg: Option<Spanned<String>>,
    bg: Option<Spanned<String>>,
    #[serde(default)]
    modifiers: Vec<Look>,
}

#[derive(Clone, Copy)]
struct Colour(Color);

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        colour::parse(&text).map(Self).ok_or_else(|| serde::de::Error::custom(colour::unknown(&text)))
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

/// A theme before its inheritance is settled.
struct Draft {
    file: File,
    origin: String,
    text: String,
}

impl Draft {
    fn parse(text: &str, origin: &str) -> Result<Self, ThemeError> {
        let error = |at: usize, message: String| ThemeError::at(origin, line_of(text, at), message);
        let file: File = toml::from_str(text)
            .map_err(|e| error(e.span().map_or(0, |span| span.start), e.message().to_owned()))?;
        for scope in file.styles.keys() {
            if !Scope::ALL.iter().any(|known| known.name() == scope.get_ref()) {
                let known: Vec<_> = Scope::ALL.iter().map(|s| s.name()).collect();
                let said = format!("no scope `{}`; the scopes are {}", scope.get_ref(), known.join(", "));
                return Err(error(scope.span().start, said));
            }
        }
        Ok(Self { file, origin: origin.to_owned(), text: text.to_owned() })
    }

    fn colour(&self, palette: &BTreeMap<String, Color>, name: &Spanned<String>) -> Result<Color, ThemeError> {
        let found = palette.get(name.get_ref()).copied().or_else(|| colour::parse(name.get_ref()));
        found.ok_or_else(|| {
            let line = line_of(&self.text, name.span().start);
            ThemeError::at(&self.origin, line, colour::unknown(name.get_ref()))
        })
    }
}

/// A style whose colours are still names: a theme that inherits it may give them other colours.
#[derive(Debug, Clone, Default, PartialEq)]
struct Given {
    fg: Option<String>,
    bg: Option<String>,
    modifiers: Modifier,
}

impl Given {
    fn style(&self, palette: &BTreeMap<String, Color>) -> Style {
        let colour = |name: &Option<String>| {
            let name = name.as_ref()?;
            palette.get(name).copied().or_else(|| colour::parse(name))
        };
        Style { fg: colour(&self.fg), bg: colour(&self.bg), ..Style::new() }.add_modifier(self.modifiers)
    }
}

/// How every scope looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    name: String,
    palette: BTreeMap<String, Color>,
    given: BTreeMap<&'static str, Given>,
    styles: Vec<Style>,
}

impl Default for Theme {
    /// The terminal's own sixteen colours.
    fn default() -> Self {
        Themes::built_in()
            .take("terminal")
            .unwrap_or_else(|| Self::settle(String::new(), BTreeMap::new(), BTreeMap::new()))
    }
}

impl Theme {
    /// A draft on top of the theme it inherits from.
    fn of(draft: &Draft, parent: Option<&Self>) -> Result<Self, ThemeError> {
        let mut palette = parent.map(|p| p.palette.clone()).unwrap_or_default();
        palette.extend(draft.file.palette.iter().map(|(name, colour)| (name.clone(), colour.0)));
        let mut given = parent.map(|p| p.given.clone()).unwrap_or_default();
        for (name, entry) in &draft.file.styles {
            let Some(scope) = Scope::ALL.iter().find(|s| s.name() == name.get_ref()) else { continue };
            for name in [&entry.fg, &entry.bg].into_iter().flatten() {
                draft.colour(&palette, name)?;
            }
            let name = |name: &Option<Spanned<String>>| name.as_ref().map(|name| name.get_ref().clone());
            let modifiers = entry.modifiers.iter().map(|look| Modifier::from(*look)).collect();
            given.insert(scope.name(), Given { fg: name(&entry.fg), bg: name(&entry.bg), modifiers });
        }
        Ok(Self::settle(draft.file.name.clone(), palette, given))
    }

    /// A scope without a style takes that of the scope above it (`text.muted`: `text`), in the end that of `text`.
    fn settle(name: String, palette: BTreeMap<String, Color>, given: BTreeMap<&'static str, Given>) -> Self {
        let styles = Scope::ALL.iter().map(|scope| given_to(scope.name(), &given).style(&palette)).collect();
        Self { name, palette, given, styles }
    }

    /// With the colours a terminal can show.
    fn converted(mut self, depth: Depth) -> Self {
        for style in &mut self.styles {
            style.fg = style.fg.and_then(|colour| depth.convert(colour));
            style.bg = style.bg.and_then(|colour| depth.convert(colour));
        }
        self
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

fn given_to(name: &str, given: &BTreeMap<&'static str, Given>) -> Given {
    let mut looked = name;
    loop {
        if let Some(found) = given.get(looked) {
            return found.clone();
        }
        looked = match (looked.rfind('.'), looked) {
            (Some(dot), _) => &looked[..dot],
            (None, "text") => return Given::default(),
            (None, _) => "text",
        };
    }
}

#[cfg(test)]
mod tests;
