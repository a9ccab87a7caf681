//! File operations without asynchronous form: each runs on the blocking thread of its core, one after the other.
//!
//! glommio trap: a closure that panics there kills the thread, and its caller waits for ever; nothing here panics.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use engine::platform::DirectoryEntry;

use super::failed;

/// Mode of every file: its user writes, its group may read (a backup, the reference), nobody else.
pub const FILE_MODE: u32 = 0o640;
/// Mode of every directory.
pub const DIRECTORY_MODE: u32 = 0o750;

/// Runs what takes long on the blocking thread of the core, where calls of the file system wait behind it.
///
/// # Errors
/// It panicked; the message of the panic is on stderr.
pub async fn run_aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let result = glommio::executor().spawn_blocking(move || catch_unwind(AssertUnwindSafe(work))).await;
    result.map_err(|_| io::Error::other("work on the blocking thread panicked"))
}

/// Runs `call` on the blocking thread; an error of it says that `operation` on `path` failed.
pub(super) async fn run<T: Send + 'static>(
    operation: &'static str,
    path: &Path,
    call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = path.to_owned();
    glommio::executor()
        .spawn_blocking(move || call(&path).map_err(|error| failed(operation, &path, &error)))
        .await
}

/// Everything in a directory, in no order. What vanishes meanwhile is left out.
///
/// # Errors
/// Those of the file system.
pub async fn read_dir(directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
    run("read directory", directory, entries).await
}

/// [`read_dir`] for threads without executor.
///
/// # Errors
/// As there, without the path.
pub fn entries(directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
    Ok(aged_entries(directory)?.into_iter().map(|(entry, _)| entry).collect())
}

/// [`read_dir`], and of each the time when it was last written to; seconds since 1970.
///
/// # Errors
/// As there.
pub async fn read_dir_with_ages(directory: &Path) -> io::Result<Vec<(DirectoryEntry, i64)>> {
    run("read directory", directory, aged_entries).await
}

fn aged_entries(directory: &Path) -> io::Result<Vec<(DirectoryEntry, i64)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) => {
                let found = DirectoryEntry {
                    name: entry.file_name(),
                    is_file: metadata.is_file(),
                    is_directory: metadata.is_dir() || metadata.is_symlink() && entry.path().is_dir(),
                    bytes: metadata.len(),
                };
                entries.push((found, metadata.mtime()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Whoever needs it hears of that when it is opened.
            Err(_) => {
                let name = entry.file_name();
                entries.push((DirectoryEntry { name, is_file: false, is_directory: false, bytes: 0 }, 0));
            }
        }
    }
    Ok(entries)
}

/// Creates a directory and those above it, durably; one that exists is no error.
///
/// # Errors
/// Those of the file system.
pub async fn create_directory(directory: &Path) -> io::Result<()> {
    run("create directory", directory, |directory| {
        let missing: Vec<_> = directory.ancestors().take_while(|path| !path.exists()).collect();
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
        for path in &missing {
            sync(parent(path))?;
        }
        // Cleanup may have removed the one above, which was empty, and this call made it again.
        match missing.last() {
            Some(top) => sync(parent(parent(top))),
            None => Ok(()),
        }
    })
    .await
}

/// Renames a file within its file system, over an existing one. Durable after [`sync_directory`].
///
/// # Errors
/// Those of the file system.
pub async fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let to = to.to_owned();
    run("rename", from, move |from| {
        fs::rename(from, &to)
            .map_err(|error| io::Error::new(error.kind(), format!("to {}: {error}", to.display())))
    })
    .await
}

/// Makes names that were created, renamed or removed in a directory durable.
///
/// # Errors
/// Those of the file system.
pub async fn sync_directory(directory: &Path) -> io::Result<()> {
    run("sync directory", directory, sync).await
}

/// Removes a file. Durable after [`sync_directory`].
///
/// # Errors
/// Those of the file system, [`io::ErrorKind::NotFound`] among them.
pub async fn remove(path: &Path) -> io::Result<()> {
    run("remove", path, |path| fs::remove_file(path)).await
}

/// Removes an empty directory.
///
/// # Errors
/// Those of the file system, [`io::ErrorKind::DirectoryNotEmpty`] among them.
pub async fn remove_directory(path: &Path) -> io::Result<()> {
    run("remove directory", path, |path| fs::remove_dir(path)).await
}

/// Makes a file with this content, or replaces that of an existing one; durable but for its name.
///
/// # Errors
/// Those of the file system; the file may be left with a part of the content then.
pub async fn write_file(path: &Path, bytes: Vec<u8>) -> io::Result<()> {
    run("write", path, move |path| {
        let mut file = created(path)?;
        file.write_all(&bytes)?;
        file.sync_all()
    })
    .await
}

/// The length of a regular file.
pub(super) async fn length(path: &Path) -> io::Result<u64> {
    run("open", path, |path| {
        let metadata = fs::symlink_metadata(path)?;
        if metadata.is_file() {
            Ok(metadata.len())
        } else {
            Err(io::Error::other("it is not a regular file"))
        }
    })
    .await
}

/// An empty file of our mode, new or emptied.
pub(super) fn created(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The directory of a path; of a bare name, the current one.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().as_bytes().is_empty() => parent,
        _ => Path::new("."),
    }
}
