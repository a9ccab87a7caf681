//! Lock-free primitives: what crosses cores crosses here.
//!
//! This is the only place with unsafe code. `atomics` supplies the atomics, so that the models in
//! `loom-tests` run the same code under every interleaving; each atomic names its writer, its readers
//! and its orderings. `fault` weakens them one at a time, to show that the models would notice.

mod atomics;
pub mod budget;
pub mod countdown;
pub mod doorbell;
pub mod fault;
pub mod flag;
pub mod mailbox;
pub mod published;
