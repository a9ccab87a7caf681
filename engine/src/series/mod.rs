//! Series: which core owns one, and what it is called there.
//!
//! [`route`] turns lines into batches of samples for the owning cores, helped by [`table`], which knows
//! every key seen before; [`declare`] carries the names of new series ahead; [`tree`] is the owner's side: levels,
//! their names, and the series at them. The other files hold what there is one of per series in few bytes.

pub(crate) mod chunks;
pub mod declare;
pub mod directory;
pub mod hosts;
mod index;
mod keys;
mod lists;
mod names;
pub mod route;
pub mod table;
pub mod tree;
