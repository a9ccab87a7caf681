//! The series of every history: a few hosts with a few metrics each, and which core owns them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Aggregation, Metric, Metrics};
use crate::memory::shard::Shard;
use crate::series::declare::Declarations;
use crate::series::route::core_of;
use crate::series::tree::{LevelId, ROOT};

/// Index of a series.
pub(super) type SeriesIndex = usize;

/// One series.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Cluster, host, levels below.
    pub(super) path: Vec<&'static str>,
    pub(super) metric: &'static str,
    pub(super) frequency: i64,
    /// Its samples are at multiples of the frequency and this many seconds.
    pub(super) offset: i64,
}

/// All series.
#[derive(Debug)]
pub(super) struct Population {
    pub(super) metrics: Arc<Metrics>,
    pub(super) series: Vec<Known>,
    by_name: BTreeMap<(Vec<&'static str>, &'static str), SeriesIndex>,
}

/// Cluster and name of every host.
pub(super) const HOSTS: [[&str; 2]; 6] =
    [["alex", "a1"], ["alex", "a2"], ["alex", "a3"], ["fritz", "f1"], ["fritz", "f2"], ["fritz", "f3"]];
const BELOW: [(&[&str], &str, i64); 4] = [
    (&[], "clock", 10),
    (&[], "power", 60),
    (&["socket0"], "power", 60),
    (&["socket0", "memctrl1"], "clock", 10),
];

impl Population {
    pub(super) fn new() -> Self {
        let metric =
            |name: &str, frequency| Metric { name: name.into(), frequency, aggregation: Aggregation::None };
        let metrics = Metrics::new(vec![metric("clock", 10), metric("power", 60)]).expect("they are sound");
        let mut series = Vec::new();
        for (number, host) in HOSTS.iter().enumerate() {
            for (below, metric, frequency) in BELOW {
                let path = host.iter().chain(below).copied().collect();
                // Not all are on the full minute.
                let offset = number as i64 * 7 % frequency;
                series.push(Known { path, metric, frequency, offset });
            }
        }
        let by_name = series
            .iter()
            .enumerate()
            .map(|(index, known)| ((known.path.clone(), known.metric), index))
            .collect();
        Self { metrics, series, by_name }
    }

    /// The core that owns a series.
    pub(super) fn owner(&self, series: SeriesIndex, cores: usize) -> usize {
        let path = &self.series[series].path;
        core_of(path[0], path[1], cores)
    }

    /// Adds the names of a series.
    pub(super) fn declare(&self, series: SeriesIndex, declarations: &mut Declarations) {
        let known = &self.series[series];
        let metric = self.metrics.find(known.metric.as_bytes()).expect("it is configured");
        declarations.push(known.path.iter().map(|&name| [name, ""]), metric);
    }

    /// Every sample of a shard.
    ///
    /// # Errors
    /// A series that does not exist.
    pub(super) fn samples_of(
        &self,
        shard: &Shard,
        take: &mut impl FnMut(SeriesIndex, i64, f64) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut levels: Vec<LevelId> = vec![ROOT];
        while let Some(level) = levels.pop() {
            levels.extend(shard.tree().children(level));
            let path = shard.tree().path(level);
            for &(metric, id) in shard.tree().level(level).series() {
                let name = &*self.metrics.get(metric).name;
                let chain = shard.chain(id);
                let index =
                    self.by_name.iter().find(|((known, metric), _)| *known == path && *metric == name);
                let Some((_, &index)) = index else {
                    return Err(format!("{path:?} {name} was never sent"));
                };
                for buffer in chain.buffers() {
                    let frequency = chain.frequency();
                    let times = (0i64..).map(|slot| buffer.first_write(frequency) + slot * frequency);
                    for (time, value) in
                        times.zip(buffer.values(shard.pool())).filter(|(_, value)| !value.is_nan())
                    {
                        take(index, time, value)?;
                    }
                }
            }
        }
        Ok(())
    }
}
