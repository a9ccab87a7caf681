//! A second metric store, as simple as it can be, to hold the real one against (SPEC sections 1, 3, 4 and 9).
//!
//! It shares no code with the engine but the configured metrics: paths are lists of names in one sorted map, every
//! sample is a slot in a plain list, every read walks time step by step, every answer is put together with `format!`.
//! [`chain`] is one series, [`query`] and [`resample`] make answers, [`inspect`] dumps and judges; [`site`] is what both
//! stores are configured with. The tests and the fuzz targets feed it.

#![allow(dead_code, reason = "every test file uses another part of the model")]

pub(crate) mod chain;
pub(crate) mod inspect;
pub(crate) mod query;
pub(crate) mod resample;
pub(crate) mod site;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::config::{Metric, Metrics};

use chain::Chain;

/// Further ahead of the clock than this, in seconds, a sample is not taken (SPEC section 9, 7).
const FUTURE_SECONDS_MAX: i64 = 3600;

/// What becomes of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Stored,
    TooOld,
    Future,
}

/// The whole store. Only chains with data are in it.
pub(crate) struct Model {
    metrics: Arc<Metrics>,
    retention_seconds: i64,
    /// Names from the cluster down, then the metric.
    levels: BTreeMap<Vec<String>, BTreeMap<String, Chain>>,
}

impl Model {
    pub(crate) fn new(metrics: &Arc<Metrics>, retention_seconds: i64) -> Self {
        Self { metrics: Arc::clone(metrics), retention_seconds, levels: BTreeMap::new() }
    }

    fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().map(|(_, metric)| metric).find(|metric| *metric.name == *name)
    }

    /// Takes one sample of a configured metric.
    pub(crate) fn write(&mut self, path: &[String], metric: &str, time: i64, value: f64, now: i64) -> Fate {
        if time > now + FUTURE_SECONDS_MAX {
            return Fate::Future;
        }
        let frequency = self.metric(metric).expect("only configured metrics are written").frequency;
        let chain = self.levels.entry(path.to_vec()).or_default().entry(metric.to_owned());
        let chain = chain.or_insert_with(|| Chain::new(frequency));
        if chain.write(time, value, now - self.retention_seconds) { Fate::Stored } else { Fate::TooOld }
    }

    /// Frees at and below each selector; returns how many buffers.
    pub(crate) fn free(&mut self, selectors: &[Vec<String>], to: i64) -> usize {
        let mut freed = 0;
        for selector in selectors {
            for (path, series) in &mut self.levels {
                if path.starts_with(selector) {
                    freed += series.values_mut().map(|chain| chain.free_before(to)).sum::<usize>();
                    series.retain(|_, chain| !chain.buffers.is_empty());
                }
            }
            self.levels.retain(|_, series| !series.is_empty());
        }
        freed
    }

    /// Whether there is data at or below a level.
    fn exists(&self, path: &[String]) -> bool {
        self.levels.keys().any(|other| other.starts_with(path))
    }

    /// The names of the levels right below one.
    fn children(&self, path: &[String]) -> Vec<String> {
        let below = self.levels.keys().filter(|other| other.len() > path.len() && other.starts_with(path));
        let mut names: Vec<String> = below.map(|other| other[path.len()].clone()).collect();
        names.dedup();
        names
    }
}

/// A path one name longer.
fn join(path: &[String], name: &str) -> Vec<String> {
    let mut longer = path.to_vec();
    longer.push(name.to_owned());
    longer
}
