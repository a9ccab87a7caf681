//! The log of a core, without the disk: bytes in, bytes out (DESIGN decisions 4 and 6).
//!
//! A sample comes here from the shard, which has just stored it, and leaves as part of a block that the daemon writes
//! and syncs before the sample is acknowledged. After a crash the blocks come back through [`replay`].
//! Where the bytes stand is described in `docs/format/log.md`.

mod declared;
pub mod encode;
mod format;
mod records;
pub mod replay;
pub mod segment;
mod varint;

#[cfg(test)]
mod tests;

pub use format::SECTOR_BYTES;
pub use records::RecordDamage;
