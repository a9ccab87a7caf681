//! Tools beside the daemon: readers never change what they read; `crash-rounds` and `power-loss` work on directories
//! of their own.

pub mod crash;
pub mod dump;
pub mod export;
pub mod nats;
pub mod power;
pub mod progress;
