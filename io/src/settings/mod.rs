//! The configuration: `config.json` read, checked and put into proper types (SPEC section 7).
//!
//! The first thing after the command line; everything that starts later takes its part of [`Settings`].
//! Nothing is changed afterwards. Bytes → `sections` → one reader per section → [`Settings`].

mod address;
pub mod bounds;
mod duration;
mod effective;
mod environment;
mod jwt_key;
mod main_section;
mod metrics_section;
mod nats_section;
mod object;
mod old_layout;
mod problem;
mod remote_write_options;
mod secret;
mod sections;
mod site;
mod store_section;
mod subscription;
mod suggest;
#[cfg(test)]
mod tests;
mod wal_options;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::config::Metrics;

pub use address::{AddressError, resolve};
pub use duration::{DurationError, parse as parse_duration};
pub use jwt_key::JwtKey;
pub use main_section::{DebugOptions, Main};
pub use nats_section::Nats;
pub use problem::{Problem, SettingsError};
pub use remote_write_options::RemoteWriteOptions;
pub use secret::{Secret, without_user};
pub use store_section::{Checkpoints, Cleanup, FileFormat, MetricStore};
pub use subscription::{JetStream, Subscription};
pub use wal_options::Wal;

use environment::Environment;
use object::Findings;
use sections::Sections;

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen, as whom, and for whom.
    pub main: Main,
    /// The metrics to keep; shared by all cores.
    pub metrics: Arc<Metrics>,
    /// Retention, files, log, memory, cores.
    pub metric_store: MetricStore,
    /// The NATS server; none: no NATS.
    pub nats: Option<Nats>,
    /// The file all this comes from; none: [`Settings::default_site`].
    pub source: Option<PathBuf>,
    /// `-dev`: Swagger UI is served.
    pub dev: bool,
    /// What the user should be told once, as warnings: accepted, but probably not what was meant.
    pub notes: Vec<String>,
}

impl Settings {
    /// Reads the configuration: the given file, or `./config.json`, or without either the
    /// [default](Self::default_site).
    ///
    /// # Errors
    /// See [`SettingsError`]. A given file that is missing is an error.
    pub fn load(config: Option<&Path>) -> Result<Self, SettingsError> {
        let path = config.unwrap_or(Path::new(bounds::CONFIG_PATH_DEFAULT));
        match sections::read_file(path) {
            Ok(bytes) => Self::from_json(&bytes, path),
            Err(SettingsError::Read { source, .. })
                if config.is_none() && source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(Self::default_site())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the configuration in `bytes`; `path` is its name in messages.
    ///
    /// # Errors
    /// See [`SettingsError`]. All problems of an otherwise readable file are reported at once.
    pub fn from_json(bytes: &[u8], path: &Path) -> Result<Self, SettingsError> {
        Self::from_json_and(&|name| env::var_os(name), bytes, path)
    }

    /// The same, with secrets from these variables of the environment.
    fn from_json_and(
        variable: &dyn Fn(&str) -> Option<OsString>,
        bytes: &[u8],
        path: &Path,
    ) -> Result<Self, SettingsError> {
        let findings = Findings::default();
        let environment = Environment::new(variable);
        let sections = Sections::read(bytes, path, &findings)?;
        let main = Main::read(sections.main.as_ref(), environment, &findings);
        let metrics = metrics_section::read(sections.metrics.as_ref(), &findings);
        let metric_store =
            MetricStore::read(sections.metric_store.as_ref(), main.query_values_max, &findings);
        let nats = Nats::read(sections.nats.as_ref(), environment, &findings);
        let (mut problems, mut notes) = findings.into_parts();
        let unknown = |key: String| Problem::unknown_key(String::new(), key, sections::KEYS);
        if problems.is_empty() {
            let passed_over = |key| format!("a section is passed over: {}", unknown(key));
            notes.extend(sections.unknown.into_iter().map(passed_over));
        } else {
            // One of them may be why a known one is missing.
            let is_near =
                |problem: &Problem| matches!(problem, Problem::UnknownKey { suggestion: Some(_), .. });
            problems.extend(sections.unknown.into_iter().map(unknown).filter(is_near));
        }
        match (metrics, metric_store) {
            (Some(metrics), Some(metric_store)) if problems.is_empty() => Ok(Self {
                main,
                metrics,
                metric_store,
                nats,
                source: Some(path.to_owned()),
                dev: false,
                notes,
            }),
            _ => {
                assert!(!problems.is_empty(), "a section is only ever missing with a reason");
                Err(SettingsError::Invalid { path: path.to_owned(), problems })
            }
        }
    }

    /// The settings without any file: 127.0.0.1:8082, 48 hours, the sample metrics of a ClusterCockpit
    /// site, everything under `./var`.
    #[must_use]
    pub fn default_site() -> Self {
        Self {
            main: Main::new(bounds::ADDR_WITHOUT_CONFIG),
            metrics: site::metrics(),
            metric_store: MetricStore::new(bounds::RETENTION_WITHOUT_CONFIG),
            nats: None,
            source: None,
            dev: false,
            notes: Vec::new(),
        }
    }
}
