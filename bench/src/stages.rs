//! What each stage of the way of a line costs in the engine, beside an honest limit over the same bytes.
//!
//! Used by the criterion bench `ingest` and by the program `stages`, which prints the table. The bytes are those the
//! load generator sends: one body of [`Body`] per host and interval, patched between passes outside the measured time.
//! Nothing here does I/O: what the sockets, the kernel and the commits cost is what the load generator measures.
//!
//! [`limit`] is the loop that every stage is held against.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use engine::{
    line::{key, timestamp, value},
    memory::shard::Shard,
    series::{
        declare::Declarations,
        route::{Batch, Sample},
        table::{KeyTable, Target},
    },
    sync::mailbox::mailbox,
    wal::{encode::SegmentEncoder, segment::SegmentHeader},
};

use crate::{body::Body, options::SiteOptions, site::Site, timeline::Timeline};

pub mod limit;
mod path;

pub use path::Path;

/// Bytes a socket hands over at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Seed of all values.
const SEED: u64 = 1;
/// Longer than any pass.
const RETENTION_SECONDS: i64 = 48 * 3600;

/// A stage of the way, in its order; the last two are the way as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Whole lines out of chunks.
    Frame,
    /// Measurement and tags of a line seen for the first time, as text.
    Key,
    /// `value=…`.
    Value,
    /// The timestamp.
    Time,
    /// A look-up that was predicted: the series behind the last one.
    LookUpPredicted,
    /// A look-up by the hash of the key.
    LookUpHashed,
    /// A key that is new.
    LookUpNew,
    /// Decoded samples through a mailbox, one message a body.
    HandOver,
    /// [`Shard::apply`] without a log.
    Store,
    /// Log records and the sealing of a block a body.
    LogEncode,
    /// Decode, look up, store and log-encode, in the interval in which every series is new.
    WholeNew,
    /// The same in all later intervals.
    Whole,
    /// The limit beside it; see [`limit`].
    Limit,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Frame,
        Self::Key,
        Self::Value,
        Self::Time,
        Self::LookUpPredicted,
        Self::LookUpHashed,
        Self::LookUpNew,
        Self::HandOver,
        Self::Store,
        Self::LogEncode,
        Self::WholeNew,
        Self::Whole,
        Self::Limit,
    ];

    /// Its name in tables and in criterion.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Key => "decode key",
            Self::Value => "decode value",
            Self::Time => "decode time",
            Self::LookUpPredicted => "look up, predicted",
            Self::LookUpHashed => "look up, hashed",
            Self::LookUpNew => "look up, new series",
            Self::HandOver => "hand over",
            Self::Store => "store",
            Self::LogEncode => "log-encode",
            Self::WholeNew => "whole path, new series",
            Self::Whole => "whole path",
            Self::Limit => "limit",
        }
    }
}

/// Lines passed and the time that took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pass {
    /// Lines.
    pub lines: u64,
    /// Measured time alone.
    pub took: Duration,
}

impl Pass {
    /// Nanoseconds a line.
    #[must_use]
    pub fn ns_per_line(self) -> f64 {
        self.took.as_nanos() as f64 / self.lines as f64
    }

    fn add(&mut self, lines: u64, began: Instant) {
        self.took += began.elapsed();
        self.lines += lines;
    }
}

/// Where the parts of a line stand in its body: the same in every interval, since values keep their width.
#[derive(Clone, Copy, Debug)]
struct Parts {
    line_at: u32,
    key_bytes: u32,
    value_at: u32,
    time_at: u32,
}

/// All bodies of a site, and what the stages need beside them.
pub struct Stages {
    site: Site,
    intervals: u32,
    bodies: Vec<Body>,
    parts: Vec<Vec<Parts>>,
    timeline: Timeline,
}

impl std::fmt::Debug for Stages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stages").field("site", &self.site).finish_non_exhaustive()
    }
}

impl Stages {
    /// Prepares the bodies; `now` (Unix seconds) is the time of the last interval.
    #[must_use]
    pub fn new(options: &SiteOptions, intervals: u32, now: i64) -> Self {
        let site = Site::new(options);
        let timeline = Timeline::ending_at(now, 60, intervals);
        let mut bodies: Vec<Body> =
            (0..site.hosts()).map(|host| Body::new(&site, host, |_| String::new())).collect();
        patch_all(&mut bodies, timeline, 0);
        let parts = bodies.iter().map(|body| parts(body.bytes())).collect();
        Self { site, intervals, bodies, parts, timeline }
    }

    /// Lines of one interval.
    #[must_use]
    pub fn lines_per_interval(&self) -> u64 {
        self.bodies.iter().map(Body::lines).sum()
    }

    /// Runs a stage over all bodies once: over every interval, or over the first for what is about new series.
    pub fn pass(&mut self, stage: Stage) -> Pass {
        let mut pass = Pass::default();
        match stage {
            Stage::Frame => self.each(&mut pass, |bytes, _| path::frame(bytes)),
            Stage::Key => self.first(&mut pass, |bytes, parts| {
                for part in parts {
                    let line = &bytes[part.line_at as usize..];
                    let length = key::key_length(line);
                    let parsed = key::parse(&line[..length], "bench").expect("the load's keys are right");
                    black_box(parsed);
                }
            }),
            Stage::Value => self.each(&mut pass, |bytes, parts| {
                let mut sum = 0.0;
                for part in parts {
                    sum += value::parse(&bytes[part.value_at as usize..]).expect("a value").0;
                }
                black_box(sum);
            }),
            Stage::Time => self.each(&mut pass, |bytes, parts| {
                let mut sum = 0;
                for part in parts {
                    sum +=
                        timestamp::parse(&bytes[part.time_at as usize..]).expect("a time").map_or(0, |t| t.0);
                }
                black_box(sum);
            }),
            Stage::LookUpPredicted => {
                let mut table = self.table();
                self.each(&mut pass, |bytes, parts| {
                    for part in parts {
                        let line = &bytes[part.line_at as usize..];
                        match table.predict(line) {
                            Some(found) => {
                                black_box(found);
                            }
                            // From the last line of an interval to the first: learned once.
                            None => {
                                let key = &line[..part.key_bytes as usize];
                                black_box(table.find(key).expect("inserted before"));
                            }
                        }
                    }
                });
            }
            Stage::LookUpHashed => {
                let mut table = self.table();
                self.each(&mut pass, |bytes, parts| {
                    for part in parts {
                        let key = &bytes[part.line_at as usize..][..part.key_bytes as usize];
                        black_box(table.find(key).expect("inserted before"));
                    }
                });
            }
            Stage::LookUpNew => {
                let mut table = KeyTable::new(SEED);
                let mut link = 0;
                self.first(&mut pass, |bytes, parts| {
                    for part in parts {
                        let key = &bytes[part.line_at as usize..][..part.key_bytes as usize];
                        if let Err(absent) = table.find(key) {
                            table.insert(absent, key, Target { core: 0, link });
                            link += 1;
                        }
                    }
                });
            }
            Stage::HandOver => self.hand_over(&mut pass),
            Stage::Store => self.store(&mut pass),
            Stage::LogEncode => self.log_encode(&mut pass),
            Stage::WholeNew => self.whole(&mut pass, true),
            Stage::Whole => self.whole(&mut pass, false),
            Stage::Limit => self.each(&mut pass, |bytes, _| {
                black_box(limit::limit(bytes));
            }),
        }
        pass
    }

    /// Measures `stage` over the bodies of every interval.
    fn each(&mut self, pass: &mut Pass, mut stage: impl FnMut(&[u8], &[Parts])) {
        for interval in 0..self.intervals {
            patch_all(&mut self.bodies, self.timeline, interval);
            self.interval(pass, &mut stage);
        }
    }

    /// Measures `stage` over the bodies of the first interval.
    fn first(&mut self, pass: &mut Pass, mut stage: impl FnMut(&[u8], &[Parts])) {
        patch_all(&mut self.bodies, self.timeline, 0);
        self.interval(pass, &mut stage);
    }

    fn interval(&self, pass: &mut Pass, stage: &mut impl FnMut(&[u8], &[Parts])) {
        let began = Instant::now();
        for (body, parts) in self.bodies.iter().zip(&self.parts) {
            stage(body.bytes(), parts);
        }
        pass.add(self.lines_per_interval(), began);
    }

    /// A table that knows every key.
    fn table(&self) -> KeyTable {
        let mut table = KeyTable::new(SEED);
        let mut link = 0;
        for (body, parts) in self.bodies.iter().zip(&self.parts) {
            for part in parts {
                let key = &body.bytes()[part.line_at as usize..][..part.key_bytes as usize];
                let absent = table.find(key).expect_err("every line is another series");
                table.insert(absent, key, Target { core: 0, link });
                link += 1;
            }
        }
        table
    }

    /// Decoded batches of every interval, and the shard they are for, which knows their series.
    fn batches(&mut self) -> (Shard, Vec<Vec<Batch>>) {
        let mut path = Path::new(&self.site, RETENTION_SECONDS);
        let mut shard = path.shard();
        let mut batches = Vec::new();
        for interval in 0..self.intervals {
            patch_all(&mut self.bodies, self.timeline, interval);
            let now = self.timeline.slot_seconds(interval.into());
            let decoded: Vec<Batch> = self.bodies.iter().map(|body| path.decode(body.bytes(), now)).collect();
            if interval == 0 {
                decoded.iter().for_each(|batch| shard.declare_all(0, batch));
            }
            let samples_only =
                |batch: Batch| Batch { declarations: Declarations::default(), samples: batch.samples };
            batches.push(decoded.into_iter().map(samples_only).collect());
        }
        (shard, batches)
    }

    fn hand_over(&mut self, pass: &mut Pass) {
        let (_, batches) = self.batches();
        let (mut sender, mut receiver) = mailbox::<Batch>(64);
        for interval in batches {
            let began = Instant::now();
            for batch in interval {
                sender.send(batch).expect("the mailbox was emptied");
                let batch = receiver.receive().expect("sent above");
                let sum = batch.samples.iter().fold(0, |sum, sample: &Sample| sum ^ sample.time);
                black_box(sum);
            }
            pass.add(self.lines_per_interval(), began);
        }
    }

    fn store(&mut self, pass: &mut Pass) {
        let (mut shard, batches) = self.batches();
        for (interval, batches) in batches.iter().enumerate() {
            let now = self.timeline.slot_seconds(interval as u64);
            let began = Instant::now();
            for batch in batches {
                black_box(shard.apply(0, batch, now, None));
            }
            pass.add(self.lines_per_interval(), began);
        }
    }

    fn log_encode(&mut self, pass: &mut Pass) {
        let (shard, batches) = self.batches();
        let mut log = SegmentEncoder::new(header());
        for batch in &batches[0] {
            shard.record(0, batch, &mut log);
            log.seal();
        }
        for batches in &batches {
            let began = Instant::now();
            for batch in batches {
                shard.record(0, batch, &mut log);
                black_box(log.seal());
            }
            pass.add(self.lines_per_interval(), began);
        }
    }

    fn whole(&mut self, pass: &mut Pass, new: bool) {
        let mut path = Path::new(&self.site, RETENTION_SECONDS);
        let intervals = if new { 1 } else { self.intervals };
        for interval in 0..intervals {
            patch_all(&mut self.bodies, self.timeline, interval);
            let now = self.timeline.slot_seconds(interval.into());
            let began = Instant::now();
            for body in &self.bodies {
                path.push(body.bytes(), now);
            }
            if new || interval > 0 {
                pass.add(self.lines_per_interval(), began);
            }
        }
        assert_eq!(path.stored(), u64::from(intervals) * self.lines_per_interval(), "lines were lost");
    }
}

/// Makes all bodies those of this interval.
fn patch_all(bodies: &mut [Body], timeline: Timeline, interval: u32) {
    let time = timeline.slot_seconds(interval.into());
    bodies.iter_mut().for_each(|body| body.patch(SEED, interval.into(), time));
}

/// Finds the parts of every line.
fn parts(bytes: &[u8]) -> Vec<Parts> {
    let mut at = 0;
    bytes
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| {
            let space = |from: usize| {
                from + line[from..].iter().position(|&byte| byte == b' ').expect("lines have two spaces")
            };
            let (first, line_at) = (space(0), at);
            let second = space(first + 1);
            at += line.len();
            Parts {
                line_at: line_at as u32,
                key_bytes: first as u32,
                value_at: (line_at + first + " value=".len()) as u32,
                time_at: (line_at + second + 1) as u32,
            }
        })
        .collect()
}

/// Some segment.
fn header() -> SegmentHeader {
    SegmentHeader { id: 1, core: 0, cores: 1, created_seconds: 1_700_000_000 }
}

#[cfg(test)]
mod tests;
