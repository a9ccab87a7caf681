//! The host directory: which hosts hold data, published by each core for all.
//!
//! A core's pump publishes before it replies: whoever is told that a write is stored, or that something was
//! freed, finds the directory so. A query for all nodes of a cluster reads it without a message
//! (`query/scatter.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hosts::HostList;
use crate::memory::shard::Shard;
use crate::sync::published::Published;

/// The hosts of all cores.
#[derive(Debug)]
pub struct Directory {
    /// By owning core.
    cores: Box<[Published<HostList>]>,
}

impl Directory {
    /// An empty directory for so many cores, and each core's way to publish its hosts.
    #[must_use]
    pub fn new(cores: usize) -> (Arc<Self>, Vec<HostPublisher>) {
        let cores = (0..cores).map(|_| Published::new(HostList::default())).collect();
        let directory = Arc::new(Self { cores });
        let publishers = (0..directory.cores())
            .map(|core| HostPublisher { directory: Arc::clone(&directory), core, hosts: HostList::default() })
            .collect();
        (directory, publishers)
    }

    /// How many cores there are.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.cores.len()
    }

    /// The hosts of a cluster that a core owns, in name order; `None` if there are more than `hosts_max`.
    #[must_use]
    pub fn hosts(&self, core: usize, cluster: &str, hosts_max: usize) -> Option<Vec<Arc<str>>> {
        self.cores[core].read(|list| {
            let hosts: Vec<Arc<str>> =
                list.of_cluster(cluster).take(hosts_max.saturating_add(1)).cloned().collect();
            (hosts.len() <= hosts_max).then_some(hosts)
        })
    }

    /// Hands on the cluster and name of every host.
    pub fn for_each(&self, mut f: impl FnMut(&Arc<str>, &Arc<str>)) {
        for core in &self.cores {
            core.read(|list| list.iter().for_each(|(cluster, host)| f(cluster, host)));
        }
    }

    /// The first `clusters_max` clusters of all cores in name order, each with the number of its hosts.
    #[must_use]
    pub fn clusters(&self, clusters_max: usize) -> BTreeMap<Arc<str>, usize> {
        let mut clusters = BTreeMap::new();
        for core in &self.cores {
            core.read(|list| {
                for (cluster, hosts) in list.clusters().take(clusters_max) {
                    *clusters.entry(Arc::clone(cluster)).or_default() += hosts;
                }
            });
            while clusters.len() > clusters_max {
                clusters.pop_last();
            }
        }
        clusters
    }
}

/// One core's side of the directory. Belongs to its pump.
#[derive(Debug)]
pub struct HostPublisher {
    directory: Arc<Directory>,
    core: usize,
    /// What is published, or about to be.
    hosts: HostList,
}

impl HostPublisher {
    /// Publishes what changed since the last call; next to nothing if that is nothing. `true`: something was.
    ///
    /// To be called before anybody is told of the change.
    pub fn publish(&mut self, shard: &mut Shard) -> bool {
        if !shard.have_hosts_changed() {
            return false;
        }
        let mut changed = false;
        for level in shard.take_changed_hosts() {
            let tree = shard.tree();
            let path = tree.path(level);
            let [cluster, host] = path[..] else { unreachable!("a host is two levels below the root") };
            // A host that came and went in between has not changed.
            changed |= if tree.level(level).is_live() {
                self.hosts.insert(cluster, host)
            } else {
                self.hosts.remove(cluster, host)
            };
        }
        if changed {
            self.directory.cores[self.core].publish(|| self.hosts.clone());
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Aggregation, Metric, MetricId, Metrics};
    use crate::series::declare::Declarations;
    use crate::series::route::{Batch, Sample};
    use crate::series::tree::ROOT;

    fn shard() -> Shard {
        let metrics = vec![Metric { name: "m".into(), frequency: 60, aggregation: Aggregation::None }];
        Shard::new(Metrics::new(metrics).unwrap(), 1, i64::MAX)
    }

    /// Declares hosts, numbered on from `link`, with a sample each.
    fn write(shard: &mut Shard, link: u32, hosts: &[&str]) {
        let mut declarations = Declarations::default();
        for host in hosts {
            declarations.push([["c", ""], [host, ""], ["cpu", "0"]], MetricId(0));
        }
        let samples =
            (link..).zip(hosts).map(|(link, _)| Sample { link, time: 1_000_000, value: 1.0 }).collect();
        shard.apply(0, &Batch { declarations, samples }, 1_000_000, None);
    }

    fn names(directory: &Directory) -> Vec<String> {
        directory.hosts(0, "c", 100).unwrap().iter().map(|host| host.to_string()).collect()
    }

    #[test]
    fn hosts_appear_when_they_get_data_and_vanish_with_it() {
        let (directory, mut publishers) = Directory::new(1);
        let mut shard = shard();
        assert!(!publishers[0].publish(&mut shard));
        write(&mut shard, 0, &["h2", "h1"]);
        assert!(names(&directory).is_empty(), "not before it is published");
        assert!(publishers[0].publish(&mut shard));
        assert_eq!(names(&directory), ["h1", "h2"]);

        assert!(!publishers[0].publish(&mut shard), "nothing new");
        shard.free_before(ROOT, i64::MAX);
        write(&mut shard, 2, &["h2", "h3"]);
        assert!(publishers[0].publish(&mut shard));
        assert_eq!(names(&directory), ["h2", "h3"]);
    }

    #[test]
    fn what_came_and_went_is_not_published() {
        let (_, mut publishers) = Directory::new(1);
        let mut shard = shard();
        write(&mut shard, 0, &["h"]);
        shard.free_before(ROOT, i64::MAX);
        assert!(!publishers[0].publish(&mut shard));
    }

    #[test]
    fn clusters_of_all_cores_are_counted_together() {
        let (directory, mut publishers) = Directory::new(2);
        let clusters = |max| -> Vec<(String, usize)> {
            directory.clusters(max).into_iter().map(|(name, hosts)| (name.to_string(), hosts)).collect()
        };
        assert_eq!(clusters(9), []);
        for (core, names) in [(0, ["a h1", "b h1"]), (1, ["a h2", "c h1"])] {
            let mut hosts = HostList::default();
            for name in names {
                let (cluster, host) = name.split_once(' ').unwrap();
                hosts.insert(cluster, host);
            }
            publishers[core].hosts = hosts.clone();
            directory.cores[core].publish(|| hosts);
        }
        assert_eq!(clusters(9), [("a".into(), 2), ("b".into(), 1), ("c".into(), 1)]);
        assert_eq!(clusters(2), [("a".into(), 2), ("b".into(), 1)]);
    }

    #[test]
    fn more_hosts_than_wanted_are_not_listed() {
        let (directory, mut publishers) = Directory::new(1);
        let mut shard = shard();
        write(&mut shard, 0, &["h1", "h2"]);
        publishers[0].publish(&mut shard);
        assert_eq!(directory.hosts(0, "c", 2).map(|hosts| hosts.len()), Some(2));
        assert_eq!(directory.hosts(0, "c", 1), None);
    }
}
