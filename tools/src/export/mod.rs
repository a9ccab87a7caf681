//! What `checkpoint-export` does: the daemon's own log becomes files that the reference reads.
//!
//! In the order of the samples: [`metrics_config`] says which metrics there are, [`log_directory`] finds the segments,
//! [`load`] replays them into a shard as a start of the daemon does, [`host_files`] encodes a host of it, and
//! [`write_new`] puts that on disk beside what is there. [`retention`] reads the duration of the command line.

pub mod host_files;
pub mod load;
pub mod log_directory;
pub mod metrics_config;
pub mod retention;
pub mod write_new;
