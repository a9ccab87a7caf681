//! What `/metrics` shows of the daemon as a whole, and who adds to it.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::process;
use super::text::{Kind, Text};
use crate::core::held::Held;
use crate::recover::Loading;
use crate::settings::Settings;
use crate::telemetry::output::lines_dropped;

/// A part of the daemon with metrics of its own, such as a bridge to a broker.
pub trait Source: fmt::Debug + Send + Sync {
    /// Writes its families. Called on any core: what it reads must not wait.
    fn write(&self, text: &mut Text);
}

/// Everything that is no core's.
#[derive(Debug)]
pub struct DaemonMetrics {
    started_seconds: f64,
    cores: usize,
    series_max: u32,
    memory_cap_bytes: u64,
    /// Recovery.
    pub(crate) loading: Arc<Loading>,
    sources: Vec<Arc<dyn Source>>,
    /// What bodies and answers hold, on all cores.
    pub(crate) held: Held,
}

impl DaemonMetrics {
    /// Those of a daemon with so many cores that starts now; `sources` are the parts that add to them.
    #[must_use]
    pub fn new(
        settings: &Settings,
        cores: usize,
        loading: Arc<Loading>,
        sources: Vec<Arc<dyn Source>>,
    ) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started_seconds: (since.as_secs_f64() * 1000.0).round() / 1000.0,
            cores,
            series_max: settings.metric_store.series_max,
            memory_cap_bytes: settings.metric_store.memory_cap_bytes,
            loading,
            sources,
            held: Held::new(settings.main.held_bytes_max),
        }
    }

    /// When the daemon started, as RFC 3339.
    #[must_use]
    pub fn started(&self) -> String {
        let ms = (self.started_seconds * 1000.0) as i64;
        jiff::Timestamp::from_millisecond(ms).unwrap_or_default().to_string()
    }

    /// Writes all of it; also while the cores do not run yet.
    pub fn write(&self, text: &mut Text) {
        text.family("cc_metric_store_build_info", Kind::Gauge, "Always 1; what is running.")
            .value(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        let gauges: [(&'static str, &'static str, u64); 7] = [
            ("cc_metric_store_ready", "1 once recovery is over.", u64::from(self.loading.is_over())),
            ("cc_metric_store_cores", "Pinned executors.", self.cores as u64),
            (
                "cc_metric_store_series_limit",
                "metric-store.max-series; 0: no limit.",
                u64::from(self.series_max),
            ),
            (
                "cc_metric_store_memory_cap_bytes",
                "metric-store.memory-cap; 0: no cap.",
                self.memory_cap_bytes,
            ),
            (
                "cc_metric_store_held_bytes",
                "Memory that bodies and answers of calls hold.",
                self.held.taken(),
            ),
            ("cc_metric_store_held_limit_bytes", "main.max-held-bytes.", self.held.max()),
            (
                "cc_metric_store_recovered_samples",
                "Samples that recovery has loaded at this start.",
                self.loading.samples(),
            ),
        ];
        for (name, help, value) in gauges {
            text.single(name, Kind::Gauge, help, value);
        }
        text.single(
            "cc_metric_store_recovery_ratio",
            Kind::Gauge,
            "How much of the files recovery has read at this start, from 0 to 1.",
            self.loading.ratio(),
        );
        text.single(
            "cc_metric_store_recovery_duration_seconds",
            Kind::Gauge,
            "How long recovery took at this start, or has taken so far.",
            self.loading.took().as_secs_f64(),
        );
        text.single(
            "cc_metric_store_log_lines_dropped_total",
            Kind::Counter,
            "Lines of the log that stderr did not take in time.",
            lines_dropped(),
        );
        process::write(text, self.started_seconds);
        self.sources.iter().for_each(|source| source.write(text));
    }
}
