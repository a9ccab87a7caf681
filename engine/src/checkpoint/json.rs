//! `.json` snapshots (`docs/format/snapshot-json.md`): the tree of a `.bin` snapshot as text.
//!
//! Written where `checkpoints.file-format` is `json`, and read wherever one is found. The reference writes one decimal
//! of each value; we write as many as an `f32` needs, which it reads as well.

mod decode;
mod encode;
mod scan;

pub(super) use decode::JsonValues;
pub use decode::decode;
pub use encode::JsonSnapshotEncoder;

/// Keys of the whole file's object, in the order in which they are written; a level below has the first two.
pub const FILE_KEYS: [&str; 4] = ["metrics", "children", "from", "to"];
/// Keys of a series' object, in the order in which they are written.
pub const SERIES_KEYS: [&str; 3] = ["frequency", "start", "data"];
