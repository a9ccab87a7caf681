//! The snapshots of one host, merged into the order of rows: metric, time, level.
//!
//! Before: snapshots, oldest first, each handed on by its decoder. After: rows in batches for the [`writer`](super::writer).
//! Of a slot that several snapshots hold the last one wins, as at a load; a missing value replaces nothing.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BinaryHeap};

use crate::checkpoint::{Kind, SnapshotError, SnapshotSeries, decode_as};

/// A series by its names, in the order of rows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesName {
    pub(super) metric: Box<str>,
    /// Below the host.
    pub(super) path: Vec<Box<str>>,
}

/// The values of one series in one snapshot.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: i64,
    frequency: i64,
    /// In [`HostRows::values`].
    first: usize,
    count: usize,
}

/// The values of a host, collected from its snapshots.
#[derive(Debug, Default)]
pub struct HostRows {
    values: Vec<f32>,
    /// The runs of every series, oldest snapshot first.
    series: BTreeMap<SeriesName, Vec<Run>>,
}

impl HostRows {
    /// Adds a snapshot; those of a host are added in the order in which they would be loaded.
    ///
    /// # Errors
    /// What is wrong with it; nothing of it was added then.
    pub fn add(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), SnapshotError> {
        decode_as(kind, bytes, &mut |series: SnapshotSeries<'_>| {
            if series.values.len() == 0 {
                return;
            }
            let name = SeriesName {
                metric: series.metric.into(),
                path: series.path.iter().map(|&name| name.into()).collect(),
            };
            let (start, frequency, first) = (series.start, series.frequency, self.values.len());
            self.values.extend(series.values);
            let count = self.values.len() - first;
            self.series.entry(name).or_default().push(Run { start, frequency, first, count });
        })?;
        Ok(())
    }
}

/// What all rows of a run have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunNames {
    pub(super) series: SeriesName,
    pub(super) frequency: i64,
}

/// Rows of a host, column by column; a row's names are those of its run.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// In the [`RowMerge`]'s list.
    pub(super) runs: Vec<u32>,
    pub(super) times: Vec<i64>,
    pub(super) values: Vec<f32>,
}

impl Rows {
    fn clear(&mut self) {
        self.runs.clear();
        self.times.clear();
        self.values.clear();
    }
}

/// The next value of a run. The smallest is the next row; of one slot the run of the last snapshot comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    time: i64,
    /// Of the series.
    rank: u32,
    /// Of the snapshot, among those with the series.
    order: Reverse<u32>,
    run: u32,
    /// Of the value, in the run.
    index: usize,
}

/// The rows of a host, made a batch at a time.
#[derive(Debug)]
pub struct RowMerge {
    values: Vec<f32>,
    names: Vec<RunNames>,
    runs: Vec<Run>,
    /// Of each run: rank of the series, order of the snapshot.
    ranks: Vec<(u32, u32)>,
    /// Runs from here on are of metrics to come.
    next_run: usize,
    /// Those of the metric under way.
    cursors: BinaryHeap<Reverse<Cursor>>,
    /// Slot of the last row: time and rank.
    last: Option<(i64, u32)>,
}

impl From<HostRows> for RowMerge {
    fn from(rows: HostRows) -> Self {
        let mut merge = Self {
            values: rows.values,
            names: Vec::new(),
            runs: Vec::new(),
            ranks: Vec::new(),
            next_run: 0,
            cursors: BinaryHeap::new(),
            last: None,
        };
        for (rank, (series, runs)) in (0..).zip(rows.series) {
            for (order, run) in (0..).zip(runs) {
                merge.names.push(RunNames { series: series.clone(), frequency: run.frequency });
                merge.runs.push(run);
                merge.ranks.push((rank, order));
            }
        }
        merge
    }
}

impl RowMerge {
    pub(super) fn names(&self) -> &[RunNames] {
        &self.names
    }

    /// Replaces what is in `rows` by the next ones, at most so many; none when there are no more.
    pub(super) fn next_rows(&mut self, rows: &mut Rows, rows_max: usize) {
        rows.clear();
        while rows.times.len() < rows_max {
            let Some(mut top) = self.cursors.peek_mut() else {
                if self.begin_metric() {
                    continue;
                }
                break;
            };
            let Reverse(cursor) = *top;
            if self.last != Some((cursor.time, cursor.rank)) {
                self.last = Some((cursor.time, cursor.rank));
                let value = self.values[self.runs[cursor.run as usize].first + cursor.index];
                rows.runs.push(cursor.run);
                rows.times.push(cursor.time);
                rows.values.push(value);
            }
            match next_value(&self.values, &self.runs[cursor.run as usize], cursor.index + 1) {
                Some((index, time)) => top.0 = Cursor { time, index, ..cursor },
                None => drop(PeekMut::pop(top)),
            }
        }
    }

    /// Puts the runs of the next metric into the heap; `false` if there is none.
    fn begin_metric(&mut self) -> bool {
        let Some(first) = self.names.get(self.next_run) else { return false };
        let metric = &first.series.metric;
        let runs = self.names[self.next_run..].iter().take_while(|names| names.series.metric == *metric);
        let runs = self.next_run..self.next_run + runs.count();
        self.next_run = runs.end;
        self.last = None;
        self.cursors.extend(runs.filter_map(|run| {
            let (index, time) = next_value(&self.values, &self.runs[run], 0)?;
            let (rank, order) = self.ranks[run];
            Some(Reverse(Cursor { time, rank, order: Reverse(order), run: run as u32, index }))
        }));
        true
    }
}

/// The first value of a run from `index` on that is not missing: its index and time.
fn next_value(values: &[f32], run: &Run, index: usize) -> Option<(usize, i64)> {
    let left = &values[run.first..run.first + run.count][index..];
    let index = index + left.iter().position(|value| !value.is_nan())?;
    // Times of snapshots are checked when they are read, so this cannot overflow.
    Some((index, run.start + index as i64 * run.frequency))
}
