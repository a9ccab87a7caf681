//! A NATS broker as a process, and a plain client of it: what tests and benches need to try the daemon's bridge against
//! the real thing.
//!
//! [`broker`] starts `nats-server`; [`client`] speaks its text protocol, apart from the client library the daemon uses.

pub mod broker;
pub mod client;
