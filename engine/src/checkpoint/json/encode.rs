//! Writes `.json` snapshots; see [`super`].

use std::io::Write;

use super::super::levels::{OpenLevel, OpenLevels, assert_name, assert_series};
use super::super::{SnapshotSink, kept};

/// The bytes of one snapshot.
#[derive(Debug)]
pub struct JsonSnapshotEncoder {
    out: Vec<u8>,
    from: i64,
    to: i64,
    levels: OpenLevels,
}

impl JsonSnapshotEncoder {
    /// Begins a snapshot of the given span, in seconds, with the host's level open.
    #[must_use]
    pub fn new(from: i64, to: i64) -> Self {
        let out = br#"{"metrics":{"#.to_vec();
        let host = OpenLevel { body: out.len(), ..OpenLevel::default() };
        Self { out, from, to, levels: OpenLevels::new(host) }
    }

    /// Ends the list of series of the open level, once.
    fn children(&mut self) {
        let out = &mut self.out;
        self.levels.current().children.get_or_insert_with(|| {
            out.extend_from_slice(br#"},"children":{"#);
            out.len()
        });
    }
}

impl SnapshotSink for JsonSnapshotEncoder {
    fn begin(from: i64, to: i64) -> Self {
        Self::new(from, to)
    }

    fn series(&mut self, metric: &str, frequency: i64, start: i64, values: impl IntoIterator<Item = f64>) {
        assert!(self.levels.current().children.is_none(), "a level's series come before its children");
        assert_name(metric);
        let begin = self.out.len();
        if self.levels.current().series_count > 0 {
            self.out.push(b',');
        }
        push_string(&mut self.out, metric);
        self.out.extend_from_slice(br#":{"frequency":"#);
        push_integer(&mut self.out, frequency);
        self.out.extend_from_slice(br#","start":"#);
        push_integer(&mut self.out, start);
        self.out.extend_from_slice(br#","data":["#);
        let mut count = 0;
        for value in values {
            if count > 0 {
                self.out.push(b',');
            }
            push_value(&mut self.out, value);
            count += 1;
        }
        if count == 0 {
            self.out.truncate(begin);
            return;
        }
        assert_series(start, frequency, count);
        self.out.extend_from_slice(b"]}");
        self.levels.count_series();
    }

    fn open_level(&mut self, name: &str) {
        assert_name(name);
        self.children();
        let begin = self.out.len();
        if self.levels.current().child_count > 0 {
            self.out.push(b',');
        }
        push_string(&mut self.out, name);
        self.out.extend_from_slice(br#":{"metrics":{"#);
        let body = self.out.len();
        self.levels.push(OpenLevel { begin, body, ..OpenLevel::default() });
    }

    fn close_level(&mut self) {
        self.children();
        let level = self.levels.pop();
        if level.is_empty() {
            self.out.truncate(level.begin);
        } else {
            self.out.extend_from_slice(b"}}");
        }
    }

    fn finish(mut self) -> (Vec<u8>, u64) {
        self.children();
        self.out.extend_from_slice(br#"},"from":"#);
        push_integer(&mut self.out, self.from);
        self.out.extend_from_slice(br#","to":"#);
        push_integer(&mut self.out, self.to);
        self.out.extend_from_slice(b"}\n");
        (self.out, self.levels.finish().1)
    }
}

/// The shortest decimal that reads back as the same `f32`; what JSON cannot hold is `null`.
fn push_value(out: &mut Vec<u8>, value: f64) {
    let kept = kept(value);
    let written = if kept.is_finite() { write!(out, "{kept:?}") } else { out.write_all(b"null") };
    written.expect("writing to memory cannot fail");
}

fn push_integer(out: &mut Vec<u8>, number: i64) {
    write!(out, "{number}").expect("writing to memory cannot fail");
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("writing text to memory cannot fail");
}
