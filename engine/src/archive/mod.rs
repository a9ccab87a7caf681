//! The archive: snapshots of hosts as rows of a Parquet file (SPEC section 6, `docs/format/archive.md`).
//!
//! Before: snapshots out of retention, read by [`durable::archive`](crate::durable::archive). [`merge`] puts those of a host
//! in the order of rows, [`scope`] names their levels, [`writer`] makes row groups of them. After: bytes for a file. Nothing
//! here does I/O; of one host, the values and one row group are held at a time.

pub mod merge;
pub mod schema;
pub mod scope;
pub mod sources;
pub mod writer;

pub use merge::{HostRows, RowMerge};
pub use scope::Scope;
pub use sources::{Source, Sources};
pub use writer::{ArchiveError, ArchiveWriter};

#[cfg(test)]
mod tests;
