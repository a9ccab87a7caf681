//! For tests alone: a simulated machine, and the simulator that lets the engine's log, checkpoints and recovery run on it.
//!
//! Everything follows from a seed ([`random`]): the order of tasks and the time ([`executor`]), what the disk does
//! ([`disk`], [`faults`]), what is sent, and when the machine loses its power ([`simulation`]). The daemon uses nothing
//! of it; tests and `simulate` in the tools do. `docs/testing.md` says how to run it.

pub mod archiving;
pub mod disk;
pub mod executor;
pub mod faults;
mod inode;
mod names;
pub mod platform;
pub mod random;
pub mod simulation;
