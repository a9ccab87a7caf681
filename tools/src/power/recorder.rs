//! The disk that the daemon uses, and the journal of what it does with it. Knows nothing of FUSE but its error numbers.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::time::SystemTime;

use fuser::Errno;

use super::content::SECTOR;
use super::disk::{Disk, Syncs};
use super::image::Image;
use super::journal::{Bytes, Operation};
use super::names::{Inode, ROOT};

/// What is known of an inode beside its content and its names.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Its permissions.
    pub mode: u16,
    /// When it was last written to.
    pub modified: SystemTime,
}

/// A disk whose operations are recorded.
#[derive(Debug)]
pub struct Recorder {
    disk: Disk,
    journal: Vec<Operation>,
    attributes: BTreeMap<Inode, Attributes>,
}

impl Default for Recorder {
    fn default() -> Self {
        let root = Attributes { is_directory: true, mode: 0o755, modified: SystemTime::now() };
        Self {
            disk: Disk::new(Syncs::Honoured),
            journal: Vec::new(),
            attributes: BTreeMap::from([(ROOT, root)]),
        }
    }
}

impl Recorder {
    /// A disk that holds this, durably. The journal begins with what makes it.
    ///
    /// # Errors
    /// A directory of the image is missing.
    pub fn with_image(image: &Image) -> Result<Self, Errno> {
        let mut recorder = Self::default();
        let mut directories = BTreeMap::from([(Path::new(""), ROOT)]);
        for path in image.directories() {
            let inode = recorder.create_path(&directories, path, true)?;
            directories.insert(path, inode);
        }
        for (path, content) in image.files() {
            let inode = recorder.create_path(&directories, path, false)?;
            recorder.set_length(inode, content.length())?;
            for number in content.numbers(0..u64::MAX) {
                let offset = number * SECTOR;
                recorder.write(inode, offset, &content.read(offset, SECTOR), false)?;
            }
            recorder.sync(inode)?;
        }
        directories.values().try_for_each(|inode| recorder.sync(*inode))?;
        Ok(recorder)
    }

    fn create_path(
        &mut self,
        directories: &BTreeMap<&Path, Inode>,
        path: &Path,
        is_directory: bool,
    ) -> Result<Inode, Errno> {
        let parent = path.parent().and_then(|parent| directories.get(parent)).ok_or(Errno::ENOENT)?;
        let mode = if is_directory { 0o750 } else { 0o640 };
        self.create(*parent, path.file_name().ok_or(Errno::ENOENT)?, is_directory, mode)
    }

    /// The disk as everybody sees it.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Everything that was done so far.
    #[must_use]
    pub fn journal(&self) -> &[Operation] {
        &self.journal
    }

    /// Attributes of an inode, and its length.
    ///
    /// # Errors
    /// There is no such inode.
    pub fn attributes(&self, inode: Inode) -> Result<(Attributes, u64), Errno> {
        let attributes = self.attributes.get(&inode).ok_or(Errno::ENOENT)?;
        Ok((*attributes, self.disk.file(inode).map_or(0, |file| file.seen().length())))
    }

    /// The inode of a name.
    ///
    /// # Errors
    /// There is no such name.
    pub fn find(&self, directory: Inode, name: &OsStr) -> Result<Inode, Errno> {
        self.disk.names().get(directory, name).ok_or(Errno::ENOENT)
    }

    /// Makes a file or a directory.
    ///
    /// # Errors
    /// The name is taken, or its directory is none.
    pub fn create(
        &mut self,
        directory: Inode,
        name: &OsStr,
        is_directory: bool,
        mode: u32,
    ) -> Result<Inode, Errno> {
        if !self.attributes(directory)?.0.is_directory {
            return Err(Errno::ENOTDIR);
        }
        if self.find(directory, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        // Never used again: what a lost name stood for is not what another one stands for.
        let inode = self.attributes.last_key_value().map_or(ROOT, |(inode, _)| *inode) + 1;
        let mode = (mode & 0o7777) as u16;
        self.attributes.insert(inode, Attributes { is_directory, mode, modified: SystemTime::now() });
        self.record(Operation::Create { directory, name: name.to_owned(), inode, is_directory });
        Ok(inode)
    }

    /// Writes to a file.
    ///
    /// # Errors
    /// It is a directory, or there is no such inode.
    pub fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8], is_durable: bool) -> Result<(), Errno> {
        self.modify(inode)?;
        self.record(Operation::Write { inode, offset, bytes: Bytes::new(bytes), is_durable });
        Ok(())
    }

    /// Cuts or lengthens a file.
    ///
    /// # Errors
    /// It is a directory, or there is no such inode.
    pub fn set_length(&mut self, inode: Inode, length: u64) -> Result<(), Errno> {
        if length != self.attributes(inode)?.1 {
            self.modify(inode)?;
            self.record(Operation::SetLength { inode, length });
        }
        Ok(())
    }

    /// Sets the permissions, of which an image has none.
    pub fn set_mode(&mut self, inode: Inode, mode: u32) {
        if let Some(attributes) = self.attributes.get_mut(&inode) {
            attributes.mode = (mode & 0o7777) as u16;
        }
    }

    fn modify(&mut self, inode: Inode) -> Result<(), Errno> {
        let attributes = self.attributes.get_mut(&inode).ok_or(Errno::ENOENT)?;
        if attributes.is_directory {
            return Err(Errno::EISDIR);
        }
        attributes.modified = SystemTime::now();
        Ok(())
    }

    /// Renames a file within its directory.
    ///
    /// # Errors
    /// The directories differ, which no file of the daemon needs; a directory has the name; there is no such file.
    pub fn rename(&mut self, directory: Inode, from: &OsStr, to: (Inode, &OsStr)) -> Result<(), Errno> {
        let (to_directory, to) = to;
        self.find(directory, from)?;
        if directory != to_directory {
            return Err(Errno::EXDEV);
        }
        if let Ok(replaced) = self.find(directory, to)
            && self.attributes(replaced)?.0.is_directory
        {
            return Err(Errno::EISDIR);
        }
        self.record(Operation::Rename { directory, from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    /// Takes the name of a file or an empty directory away.
    ///
    /// # Errors
    /// The directory is not empty, or there is no such name.
    pub fn remove(&mut self, directory: Inode, name: &OsStr) -> Result<(), Errno> {
        let inode = self.find(directory, name)?;
        if self.disk.names().entries(inode).next().is_some() {
            return Err(Errno::ENOTEMPTY);
        }
        self.record(Operation::Remove { directory, name: name.to_owned() });
        Ok(())
    }

    /// Makes a file or the names in a directory durable. It is recorded only if something is not durable yet.
    ///
    /// # Errors
    /// There is no such inode.
    pub fn sync(&mut self, inode: Inode) -> Result<(), Errno> {
        if self.attributes(inode)?.0.is_directory {
            if !self.disk.names().is_synced(inode) {
                self.record(Operation::SyncDirectory { inode });
            }
        } else if self.disk.file(inode).is_some_and(|file| !file.is_synced()) {
            self.record(Operation::SyncFile { inode });
        }
        Ok(())
    }

    /// Reads from a file.
    ///
    /// # Errors
    /// There is no such file.
    pub fn read(&self, inode: Inode, offset: u64, bytes_max: u64) -> Result<Vec<u8>, Errno> {
        Ok(self.disk.file(inode).ok_or(Errno::ENOENT)?.seen().read(offset, bytes_max))
    }

    fn record(&mut self, operation: Operation) {
        self.disk.apply(&operation);
        self.journal.push(operation);
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::PowerLoss;
    use super::super::names::NameOrder;
    use super::*;

    #[test]
    fn an_image_is_durable_on_the_next_disk() {
        let mut recorder = Recorder::default();
        let directory = recorder.create(ROOT, "host".as_ref(), true, 0o750).unwrap();
        let file = recorder.create(directory, "1.bin".as_ref(), false, 0o640).unwrap();
        recorder.write(file, 300, &[7; 1000], false).unwrap();
        let keep_all = PowerLoss { percent_kept: 100, order: NameOrder::Files, seed: 1 };
        let image = recorder.disk().lose_power(keep_all);
        let next = Recorder::with_image(&image).unwrap();
        let lose_all = PowerLoss { percent_kept: 0, ..keep_all };
        assert_eq!(next.disk().lose_power(lose_all), image);
        assert_eq!(
            image.files().map(|(path, content)| (path, content.length())).collect::<Vec<_>>(),
            [(Path::new("host/1.bin"), 1300)]
        );
    }

    #[test]
    fn what_the_daemon_does_not_do_is_refused() {
        let mut recorder = Recorder::default();
        let directory = recorder.create(ROOT, "host".as_ref(), true, 0o750).unwrap();
        recorder.create(directory, "file".as_ref(), false, 0o640).unwrap();
        let before = recorder.journal().len();
        let refused = [
            recorder.create(ROOT, "host".as_ref(), true, 0o750).map(drop),
            recorder.rename(directory, "file".as_ref(), (ROOT, "file".as_ref())),
            recorder.rename(directory, "other".as_ref(), (directory, "file".as_ref())),
            recorder.remove(ROOT, "host".as_ref()),
            recorder.write(directory, 0, b"x", false),
            recorder.sync(99),
        ];
        let expected =
            [Errno::EEXIST, Errno::EXDEV, Errno::ENOENT, Errno::ENOTEMPTY, Errno::EISDIR, Errno::ENOENT];
        for (refused, expected) in refused.into_iter().zip(expected) {
            assert_eq!(refused.unwrap_err().code(), expected.code());
        }
        assert_eq!(recorder.journal().len(), before);
    }
}
