//! The bytes of `current.wal`; `docs/format/reference-log.md` explains them, a test holds it against this file.

use crate::checkpoint::field::Field;

/// The first four bytes of every log.
pub const FILE_MAGIC_NUMBER: u32 = 0xCC1D_A701;
/// The first four bytes of every record.
pub const RECORD_MAGIC_NUMBER: u32 = 0xCC1D_A7A1;

/// File header: [`FILE_MAGIC_NUMBER`].
pub const FILE_MAGIC: Field = Field::u32("file magic", 0);

/// Record: [`RECORD_MAGIC_NUMBER`].
pub const RECORD_MAGIC: Field = Field::u32("record magic", 0);
/// Record: bytes of payload that follow, at most [`crate::limits::REFERENCE_LOG_PAYLOAD_BYTES_MAX`].
pub const PAYLOAD_LENGTH: Field = Field::u32("payload length", 4);
/// Size of the fields before the payload.
pub const RECORD_HEADER_BYTES: usize = PAYLOAD_LENGTH.end_bytes();
/// Behind the payload: its CRC-32 (IEEE).
pub const CHECKSUM: Field = Field::u32("checksum", 0);

/// Payload: time of the sample, in seconds.
pub const TIME: Field = Field::i64("time", 0);
/// Payload: how many bytes of metric name follow.
pub const METRIC_LENGTH: Field = Field::u16("metric length", 8);
/// Size of the fields before the metric's name.
pub const PAYLOAD_HEADER_BYTES: usize = METRIC_LENGTH.end_bytes();
/// Behind the metric's name: how many levels below the host follow.
pub const PART_COUNT: Field = Field::u8("part count", 0);
/// Begin of a level: how many bytes of name follow.
pub const PART_LENGTH: Field = Field::u8("part length", 0);
/// Behind the levels: the value.
pub const VALUE: Field = Field::f32("value", 0);

/// The groups of fields, under the headings that the byte tables have.
pub const GROUPS: [(&str, &[Field]); 7] = [
    ("File header", &[FILE_MAGIC]),
    ("Record", &[RECORD_MAGIC, PAYLOAD_LENGTH]),
    ("Checksum", &[CHECKSUM]),
    ("Payload", &[TIME, METRIC_LENGTH]),
    ("Selector", &[PART_COUNT]),
    ("Part of the selector", &[PART_LENGTH]),
    ("Value", &[VALUE]),
];
