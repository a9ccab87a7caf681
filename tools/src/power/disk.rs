//! A disk in memory: files, names, and what of them would survive a loss of power.

use std::collections::BTreeMap;

use engine::testing::random::Random;

use super::file::DiskFile;
use super::image::Image;
use super::journal::{Bytes, Operation};
use super::names::{Inode, NameOrder, Names};

/// What the disk does with syncs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syncs {
    /// What is synced is durable.
    #[default]
    Honoured,
    /// The drive lies: nothing ever is. Shows that a loss is noticed.
    Ignored,
}

/// A loss of power.
#[derive(Clone, Copy, Debug)]
pub struct PowerLoss {
    /// How many percent of what is not synced is kept.
    pub percent_kept: u64,
    /// In which order names reach the medium.
    pub order: NameOrder,
    /// What is kept.
    pub seed: u64,
}

/// A disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    syncs: Syncs,
    /// Files stay here without a name, as long as they may be open or get one back.
    files: BTreeMap<Inode, DiskFile>,
    names: Names,
}

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new(syncs: Syncs) -> Self {
        Self { syncs, ..Self::default() }
    }

    /// What it does with syncs from now on.
    pub fn set_syncs(&mut self, syncs: Syncs) {
        self.syncs = syncs;
    }

    /// All names.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// A file; none if there is none, or if it is a directory.
    #[must_use]
    pub fn file(&self, inode: Inode) -> Option<&DiskFile> {
        self.files.get(&inode)
    }

    /// Does what was asked for. What is not there is passed over: the file system has refused that.
    pub fn apply(&mut self, operation: &Operation) {
        self.apply_with(operation, self.syncs);
    }

    /// The power fails within the operation: what it writes is not durable, and a sync has not happened.
    pub fn begin(&mut self, operation: &Operation) {
        self.apply_with(operation, Syncs::Ignored);
    }

    fn apply_with(&mut self, operation: &Operation, syncs: Syncs) {
        let is_honoured = syncs == Syncs::Honoured;
        match operation {
            Operation::Create { directory, name, inode, is_directory } => {
                if !is_directory {
                    self.files.insert(*inode, DiskFile::default());
                }
                self.names.add(*directory, name, *inode);
            }
            Operation::Write { inode, offset, bytes, is_durable } => {
                let Some(file) = self.files.get_mut(inode) else { return };
                match bytes {
                    Bytes::Some(bytes) => file.write(*offset, bytes),
                    Bytes::Zeros(length) => file.write_zeros(*offset, *length),
                }
                if *is_durable && is_honoured {
                    file.sync_range(*offset, bytes.length());
                }
            }
            Operation::SetLength { inode, length } => {
                if let Some(file) = self.files.get_mut(inode) {
                    file.set_length(*length);
                }
            }
            Operation::Rename { directory, from, to } => self.names.rename(*directory, from, to),
            Operation::Remove { directory, name } => self.names.remove(*directory, name),
            Operation::SyncFile { inode } => {
                if let Some(file) = self.files.get_mut(inode).filter(|_| is_honoured) {
                    file.sync();
                }
            }
            Operation::SyncDirectory { inode } => {
                if is_honoured {
                    self.names.sync(*inode);
                }
            }
        }
    }

    /// What is on the medium after this loss of power.
    #[must_use]
    pub fn lose_power(&self, loss: PowerLoss) -> Image {
        let mut random = Random::new(loss.seed);
        let names = self.names.lose_power(loss.order, loss.percent_kept, &mut random);
        let mut content = |inode: Inode| {
            let mut random = random.fork();
            self.files.get(&inode).map(|file| file.lose_power(loss.percent_kept, &mut random))
        };
        Image::new(&names, &mut content)
    }
}
