//! What a file holds: its series, and how it ends.

use std::collections::BTreeMap;

use engine::checkpoint::{Kind, SnapshotError, SnapshotSeries, decode_as};
use engine::reference_log::{self, Corruption, LogSample, Skip};
use engine::wal::replay::{self, End, Visitor};
use engine::wal::segment::HeaderError;

use super::file_kind::FileKind;

/// Where a series is and what it is called. In a log segment the path begins with cluster and host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesName {
    /// Names of the levels.
    pub path: Vec<String>,
    /// The metric.
    pub metric: String,
}

/// What a file holds of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesContent {
    /// Seconds per value; a log does not say.
    pub frequency_seconds: Option<i64>,
    /// Times of the earliest and the latest value, in seconds.
    pub span_seconds: Option<(i64, i64)>,
    /// Values that are there.
    pub value_count: u64,
    /// Slots without a value.
    pub missing_count: u64,
    /// Time in seconds and value, in the order of the file; NaN is a slot without one. Empty unless asked for.
    pub samples: Vec<(i64, f64)>,
}

impl SeriesContent {
    fn add(&mut self, time: i64, value: f64, keep: bool) {
        if value.is_nan() {
            self.missing_count += 1;
        } else {
            self.value_count += 1;
            let (first, last) = self.span_seconds.unwrap_or((time, time));
            self.span_seconds = Some((first.min(time), last.max(time)));
        }
        if keep {
            self.samples.push((time, value));
        }
    }
}

/// What is wrong with a file. What was read before it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogDamage {
    /// The file ends within a record.
    #[error("byte {at}: the record that begins here is cut off; what stands before it is whole")]
    Torn {
        /// Where the record begins.
        at: usize,
    },
    /// Something else stands where a record should.
    #[error("byte {at}: {why}; what stands before it is whole")]
    Corrupt {
        /// Where it stands.
        at: usize,
        /// What is wrong.
        why: Corruption,
    },
    /// Records were left out.
    #[error("byte {at}: {why}; {count} such records were left out")]
    Skipped {
        /// Where the first one begins.
        at: usize,
        /// What is wrong with it.
        why: Skip,
        /// How many.
        count: u64,
    },
}

/// Why a file, or its end, cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A snapshot; nothing of it is used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The reference's log.
    #[error(transparent)]
    ReferenceLog(#[from] LogDamage),
    /// The header of a log segment.
    #[error(transparent)]
    SegmentHeader(#[from] HeaderError),
    /// The end of a log segment.
    #[error("{0}")]
    SegmentEnd(End),
}

/// A file's content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// Span of a snapshot, in seconds.
    pub header: Option<(i64, i64)>,
    /// By name.
    pub series: BTreeMap<SeriesName, SeriesContent>,
    /// In a log segment: what was freed, as path and time in seconds before which it was.
    pub freed: Vec<(Vec<String>, i64)>,
    /// What is wrong with the file.
    pub damage: Option<Damage>,
}

impl Content {
    /// Reads a file; `keep_values` keeps each sample, not only their number.
    #[must_use]
    pub fn read(kind: FileKind, bytes: &[u8], keep_values: bool) -> Self {
        match kind {
            FileKind::Snapshot(kind) => Self::of_snapshot(kind, bytes, keep_values),
            FileKind::ReferenceLog => Self::of_reference_log(bytes, keep_values),
            FileKind::Segment => Self::of_segment(bytes, keep_values),
        }
    }

    fn entry(&mut self, path: &[&str], metric: &str) -> &mut SeriesContent {
        let path = path.iter().map(|&name| name.to_owned()).collect();
        self.series.entry(SeriesName { path, metric: metric.to_owned() }).or_default()
    }

    fn of_snapshot(kind: Kind, bytes: &[u8], keep_values: bool) -> Self {
        let mut content = Self::default();
        let header = decode_as(kind, bytes, &mut |series: SnapshotSeries<'_>| {
            let entry = content.entry(series.path, series.metric);
            entry.frequency_seconds = Some(series.frequency);
            for (index, value) in series.values.enumerate() {
                entry.add(series.start + index as i64 * series.frequency, shortest(value), keep_values);
            }
        });
        match header {
            Ok(header) => content.header = Some((header.from, header.to)),
            Err(error) => content.damage = Some(error.into()),
        }
        content
    }

    fn of_reference_log(bytes: &[u8], keep_values: bool) -> Self {
        let mut content = Self::default();
        let read = reference_log::read(bytes, &mut |sample: LogSample<'_>| {
            content.entry(sample.path, sample.metric).add(sample.time, shortest(sample.value), keep_values);
        });
        let damage = match (read.end, read.skipped_first) {
            (reference_log::End::Torn { at }, _) => Some(LogDamage::Torn { at }),
            (reference_log::End::Corrupt { at, why }, _) => Some(LogDamage::Corrupt { at, why }),
            (_, Some((at, why))) => Some(LogDamage::Skipped { at, why, count: read.skipped_count }),
            (reference_log::End::Clean, None) => None,
        };
        content.damage = damage.map(Damage::from);
        content
    }

    fn of_segment(bytes: &[u8], keep_values: bool) -> Self {
        let mut segment = Segment { content: Self::default(), names: Vec::new(), keep_values };
        let outcome = replay::replay(bytes, &mut segment);
        let mut content = segment.content;
        content.damage = match outcome {
            Ok(outcome) if outcome.end == End::Clean => None,
            Ok(outcome) => Some(Damage::SegmentEnd(outcome.end)),
            // The daemon prepares segments ahead; one that was not used yet is in order.
            Err(HeaderError::Empty) => None,
            Err(error) => Some(error.into()),
        };
        content
    }
}

/// Collects the records of a log segment.
struct Segment {
    content: Content,
    /// By the number that samples have; none where the declaration was lost.
    names: Vec<Option<SeriesName>>,
    keep_values: bool,
}

impl Visitor for Segment {
    fn declare(&mut self, id: u32, path: &[&str], metric: &str) {
        let path = path.iter().map(|&name| name.to_owned()).collect();
        self.names.resize(id as usize, None);
        self.names.push(Some(SeriesName { path, metric: metric.to_owned() }));
    }

    fn sample(&mut self, id: u32, time: i64, value: f64) {
        let Some(name) = &self.names[id as usize] else { return };
        if !self.content.series.contains_key(name) {
            self.content.series.insert(name.clone(), SeriesContent::default());
        }
        if let Some(series) = self.content.series.get_mut(name) {
            series.add(time, value, self.keep_values);
        }
    }

    fn free(&mut self, path: &[&str], to: i64) {
        self.content.freed.push((path.iter().map(|&name| name.to_owned()).collect(), to));
    }
}

/// The double with the same shortest decimal: 0.1, not 0.10000000149011612.
fn shortest(value: f32) -> f64 {
    if value.fract() == 0.0 || !value.is_finite() {
        return f64::from(value);
    }
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}
