//! The tree of levels (SPEC section 1): root → cluster → host → type → subtype.
//!
//! One core's part of it: the hosts it owns. Levels and series are numbered densely and found by
//! number; names matter only when a series is declared and when a query names one. A level that holds no
//! data any more is invisible, as if it were gone.

use crate::config::MetricId;

/// Number of a level on its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LevelId(pub u32);

/// Number of a series (one metric at one level) on its core; also the number of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesId(pub u32);

/// One level.
#[derive(Debug)]
pub struct Level {
    name: Box<str>,
    parent: Option<LevelId>,
    /// Sorted by name.
    children: Vec<LevelId>,
    /// Sorted by metric.
    series: Vec<(MetricId, SeriesId)>,
    /// How many series at or below this level hold data.
    live: u32,
    /// A host that is in [`Tree::changed_hosts`].
    is_noted: bool,
}

impl Level {
    /// Its name; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The series at this level in metric order, with and without data.
    #[must_use]
    pub fn series(&self) -> &[(MetricId, SeriesId)] {
        &self.series
    }

    /// Whether there is data at or below this level.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live > 0
    }
}

/// All levels of one core.
#[derive(Debug)]
pub struct Tree {
    levels: Vec<Level>,
    series_count: u32,
    /// Hosts that became visible or invisible, each once, until the host directory takes them.
    changed_hosts: Vec<LevelId>,
}

/// The level above all clusters.
pub const ROOT: LevelId = LevelId(0);

impl Default for Tree {
    fn default() -> Self {
        let root = Level {
            name: "".into(),
            parent: None,
            children: Vec::new(),
            series: Vec::new(),
            live: 0,
            is_noted: false,
        };
        Self { levels: vec![root], series_count: 0, changed_hosts: Vec::new() }
    }
}

impl Tree {
    /// The level of this number.
    #[must_use]
    pub fn level(&self, id: LevelId) -> &Level {
        &self.levels[id.0 as usize]
    }

    /// The children of a level that hold data, in name order.
    pub fn children(&self, id: LevelId) -> impl Iterator<Item = LevelId> {
        self.level(id).children.iter().copied().filter(|&child| self.level(child).is_live())
    }

    /// The child of this name, if it holds data.
    #[must_use]
    pub fn child(&self, id: LevelId, name: &str) -> Option<LevelId> {
        let index = self.child_index(id, name).ok()?;
        Some(self.level(id).children[index]).filter(|&child| self.level(child).is_live())
    }

    /// Follows names down from the root; `None` where one leads nowhere or to no data.
    #[must_use]
    pub fn find<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<LevelId> {
        path.into_iter().try_fold(ROOT, |level, name| self.child(level, name))
    }

    /// The series of a metric at a level, with or without data.
    #[must_use]
    pub fn series(&self, id: LevelId, metric: MetricId) -> Option<SeriesId> {
        let series = &self.level(id).series;
        let index = series.binary_search_by_key(&metric, |&(metric, _)| metric).ok()?;
        Some(series[index].1)
    }

    /// The names from below the root down to a level.
    #[must_use]
    pub fn path(&self, id: LevelId) -> Vec<&str> {
        let mut names = Vec::new();
        let mut level = self.level(id);
        while let Some(parent) = level.parent {
            names.push(&*level.name);
            level = self.level(parent);
        }
        names.reverse();
        names
    }

    /// How many series were declared.
    #[must_use]
    pub fn series_count(&self) -> u32 {
        self.series_count
    }

    /// The level of a path, created as far as it is missing.
    pub fn declare_level<'a>(&mut self, path: impl IntoIterator<Item = &'a str>) -> LevelId {
        path.into_iter().fold(ROOT, |parent, name| match self.child_index(parent, name) {
            Ok(index) => self.level(parent).children[index],
            Err(index) => {
                let id = LevelId(u32::try_from(self.levels.len()).expect("fewer than 2^32 levels"));
                self.levels.push(Level {
                    name: name.into(),
                    parent: Some(parent),
                    children: Vec::new(),
                    series: Vec::new(),
                    live: 0,
                    is_noted: false,
                });
                self.levels[parent.0 as usize].children.insert(index, id);
                id
            }
        })
    }

    /// The series of a metric at a level, created if it is missing; then `true`.
    pub fn declare_series(&mut self, level: LevelId, metric: MetricId) -> (SeriesId, bool) {
        let series = &mut self.levels[level.0 as usize].series;
        match series.binary_search_by_key(&metric, |&(metric, _)| metric) {
            Ok(index) => (series[index].1, false),
            Err(index) => {
                let id = SeriesId(self.series_count);
                self.series_count = self.series_count.checked_add(1).expect("fewer than 2^32 series");
                series.insert(index, (metric, id));
                (id, true)
            }
        }
    }

    /// A series at `level` got its first data.
    pub fn gained_data(&mut self, level: LevelId) {
        self.count_live(level, |live| live + 1);
    }

    /// A series at `level` lost its last data.
    pub fn lost_data(&mut self, level: LevelId) {
        self.count_live(level, |live| live - 1);
    }

    /// Whether [`Self::take_changed_hosts`] would return any.
    pub(crate) fn have_hosts_changed(&self) -> bool {
        !self.changed_hosts.is_empty()
    }

    /// The hosts that became visible or invisible since the last call, and perhaps the other way again.
    pub(crate) fn take_changed_hosts(&mut self) -> Vec<LevelId> {
        let hosts = std::mem::take(&mut self.changed_hosts);
        hosts.iter().for_each(|host| self.levels[host.0 as usize].is_noted = false);
        hosts
    }

    fn count_live(&mut self, level: LevelId, count: impl Fn(u32) -> u32) {
        // On the way up: the level one below and the one two below, where they became visible or invisible.
        let (mut below, mut two_below) = (None, None);
        let mut next = Some(level);
        while let Some(id) = next {
            let level = &mut self.levels[id.0 as usize];
            let was_live = level.is_live();
            level.live = count(level.live);
            let changed = (level.is_live() != was_live).then_some(id);
            next = level.parent;
            if id == ROOT
                && let Some(host) = two_below
            {
                self.note_host(host);
            }
            (below, two_below) = (changed, below);
        }
    }

    fn note_host(&mut self, host: LevelId) {
        let level = &mut self.levels[host.0 as usize];
        if !level.is_noted {
            level.is_noted = true;
            self.changed_hosts.push(host);
        }
    }

    fn child_index(&self, id: LevelId, name: &str) -> Result<usize, usize> {
        self.level(id).children.binary_search_by(|&child| (*self.level(child).name).cmp(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_without_data_are_invisible() {
        let mut tree = Tree::default();
        let socket = tree.declare_level(["c", "h", "socket0"]);
        let host = tree.declare_level(["c", "h"]);
        assert_eq!(tree.declare_level(["c", "h", "socket0"]), socket);
        assert_eq!(tree.find(["c"]), None);

        let (series, new) = tree.declare_series(socket, MetricId(3));
        assert!(new);
        assert_eq!(tree.declare_series(socket, MetricId(3)), (series, false));
        tree.gained_data(socket);
        assert_eq!(tree.find(["c", "h", "socket0"]), Some(socket));
        assert_eq!(tree.find(["c", "h"]), Some(host));
        assert_eq!(tree.find(["c", "h", "socket1"]), None);
        assert_eq!(tree.series(socket, MetricId(3)), Some(series));
        assert_eq!(tree.series(host, MetricId(3)), None);
        assert_eq!(tree.path(socket), ["c", "h", "socket0"]);
        assert!(tree.path(ROOT).is_empty());

        tree.lost_data(socket);
        assert_eq!(tree.find(["c"]), None);
        assert_eq!(tree.children(ROOT).count(), 0);
    }

    #[test]
    fn hosts_that_appear_or_vanish_are_noted_once() {
        let mut tree = Tree::default();
        let deep = tree.declare_level(["c", "h", "socket0", "memctrl0"]);
        let other = tree.declare_level(["c", "g", "socket0"]);
        let hosts = [tree.declare_level(["c", "h"]), tree.declare_level(["c", "g"])];
        assert!(!tree.have_hosts_changed());
        tree.gained_data(deep);
        tree.gained_data(hosts[0]);
        tree.gained_data(other);
        assert_eq!(tree.take_changed_hosts(), hosts);
        tree.lost_data(deep);
        assert!(!tree.have_hosts_changed(), "the host has data of its own");
        tree.lost_data(hosts[0]);
        tree.gained_data(deep);
        tree.lost_data(deep);
        assert_eq!(tree.take_changed_hosts(), [hosts[0]]);
        assert!(!tree.have_hosts_changed());
    }

    #[test]
    fn children_come_in_name_order() {
        let mut tree = Tree::default();
        for name in ["b", "a", "c10", "c2"] {
            let level = tree.declare_level([name]);
            tree.gained_data(level);
        }
        let names: Vec<_> = tree.children(ROOT).map(|id| tree.level(id).name().to_owned()).collect();
        assert_eq!(names, ["a", "b", "c10", "c2"]);
    }
}
