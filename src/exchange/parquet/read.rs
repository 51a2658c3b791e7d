//! Reading: row by row, only the columns that are known here.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row as ParquetRow};
use parquet::schema::types::Type;

use crate::exchange::error::{ExchangeError, Spot};
use crate::exchange::table::{Cell, Column, Kind, Picture, Row, Turn};

/// Names of the columns of a file.
pub(in crate::exchange) fn columns_of(path: &Path) -> Result<Vec<String>, ExchangeError> {
    let reader = open(path)?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    Ok(fields.iter().map(|field| field.name().to_owned()).collect())
}

/// Visits every row of a file.
///
/// # Errors
/// When the file is damaged or a column is not of its kind; the error names the row.
pub(in crate::exchange) fn each_row(
    path: &Path,
    columns: &[Column],
    visit: &mut dyn FnMut(Spot<'_>, Row) -> Result<(), ExchangeError>,
) -> Result<(), ExchangeError> {
    let reader = open(path)?;
    let schema = reader.metadata().file_metadata().schema();
    let known = |field: &&Arc<Type>| columns.iter().any(|column| column.name == field.name());
    let fields: Vec<Arc<Type>> = schema.get_fields().iter().filter(known).cloned().collect();
    for column in columns.iter().filter(|column| !column.optional) {
        if fields.iter().all(|field| field.name() != column.name) {
            return Err(ExchangeError::file(path, format!("there is no column `{}`", column.name)));
        }
    }
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build();
    let projection = projection.map_err(|e| damaged(path, &e))?;
    let mut number = 0;
    let rows = guarded(|| RowIter::from_file(Some(projection), &reader));
    let mut rows = rows.map_err(|message| ExchangeError::file(path, message))?;
    loop {
        number += 1;
        let spot = Spot { path, unit: "row", number };
        let next = guarded(|| rows.next().transpose()).map_err(|message| spot.error(message))?;
        let Some(next) = next else { break };
        visit(spot, row(columns, next).map_err(|message| spot.error(message))?)?;
    }
    let expected = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
    if number - 1 == expected {
        return Ok(());
    }
    let message = format!("it says that it has {expected} rows and has {}; copy it again", number - 1);
    Err(ExchangeError::file(path, message))
}

fn open(path: &Path) -> Result<SerializedFileReader<File>, ExchangeError> {
    let file = File::open(path).map_err(ExchangeError::io(path))?;
    guarded(|| SerializedFileReader::new(file)).map_err(|message| ExchangeError::file(path, message))
}

/// What the library says. It panics on some damaged files, and such a file is nothing to end a program for.
fn guarded<T>(call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(said(&error)),
        Err(_) => Err("the Parquet file is damaged: copy or make it again".to_owned()),
    }
}

fn damaged(path: &Path, error: &ParquetError) -> ExchangeError {
    ExchangeError::file(path, said(error))
}

fn said(error: &ParquetError) -> String {
    let remedy = match error {
        ParquetError::NYI(_) => "write it with snappy or without compression",
        ParquetError::General(what) if what.contains("Disabled feature") => {
            "write it with snappy or without compression"
        }
        _ => "it is damaged or no Parquet file: copy or make it again",
    };
    format!("cannot be read as Parquet: {error}; {remedy}")
}

fn row(columns: &[Column], found: ParquetRow) -> Result<Row, String> {
    let mut fields: Vec<(String, Field)> = found.into_columns();
    let cell = |column: &Column| {
        let place = fields.iter().position(|(name, _)| name == column.name);
        let field = place.map_or(Field::Null, |place| fields.swap_remove(place).1);
        cell(column, field)
    };
    columns.iter().map(cell).collect()
}

fn cell(column: &Column, field: Field) -> Result<Cell, String> {
    let name = column.name;
    match (column.kind, field) {
        (_, Field::Null) if column.optional => Ok(Cell::Missing),
        (_, Field::Null) => Err(format!("`{name}` is null; give it a value or remove the row")),
        (Kind::Text | Kind::OptionalText, Field::Str(text)) => Ok(Cell::Text(text)),
        (Kind::Text | Kind::OptionalText, Field::Bytes(bytes)) => Ok(Cell::Text(utf8(name, bytes.data())?)),
        (Kind::Text | Kind::OptionalText, Field::ListInternal(list)) => match list.elements() {
            [message] => Ok(Cell::Text(turn(name, "role", "content", message)?.words)),
            more => Err(format!("`{name}` is a list of {} messages; it must be a text", more.len())),
        },
        (Kind::Integer, field) => {
            integer(&field).map(Cell::Integer).ok_or_else(|| wrong(column, "a whole number"))
        }
        (Kind::Turns { speaker, words }, Field::ListInternal(list)) => {
            let turns = list.elements().iter().map(|element| turn(name, speaker, words, element));
            Ok(Cell::Turns(turns.collect::<Result<_, _>>()?))
        }
        (Kind::Images, Field::ListInternal(list)) => {
            let pictures = list.elements().iter().map(|element| picture(name, element));
            Ok(Cell::Images(pictures.collect::<Result<_, _>>()?))
        }
        (Kind::Text | Kind::OptionalText, _) => Err(wrong(column, "a text")),
        (Kind::Turns { .. }, _) => Err(wrong(column, "a list of turns")),
        (Kind::Images, _) => Err(wrong(column, "a list of images")),
    }
}

fn wrong(column: &Column, expected: &str) -> String {
    format!("`{}` is not {expected}; convert the column", column.name)
}

fn utf8(name: &str, bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| format!("`{name}` is not UTF-8"))
}

fn integer(field: &Field) -> Option<i64> {
    match field {
        Field::Byte(n) => Some(i64::from(*n)),
        Field::Short(n) => Some(i64::from(*n)),
        Field::Int(n) => Some(i64::from(*n)),
        Field::Long(n) => Some(*n),
        Field::UByte(n) => Some(i64::from(*n)),
        Field::UShort(n) => Some(i64::from(*n)),
        Field::UInt(n) => Some(i64::from(*n)),
        Field::ULong(n) => i64::try_from(*n).ok(),
        _ => None,
    }
}

fn member<'a>(element: &'a Field, key: &str) -> Option<&'a Field> {
    match element {
        Field::Group(group) => group.get_column_iter().find(|(name, _)| *name == key).map(|(_, field)| field),
        _ => None,
    }
}

fn turn(name: &str, speaker: &str, words: &str, element: &Field) -> Result<Turn, String> {
    let take = |key: &str| match member(element, key) {
        Some(Field::Str(text)) => Ok(text.clone()),
        Some(Field::Bytes(bytes)) => utf8(name, bytes.data()),
        _ => Err(format!("a turn in `{name}` has no text `{key}`")),
    };
    Ok(Turn { speaker: take(speaker)?, words: take(words)? })
}

fn picture(name: &str, element: &Field) -> Result<Picture, String> {
    let bytes = match member(element, "bytes") {
        Some(Field::Bytes(bytes)) => Some(bytes.data().to_vec()),
        _ => None,
    };
    let path = match (member(element, "path"), element) {
        (Some(Field::Str(path)), _) | (None, Field::Str(path)) => Some(path.clone()),
        _ => None,
    };
    if bytes.is_none() && path.is_none() {
        return Err(format!("an image in `{name}` has neither `bytes` nor `path`"));
    }
    Ok(Picture { path, bytes })
}
