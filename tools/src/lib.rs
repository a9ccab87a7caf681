//! Tools beside the daemon.
//!
//! They look at files of the daemon and of the reference, and never change one.

pub mod dump;
