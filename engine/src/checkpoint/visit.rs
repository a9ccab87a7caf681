//! What a reader of snapshots hands on, whichever format the file has.

use super::SnapshotError;
use super::format;
use super::json::JsonValues;
use crate::limits;

/// The span of a snapshot, in seconds. Samples of any time may be inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHeader {
    /// Its begin; also the file's name.
    pub from: i64,
    /// Its end: when it was written.
    pub to: i64,
}

/// One series of a snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotSeries<'a> {
    /// Names of the levels below the host; none for the host's own.
    pub path: &'a [&'a str],
    /// The metric, configured or not.
    pub metric: &'a str,
    /// Seconds per value, 1 to [`limits::FREQUENCY_SECONDS_MAX`].
    pub frequency: i64,
    /// Time of the first value, in seconds. It and the time of every value are within ± [`limits::TIME_SECONDS_MAX`].
    pub start: i64,
    /// The values.
    pub values: Values<'a>,
}

/// Takes the series of a snapshot, depth first, a level's own series before those of its children.
pub trait SnapshotVisitor {
    /// Takes one series.
    fn series(&mut self, series: SnapshotSeries<'_>);
}

impl<F: FnMut(SnapshotSeries<'_>)> SnapshotVisitor for F {
    fn series(&mut self, series: SnapshotSeries<'_>) {
        self(series);
    }
}

/// The values of a series, oldest first; NaN where one is missing.
#[derive(Clone, Debug)]
pub struct Values<'a>(Source<'a>);

#[derive(Clone, Debug)]
enum Source<'a> {
    Binary(std::slice::ChunksExact<'a, u8>),
    Json(JsonValues<'a>),
}

impl<'a> Values<'a> {
    pub(super) fn binary(bytes: &'a [u8]) -> Self {
        Self(Source::Binary(bytes.chunks_exact(format::VALUE.size_bytes)))
    }

    pub(super) fn json(values: JsonValues<'a>) -> Self {
        Self(Source::Json(values))
    }
}

impl Iterator for Values<'_> {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        match &mut self.0 {
            Source::Binary(chunks) => chunks.next().map(|chunk| {
                let mut bytes = [0; 4];
                bytes.copy_from_slice(chunk);
                f32::from_le_bytes(bytes)
            }),
            Source::Json(values) => values.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Source::Binary(chunks) => chunks.size_hint(),
            Source::Json(values) => values.size_hint(),
        }
    }
}

impl ExactSizeIterator for Values<'_> {}

impl SnapshotHeader {
    pub(super) fn check(&self, at: usize) -> Result<(), SnapshotError> {
        [self.from, self.to].into_iter().try_for_each(|time| check_time(time, at))
    }
}

/// Whether a series' times are those of samples, so that arithmetic on them cannot overflow.
pub(super) fn check_series(start: i64, frequency: i64, count: usize, at: usize) -> Result<(), SnapshotError> {
    if !(1..=limits::FREQUENCY_SECONDS_MAX).contains(&frequency) {
        return Err(SnapshotError::FrequencyRange { at, frequency });
    }
    check_time(start, at)?;
    let span = i64::try_from(count.saturating_sub(1)).unwrap_or(i64::MAX).saturating_mul(frequency);
    check_time(start.saturating_add(span), at)
}

fn check_time(time: i64, at: usize) -> Result<(), SnapshotError> {
    if time.unsigned_abs() > limits::TIME_SECONDS_MAX.unsigned_abs() {
        return Err(SnapshotError::TimeRange { at, time });
    }
    Ok(())
}
