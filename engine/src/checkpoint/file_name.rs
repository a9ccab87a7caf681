//! Names of the files in a host's directory, and which of them are loaded (SPEC section 5, "Loading").

/// The reference's log in a host's directory.
pub const REFERENCE_LOG: &str = "current.wal";
/// Behind the name of a file that is being written; such a file is never loaded.
pub const TEMPORARY_SUFFIX: &str = ".tmp";
/// Behind the name of a damaged file that was set aside; such a file is never loaded.
pub const CORRUPT_SUFFIX: &str = ".corrupt";

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
/// Those are every one with `from ≥ now − retention`, and the last before that, whose span may reach into the
/// retention. `names` are the files of one host's directory, without subdirectories.
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
    let oldest = now.saturating_sub(retention_seconds);
    let last_before = selected.iter().map(|file| file.from).filter(|&from| from < oldest).max();
    let first = last_before.unwrap_or(oldest);
    selected.retain(|file| file.from >= first);
    selected
}

/// The first time from `from` on that no snapshot among `names` has, so that writing one replaces none.
///
/// Two snapshots would begin at one time if a checkpoint follows the last one within a second, or the clock was set back.
#[must_use]
pub fn unused_from<'a>(names: impl IntoIterator<Item = &'a str>, from: i64) -> i64 {
    let mut taken: Vec<_> = names.into_iter().filter_map(parse).map(|(from, _)| from).collect();
    taken.sort_unstable();
    taken.into_iter().fold(from, |free, taken| if taken == free { free.saturating_add(1) } else { free })
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
        select(files.iter().copied(), now, retention_seconds).into_iter().map(|file| file.name).collect()
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
    fn a_new_snapshot_replaces_none() {
        let files = ["100.bin", "101.json", "103.bin", "0100.json"];
        assert_eq!(unused_from(files, 100), 102);
        assert_eq!(unused_from(files, 102), 102);
        assert_eq!(unused_from(files, 103), 104);
        assert_eq!(unused_from(files, 99), 99);
    }
}
