//! A position in the bytes of a `.bin` snapshot. Every length is compared with what is left.

use super::field::Field;
use super::{SnapshotError, format};

/// Where the decoder stands.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `needed` bytes.
    pub(super) fn take(&mut self, needed: u64, what: &'static str) -> Result<&'a [u8], SnapshotError> {
        let left = self.left();
        let length = usize::try_from(needed).ok().filter(|&length| length <= left);
        let length = length.ok_or(SnapshotError::CutShort { at: self.at, what, needed, left })?;
        let taken = &self.bytes[self.at..][..length];
        self.at += length;
        Ok(taken)
    }

    /// A count of things that take at least `each_bytes_min` bytes, all of which must fit the rest of the file.
    pub(super) fn count(&mut self, field: &Field, each_bytes_min: usize) -> Result<u64, SnapshotError> {
        let at = self.at;
        let count = field.read(self.take(field.size_bytes as u64, field.name)?).unsigned_abs();
        let (needed, left) = (count * each_bytes_min as u64, self.left());
        if needed > left as u64 {
            return Err(SnapshotError::CutShort { at, what: field.name, needed, left });
        }
        Ok(count)
    }

    /// A name and where it begins.
    pub(super) fn name(&mut self, what: &'static str) -> Result<&'a str, SnapshotError> {
        let length = &format::NAME_LENGTH;
        let needed = length.read(self.take(length.size_bytes as u64, length.name)?).unsigned_abs();
        let at = self.at;
        let bytes = self.take(needed, what)?;
        std::str::from_utf8(bytes).map_err(|_| SnapshotError::NameNotText { at, what })
    }
}
