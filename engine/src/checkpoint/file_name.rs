//! Names of the files in a host's directory, and which of them are loaded (SPEC section 5, "Loading").

use std::path::{Path, PathBuf};

use crate::limits::FUTURE_SECONDS_MAX;

/// The reference's log in a host's directory.
pub const REFERENCE_LOG: &str = "current.wal";
/// Behind the name of a file that is being written; such a file is never loaded.
pub const TEMPORARY_SUFFIX: &str = ".tmp";
/// Behind the name of a damaged file that was set aside; such a file is never loaded.
pub const CORRUPT_SUFFIX: &str = ".corrupt";

/// Behind the name of a log that could not be read and was set aside; such a file is never loaded.
pub const UNREADABLE_SUFFIX: &str = ".unreadable";

/// A path with something behind its name.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The formats of snapshots, in the order in which two of the same time are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `<from>.json`.
    Json,
    /// `<from>.bin`.
    Binary,
}

impl Kind {
    /// The end of the file's name, with the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => ".json",
            Self::Binary => ".bin",
        }
    }
}

/// A snapshot among the files of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotFile<'a> {
    /// The file's name, without its directory.
    pub name: &'a str,
    /// Begin of its span, in seconds.
    pub from: i64,
    /// Its format.
    pub kind: Kind,
}

/// The name of a snapshot.
#[must_use]
pub fn snapshot_name(from: i64, kind: Kind) -> String {
    format!("{from}{}", kind.extension())
}

/// Time and format of a snapshot, or none for any other file.
///
/// As the reference does, it takes leading zeros, so two names may stand for one time.
#[must_use]
pub fn parse(name: &str) -> Option<(i64, Kind)> {
    [Kind::Json, Kind::Binary].into_iter().find_map(|kind| {
        let time = name.strip_suffix(kind.extension())?;
        let digits = time.strip_prefix('-').unwrap_or(time);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| time.parse().ok()).flatten().map(|from| (from, kind))
    })
}

/// The snapshots to load at the time `now`, in the order in which to load them: later ones replace samples of earlier ones.
///
/// Those are every one with `from ≥ now − retention`, less the hour by which samples may be ahead of the clock, and the
/// last before that, whose span may reach into the retention, with those it directly follows. `names` are the files of one
/// host's directory, without subdirectories.
///
/// A `.bin` and a `.json` of one time are both loaded: the format was changed between two runs, and nothing says
/// that one holds what the other does. The `.bin` comes second, because the reference's `.json` keeps one decimal only.
#[must_use]
pub fn select<'a>(
    names: impl IntoIterator<Item = &'a str>,
    now: i64,
    retention_seconds: i64,
) -> Vec<SnapshotFile<'a>> {
    let snapshots = names.into_iter().filter_map(|name| {
        let (from, kind) = parse(name)?;
        Some(SnapshotFile { name, from, kind })
    });
    let mut selected: Vec<_> = snapshots.collect();
    selected.sort_unstable_by_key(|file| (file.from, file.kind, file.name));
    // A sample may be ahead of the clock when it is saved, so its snapshot may be older than it.
    let oldest = now.saturating_sub(retention_seconds).saturating_sub(FUTURE_SECONDS_MAX);
    let mut first = oldest;
    let mut times = selected.iter().rev().map(|file| file.from).filter(|&from| from < oldest);
    if let Some(last_before) = times.next() {
        first = last_before;
        // One checkpoint of a host may need several snapshots, a second apart. Any of them may reach into the retention.
        for from in times {
            if from < first - 1 {
                break;
            }
            first = from;
        }
    }
    selected.retain(|file| file.from >= first);
    selected
}

/// The time in the name of a new snapshot that begins at `from`: no earlier, and behind all among `names`, since the
/// order of names is the order of loading, and what is loaded later wins.
///
/// It is another one than `from` if a checkpoint follows the last one within a second, if one needed several snapshots, or if
/// the clock was set back.
#[must_use]
pub fn next_from<'a>(names: impl IntoIterator<Item = &'a str>, from: i64) -> i64 {
    let newest = names.into_iter().filter_map(parse).map(|(from, _)| from).max();
    newest.map_or(from, |newest| from.max(newest.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_snapshots_have_names_of_snapshots() {
        for (name, from, kind) in [
            ("1700000040.bin", 1_700_000_040, Kind::Binary),
            ("1700000040.json", 1_700_000_040, Kind::Json),
            ("0.bin", 0, Kind::Binary),
            ("-5.json", -5, Kind::Json),
            ("007.bin", 7, Kind::Binary),
        ] {
            assert_eq!(parse(name), Some((from, kind)), "{name}");
        }
        assert_eq!(snapshot_name(1_700_000_040, Kind::Binary), "1700000040.bin");
        for name in [
            "",
            ".bin",
            "-.bin",
            "+5.bin",
            "1700000040",
            "1700000040.bin.tmp",
            "1700000040.bin.corrupt",
            "1700000040.BIN",
            "1700000040_60.avro",
            "old/1700000040.bin",
            " 5.bin",
            "5 .bin",
            "1e9.json",
            "notes.json",
            "99999999999999999999.bin",
            "\u{665}.bin",
            REFERENCE_LOG,
        ] {
            assert_eq!(parse(name), None, "{name:?}");
        }
    }

    fn names(files: &[&'static str], now: i64, retention_seconds: i64) -> Vec<&'static str> {
        // Samples may be ahead of the clock: the times here are those without that.
        select(files.iter().copied(), now.saturating_add(FUTURE_SECONDS_MAX), retention_seconds)
            .into_iter()
            .map(|file| file.name)
            .collect()
    }

    #[test]
    fn retention_and_the_last_one_before_it_are_loaded_in_order() {
        let files = ["300.bin", "100.bin", "current.wal", "200.json", "400.bin.tmp", "0.bin", "1000.bin"];
        assert_eq!(names(&files, 1000, 2000), ["0.bin", "100.bin", "200.json", "300.bin", "1000.bin"]);
        assert_eq!(names(&files, 1000, 750), ["200.json", "300.bin", "1000.bin"]);
        assert_eq!(names(&files, 1000, 700), ["200.json", "300.bin", "1000.bin"]);
        assert_eq!(names(&files, 1000, 699), ["300.bin", "1000.bin"]);
        assert_eq!(names(&files, 9000, 10), ["1000.bin"], "its end is not known from its name");
        assert_eq!(names(&["current.wal"], 9000, 10), [""; 0]);
        assert_eq!(names(&files, i64::MIN, i64::MAX).len(), 5);
    }

    #[test]
    fn both_formats_of_one_time_are_loaded_binary_last() {
        let files = ["200.bin", "100.bin", "200.json", "100.json"];
        assert_eq!(names(&files, 1000, 900), ["100.json", "100.bin", "200.json", "200.bin"]);
        assert_eq!(names(&files, 1000, 750), ["200.json", "200.bin"]);
        assert_eq!(names(&files, 1000, 850), ["100.json", "100.bin", "200.json", "200.bin"]);
    }

    #[test]
    fn a_new_snapshot_is_loaded_after_all_others() {
        let files = ["100.bin", "101.json", "103.bin", "0100.json"];
        assert_eq!(next_from(files, 100), 104);
        assert_eq!(next_from(files, 103), 104);
        assert_eq!(next_from(files, 105), 105);
        assert_eq!(next_from(["current.wal"], 7), 7);
    }

    #[test]
    fn all_snapshots_of_one_checkpoint_are_loaded() {
        let files = ["7000.bin", "7100.bin", "7101.bin", "7102.bin", "50000.bin"];
        assert_eq!(names(&files, 50_000, 20_000), ["7100.bin", "7101.bin", "7102.bin", "50000.bin"]);
    }
}
