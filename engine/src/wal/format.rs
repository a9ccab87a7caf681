//! Where the bytes of a segment stand. The page `docs/format/log.md` explains them and is held against this file
//! by a test.

/// Headers and blocks begin at multiples of this; what is written is padded to it with zeros.
pub const SECTOR_BYTES: usize = 512;

/// The first bytes of a segment.
pub(super) const MAGIC: [u8; 8] = *b"CCMSLOG\n";
/// Changes with every change of the bytes.
pub(super) const VERSION: u32 = 1;

/// A little-endian number at a fixed place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) offset: usize,
    pub(super) size: usize,
}

impl Field {
    const fn first(name: &'static str, size: usize) -> Self {
        Self { name, offset: 0, size }
    }

    const fn then(self, name: &'static str, size: usize) -> Self {
        Self { name, offset: self.end(), size }
    }

    pub(super) const fn end(self) -> usize {
        self.offset + self.size
    }

    /// The bytes of the field; `N` is its size and `bytes` reach to its end.
    #[inline]
    pub(super) fn get<const N: usize>(self, bytes: &[u8]) -> [u8; N] {
        let mut value = [0; N];
        value.copy_from_slice(&bytes[self.offset..self.end()]);
        value
    }

    /// Stores the bytes of the field; `value` has its size.
    #[inline]
    pub(super) fn put(self, bytes: &mut [u8], value: &[u8]) {
        bytes[self.offset..self.end()].copy_from_slice(value);
    }
}

pub(super) const SEGMENT_MAGIC: Field = Field::first("magic", 8);
pub(super) const SEGMENT_VERSION: Field = SEGMENT_MAGIC.then("version", 4);
pub(super) const SEGMENT_CORE: Field = SEGMENT_VERSION.then("core", 2);
pub(super) const SEGMENT_CORES: Field = SEGMENT_CORE.then("cores", 2);
pub(super) const SEGMENT_ID: Field = SEGMENT_CORES.then("segment id", 8);
pub(super) const SEGMENT_CREATED: Field = SEGMENT_ID.then("created", 8);
pub(super) const SEGMENT_CRC: Field = SEGMENT_CREATED.then("crc32", 4);
pub(super) const SEGMENT_HEADER_BYTES: usize = SEGMENT_CRC.end();

// The checksum stands first, so that it covers one piece: everything from the next field to the end of the payload.
pub(super) const BLOCK_CRC: Field = Field::first("crc32", 4);
pub(super) const BLOCK_LENGTH: Field = BLOCK_CRC.then("length", 4);
pub(super) const BLOCK_SEGMENT: Field = BLOCK_LENGTH.then("segment id", 8);
pub(super) const BLOCK_SEQUENCE: Field = BLOCK_SEGMENT.then("sequence", 8);
pub(super) const BLOCK_SETTLED: Field = BLOCK_SEQUENCE.then("settled", 8);
pub(super) const BLOCK_HEADER_BYTES: usize = BLOCK_SETTLED.end();

/// First byte of a declaration.
pub(super) const DECLARATION: u8 = 1;
/// First byte of a run of samples.
pub(super) const RUN: u8 = 2;
/// First byte of a free.
pub(super) const FREE: u8 = 3;

/// Bits of a declaration's shape: how many leading names are those of the declaration before.
pub(super) const SHAPE_SHARED: u8 = 0b0000_0111;
/// The metric is that of the declaration before.
pub(super) const SHAPE_METRIC_SHARED: u8 = 0b0000_1000;
/// From this bit on: how many names follow.
pub(super) const SHAPE_NAMES_SHIFT: u32 = 4;

/// A run before its first sample: kind and number of samples (`u32`).
pub(super) const RUN_HEADER_BYTES: usize = 5;
/// A sample whose two differences fit one byte each.
pub(super) const SAMPLE_BYTES_MIN: usize = 10;
/// A sample whose differences are as long as varints get.
pub(super) const SAMPLE_BYTES_MAX: usize = 5 + 10 + 8;

/// `bytes` up to the next multiple of [`SECTOR_BYTES`].
#[inline]
pub(super) const fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(SECTOR_BYTES)
}

const _: () = assert!(SEGMENT_HEADER_BYTES <= SECTOR_BYTES);
const _: () = assert!(BLOCK_HEADER_BYTES + SAMPLE_BYTES_MAX <= SECTOR_BYTES);
const _: () = assert!(crate::limits::LOG_PATH_NAMES_MAX <= SHAPE_SHARED as usize);

#[cfg(test)]
mod tests;
