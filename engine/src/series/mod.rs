//! Series: which core owns one, and what it is called there.
//!
//! [`route`] turns lines into batches of samples for the owning cores, helped by [`table`], which knows
//! every key seen before; [`tree`] is the owner's side: levels, their names, and the series at them.

pub mod directory;
pub mod hosts;
pub mod route;
pub mod table;
pub mod tree;
