//! Writes `.bin` snapshots (`docs/format/snapshot-bin.md`).
//!
//! Before: a checkpoint walks the levels of a host. After: the bytes of the file. Counts stand before what they count,
//! so they are filled in when a level is left; no tree is built.

use super::levels::{OpenLevel, OpenLevels, assert_name, assert_series};
use super::{SnapshotSink, format, kept};

/// The bytes of one snapshot.
#[derive(Debug)]
pub struct SnapshotEncoder {
    out: Vec<u8>,
    levels: OpenLevels,
}

impl SnapshotEncoder {
    /// Begins a snapshot of the given span, in seconds, with the host's level open.
    #[must_use]
    pub fn new(from: i64, to: i64) -> Self {
        let mut out = Vec::new();
        out.extend_from_slice(&format::MAGIC_NUMBER.to_le_bytes());
        out.extend_from_slice(&from.to_le_bytes());
        out.extend_from_slice(&to.to_le_bytes());
        debug_assert_eq!(out.len(), format::HEADER_BYTES);
        let body = out.len();
        out.extend_from_slice(&0u32.to_le_bytes());
        let host = OpenLevel { begin: body, body, ..OpenLevel::default() };
        Self { out, levels: OpenLevels::new(host) }
    }

    fn name(&mut self, name: &str) {
        assert_name(name);
        self.out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        self.out.extend_from_slice(name.as_bytes());
    }

    /// Where the count of children of the open level stands.
    fn children(&mut self) -> usize {
        let out = &mut self.out;
        *self.levels.current().children.get_or_insert_with(|| {
            let at = out.len();
            out.extend_from_slice(&0u32.to_le_bytes());
            at
        })
    }

    fn fill_in(&mut self, level: &OpenLevel) {
        put_u32(&mut self.out, level.body, level.series_count);
        if let Some(at) = level.children {
            put_u32(&mut self.out, at, level.child_count);
        }
    }
}

impl SnapshotSink for SnapshotEncoder {
    fn begin(from: i64, to: i64) -> Self {
        Self::new(from, to)
    }

    fn series(&mut self, metric: &str, frequency: i64, start: i64, values: impl IntoIterator<Item = f64>) {
        assert!(self.levels.current().children.is_none(), "a level's series come before its children");
        let begin = self.out.len();
        self.name(metric);
        self.out.extend_from_slice(&frequency.to_le_bytes());
        self.out.extend_from_slice(&start.to_le_bytes());
        let count_at = self.out.len();
        self.out.extend_from_slice(&0u32.to_le_bytes());
        let values_at = self.out.len();
        let values = values.into_iter();
        self.out.reserve(values.size_hint().0.saturating_mul(format::VALUE.size_bytes));
        for value in values {
            self.out.extend_from_slice(&kept(value).to_le_bytes());
        }
        let count = (self.out.len() - values_at) / format::VALUE.size_bytes;
        if count == 0 {
            self.out.truncate(begin);
            return;
        }
        assert_series(start, frequency, count);
        let count = u32::try_from(count).expect("a snapshot's series has fewer than 2^32 values");
        put_u32(&mut self.out, count_at, count);
        self.levels.count_series();
    }

    fn open_level(&mut self, name: &str) {
        self.children();
        let begin = self.out.len();
        self.name(name);
        let body = self.out.len();
        self.out.extend_from_slice(&0u32.to_le_bytes());
        self.levels.push(OpenLevel { begin, body, ..OpenLevel::default() });
    }

    fn close_level(&mut self) {
        self.children();
        let level = self.levels.pop();
        if level.is_empty() {
            self.out.truncate(level.begin);
        } else {
            self.fill_in(&level);
        }
    }

    fn finish(mut self) -> (Vec<u8>, u64) {
        self.children();
        let levels = std::mem::replace(&mut self.levels, OpenLevels::new(OpenLevel::default()));
        let (host, series_total) = levels.finish();
        self.fill_in(&host);
        (self.out, series_total)
    }
}

fn put_u32(out: &mut [u8], at: usize, number: u32) {
    out[at..at + 4].copy_from_slice(&number.to_le_bytes());
}
