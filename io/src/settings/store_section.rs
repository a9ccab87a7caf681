//! The section `metric-store`: retention, files, log, memory, cores (SPEC section 7).
//!
//! After the file has been taken apart into sections; memory, checkpoints, log and archive read it.

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::checkpoint::Kind;
use engine::limits::QUERY_VALUES_MAX;
use serde_json::Value;

use super::bounds;
use super::main_section::DebugOptions;
use super::object::{Findings, Object};
use super::problem::Problem;
use super::subscription::{self, Subscription};
use super::wal_options::Wal;

const KEYS: &[&str] = &[
    "checkpoints",
    "checkpoint-interval",
    "memory-cap",
    "retention-in-memory",
    "num-workers",
    "cleanup",
    "nats-subscriptions",
    "debug",
    "cores",
    "wal",
    "query-limit",
    "full-range",
    "max-series",
];
const CHECKPOINTS_KEYS: &[&str] = &["file-format", "directory", "max-wal-size", "interval"];
const CLEANUP_KEYS: &[&str] = &["mode", "directory", "interval"];
const FILE_FORMATS: &[&str] = &["wal", "json"];
const CLEANUP_MODES: &[&str] = &["delete", "archive"];

/// The section `metric-store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricStore {
    /// Samples older than this are freed (SPEC section 6).
    pub retention_in_memory: Duration,
    /// Time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// Where and how snapshots are written.
    pub checkpoints: Checkpoints,
    /// What becomes of snapshots out of retention.
    pub cleanup: Cleanup,
    /// Memory above which data is freed early; 0 = no cap.
    pub memory_cap_bytes: u64,
    /// Accepted, without effect: work is spread over the cores.
    pub num_workers: i64,
    /// What to subscribe to when there is a section `nats`.
    pub nats_subscriptions: Vec<Subscription>,
    /// Accepted, without effect.
    pub debug: DebugOptions,
    /// How many cores to use; none: half of those this process may run on. Not known to the reference.
    pub cores: Option<NonZeroU16>,
    /// Our own log. Not known to the reference.
    pub wal: Wal,
    /// Values one query may answer (SPEC section 4). Not known to the reference.
    pub query_values_max: u64,
    /// Whether every result covers all of the range asked for. Not known to the reference.
    pub full_range: bool,
    /// How many series may be held; 0 = as many as come. Not known to the reference.
    pub series_max: u32,
}

/// The object `checkpoints`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    /// Format of the snapshots to write; both are read.
    pub file_format: FileFormat,
    /// Root of the snapshots: `<directory>/<cluster>/<host>/`.
    pub directory: PathBuf,
    /// Size of one log file of the reference; accepted, without effect on ours.
    pub wal_bytes_max: Option<u64>,
}

/// Format of snapshots (SPEC section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// `<from>.bin`.
    Wal,
    /// `<from>.json`.
    Json,
}

impl From<FileFormat> for Kind {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Wal => Self::Binary,
            FileFormat::Json => Self::Json,
        }
    }
}

/// The object `cleanup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Snapshots out of retention are deleted.
    Delete,
    /// They are written to Parquet files in this directory, then deleted.
    Archive {
        /// `<directory>/<cluster>/<time>.parquet`.
        directory: PathBuf,
    },
}

impl MetricStore {
    /// The retention in whole seconds.
    #[must_use]
    pub fn retention_seconds(&self) -> i64 {
        i64::try_from(self.retention_in_memory.as_secs()).unwrap_or(i64::MAX)
    }

    /// What holds without the section, but for the retention.
    pub(super) fn new(retention_in_memory: Duration) -> Self {
        let directory = PathBuf::from(bounds::CHECKPOINTS_DIRECTORY_DEFAULT);
        Self {
            retention_in_memory,
            checkpoint_interval: bounds::CHECKPOINT_INTERVAL_DEFAULT,
            wal: Wal::beside(&directory),
            checkpoints: Checkpoints { file_format: FileFormat::Wal, directory, wal_bytes_max: None },
            cleanup: Cleanup::Delete,
            memory_cap_bytes: 0,
            num_workers: 0,
            nats_subscriptions: Vec::new(),
            debug: DebugOptions::default(),
            cores: None,
            query_values_max: QUERY_VALUES_MAX,
            full_range: false,
            series_max: 0,
        }
    }

    /// Reads the section; `query_values_max` is the limit that `main` sets, which one here overrides.
    /// `None` only after a problem has been reported.
    pub(super) fn read(
        value: Option<&Value>,
        query_values_max: Option<u64>,
        findings: &Findings,
    ) -> Option<Self> {
        let no_section = Value::Object(serde_json::Map::new());
        let value = value.unwrap_or(&no_section);
        let object = Object::new("metric-store".to_owned(), value, KEYS, findings)?;
        // The rest is read even without a retention, so that all problems show up at once.
        let mut store = Self::new(read_retention(&object).unwrap_or(bounds::RETENTION_WITHOUT_CONFIG));
        let interval = |object: &Object<'_>, key| object.duration(key, bounds::INTERVAL_MIN);
        if let Some(checkpoints) = object.object("checkpoints", CHECKPOINTS_KEYS) {
            store.checkpoints = read_checkpoints(&checkpoints);
            // Early 1.5 files still have the interval here.
            if let Some(interval) = interval(&checkpoints, "interval") {
                store.checkpoint_interval = interval;
            }
        }
        if let Some(interval) = interval(&object, "checkpoint-interval") {
            store.checkpoint_interval = interval;
        }
        if let Some(cleanup) = object.object("cleanup", CLEANUP_KEYS) {
            store.cleanup = read_cleanup(&cleanup);
        }
        // The reference takes whole gigabytes.
        let cap_gb = object.number_up_to("memory-cap", bounds::MEMORY_CAP_GB_MAX, " GB");
        store.memory_cap_bytes = (cap_gb.unwrap_or(0.0) * bounds::GB_BYTES).ceil() as u64;
        store.num_workers = object.integer("num-workers").unwrap_or(0);
        store.nats_subscriptions = subscription::read_list(&object);
        store.debug = DebugOptions::read(&object);
        store.cores = object
            .integer_within("cores", 1, u64::from(bounds::CORES_MAX), "")
            .and_then(|cores| u16::try_from(cores).ok())
            .and_then(NonZeroU16::new);
        store.wal = Wal::read(&object, &store.checkpoints.directory);
        let own_limit = object.integer_within("query-limit", 1, u64::MAX, " values");
        store.query_values_max = own_limit.or(query_values_max).unwrap_or(QUERY_VALUES_MAX);
        store.full_range = object.boolean("full-range").unwrap_or(false);
        let series_max = object.integer_within("max-series", 0, u64::from(u32::MAX), " series");
        store.series_max = series_max.and_then(|series| u32::try_from(series).ok()).unwrap_or(0);
        Some(store)
    }
}

fn read_retention(object: &Object<'_>) -> Option<Duration> {
    const KEY: &str = "retention-in-memory";
    let absent = object.value(KEY).is_none_or(|value| value.as_str() == Some(""));
    if absent {
        let hint = "write how long samples are kept, as in \"retention-in-memory\": \"48h\"";
        object.findings().problem(Problem::Missing { path: object.path_of(KEY), hint });
        return None;
    }
    object.duration(KEY, bounds::INTERVAL_MIN)
}

fn read_checkpoints(object: &Object<'_>) -> Checkpoints {
    let directory = object.text("directory").unwrap_or(bounds::CHECKPOINTS_DIRECTORY_DEFAULT);
    let file_format = match object.choice("file-format", FILE_FORMATS) {
        Some(1) => FileFormat::Json,
        _ => FileFormat::Wal,
    };
    // The reference takes zero and negative sizes for "no bound".
    let wal_bytes_max = object.integer("max-wal-size").and_then(|bytes| u64::try_from(bytes).ok());
    let wal_bytes_max = wal_bytes_max.filter(|bytes| *bytes > 0);
    Checkpoints { file_format, directory: Path::new(directory).to_owned(), wal_bytes_max }
}

fn read_cleanup(object: &Object<'_>) -> Cleanup {
    let directory = object.text("directory");
    // Checked, though without effect: a round is made once per retention.
    object.duration("interval", Duration::ZERO);
    if object.choice("mode", CLEANUP_MODES) != Some(1) {
        return Cleanup::Delete;
    }
    let Some(directory) = directory else {
        let hint = "with the mode \"archive\", write where the Parquet files go";
        object.findings().problem(Problem::Missing { path: object.path_of("directory"), hint });
        return Cleanup::Delete;
    };
    Cleanup::Archive { directory: PathBuf::from(directory) }
}
