//! A history of records: what a test writes and what it reads back.

use super::super::encode::SegmentEncoder;
use super::super::format::{BLOCK_HEADER_BYTES, BLOCK_LENGTH, SECTOR_BYTES};
use super::super::replay::{Outcome, Replayer, Visitor, replay};
use super::super::segment::{HeaderError, SegmentHeader};

/// A record, with the path and metric of its series; values as bits, so that every NaN equals itself alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Sample { path: Vec<String>, metric: String, time: i64, bits: u64 },
    Free { path: Vec<String>, to: i64 },
}

/// Reads records back.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    series: Vec<Option<(Vec<String>, String)>>,
    pub(super) records: Vec<Record>,
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|&name| name.to_owned()).collect()
}

impl Visitor for Recorder {
    fn declare(&mut self, id: u32, path: &[&str], metric: &str) {
        assert!(id as usize >= self.series.len(), "an id is given once");
        self.series.resize(id as usize, None);
        self.series.push(Some((owned(path), metric.to_owned())));
    }

    fn sample(&mut self, id: u32, time: i64, value: f64) {
        let (path, metric) = self.series[id as usize].clone().expect("it was declared");
        self.records.push(Record::Sample { path, metric, time, bits: value.to_bits() });
    }

    fn free(&mut self, path: &[&str], to: i64) {
        self.records.push(Record::Free { path: owned(path), to });
    }
}

/// A segment as it is in a file, and what it holds.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) file: Vec<u8>,
    /// The records of each block.
    pub(super) blocks: Vec<Vec<Record>>,
    /// Where each block ends in the file.
    pub(super) ends: Vec<u64>,
}

pub(super) fn header(id: u64) -> SegmentHeader {
    SegmentHeader { id, core: 1, cores: 2, created_seconds: 1_700_000_000 }
}

impl Segment {
    /// Encodes blocks.
    pub(super) fn encode(encoder: &mut SegmentEncoder, blocks: &[Vec<Record>]) -> Self {
        let mut file = encoder.header().encode().to_vec();
        let mut ends = Vec::new();
        let mut numbers: Vec<(Vec<String>, String)> = Vec::new();
        for block in blocks {
            for record in block {
                match record {
                    Record::Free { path, to } => encoder.free(path, *to),
                    Record::Sample { path, metric, time, bits } => {
                        let key = (path.clone(), metric.clone());
                        let number = numbers.iter().position(|known| *known == key).unwrap_or_else(|| {
                            numbers.push(key);
                            numbers.len() - 1
                        });
                        // Numbers of a shard are not those of the segment.
                        let number = 3 * number as u32 + 2;
                        if !encoder.is_declared(number) {
                            encoder.declare(number, path, metric);
                        }
                        encoder.sample(number, *time, f64::from_bits(*bits));
                    }
                }
            }
            let promised = encoder.bytes_in_segment();
            file.extend_from_slice(encoder.seal());
            assert_eq!(promised, file.len() as u64);
            assert_eq!(encoder.bytes_in_segment(), promised);
            ends.push(promised);
        }
        Self { file, blocks: blocks.to_vec(), ends }
    }

    /// Where block `index` starts in the file, and where its payload ends.
    pub(super) fn extent(&self, index: usize) -> (usize, usize) {
        let start = if index == 0 { SECTOR_BYTES } else { self.ends[index - 1] as usize };
        let length = u32::from_le_bytes(BLOCK_LENGTH.get(&self.file[start..]));
        (start, start + BLOCK_HEADER_BYTES + length as usize)
    }

    /// Where the payload of block `index` ends, as far as the encoder told.
    pub(super) fn extent_end(&self, index: usize) -> usize {
        let start = if index == 0 { SECTOR_BYTES } else { self.ends[index - 1] as usize };
        let header = self.file.get(start..start + BLOCK_HEADER_BYTES);
        header.map_or(usize::MAX, |header| {
            start + BLOCK_HEADER_BYTES + u32::from_le_bytes(BLOCK_LENGTH.get(header)) as usize
        })
    }

    /// What is handed on without some blocks: not the samples of series that were declared in them.
    pub(super) fn without(&self, is_lost: impl Fn(usize) -> bool) -> Vec<Record> {
        let (mut seen, mut kept) = (Vec::new(), Vec::new());
        for (index, block) in self.blocks.iter().enumerate() {
            for record in block {
                let is_known = match record {
                    Record::Free { .. } => true,
                    Record::Sample { path, metric, .. } => {
                        let declared = seen
                            .iter()
                            .find(|(series, _)| *series == (path, metric))
                            .map(|&(_, in_lost)| in_lost);
                        if declared.is_none() {
                            seen.push(((path, metric), is_lost(index)));
                        }
                        !declared.unwrap_or(false)
                    }
                };
                if is_known && !is_lost(index) {
                    kept.push(record.clone());
                }
            }
        }
        kept
    }

    /// The records of the first `blocks` blocks.
    pub(super) fn prefix(&self, blocks: usize) -> Vec<Record> {
        self.blocks[..blocks].concat()
    }
}

/// Replays a file in one piece.
pub(super) fn read(file: &[u8]) -> Result<(Outcome, Vec<Record>), HeaderError> {
    let mut recorder = Recorder::default();
    let outcome = replay(file, &mut recorder)?;
    Ok((outcome, recorder.records))
}

/// Replays a file in pieces of these lengths, the last of which repeats.
pub(super) fn read_pieces(file: &[u8], lengths: &[usize]) -> Result<(Outcome, Vec<Record>), HeaderError> {
    let mut recorder = Recorder::default();
    let mut replayer = Replayer::new(file)?;
    let mut rest = file;
    let mut lengths = lengths.iter();
    let mut length = 1;
    while !rest.is_empty() {
        length = lengths.next().copied().unwrap_or(length);
        let (piece, behind) = rest.split_at(length.clamp(1, rest.len()));
        replayer.feed(piece, &mut recorder);
        rest = behind;
    }
    Ok((replayer.finish(&mut recorder), recorder.records))
}

/// A generator of test data from a seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    fn name(&mut self) -> String {
        match self.below(30) {
            0 => "x".repeat(1 + self.below(255)),
            1 => "\u{e4}\u{1f600}".to_owned(),
            kind => format!("n{}", kind % 6),
        }
    }

    fn path(&mut self, names: usize) -> Vec<String> {
        (0..names).map(|_| self.name()).collect()
    }

    fn time(&mut self) -> i64 {
        let edge = crate::limits::TIME_SECONDS_MAX;
        match self.below(20) {
            0 => edge,
            1 => -edge,
            2 => self.below(2_000_000_000) as i64,
            near => 1_700_000_000 + 60 * near as i64,
        }
    }

    /// One to eight blocks of up to `records` records each.
    pub(super) fn history(&mut self, records: usize) -> Vec<Vec<Record>> {
        let mut known = Vec::new();
        for _ in 0..=self.below(60) {
            let names = 2 + self.below(3);
            known.push((self.path(names), self.name()));
        }
        (0..1 + self.below(8))
            .map(|_| {
                (0..1 + self.below(records))
                    .map(|_| match self.below(40) {
                        0 => {
                            let names = self.below(5);
                            Record::Free { path: self.path(names), to: self.number() as i64 }
                        }
                        _ => {
                            let (path, metric) = known[self.below(known.len())].clone();
                            Record::Sample { path, metric, time: self.time(), bits: self.number() }
                        }
                    })
                    .collect()
            })
            .collect()
    }
}
