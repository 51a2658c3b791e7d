//! The card of a data set on the Hugging Face hub, and its features as the `datasets` library names them.

use std::fmt::Write;

use super::table::{Column, Kind};

/// One table of an export.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Name of the configuration; also of the folder.
    pub(super) name: &'static str,
    /// Its columns.
    pub(super) columns: Vec<Column>,
    /// Rows written.
    pub(super) rows: u64,
    /// Bytes of its files.
    pub(super) bytes: u64,
}

/// `README.md`: front matter for the library, a few words for a person. The first table is the default.
pub(super) fn readme(tables: &[Table], words: &str) -> String {
    let mut text = String::from("---\nconfigs:\n");
    for (n, table) in tables.iter().enumerate() {
        let name = table.name;
        let _ = writeln!(text, "- config_name: {name}");
        let _ = writeln!(text, "  data_files:\n  - split: train\n    path: {name}/train-*");
        if n == 0 {
            text.push_str("  default: true\n");
        }
    }
    text.push_str("dataset_info:\n");
    for Table { name, columns, rows, bytes } in tables {
        let _ = writeln!(text, "- config_name: {name}\n  features:");
        for column in columns {
            let _ = writeln!(text, "  - name: {}", column.name);
            let _ = match column.kind {
                Kind::Text | Kind::OptionalText => writeln!(text, "    dtype: string"),
                Kind::Integer => writeln!(text, "    dtype: int64"),
                Kind::Images => writeln!(text, "    list: image"),
                Kind::Turns { speaker, words } => {
                    let member = |name| format!("    - name: {name}\n      dtype: string\n");
                    write!(text, "    list:\n{}{}", member(speaker), member(words))
                }
            };
        }
        let _ =
            writeln!(text, "  splits:\n  - name: train\n    num_bytes: {bytes}\n    num_examples: {rows}");
        let _ = writeln!(text, "  download_size: {bytes}\n  dataset_size: {bytes}");
    }
    let _ = write!(text, "---\n\n# Training data of a dataenvgym run\n\n{words}\n");
    text
}

/// The features as the library keeps them in a Parquet file, under the key `huggingface`.
pub(super) fn features(columns: &[Column]) -> String {
    let value = |dtype: &str| format!(r#"{{"dtype": "{dtype}", "_type": "Value"}}"#);
    let feature = |column: &Column| match column.kind {
        Kind::Text | Kind::OptionalText => value("string"),
        Kind::Integer => value("int64"),
        Kind::Images => r#"[{"_type": "Image"}]"#.to_owned(),
        Kind::Turns { speaker, words } => {
            format!(r#"[{{"{speaker}": {0}, "{words}": {0}}}]"#, value("string"))
        }
    };
    // Written by hand because the order of the columns counts.
    let features: Vec<String> =
        columns.iter().map(|column| format!(r#""{}": {}"#, column.name, feature(column))).collect();
    format!(r#"{{"info": {{"features": {{{}}}}}}}"#, features.join(", "))
}
