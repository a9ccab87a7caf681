//! The header of a segment: whose it is, and which one.

use super::format::{
    MAGIC, SECTOR_BYTES, SEGMENT_CORE, SEGMENT_CORES, SEGMENT_CRC, SEGMENT_CREATED, SEGMENT_HEADER_BYTES,
    SEGMENT_ID, SEGMENT_MAGIC, SEGMENT_VERSION, VERSION,
};

/// What a segment says about itself in its first sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Unique, and never used again, not even when the file is: stale blocks are told by it.
    pub id: u64,
    /// The core that wrote the segment, below `cores`.
    pub core: u16,
    /// How many cores there were.
    pub cores: u16,
    /// Time of the clock when the segment was opened, seconds.
    pub created_seconds: i64,
}

/// Why a header cannot be read.
///
/// The blocks do not depend on it: with the id from the name of the file,
/// [`Replayer::with_id`](super::replay::Replayer::with_id) reads what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The file ends before the header does.
    #[error(
        "the file has {bytes} bytes, less than the header of a log segment; it holds no samples, delete it"
    )]
    Short {
        /// Bytes there are.
        bytes: usize,
    },
    /// Zeros: the file was prepared, but never came into use.
    #[error("the log segment was never written; it holds no samples, delete it")]
    Empty,
    /// The first bytes are others.
    #[error("the file does not begin as a log segment does; look for what else wrote into the log directory")]
    Magic,
    /// Another version of the format.
    #[error(
        "the log segment has format {found}, this program reads {VERSION}; \
         start the program that wrote it and stop it cleanly, its log is empty then"
    )]
    Version {
        /// The version found.
        found: u32,
    },
    /// The header is damaged.
    #[error("the checksum of the log segment's header does not match; check the disk")]
    Checksum,
    /// The core is not one of the cores.
    #[error("the log segment says that core {core} of {cores} wrote it; check the disk")]
    Core {
        /// The core found.
        core: u16,
        /// The number of cores found.
        cores: u16,
    },
}

impl SegmentHeader {
    /// The first sector of the segment.
    ///
    /// # Panics
    /// If the core is not below `cores`: a bug.
    #[must_use]
    pub fn encode(&self) -> [u8; SECTOR_BYTES] {
        assert!(self.core < self.cores, "core {} of {}", self.core, self.cores);
        let mut bytes = [0; SECTOR_BYTES];
        SEGMENT_MAGIC.put(&mut bytes, &MAGIC);
        SEGMENT_VERSION.put(&mut bytes, &VERSION.to_le_bytes());
        SEGMENT_CORE.put(&mut bytes, &self.core.to_le_bytes());
        SEGMENT_CORES.put(&mut bytes, &self.cores.to_le_bytes());
        SEGMENT_ID.put(&mut bytes, &self.id.to_le_bytes());
        SEGMENT_CREATED.put(&mut bytes, &self.created_seconds.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..SEGMENT_CRC.offset]);
        SEGMENT_CRC.put(&mut bytes, &crc.to_le_bytes());
        bytes
    }

    /// Reads the start of a segment.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES) else {
            return Err(HeaderError::Short { bytes: bytes.len() });
        };
        if bytes.iter().all(|&byte| byte == 0) {
            return Err(HeaderError::Empty);
        }
        if SEGMENT_MAGIC.get(bytes) != MAGIC {
            return Err(HeaderError::Magic);
        }
        // Before the checksum: another version may have it elsewhere.
        let found = u32::from_le_bytes(SEGMENT_VERSION.get(bytes));
        if found != VERSION {
            return Err(HeaderError::Version { found });
        }
        if u32::from_le_bytes(SEGMENT_CRC.get(bytes)) != crc32fast::hash(&bytes[..SEGMENT_CRC.offset]) {
            return Err(HeaderError::Checksum);
        }
        let header = Self {
            id: u64::from_le_bytes(SEGMENT_ID.get(bytes)),
            core: u16::from_le_bytes(SEGMENT_CORE.get(bytes)),
            cores: u16::from_le_bytes(SEGMENT_CORES.get(bytes)),
            created_seconds: i64::from_le_bytes(SEGMENT_CREATED.get(bytes)),
        };
        if header.core >= header.cores {
            return Err(HeaderError::Core { core: header.core, cores: header.cores });
        }
        Ok(header)
    }
}
