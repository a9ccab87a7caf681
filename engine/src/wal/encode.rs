//! From records to blocks: what the log of one core writes.
//!
//! Comes behind the shard, before the daemon's group commit. One [`SegmentEncoder`] serves one open segment at a time;
//! its buffers are kept from block to block and from segment to segment.

use super::format::{
    BLOCK_CRC, BLOCK_HEADER_BYTES, BLOCK_LENGTH, BLOCK_SEGMENT, BLOCK_SEQUENCE, BLOCK_SETTLED, DECLARATION,
    FREE, RUN, RUN_HEADER_BYTES, SAMPLE_BYTES_MAX, SAMPLE_BYTES_MIN, SECTOR_BYTES, SHAPE_METRIC_SHARED,
    SHAPE_NAMES_SHIFT, padded,
};
use super::segment::SegmentHeader;
use super::varint;
use crate::limits;

/// In place of the id of a series that was not declared.
const UNDECLARED: u32 = u32::MAX;
const BUFFER_BYTES_MIN: usize = 64 * 1024;
/// Kept free behind the last record, so that a sample and the padding need no check of their own.
const SLACK_BYTES: usize = SAMPLE_BYTES_MAX + SECTOR_BYTES;

/// Where a name stands in the buffer.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    at: usize,
    length: usize,
}

/// Writes the blocks of one segment.
///
/// Records go into the open block; [`seal`](Self::seal) hands out its bytes. After a failed write nothing of the
/// segment can be relied on: [`open`](Self::open) a new one, declare again and repeat the records.
#[derive(Debug)]
pub struct SegmentEncoder {
    header: SegmentHeader,
    /// By number of the series in the shard: its id in this segment, or [`UNDECLARED`].
    ids: Vec<u32>,
    declared: u32,
    /// Series declared since the last seal.
    declared_since: Vec<u32>,
    /// Bytes of the segment up to the last sealed block.
    sealed_bytes: u64,
    /// Sequence of the block behind that.
    sealed_sequence: u64,
    /// Sequence of the open block.
    sequence: u64,
    settled: Option<u64>,
    /// Blocks that are not handed out yet; all of it may be written to.
    buffer: Vec<u8>,
    /// Where the open block starts in `buffer`.
    block_at: usize,
    /// Where the next record goes.
    at: usize,
    /// A sample may be appended to the open run while `at` is below; 0 if there is no open run.
    run_limit: usize,
    run_at: usize,
    run_samples: u32,
    /// The id that is expected next in this block, and the last time.
    next_id: u32,
    last_time: i64,
    /// The last declaration of this block.
    path: [Place; limits::LOG_PATH_NAMES_MAX],
    path_names: usize,
    metric: Place,
}

impl SegmentEncoder {
    /// An encoder for this segment.
    #[must_use]
    pub fn new(header: SegmentHeader) -> Self {
        Self {
            header,
            ids: Vec::new(),
            declared: 0,
            declared_since: Vec::new(),
            sealed_bytes: SECTOR_BYTES as u64,
            sealed_sequence: 0,
            sequence: 0,
            settled: None,
            buffer: vec![0; BUFFER_BYTES_MIN],
            block_at: 0,
            at: BLOCK_HEADER_BYTES,
            run_limit: 0,
            run_at: 0,
            run_samples: 0,
            next_id: 0,
            last_time: 0,
            path: Default::default(),
            path_names: 0,
            metric: Place::default(),
        }
    }

    /// Turns to another segment: forgets the open block and every declaration, keeps the memory.
    pub fn open(&mut self, header: SegmentHeader) {
        self.header = header;
        self.ids.fill(UNDECLARED);
        self.declared = 0;
        self.declared_since.clear();
        self.sealed_bytes = SECTOR_BYTES as u64;
        self.sealed_sequence = 0;
        self.sequence = 0;
        self.settled = None;
        self.start_block(0);
    }

    /// The segment. The sector [`SegmentHeader::encode`] gives is its start; the blocks follow without gaps.
    #[must_use]
    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// Whether the series of this number was declared in this segment.
    #[inline]
    #[must_use]
    pub fn is_declared(&self, series: u32) -> bool {
        self.ids.get(series as usize).is_some_and(|&id| id != UNDECLARED)
    }

    /// Declares the series that has the number `series` in the shard. `path` is cluster, host and up to two names below.
    ///
    /// # Panics
    /// If the series is declared already or a name is out of the bounds that [`crate::line`] checks: a bug.
    pub fn declare(&mut self, series: u32, path: &[impl AsRef<str>], metric: &str) {
        assert!(!self.is_declared(series), "series {series} is declared twice");
        assert!((2..=limits::LOG_PATH_NAMES_MAX).contains(&path.len()), "{} names in a path", path.len());
        assert!(
            !metric.is_empty() && metric.len() <= limits::METRIC_NAME_BYTES_MAX,
            "metric name {metric:?}"
        );
        assert!(
            path[..2].iter().all(|name| crate::line::key::is_path_safe(name.as_ref())),
            "cluster or host"
        );
        assert!(fits(path), "a name of a path is too long");
        let id = self.declared;
        self.declared += 1;
        assert!(self.declared < UNDECLARED, "too many series in a segment");
        if self.ids.len() <= series as usize {
            self.ids.resize(series as usize + 1, UNDECLARED);
        }
        self.ids[series as usize] = id;
        self.declared_since.push(series);

        self.start_record(2 + names_bytes_max(path) + varint::U32_BYTES_MAX + metric.len());
        let shared = self.path[..self.path_names]
            .iter()
            .zip(path)
            .take_while(|(place, name)| self.text(**place) == name.as_ref().as_bytes())
            .count();
        let metric_shared = self.path_names > 0 && self.text(self.metric) == metric.as_bytes();
        let mut shape = shared as u8 | ((path.len() - shared) as u8) << SHAPE_NAMES_SHIFT;
        if metric_shared {
            shape |= SHAPE_METRIC_SHARED;
        }
        self.put(&[DECLARATION, shape]);
        for (index, name) in path.iter().enumerate().skip(shared) {
            self.path[index] = self.put_name(name.as_ref());
        }
        self.path_names = path.len();
        if !metric_shared {
            self.metric = self.put_name(metric);
        }
    }

    /// A sample of a declared series.
    ///
    /// # Panics
    /// If the series is not declared or the time is beyond [`limits::TIME_SECONDS_MAX`]: a bug.
    #[inline]
    pub fn sample(&mut self, series: u32, time: i64, value: f64) {
        assert!(self.try_sample(series, time, value), "series {series} is not declared");
    }

    /// As [`sample`](Self::sample); `false` if the series is not declared, and nothing was recorded.
    ///
    /// # Panics
    /// If the time is beyond [`limits::TIME_SECONDS_MAX`]: a bug.
    #[inline]
    #[must_use]
    pub fn try_sample(&mut self, series: u32, time: i64, value: f64) -> bool {
        let Some(&id) = self.ids.get(series as usize).filter(|&&id| id != UNDECLARED) else { return false };
        assert!(time.unsigned_abs() <= limits::TIME_SECONDS_MAX as u64, "sample time {time}");
        if self.at >= self.run_limit {
            self.continue_run();
        }
        let step = varint::fold_u32(id.wrapping_sub(self.next_id));
        let delta = varint::fold_u64(time.wrapping_sub(self.last_time) as u64);
        self.next_id = id.wrapping_add(1);
        self.last_time = time;
        self.run_samples += 1;
        if (u64::from(step) | delta) < 0x80 {
            let room = &mut self.buffer[self.at..self.at + SAMPLE_BYTES_MIN];
            room[0] = step as u8;
            room[1] = delta as u8;
            room[2..].copy_from_slice(&value.to_le_bytes());
            self.at += SAMPLE_BYTES_MIN;
        } else {
            self.put_long_sample(step, delta, value);
        }
        true
    }

    /// Everything at or below `path` that ended before `to` (seconds) was freed; the empty path is everything.
    ///
    /// A path that is too deep or has too long a name leads nowhere; such a free did nothing and is not written.
    pub fn free(&mut self, path: &[impl AsRef<str>], to: i64) {
        if path.len() > limits::LOG_PATH_NAMES_MAX || !fits(path) {
            return;
        }
        self.start_record(2 + size_of::<i64>() + names_bytes_max(path));
        self.put(&[FREE]);
        self.put(&to.to_le_bytes());
        self.put(&[path.len() as u8]);
        for name in path {
            self.put_name(name.as_ref());
        }
    }

    /// The first `blocks` of the segment are known to be on disk. Blocks sealed from now on say so, by which replay
    /// tells blocks that power loss kept from being written from blocks that were damaged later.
    ///
    /// Without a call, every block says that all before it are.
    ///
    /// # Panics
    /// If fewer were sealed: a bug.
    pub fn settle(&mut self, blocks: u64) {
        assert!(blocks <= self.sequence, "{blocks} blocks on disk of {}", self.sequence);
        self.settled = Some(blocks);
    }

    /// Whether nothing was recorded since the last [`seal`](Self::seal).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == BLOCK_HEADER_BYTES
    }

    /// How many blocks of this segment were sealed.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.sequence
    }

    /// Bytes the segment has when the open block is sealed, its header included; a multiple of [`SECTOR_BYTES`].
    #[must_use]
    pub fn bytes_in_segment(&self) -> u64 {
        self.sealed_bytes + if self.is_empty() { 0 } else { padded(self.at) as u64 }
    }

    /// Bytes that [`seal`](Self::seal) would hand out; a multiple of [`SECTOR_BYTES`].
    #[must_use]
    pub fn open_bytes(&self) -> u64 {
        self.bytes_in_segment() - self.sealed_bytes
    }

    /// Forgets everything recorded since the last [`seal`](Self::seal), as if it had not been: it does not fit into the segment.
    pub fn abandon(&mut self) {
        for series in self.declared_since.drain(..) {
            self.ids[series as usize] = UNDECLARED;
            self.declared -= 1;
        }
        self.sequence = self.sealed_sequence;
        self.start_block(0);
    }

    /// Ends the block. The bytes, a multiple of [`SECTOR_BYTES`], go behind those handed out before; a block
    /// that became too long is several. Empty if nothing was recorded.
    pub fn seal(&mut self) -> &[u8] {
        if self.is_empty() {
            return &[];
        }
        self.end_block();
        let end = self.block_at;
        self.sealed_bytes += end as u64;
        self.sealed_sequence = self.sequence;
        self.declared_since.clear();
        self.start_block(0);
        &self.buffer[..end]
    }

    /// Makes room for a record other than a sample.
    fn start_record(&mut self, bytes: usize) {
        self.end_run();
        self.make_room(bytes);
    }

    fn make_room(&mut self, bytes: usize) {
        if self.at >= self.block_at + BLOCK_HEADER_BYTES + limits::LOG_BLOCK_PAYLOAD_BYTES_FULL {
            self.end_run();
            self.end_block();
        }
        // Also for the header and the run of a block that starts here.
        let wanted = self.at + bytes + BLOCK_HEADER_BYTES + RUN_HEADER_BYTES + 2 * SLACK_BYTES;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted.next_power_of_two(), 0);
        }
    }

    /// Makes room for a sample in an open run.
    #[cold]
    #[inline(never)]
    fn continue_run(&mut self) {
        self.make_room(0);
        if self.run_limit == 0 {
            self.run_at = self.at;
            self.at += RUN_HEADER_BYTES;
        }
        let full = self.block_at + BLOCK_HEADER_BYTES + limits::LOG_BLOCK_PAYLOAD_BYTES_FULL;
        self.run_limit = full.min(self.buffer.len() - SLACK_BYTES);
        // A record may have left less than a run's header below the limit: one sample still fits the slack.
        self.run_limit = self.run_limit.max(self.at + 1);
    }

    fn end_run(&mut self) {
        if self.run_limit != 0 {
            let samples = self.run_samples.to_le_bytes();
            self.buffer[self.run_at] = RUN;
            self.buffer[self.run_at + 1..self.run_at + RUN_HEADER_BYTES].copy_from_slice(&samples);
            self.run_limit = 0;
            self.run_samples = 0;
        }
    }

    /// Completes the open block and starts one behind it.
    fn end_block(&mut self) {
        self.end_run();
        let payload_bytes = self.at - self.block_at - BLOCK_HEADER_BYTES;
        assert!(payload_bytes <= limits::LOG_BLOCK_PAYLOAD_BYTES_MAX, "a block of {payload_bytes} bytes");
        let end = padded(self.at);
        self.buffer[self.at..end].fill(0);
        let block = &mut self.buffer[self.block_at..self.at];
        BLOCK_LENGTH.put(block, &(payload_bytes as u32).to_le_bytes());
        BLOCK_SEGMENT.put(block, &self.header.id.to_le_bytes());
        BLOCK_SEQUENCE.put(block, &self.sequence.to_le_bytes());
        BLOCK_SETTLED.put(block, &self.settled.unwrap_or(self.sequence).to_le_bytes());
        let crc = crc32fast::hash(&block[BLOCK_CRC.end()..]);
        BLOCK_CRC.put(block, &crc.to_le_bytes());
        self.sequence += 1;
        self.start_block(end);
    }

    fn start_block(&mut self, at: usize) {
        self.block_at = at;
        self.at = at + BLOCK_HEADER_BYTES;
        self.run_limit = 0;
        self.run_samples = 0;
        self.next_id = 0;
        self.last_time = 0;
        self.path_names = 0;
    }

    #[inline(never)]
    fn put_long_sample(&mut self, step: u32, delta: u64, value: f64) {
        self.at += varint::put(&mut self.buffer[self.at..], u64::from(step));
        self.at += varint::put(&mut self.buffer[self.at..], delta);
        self.put(&value.to_le_bytes());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.buffer[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn put_name(&mut self, name: &str) -> Place {
        self.at += varint::put(&mut self.buffer[self.at..], name.len() as u64);
        let place = Place { at: self.at, length: name.len() };
        self.put(name.as_bytes());
        place
    }

    fn text(&self, place: Place) -> &[u8] {
        &self.buffer[place.at..place.at + place.length]
    }
}

fn fits(path: &[impl AsRef<str>]) -> bool {
    path.iter().all(|name| name.as_ref().len() <= limits::SELECTOR_PART_BYTES_MAX)
}

fn names_bytes_max(path: &[impl AsRef<str>]) -> usize {
    path.iter().map(|name| varint::U32_BYTES_MAX + name.as_ref().len()).sum()
}
