//! The hosts of one core in name order, as a list of which copies are cheap to keep.
//!
//! The list is cut into chunks that copies share. A change copies one chunk, and only if a copy of the list holds
//! it too; copying the list copies a pointer a chunk. So publishing a new host among 10,000 costs some hundred
//! pointers and one chunk, and a thousand hosts that come at once are published together.

use std::sync::Arc;

use crate::limits::HOSTS_PER_CHUNK_MAX;

/// One host. Hosts are ordered by cluster, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    cluster: Arc<str>,
    host: Arc<str>,
}

impl Entry {
    fn key(&self) -> (&str, &str) {
        (&self.cluster, &self.host)
    }
}

/// Hosts in order.
#[derive(Clone, Debug, Default)]
pub struct HostList {
    /// In order, none empty, none longer than [`HOSTS_PER_CHUNK_MAX`].
    chunks: Vec<Arc<Vec<Entry>>>,
}

impl HostList {
    /// Adds a host; `false`: it is there already.
    pub fn insert(&mut self, cluster: &str, host: &str) -> bool {
        let (chunk, place) = match self.find(cluster, host) {
            Ok(_) => return false,
            Err(place) => place,
        };
        let Some(entries) = self.chunks.get_mut(chunk) else {
            self.chunks.push(Arc::new(vec![Entry { cluster: cluster.into(), host: host.into() }]));
            return true;
        };
        let entries = Arc::make_mut(entries);
        // A cluster's name is kept once a chunk, or nearly so.
        let neighbour = place.checked_sub(1).and_then(|before| entries.get(before)).or(entries.get(place));
        let cluster = match neighbour.filter(|neighbour| *neighbour.cluster == *cluster) {
            Some(neighbour) => Arc::clone(&neighbour.cluster),
            None => cluster.into(),
        };
        entries.insert(place, Entry { cluster, host: host.into() });
        if entries.len() > HOSTS_PER_CHUNK_MAX {
            let second = entries.split_off(entries.len() / 2);
            self.chunks.insert(chunk + 1, Arc::new(second));
        }
        true
    }

    /// Takes a host out; `false`: it is not there.
    pub fn remove(&mut self, cluster: &str, host: &str) -> bool {
        let Ok((chunk, place)) = self.find(cluster, host) else { return false };
        let entries = Arc::make_mut(&mut self.chunks[chunk]);
        entries.remove(place);
        let left = entries.len();
        if left == 0 {
            self.chunks.remove(chunk);
        } else if let Some(next) = self.chunks.get(chunk + 1)
            && left + next.len() <= HOSTS_PER_CHUNK_MAX / 2
        {
            // Hosts that come and go must not leave a list of tiny chunks behind.
            let next = self.chunks.remove(chunk + 1);
            Arc::make_mut(&mut self.chunks[chunk]).extend(next.iter().cloned());
        }
        true
    }

    /// The hosts of a cluster in name order.
    pub fn of_cluster(&self, cluster: &str) -> impl Iterator<Item = &Arc<str>> {
        let (chunk, place) = self.find(cluster, "").unwrap_or_else(|place| place);
        let rest = self.chunks.get(chunk).map_or(&[][..], |entries| &entries[place..]);
        let further = self.chunks.get(chunk + 1..).unwrap_or(&[]);
        rest.iter()
            .chain(further.iter().flat_map(|entries| entries.iter()))
            .take_while(move |entry| *entry.cluster == *cluster)
            .map(|entry| &entry.host)
    }

    /// All of them: cluster and name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.chunks.iter().flat_map(|entries| entries.iter()).map(|entry| (&entry.cluster, &entry.host))
    }

    /// The clusters in name order, each with the number of its hosts.
    pub fn clusters(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        let mut entries = self.chunks.iter().flat_map(|entries| entries.iter()).peekable();
        std::iter::from_fn(move || {
            let cluster = &entries.next()?.cluster;
            let mut hosts = 1;
            while entries.next_if(|entry| entry.cluster == *cluster).is_some() {
                hosts += 1;
            }
            Some((cluster, hosts))
        })
    }

    /// How many hosts of all clusters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|entries| entries.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The chunk and the place in it where a host is, or where it would be put in.
    fn find(&self, cluster: &str, host: &str) -> Result<(usize, usize), (usize, usize)> {
        let key = (cluster, host);
        // The first chunk that ends at or behind the host, else the last one.
        let chunk = self
            .chunks
            .partition_point(|entries| entries.last().is_some_and(|last| last.key() < key))
            .min(self.chunks.len().saturating_sub(1));
        let Some(entries) = self.chunks.get(chunk) else { return Err((0, 0)) };
        match entries.binary_search_by(|entry| entry.key().cmp(&key)) {
            Ok(place) => Ok((chunk, place)),
            Err(place) => Err((chunk, place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn hosts(list: &HostList, cluster: &str) -> Vec<String> {
        list.of_cluster(cluster).map(|host| host.to_string()).collect()
    }

    #[test]
    fn hosts_come_in_name_order_and_by_cluster() {
        let mut list = HostList::default();
        assert!(list.is_empty());
        for (cluster, host) in [("b", "h2"), ("a", "h1"), ("b", "h10"), ("c", "h"), ("b", "h1")] {
            assert!(list.insert(cluster, host));
        }
        assert!(!list.insert("b", "h10"));
        assert_eq!(hosts(&list, "b"), ["h1", "h10", "h2"]);
        assert_eq!(hosts(&list, "a"), ["h1"]);
        assert!(hosts(&list, "ab").is_empty());
        assert!(hosts(&list, "d").is_empty());
        assert!(list.remove("b", "h10"));
        assert!(!list.remove("b", "h10"));
        assert_eq!(hosts(&list, "b"), ["h1", "h2"]);
        assert_eq!(list.len(), 4);
    }

    #[test]
    fn a_copy_keeps_what_it_had_and_shares_the_rest() {
        let mut list = HostList::default();
        let count = if cfg!(miri) { 3 } else { 20 } * HOSTS_PER_CHUNK_MAX;
        for host in 0..count {
            list.insert("c", &format!("h{host:06}"));
        }
        let copy = list.clone();
        list.insert("c", "h000007x");
        list.remove("c", "h000001");
        assert_eq!(copy.len(), count);
        assert!(hosts(&copy, "c").contains(&"h000001".to_owned()));
        let shared = list
            .chunks
            .iter()
            .filter(|chunk| copy.chunks.iter().any(|other| Arc::ptr_eq(chunk, other)))
            .count();
        assert!(shared >= list.chunks.len() - 2, "{shared} of {} chunks are shared", list.chunks.len());
        let clusters: BTreeSet<_> =
            list.chunks.iter().flat_map(|chunk| chunk.iter()).map(|entry| entry.cluster.as_ptr()).collect();
        assert!(clusters.len() <= list.chunks.len(), "a cluster's name is kept once a chunk");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 64 }, failure_persistence: None, ..ProptestConfig::default() })]

        /// As a set of the standard library, whatever comes and goes.
        #[test]
        fn it_is_a_sorted_set(changes in prop::collection::vec((0..3u8, 0..400u16, prop::bool::weighted(0.7)), 0..if cfg!(miri) { 30 } else { 1500 })) {
            let mut list = HostList::default();
            let mut set = BTreeSet::new();
            for (cluster, host, comes) in changes {
                let (cluster, host) = (format!("c{cluster}"), format!("h{host}"));
                if comes {
                    prop_assert_eq!(list.insert(&cluster, &host), set.insert((cluster, host)));
                } else {
                    prop_assert_eq!(list.remove(&cluster, &host), set.remove(&(cluster, host)));
                }
                prop_assert!(list.chunks.iter().all(|chunk| (1..=HOSTS_PER_CHUNK_MAX).contains(&chunk.len())));
            }
            for cluster in ["c0", "c1", "c2", "c3"] {
                let expected: Vec<String> = set.iter().filter(|(other, _)| other == cluster).map(|(_, host)| host.clone()).collect();
                prop_assert_eq!(hosts(&list, cluster), expected);
            }
        }
    }
}
