//! What a file is: told by its name, or, if that says nothing, by how it begins.

use engine::checkpoint::{Kind, file_name, format as snapshot};
use engine::reference_log::format as reference_log;
use engine::wal::segment::{HeaderError, SegmentHeader};

/// A kind of file that can be dumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `.bin` or `.json`.
    Snapshot(Kind),
    /// The reference's `current.wal`.
    ReferenceLog,
    /// A segment of the daemon's own log.
    Segment,
}

impl FileKind {
    /// What a person calls it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Snapshot(Kind::Binary) => "snapshot (.bin)",
            Self::Snapshot(Kind::Json) => "snapshot (.json)",
            Self::ReferenceLog => "log of the reference",
            Self::Segment => "log segment",
        }
    }

    /// The kind of a file, or none if neither its name nor its first bytes tell.
    ///
    /// The name comes first, so that the error for a damaged beginning is that of the format. That of a file that was set
    /// aside or not finished tells as well.
    #[must_use]
    pub fn of(name: &str, bytes: &[u8]) -> Option<Self> {
        let known = |suffix| name.strip_suffix(suffix);
        let name = known(file_name::CORRUPT_SUFFIX).or(known(file_name::TEMPORARY_SUFFIX)).unwrap_or(name);
        if name == file_name::REFERENCE_LOG {
            return Some(Self::ReferenceLog);
        }
        for kind in [Kind::Binary, Kind::Json] {
            if name.ends_with(kind.extension()) {
                return Some(Self::Snapshot(kind));
            }
        }
        // Anything but these says that it is one, if a damaged or an unused one.
        let segment =
            !matches!(SegmentHeader::decode(bytes), Err(HeaderError::Short { .. } | HeaderError::Magic));
        if segment {
            return Some(Self::Segment);
        }
        if bytes.starts_with(&reference_log::FILE_MAGIC_NUMBER.to_le_bytes()) {
            Some(Self::ReferenceLog)
        } else if bytes.starts_with(&snapshot::MAGIC_NUMBER.to_le_bytes()) {
            Some(Self::Snapshot(Kind::Binary))
        } else if bytes.trim_ascii_start().starts_with(b"{") {
            Some(Self::Snapshot(Kind::Json))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_beginnings_tell_the_kind() {
        let segment = SegmentHeader { id: 1, core: 0, cores: 1, created_seconds: 0 }.encode();
        let (binary, json) = (FileKind::Snapshot(Kind::Binary), FileKind::Snapshot(Kind::Json));
        for (name, bytes, kind) in [
            ("17.bin", &b"junk"[..], Some(binary)),
            ("17.bin.corrupt", b"", Some(binary)),
            ("17.json.tmp", b"", Some(json)),
            ("current.wal", b"", Some(FileKind::ReferenceLog)),
            ("17.bin", &[0; 512], Some(binary)),
            ("current.wal", &[0; 512], Some(FileKind::ReferenceLog)),
            ("copy", &segment[..100], Some(FileKind::Segment)),
            ("copy", b"\x01\xa7\x1d\xcc", Some(FileKind::ReferenceLog)),
            ("copy", b"\x01\x00\x5b\xcc", Some(binary)),
            ("copy", b"\n {", Some(json)),
            ("0-1.wal", &[0; 512], Some(FileKind::Segment)),
            ("notes.txt", b"notes", None),
            ("notes.txt", b"", None),
        ] {
            assert_eq!(FileKind::of(name, bytes), kind, "{name} {bytes:?}");
        }
    }
}
