//! The segments of a log directory, found without changing anything in it (DESIGN decision 4).

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The daemon holds a lock on this file while it runs.
const LOCK: &str = "lock";

/// Why a log cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum LogDirectoryError {
    /// The directory cannot be listed.
    #[error("cannot read the log directory {}: {source}; name metric-store.wal.directory", path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon is running.
    #[error("{} is locked: the daemon is running on this log; stop it first", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// Nobody knows whether the daemon is running.
    #[error("cannot lock {}: {source}; run as a user who may read it", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A segment of the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentPath {
    /// Its number: segments apply in this order, whichever core wrote them.
    pub id: u64,
    /// Where it lies.
    pub path: PathBuf,
}

/// A log that no daemon writes to as long as this lives.
#[derive(Debug)]
pub struct LogDirectory {
    segments: Vec<SegmentPath>,
    /// None if no daemon ever ran here: a copy of a log.
    _lock: Option<File>,
}

impl LogDirectory {
    /// Looks for segments, of any number of cores. Everything else in the directory is passed over.
    ///
    /// # Errors
    /// [`LogDirectoryError`].
    pub fn open(directory: &Path) -> Result<Self, LogDirectoryError> {
        let failed = |source| LogDirectoryError::Read { path: directory.to_owned(), source };
        let entries = fs::read_dir(directory).map_err(failed)?;
        // Before the list is made: a daemon that stops just now would make it wrong.
        let lock = lock(&directory.join(LOCK))?;
        let mut segments = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if let Some(id) = name.to_str().and_then(segment_id) {
                segments.push(SegmentPath { id, path: entry.path() });
            }
        }
        segments.sort_unstable();
        Ok(Self { segments, _lock: lock })
    }

    /// In the order in which they apply.
    #[must_use]
    pub fn segments(&self) -> &[SegmentPath] {
        &self.segments
    }
}

/// Keeps the daemon off the log. Shared, so that a file that may only be read is enough.
fn lock(path: &Path) -> Result<Option<File>, LogDirectoryError> {
    let failed = |source| LogDirectoryError::Lock { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(LogDirectoryError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// The number of a segment from its name, `core007-00000000000000a1.log`; none for any other file, among them
/// recycled ones, which hold nothing that is not in snapshots.
fn segment_id(name: &str) -> Option<u64> {
    let (core, id) = name.strip_suffix(".log")?.strip_prefix("core")?.split_once('-')?;
    let core: u16 = core.parse().ok()?;
    let id = u64::from_str_radix(id, 16).ok()?;
    // Every other spelling is not the daemon's.
    (format!("core{core:03}-{id:016x}.log") == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_segments_are_taken() {
        for (name, id) in [
            ("core007-00000000000000a1.log", Some(0xa1)),
            ("core1023-ffffffffffffffff.log", Some(u64::MAX)),
            ("core007-00000000000000a1.free", None),
            ("core7-00000000000000a1.log", None),
            ("core007-a1.log", None),
            ("core007-00000000000000A1.log", None),
            ("core007-00000000000000a1.log.tmp", None),
            ("lock", None),
            ("", None),
        ] {
            assert_eq!(segment_id(name), id, "{name}");
        }
    }
}
