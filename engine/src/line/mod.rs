//! Line protocol: from the bytes of a transport to series, value and time (SPEC section 2).
//!
//! In the order in which a line passes: [`stream_start`] takes off a byte order mark, [`frame`] cuts whole lines out of a stream, [`decode`] walks over
//! them, [`key`] reads measurement and tags of a line seen for the first time (all later ones are found
//! by their raw bytes in [`crate::series::table`]), [`value`] and [`timestamp`] read the rest. What
//! comes out are batches of [`crate::series::route::Sample`], one per owning core.

pub mod decode;
pub mod error;
pub mod frame;
pub mod key;
mod other_format;
pub mod stream_start;
pub mod timestamp;
pub mod value;
