//! Rows as Parquet files, written and read a row group at a time.

mod read;
mod write;

pub(super) use read::{columns_of, each_row};
pub(super) use write::Shards;

use super::table::{Column, Kind};

/// The schema of a table. Every column may be null, as in the files of the `datasets` library.
fn schema(columns: &[Column]) -> String {
    let fields: Vec<String> = columns.iter().map(field).collect();
    format!("message schema {{ {} }}", fields.join(" "))
}

fn field(column: &Column) -> String {
    let name = column.name;
    let list = |leaves: &str| {
        format!(
            "optional group {name} (LIST) {{ repeated group list {{ optional group element {{ {leaves} }} }} }}"
        )
    };
    match column.kind {
        Kind::Text | Kind::OptionalText => format!("optional binary {name} (UTF8);"),
        Kind::Integer => format!("optional int64 {name};"),
        Kind::Images => list("optional binary bytes; optional binary path (UTF8);"),
        Kind::Turns { speaker, words } => {
            list(&format!("optional binary {speaker} (UTF8); optional binary {words} (UTF8);"))
        }
    }
}
