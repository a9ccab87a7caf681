//! `metric-store.wal`: where our own log lies and when an acknowledgement is on disk (DESIGN: the log).
//!
//! Read with the section `metric-store`; the log writers use it.

use std::path::{Path, PathBuf};

use engine::durable::commit::WalSync;

use super::object::Object;
use super::problem::Problem;
use super::{bounds, duration};

const KEYS: &[&str] = &["directory", "sync"];
const INTERVAL_PREFIX: &str = "interval:";

/// The object `wal`. Not known to the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wal {
    /// Where the segments lie; never inside `checkpoints.directory`, whose directories are clusters.
    pub directory: PathBuf,
    /// What an acknowledgement promises.
    pub sync: WalSync,
}

impl Wal {
    /// The default: always in sync, in `wal` beside the checkpoints.
    pub(super) fn beside(checkpoints: &Path) -> Self {
        let sibling = |name: &str| match checkpoints.file_name() {
            Some(_) => checkpoints.with_file_name(name),
            // "." and ".." have no name to replace.
            None => checkpoints.join("..").join(name),
        };
        let mut directory = sibling("wal");
        // A site may call its checkpoints "wal".
        if directory == checkpoints {
            directory = sibling("write-ahead-log");
        }
        Self { directory, sync: WalSync::Always }
    }

    /// Reads `wal` of the section `metric-store`.
    pub(super) fn read(section: &Object<'_>, checkpoints: &Path) -> Self {
        let mut wal = Self::beside(checkpoints);
        let Some(object) = section.object("wal", KEYS) else { return wal };
        if let Some(directory) = object.text("directory").map(PathBuf::from) {
            if directory.starts_with(checkpoints) {
                let expected =
                    "a directory outside checkpoints.directory, where it would be taken for a cluster";
                let (expected, found) = (expected.to_owned(), format!("{directory:?}"));
                let path = object.path_of("directory");
                object.findings().problem(Problem::OutOfRange { path, expected, found });
            }
            wal.directory = directory;
        }
        if let Some(text) = object.text("sync") {
            match read_sync(text) {
                Some(sync) => wal.sync = sync,
                None => {
                    let min = bounds::SYNC_INTERVAL_MIN;
                    let expected = format!(
                        "\"always\", \"none\", \"off\" or \"interval:<duration of at least {min:?}>\""
                    );
                    let (path, found) = (object.path_of("sync"), format!("{text:?}"));
                    object.findings().problem(Problem::OutOfRange { path, expected, found });
                }
            }
        }
        wal
    }
}

fn read_sync(text: &str) -> Option<WalSync> {
    match text {
        "always" => Some(WalSync::Always),
        "none" => Some(WalSync::None),
        "off" => Some(WalSync::Off),
        _ => {
            let interval = duration::parse(text.strip_prefix(INTERVAL_PREFIX)?.trim()).ok()?;
            (interval >= bounds::SYNC_INTERVAL_MIN).then_some(WalSync::Interval(interval))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_log_lies_beside_the_checkpoints() {
        for (checkpoints, expected) in [
            ("./var/checkpoints", "./var/wal"),
            ("./var/checkpoints/", "./var/wal"),
            ("/data/cc/checkpoints", "/data/cc/wal"),
            ("checkpoints", "wal"),
            (".", "./../wal"),
            ("..", "../../wal"),
            ("/data/wal", "/data/write-ahead-log"),
        ] {
            assert_eq!(Wal::beside(Path::new(checkpoints)).directory, Path::new(expected), "{checkpoints}");
        }
    }

    #[test]
    fn reads_every_kind_of_sync() {
        for (text, expected) in [
            ("always", Some(WalSync::Always)),
            ("none", Some(WalSync::None)),
            ("off", Some(WalSync::Off)),
            ("interval:1s", Some(WalSync::Interval(Duration::from_secs(1)))),
            ("interval: 50ms", Some(WalSync::Interval(Duration::from_millis(50)))),
            ("interval:1us", None),
            ("interval:0", None),
            ("interval:", None),
            ("interval", None),
            ("1s", None),
            ("Always", None),
        ] {
            assert_eq!(read_sync(text), expected, "{text}");
        }
    }
}
