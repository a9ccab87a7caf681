//! Tools beside the daemon: readers never change what they read; `crash-rounds` works on a directory of its own.

pub mod crash;
pub mod dump;
pub mod export;
pub mod nats;
pub mod progress;
