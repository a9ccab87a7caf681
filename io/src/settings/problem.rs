//! What can be wrong with a configuration, in words that say where and what to do.
//!
//! Found while the sections are read; printed once before the daemon refuses to start.

use std::io;
use std::path::PathBuf;

use super::address::AddressError;
use super::duration::DurationError;
use super::suggest;

/// Why there are no [`Settings`](super::Settings).
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is missing or unreadable.
    #[error("cannot read the configuration {path:?}: {source}; check the path given with -config")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of a single section is missing or unreadable.
    #[error("{key}: cannot read {path:?}: {source}; the path is relative to the working directory")]
    ReadSection {
        /// The key that names the file, such as `metrics-file`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{path:?} is larger than {bytes_max} bytes; is it a configuration?")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bound.
        bytes_max: u64,
    },
    /// The file is not JSON.
    #[error("{path:?} is not valid JSON: line {line}, column {column}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line of the first offence, from 1.
        line: usize,
        /// Column of the first offence, from 1.
        column: usize,
        /// What the parser expected.
        reason: String,
    },
    /// The file is JSON, but not a configuration. Never empty; one line each.
    #[error("the configuration {path:?} is not valid:{}", one_line_each(problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Everything that was found wrong.
        problems: Vec<Problem>,
    },
}

/// One thing wrong with a configuration. `path` is that of the key: `metric-store.checkpoints.directory`.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A key nobody knows.
    #[error("{}unknown key {key:?}, known keys: {}{}", prefix(path), known.join(", "), did_you_mean(*suggestion))]
    UnknownKey {
        /// The object with the key; empty at the top level.
        path: String,
        /// The key as written.
        key: String,
        /// What is known there.
        known: &'static [&'static str],
        /// What was probably meant.
        suggestion: Option<&'static str>,
    },
    /// A number where a text has to be, and the like.
    #[error("{path}: expected {expected}, found {found}")]
    WrongType {
        /// The key.
        path: String,
        /// The kind of value that is needed.
        expected: &'static str,
        /// The kind of value that is there.
        found: String,
    },
    /// A key without which nothing works.
    #[error("{path}: missing; {hint}")]
    Missing {
        /// The key.
        path: String,
        /// What to write.
        hint: &'static str,
    },
    /// Not a duration.
    #[error("{path}: {text:?} is not a duration: {source}")]
    Duration {
        /// The key.
        path: String,
        /// The value as written.
        text: String,
        /// What is wrong with it.
        source: DurationError,
    },
    /// None of the few allowed values.
    #[error("{path}: unknown value {found:?}, known values: {}{}", known.join(", "), did_you_mean(*suggestion))]
    UnknownValue {
        /// The key.
        path: String,
        /// The value as written.
        found: String,
        /// The allowed values.
        known: &'static [&'static str],
        /// What was probably meant.
        suggestion: Option<&'static str>,
    },
    /// Too small, too large, or not together with another key.
    #[error("{path}: expected {expected}, found {found}")]
    OutOfRange {
        /// The key.
        path: String,
        /// What is allowed.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Not an address to listen on.
    #[error("{path}: {source}")]
    Address {
        /// The key.
        path: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// A section given in the file and as a file of its own.
    #[error("{file_key}: the section {section:?} is also in this file; remove one of the two")]
    SectionTwice {
        /// The section.
        section: &'static str,
        /// The key that names its file.
        file_key: &'static str,
    },
    /// A variable of the environment that should bring a secret.
    #[error("{variable}: {reason}")]
    Environment {
        /// The variable.
        variable: String,
        /// What is wrong with it, without what it holds.
        reason: String,
    },
    /// The metrics as a whole.
    #[error("metrics: {0}")]
    Metrics(#[from] engine::config::MetricsError),
    /// Keys of the layout before version 1.5 beside keys of the present one.
    #[error(
        "the file has keys of both layouts: {old} belong to the one before version 1.5, {new} to the present one; remove one kind"
    )]
    MixedLayouts {
        /// Keys of the old one.
        old: String,
        /// Keys of the new one.
        new: String,
    },
}

impl Problem {
    /// A key that is not in `known`.
    pub(super) fn unknown_key(path: String, key: String, known: &'static [&'static str]) -> Self {
        let suggestion = suggest::closest(&key, known);
        Self::UnknownKey { path, key, known, suggestion }
    }
}

fn one_line_each(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

fn did_you_mean(suggestion: Option<&'static str>) -> String {
    suggestion.map(|known| format!("; did you mean {known:?}?")).unwrap_or_default()
}
