//! The locks that keep a second instance off the same data: one for the log, one for the checkpoints, one for the archive.
//!
//! The log's is a file in its directory. The others are on the directories themselves: the reference would take a file among the
//! checkpoints for a cluster. The kernel gives all of them back when the process ends, however it does.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::settings::{Cleanup, MetricStore};

/// The lock file in the directory of the log.
const LOCK_NAME: &str = "lock";

/// Locks that are held.
#[derive(Debug)]
pub struct DataLocks {
    _held: Vec<File>,
}

/// Why the data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock of the log.
    #[error("{} is locked: another instance is running on this directory", path.display())]
    LogInUse {
        /// The lock file.
        path: PathBuf,
    },
    /// Another process holds the lock of a directory.
    #[error(
        "{} is locked: another instance is running on this directory; give each its own {key}",
        directory.display()
    )]
    DirectoryInUse {
        /// The directory.
        directory: PathBuf,
        /// The key of the configuration.
        key: &'static str,
    },
    /// The lock file cannot be made.
    #[error("cannot create {}: {error}", path.display())]
    Create {
        /// The lock file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It cannot be locked.
    #[error(
        "cannot lock {}: {error}; on a network file system locks may be switched off: put metric-store.wal.directory on a local disk",
        path.display()
    )]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl DataLocks {
    /// Takes the locks on all directories of a store.
    ///
    /// # Errors
    /// [`LockError`]. A directory other than the log's that has no locks, as on some network file systems, is only warned of.
    pub fn take(store: &MetricStore) -> Result<Self, LockError> {
        let mut held = vec![lock_log(&store.wal.directory)?];
        let checkpoints = (store.checkpoints.directory.as_path(), "metric-store.checkpoints.directory");
        let archive = match &store.cleanup {
            Cleanup::Archive { directory } => Some((directory.as_path(), "metric-store.cleanup.directory")),
            Cleanup::Delete => None,
        };
        let is_same = |one: &Path, other: &Path| match (one.canonicalize(), other.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => one == other,
        };
        let archive = archive.filter(|(directory, _)| !is_same(directory, checkpoints.0));
        for (directory, key) in [checkpoints].into_iter().chain(archive) {
            held.extend(lock_directory(directory, key)?);
        }
        Ok(Self { _held: held })
    }

    /// Whether another process has the lock of the log.
    #[must_use]
    pub fn is_held(store: &MetricStore) -> bool {
        matches!(lock_log(&store.wal.directory), Err(LockError::LogInUse { .. }))
    }
}

fn lock_log(directory: &Path) -> Result<File, LockError> {
    let path = directory.join(LOCK_NAME);
    let opened = fs::create_dir_all(directory)
        .and_then(|()| File::options().create(true).truncate(false).write(true).open(&path));
    let file = match opened {
        Ok(file) => file,
        Err(error) => return Err(LockError::Create { path, error }),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LockError::LogInUse { path }),
        Err(TryLockError::Error(error)) => Err(LockError::Lock { path, error }),
    }
}

/// Locks a directory; none if that is not possible there.
fn lock_directory(directory: &Path, key: &'static str) -> Result<Option<File>, LockError> {
    let locked = fs::create_dir_all(directory)
        .and_then(|()| File::open(directory))
        .map_err(TryLockError::Error)
        .and_then(|file| file.try_lock().map(|()| file));
    match locked {
        Ok(file) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            Err(LockError::DirectoryInUse { directory: directory.to_owned(), key })
        }
        Err(TryLockError::Error(error)) => {
            tracing::warn!(
                "{} cannot be locked, so nothing keeps a second instance off it, as on some network file systems: {error}",
                directory.display()
            );
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock_directory(directory.path(), "key").unwrap();
        assert!(first.is_some());
        let error = lock_directory(directory.path(), "key").unwrap_err().to_string();
        assert!(error.contains("another instance") && error.contains("key"), "{error}");
        drop(first);
        assert!(lock_directory(directory.path(), "key").unwrap().is_some());
        // Below a file there is nothing to lock: whoever needs the directory hears of that.
        std::fs::write(directory.path().join("file"), "").unwrap();
        assert!(lock_directory(&directory.path().join("file"), "key").unwrap().is_none());
    }
}
