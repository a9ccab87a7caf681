//! The tree of levels (SPEC section 1): root → cluster → host → type → subtype.
//!
//! One core's part of it: the hosts it owns. Levels and series are numbered densely and found by
//! number; names matter only when a series is declared and when a query names one. A level that holds no
//! data any more is invisible, as if it were gone.

use super::chunks::Chunks;
use super::lists::{List, Lists};
use super::names::{NameId, Names};
use crate::config::MetricId;

/// Number of a level on its core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LevelId(pub u32);

/// Number of a series (one metric at one level) on its core; also the number of its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesId(pub u32);

/// What is kept of one level.
#[derive(Debug)]
struct Node {
    name: NameId,
    parent: u32,
    /// How many of its series hold data, and below how many of its children there is any.
    live: u32,
    /// Where its children are, in [`Tree::families`].
    family: u32,
    /// Sorted by metric.
    series: List,
}

/// In the place of a level's parent or family: there is none.
const NONE: u32 = u32::MAX;

/// One level, to be read.
#[derive(Clone, Copy, Debug)]
pub struct Level<'a> {
    tree: &'a Tree,
    node: &'a Node,
}

impl<'a> Level<'a> {
    /// Its name; empty for the root.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.tree.names.get(self.node.name)
    }

    /// The series at this level in metric order, with and without data.
    #[must_use]
    pub fn series(self) -> &'a [(MetricId, SeriesId)] {
        self.tree.lists.get(self.node.series)
    }

    /// Whether there is data at or below this level.
    #[must_use]
    pub fn is_live(self) -> bool {
        self.node.live > 0
    }
}

/// All levels of one core.
///
/// A level takes 24 bytes, a series at it 8 to 10.
#[derive(Debug)]
pub struct Tree {
    levels: Chunks<Node>,
    /// The children of those levels that have some, sorted by name.
    families: Vec<Vec<LevelId>>,
    names: Names,
    lists: Lists<(MetricId, SeriesId)>,
    series_count: u32,
    /// The level that was declared last: mostly the next one declared is the same or the one behind it.
    recent: LevelId,
    /// Hosts that became visible or invisible, until the host directory takes them.
    changed_hosts: Vec<LevelId>,
}

/// The level above all clusters.
pub const ROOT: LevelId = LevelId(0);

impl Default for Tree {
    fn default() -> Self {
        let mut names = Names::default();
        let mut levels = Chunks::default();
        let name = names.intern("");
        levels.push(Node { name, parent: NONE, live: 0, family: NONE, series: List::default() });
        Self {
            levels,
            families: Vec::new(),
            names,
            lists: Lists::new((MetricId(0), SeriesId(0))),
            series_count: 0,
            recent: ROOT,
            changed_hosts: Vec::new(),
        }
    }
}

impl Tree {
    /// The level of this number.
    #[must_use]
    pub fn level(&self, id: LevelId) -> Level<'_> {
        Level { tree: self, node: &self.levels[id.0 as usize] }
    }

    /// The children of a level that hold data, in name order.
    pub fn children(&self, id: LevelId) -> impl Iterator<Item = LevelId> {
        self.family(id).iter().copied().filter(|&child| self.level(child).is_live())
    }

    /// The child of this name, if it holds data.
    #[must_use]
    pub fn child(&self, id: LevelId, name: &str) -> Option<LevelId> {
        let index = self.child_index(id, name).ok()?;
        Some(self.family(id)[index]).filter(|&child| self.level(child).is_live())
    }

    /// The child whose name is both parts, one behind the other, if it holds data.
    ///
    /// Siblings are mostly asked for in the order in which they were declared: the level behind `near` is looked at first.
    #[must_use]
    pub fn child_near(&self, near: LevelId, id: LevelId, [first, rest]: [&str; 2]) -> Option<LevelId> {
        let next = LevelId(near.0.saturating_add(1));
        let is_it = |node: &Node| {
            node.parent == id.0
                && self.names.get(node.name).strip_prefix(first).is_some_and(|name| name == rest)
        };
        let child = match self.levels.get(next.0 as usize) {
            Some(node) if is_it(node) => next,
            _ => {
                let family = self.family(id);
                let wanted = || first.bytes().chain(rest.bytes());
                let index =
                    family.binary_search_by(|&child| self.level(child).name().bytes().cmp(wanted())).ok()?;
                family[index]
            }
        };
        Some(child).filter(|&child| self.level(child).is_live())
    }

    /// Follows names down from the root; `None` where one leads nowhere or to no data.
    #[must_use]
    pub fn find<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<LevelId> {
        path.into_iter().try_fold(ROOT, |level, name| self.child(level, name))
    }

    /// The series of a metric at a level, with or without data.
    #[must_use]
    pub fn series(&self, id: LevelId, metric: MetricId) -> Option<SeriesId> {
        let series = self.level(id).series();
        let index = series.binary_search_by_key(&metric, |&(metric, _)| metric).ok()?;
        Some(series[index].1)
    }

    /// The names from below the root down to a level.
    #[must_use]
    pub fn path(&self, id: LevelId) -> Vec<&str> {
        let mut names = Vec::new();
        let mut node = &self.levels[id.0 as usize];
        while node.parent != NONE {
            names.push(self.names.get(node.name));
            node = &self.levels[node.parent as usize];
        }
        names.reverse();
        names
    }

    /// The host at or above a level; none for the root and clusters.
    #[must_use]
    pub fn host_of(&self, id: LevelId) -> Option<LevelId> {
        let parent = |id: LevelId| LevelId(self.levels[id.0 as usize].parent);
        let mut level = id;
        while level != ROOT {
            let cluster = parent(level);
            if cluster != ROOT && parent(cluster) == ROOT {
                return Some(level);
            }
            level = cluster;
        }
        None
    }

    /// How many series were declared.
    #[must_use]
    pub fn series_count(&self) -> u32 {
        self.series_count
    }

    /// Bytes of memory, those to spare included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let children: usize = self.families.iter().map(Vec::capacity).sum();
        self.levels.bytes()
            + self.families.capacity() * size_of::<Vec<LevelId>>()
            + children * size_of::<LevelId>()
            + self.names.bytes()
            + self.lists.bytes()
    }

    /// The level of a path that was declared, with or without data.
    pub fn declared<'a>(&mut self, path: impl Path<'a>) -> Option<LevelId> {
        let level = self.near_recent(&path).or_else(|| {
            path.into_iter().try_fold(ROOT, |level, name| self.declared_child(level, name).ok())
        })?;
        self.recent = level;
        Some(level)
    }

    /// The level of a path, created as far as it is missing.
    pub fn declare_level<'a>(&mut self, path: impl Path<'a>) -> LevelId {
        let level = path.into_iter().fold(ROOT, |parent, name| match self.declared_child(parent, name) {
            Ok(level) => level,
            Err(index) => self.add_level(parent, index, name),
        });
        self.recent = level;
        level
    }

    /// Adds the series of a metric that the level does not have; returns its number, which counts on.
    ///
    /// # Panics
    /// If it has one.
    pub fn declare_series(&mut self, level: LevelId, metric: MetricId) -> SeriesId {
        let node = &mut self.levels[level.0 as usize];
        let place = self.lists.get(node.series).binary_search_by_key(&metric, |&(metric, _)| metric);
        let id = SeriesId(self.series_count);
        // The last number stands for none.
        self.series_count =
            id.0.checked_add(1).filter(|&count| count < u32::MAX).expect("fewer than 2^32 series");
        self.lists.insert(&mut node.series, place.expect_err("the series is new"), (metric, id));
        id
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
        let mut hosts = std::mem::take(&mut self.changed_hosts);
        hosts.sort_unstable_by_key(|host| host.0);
        hosts.dedup();
        hosts
    }

    fn count_live(&mut self, level: LevelId, count: impl Fn(u32) -> u32) {
        let mut next = level.0;
        // Up to where nothing becomes visible or invisible: mostly that is the level itself.
        while let Some(node) = self.levels.get_mut(next as usize) {
            let was_live = node.live > 0;
            node.live = count(node.live);
            if (node.live > 0) == was_live {
                return;
            }
            let parent = node.parent;
            let is_host = self.levels.get(parent as usize).is_some_and(|cluster| cluster.parent == ROOT.0);
            if is_host && self.changed_hosts.last() != Some(&LevelId(next)) {
                self.changed_hosts.push(LevelId(next));
            }
            next = parent;
        }
    }

    /// The children of a level, with and without data.
    fn family(&self, id: LevelId) -> &[LevelId] {
        self.families.get(self.levels[id.0 as usize].family as usize).map_or(&[], |family| family)
    }

    fn child_index(&self, id: LevelId, name: &str) -> Result<usize, usize> {
        self.family(id).binary_search_by(|&child| self.level(child).name().cmp(name))
    }

    /// The child of this name, with or without data; otherwise its place among the children.
    fn declared_child(&self, parent: LevelId, name: &str) -> Result<LevelId, usize> {
        // Mostly the next level to declare is on the same host, which has many siblings.
        match self.toward_recent(parent) {
            Some(child) if self.level(child).name() == name => Ok(child),
            _ => self.child_index(parent, name).map(|index| self.family(parent)[index]),
        }
    }

    /// The child of a level that is, or is above, the level declared last.
    fn toward_recent(&self, parent: LevelId) -> Option<LevelId> {
        let mut level = self.recent;
        while level != ROOT {
            let above = LevelId(self.levels[level.0 as usize].parent);
            if above == parent {
                return Some(level);
            }
            level = above;
        }
        None
    }

    fn add_level(&mut self, parent: LevelId, index: usize, name: &str) -> LevelId {
        let id = u32::try_from(self.levels.len()).ok().filter(|&id| id != NONE);
        let id = LevelId(id.expect("fewer than 2^32 levels"));
        let name = self.names.intern(name);
        self.levels.push(Node { name, parent: parent.0, live: 0, family: NONE, series: List::default() });
        let family = &mut self.levels[parent.0 as usize].family;
        if *family == NONE {
            *family = u32::try_from(self.families.len()).expect("fewer families than levels");
            self.families.push(Vec::new());
        }
        self.families[*family as usize].insert(index, id);
        id
    }

    /// The recent level or the one behind it, if that is what the path leads to.
    fn near_recent<'a>(&self, path: &impl Path<'a>) -> Option<LevelId> {
        let next = LevelId(self.recent.0.saturating_add(1));
        [self.recent, next].into_iter().find(|&level| self.is_at(level, path.clone()))
    }

    fn is_at<'a>(&self, level: LevelId, path: impl Path<'a>) -> bool {
        let Some(mut node) = self.levels.get(level.0 as usize) else { return false };
        for name in path.into_iter().rev() {
            if node.parent == NONE || self.names.get(node.name) != name {
                return false;
            }
            node = &self.levels[node.parent as usize];
        }
        node.parent == NONE
    }
}

/// The names from below the root down to a level.
pub trait Path<'a>: Clone + IntoIterator<Item = &'a str, IntoIter: DoubleEndedIterator> {}

impl<'a, P: Clone + IntoIterator<Item = &'a str, IntoIter: DoubleEndedIterator>> Path<'a> for P {}

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

        let series = tree.declare_series(socket, MetricId(3));
        assert_eq!(tree.declare_series(socket, MetricId(1)), SeriesId(series.0 + 1));
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

    #[test]
    fn a_child_is_found_from_any_level_near_it() {
        let mut tree = Tree::default();
        let host = tree.declare_level(["c", "h"]);
        let paths = [
            ["c", "h", "core2"],
            ["c", "h", "core10"],
            ["c", "g", "core2"],
            ["c", "h", "core"],
            ["c", "h", "cor"],
        ];
        let levels = paths.map(|path| tree.declare_level(path));
        tree.gained_data(host);
        let all = [ROOT, host].into_iter().chain(levels).chain([LevelId(99), LevelId(u32::MAX)]);
        for near in all.clone() {
            assert_eq!(tree.child_near(near, host, ["core", "2"]), None, "it has no data");
        }
        levels.iter().for_each(|&level| tree.gained_data(level));
        for near in all {
            for (parts, expected) in [
                (["core", "2"], Some(levels[0])),
                (["core1", "0"], Some(levels[1])),
                (["", "core10"], Some(levels[1])),
                (["core", ""], Some(levels[3])),
                (["core", "1"], None),
                (["co", "r"], Some(levels[4])),
                (["x", "core2"], None),
                (["", ""], None),
            ] {
                assert_eq!(tree.child_near(near, host, parts), expected, "{parts:?} from {near:?}");
            }
        }
    }

    #[test]
    fn a_path_is_found_whatever_was_declared_before() {
        let mut tree = Tree::default();
        // Names that return at other depths, below other parents, and one as the begin of another.
        let paths: [&[&str]; 10] = [
            &["c"],
            &["c", "h"],
            &["c", "h", "c"],
            &["c", "h", "c", "h"],
            &["c", "g", "c"],
            &["h", "c", "g"],
            &["h"],
            &["c", "h", "c1"],
            &["h", "c"],
            &["c", "g"],
        ];
        let levels = paths.map(|path| tree.declare_level(path.iter().copied()));
        for &before in &paths {
            for (&path, &level) in paths.iter().zip(&levels) {
                tree.declare_level(before.iter().copied());
                assert_eq!(tree.declare_level(path.iter().copied()), level, "{path:?} behind {before:?}");
                tree.declare_level(before.iter().copied());
                assert_eq!(tree.declared(path.iter().copied()), Some(level), "{path:?} behind {before:?}");
                assert_eq!(tree.path(level), path);
            }
        }
    }

    #[test]
    fn looking_for_a_path_creates_nothing() {
        let mut tree = Tree::default();
        let level = tree.declare_level(["c", "h", "socket0"]);
        let next = tree.declare_level(["c", "h", "socket1"]);
        let bytes = tree.bytes();
        for (path, expected) in [
            (&["c", "h", "socket0"][..], Some(level)),
            (&["c", "h", "socket1"], Some(next)),
            (&["c", "h", "socket2"], None),
            (&["c", "x", "socket0"], None),
            (&["d", "h", "socket0"], None),
            (&["h", "socket0"], None),
            (&["", "c", "h", "socket0"], None),
            (&[], Some(ROOT)),
        ] {
            assert_eq!(tree.declared(path.iter().copied()), expected, "{path:?}");
        }
        assert_eq!(tree.bytes(), bytes);
    }
}
