//! Reads `current.wal` (`docs/format/reference-log.md`).
//!
//! Before: the bytes of a file. After: its samples, handed to a visitor one by one, up to the first record that is torn or
//! corrupt: what was written behind it cannot be told from garbage. Nothing is allocated.

use super::format;
use crate::limits::{REFERENCE_LOG_PAYLOAD_BYTES_MAX, SNAPSHOT_DEPTH_MAX, TIME_SECONDS_MAX};

/// One sample of the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogSample<'a> {
    /// Names of the levels below the host; none for the host's own.
    pub path: &'a [&'a str],
    /// The metric, configured or not.
    pub metric: &'a str,
    /// In seconds, within ± [`TIME_SECONDS_MAX`].
    pub time: i64,
    /// The value.
    pub value: f32,
}

/// Takes the samples of a log, in the order in which they were received.
pub trait LogVisitor {
    /// Takes one sample.
    fn sample(&mut self, sample: LogSample<'_>);
}

impl<F: FnMut(LogSample<'_>)> LogVisitor for F {
    fn sample(&mut self, sample: LogSample<'_>) {
        self(sample);
    }
}

/// What was found in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRead {
    /// Samples handed on.
    pub sample_count: u64,
    /// Whole records that were left out because no sample of ours can be like that.
    pub skipped_count: u64,
    /// The first of those: at which byte it begins, and why.
    pub skipped_first: Option<(usize, Skip)>,
    /// How the reading ended.
    pub end: End,
}

/// How the reading of a log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Behind a whole record, at the end of the file.
    Clean,
    /// The file ends within the header or record that begins at `at`: its writer was killed.
    Torn {
        /// Bytes before it, all of them whole records.
        at: usize,
    },
    /// What begins at `at` is no record.
    Corrupt {
        /// Bytes before it, all of them whole records.
        at: usize,
        /// What is wrong.
        why: Corruption,
    },
}

/// Why something is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corruption {
    /// The file is not a log.
    #[error(
        "the file begins with {found:#010x} instead of {expected:#010x}; check what wrote it",
        expected = format::FILE_MAGIC_NUMBER
    )]
    FileMagic {
        /// The first four bytes.
        found: u32,
    },
    /// No record begins here.
    #[error("{found:#010x} instead of {expected:#010x} begins the record", expected = format::RECORD_MAGIC_NUMBER)]
    RecordMagic {
        /// What stands there.
        found: u32,
    },
    /// The record is longer than any can be.
    #[error(
        "the record has a payload of {length} bytes, at most {max} are possible",
        max = REFERENCE_LOG_PAYLOAD_BYTES_MAX
    )]
    PayloadLength {
        /// What stands there.
        length: u32,
    },
    /// The checksum is that of another payload.
    #[error("the checksum of the record is {found:#010x} instead of {expected:#010x}")]
    Checksum {
        /// What stands there.
        found: u32,
        /// That of the payload.
        expected: u32,
    },
    /// The checksum is right, but the payload is not what its lengths say: the reference writes such a record for a level
    /// with a name of more than 255 bytes.
    #[error("the lengths in the record do not add up to its size")]
    Payload,
}

/// Why a whole record is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skip {
    /// A name is not UTF-8.
    #[error("a name is not UTF-8")]
    NameNotText,
    /// More levels than a selector can have.
    #[error("more than {SNAPSHOT_DEPTH_MAX} levels below the host")]
    TooManyParts,
    /// A time that no sample can have.
    #[error("the time is not within ±{TIME_SECONDS_MAX} s")]
    TimeRange,
}

/// Reads a log up to its end or to the first record that is torn or corrupt.
pub fn read(bytes: &[u8], visitor: &mut impl LogVisitor) -> LogRead {
    let mut read = LogRead { sample_count: 0, skipped_count: 0, skipped_first: None, end: End::Clean };
    let mut at = 0;
    let mut next = header(bytes);
    loop {
        match next {
            Ok([]) => return read,
            Ok(rest) => at = bytes.len() - rest.len(),
            Err(Stop::Torn) => {
                read.end = End::Torn { at };
                return read;
            }
            Err(Stop::Corrupt(why)) => {
                read.end = End::Corrupt { at, why };
                return read;
            }
        }
        next = record(&bytes[at..]).and_then(|(payload, rest)| {
            match sample(payload, visitor).ok_or(Stop::Corrupt(Corruption::Payload))? {
                Ok(()) => read.sample_count += 1,
                Err(skip) => {
                    read.skipped_count += 1;
                    read.skipped_first.get_or_insert((at, skip));
                }
            }
            Ok(rest)
        });
    }
}

enum Stop {
    Torn,
    Corrupt(Corruption),
}

/// The bytes behind the file's header. A file without any byte was created and not yet written to.
fn header(bytes: &[u8]) -> Result<&[u8], Stop> {
    if bytes.is_empty() {
        return Ok(bytes);
    }
    let magic = magic(bytes, format::FILE_MAGIC_NUMBER, |found| Corruption::FileMagic { found })?;
    Ok(&bytes[magic.len()..])
}

/// The payload of the record that `bytes` begin with, and what follows the record.
fn record(bytes: &[u8]) -> Result<(&[u8], &[u8]), Stop> {
    magic(bytes, format::RECORD_MAGIC_NUMBER, |found| Corruption::RecordMagic { found })?;
    let (header, rest) = bytes.split_at_checked(format::RECORD_HEADER_BYTES).ok_or(Stop::Torn)?;
    let length = format::PAYLOAD_LENGTH.read(header) as u32;
    if length as usize > REFERENCE_LOG_PAYLOAD_BYTES_MAX {
        return Err(Stop::Corrupt(Corruption::PayloadLength { length }));
    }
    let (payload, rest) = rest.split_at_checked(length as usize).ok_or(Stop::Torn)?;
    let (checksum, rest) = rest.split_at_checked(format::CHECKSUM.size_bytes).ok_or(Stop::Torn)?;
    let (found, expected) = (format::CHECKSUM.read(checksum) as u32, crc32fast::hash(payload));
    if found != expected {
        return Err(Stop::Corrupt(Corruption::Checksum { found, expected }));
    }
    Ok((payload, rest))
}

/// The magic number that `bytes` begin with; the beginning of one, cut off, is torn.
fn magic(bytes: &[u8], expected: u32, wrong: impl FnOnce(u32) -> Corruption) -> Result<[u8; 4], Stop> {
    let expected = expected.to_le_bytes();
    match bytes.first_chunk() {
        Some(found) if *found == expected => Ok(expected),
        Some(found) => Err(Stop::Corrupt(wrong(u32::from_le_bytes(*found)))),
        None if expected.starts_with(bytes) => Err(Stop::Torn),
        None => {
            let mut found = [0; 4];
            found[..bytes.len()].copy_from_slice(bytes);
            Err(Stop::Corrupt(wrong(u32::from_le_bytes(found))))
        }
    }
}

/// Hands the sample of a payload on. None if the payload's lengths do not add up to its size.
fn sample(payload: &[u8], visitor: &mut impl LogVisitor) -> Option<Result<(), Skip>> {
    let (header, rest) = payload.split_at_checked(format::PAYLOAD_HEADER_BYTES)?;
    let (metric, rest) = rest.split_at_checked(format::METRIC_LENGTH.read(header) as usize)?;
    let (&part_count, mut rest) = rest.split_first()?;
    let part_count = usize::from(part_count);
    let mut path = [&[][..]; SNAPSHOT_DEPTH_MAX];
    for index in 0..part_count {
        let (&length, behind) = rest.split_first()?;
        let (part, behind) = behind.split_at_checked(usize::from(length))?;
        if let Some(place) = path.get_mut(index) {
            *place = part;
        }
        rest = behind;
    }
    let value = f32::from_le_bytes(rest.try_into().ok()?);

    let Some(path) = path.get(..part_count) else {
        return Some(Err(Skip::TooManyParts));
    };
    let time = format::TIME.read(header);
    if time.unsigned_abs() > TIME_SECONDS_MAX.unsigned_abs() {
        return Some(Err(Skip::TimeRange));
    }
    let mut names = [""; SNAPSHOT_DEPTH_MAX];
    for (name, part) in names.iter_mut().zip(path) {
        let Ok(text) = std::str::from_utf8(part) else {
            return Some(Err(Skip::NameNotText));
        };
        *name = text;
    }
    let Ok(metric) = std::str::from_utf8(metric) else {
        return Some(Err(Skip::NameNotText));
    };
    visitor.sample(LogSample { path: &names[..part_count], metric, time, value });
    Some(Ok(()))
}
