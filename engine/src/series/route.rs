//! Routing: which core owns a host, and the batches that carry samples there.
//!
//! The accepting core numbers the series it sends to each owner; number and names go ahead once, in a
//! declaration, and every sample after that is 24 bytes. Between two cores messages keep their order,
//! so a declaration always arrives before the first sample that needs it.

use std::sync::Arc;

use ahash::RandomState;

use super::declare::Declarations;
use super::table::{KeyTable, Target};
use crate::config::{MetricId, Metrics};
use crate::limits;

/// One value of one series at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The sender's number for the series.
    pub link: u32,
    /// Seconds since 1970.
    pub time: i64,
    /// Finite.
    pub value: f64,
}

/// What one core sends to another (or to itself) at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// New series, numbered on from the last one declared on this way.
    pub declarations: Declarations,
    /// Samples in the order of their lines.
    pub samples: Vec<Sample>,
}

/// The core that owns a host: the same in every run of a process with as many cores.
#[must_use]
pub fn core_of(cluster: &str, host: &str, cores: usize) -> usize {
    let hasher = RandomState::with_seeds(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344);
    (hasher.hash_one((cluster, host)) % cores as u64) as usize
}

/// Number of a default cluster on a [`Router`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContextId(usize);

impl ContextId {
    /// Its place in [`Router::contexts`].
    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// What lines mean when they name no cluster.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) cluster: Box<str>,
    pub(crate) table: KeyTable,
}

/// The way from one accepting core to one owner.
#[derive(Debug, Default)]
struct Link {
    declared: u32,
    /// Declared, but not yet taken along by a batch.
    waiting: Declarations,
}

/// One core's knowledge of where series go.
#[derive(Debug)]
pub struct Router {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) contexts: Vec<Context>,
    links: Vec<Link>,
    seed: u64,
    /// More keys than this are not remembered, but refused.
    keys_max: usize,
    /// The host named last and its core: the next series mostly has the same.
    recent: (String, usize),
}

impl Router {
    /// A router that knows no series yet.
    ///
    /// # Panics
    /// If there are no cores or more than a `u16` can count.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, cores: usize, seed: u64) -> Self {
        assert!((1..=usize::from(u16::MAX)).contains(&cores));
        Self {
            metrics,
            contexts: Vec::new(),
            links: (0..cores).map(|_| Link::default()).collect(),
            seed,
            keys_max: usize::MAX,
            recent: (String::new(), 0),
        }
    }

    /// Bounds the keys for a store that takes at most so many series (0: as many as come).
    ///
    /// Which series are too many only their owners know. But this core must not remember without end what they refuse.
    pub fn limit_series(&mut self, series_max: usize) {
        if series_max > 0 {
            self.keys_max =
                series_max.saturating_mul(limits::KEYS_PER_SERIES_MAX).saturating_add(limits::KEYS_MAX_MIN);
        }
    }

    /// Whether no further key may be remembered.
    pub(crate) fn is_full(&self) -> bool {
        self.contexts.iter().map(|context| context.table.len()).sum::<usize>() >= self.keys_max
    }

    /// Bytes of memory of what is remembered of series, what is to spare included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.contexts.iter().map(|context| context.table.bytes()).sum()
    }

    /// The configured metrics.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.links.len()
    }

    /// The context of a default cluster.
    ///
    /// There are at most [`limits::CONTEXTS_MAX`]: a client that makes up clusters makes the router
    /// forget keys, not grow without end. So an id is good only until the next call.
    pub(crate) fn context(&mut self, cluster_default: &str) -> ContextId {
        if let Some(index) = self.contexts.iter().position(|context| *context.cluster == *cluster_default) {
            return ContextId(index);
        }
        let context = Context { cluster: cluster_default.into(), table: KeyTable::new(self.seed) };
        if self.contexts.len() < limits::CONTEXTS_MAX {
            self.contexts.push(context);
            return ContextId(self.contexts.len() - 1);
        }
        // The first ones belong to the site's own clusters and listeners; reuse the last.
        let last = self.contexts.len() - 1;
        self.contexts[last] = context;
        ContextId(last)
    }

    /// Numbers a series that no key named before: cluster and host, and the levels below, in two parts each.
    pub(crate) fn declare<'a>(
        &mut self,
        cluster: &'a str,
        host: &'a str,
        below: impl Iterator<Item = [&'a str; 2]>,
        metric: MetricId,
    ) -> Target {
        let core = self.core_of_recent(cluster, host);
        let link = &mut self.links[core];
        let target = Target { core: core as u16, link: link.declared };
        link.declared = link.declared.checked_add(1).expect("fewer than 2^32 series");
        link.waiting.push([[cluster, ""], [host, ""]].into_iter().chain(below), metric);
        target
    }

    /// Whether these are the cluster and host of the last series that was declared.
    pub(crate) fn is_recent(&self, cluster: &str, host: &str) -> bool {
        // Names of clusters and hosts that were declared have no slash.
        let rest = self.recent.0.strip_prefix(cluster).and_then(|rest| rest.strip_prefix('/'));
        rest == Some(host)
    }

    /// As [`core_of`].
    fn core_of_recent(&mut self, cluster: &str, host: &str) -> usize {
        if !self.is_recent(cluster, host) {
            let (name, core) = &mut self.recent;
            name.clear();
            name.extend([cluster, "/", host]);
            *core = core_of(cluster, host, self.links.len());
        }
        self.recent.1
    }

    /// Makes a batch for `core` of `samples`, with all declarations it needs.
    ///
    /// The batch must be delivered, and in the order in which batches for a core were made.
    #[must_use]
    pub fn seal(&mut self, core: usize, samples: Vec<Sample>) -> Batch {
        Batch { declarations: std::mem::take(&mut self.links[core].waiting), samples }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_spread_over_cores_and_stay_where_they_are() {
        let mut counts = [0; 4];
        for host in 0..1000 {
            counts[core_of("c", &format!("h{host}"), 4)] += 1;
        }
        assert!(counts.iter().all(|&count| (150..350).contains(&count)), "{counts:?}");
        assert_eq!(core_of("c", "h", 1), 0);
    }

    #[test]
    fn made_up_clusters_do_not_grow_the_router() {
        let mut router = Router::new(Metrics::new(Vec::new()).unwrap(), 2, 1);
        let first = router.context("site");
        for number in 0..10 * limits::CONTEXTS_MAX {
            router.context(&format!("x{number}"));
        }
        assert_eq!(router.contexts.len(), limits::CONTEXTS_MAX);
        assert_eq!(router.context("site"), first);
    }
}
