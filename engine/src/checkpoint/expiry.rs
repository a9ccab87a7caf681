//! Which snapshots of a host are out of retention (SPEC section 6, cleanup).
//!
//! Their names alone decide, but for the last ones before the retention: a load still reads those, because their end is
//! not in their name. They were written at their end, so the file's age tells. It also decides where a name is in the future, because
//! the clock was ahead when the file was written, or the name had to be behind such a one.

use super::file_name::{SnapshotFile, parse, select};
use crate::limits::FUTURE_SECONDS_MAX;

/// A file in a host's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgedFile<'a> {
    /// Its name, without the directory.
    pub name: &'a str,
    /// When it was written, in seconds since 1970.
    pub modified: i64,
}

/// The snapshots that nobody will load from `now` on and whose whole span, `from` and the interval of checkpoints, is
/// before `now − retention`; all in seconds, oldest first.
///
/// What is not a snapshot, `.corrupt` files among it, is never in the answer. A file copied here later looks younger than
/// it is and stays longer.
#[must_use]
pub fn expired<'a>(
    files: impl IntoIterator<Item = AgedFile<'a>>,
    now: i64,
    retention: i64,
    checkpoint_interval: i64,
) -> Vec<SnapshotFile<'a>> {
    let oldest = now.saturating_sub(retention);
    let mut found: Vec<_> = files
        .into_iter()
        .filter_map(|file| {
            let (from, kind) = parse(file.name)?;
            Some((SnapshotFile { name: file.name, from, kind }, file.modified))
        })
        .collect();
    let loaded = select(found.iter().map(|(file, _)| file.name), now, retention);
    let is_ahead = |time: i64| time > now.saturating_add(FUTURE_SECONDS_MAX);
    // A file whose age is in the future as well was written before any with a name behind its own.
    found.sort_unstable_by_key(|(file, _)| std::cmp::Reverse((file.from, file.kind, file.name)));
    let mut oldest_behind = i64::MAX;
    for (_, modified) in &mut found {
        if is_ahead(*modified) {
            *modified = oldest_behind;
        } else {
            oldest_behind = oldest_behind.min(*modified);
        }
    }
    found.retain(|(file, modified)| {
        let span_is_over = is_ahead(file.from) || file.from.saturating_add(checkpoint_interval) < oldest;
        // Samples may be ahead of the clock by as much.
        let is_empty = modified.saturating_add(FUTURE_SECONDS_MAX) < oldest;
        span_is_over && (is_empty || (!loaded.contains(file) && !is_ahead(file.from)))
    });
    let mut files: Vec<_> = found.into_iter().map(|(file, _)| file).collect();
    files.sort_unstable_by_key(|file| (file.from, file.kind, file.name));
    files
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_000_000;
    const RETENTION: i64 = 100_000;
    const INTERVAL: i64 = 10_000;

    fn names(files: &[(&'static str, i64)]) -> Vec<&'static str> {
        let files = files.iter().map(|&(name, modified)| AgedFile { name, modified });
        expired(files, NOW, RETENTION, INTERVAL).into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn whole_spans_before_the_retention_are_over() {
        // The retention begins at 900 000.
        let files = [
            ("870000.bin", 880_000),
            ("880000.json", 890_000),
            ("889990.bin", 899_990),
            ("890000.bin", 900_000),
            ("900000.bin", 910_000),
            ("910000.bin", 920_000),
        ];
        assert_eq!(names(&files), ["870000.bin", "880000.json", "889990.bin"]);
    }

    #[test]
    fn the_last_one_before_the_retention_stays_while_it_may_hold_something() {
        // Checkpoints failed for long, then one took everything.
        assert_eq!(names(&[("500000.bin", 899_000)]), [""; 0]);
        assert_eq!(names(&[("500000.bin", 890_000)]), ["500000.bin"], "the host is gone");
        assert_eq!(names(&[("500000.bin", 899_000), ("500000.json", 890_000)]), ["500000.json"]);
        assert_eq!(names(&[("500000.bin", 899_000), ("950000.bin", 960_000)]), [""; 0], "a load reads it");
        assert_eq!(names(&[("500000.bin", 899_000), ("880000.bin", 999_999)]), ["500000.bin"]);
    }

    #[test]
    fn a_clock_that_was_ahead_keeps_nothing_for_ever() {
        // A year ahead, then set right: names stay behind those, ages do not.
        const AHEAD: i64 = NOW + 31_000_000;
        let files = [("32000000.bin", AHEAD), ("32000001.bin", 800_000), ("32000002.bin", 900_000)];
        assert_eq!(names(&files), ["32000000.bin", "32000001.bin"], "the last one is not out of retention");
        assert_eq!(names(&[("32000000.bin", AHEAD)]), [""; 0], "nothing tells how old it is");
        assert_eq!(names(&[("32000000.bin", NOW)]), [""; 0]);
        assert_eq!(names(&[("32000000.bin", 890_000)]), ["32000000.bin"]);
        // Ahead by less than a sample may be.
        assert_eq!(names(&[("1003000.bin", 890_000)]), [""; 0]);
    }

    #[test]
    fn nothing_but_snapshots_is_over() {
        for name in ["current.wal", "5.bin.corrupt", "5.bin.tmp", "notes.txt", "5.parquet", ""] {
            assert_eq!(names(&[(name, 0)]), [""; 0], "{name}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_load_reads_and_that_is_young_is_over(
            froms in prop::collection::btree_map(800_000..1_000_000i64, 0..200_000i64, 0..12),
            later in 0..300_000i64,
        ) {
            // No age is in the future.
            let froms: std::collections::BTreeMap<_, _> =
                froms.into_iter().map(|(from, span)| (from, span.min((NOW - from).max(0)))).collect();
            let files: Vec<_> = froms.iter().map(|(from, span)| (format!("{from}.bin"), from + span)).collect();
            let now = NOW + later;
            let aged = files.iter().map(|(name, modified)| AgedFile { name, modified: *modified });
            let expired = expired(aged, now, RETENTION, INTERVAL);
            for loaded in select(files.iter().map(|(name, _)| &**name), now, RETENTION) {
                let written = froms[&loaded.from] + loaded.from;
                let is_over = expired.contains(&loaded);
                prop_assert!(!is_over || written + FUTURE_SECONDS_MAX < now - RETENTION, "{loaded:?}");
            }
            // What is over stays so.
            let aged = files.iter().map(|(name, modified)| AgedFile { name, modified: *modified });
            let even_later = super::expired(aged, now + 5000, RETENTION, INTERVAL);
            prop_assert!(expired.iter().all(|file| even_later.contains(file)));
        }
    }
}
