//! Which files there are, and what they hold.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::{Item, Material, Visit};
use crate::exchange::datum::{self, Incoming};
use crate::exchange::error::{ExchangeError, Spot};
use crate::exchange::format::{Container, Format, RUN_COLUMNS, Shape};
use crate::exchange::json::Lines;
use crate::exchange::table::{Cells, Column, Row};
use crate::exchange::{jsonl, parquet, record, reference};

/// Opens what lies at `path`.
///
/// # Errors
/// When nothing there can be imported.
pub(super) fn open(path: &Path, format: Option<Format>) -> Result<Box<dyn Material>, ExchangeError> {
    let found = fs::metadata(path).map_err(ExchangeError::io(path))?;
    if found.is_dir() && reference::is_experiment(path)? {
        return Ok(Box::new(reference::Experiment::open(path)?));
    }
    let files = if found.is_dir() { files_of(path)? } else { vec![(path.to_owned(), container(path)?)] };
    let files: Vec<DataFile> = files
        .into_iter()
        .map(|(path, container)| DataFile::open(path, container, format))
        .collect::<Result<_, _>>()?;
    Ok(Box::new(Files(files)))
}

/// The files of an export's folder: Parquet, or else lines of JSON.
fn files_of(folder: &Path) -> Result<Vec<(PathBuf, Container)>, ExchangeError> {
    let (mut tables, mut lines) = (Vec::new(), Vec::new());
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(ExchangeError::io(&folder))? {
            let path = entry.map_err(ExchangeError::io(&folder))?.path();
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
            match ending.as_deref() {
                _ if path.is_dir() => folders.push(path),
                Some("parquet") => tables.push((path, Container::Parquet)),
                Some("jsonl" | "ndjson") => lines.push((path, Container::Jsonl)),
                _ => {}
            }
        }
    }
    let mut found = if tables.is_empty() { lines } else { tables };
    found.sort_by(|a, b| a.0.cmp(&b.0));
    if found.is_empty() {
        let message = "there is nothing to import: no *.parquet, no *.jsonl, no iteration_<n> folder";
        return Err(ExchangeError::file(folder, message));
    }
    Ok(found)
}

fn container(path: &Path) -> Result<Container, ExchangeError> {
    let mut first = Vec::new();
    let file = File::open(path).map_err(ExchangeError::io(path))?;
    file.take(4).read_to_end(&mut first).map_err(ExchangeError::io(path))?;
    Ok(if first == b"PAR1" { Container::Parquet } else { Container::Jsonl })
}

/// One file with what its rows are.
#[derive(Debug)]
struct DataFile {
    path: PathBuf,
    container: Container,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    /// Rows of a format.
    Data(Format, Vec<Column>),
    /// Our records: lines, or the table beside the data.
    Records,
}

impl DataFile {
    fn open(path: PathBuf, container: Container, format: Option<Format>) -> Result<Self, ExchangeError> {
        let keys = match container {
            Container::Parquet => parquet::columns_of(&path)?,
            Container::Jsonl => {
                let file = File::open(&path).map_err(ExchangeError::io(&path))?;
                let first = Lines::new(&path, BufReader::new(file)).next()?;
                let object = first.and_then(|(_, value)| value.as_object().cloned()).unwrap_or_default();
                object.keys().cloned().collect()
            }
        };
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let found = match format {
            Some(format) => format,
            // An empty file of lines says nothing and holds nothing.
            None if keys.is_empty() && container == Container::Jsonl => Format::Records,
            None => Shape::recognised(&keys).map_err(|message| ExchangeError::file(&path, message))?,
        };
        let lines = container == Container::Jsonl || keys.contains(&"record");
        let rows = match found {
            Format::Records if lines => Rows::Records,
            format => Rows::Data(format, Shape::of_file(format).columns()),
        };
        Ok(Self { path, container, rows })
    }

    fn each(&self, visit: Visit<'_>) -> Result<(), ExchangeError> {
        match (self.container, &self.rows) {
            (Container::Jsonl, rows) => self.each_line(&mut |spot, value| {
                let item = match rows {
                    Rows::Records => record::read(value).map(|record| Item::Record(Box::new(record))),
                    Rows::Data(format, columns) => {
                        let object = value.as_object().cloned().unwrap_or_default();
                        jsonl::row(columns, object).and_then(|row| item(*format, columns, row))
                    }
                };
                visit(spot, item.map_err(|message| spot.error(message))?)
            }),
            (Container::Parquet, Rows::Data(format, columns)) => {
                parquet::each_row(&self.path, columns, &mut |spot, row| {
                    visit(spot, item(*format, columns, row).map_err(|message| spot.error(message))?)
                })
            }
            (Container::Parquet, Rows::Records) => {
                parquet::each_row(&self.path, &RUN_COLUMNS, &mut |spot, row| {
                    let mut cells = Cells::new(&RUN_COLUMNS, row);
                    let record =
                        cells.text("record").and_then(|word| record::whole(&word, &cells.text("value")?));
                    let record = record.map_err(|message| spot.error(message))?;
                    visit(spot, Item::Record(Box::new(record)))
                })
            }
        }
    }

    fn each_line(
        &self,
        visit: &mut dyn FnMut(Spot<'_>, serde_json::Value) -> Result<(), ExchangeError>,
    ) -> Result<(), ExchangeError> {
        let file = File::open(&self.path).map_err(ExchangeError::io(&self.path))?;
        let mut lines = Lines::new(&self.path, BufReader::with_capacity(1 << 20, file));
        while let Some((spot, value)) = lines.next()? {
            visit(spot, value)?;
        }
        Ok(())
    }
}

fn item(format: Format, columns: &[Column], row: Row) -> Result<Item, String> {
    Ok(match datum::read(format, columns, row)? {
        Incoming::Draft(draft) => Item::Draft(draft, None),
        Incoming::Datum(judged, pictures) => Item::Datum(judged, pictures),
    })
}

/// The files of an export.
#[derive(Debug)]
struct Files(Vec<DataFile>);

impl Material for Files {
    fn each(&self, visit: Visit<'_>) -> Result<(), ExchangeError> {
        self.0.iter().try_for_each(|file| file.each(&mut *visit))
    }
}
