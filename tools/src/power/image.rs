//! What a disk holds after a loss of power, as files of a directory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::content::Content;
use super::names::{Inode, ROOT};

/// Directories and files; paths are relative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    directories: Vec<PathBuf>,
    files: Vec<(PathBuf, Content)>,
}

impl Image {
    /// Everything that can be reached from the root. `content` tells that of a file; what has none is a directory.
    pub(super) fn new(
        names: &BTreeMap<Inode, BTreeMap<OsString, Inode>>,
        content: &mut impl FnMut(Inode) -> Option<Content>,
    ) -> Self {
        let mut image = Self::default();
        let mut pending = vec![(PathBuf::new(), ROOT)];
        while let Some((path, directory)) = pending.pop() {
            for (name, inode) in names.get(&directory).into_iter().flatten() {
                let path = path.join(name);
                if let Some(content) = content(*inode) {
                    image.files.push((path, content));
                } else {
                    image.directories.push(path.clone());
                    pending.push((path, *inode));
                }
            }
        }
        image
    }

    /// Paths of all directories, each behind the one that it is in.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(PathBuf::as_path)
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &Content)> {
        self.files.iter().map(|(path, content)| (path.as_path(), content))
    }

    /// Makes all of it below a directory, which must exist.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write_to(&self, directory: &Path) -> io::Result<()> {
        // A directory stands before what is in it.
        self.directories.iter().try_for_each(|path| fs::create_dir(directory.join(path)))?;
        self.files.iter().try_for_each(|(path, content)| content.write_to(&directory.join(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::{Disk, PowerLoss, Syncs};
    use super::super::journal::{Bytes, Operation};
    use super::super::names::NameOrder;
    use super::*;

    /// A file of two sectors in a directory, replaced atomically, as a snapshot is written.
    fn operations() -> Vec<Operation> {
        let create = |directory, name: &str, inode, is_directory| Operation::Create {
            directory,
            name: name.into(),
            inode,
            is_directory,
        };
        vec![
            create(ROOT, "host", 2, true),
            Operation::SyncDirectory { inode: ROOT },
            create(2, "1.bin.tmp", 3, false),
            Operation::Write { inode: 3, offset: 0, bytes: Bytes::new(&[7; 1024]), is_durable: false },
            Operation::SyncFile { inode: 3 },
            Operation::Rename { directory: 2, from: "1.bin.tmp".into(), to: "1.bin".into() },
            Operation::SyncDirectory { inode: 2 },
        ]
    }

    fn image(operations: &[Operation], syncs: Syncs, seed: u64) -> Image {
        let mut disk = Disk::new(syncs);
        operations.iter().for_each(|operation| disk.apply(operation));
        disk.lose_power(PowerLoss { percent_kept: 50, order: NameOrder::Files, seed })
    }

    fn is_there(image: &Image) -> bool {
        image
            .files
            .iter()
            .any(|(path, content)| path == Path::new("host/1.bin") && content.read(0, 2000) == [7; 1024])
    }

    #[test]
    fn what_is_complete_is_there_whatever_is_lost() {
        for seed in 0..100 {
            let image = image(&operations(), Syncs::Honoured, seed);
            assert!(is_there(&image), "seed {seed}: {image:?}");
            assert_eq!(image.files().count(), 1);
        }
    }

    #[test]
    fn each_sync_that_is_left_out_is_noticed() {
        for (left_out, operation) in operations().iter().enumerate() {
            if operation.is_sync() {
                let mut operations = operations();
                operations.remove(left_out);
                let noticed = (0..100).any(|seed| !is_there(&image(&operations, Syncs::Honoured, seed)));
                assert!(noticed, "{operation:?}");
            }
        }
        assert!((0..100).any(|seed| !is_there(&image(&operations(), Syncs::Ignored, seed))));
    }

    #[test]
    fn an_operation_under_way_is_not_durable() {
        let mut disk = Disk::new(Syncs::Honoured);
        let operations = operations();
        let (last, before) = operations.split_last().unwrap();
        before.iter().for_each(|operation| disk.apply(operation));
        disk.begin(last);
        let lost = |seed| {
            !is_there(&disk.lose_power(PowerLoss { percent_kept: 50, order: NameOrder::Directories, seed }))
        };
        assert!((0..100).any(lost));
    }

    #[test]
    fn an_image_becomes_files() {
        let directory = tempfile::tempdir().unwrap();
        image(&operations(), Syncs::Honoured, 1).write_to(directory.path()).unwrap();
        assert_eq!(fs::read(directory.path().join("host/1.bin")).unwrap(), [7; 1024]);
    }
}
