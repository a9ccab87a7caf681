//! Packing: the values of a buffer as bits, lossless for every `f64` (a NaN means missing).
//!
//! A buffer's values are packed while it is being written, all but the last few. [`transform`] makes integers of
//! values, [`parameters`] says how a block's integers become codes of few bits, [`plan`] chooses
//! that for given values, [`bits`] lays codes side by side in words, [`blocks`] is the whole string of a buffer, and
//! [`tail`] appends to its end, in groups of eight. `docs/decisions/0004-compression.md` says why it is made like this.

mod batch;
pub mod bits;
pub mod blocks;
pub mod lanes;
pub mod parameters;
pub mod plan;
mod review;
pub mod tail;
pub mod transform;

#[cfg(test)]
mod tests;
