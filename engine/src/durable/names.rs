//! Names of the files of the log: `core007-00000000000000a1.log` is segment 0xa1 of core 7.
//!
//! `.log` is a segment to be replayed, `.free` one whose samples are all in snapshots: its blocks are written and wait
//! for a new life. It keeps the number of its last life, so that no number on the disk, stale blocks included, is
//! above the largest that a name shows. Everything else in the directory is not ours.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// Which segment: the core that wrote it and its number, which that core never uses again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// The number of the segment.
    pub id: u64,
    /// The core that wrote it, of however many there were then.
    pub core: u16,
}

/// A file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFileName {
    /// A segment.
    Log(SegmentName),
    /// A recycled one.
    Free(SegmentName),
}

impl SegmentName {
    /// Where the segment lies.
    #[must_use]
    pub fn log_path(self, directory: &Path) -> PathBuf {
        directory.join(LogFileName::Log(self).to_string())
    }

    /// Where it lies once it is recycled.
    #[must_use]
    pub fn free_path(self, directory: &Path) -> PathBuf {
        directory.join(LogFileName::Free(self).to_string())
    }
}

impl LogFileName {
    /// Takes a name apart; none for files that are not ours, among them every other spelling of our names.
    #[must_use]
    pub fn parse(name: &OsStr) -> Option<Self> {
        let text = name.to_str()?;
        let (stem, extension) = text.rsplit_once('.')?;
        let (core, id) = stem.strip_prefix("core")?.split_once('-')?;
        let segment = SegmentName { id: u64::from_str_radix(id, 16).ok()?, core: core.parse().ok()? };
        let parsed = match extension {
            "log" => Self::Log(segment),
            "free" => Self::Free(segment),
            _ => return None,
        };
        (parsed.to_string() == text).then_some(parsed)
    }

    /// The segment it is or was.
    #[must_use]
    pub fn segment(self) -> SegmentName {
        let (Self::Log(segment) | Self::Free(segment)) = self;
        segment
    }
}

impl fmt::Display for LogFileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (SegmentName { id, core }, extension) = match self {
            Self::Log(segment) => (segment, "log"),
            Self::Free(segment) => (segment, "free"),
        };
        write!(formatter, "core{core:03}-{id:016x}.{extension}")
    }
}

/// The smallest number above `last` that belongs to this core. The numbers of different cores are disjoint, so that
/// the cores need not agree. None when there is no such number.
#[must_use]
pub fn next_id(last: u64, core: u16, cores: u16) -> Option<u64> {
    let (core, cores) = (u64::from(core), u64::from(cores.max(1)));
    let first = last.checked_add(1)?;
    first.checked_add((core % cores + cores - first % cores) % cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Option<LogFileName> {
        LogFileName::parse(OsStr::new(name))
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for (segment, name) in [
            (SegmentName { core: 0, id: 1 }, "core000-0000000000000001.log"),
            (SegmentName { core: 7, id: 0xa1 }, "core007-00000000000000a1.log"),
            (SegmentName { core: 1023, id: u64::MAX }, "core1023-ffffffffffffffff.log"),
        ] {
            assert_eq!(LogFileName::Log(segment).to_string(), name);
            assert_eq!(parse(name), Some(LogFileName::Log(segment)));
            assert_eq!(parse(&name.replace(".log", ".free")), Some(LogFileName::Free(segment)));
            assert_eq!(segment.log_path(Path::new("/wal")), Path::new("/wal").join(name));
        }
    }

    #[test]
    fn what_is_not_ours_has_no_meaning() {
        for name in [
            "",
            ".log",
            "core.log",
            "core000-1.log",
            "core0-0000000000000001.log",
            "core0000-0000000000000001.log",
            "core+00-0000000000000001.log",
            "core000-000000000000000A.log",
            "core000-+000000000000001.log",
            "core000-00000000000000001.log",
            "core70000-0000000000000001.log",
            "core000-0000000000000001",
            "core000-0000000000000001.log.tmp",
            "core000-0000000000000001.LOG",
            "xcore000-0000000000000001.log",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn numbers_grow_and_those_of_two_cores_never_meet() {
        for cores in 1..6_u16 {
            let mut seen = std::collections::HashSet::new();
            for core in 0..cores {
                let mut last = u64::from(core) * 3;
                for _ in 0..20 {
                    let id = next_id(last, core, cores).unwrap();
                    assert!(id > last && id <= last + u64::from(cores), "{last} → {id}");
                    assert!(seen.insert(id), "{id} was given twice among {cores} cores");
                    last = id;
                }
            }
        }
        assert_eq!(next_id(u64::MAX, 0, 1), None);
        assert_eq!(next_id(u64::MAX - 1, 0, 2), None);
    }
}
