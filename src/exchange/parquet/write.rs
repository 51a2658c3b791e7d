//! Writing: shards by size, the columns of one row group in memory.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;

use super::schema;
use crate::exchange::card;
use crate::exchange::error::ExchangeError;
use crate::exchange::table::{Cell, Column, Kind, Row};

/// A row group ends at so many rows or bytes, whichever comes first.
const GROUP_ROWS: usize = 10_000;
const GROUP_BYTES: usize = 64 << 20;

/// The files of one table: `train-00000-of-00001.parquet` and so on.
pub(in crate::exchange) struct Shards {
    folder: PathBuf,
    columns: Vec<Column>,
    schema: TypePtr,
    properties: WriterPropertiesPtr,
    shard_bytes: u64,
    group: Vec<Row>,
    group_bytes: usize,
    open: Option<SerializedFileWriter<BufWriter<File>>>,
    closed: u32,
    rows: u64,
}

impl Shards {
    /// Begins the table in `folder`. A shard ends with the first row group that takes it over `shard_bytes`.
    pub(in crate::exchange) fn begin(
        folder: &Path,
        columns: Vec<Column>,
        shard_bytes: u64,
    ) -> Result<Self, ExchangeError> {
        fs::create_dir_all(folder).map_err(ExchangeError::io(folder))?;
        let parsed = parse_message_type(&schema(&columns)).map_err(|e| refused(folder, &e))?;
        let features = KeyValue::new("huggingface".to_owned(), card::features(&columns));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("dataenvgym".to_owned())
            .set_key_value_metadata(Some(vec![features]))
            .build();
        Ok(Self {
            folder: folder.to_owned(),
            columns,
            schema: Arc::new(parsed),
            properties: Arc::new(properties),
            shard_bytes,
            group: Vec::new(),
            group_bytes: 0,
            open: None,
            closed: 0,
            rows: 0,
        })
    }

    /// Adds a row.
    pub(in crate::exchange) fn put(&mut self, row: Row) -> Result<(), ExchangeError> {
        self.group_bytes += row.iter().map(size).sum::<usize>();
        self.group.push(row);
        self.rows += 1;
        if self.group.len() >= GROUP_ROWS || self.group_bytes >= GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Ends the table; its rows and the bytes of its files. A table without rows is one file.
    pub(in crate::exchange) fn finish(mut self) -> Result<(u64, u64), ExchangeError> {
        if !self.group.is_empty() || self.closed == 0 && self.open.is_none() {
            self.flush()?;
        }
        self.close()?;
        let mut bytes = 0;
        for n in 0..self.closed {
            let name = format!("train-{n:05}-of-{:05}.parquet", self.closed);
            let (from, to) = (self.shard(n), self.folder.join(name));
            fs::rename(&from, &to).map_err(ExchangeError::io(&to))?;
            bytes += fs::metadata(&to).map_err(ExchangeError::io(&to))?.len();
        }
        Ok((self.rows, bytes))
    }

    fn shard(&self, n: u32) -> PathBuf {
        self.folder.join(format!("train-{n:05}.unfinished"))
    }

    fn flush(&mut self) -> Result<(), ExchangeError> {
        let path = self.shard(self.closed);
        let mut writer = if let Some(writer) = self.open.take() {
            writer
        } else {
            let file = File::create(&path).map_err(ExchangeError::io(&path))?;
            let (schema, properties) = (Arc::clone(&self.schema), Arc::clone(&self.properties));
            let file = BufWriter::with_capacity(1 << 20, file);
            SerializedFileWriter::new(file, schema, properties).map_err(|e| refused(&path, &e))?
        };
        let rows = std::mem::take(&mut self.group);
        self.group_bytes = 0;
        if !rows.is_empty() {
            let mut group = writer.next_row_group().map_err(|e| refused(&path, &e))?;
            for (n, column) in self.columns.iter().enumerate() {
                put_column(&mut group, column.kind, &rows, n).map_err(|e| refused(&path, &e))?;
            }
            group.close().map_err(|e| refused(&path, &e))?;
        }
        let full = writer.bytes_written() as u64 >= self.shard_bytes;
        self.open = Some(writer);
        if full { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), ExchangeError> {
        let Some(writer) = self.open.take() else { return Ok(()) };
        let path = self.shard(self.closed);
        let buffered = writer.into_inner().map_err(|e| refused(&path, &e))?;
        let file = buffered
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .map_err(ExchangeError::io(&path))?;
        file.sync_all().map_err(ExchangeError::io(&path))?;
        self.closed += 1;
        Ok(())
    }
}

fn refused(path: &Path, error: &ParquetError) -> ExchangeError {
    ExchangeError::file(path, format!("cannot be written: {error}"))
}

fn size(cell: &Cell) -> usize {
    match cell {
        Cell::Missing | Cell::Integer(_) => 8,
        Cell::Text(text) => text.len(),
        Cell::Turns(turns) => turns.iter().map(|turn| turn.speaker.len() + turn.words.len()).sum(),
        Cell::Images(pictures) => pictures.iter().map(|p| p.bytes.as_ref().map_or(64, Vec::len)).sum(),
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, BufWriter<File>>;

fn put_column(group: &mut Group<'_>, kind: Kind, rows: &[Row], n: usize) -> Result<(), ParquetError> {
    match kind {
        Kind::Text | Kind::OptionalText => {
            let mut leaf = Leaf::default();
            for row in rows {
                leaf.flat(match &row[n] {
                    Cell::Text(text) => Some(text.as_bytes()),
                    _ => None,
                });
            }
            leaf.put(group, false)
        }
        Kind::Integer => {
            let numbers = rows.iter().map(|row| match row[n] {
                Cell::Integer(number) => Some(number),
                _ => None,
            });
            let levels: Vec<i16> = numbers.clone().map(|number| i16::from(number.is_some())).collect();
            let values: Vec<i64> = numbers.flatten().collect();
            let Some(mut column) = group.next_column()? else { return Err(no_column()) };
            column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
            column.close()
        }
        Kind::Turns { .. } => {
            put_list(group, rows, |row| match &row[n] {
                Cell::Turns(turns) => turns.iter().map(|t| Some(t.speaker.as_bytes())).collect(),
                _ => Vec::new(),
            })?;
            put_list(group, rows, |row| match &row[n] {
                Cell::Turns(turns) => turns.iter().map(|t| Some(t.words.as_bytes())).collect(),
                _ => Vec::new(),
            })
        }
        Kind::Images => {
            put_list(group, rows, |row| match &row[n] {
                Cell::Images(pictures) => pictures.iter().map(|p| p.bytes.as_deref()).collect(),
                _ => Vec::new(),
            })?;
            put_list(group, rows, |row| match &row[n] {
                Cell::Images(pictures) => {
                    pictures.iter().map(|p| p.path.as_deref().map(str::as_bytes)).collect()
                }
                _ => Vec::new(),
            })
        }
    }
}

fn put_list<'r>(
    group: &mut Group<'_>,
    rows: &'r [Row],
    values: impl Fn(&'r Row) -> Vec<Option<&'r [u8]>>,
) -> Result<(), ParquetError> {
    let mut leaf = Leaf::default();
    for row in rows {
        leaf.list(&values(row));
    }
    leaf.put(group, true)
}

/// The values of a leaf column with their levels (Melnik et al., Dremel, 2010).
#[derive(Default)]
struct Leaf {
    values: Vec<ByteArray>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl Leaf {
    fn flat(&mut self, value: Option<&[u8]>) {
        self.definition.push(i16::from(value.is_some()));
        self.values.extend(value.map(|bytes| ByteArray::from(bytes.to_vec())));
    }

    /// Levels of `optional list / repeated / optional element / optional leaf`.
    fn list(&mut self, values: &[Option<&[u8]>]) {
        if values.is_empty() {
            self.definition.push(1);
            self.repetition.push(0);
        }
        for (n, value) in values.iter().enumerate() {
            self.definition.push(if value.is_some() { 4 } else { 3 });
            self.repetition.push(i16::from(n > 0));
            self.values.extend(value.map(|bytes| ByteArray::from(bytes.to_vec())));
        }
    }

    fn put(self, group: &mut Group<'_>, repeated: bool) -> Result<(), ParquetError> {
        let Some(mut column) = group.next_column()? else { return Err(no_column()) };
        let repetition = repeated.then_some(self.repetition.as_slice());
        column.typed::<ByteArrayType>().write_batch(&self.values, Some(&self.definition), repetition)?;
        column.close()
    }
}

fn no_column() -> ParquetError {
    ParquetError::General("the schema has fewer columns than the table".to_owned())
}
