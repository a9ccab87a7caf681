//! What the log asks of a disk, and the real one.
//!
//! The seam at which tests inject failures: [`Segments`](super::segments::Segments) and
//! [`CommitQueue`](super::commit::CommitQueue) take any [`Disk`]; with [`RealDisk`], the calls are direct.

use std::future::Future;
use std::io;
use std::path::Path;

use crate::runtime::{
    DirectoryEntry, SegmentFile, Writes, create_directory, read_dir, remove, rename, sync_directory,
};

/// An open segment; see [`SegmentFile`] for what each call promises.
pub trait LogFile: 'static {
    /// Its length, which never changes.
    fn bytes(&self) -> u64;
    /// Whether what is written is durable without a sync.
    fn writes_are_durable(&self) -> bool;
    /// It is called so now.
    fn renamed(&self, path: &Path);
    /// Writes all of it or fails, with any part written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> impl Future<Output = io::Result<()>>;
    /// Makes everything written durable. After an error, nothing since the last success ever counts as durable.
    fn sync_data(&self) -> impl Future<Output = io::Result<()>>;
    /// Closes it.
    fn close(self) -> impl Future<Output = io::Result<()>>;
}

/// A directory of segments. Errors name operation and path.
pub trait Disk: 'static {
    /// Its files.
    type File: LogFile;
    /// Makes and opens a file of so many zeros, durable but for its name.
    fn create(&self, path: &Path, bytes: u64, writes: Writes)
    -> impl Future<Output = io::Result<Self::File>>;
    /// Opens a file made by [`create`](Self::create) for a new life, with a first sector of zeros, durably.
    fn open_for_reuse(&self, path: &Path, writes: Writes) -> impl Future<Output = io::Result<Self::File>>;
    /// Creates a directory, durably, unless it exists.
    fn create_directory(&self, directory: &Path) -> impl Future<Output = io::Result<()>>;
    /// Everything in a directory.
    fn read_dir(&self, directory: &Path) -> impl Future<Output = io::Result<Vec<DirectoryEntry>>>;
    /// Renames a file.
    fn rename(&self, from: &Path, to: &Path) -> impl Future<Output = io::Result<()>>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, directory: &Path) -> impl Future<Output = io::Result<()>>;
}

/// The file system, through the [`runtime`](crate::runtime).
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl LogFile for SegmentFile {
    fn bytes(&self) -> u64 {
        self.bytes()
    }

    fn writes_are_durable(&self) -> bool {
        self.writes_are_durable()
    }

    fn renamed(&self, path: &Path) {
        self.renamed(path);
    }

    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at(offset, bytes).await
    }

    async fn sync_data(&self) -> io::Result<()> {
        self.sync_data().await
    }

    async fn close(self) -> io::Result<()> {
        self.close().await
    }
}

impl Disk for RealDisk {
    type File = SegmentFile;

    async fn create(&self, path: &Path, bytes: u64, writes: Writes) -> io::Result<SegmentFile> {
        SegmentFile::create(path, bytes, writes).await
    }

    async fn open_for_reuse(&self, path: &Path, writes: Writes) -> io::Result<SegmentFile> {
        SegmentFile::open_for_reuse(path, writes).await
    }

    async fn create_directory(&self, directory: &Path) -> io::Result<()> {
        create_directory(directory).await
    }

    async fn read_dir(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        read_dir(directory).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        rename(from, to).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        remove(path).await
    }

    async fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        sync_directory(directory).await
    }
}
