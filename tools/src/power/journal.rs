//! What a file system was asked to do, in order.

use std::ffi::OsString;
use std::fmt;

use super::names::Inode;

/// Bytes that are written.
#[derive(Clone, PartialEq, Eq)]
pub enum Bytes {
    /// These.
    Some(Vec<u8>),
    /// So many zeros.
    Zeros(u64),
}

impl Bytes {
    /// Zeros need no room.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        if bytes.iter().all(|&byte| byte == 0) {
            Self::Zeros(bytes.len() as u64)
        } else {
            Self::Some(bytes.to_vec())
        }
    }

    /// How many they are.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::Some(bytes) => bytes.len() as u64,
            Self::Zeros(length) => *length,
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zero = if matches!(self, Self::Zeros(_)) { " of zeros" } else { "" };
        write!(formatter, "{} bytes{zero}", self.length())
    }
}

/// One change of a file system, or a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new file or an empty directory.
    Create {
        /// The directory it is in.
        directory: Inode,
        /// Its name.
        name: OsString,
        /// Its number, never used before.
        inode: Inode,
        /// Whether it is a directory.
        is_directory: bool,
    },
    /// Bytes are written to a file.
    Write {
        /// The file.
        inode: Inode,
        /// Of the first byte.
        offset: u64,
        /// What is written.
        bytes: Bytes,
        /// Whether it is durable when the write returns (`O_DSYNC`, `O_SYNC`).
        is_durable: bool,
    },
    /// A file is cut or lengthened.
    SetLength {
        /// The file.
        inode: Inode,
        /// Its new length.
        length: u64,
    },
    /// A name is changed within its directory.
    Rename {
        /// The directory.
        directory: Inode,
        /// The old name.
        from: OsString,
        /// The new name; another file may have had it.
        to: OsString,
    },
    /// A file or an empty directory loses its name.
    Remove {
        /// The directory it is in.
        directory: Inode,
        /// Its name.
        name: OsString,
    },
    /// `fsync` or `fdatasync` of a file.
    SyncFile {
        /// The file.
        inode: Inode,
    },
    /// `fsync` of a directory.
    SyncDirectory {
        /// The directory.
        inode: Inode,
    },
}

impl Operation {
    /// Whether it makes anything durable.
    #[must_use]
    pub fn is_sync(&self) -> bool {
        matches!(
            self,
            Self::SyncFile { .. } | Self::SyncDirectory { .. } | Self::Write { is_durable: true, .. }
        )
    }

    /// Whether it is a write that is durable when it returns.
    #[must_use]
    pub fn is_durable_write(&self) -> bool {
        matches!(self, Self::Write { is_durable: true, .. })
    }

    /// Whether it is about names.
    #[must_use]
    pub fn is_of_names(&self) -> bool {
        matches!(
            self,
            Self::Create { .. } | Self::Rename { .. } | Self::Remove { .. } | Self::SyncDirectory { .. }
        )
    }
}
