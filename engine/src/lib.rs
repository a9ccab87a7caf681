//! The pure part of the metric store.
//!
//! Everything a sample meets between the socket and the answer, without I/O, without a clock and
//! without threads: callers pass bytes and times in and get bytes out. The modules stand in the order
//! in which a sample passes them.

pub mod archive;
pub mod checkpoint;
pub mod config;
pub mod durable;
pub mod durations;
pub mod inspect;
pub mod limits;
pub mod line;
pub mod memory;
pub mod platform;
pub mod progress;
pub mod promql;
pub mod pump;
pub mod query;
pub mod recovery;
pub mod reference_log;
pub mod remote_write;
pub mod series;
pub mod sync;
pub mod testing;
pub mod wal;
