//! The log on disk: which files it has ([`segments`], [`names`]) and when what was written is durable ([`commit`]).
//!
//! Before it: the pump, which stores samples and encodes them as blocks of the log (`engine::wal`). After it: the
//! acknowledgement. What the bytes of a block mean is not known here, only that their number is a multiple of
//! [`SECTOR_BYTES`](crate::runtime::SECTOR_BYTES). The [`disk`] is a parameter of everything, so that tests can make
//! it fail.
//!
//! One core has one [`CommitQueue`](commit::CommitQueue), with a task of its own that writes. Nothing crosses
//! cores.

pub mod commit;
pub mod disk;
pub mod names;
mod report;
pub mod segments;
mod signal;
mod state;
pub mod statistics;
mod tickets;
mod writer;

#[cfg(test)]
mod faulty;
#[cfg(test)]
mod measure;
