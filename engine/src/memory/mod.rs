//! Memory: where samples stay until they are read, saved or freed (SPEC section 1).
//!
//! A [`shard::Shard`] is all that one core owns: the tree of its hosts, a [`chain::Chain`] of
//! [`buffer::Buffer`]s per series, and the [`pool::Pool`] their memory comes from. All values but the last eight of
//! a series are packed ([`pack`]).

pub mod account;
pub mod buffer;
pub mod cap;
pub mod chain;
mod open;
pub mod pack;
pub mod pool;
pub mod retention;
pub mod save;
pub mod shard;
pub mod snapshot;
pub mod spared;
pub mod unsaved;
pub mod work;
