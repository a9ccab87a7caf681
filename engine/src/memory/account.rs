//! How many bytes a shard holds, by what they are for (SPEC section 6, `memory-cap`).
//!
//! Counted as it changes, without walking over what there is.

/// What a small allocation of so many bytes takes: allocators round up, and most keep a word of their own.
#[must_use]
pub fn allocation_bytes(bytes: usize) -> u64 {
    if bytes == 0 { 0 } else { (bytes as u64 + 8).next_multiple_of(16) }
}

/// Bytes of one shard, without its tree of names and what leads there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryBytes {
    /// Pages of packed values, pieces that are free included.
    pub pages: u64,
    /// Of the pages: what is in use. Not part of the total.
    pub pages_used: u64,
    /// What finds pages.
    pub page_tables: u64,
    /// Series, their newest buffers included.
    pub series: u64,
    /// Older buffers, without their values.
    pub older_buffers: u64,
}

impl MemoryBytes {
    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { pages, pages_used: _, page_tables, series, older_buffers } = *self;
        pages + page_tables + series + older_buffers
    }
}
