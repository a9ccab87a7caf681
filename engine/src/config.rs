//! The configured metrics: what a metric name means to every later stage.
//!
//! Built once from the configuration file (SPEC section 7), shared read-only by all cores.

use std::sync::Arc;

use crate::limits;

/// How the series below a level are combined when the level has no data of its own (SPEC section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// No combination: more than one child is an error in the result.
    None,
    /// The sum of all children.
    Sum,
    /// The arithmetic mean of all children.
    Avg,
}

/// One configured metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The measurement name of the line protocol.
    pub name: Box<str>,
    /// Seconds per slot; always in `1..=limits::FREQUENCY_SECONDS_MAX`.
    pub frequency: i64,
    /// How children are combined.
    pub aggregation: Aggregation,
}

/// Index of a metric in [`Metrics`]; dense, valid for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricId(pub u16);

/// All configured metrics, sorted by name.
#[derive(Debug, Default)]
pub struct Metrics {
    sorted: Vec<Metric>,
    /// First byte of the name → range of `sorted`; most foreign measurements end here.
    by_first_byte: Vec<(u16, u16)>,
}

/// Why a set of metrics is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MetricsError {
    /// Frequency zero, negative or absurd.
    #[error("metric {name:?}: frequency must be 1 to {max} seconds, got {frequency}", max = limits::FREQUENCY_SECONDS_MAX)]
    Frequency {
        /// The metric.
        name: String,
        /// What was configured.
        frequency: i64,
    },
    /// A name that no line can carry.
    #[error("metric name {name:?} must have 1 to {max} bytes", max = limits::METRIC_NAME_BYTES_MAX)]
    Name {
        /// The name.
        name: String,
    },
    /// The same name twice.
    #[error("metric {name:?} is configured twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// More metrics than a [`MetricId`] can tell apart.
    #[error("{count} metrics are configured, at most {max} are possible", max = limits::METRICS_MAX)]
    TooMany {
        /// How many.
        count: usize,
    },
}

impl Metrics {
    /// Checks and sorts the configured metrics.
    ///
    /// # Errors
    /// See [`MetricsError`].
    pub fn new(mut metrics: Vec<Metric>) -> Result<Arc<Self>, MetricsError> {
        if metrics.len() > limits::METRICS_MAX {
            return Err(MetricsError::TooMany { count: metrics.len() });
        }
        for metric in &metrics {
            let name = metric.name.to_string();
            if name.is_empty() || name.len() > limits::METRIC_NAME_BYTES_MAX {
                return Err(MetricsError::Name { name });
            }
            if !(1..=limits::FREQUENCY_SECONDS_MAX).contains(&metric.frequency) {
                return Err(MetricsError::Frequency { name, frequency: metric.frequency });
            }
        }
        metrics.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = metrics.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(MetricsError::Duplicate { name: pair[0].name.to_string() });
        }
        let mut by_first_byte = vec![(0u16, 0u16); 256];
        for (index, metric) in metrics.iter().enumerate() {
            let range = &mut by_first_byte[usize::from(metric.name.as_bytes()[0])];
            let index = u16::try_from(index).expect("METRICS_MAX fits u16");
            if range.1 == 0 {
                range.0 = index;
            }
            range.1 = index + 1;
        }
        Ok(Arc::new(Self { sorted: metrics, by_first_byte }))
    }

    /// The metric of this name, if it is configured.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<MetricId> {
        let (start, end) = *self.by_first_byte.get(usize::from(*name.first()?))?;
        let candidates = &self.sorted[usize::from(start)..usize::from(end)];
        let index = candidates.binary_search_by(|metric| metric.name.as_bytes().cmp(name)).ok()?;
        Some(MetricId(start + u16::try_from(index).expect("METRICS_MAX fits u16")))
    }

    /// The metric of this id.
    #[must_use]
    pub fn get(&self, id: MetricId) -> &Metric {
        &self.sorted[usize::from(id.0)]
    }

    /// All metrics with their ids, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (MetricId, &Metric)> {
        self.sorted.iter().enumerate().map(|(index, metric)| (MetricId(index as u16), metric))
    }

    /// How many metrics are configured.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether no metric is configured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, frequency: i64) -> Metric {
        Metric { name: name.into(), frequency, aggregation: Aggregation::None }
    }

    #[test]
    fn finds_every_configured_name_and_no_other() {
        let names = ["b", "ab", "a", "abc", "zz", "m\u{e4}"];
        let metrics = Metrics::new(names.iter().map(|name| metric(name, 60)).collect()).unwrap();
        for name in names {
            let id = metrics.find(name.as_bytes()).unwrap();
            assert_eq!(&*metrics.get(id).name, name);
        }
        for name in ["", "c", "abcd", "z", "zzz", "A"] {
            assert_eq!(metrics.find(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn refuses_what_cannot_work() {
        assert!(matches!(Metrics::new(vec![metric("a", 0)]), Err(MetricsError::Frequency { .. })));
        assert!(matches!(Metrics::new(vec![metric("a", i64::MAX)]), Err(MetricsError::Frequency { .. })));
        assert!(matches!(Metrics::new(vec![metric("", 1)]), Err(MetricsError::Name { .. })));
        assert!(matches!(
            Metrics::new(vec![metric("a", 1), metric("a", 2)]),
            Err(MetricsError::Duplicate { .. })
        ));
    }
}
