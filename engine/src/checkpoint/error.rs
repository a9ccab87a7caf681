//! Why a snapshot cannot be read.

use super::format;
use crate::limits;

/// What is wrong with a snapshot, and at which byte. Recovery sets such a file aside and loads the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The file begins with something else.
    #[error(
        "byte 0: not a .bin snapshot: it begins with {found:#010x} instead of {expected:#010x}; check what wrote it",
        expected = format::MAGIC_NUMBER
    )]
    WrongMagic {
        /// The first four bytes.
        found: u32,
    },
    /// The file ends within something, or a count or length before it is wrong.
    #[error(
        "byte {at}: {what} needs {needed} bytes, {left} are left: the file is cut off or damaged, restore it from a copy"
    )]
    CutShort {
        /// Where it should begin.
        at: usize,
        /// What should stand there.
        what: &'static str,
        /// Its size, or the least that a count of such things takes.
        needed: u64,
        /// How much of the file is left.
        left: usize,
    },
    /// A name is not UTF-8.
    #[error("byte {at}: the name of a {what} is not UTF-8: the file is damaged, restore it from a copy")]
    NameNotText {
        /// Where the name begins.
        at: usize,
        /// `metric` or `level`.
        what: &'static str,
    },
    /// A name is longer than the formats can hold.
    #[error("byte {at}: the name of a {what} has {length} bytes, at most {max} are possible; shorten it", max = limits::SELECTOR_PART_BYTES_MAX)]
    NameTooLong {
        /// Where the name begins.
        at: usize,
        /// `metric` or `level`.
        what: &'static str,
        /// Its bytes.
        length: usize,
    },
    /// A frequency that no metric can have.
    #[error(
        "byte {at}: a frequency of {frequency} s is not within 1 and {max}: the file is damaged, restore it from a copy",
        max = limits::FREQUENCY_SECONDS_MAX
    )]
    FrequencyRange {
        /// Where the series stands.
        at: usize,
        /// What stands there.
        frequency: i64,
    },
    /// A time that no sample can have.
    #[error(
        "byte {at}: the time {time} s is not within ±{max}: the file is damaged, restore it from a copy",
        max = limits::TIME_SECONDS_MAX
    )]
    TimeRange {
        /// Where the header or series stands.
        at: usize,
        /// What stands there, or what follows from start, frequency and count.
        time: i64,
    },
    /// Levels in levels in levels.
    #[error(
        "byte {at}: nested deeper than {max}: the file is damaged, restore it from a copy",
        max = limits::SNAPSHOT_DEPTH_MAX
    )]
    TooDeep {
        /// Where it becomes too deep.
        at: usize,
    },
    /// Something stands behind the end.
    #[error(
        "byte {at}: {left} bytes behind the end of the snapshot: the file is damaged, restore it from a copy"
    )]
    TrailingBytes {
        /// The end.
        at: usize,
        /// How many bytes stand behind it.
        left: usize,
    },
    /// Not the JSON of a snapshot.
    #[error("byte {at}: expected {expected}: the file is cut off or damaged, restore it from a copy")]
    Json {
        /// Where; the length of the file if it ends too early.
        at: usize,
        /// What should have stood there.
        expected: &'static str,
    },
}
