//! Exports: from a run to a folder, or to a stream.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::card::{self, Table};
use super::error::ExchangeError;
use super::folder::{NewFile, NewFolder, put};
use super::format::{Container, Format, RUN_COLUMNS, Shape};
use super::image;
use super::parquet::Shards;
use super::record::{self, ImageFile, Kind, Record};
use super::source::{Filter, Source};
use super::table::{Picture, Row};
use super::{datum, jsonl};
use crate::gym::instance::{ImageRef, TaskInstance};
use crate::gym::ulid::Ulid;

/// Where the images of an export go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// Files beside lines of JSON; bytes inside Parquet.
    Files,
    /// Into the rows.
    Inline,
    /// Left out.
    None,
}

/// What to export.
#[derive(Debug, Clone)]
pub struct ExportOrder {
    /// The run's folder.
    pub run: PathBuf,
    /// How a datum is laid out.
    pub format: Format,
    /// What rows are kept in.
    pub container: Container,
    /// Whether skill, verdict and so on stand beside the data.
    pub metadata: bool,
    /// Where images go.
    pub images: Images,
    /// Which data.
    pub filter: Filter,
    /// Which records, for [`Format::Records`].
    pub kinds: Vec<Kind>,
    /// A Parquet file ends when it is at least so large.
    pub shard_bytes: u64,
}

/// Where to export.
#[derive(Debug, Clone)]
pub struct Target {
    /// The folder to make.
    pub folder: PathBuf,
    /// Whether one that exists is replaced.
    pub replace: bool,
}

/// What an export came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportSummary {
    /// Data written.
    pub data: u64,
    /// Data that have no rejected response and are therefore no pair.
    pub no_pairs: u64,
    /// Other records written.
    pub records: u64,
}

/// Exports into a folder, which appears whole or not at all.
///
/// # Errors
/// When the run cannot be read, an image is missing, or the folder cannot be written or exists.
pub fn export(order: &ExportOrder, target: &Target) -> Result<ExportSummary, ExchangeError> {
    let source = Source::open(&order.run)?;
    let folder = NewFolder::begin(&target.folder, target.replace)?;
    let summary = match order.container {
        Container::Jsonl => {
            let mut file = NewFile::create(&folder.path().join(file_name(order.format)))?;
            let mut images = Gallery::new(&source, order.images, Some(folder.path()));
            let summary = lines(order, &source, &mut images, &mut |line| {
                file.write(line.as_bytes())?;
                file.write(b"\n")
            })?;
            file.finish()?;
            summary
        }
        Container::Parquet => parquet(order, &source, folder.path())?,
    };
    folder.finish()?;
    Ok(summary)
}

/// Exports lines of JSON to a stream, with images inline unless they are left out.
///
/// # Errors
/// As [`export`], and when the container is not lines of JSON.
pub fn export_to(order: &ExportOrder, out: &mut dyn Write) -> Result<ExportSummary, ExchangeError> {
    if order.container != Container::Jsonl {
        return Err(ExchangeError::Asked(
            "only lines of JSON go to a stream; give a folder for Parquet".to_owned(),
        ));
    }
    let source = Source::open(&order.run)?;
    let images = if order.images == Images::None { Images::None } else { Images::Inline };
    let stream = Path::new("the output");
    let mut images = Gallery::new(&source, images, None);
    let summary = lines(order, &source, &mut images, &mut |line| {
        writeln!(out, "{line}").map_err(ExchangeError::io(stream))
    })?;
    out.flush().map_err(ExchangeError::io(stream))?;
    Ok(summary)
}

/// Name of the file of lines.
fn file_name(format: Format) -> &'static str {
    if format == Format::Records { "records.jsonl" } else { "train.jsonl" }
}

/// The columns, which say once for all rows whether there are images.
fn shape(order: &ExportOrder, source: &Source) -> Result<Shape, ExchangeError> {
    let mut images = false;
    if order.images != Images::None {
        source.each_datum(&order.filter, &mut |_, judged| {
            images |= !judged.datum.images.is_empty();
            Ok(())
        })?;
    }
    Ok(Shape { format: order.format, metadata: order.metadata, images })
}

type Put<'a> = &'a mut dyn FnMut(&str) -> Result<(), ExchangeError>;

fn lines(
    order: &ExportOrder,
    source: &Source,
    images: &mut Gallery<'_>,
    put: Put<'_>,
) -> Result<ExportSummary, ExchangeError> {
    if order.format == Format::Records {
        return records(order, source, images, &mut |ulid, record| put(&record::line(ulid, &record)?));
    }
    let shape = shape(order, source)?;
    let columns = shape.columns();
    rows(order, shape, source, images, &mut |row| put(&jsonl::line(&columns, &row)?))
}

/// Writes the rows of the data.
fn rows(
    order: &ExportOrder,
    shape: Shape,
    source: &Source,
    images: &mut Gallery<'_>,
    put: &mut dyn FnMut(Row) -> Result<(), ExchangeError>,
) -> Result<ExportSummary, ExchangeError> {
    let mut summary = ExportSummary::default();
    source.each_datum(&order.filter, &mut |ulid, judged| {
        let pair = order.format != Format::Preference || judged.datum.rejected_response.is_some();
        let references: &[ImageRef] = if shape.images && pair { &judged.datum.images } else { &[] };
        let pictures = references.iter().map(|image| images.picture(image)).collect::<Result<_, _>>()?;
        let Some(row) = datum::row(shape, ulid, &judged, pictures)? else {
            summary.no_pairs += 1;
            return Ok(());
        };
        summary.data += 1;
        put(row)
    })?;
    Ok(summary)
}

/// Visits every record that is asked for, an image before the first record that refers to it.
fn records(
    order: &ExportOrder,
    source: &Source,
    images: &mut Gallery<'_>,
    put: &mut dyn FnMut(Ulid, Record) -> Result<(), ExchangeError>,
) -> Result<ExportSummary, ExchangeError> {
    let mut summary = ExportSummary::default();
    for kind in Kind::ALL.into_iter().filter(|kind| order.kinds.contains(kind)) {
        source.each_record(kind, &mut |ulid, record| {
            for image in shown(&record) {
                images.record(image, put)?;
            }
            summary.records += 1;
            put(ulid, record)
        })?;
        if kind == Kind::Data {
            source.each_datum(&order.filter, &mut |ulid, judged| {
                for image in &judged.datum.images {
                    images.record(image, put)?;
                }
                summary.data += 1;
                put(ulid, Record::Datum(judged))
            })?;
        }
    }
    Ok(summary)
}

fn shown(record: &Record) -> &[ImageRef] {
    match record {
        Record::Instance(TaskInstance { content, .. }) => content.images(),
        Record::TeacherCall(call) => &call.request.images,
        _ => &[],
    }
}

fn parquet(order: &ExportOrder, source: &Source, folder: &Path) -> Result<ExportSummary, ExchangeError> {
    let (mut tables, mut summary) = (Vec::new(), ExportSummary::default());
    let mut images = match order.images {
        Images::None => Gallery::new(source, Images::None, None),
        Images::Files | Images::Inline => Gallery::bytes(source),
    };
    if order.format != Format::Records || order.kinds.contains(&Kind::Data) {
        let shape = shape(order, source)?;
        let columns = shape.columns();
        let mut shards = Shards::begin(&folder.join("data"), columns.clone(), order.shard_bytes)?;
        summary = rows(order, shape, source, &mut images, &mut |row| shards.put(row))?;
        let (rows, bytes) = shards.finish()?;
        tables.push(Table { name: "data", columns, rows, bytes });
    }
    let others: Vec<Kind> = order.kinds.iter().copied().filter(|kind| *kind != Kind::Data).collect();
    if order.format == Format::Records && !others.is_empty() {
        let columns = RUN_COLUMNS.to_vec();
        let mut shards = Shards::begin(&folder.join("run"), columns.clone(), order.shard_bytes)?;
        let order = ExportOrder { kinds: others, ..order.clone() };
        // A table of texts: its images are `data:` addresses.
        let inline = if order.images == Images::None { Images::None } else { Images::Inline };
        let mut images = Gallery::new(source, inline, None);
        summary.records = records(&order, source, &mut images, &mut |ulid, record| {
            let (word, value) = record::parts(&record)?;
            shards.put(vec![word.into(), ulid.to_string().into(), value.into()])
        })?
        .records;
        let (rows, bytes) = shards.finish()?;
        tables.push(Table { name: "run", columns, rows, bytes });
    }
    let words = format!("Written by `dataenvgym export` in the format `{}`.", order.format.as_str());
    put(&folder.join("README.md"), card::readme(&tables, &words).as_bytes())?;
    Ok(summary)
}

/// The images of an export, each written once.
struct Gallery<'a> {
    source: &'a Source,
    place: Place<'a>,
    written: HashSet<String>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    Nowhere,
    Beside(&'a Path),
    Address,
    Bytes,
}

impl<'a> Gallery<'a> {
    fn new(source: &'a Source, images: Images, folder: Option<&'a Path>) -> Self {
        let place = match (images, folder) {
            (Images::None, _) => Place::Nowhere,
            (Images::Files, Some(folder)) => Place::Beside(folder),
            (Images::Files, None) | (Images::Inline, _) => Place::Address,
        };
        Self { source, place, written: HashSet::new() }
    }

    fn bytes(source: &'a Source) -> Self {
        Self { source, place: Place::Bytes, written: HashSet::new() }
    }

    /// The image as a row has it.
    fn picture(&mut self, image: &ImageRef) -> Result<Picture, ExchangeError> {
        let name = image::file_name(image);
        match self.place {
            Place::Nowhere => Ok(Picture::default()),
            Place::Beside(folder) => {
                if self.written.insert(image.sha256.clone()) {
                    put(&folder.join(&name), &self.source.image(image)?)?;
                }
                Ok(Picture { path: Some(name), bytes: None })
            }
            Place::Address => {
                let address = image::inline(&image.media_type, &self.source.image(image)?);
                Ok(Picture { path: Some(address), bytes: None })
            }
            Place::Bytes => Ok(Picture { path: Some(name), bytes: Some(self.source.image(image)?) }),
        }
    }

    /// Writes the record of an image, unless it was written before.
    fn record(
        &mut self,
        image: &ImageRef,
        put: &mut dyn FnMut(Ulid, Record) -> Result<(), ExchangeError>,
    ) -> Result<(), ExchangeError> {
        if matches!(self.place, Place::Nowhere) || self.written.contains(&image.sha256) {
            return Ok(());
        }
        let path = self.picture(image)?.path.unwrap_or_default();
        self.written.insert(image.sha256.clone());
        let ulid = Ulid::derived(self.source.seed(), 0, &format!("image/{}", image.sha256));
        put(ulid, Record::Image(ImageFile { image: image.clone(), path }))
    }
}
