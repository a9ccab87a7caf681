//! What `-size` is asked about: `hosts=200,threads=72,…`, completed from the configuration.
//!
//! After the command line; [`super::estimate`] is next.

use std::time::Duration;

use engine::config::Aggregation;
use engine::durable::commit::WalSync;
use engine::limits::{FREQUENCY_SECONDS_MAX, METRICS_MAX};

use crate::runtime::{cores_default, usable_cpus};
use crate::settings::{Settings, bounds, parse_duration};

/// Most hosts, threads of a host, and accelerators of a host.
const COUNT_MAX: u64 = 1_000_000;
/// Seconds between two samples where only the numbers of metrics are given.
const INTERVAL_SECONDS_DEFAULT: f64 = 60.0;

/// Every key, as the messages list them.
const KEYS: &str = "hosts, threads, thread-metrics, node-metrics, interval, cores";

// Series of the largest site that can be asked about.
const _: () = assert!(COUNT_MAX * (COUNT_MAX + 1) <= u64::MAX / METRICS_MAX as u64);

/// Series of one kind of one host: how many, and how many samples each second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Metrics of one thread, or of the host itself.
    pub metrics: u64,
    /// Samples per second of all of them together.
    pub samples_per_second: f64,
}

/// A site and how the daemon is configured for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Compute nodes.
    pub hosts: u64,
    /// Hardware threads of a host.
    pub threads: u64,
    /// What each thread sends.
    pub per_thread: Rate,
    /// What each host sends for itself.
    pub per_host: Rate,
    /// Cores of the daemon.
    pub cores: u64,
    /// `retention-in-memory`.
    pub retention: Duration,
    /// `checkpoint-interval`.
    pub checkpoint_interval: Duration,
    /// Whether there is a log.
    pub is_logged: bool,
    /// `max-wal-size`, of one core.
    pub wal_bytes_max: Option<u64>,
}

/// Why `-size` has no answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SizeError {
    /// Something that is not `key=value`, or a key nobody knows.
    #[error(
        "-size: {part:?} is not understood; write, for example, -size hosts=200,threads=72 (keys: {KEYS})"
    )]
    Unknown {
        /// The part between two commas.
        part: String,
    },
    /// A value that is no number, or too large.
    #[error("-size: {key} is {value:?}; it must be a number from {min} to {max}")]
    NotNumber {
        /// The key.
        key: &'static str,
        /// What stands behind it.
        value: String,
        /// Smallest number.
        min: u64,
        /// Largest number.
        max: u64,
    },
    /// An interval that is none.
    #[error("-size: interval is {value:?}; write a duration from 1s to {days}d, such as 10s or 1m", days = FREQUENCY_SECONDS_MAX / 86_400)]
    Interval {
        /// What stands behind `interval=`.
        value: String,
    },
    /// No hosts.
    #[error("-size: write how many hosts there are, for example -size hosts=200,threads=72 (keys: {KEYS})")]
    NoHosts,
}

impl Site {
    /// Reads `hosts=…,threads=…,thread-metrics=…,node-metrics=…,interval=…,cores=…`.
    ///
    /// Only `hosts` is needed. Metrics not counted there are those of the configuration, each with its frequency: those
    /// that are aggregated count for every thread, the others for the host.
    ///
    /// # Errors
    /// See [`SizeError`].
    pub fn parse(spec: &str, settings: &Settings) -> Result<Self, SizeError> {
        let (mut hosts, mut threads, mut cores) = (None, 1, None);
        let (mut thread_metrics, mut node_metrics, mut interval_seconds) = (None, None, None);
        for part in spec.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let unknown =
                || SizeError::Unknown { part: part.chars().take(bounds::QUOTE_CHARS_MAX).collect() };
            let (key, value) = part.split_once('=').ok_or_else(unknown)?;
            let metrics_max = METRICS_MAX as u64;
            match key.trim() {
                "hosts" => hosts = Some(number("hosts", value, 1, COUNT_MAX)?),
                "threads" => threads = number("threads", value, 0, COUNT_MAX)?,
                "thread-metrics" => thread_metrics = Some(number("thread-metrics", value, 0, metrics_max)?),
                "node-metrics" => node_metrics = Some(number("node-metrics", value, 0, metrics_max)?),
                "interval" => interval_seconds = Some(interval(value)?),
                "cores" => cores = Some(number("cores", value, 1, u64::from(bounds::CORES_MAX))?),
                _ => return Err(unknown()),
            }
        }
        let hosts = hosts.ok_or(SizeError::NoHosts)?;
        let (of_threads, of_hosts) = configured(settings, interval_seconds);
        let counted = |count: Option<u64>, configured: Rate| match count {
            None => configured,
            Some(metrics) => Rate {
                metrics,
                samples_per_second: metrics as f64 / interval_seconds.unwrap_or(INTERVAL_SECONDS_DEFAULT),
            },
        };
        let store = &settings.metric_store;
        let cores_default = || cores_default(usable_cpus().map_or(1, |cpus| cpus.len())) as u64;
        Ok(Self {
            hosts,
            threads,
            per_thread: counted(thread_metrics, of_threads),
            per_host: counted(node_metrics, of_hosts),
            cores: cores
                .or_else(|| store.cores.map(|cores| u64::from(cores.get())))
                .unwrap_or_else(cores_default),
            retention: store.retention_in_memory,
            checkpoint_interval: store.checkpoint_interval,
            is_logged: store.wal.sync != WalSync::Off,
            wal_bytes_max: store.checkpoints.wal_bytes_max,
        })
    }

    /// Series of the whole site.
    #[must_use]
    pub fn series(&self) -> u64 {
        self.hosts * (self.threads * self.per_thread.metrics + self.per_host.metrics)
    }

    /// Samples per second of the whole site.
    #[must_use]
    pub fn samples_per_second(&self) -> f64 {
        let of_threads = self.threads as f64 * self.per_thread.samples_per_second;
        self.hosts as f64 * (of_threads + self.per_host.samples_per_second)
    }
}

/// What a thread and what a host sends by the configuration's metrics, at their frequencies or all at one interval.
fn configured(settings: &Settings, interval_seconds: Option<f64>) -> (Rate, Rate) {
    let (mut of_threads, mut of_hosts) = (Rate::default(), Rate::default());
    for (_, metric) in settings.metrics.iter() {
        let rate = if metric.aggregation == Aggregation::None { &mut of_hosts } else { &mut of_threads };
        rate.metrics += 1;
        rate.samples_per_second += 1.0 / interval_seconds.unwrap_or(metric.frequency as f64);
    }
    (of_threads, of_hosts)
}

fn number(key: &'static str, value: &str, min: u64, max: u64) -> Result<u64, SizeError> {
    let parsed = value.trim().parse().ok().filter(|number| (min..=max).contains(number));
    let quoted = || value.chars().take(bounds::QUOTE_CHARS_MAX).collect();
    parsed.ok_or_else(|| SizeError::NotNumber { key, value: quoted(), min, max })
}

/// Seconds.
fn interval(value: &str) -> Result<f64, SizeError> {
    let seconds = parse_duration(value.trim()).ok().map(|duration| duration.as_secs_f64());
    let quoted = || value.chars().take(bounds::QUOTE_CHARS_MAX).collect();
    seconds
        .filter(|seconds| (1.0..=FREQUENCY_SECONDS_MAX as f64).contains(seconds))
        .ok_or_else(|| SizeError::Interval { value: quoted() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(spec: &str) -> Result<Site, SizeError> {
        Site::parse(spec, &Settings::default_site())
    }

    #[test]
    fn what_is_not_said_comes_from_the_configuration() {
        let site = parse("hosts=10, threads=4").expect("a site");
        let aggregated = Settings::default_site()
            .metrics
            .iter()
            .filter(|(_, metric)| metric.aggregation != Aggregation::None)
            .count();
        let all = Settings::default_site().metrics.iter().count();
        assert_eq!(site.series(), 10 * (4 * aggregated + (all - aggregated)) as u64);
        assert!((site.samples_per_second() - site.series() as f64 / 60.0).abs() < 1e-6);
        // All of them at another interval.
        let faster = parse("hosts=10,threads=4,interval=10s").expect("a site");
        assert_eq!(faster.series(), site.series());
        assert!((faster.samples_per_second() / site.samples_per_second() - 6.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_said_counts() {
        let site = parse("hosts=200,threads=72,thread-metrics=10,node-metrics=20,interval=30s,cores=3")
            .expect("a site");
        assert_eq!((site.series(), site.cores), (148_000, 3));
        assert!((site.samples_per_second() - 148_000.0 / 30.0).abs() < 1e-6);
    }

    #[test]
    fn errors_say_what_to_write() {
        for (spec, expected) in [
            ("", "how many hosts"),
            ("threads=3", "how many hosts"),
            ("hosts", "\"hosts\" is not understood"),
            ("hosts=2,nodes=3", "\"nodes=3\" is not understood"),
            ("hosts=0", "from 1 to"),
            ("hosts=-1", "hosts is \"-1\""),
            ("hosts=99999999999999999999", "from 1 to"),
            ("hosts=1,thread-metrics=4097", "thread-metrics is \"4097\""),
            ("hosts=1,interval=0s", "interval is \"0s\""),
            ("hosts=1,interval=fast", "interval is \"fast\""),
            ("hosts=1,cores=0", "cores is \"0\""),
        ] {
            let error = parse(spec).expect_err("no site").to_string();
            assert!(error.contains(expected), "{spec:?}: {error}");
        }
        let longest = parse(&format!("hosts=1,{}", "x".repeat(10_000))).expect_err("no site").to_string();
        assert!(longest.len() < 400, "{longest}");
    }

    #[test]
    fn the_largest_site_overflows_nothing() {
        let site =
            parse("hosts=1000000,threads=1000000,thread-metrics=4096,node-metrics=4096").expect("a site");
        assert_eq!(site.series(), 1_000_000 * (1_000_000 * 4096 + 4096));
    }
}
