//! The configuration file taken apart into its sections.
//!
//! Bytes of `config.json` and of the files it names come in; one JSON value per section goes out to the
//! readers of the sections. A file of the layout before version 1.5 is put into the present one first.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::bounds;
use super::object::{Findings, Object};
use super::old_layout::{Layout, modernize};
use super::problem::{Problem, SettingsError};

/// Every key of the top level. A section may be in a file of its own.
pub(super) const KEYS: &[&str] = &[
    "main",
    "main-file",
    "metrics",
    "metrics-file",
    "metric-store",
    "metric-store-file",
    "nats",
    "nats-file",
];

/// The JSON value of each section; `None` where it is absent or null.
#[derive(Debug, Default)]
pub(super) struct Sections {
    pub(super) main: Option<Value>,
    pub(super) metrics: Option<Value>,
    pub(super) metric_store: Option<Value>,
    pub(super) nats: Option<Value>,
    /// Keys of the top level that nobody knows, some of them.
    pub(super) unknown: Vec<String>,
}

impl Sections {
    /// Takes the file apart and reads the files it names, relative to the working directory.
    ///
    /// # Errors
    /// What keeps the rest from being looked at: unreadable files, broken JSON, two layouts in one file.
    pub(super) fn read(bytes: &[u8], path: &Path, findings: &Findings) -> Result<Self, SettingsError> {
        let root = parse(bytes, path)?;
        let Value::Object(map) = &root else {
            let problem = Problem::WrongType {
                path: "(file)".to_owned(),
                expected: "an object",
                found: "something else".to_owned(),
            };
            return Err(SettingsError::Invalid { path: path.to_owned(), problems: vec![problem] });
        };
        let modern;
        let root = match modernize(&root, map, findings) {
            // Everything else that is wrong follows from this.
            Err(problem) => {
                return Err(SettingsError::Invalid { path: path.to_owned(), problems: vec![problem] });
            }
            Ok(Layout::New) => &root,
            Ok(Layout::Old(converted)) => {
                modern = converted;
                &modern
            }
        };
        let Some(object) = Object::top_level(root, findings) else { return Ok(Self::default()) };
        Ok(Self {
            main: section(&object, "main", "main-file")?,
            metrics: section(&object, "metrics", "metrics-file")?,
            metric_store: section(&object, "metric-store", "metric-store-file")?,
            nats: section(&object, "nats", "nats-file")?,
            unknown: object.keys_beside(KEYS).take(bounds::UNKNOWN_SECTIONS_MAX).collect(),
        })
    }
}

fn section(
    root: &Object<'_>,
    key: &'static str,
    file_key: &'static str,
) -> Result<Option<Value>, SettingsError> {
    let inline = root.value(key).cloned();
    let Some(path) = root.text(file_key).map(PathBuf::from) else { return Ok(inline) };
    if inline.is_some() {
        root.findings().problem(Problem::SectionTwice { section: key, file_key });
        return Ok(inline);
    }
    let read = read_bounded(&path);
    let bytes =
        read.map_err(|source| SettingsError::ReadSection { key: file_key, path: path.clone(), source })?;
    let bytes = bytes.ok_or_else(|| too_large(&path))?;
    parse(&bytes, &path).map(|value| Some(value).filter(|value| !value.is_null()))
}

/// The bytes of the configuration file.
///
/// # Errors
/// [`SettingsError::Read`], [`SettingsError::TooLarge`].
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, SettingsError> {
    let read = read_bounded(path);
    let bytes = read.map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    bytes.ok_or_else(|| too_large(path))
}

/// The bytes of a file; `None` if there are too many.
fn read_bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells "just fits" from "too large", whatever the file says its size is.
    File::open(path)?.take(bounds::CONFIG_FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= bounds::CONFIG_FILE_BYTES_MAX))
}

fn too_large(path: &Path) -> SettingsError {
    SettingsError::TooLarge { path: path.to_owned(), bytes_max: bounds::CONFIG_FILE_BYTES_MAX }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Value, SettingsError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        // The library repeats the place at the end of its text.
        let text = error.to_string();
        let place = format!(" at line {line} column {column}");
        let reason = text.strip_suffix(&place).unwrap_or(&text).to_owned();
        SettingsError::Syntax { path: path.to_owned(), line, column, reason }
    })
}
