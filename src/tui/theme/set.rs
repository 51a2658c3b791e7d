//! All themes: those compiled in and those of a person's folder, with their inheritance settled.

use std::path::Path;

use super::{Depth, Draft, Theme};

/// The built-in themes, the default first.
const BUILT_IN: [(&str, &str); 6] = [
    ("themes/terminal.toml", include_str!("../../../themes/terminal.toml")),
    ("themes/dark.toml", include_str!("../../../themes/dark.toml")),
    ("themes/light.toml", include_str!("../../../themes/light.toml")),
    ("themes/high-contrast.toml", include_str!("../../../themes/high-contrast.toml")),
    ("themes/colour-blind.toml", include_str!("../../../themes/colour-blind.toml")),
    ("themes/mono.toml", include_str!("../../../themes/mono.toml")),
];

/// Why a theme cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// The file does not say what a theme says.
    #[error("{origin}, line {line}: {message}")]
    Mistake {
        /// The file.
        origin: String,
        /// Where in it.
        line: usize,
        /// What is wrong and what would be right.
        message: String,
    },
    /// The file cannot be read.
    #[error("cannot read the theme {0}")]
    Unreadable(String),
    /// There is no such theme.
    #[error("no theme `{name}`; there are {known}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// The themes there are.
        known: String,
    },
}

impl ThemeError {
    pub(super) fn at(origin: &str, line: usize, message: String) -> Self {
        Self::Mistake { origin: origin.to_owned(), line, message }
    }
}

/// Every theme there is, the default first, in the colours the terminal shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Themes {
    all: Vec<Theme>,
}

impl Themes {
    /// The themes compiled in, in all their colours.
    pub fn built_in() -> Self {
        let drafts = BUILT_IN.iter().filter_map(|(origin, text)| Draft::parse(text, origin).ok());
        Self { all: settled(&drafts.collect::<Vec<_>>(), &[]).unwrap_or_default() }
    }

    /// The themes compiled in and those of a folder; one there replaces a built-in one of its name. Without
    /// colours there is only the theme that needs none.
    ///
    /// # Errors
    /// The first mistake, with file and line.
    pub fn read(folder: Option<&Path>, depth: Depth) -> Result<Self, ThemeError> {
        let (mut drafts, mut covered) = (Vec::new(), Vec::new());
        for (origin, text) in BUILT_IN {
            drafts.push(Draft::parse(text, origin)?);
        }
        for (origin, text) in folder.map(files).transpose()?.unwrap_or_default() {
            let draft = Draft::parse(&text, &origin)?;
            match drafts.iter_mut().find(|known: &&mut Draft| known.file.name == draft.file.name) {
                Some(known) => covered.push(std::mem::replace(known, draft)),
                None => drafts.push(draft),
            }
        }
        let all = settled(&drafts, &covered)?.into_iter().map(|theme| theme.converted(depth));
        Ok(Self { all: all.filter(|theme| depth != Depth::None || theme.name == "mono").collect() })
    }

    /// The theme of that name.
    pub fn find(&self, name: &str) -> Result<&Theme, ThemeError> {
        self.all
            .iter()
            .find(|theme| theme.name == name)
            .ok_or_else(|| ThemeError::Unknown { name: name.to_owned(), known: self.names().join(", ") })
    }

    /// Takes the theme of that name out.
    pub(super) fn take(mut self, name: &str) -> Option<Theme> {
        let n = self.all.iter().position(|theme| theme.name == name)?;
        Some(self.all.swap_remove(n))
    }

    /// Their names.
    pub fn names(&self) -> Vec<&str> {
        self.all.iter().map(Theme::name).collect()
    }

    /// All of them, the default first.
    pub(crate) fn all(self) -> Vec<Theme> {
        self.all
    }
}

/// The theme files of a folder by name; a folder that is not there has none.
fn files(folder: &Path) -> Result<Vec<(String, String)>, ThemeError> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: std::path::PathBuf| {
        let origin = path.display().to_string();
        let text =
            std::fs::read_to_string(&path).map_err(|e| ThemeError::Unreadable(format!("{origin}: {e}")))?;
        Ok((origin, text))
    };
    paths.into_iter().map(read).collect()
}

/// Parents before children; the order of the list stays. A theme that inherits the name it has itself means the one
/// it covers.
fn settled(drafts: &[Draft], covered: &[Draft]) -> Result<Vec<Theme>, ThemeError> {
    let shown = drafts.len();
    let drafts: Vec<&Draft> = drafts.iter().chain(covered).collect();
    let mut done: Vec<Option<Theme>> = vec![None; drafts.len()];
    loop {
        let mut progress = false;
        for (n, draft) in drafts.iter().enumerate() {
            if done[n].is_some() {
                continue;
            }
            let parent = draft.file.inherits.as_ref().map(toml::Spanned::get_ref);
            let own = n < shown && parent == Some(&draft.file.name);
            let among = if own { &done[shown..] } else { &done[..shown] };
            let found = among.iter().flatten().find(|theme| Some(&theme.name) == parent);
            if parent.is_none() || found.is_some() {
                let theme = Theme::of(draft, found)?;
                done[n] = Some(theme);
                progress = true;
            }
        }
        if done.iter().all(Option::is_some) {
            return Ok(done.into_iter().take(shown).flatten().collect());
        }
        if !progress {
            let lost = drafts.iter().zip(&done).find(|(_, theme)| theme.is_none()).map(|(draft, _)| *draft);
            let Some((draft, parent)) = lost.and_then(|d| Some((d, d.file.inherits.as_ref()?))) else {
                return Ok(done.into_iter().take(shown).flatten().collect());
            };
            let line = super::line_of(&draft.text, parent.span().start);
            let said = format!("`inherits = \"{}\"` names no theme, or a circle of themes", parent.get_ref());
            return Err(ThemeError::at(&draft.origin, line, said));
        }
    }
}
