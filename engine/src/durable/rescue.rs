//! What a checkpoint could not save of some hosts, as a segment of the log, so that the rest of the log can be cut all the same.
//!
//! A host whose directory cannot be made (a file in its place, a name that this file system refuses) must cost neither the other
//! hosts their checkpoint nor the disk all of the log. Its snapshots go into [one segment](super::segments::Segments::rescue),
//! which the next checkpoint replaces: by then the host may have a directory.

use crate::checkpoint::{Kind, SnapshotSeries, decode_as};
use crate::limits::{LOG_PATH_NAMES_MAX, LOG_TURN_BLOCK_BYTES};
use crate::wal::encode::SegmentEncoder;
use crate::wal::segment::SegmentHeader;

/// Why something cannot be kept in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RescueError {
    /// It is too much for one segment.
    #[error("what could not be saved does not fit into a segment of {bytes_max} bytes")]
    TooMuch {
        /// Length of a segment.
        bytes_max: u64,
    },
    /// A level is too deep for the log. Only the reference's log may hold such ones.
    #[error("a level of it is too deep for the log")]
    TooDeep,
}

/// The segment while it is written, in memory.
#[derive(Debug)]
pub(super) struct RescueSegment {
    encoder: SegmentEncoder,
    bytes: Vec<u8>,
    bytes_max: u64,
    series: u32,
}

impl RescueSegment {
    pub(super) fn new(header: SegmentHeader, bytes_max: u64) -> Self {
        let bytes = header.encode().to_vec();
        Self { encoder: SegmentEncoder::new(header), bytes, bytes_max, series: 0 }
    }

    /// Adds the snapshots of a host.
    ///
    /// # Panics
    /// If they are damaged: they were just made.
    pub(super) fn add(
        &mut self,
        [cluster, host]: [&str; 2],
        kind: Kind,
        snapshots: &[Vec<u8>],
    ) -> Result<(), RescueError> {
        let mut result = Ok(());
        for bytes in snapshots {
            let decoded = decode_as(kind, bytes, &mut |series: SnapshotSeries<'_>| {
                result = result.and_then(|()| self.add_series([cluster, host], &series));
            });
            assert!(decoded.is_ok(), "a snapshot that was just made can be read");
        }
        result
    }

    fn add_series(&mut self, host: [&str; 2], series: &SnapshotSeries<'_>) -> Result<(), RescueError> {
        let path: Vec<&str> = host.iter().chain(series.path).copied().collect();
        if path.len() > LOG_PATH_NAMES_MAX {
            return Err(RescueError::TooDeep);
        }
        let number = self.series;
        self.series += 1;
        let times = (0i64..).map(|slot| series.start + slot * series.frequency);
        for (value, time) in series.values.clone().zip(times).filter(|(value, _)| !value.is_nan()) {
            if !self.encoder.is_declared(number) {
                self.encoder.declare(number, &path, series.metric);
            }
            self.encoder.sample(number, time, f64::from(value));
        }
        if self.encoder.open_bytes() >= LOG_TURN_BLOCK_BYTES {
            self.bytes.extend_from_slice(self.encoder.seal());
        }
        if self.bytes.len() as u64 + self.encoder.open_bytes() > self.bytes_max {
            return Err(RescueError::TooMuch { bytes_max: self.bytes_max });
        }
        Ok(())
    }

    /// The bytes of the segment; none if nothing was added.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        self.bytes.extend_from_slice(self.encoder.seal());
        (self.series > 0).then_some(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{SnapshotEncoder, SnapshotSink};
    use crate::wal::replay::{End, Visitor, replay};

    const HEADER: SegmentHeader = SegmentHeader { id: 7, core: 0, cores: 1, created_seconds: 0 };

    #[derive(Default)]
    struct Samples {
        paths: Vec<String>,
        samples: Vec<(String, i64, f64)>,
    }

    impl Visitor for Samples {
        fn declare(&mut self, _: u32, path: &[&str], metric: &str) {
            self.paths.push(format!("{} {metric}", path.join("/")));
        }
        fn sample(&mut self, id: u32, time: i64, value: f64) {
            self.samples.push((self.paths[id as usize].clone(), time, value));
        }
        fn free(&mut self, _: &[&str], _: i64) {}
    }

    fn snapshot(values: &[f64]) -> Vec<u8> {
        let mut encoder = SnapshotEncoder::new(600, 1200);
        encoder.series("m", 60, 600, values.iter().copied());
        encoder.open_level("socket0");
        encoder.series("m", 60, 660, [9.0]);
        encoder.close_level();
        encoder.finish().0
    }

    #[test]
    fn what_is_added_is_replayed() {
        let mut segment = RescueSegment::new(HEADER, 1 << 20);
        segment.add(["c", "h"], Kind::Binary, &[snapshot(&[1.0, f64::NAN, 3.0])]).unwrap();
        let mut samples = Samples::default();
        let outcome = replay(&segment.finish().unwrap(), &mut samples).unwrap();
        assert_eq!(outcome.end, End::Clean);
        let expected = [("c/h m", 600, 1.0), ("c/h m", 720, 3.0), ("c/h/socket0 m", 660, 9.0)];
        assert_eq!(samples.samples, expected.map(|(path, time, value)| (path.to_owned(), time, value)));
    }

    #[test]
    fn more_than_a_segment_holds_is_refused() {
        let mut segment = RescueSegment::new(HEADER, 4096);
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let error = segment.add(["c", "h"], Kind::Binary, &[snapshot(&values)]).unwrap_err();
        assert_eq!(error, RescueError::TooMuch { bytes_max: 4096 });
        assert_eq!(RescueSegment::new(HEADER, 4096).finish(), None);
    }
}
