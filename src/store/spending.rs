//! The account of what endpoints were paid: a small file beside the database.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::gym::budget::Spending;

/// The file's name.
const FILE: &str = "spending.json";

/// Reads the account of a run's folder; an empty one where there is none.
///
/// # Errors
/// A sentence about a file that cannot be read.
pub fn read(folder: &Path) -> Result<Spending, String> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Spending::default()),
        text => text
            .and_then(|text| serde_json::from_str(&text).map_err(io::Error::other))
            .map_err(|error| format!("{}: {error}. Delete it to count from 0 again", path.display())),
    }
}

/// Replaces the account whole.
///
/// # Errors
/// What the system said.
pub fn write(folder: &Path, spending: &Spending) -> io::Result<()> {
    let unfinished = folder.join(format!("{FILE}.new"));
    let mut file = fs::File::create(&unfinished)?;
    file.write_all(&serde_json::to_vec(spending)?)?;
    file.sync_data()?;
    fs::rename(unfinished, folder.join(FILE))
}
