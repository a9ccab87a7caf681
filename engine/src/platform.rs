//! What the engine asks of the world outside: a disk, a clock, tasks.
//!
//! The daemon's implementation is in `io`, on io_uring; the [simulator](crate::testing) has another, whose disk loses,
//! tears, fails and fills up. Nothing else of the engine touches a file or a clock.

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Offsets and lengths of writes to a segment are multiples of this: the unit in which a disk writes.
pub const SECTOR_BYTES: usize = 512;

/// When what is written to a [`LogFile`] becomes durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// With the next [`LogFile::sync_data`]. A write is a copy into the page cache, which a killed process leaves
    /// behind: the cheapest way for those who do not sync every write.
    Cached,
    /// Before the write returns, where that is possible: see [`LogFile::writes_are_durable`].
    Durable,
}

/// One name of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Without the directory.
    pub name: OsString,
    /// Whether it is a regular file: no directory, no link.
    pub is_file: bool,
    /// Whether it is a directory, or a link to one.
    pub is_directory: bool,
    /// Its length.
    pub bytes: u64,
}

/// An open segment of the log.
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

/// Directories and files while the cores run. Errors name operation and path.
pub trait Disk: 'static {
    /// Its segments.
    type File: LogFile;
    /// Makes and opens a file of so many zeros, durable but for its name.
    fn create(&self, path: &Path, bytes: u64, writes: Writes)
    -> impl Future<Output = io::Result<Self::File>>;
    /// Opens a file made by [`create`](Self::create) for a new life, with a first sector of zeros, durably.
    fn open_for_reuse(&self, path: &Path, writes: Writes) -> impl Future<Output = io::Result<Self::File>>;
    /// Makes a file with this content, or replaces that of an existing one; durable but for its name.
    fn write_file(&self, path: &Path, bytes: Vec<u8>) -> impl Future<Output = io::Result<()>>;
    /// Creates a directory and those above it, durably, unless it exists: then it may not be durable, see
    /// [`create_directory_durably`].
    fn create_directory(&self, directory: &Path) -> impl Future<Output = io::Result<()>>;
    /// Everything in a directory.
    fn read_dir(&self, directory: &Path) -> impl Future<Output = io::Result<Vec<DirectoryEntry>>>;
    /// Renames a file, over an existing one. Durable after [`sync_directory`](Self::sync_directory).
    fn rename(&self, from: &Path, to: &Path) -> impl Future<Output = io::Result<()>>;
    /// Removes a file. Durable after [`sync_directory`](Self::sync_directory).
    fn remove(&self, path: &Path) -> impl Future<Output = io::Result<()>>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, directory: &Path) -> impl Future<Output = io::Result<()>>;
}

/// What cleanup needs beyond a [`Disk`].
pub trait Housekeeping: Disk {
    /// Everything in a directory, each with the time when it was last written to; seconds since 1970.
    fn read_dir_with_ages(
        &self,
        directory: &Path,
    ) -> impl Future<Output = io::Result<Vec<(DirectoryEntry, i64)>>>;
    /// Removes a directory. It need not be durable: an empty one does no harm.
    ///
    /// Fails with [`io::ErrorKind::DirectoryNotEmpty`] if something is in it.
    fn remove_directory(&self, directory: &Path) -> impl Future<Output = io::Result<()>>;
}

/// What the archive needs beyond that: whole files read, one file written piece by piece, and work beside the core's tasks.
pub trait Archiving: Housekeeping {
    /// A file being written.
    type Output: 'static;
    /// The content of a file.
    ///
    /// Fails with [`io::ErrorKind::FileTooLarge`] if it has more bytes than `bytes_max`; nothing is read then.
    fn read_file(&self, path: &Path, bytes_max: u64) -> impl Future<Output = io::Result<Vec<u8>>>;
    /// Makes a file without content, or empties an existing one, to be written piece by piece.
    fn create_output(&self, path: &Path) -> impl Future<Output = io::Result<Self::Output>>;
    /// Writes all of it behind what was written before. After an error the file cannot be used any more.
    fn append(&self, output: Self::Output, bytes: Vec<u8>) -> impl Future<Output = io::Result<Self::Output>>;
    /// Makes everything written durable, but for the file's name, and closes the file.
    fn sync_output(&self, output: Self::Output) -> impl Future<Output = io::Result<()>>;
    /// Runs what takes long where no task waits for it. A panic in it is an error.
    fn run_aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = io::Result<T>>;
}

/// Time, and tasks that wait for it. All tasks of one clock run on one thread.
pub trait Clock: 'static {
    /// The time of the wall, in seconds since 1970.
    fn now_seconds(&self) -> i64;
    /// A time that only grows, in nanoseconds since some moment.
    fn now_ns(&self) -> u64;
    /// Resolves after this time.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()>;
    /// Runs a task until it ends.
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + 'static);
}

/// The world as one core sees it.
pub trait Platform: Disk + Clock + Clone {}

impl<T: Disk + Clock + Clone> Platform for T {}

/// Directories and files before the cores run: several threads read at once, and nothing changes but names.
pub trait Files: Sync {
    /// Everything in a directory.
    ///
    /// # Errors
    /// Those of the file system; [`io::ErrorKind::NotFound`] if there is no such directory.
    fn read_dir(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>>;
    /// The bytes of a file.
    ///
    /// # Errors
    /// Those of the file system.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Hands on the bytes of a file in order, in pieces, so many at most; the first piece has a sector, unless the file is
    /// shorter.
    ///
    /// # Errors
    /// Those of the file system; some pieces may have been handed on.
    fn read_pieces(&self, path: &Path, bytes_max: u64, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let bytes = self.read(path)?;
        take(&bytes[..bytes.len().min(usize::try_from(bytes_max).unwrap_or(usize::MAX))]);
        Ok(())
    }
    /// Makes durable what was written to a file, by whomever.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync(&self, path: &Path) -> io::Result<()>;
    /// Renames a file.
    ///
    /// # Errors
    /// Those of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
}

/// Writes a file so that its name stands for the old content or for the new one, never for anything between, and
/// durably for the new one on return: `<path>.tmp`, synced, renamed, directory synced (SPEC section 5).
///
/// # Errors
/// Those of the disk. Unless the last step failed, the old content is still there; `<path>.tmp` is not.
pub async fn write_atomically(
    disk: &impl Disk,
    directory: &Path,
    name: &str,
    bytes: Vec<u8>,
) -> io::Result<()> {
    let path = directory.join(name);
    let temporary = directory.join(format!("{name}.tmp"));
    let renamed = match disk.write_file(&temporary, bytes).await {
        Ok(()) => disk.rename(&temporary, &path).await,
        Err(error) => Err(error),
    };
    if let Err(error) = renamed {
        // The first error is the one to report.
        let _ = disk.remove(&temporary).await;
        return Err(error);
    }
    disk.sync_directory(directory).await
}

/// Creates a directory and those above it unless they exist, and makes them durable even then: whoever made them may not
/// have synced them.
///
/// # Errors
/// Those of the disk. A directory above that we may not open is not ours, and taken as durable.
pub async fn create_directory_durably(disk: &impl Disk, directory: &Path) -> io::Result<()> {
    disk.create_directory(directory).await?;
    for path in directory.ancestors() {
        let Some(parent) = path.parent() else { break };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        match disk.sync_directory(parent).await {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            result => result?,
        }
    }
    Ok(())
}

/// Removes a file, unless it is gone already. Durable after [`Disk::sync_directory`].
///
/// # Errors
/// Those of the disk, but [`io::ErrorKind::NotFound`].
pub async fn remove_if_there(disk: &impl Disk, path: &Path) -> io::Result<()> {
    match disk.remove(path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
