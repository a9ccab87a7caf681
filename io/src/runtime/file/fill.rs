//! New segments are filled with zeros, on the blocking thread of their core, in pieces between which other calls have their
//! turn.
//!
//! Around the page cache where that is possible: the copies, the pages and their writing back took as much of the processor as
//! storing the samples of a segment.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use super::{
    INVALID,
    blocking::{FILE_MODE, run},
};

/// Bytes written at once.
const PIECE_BYTES: usize = 1024 * 1024;
/// Bytes after which other calls of the blocking thread go first.
const TURN_BYTES: u64 = 8 * 1024 * 1024;
/// What the kernel may want the address of a direct write to be a multiple of.
const PAGE_BYTES: usize = 4096;

/// Makes a file of so many zeros, durably. On an error it may be left in part.
pub(super) async fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = run("create", path, create).await?;
    let mut done = 0;
    while done < bytes {
        let end = bytes.min(done + TURN_BYTES);
        file = run("fill", path, move |path| fill_range(file, path, done, end)).await?;
        done = end;
    }
    run("sync", path, move |_| file.sync_all()).await
}

/// An empty file, for writes around the page cache if the file system has them.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(FILE_MODE);
    match options.clone().custom_flags(nix::libc::O_DIRECT).open(path) {
        Err(error) if error.kind() == INVALID => options.open(path),
        opened => opened,
    }
}

fn fill_range(mut file: File, path: &Path, from: u64, to: u64) -> io::Result<File> {
    let room = vec![0; PIECE_BYTES + PAGE_BYTES];
    let aligned = room.as_ptr().align_offset(PAGE_BYTES);
    let zeros = &room[aligned..aligned + PIECE_BYTES];
    let mut at = from;
    while at < to {
        let piece = usize::try_from(to - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        match file.write_at(&zeros[..piece], at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => at += written as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Not in sectors of this size: through the page cache, which takes any.
            Err(error) if error.kind() == INVALID => {
                file = OpenOptions::new().write(true).open(path)?;
                file.write_all_at(&zeros[..piece], at)?;
                at += piece as u64;
            }
            Err(error) => return Err(error),
        }
    }
    file.sync_data()?;
    Ok(file)
}
