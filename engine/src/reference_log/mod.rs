//! The reference's log `current.wal`: every sample of a host since its last snapshot (SPEC section 5).
//!
//! Recovery reads it after the host's snapshots; the daemon itself keeps another log and never writes this one. The
//! encoder is for exports, which take a data directory back to the reference.

pub mod encode;
pub mod format;
pub mod read;
#[cfg(test)]
mod tests;

pub use encode::{RecordError, push_header, push_record};
pub use read::{Corruption, End, LogRead, LogSample, LogVisitor, Skip, read};
