//! Which snapshots an archive file holds, in a file beside it, for as long as they are not all deleted.
//!
//! Without it a crash between the two would archive them a second time. A snapshot is known by its content, so that a
//! later one under the same name is never taken for it.

use serde::{Deserialize, Serialize};

use crate::checkpoint::file_name::parse;
use crate::line::key::is_path_safe;

/// Behind the name of the archive file.
pub const SOURCES_SUFFIX: &str = ".sources";

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its host.
    pub host: String,
    /// Its name in the host's directory.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// CRC-32 (IEEE) of its content.
    pub crc32: u32,
}

/// All snapshots of an archive file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// Host by host.
    pub sources: Vec<Source>,
}

impl Source {
    /// The snapshot with this content.
    #[must_use]
    pub fn new(host: &str, name: &str, content: &[u8]) -> Self {
        let (bytes, crc32) = (content.len() as u64, crc32fast::hash(content));
        Self { host: host.to_owned(), name: name.to_owned(), bytes, crc32 }
    }

    /// Whether a file of its name with this content is it.
    #[must_use]
    pub fn is(&self, content: &[u8]) -> bool {
        *self == Self::new(&self.host, &self.name, content)
    }
}

impl Sources {
    /// The content of the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("names and numbers can be written")
    }

    /// Reads the file; none if it is damaged, or names anything but snapshots of hosts.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let sources: Self = serde_json::from_slice(bytes).ok()?;
        let is_snapshot = |source: &Source| is_path_safe(&source.host) && parse(&source.name).is_some();
        sources.sources.iter().all(is_snapshot).then_some(sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_but_snapshots_is_refused() {
        let sources = Sources { sources: vec![Source::new("f0201", "1700000040.bin", b"content")] };
        assert_eq!(Sources::decode(&sources.encode()), Some(sources.clone()));
        assert!(sources.sources[0].is(b"content") && !sources.sources[0].is(b"contend"));
        for (from, to) in
            [("f0201", ".."), ("f0201", "a/b"), ("1700000040.bin", "../5.bin"), ("040.bin", ".txt")]
        {
            let text = String::from_utf8(sources.encode()).unwrap().replace(from, to);
            assert_eq!(Sources::decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Sources::decode(b"{"), None);
    }
}
