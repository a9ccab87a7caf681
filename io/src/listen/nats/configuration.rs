//! What can be wrong with the section `nats` that only its use shows.
//!
//! Found by [`address`](super::address) and [`connect`](super::connect) at the start, which ends with it.

use std::io;
use std::path::PathBuf;

/// The section `nats` cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// No URL of a broker.
    #[error(
        "nats.address: {address:?} is not the address of a NATS server ({reason}); write it as in nats://host:4222 or tls://host:4222"
    )]
    Address {
        /// As written, without users and passwords.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Too many.
    #[error("nats.address: {count} addresses, at most {count_max} are tried")]
    Addresses {
        /// How many there are.
        count: usize,
        /// The bound.
        count_max: usize,
    },
    /// A file that is missing, unreadable or something else.
    #[error("nats.{key}: cannot use {path:?}: {source}")]
    File {
        /// Which key names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}
