//! The directories of a simulated disk: the names everybody sees, those on the medium, and the changes between the two.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::random::Random;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    /// The number of its inode.
    File(u64),
}

/// A change of names within one directory that is not durable yet.
#[derive(Clone, Debug)]
struct Change {
    number: u64,
    directory: PathBuf,
    removed: Option<PathBuf>,
    added: Option<(PathBuf, Node)>,
}

/// All names.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    seen: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    /// In the order in which they were made.
    unsynced: Vec<Change>,
}

impl Names {
    /// What a path stands for.
    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        if path == Path::new("/") { Some(Node::Directory) } else { self.seen.get(path).copied() }
    }

    /// The paths of all files.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let files = self.seen.iter().filter(|(_, node)| **node != Node::Directory);
        files.map(|(path, _)| path.clone()).collect()
    }

    /// The names in a directory.
    pub(super) fn list<'a>(&'a self, directory: &'a Path) -> impl Iterator<Item = (&'a Path, Node)> + 'a {
        self.seen
            .range(directory.to_owned()..)
            .take_while(move |(path, _)| path.starts_with(directory))
            .filter(move |(path, _)| path.parent() == Some(directory))
            .map(|(path, node)| (path.as_path(), *node))
    }

    /// Gives a new file or directory its name.
    pub(super) fn add(&mut self, number: u64, path: &Path, node: Node) -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        if self.get(directory) != Some(Node::Directory) {
            return Err(not_found(path));
        }
        self.seen.insert(path.to_owned(), node);
        let added = Some((path.to_owned(), node));
        self.unsynced.push(Change { number, directory: directory.to_owned(), removed: None, added });
        Ok(())
    }

    /// Takes a name away from a file.
    pub(super) fn remove(&mut self, number: u64, path: &Path) -> io::Result<()> {
        let (Some(Node::File(_)), Some(directory)) = (self.get(path), path.parent()) else {
            return Err(not_found(path));
        };
        self.seen.remove(path);
        let removed = Some(path.to_owned());
        self.unsynced.push(Change { number, directory: directory.to_owned(), removed, added: None });
        Ok(())
    }

    /// Takes its name away from an empty directory.
    pub(super) fn remove_directory(&mut self, number: u64, path: &Path) -> io::Result<()> {
        let (Some(Node::Directory), Some(directory)) = (self.get(path), path.parent()) else {
            return Err(not_found(path));
        };
        if self.list(path).next().is_some() {
            let text = format!("{} is not empty", path.display());
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, text));
        }
        self.seen.remove(path);
        let removed = Some(path.to_owned());
        self.unsynced.push(Change { number, directory: directory.to_owned(), removed, added: None });
        Ok(())
    }

    /// Renames a file within its directory.
    pub(super) fn rename(&mut self, number: u64, from: &Path, to: &Path) -> io::Result<()> {
        let (Some(node @ Node::File(_)), Some(directory)) = (self.get(from), from.parent()) else {
            return Err(not_found(from));
        };
        assert_eq!(to.parent(), Some(directory), "no file of ours moves to another directory");
        self.seen.remove(from);
        self.seen.insert(to.to_owned(), node);
        let (removed, added) = (Some(from.to_owned()), Some((to.to_owned(), node)));
        self.unsynced.push(Change { number, directory: directory.to_owned(), removed, added });
        Ok(())
    }

    /// Makes the changes in a directory up to this number durable.
    pub(super) fn sync(&mut self, directory: &Path, up_to: u64) {
        for change in std::mem::take(&mut self.unsynced) {
            if change.directory == directory && change.number <= up_to {
                apply(&mut self.durable, &change);
            } else {
                self.unsynced.push(change);
            }
        }
    }

    /// The power fails: changes that are not durable are kept or lost. Those of one file keep their order: one of them is
    /// lost with those before it; those of different files do not.
    pub(super) fn lose_power(&mut self, percent_kept: u64, random: &mut Random) {
        let (mut lost_names, mut lost_files) = (BTreeSet::new(), BTreeSet::new());
        for change in std::mem::take(&mut self.unsynced) {
            let names: Vec<&PathBuf> =
                change.removed.iter().chain(change.added.iter().map(|(path, _)| path)).collect();
            let file = match change.added {
                Some((_, Node::File(file))) => Some(file),
                _ => None,
            };
            let depends_on_lost = names.iter().any(|name| lost_names.contains(*name))
                || file.is_some_and(|file| lost_files.contains(&file));
            if !depends_on_lost && random.percent(percent_kept) {
                apply(&mut self.durable, &change);
            } else {
                lost_files.extend(file);
                lost_names.extend(names.into_iter().cloned());
            }
        }
        self.seen.clear();
        // Sorted: a directory comes before what is in it.
        for (path, node) in &self.durable {
            let directory = path.parent().unwrap_or(Path::new("/"));
            if directory == Path::new("/") || self.seen.get(directory) == Some(&Node::Directory) {
                self.seen.insert(path.clone(), *node);
            }
        }
        self.durable.clone_from(&self.seen);
    }

    /// The inodes that have a name, or may have one again.
    pub(super) fn files(&self) -> BTreeSet<u64> {
        let added = self.unsynced.iter().filter_map(|change| change.added.as_ref().map(|(_, node)| node));
        self.seen
            .values()
            .chain(self.durable.values())
            .chain(added)
            .filter_map(|node| match node {
                Node::File(file) => Some(*file),
                Node::Directory => None,
            })
            .collect()
    }
}

fn apply(names: &mut BTreeMap<PathBuf, Node>, change: &Change) {
    if let Some(path) = &change.removed {
        names.remove(path);
    }
    if let Some((path, node)) = &change.added {
        names.insert(path.clone(), *node);
    }
}

pub(super) fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} is not there", path.display()))
}
