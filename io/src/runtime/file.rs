//! Files: segments of the log, written around the page cache, and directories, off the core's thread.
//!
//! Before it: `durable`, which knows names and order. A [`SegmentFile`] has its final length and real bytes in every
//! block before it is used: writing over them changes no metadata, so that `fdatasync` is a flush of the drive and
//! nothing more (bytes that were only allocated have extents to be converted at every sync). What has no asynchronous
//! form in io_uring's library runs on the blocking thread of the core ([`read_dir`], [`rename`], …).
//!
//! Every error names operation and path.

mod blocking;
mod fill;
mod output;

use std::{
    cell::RefCell,
    fmt,
    future::Future,
    io,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
};

use engine::platform::{SECTOR_BYTES, Writes};
use futures_lite::FutureExt;
use glommio::io::{BufferedFile, DmaFile, OpenOptions};

pub use blocking::{
    DIRECTORY_MODE, FILE_MODE, create_directory, entries, read_dir, read_dir_with_ages, remove,
    remove_directory, rename, run_aside, sync_directory, write_file,
};
pub use output::{OutputFile, read_file};

/// Most bytes of one write: the buffer it is copied to has this size.
const WRITE_BYTES_MAX: usize = 1024 * 1024;

/// EINVAL: what a write around the page cache ends with where offset or length do not suit the drive.
const INVALID: io::ErrorKind = io::ErrorKind::InvalidInput;

/// A file of fixed length for a segment of the log.
///
/// [`Writes::Durable`] is around the page cache and with O_DSYNC, so that a commit is one turn through the kernel instead
/// of two. Against a write and `fdatasync`, the process used a third less CPU and the whole machine a quarter less (a part
/// of the flush moves to the kernel's own threads, which no figure of the process shows).
pub struct SegmentFile {
    path: RefCell<PathBuf>,
    bytes: u64,
    file: Inner,
}

enum Inner {
    /// Around the page cache; writes are durable.
    Direct(DmaFile),
    /// Through the page cache: as asked for, or where file system or drive do not take sectors of 512 bytes directly.
    Buffered(BufferedFile),
}

impl SegmentFile {
    /// Creates the file, or empties it, and fills it with `bytes` zeros, durably; its directory is not synced. The
    /// writing runs on the blocking thread, in pieces between which others have their turn.
    ///
    /// # Errors
    /// Those of the file system; then no file is left behind. `bytes` is 0 or no multiple of [`SECTOR_BYTES`].
    pub async fn create(path: &Path, bytes: u64, writes: Writes) -> io::Result<Self> {
        if bytes == 0 || !bytes.is_multiple_of(SECTOR_BYTES as u64) {
            let text = format!("{bytes} bytes are not a positive multiple of {SECTOR_BYTES}");
            return Err(failed("create", path, &io::Error::new(INVALID, text)));
        }
        let opened = match fill::fill(path, bytes).await {
            Ok(()) => Self::open_for_reuse(path, writes).await,
            Err(error) => Err(error),
        };
        if opened.is_err() {
            // Half a segment is of no use. The first error is the one to report.
            let _ = remove(path).await;
        }
        opened
    }

    /// Opens a file that [`create`](Self::create) has made, for a new life, whatever it is called by now: its first
    /// sector becomes zero, durably, so that nothing takes it for the segment it was.
    ///
    /// # Errors
    /// Those of the file system. The file is empty or ends within a sector.
    pub async fn open_for_reuse(path: &Path, writes: Writes) -> io::Result<Self> {
        let bytes = blocking::length(path).await?;
        // glommio trap: an executor whose first DmaFile is empty polls for its completions from then on.
        if bytes == 0 || bytes % SECTOR_BYTES as u64 != 0 {
            let text = format!(
                "its length of {bytes} bytes is not a positive multiple of {SECTOR_BYTES}: remove it"
            );
            return Err(failed("reuse", path, &io::Error::new(INVALID, text)));
        }
        if writes == Writes::Durable {
            match Self::begin_direct(path, bytes).await {
                // No O_DIRECT here, or only in larger sectors.
                Err(error) if matches!(error.kind(), INVALID | io::ErrorKind::Unsupported) => {}
                begun => return begun,
            }
        }
        let file = OpenOptions::new().read(true).write(true).buffered_open(path).await;
        let file = file.map_err(|error| failed("open", path, &error.into()))?;
        let buffered = Self { path: path.to_owned().into(), bytes, file: Inner::Buffered(file) };
        buffered.begin().await?;
        Ok(buffered)
    }

    async fn begin_direct(path: &Path, bytes: u64) -> io::Result<Self> {
        let file = open_direct(path).await?;
        let direct = Self { path: path.to_owned().into(), bytes, file: Inner::Direct(file) };
        match direct.begin().await {
            Ok(()) => Ok(direct),
            Err(error) => {
                // The first error is the one to report.
                let _ = direct.close().await;
                Err(error)
            }
        }
    }

    async fn begin(&self) -> io::Result<()> {
        self.write_at(0, &[0; SECTOR_BYTES]).await?;
        self.sync_data().await
    }

    /// The length of the file; nothing can be written behind it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether what [`write_at`](Self::write_at) has written is durable when it returns, without
    /// [`sync_data`](Self::sync_data).
    #[must_use]
    pub fn writes_are_durable(&self) -> bool {
        matches!(self.file, Inner::Direct(_))
    }

    /// The caller has renamed the file; errors name this path from now on.
    pub fn renamed(&self, path: &Path) {
        *self.path.borrow_mut() = path.to_owned();
    }

    /// Writes all of `bytes` at `offset`. Durable after [`sync_data`](Self::sync_data), unless
    /// [`writes_are_durable`](Self::writes_are_durable).
    ///
    /// # Errors
    /// Those of the file system: any part of the range may have been written then. Offset or length are not multiples
    /// of [`SECTOR_BYTES`], or the range is not within the file.
    pub async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let sector = SECTOR_BYTES as u64;
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= self.bytes);
        if end.is_none() || !offset.is_multiple_of(sector) || !bytes.len().is_multiple_of(SECTOR_BYTES) {
            let (length, file_bytes) = (bytes.len(), self.bytes);
            let text = format!("{length} bytes at {offset} are not whole sectors within {file_bytes} bytes");
            return Err(self.failed("write to", &io::Error::new(INVALID, text)));
        }
        write_fully(bytes, |done, rest| self.write_once(offset + done as u64, rest))
            .await
            .map_err(|error| self.failed(&format!("write {} bytes at {offset} to", bytes.len()), &error))
    }

    /// One write of at most [`WRITE_BYTES_MAX`]; returns how many bytes it took.
    async fn write_once(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(WRITE_BYTES_MAX)];
        match &self.file {
            Inner::Direct(file) => {
                let mut buffer = file.alloc_dma_buffer(piece.len());
                buffer.as_bytes_mut().copy_from_slice(piece);
                Ok(file.write_at(buffer, offset).await?)
            }
            Inner::Buffered(file) => Ok(file.write_at(piece.to_vec(), offset).await?),
        }
    }

    /// Makes everything written before durable (`fdatasync`).
    ///
    /// # Errors
    /// Those of the file system. Then nothing written since the last success may be taken for durable, ever: the kernel
    /// may have dropped it, and the next call may succeed.
    pub async fn sync_data(&self) -> io::Result<()> {
        let result = match &self.file {
            Inner::Direct(file) => file.fdatasync().await,
            Inner::Buffered(file) => file.fdatasync().await,
        };
        result.map_err(|error| self.failed("sync", &error.into()))
    }

    /// Closes the file. Syncs nothing.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn close(self) -> io::Result<()> {
        let Self { path, file, .. } = self;
        let result = match file {
            Inner::Direct(file) => file.close().await,
            Inner::Buffered(file) => file.close().await,
        };
        result.map_err(|error| failed("close", &path.into_inner(), &error.into()))
    }

    fn failed(&self, operation: &str, error: &io::Error) -> io::Error {
        failed(operation, &self.path.borrow(), error)
    }
}

impl fmt::Debug for SegmentFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SegmentFile")
            .field("path", &self.path)
            .field("bytes", &self.bytes)
            .field("writes_are_durable", &self.writes_are_durable())
            .finish()
    }
}

async fn open_direct(path: &Path) -> io::Result<DmaFile> {
    // Readable as well: glommio reads the first sector to find out how the drive is to be asked for completions.
    let mut options = OpenOptions::new();
    let open = options.read(true).write(true).custom_flags(nix::libc::O_DSYNC).dma_open(path);
    // glommio trap: it panics where the properties of the drive cannot be read from /sys.
    match AssertUnwindSafe(open).catch_unwind().await {
        Ok(result) => result.map_err(|error| failed("open", path, &error.into())),
        Err(_) => Err(failed("open", path, &io::ErrorKind::Unsupported.into())),
    }
}

/// Calls `write` until everything is written. A write that ends within a sector is repeated from that sector on.
async fn write_fully<'a, F: Future<Output = io::Result<usize>>>(
    bytes: &'a [u8],
    write: impl Fn(usize, &'a [u8]) -> F,
) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        let written = write(done, &bytes[done..]).await? / SECTOR_BYTES * SECTOR_BYTES;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        done += written;
    }
    Ok(())
}

/// The error of an operation on a path, with both in its text.
fn failed(operation: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {operation} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
