//! Columns and cells: the one description of a row that both containers, JSON lines and Parquet, follow.

/// An image in a row, as the `datasets` library has it: bytes, or a path, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Picture {
    /// Path relative to the file's folder, or the file's name where the bytes are given.
    pub(super) path: Option<String>,
    /// The encoded file.
    pub(super) bytes: Option<Vec<u8>>,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// Text or nothing.
    OptionalText,
    /// A whole number.
    Integer,
    /// A list of `{speaker, words}` with these two keys.
    Turns {
        /// Key of who speaks.
        speaker: &'static str,
        /// Key of what is said.
        words: &'static str,
    },
    /// A list of images.
    Images,
}

/// A column of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    /// Its key.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
    /// Whether a row of another program may lack it.
    pub(super) optional: bool,
}

impl Column {
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, optional: false }
    }

    pub(super) const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, optional: true }
    }
}

/// Who says what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) speaker: String,
    pub(super) words: String,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// Nothing: an optional text or column.
    Missing,
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A conversation.
    Turns(Vec<Turn>),
    /// Images.
    Images(Vec<Picture>),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Missing, Self::Text)
    }
}

/// One row: a cell per column of its table.
pub(super) type Row = Vec<Cell>;

/// Takes the cells of a row by the name of their column.
#[derive(Debug)]
pub(super) struct Cells<'a> {
    columns: &'a [Column],
    row: Row,
}

impl<'a> Cells<'a> {
    pub(super) fn new(columns: &'a [Column], row: Row) -> Self {
        Self { columns, row }
    }

    fn take(&mut self, name: &str) -> Cell {
        let place = self.columns.iter().position(|column| column.name == name);
        let cell = place.and_then(|place| self.row.get_mut(place));
        cell.map_or(Cell::Missing, |cell| std::mem::replace(cell, Cell::Missing))
    }

    /// A text that must be there.
    pub(super) fn text(&mut self, name: &str) -> Result<String, String> {
        self.optional(name).ok_or_else(|| format!("`{name}` is missing; give it as a text"))
    }

    /// A text that may be missing.
    pub(super) fn optional(&mut self, name: &str) -> Option<String> {
        match self.take(name) {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number that may be missing.
    pub(super) fn integer(&mut self, name: &str) -> Option<i64> {
        match self.take(name) {
            Cell::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// A conversation.
    pub(super) fn turns(&mut self, name: &str) -> Vec<Turn> {
        match self.take(name) {
            Cell::Turns(turns) => turns,
            _ => Vec::new(),
        }
    }

    /// Images; none where the column is missing.
    pub(super) fn pictures(&mut self, name: &str) -> Vec<Picture> {
        match self.take(name) {
            Cell::Images(pictures) => pictures,
            _ => Vec::new(),
        }
    }
}
