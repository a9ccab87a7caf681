//! A whole log into one shard, as a start of the daemon loads it (`engine::recovery`).

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::config::Metrics;
use engine::memory::shard::Shard;
use engine::recovery::{Recovered, Recovery};
use engine::wal::replay::End;
use engine::wal::segment::{HeaderError, SegmentHeader};

use super::log_directory::SegmentPath;

/// No segment is longer: the daemon makes files of 64 MiB.
const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Why a segment, or a part of it, was not read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentDamage {
    /// Nothing of it was read.
    #[error("cannot be read, nothing of it was exported: {0}")]
    Read(#[from] io::Error),
    /// Nothing of it was read.
    #[error("has {bytes} bytes, a segment has at most {SEGMENT_BYTES_MAX}; nothing of it was exported")]
    TooLong {
        /// Its length.
        bytes: u64,
    },
    /// Nothing of it was read: its blocks may mean something else.
    #[error("nothing of it was exported: {0}")]
    Version(HeaderError),
    /// Every whole block was exported all the same.
    #[error("{header} ({blocks} whole blocks were found by the number in its name and exported)")]
    Header {
        /// What is wrong.
        header: HeaderError,
        /// What follows it.
        blocks: u64,
    },
    /// Its whole blocks were exported.
    #[error("{end} ({lost_bytes} bytes of it are lost)")]
    End {
        /// Where, and why.
        end: End,
        /// Bytes of it that are no whole blocks.
        lost_bytes: u64,
    },
}

/// A segment that is not whole.
#[derive(Debug)]
pub struct DamagedSegment {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub damage: SegmentDamage,
}

impl fmt::Display for DamagedSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.damage)
    }
}

/// What a log holds.
#[derive(Debug)]
pub struct LoadedLog {
    /// All hosts, everything unsaved.
    pub shard: Shard,
    /// Counts of samples, overwritten ones among them.
    pub recovered: Recovered,
    /// Samples of metrics that are not configured.
    pub unconfigured: u64,
    /// Torn and damaged segments.
    pub damaged: Vec<DamagedSegment>,
}

/// Replays segments in the given order; samples before `oldest` (seconds) are left out. Damaged segments are read
/// as far as they are whole. `progress` is told of every segment: its bytes, and samples loaded from it.
#[must_use]
pub fn load(
    segments: &[SegmentPath],
    metrics: Arc<Metrics>,
    oldest: i64,
    mut progress: impl FnMut(u64, u64),
) -> LoadedLog {
    // One shard for all hosts; what it would free later is nothing to us.
    let mut shard = Shard::new(metrics, 1, i64::MAX);
    let mut recovery = Recovery::new(&mut shard, 0, 1, oldest).logs_from(oldest);
    let (mut damaged, mut replayed) = (Vec::new(), 0);
    for segment in segments {
        let samples_before = recovery.recovered().samples;
        if let Err(damage) = load_segment(&mut recovery, segment, &mut replayed) {
            damaged.push(DamagedSegment { path: segment.path.clone(), damage });
        }
        progress(file_bytes(&segment.path), recovery.recovered().samples - samples_before);
    }
    let recovered = recovery.recovered();
    // All hosts are ours, so nothing else keeps a sample out. Of a damaged record some may be loaded and not counted.
    let unconfigured = replayed.saturating_sub(recovered.samples + recovered.too_old);
    LoadedLog { shard, recovered, unconfigured, damaged }
}

/// Adds to `replayed` how many samples the segment holds.
fn load_segment(
    recovery: &mut Recovery<'_>,
    segment: &SegmentPath,
    replayed: &mut u64,
) -> Result<(), SegmentDamage> {
    let bytes = read(&segment.path)?;
    let header = SegmentHeader::decode(&bytes);
    if let Err(error @ HeaderError::Version { .. }) = header {
        return Err(SegmentDamage::Version(error));
    }
    let outcome = recovery.segment(segment.id, &bytes);
    *replayed += outcome.counts.samples;
    match (outcome.end, header) {
        // A segment that was never begun has zeros.
        (End::Clean, Ok(_) | Err(HeaderError::Empty)) => Ok(()),
        (End::Clean, Err(header)) => Err(SegmentDamage::Header { header, blocks: outcome.counts.blocks }),
        (end, _) => Err(SegmentDamage::End { end, lost_bytes: outcome.lost_bytes }),
    }
}

/// The length of a file, 0 if there is none.
#[must_use]
pub fn file_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn read(path: &Path) -> Result<Vec<u8>, SegmentDamage> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a file").into());
    }
    if metadata.len() > SEGMENT_BYTES_MAX {
        return Err(SegmentDamage::TooLong { bytes: metadata.len() });
    }
    Ok(fs::read(path)?)
}
