//! The names of a disk: those everybody sees, those on the medium, and the changes between the two.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use engine::testing::random::Random;

/// Number of a file or directory.
pub type Inode = u64;

/// The inode of the directory that holds all others.
pub const ROOT: Inode = 1;

/// Which changes of names a loss of power may keep without which others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameOrder {
    /// The changes in a directory come to the medium in order, as with a journaling file system.
    Directories,
    /// Only those of one name or of one file do.
    Files,
}

/// What a directory holds.
type Entries = BTreeMap<OsString, Inode>;

/// A change within one directory.
#[derive(Clone, Debug)]
struct Change {
    directory: Inode,
    removed: Option<OsString>,
    added: Option<(OsString, Inode)>,
}

/// All names.
#[derive(Clone, Debug, Default)]
pub struct Names {
    seen: BTreeMap<Inode, Entries>,
    durable: BTreeMap<Inode, Entries>,
    /// In the order in which they were made.
    unsynced: Vec<Change>,
}

impl Names {
    /// The inode of a name.
    #[must_use]
    pub fn get(&self, directory: Inode, name: &OsStr) -> Option<Inode> {
        self.seen.get(&directory)?.get(name).copied()
    }

    /// What a directory holds.
    pub fn entries(&self, directory: Inode) -> impl Iterator<Item = (&OsStr, Inode)> + '_ {
        let entries = self.seen.get(&directory).into_iter().flatten();
        entries.map(|(name, inode)| (name.as_os_str(), *inode))
    }

    /// Whether all names in a directory are durable.
    #[must_use]
    pub fn is_synced(&self, directory: Inode) -> bool {
        self.unsynced.iter().all(|change| change.directory != directory)
    }

    /// Gives a file or directory its name.
    pub fn add(&mut self, directory: Inode, name: &OsStr, inode: Inode) {
        self.change(Change { directory, removed: None, added: Some((name.to_owned(), inode)) });
    }

    /// Takes a name away.
    pub fn remove(&mut self, directory: Inode, name: &OsStr) {
        self.change(Change { directory, removed: Some(name.to_owned()), added: None });
    }

    /// Renames within a directory, over an existing name.
    pub fn rename(&mut self, directory: Inode, from: &OsStr, to: &OsStr) {
        if let Some(inode) = self.get(directory, from) {
            let added = Some((to.to_owned(), inode));
            self.change(Change { directory, removed: Some(from.to_owned()), added });
        }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.unsynced.push(change);
    }

    /// Makes the changes in a directory durable, but not its own name.
    pub fn sync(&mut self, directory: Inode) {
        let durable = &mut self.durable;
        self.unsynced.retain(|change| {
            let is_synced = change.directory == directory;
            if is_synced {
                apply(durable, change);
            }
            !is_synced
        });
    }

    /// What the directories on the medium hold after a loss of power that keeps so many percent of the changes that are not
    /// synced. Some of them may have lost their own name.
    #[must_use]
    pub fn lose_power(
        &self,
        order: NameOrder,
        percent_kept: u64,
        random: &mut Random,
    ) -> BTreeMap<Inode, Entries> {
        let mut kept = self.durable.clone();
        let mut lost_directories = BTreeSet::new();
        let mut lost_names: BTreeSet<(Inode, &OsStr)> = BTreeSet::new();
        let mut lost_inodes = BTreeSet::new();
        for change in &self.unsynced {
            let added = change.added.as_ref();
            let names = change.removed.iter().chain(added.map(|(name, _)| name));
            let mut names = names.map(|name| (change.directory, name.as_os_str()));
            let depends_on_lost = match order {
                NameOrder::Directories => lost_directories.contains(&change.directory),
                NameOrder::Files => {
                    names.clone().any(|name| lost_names.contains(&name))
                        || added.is_some_and(|(_, inode)| lost_inodes.contains(inode))
                }
            };
            if !depends_on_lost && random.percent(percent_kept) {
                apply(&mut kept, change);
            } else {
                lost_directories.insert(change.directory);
                lost_inodes.extend(added.map(|(_, inode)| *inode));
                lost_names.extend(names.by_ref());
            }
        }
        kept
    }
}

fn apply(names: &mut BTreeMap<Inode, Entries>, change: &Change) {
    let entries = names.entry(change.directory).or_default();
    if let Some(name) = &change.removed {
        entries.remove(name);
    }
    if let Some((name, inode)) = &change.added {
        entries.insert(name.clone(), *inode);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        names.add(ROOT, "directory".as_ref(), 2);
        names.add(2, "old".as_ref(), 3);
        names.sync(ROOT);
        names.sync(2);
        names.add(2, "new.tmp".as_ref(), 4);
        names.rename(2, "new.tmp".as_ref(), "new".as_ref());
        names.remove(2, "old".as_ref());
        names
    }

    fn outcomes(order: NameOrder) -> Vec<Vec<OsString>> {
        let outcome = |seed| {
            let kept = names().lose_power(order, 50, &mut Random::new(seed));
            kept[&2].keys().cloned().collect::<Vec<_>>()
        };
        let mut outcomes: Vec<_> = (0..200).map(outcome).collect();
        outcomes.sort();
        outcomes.dedup();
        outcomes
    }

    #[test]
    fn a_journal_keeps_the_order_within_a_directory() {
        let outcomes = outcomes(NameOrder::Directories);
        assert_eq!(outcomes, [vec!["new"], vec!["new", "old"], vec!["new.tmp", "old"], vec!["old"]]);
    }

    #[test]
    fn otherwise_only_one_file_keeps_it() {
        let outcomes = outcomes(NameOrder::Files);
        let both =
            [vec![], vec!["new"], vec!["new", "old"], vec!["new.tmp"], vec!["new.tmp", "old"], vec!["old"]];
        assert_eq!(outcomes, both.map(|names| names.into_iter().map(OsString::from).collect::<Vec<_>>()));
    }

    #[test]
    fn what_is_synced_is_there() {
        let mut names = names();
        names.sync(2);
        for order in [NameOrder::Directories, NameOrder::Files] {
            let kept = names.lose_power(order, 0, &mut Random::new(1));
            assert_eq!(kept[&2], Entries::from([("new".into(), 4)]));
        }
    }
}
