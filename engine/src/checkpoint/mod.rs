//! Snapshots: all samples of a host since the last checkpoint, in a file the reference can read (SPEC section 5).
//!
//! Before: the chains of a host, walked by a checkpoint, or the bytes of a file, read by recovery. After: bytes
//! for a file, or series handed to a visitor. Both formats, `.bin` and `.json`, are written through
//! [`SnapshotSink`] and read through [`SnapshotVisitor`]; neither builds a tree.

mod cursor;
pub mod decode;
pub mod encode;
pub mod error;
pub mod expiry;
pub mod field;
pub mod file_name;
pub mod format;
pub mod json;
mod levels;
mod sink;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod visit;

pub use encode::SnapshotEncoder;
pub use error::SnapshotError;
pub use file_name::Kind;
pub use json::JsonSnapshotEncoder;
pub use sink::{SnapshotSink, kept};
pub use visit::{SnapshotHeader, SnapshotSeries, SnapshotVisitor, Values};

/// Reads a snapshot of either format; see [`decode::decode`] and [`json::decode`].
///
/// # Errors
/// What is wrong with the file, and where. The visitor has seen nothing then.
pub fn decode_as(
    kind: Kind,
    bytes: &[u8],
    visitor: &mut impl SnapshotVisitor,
) -> Result<SnapshotHeader, SnapshotError> {
    match kind {
        Kind::Binary => decode::decode(bytes, visitor),
        Kind::Json => json::decode(bytes, visitor),
    }
}
