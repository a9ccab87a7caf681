//! Writes records of `current.wal` (`docs/format/reference-log.md`).

use super::format;
use crate::limits;

/// Why a sample cannot stand in the reference's log; a snapshot can hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A level's name is too long for its length field.
    #[error("a level's name has {length} bytes, a record holds at most {max}; write a snapshot instead", max = u8::MAX)]
    PartTooLong {
        /// Its bytes.
        length: usize,
    },
    /// Too many levels for a reader.
    #[error(
        "{count} levels below the host, at most {max} can be read back; shorten the selector",
        max = limits::SNAPSHOT_DEPTH_MAX
    )]
    TooManyParts {
        /// How many there are.
        count: usize,
    },
    /// The metric's name is too long.
    #[error(
        "a metric's name has {length} bytes, at most {max} are possible; shorten it",
        max = limits::METRIC_NAME_BYTES_MAX
    )]
    MetricTooLong {
        /// Its bytes.
        length: usize,
    },
    /// No sample has this time.
    #[error("the time {time} s is not within ±{max}; leave the sample out", max = limits::TIME_SECONDS_MAX)]
    TimeRange {
        /// In seconds.
        time: i64,
    },
}

/// Appends the header of a file.
pub fn push_header(out: &mut Vec<u8>) {
    out.extend_from_slice(&format::FILE_MAGIC_NUMBER.to_le_bytes());
}

/// Appends the record of one sample: names of the levels below the host, time in seconds.
///
/// # Errors
/// What the format cannot hold; nothing is appended then.
pub fn push_record(
    out: &mut Vec<u8>,
    path: &[&str],
    metric: &str,
    time: i64,
    value: f32,
) -> Result<(), RecordError> {
    if let Some(part) = path.iter().find(|part| part.len() > usize::from(u8::MAX)) {
        return Err(RecordError::PartTooLong { length: part.len() });
    }
    if path.len() > limits::SNAPSHOT_DEPTH_MAX {
        return Err(RecordError::TooManyParts { count: path.len() });
    }
    if metric.len() > limits::METRIC_NAME_BYTES_MAX {
        return Err(RecordError::MetricTooLong { length: metric.len() });
    }
    if time.unsigned_abs() > limits::TIME_SECONDS_MAX.unsigned_abs() {
        return Err(RecordError::TimeRange { time });
    }

    out.extend_from_slice(&format::RECORD_MAGIC_NUMBER.to_le_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0; format::PAYLOAD_LENGTH.size_bytes]);
    let payload_at = out.len();
    out.extend_from_slice(&time.to_le_bytes());
    out.extend_from_slice(&(metric.len() as u16).to_le_bytes());
    out.extend_from_slice(metric.as_bytes());
    out.push(path.len() as u8);
    for part in path {
        out.push(part.len() as u8);
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(&value.to_le_bytes());
    let length = (out.len() - payload_at) as u32;
    out[length_at..payload_at].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32fast::hash(&out[payload_at..]);
    out.extend_from_slice(&checksum.to_le_bytes());
    Ok(())
}

// Counts and lengths that pass the checks fit their fields, and a reader takes the longest record.
const _: () = assert!(limits::SNAPSHOT_DEPTH_MAX <= u8::MAX as usize);
const _: () = assert!(limits::METRIC_NAME_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(
    format::PAYLOAD_HEADER_BYTES
        + limits::METRIC_NAME_BYTES_MAX
        + format::PART_COUNT.size_bytes
        + limits::SNAPSHOT_DEPTH_MAX * (format::PART_LENGTH.size_bytes + u8::MAX as usize)
        + format::VALUE.size_bytes
        <= limits::REFERENCE_LOG_PAYLOAD_BYTES_MAX
);
