//! The bytes of a `.bin` snapshot; `docs/format/snapshot-bin.md` explains them, a test holds it against this file.

use super::field::Field;

/// The first four bytes of every `.bin` snapshot.
pub const MAGIC_NUMBER: u32 = 0xCC5B_0001;

/// Header: [`MAGIC_NUMBER`].
pub const MAGIC: Field = Field::u32("magic", 0);
/// Header: begin of the span, in seconds.
pub const FROM: Field = Field::i64("from", 4);
/// Header: end of the span, in seconds.
pub const TO: Field = Field::i64("to", 12);
/// Size of the header; the host's level follows.
pub const HEADER_BYTES: usize = TO.end_bytes();

/// Begin of a level: how many series follow.
pub const SERIES_COUNT: Field = Field::u32("series count", 0);
/// Behind the series of a level: how many children follow.
pub const CHILD_COUNT: Field = Field::u32("child count", 0);

/// Begin of a series or child: how many bytes of name follow.
pub const NAME_LENGTH: Field = Field::u16("name length", 0);

/// Behind a series' name: seconds per value.
pub const FREQUENCY: Field = Field::i64("frequency", 0);
/// Behind a series' name: time of the first value, in seconds.
pub const START: Field = Field::i64("start", 8);
/// Behind a series' name: how many values follow.
pub const VALUE_COUNT: Field = Field::u32("value count", 16);
/// Size of the fields between a series' name and its values.
pub const SERIES_BYTES: usize = VALUE_COUNT.end_bytes();
/// One value; NaN where it is missing.
pub const VALUE: Field = Field::f32("value", 0);

/// Smallest series: an empty name and no values.
pub const SERIES_BYTES_MIN: usize = NAME_LENGTH.size_bytes + SERIES_BYTES;
/// Smallest level: neither series nor children.
pub const LEVEL_BYTES_MIN: usize = SERIES_COUNT.size_bytes + CHILD_COUNT.size_bytes;
/// Smallest child: an empty name before an empty level.
pub const CHILD_BYTES_MIN: usize = NAME_LENGTH.size_bytes + LEVEL_BYTES_MIN;

/// The groups of fields, under the headings that the byte tables have.
pub const GROUPS: [(&str, &[Field]); 6] = [
    ("Header", &[MAGIC, FROM, TO]),
    ("Level", &[SERIES_COUNT]),
    ("Children of a level", &[CHILD_COUNT]),
    ("Name", &[NAME_LENGTH]),
    ("Series", &[FREQUENCY, START, VALUE_COUNT]),
    ("Value", &[VALUE]),
];

// Every name that may enter has a length that fits its field.
const _: () = assert!(crate::limits::METRIC_NAME_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(crate::limits::SELECTOR_PART_BYTES_MAX <= u16::MAX as usize);
