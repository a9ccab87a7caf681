//! One field of a binary format: its place, its type, its name.
//!
//! The format modules list their fields with this, the decoders read through it, and a test holds the same
//! list against the byte tables in `docs/format/`.

/// A field of fixed size in a group of fields. All integers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// As the byte table calls it.
    pub name: &'static str,
    /// From the beginning of its group.
    pub offset_bytes: usize,
    /// `u8`, `u16`, `u32`, `i64` or `f32`.
    pub kind: &'static str,
    /// Its size.
    pub size_bytes: usize,
}

impl Field {
    /// A `u8`.
    #[must_use]
    pub const fn u8(name: &'static str, offset_bytes: usize) -> Self {
        Self { name, offset_bytes, kind: "u8", size_bytes: 1 }
    }

    /// A `u16`.
    #[must_use]
    pub const fn u16(name: &'static str, offset_bytes: usize) -> Self {
        Self { name, offset_bytes, kind: "u16", size_bytes: 2 }
    }

    /// A `u32`.
    #[must_use]
    pub const fn u32(name: &'static str, offset_bytes: usize) -> Self {
        Self { name, offset_bytes, kind: "u32", size_bytes: 4 }
    }

    /// An `i64`.
    #[must_use]
    pub const fn i64(name: &'static str, offset_bytes: usize) -> Self {
        Self { name, offset_bytes, kind: "i64", size_bytes: 8 }
    }

    /// An `f32`.
    #[must_use]
    pub const fn f32(name: &'static str, offset_bytes: usize) -> Self {
        Self { name, offset_bytes, kind: "f32", size_bytes: 4 }
    }

    /// Where the next field begins.
    #[must_use]
    pub const fn end_bytes(&self) -> usize {
        self.offset_bytes + self.size_bytes
    }

    /// The field as a whole number, sign extended for an `i64`. `group` must reach to its end.
    #[must_use]
    pub(crate) fn read(&self, group: &[u8]) -> i64 {
        debug_assert!(self.kind != "f32");
        let mut number = [0; 8];
        number[..self.size_bytes].copy_from_slice(&group[self.offset_bytes..self.end_bytes()]);
        i64::from_le_bytes(number)
    }
}
