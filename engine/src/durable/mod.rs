//! What survives: the log's files ([`segments`], [`names`]), when what was written is durable ([`commit`]), how samples
//! get there ([`journal`]), how snapshots make the log superfluous ([`checkpoint`]) and are removed when they
//! are out of retention ([`cleanup`]), or become rows of the archive first ([`archive`]), and how all of it is read again
//! ([`load`]).
//!
//! Before it: the pump of a core. After it: the acknowledgement. The [`platform`](crate::platform) is a parameter of
//! everything, so that a simulated one can lose, tear and fail. One core has one
//! [`CommitQueue`](commit::CommitQueue), with a task of its own that writes; nothing here crosses cores but the word
//! that the files of earlier runs are superfluous.

pub mod archive;
pub mod checkpoint;
pub mod cleanup;
pub mod commit;
pub mod journal;
pub mod load;
pub mod names;
mod parts;
mod report;
pub mod request;
mod rescue;
pub mod rounds;
pub mod segments;
mod signal;
mod state;
pub mod statistics;
mod tickets;
mod writer;
