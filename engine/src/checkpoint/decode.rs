//! Reads `.bin` snapshots (`docs/format/snapshot-bin.md`).
//!
//! Before: the bytes of a file. After: its series, handed to a visitor. Nothing is allocated. The format has no
//! checksum: a flipped bit in a value, a name or a time may go unnoticed; one that breaks the structure does not.

use super::cursor::Cursor;
use super::visit::check_series;
use super::{SnapshotError, SnapshotHeader, SnapshotSeries, SnapshotVisitor, Values, format};
use crate::limits::SNAPSHOT_DEPTH_MAX;

/// Reads a whole snapshot. The file is checked from beginning to end before the visitor sees anything of it.
///
/// # Errors
/// What is wrong with the file, and where. The visitor has seen nothing then.
pub fn decode(bytes: &[u8], visitor: &mut impl SnapshotVisitor) -> Result<SnapshotHeader, SnapshotError> {
    walk(bytes, &mut |_: SnapshotSeries<'_>| ())?;
    walk(bytes, visitor)
}

fn walk(bytes: &[u8], visitor: &mut impl SnapshotVisitor) -> Result<SnapshotHeader, SnapshotError> {
    let mut cursor = Cursor::new(bytes);
    let magic = cursor.take(format::MAGIC.size_bytes as u64, format::MAGIC.name)?;
    let found = format::MAGIC.read(magic) as u32;
    if found != format::MAGIC_NUMBER {
        return Err(SnapshotError::WrongMagic { found });
    }
    cursor.take((format::HEADER_BYTES - format::MAGIC.end_bytes()) as u64, "the header")?;
    let header = SnapshotHeader { from: format::FROM.read(bytes), to: format::TO.read(bytes) };
    header.check(format::FROM.offset_bytes)?;
    level(&mut cursor, &mut [""; SNAPSHOT_DEPTH_MAX], 0, visitor)?;
    match cursor.left() {
        0 => Ok(header),
        left => Err(SnapshotError::TrailingBytes { at: cursor.at(), left }),
    }
}

/// Reads the level that `path[..depth]` leads to. It recurses at most [`SNAPSHOT_DEPTH_MAX`] times.
fn level<'a>(
    cursor: &mut Cursor<'a>,
    path: &mut [&'a str; SNAPSHOT_DEPTH_MAX],
    depth: usize,
    visitor: &mut impl SnapshotVisitor,
) -> Result<(), SnapshotError> {
    for _ in 0..cursor.count(&format::SERIES_COUNT, format::SERIES_BYTES_MIN)? {
        let metric = cursor.name("metric")?;
        let at = cursor.at();
        let fields = cursor.take(format::SERIES_BYTES as u64, "a series")?;
        let (frequency, start) = (format::FREQUENCY.read(fields), format::START.read(fields));
        let count = format::VALUE_COUNT.read(fields).unsigned_abs();
        let values = cursor.take(count * format::VALUE.size_bytes as u64, "the values of a series")?;
        check_series(start, frequency, values.len() / format::VALUE.size_bytes, at)?;
        visitor.series(SnapshotSeries {
            path: &path[..depth],
            metric,
            frequency,
            start,
            values: Values::binary(values),
        });
    }
    for _ in 0..cursor.count(&format::CHILD_COUNT, format::CHILD_BYTES_MIN)? {
        if depth == SNAPSHOT_DEPTH_MAX {
            return Err(SnapshotError::TooDeep { at: cursor.at() });
        }
        path[depth] = cursor.name("level")?;
        level(cursor, path, depth + 1, visitor)?;
    }
    Ok(())
}
