//! The metrics of a `config.json`: names and frequencies are all that an export needs of it (SPEC section 7).
//!
//! The daemon checks the whole file; here only the section `metrics` is looked at.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::config::{Aggregation, Metric, Metrics, MetricsError};
use serde_json::Value;

/// No configuration is longer.
const CONFIG_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why the metrics are not known.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file, or the one that its `metrics-file` names.
    #[error("cannot read {}: {source}; name the daemon's configuration with --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Longer than any configuration.
    #[error("{} has more than {CONFIG_FILE_BYTES_MAX} bytes: it is no configuration", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not JSON.
    #[error("{} is not JSON: {source}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Neither `metrics` nor `metrics-file`.
    #[error("{} has no section \"metrics\"; name the daemon's configuration with --config", path.display())]
    NoMetrics {
        /// The file.
        path: PathBuf,
    },
    /// A metric without a frequency.
    #[error("{}: metrics.{name}.frequency is missing or no whole number of seconds", path.display())]
    Frequency {
        /// The file.
        path: PathBuf,
        /// The metric.
        name: String,
    },
    /// Metrics that cannot be.
    #[error("{}: {source}", path.display())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// Why.
        source: MetricsError,
    },
}

/// Reads the metrics of a configuration; a `metrics-file` is relative to the working directory, as for the daemon.
///
/// # Errors
/// [`ConfigError`].
pub fn read_metrics(config: &Path) -> Result<Arc<Metrics>, ConfigError> {
    let root = read_json(config)?;
    let (path, section) = match (root.get("metrics"), root.get("metrics-file").and_then(Value::as_str)) {
        (None | Some(Value::Null), Some(file)) => (PathBuf::from(file), read_json(Path::new(file))?),
        (section, _) => (config.to_owned(), section.cloned().unwrap_or_default()),
    };
    let Value::Object(entries) = section else { return Err(ConfigError::NoMetrics { path }) };
    let metrics: Result<Vec<_>, _> = entries
        .iter()
        .map(|(name, entry)| {
            let frequency = entry.get("frequency").and_then(Value::as_i64);
            let frequency =
                frequency.ok_or_else(|| ConfigError::Frequency { path: path.clone(), name: name.clone() })?;
            // How children are combined is nothing that a file says.
            Ok(Metric { name: name.as_str().into(), frequency, aggregation: Aggregation::None })
        })
        .collect();
    Metrics::new(metrics?).map_err(|source| ConfigError::Metrics { path, source })
}

fn read_json(path: &Path) -> Result<Value, ConfigError> {
    let mut bytes = Vec::new();
    let read = File::open(path)
        // One byte more than allowed tells "just fits" from "too large", whatever the file says its size is.
        .and_then(|file| file.take(CONFIG_FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > CONFIG_FILE_BYTES_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    serde_json::from_slice(&bytes).map_err(|source| ConfigError::Syntax { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn metrics_come_from_the_section_or_its_own_file() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let section = r#"{"clock": {"frequency": 10, "aggregation": "avg"}, "ipc": {"frequency": 60}}"#;
        let file = write("metrics.json", section.to_owned());
        for (name, text) in [
            ("inline.json", format!(r#"{{"main": {{}}, "metrics": {section}}}"#)),
            ("file.json", format!(r#"{{"metrics-file": {:?}}}"#, file.to_str().unwrap())),
        ] {
            let metrics = read_metrics(&write(name, text)).unwrap();
            let found: Vec<_> =
                metrics.iter().map(|(_, metric)| (metric.name.to_string(), metric.frequency)).collect();
            assert_eq!(found, [("clock".to_owned(), 10), ("ipc".to_owned(), 60)], "{name}");
        }
        for (text, says) in [
            ("", "is not JSON"),
            ("{}", "no section \"metrics\""),
            (r#"{"metrics": []}"#, "no section \"metrics\""),
            (r#"{"metrics": {"clock": {}}}"#, "metrics.clock.frequency"),
            (r#"{"metrics": {"clock": {"frequency": 0}}}"#, "frequency must be"),
            (r#"{"metrics-file": "/nowhere/metrics.json"}"#, "cannot read /nowhere/metrics.json"),
        ] {
            let error = read_metrics(&write("bad.json", text.to_owned())).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
