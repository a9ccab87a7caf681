//! Routing: which core owns a host, and the batches that carry samples there.
//!
//! The accepting core numbers the series it sends to each owner; number and names go ahead once, in a
//! declaration, and every sample after that is 24 bytes. Between two cores messages keep their order,
//! so a declaration always arrives before the first sample that needs it.

use std::sync::Arc;

use ahash::RandomState;

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

/// The names behind a sender's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Cluster, host, and one or two levels below it.
    pub path: Vec<Box<str>>,
    /// The metric.
    pub metric: MetricId,
}

/// What one core sends to another (or to itself) at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// New series, numbered on from the last one declared on this way.
    pub declarations: Vec<Declaration>,
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
    waiting: Vec<Declaration>,
}

/// One core's knowledge of where series go.
#[derive(Debug)]
pub struct Router {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) contexts: Vec<Context>,
    links: Vec<Link>,
    seed: u64,
}

impl Router {
    /// A router that knows no series yet.
    ///
    /// # Panics
    /// If there are no cores or more than a `u16` can count.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, cores: usize, seed: u64) -> Self {
        assert!((1..=usize::from(u16::MAX)).contains(&cores));
        Self { metrics, contexts: Vec::new(), links: (0..cores).map(|_| Link::default()).collect(), seed }
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

    /// Numbers a series that no key named before.
    pub(crate) fn declare(&mut self, declaration: Declaration) -> Target {
        let core = core_of(&declaration.path[0], &declaration.path[1], self.links.len());
        let link = &mut self.links[core];
        let target = Target { core: core as u16, link: link.declared };
        link.declared = link.declared.checked_add(1).expect("fewer than 2^32 series");
        link.waiting.push(declaration);
        target
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
