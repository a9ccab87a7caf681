//! From the bytes of a segment back to records, and how the segment ends (DESIGN decision 6).
//!
//! Comes first at a start, before anything is written. What is handed on is always what the encoder was given, in order;
//! what stood in blocks that are not there whole is missing, and so are the samples of series that were declared there. The
//! rules are in `docs/format/log.md`.

use super::declared::DeclaredIds;
use super::format::{
    BLOCK_CRC, BLOCK_HEADER_BYTES, BLOCK_LENGTH, BLOCK_SEGMENT, BLOCK_SEQUENCE, BLOCK_SETTLED, SECTOR_BYTES,
    padded,
};
use super::records::{self, RecordDamage};
use super::segment::{HeaderError, SegmentHeader};
use crate::limits;

/// Takes the records of a segment, in the order in which they were written.
pub trait Visitor {
    /// The series that samples call `id` from now on: 0, 1, 2, …; some are left out where blocks are lost. `path` is cluster, host and up to two names below.
    fn declare(&mut self, id: u32, path: &[&str], metric: &str);
    /// A sample of a declared series; `time` in seconds.
    fn sample(&mut self, id: u32, time: i64, value: f64);
    /// Everything at or below `path` that ended before `to` (seconds) was freed here; the empty path is everything.
    fn free(&mut self, path: &[&str], to: i64);
}

/// How a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Behind the last block there is nothing of this segment.
    Clean,
    /// The writing was interrupted here. Nothing that was known to be on disk is missing.
    Torn {
        /// Where the last whole block ends, in the file.
        at_bytes: u64,
    },
    /// What was written is not there any more.
    Corrupt {
        /// Where the last whole block ends, in the file.
        at_bytes: u64,
        /// What is wrong there.
        why: Damage,
    },
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clean => f.write_str("the log segment is whole"),
            Self::Torn { at_bytes } => {
                write!(f, "the log segment ends within a block at byte {at_bytes}, as a crash leaves it")
            }
            Self::Corrupt { at_bytes, why } => write!(
                f,
                "the log segment is damaged at byte {at_bytes}: {why}; whole blocks before and behind are kept, check the disk"
            ),
        }
    }
}

/// Why a block is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Something else stands in its place.
    #[error("block {sequence} is not there")]
    Missing {
        /// The block.
        sequence: u64,
    },
    /// The file ends before it does.
    #[error("the file ends within block {sequence}")]
    Cut {
        /// The block.
        sequence: u64,
    },
    /// Its length is zero or above [`limits::LOG_BLOCK_PAYLOAD_BYTES_MAX`].
    #[error("block {sequence} has the impossible length {length_bytes}")]
    Length {
        /// The block.
        sequence: u64,
        /// The length found.
        length_bytes: u32,
    },
    /// Another block of the segment stands in its place.
    #[error("block {found} is where block {sequence} belongs")]
    Sequence {
        /// The block.
        sequence: u64,
        /// The block found.
        found: u64,
    },
    /// Its checksum does not match.
    #[error("the checksum of block {sequence} does not match")]
    Checksum {
        /// The block.
        sequence: u64,
    },
    /// It was written wrongly; the records before the bad one were handed on.
    #[error("block {sequence} holds {record}, although its checksum matches")]
    Record {
        /// The block.
        sequence: u64,
        /// What is wrong.
        record: RecordDamage,
    },
}

/// How much was handed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whole blocks.
    pub blocks: u64,
    /// Declarations.
    pub series: u64,
    /// Samples.
    pub samples: u64,
    /// Frees.
    pub frees: u64,
    /// Samples that were not handed on, because the declarations of their series are lost.
    pub unknown: u64,
}

/// What a replay found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How the segment ends.
    pub end: End,
    /// What was handed on.
    pub counts: Counts,
    /// The file up to the first place where a whole block is missing.
    pub valid_bytes: u64,
    /// From such places to the next whole blocks of this segment behind them; 0 if there are none.
    pub lost_bytes: u64,
}

/// Replays a whole segment.
///
/// # Errors
/// [`HeaderError`]; nothing was handed on.
pub fn replay(segment: &[u8], visitor: &mut impl Visitor) -> Result<Outcome, HeaderError> {
    let mut replayer = Replayer::new(segment)?;
    replayer.feed(segment, visitor);
    Ok(replayer.finish(visitor))
}

/// Replays a segment piece by piece; holds at most one block in memory.
#[derive(Debug)]
pub struct Replayer {
    segment: u64,
    /// The block that is expected next.
    sequence: u64,
    declared: DeclaredIds,
    counts: Counts,
    /// How far the file was looked at.
    offset: u64,
    /// Bytes from `offset` on that could not be judged yet.
    pending: Vec<u8>,
    /// Where the search for the next whole block began, if it is not found yet.
    searching_since: Option<u64>,
    lost_bytes: u64,
    /// The first block that was not whole.
    broken: Option<Broken>,
}

#[derive(Clone, Copy, Debug)]
struct Broken {
    at: u64,
    why: Damage,
    sequence: u64,
    /// There is a whole block behind it.
    is_followed: bool,
    /// A block behind it says that it was on disk, or it was written wrongly.
    is_corrupt: bool,
}

/// What stands at a place.
enum Found {
    /// A whole block; the sector behind it.
    Block {
        sequence: u64,
        settled: u64,
        bytes: usize,
    },
    /// This many bytes have to be there to tell.
    More {
        bytes: usize,
    },
    Broken(Damage),
}

impl Replayer {
    /// A replayer for the segment whose first bytes these are (a sector is enough).
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn new(start: &[u8]) -> Result<Self, HeaderError> {
        Ok(Self::with_id(SegmentHeader::decode(start)?.id))
    }

    /// A replayer for the segment of this id, whatever its header says: every block carries the id.
    #[must_use]
    pub fn with_id(id: u64) -> Self {
        Self {
            segment: id,
            sequence: 0,
            declared: DeclaredIds::default(),
            counts: Counts::default(),
            offset: 0,
            pending: Vec::new(),
            searching_since: None,
            lost_bytes: 0,
            broken: None,
        }
    }

    /// Takes the next piece of the file, of any length; the first one starts with the header.
    pub fn feed(&mut self, mut piece: &[u8], visitor: &mut impl Visitor) {
        while !piece.is_empty() {
            if self.pending.is_empty() {
                let (used, _) = self.advance(piece, false, visitor);
                self.pending.extend_from_slice(&piece[used..]);
                return;
            }
            let mut pending = std::mem::take(&mut self.pending);
            let (_, wanted) = self.advance(&pending, false, visitor);
            // No more than completes the block, so that what follows is read where it is.
            let (more, rest) = piece.split_at(piece.len().min(wanted.saturating_sub(pending.len())));
            pending.extend_from_slice(more);
            piece = rest;
            let (used, _) = self.advance(&pending, false, visitor);
            pending.drain(..used);
            self.pending = pending;
        }
    }

    /// The file ends.
    pub fn finish(mut self, visitor: &mut impl Visitor) -> Outcome {
        let pending = std::mem::take(&mut self.pending);
        self.advance(&pending, true, visitor);
        let valid_bytes = self.broken.map_or(self.offset, |broken| broken.at);
        let end = match self.broken {
            None => End::Clean,
            Some(Broken { at, why, is_corrupt: true, .. }) => End::Corrupt { at_bytes: at, why },
            Some(Broken { why: Damage::Missing { .. }, is_followed: false, .. }) => End::Clean,
            Some(Broken { at, .. }) => End::Torn { at_bytes: at },
        };
        Outcome { end, counts: self.counts, valid_bytes, lost_bytes: self.lost_bytes }
    }

    /// Looks at `bytes`, which start at `offset`, as far as they tell; `last` says that the file ends with them.
    /// Returns how many were used and how many there have to be, counted from the same place, to go on.
    fn advance(&mut self, bytes: &[u8], last: bool, visitor: &mut impl Visitor) -> (usize, usize) {
        let mut at = 0;
        let wanted = loop {
            if self.offset == 0 {
                // The header, which is the caller's, or Self::new's.
                if bytes.len() < SECTOR_BYTES && !last {
                    break SECTOR_BYTES;
                }
                at = bytes.len().min(SECTOR_BYTES);
                self.offset = at as u64;
            }
            let rest = &bytes[at..];
            if rest.is_empty() {
                break at + BLOCK_HEADER_BYTES;
            }
            let used = match look(rest, last, self.segment, self.sequence, self.searching_since.is_some()) {
                Found::More { bytes } => break at + bytes,
                Found::Block { sequence, settled, bytes } => {
                    self.block(&rest[..bytes], sequence, settled, visitor)
                }
                // The search goes from sector to sector.
                Found::Broken(_) if rest.len() < SECTOR_BYTES && !last => break at + SECTOR_BYTES,
                Found::Broken(why) => {
                    self.broken.get_or_insert(Broken {
                        at: self.offset,
                        why,
                        sequence: self.sequence,
                        is_followed: false,
                        is_corrupt: false,
                    });
                    self.searching_since.get_or_insert(self.offset);
                    SECTOR_BYTES.min(rest.len())
                }
            };
            at += used;
            self.offset += used as u64;
        };
        (at, wanted)
    }

    /// A whole block: hands its records on. Returns its length.
    fn block(&mut self, block: &[u8], sequence: u64, settled: u64, visitor: &mut impl Visitor) -> usize {
        if let Some(broken) = &mut self.broken {
            broken.is_followed = true;
            broken.is_corrupt |= settled > broken.sequence;
        }
        if let Some(since) = self.searching_since.take() {
            self.lost_bytes += self.offset - since;
            self.declared.lose();
        }
        self.sequence = sequence + 1;
        let length = u32::from_le_bytes(BLOCK_LENGTH.get(block)) as usize;
        let payload = &block[BLOCK_HEADER_BYTES..BLOCK_HEADER_BYTES + length];
        match records::visit(payload, &mut self.declared, &mut self.counts, visitor) {
            Ok(()) => self.counts.blocks += 1,
            Err(record) => {
                let why = Damage::Record { sequence, record };
                let broken = Broken { at: self.offset, why, sequence, is_followed: true, is_corrupt: true };
                self.broken.get_or_insert(broken).is_corrupt = true;
                self.declared.lose();
                self.lost_bytes += block.len() as u64;
            }
        }
        block.len()
    }
}

/// Looks for block `sequence` of a segment at the start of `bytes`, or, when `searching`, for any later one.
fn look(bytes: &[u8], last: bool, segment: u64, sequence: u64, searching: bool) -> Found {
    let Some(header) = bytes.get(..BLOCK_HEADER_BYTES) else {
        return if last {
            Found::Broken(cut_header(bytes, segment, sequence))
        } else {
            Found::More { bytes: BLOCK_HEADER_BYTES }
        };
    };
    if u64::from_le_bytes(BLOCK_SEGMENT.get(header)) != segment {
        return Found::Broken(Damage::Missing { sequence });
    }
    let found = u64::from_le_bytes(BLOCK_SEQUENCE.get(header));
    if if searching { found <= sequence } else { found != sequence } {
        return Found::Broken(Damage::Sequence { sequence, found });
    }
    let length_bytes = u32::from_le_bytes(BLOCK_LENGTH.get(header));
    let length = length_bytes as usize;
    if length == 0 || length > limits::LOG_BLOCK_PAYLOAD_BYTES_MAX {
        return Found::Broken(Damage::Length { sequence, length_bytes });
    }
    let whole = padded(BLOCK_HEADER_BYTES + length);
    if bytes.len() < whole && !last {
        return Found::More { bytes: whole };
    }
    let Some(checked) = bytes.get(BLOCK_CRC.end()..BLOCK_HEADER_BYTES + length) else {
        return Found::Broken(Damage::Cut { sequence });
    };
    if u32::from_le_bytes(BLOCK_CRC.get(header)) != crc32fast::hash(checked) {
        return Found::Broken(Damage::Checksum { sequence });
    }
    // Of a file cut within the padding, the block is whole.
    let settled = u64::from_le_bytes(BLOCK_SETTLED.get(header));
    Found::Block { sequence: found, settled, bytes: whole.min(bytes.len()) }
}

/// What a file that ends within a block's header was about to hold.
fn cut_header(bytes: &[u8], segment: u64, sequence: u64) -> Damage {
    let is_other = match bytes.get(..BLOCK_SEGMENT.end()) {
        Some(bytes) => u64::from_le_bytes(BLOCK_SEGMENT.get(bytes)) != segment,
        None => bytes.iter().all(|&byte| byte == 0),
    };
    if is_other { Damage::Missing { sequence } } else { Damage::Cut { sequence } }
}
