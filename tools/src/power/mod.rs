//! Loss of power for the real daemon: its writes are recorded, and what a disk may hold at any moment is made from them.
//!
//! The daemon runs with its data on a file system of ours ([`filesystem`], through FUSE), which keeps everything in memory
//! ([`disk`]) and a journal of all operations ([`journal`]). A client notes of each batch which operations came before
//! it was sent and before it was acknowledged ([`history`]). Then, for many positions in the journal, an [`image`] is made:
//! what was synced before is there, what was not is kept or lost, sector by sector ([`file`]) and name by name
//! ([`names`]). The daemon starts on each of them, and everything that was acknowledged must be there
//! ([`check`]). Then the next round goes on from one of these moments ([`rounds`]).
//!
//! Unlike the simulator of the engine, this is the binary that ships, with its own calls of the kernel: whether a file
//! is opened so that a write is durable, and a directory synced, is seen here as a disk sees it.

pub mod check;
pub mod content;
pub mod disk;
pub mod file;
pub mod filesystem;
pub mod history;
pub mod image;
pub mod journal;
pub mod names;
pub mod record;
pub mod recorder;
pub mod rounds;
