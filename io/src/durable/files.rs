//! Files before the cores run, for recovery.

use std::fs;
use std::io;
use std::path::Path;

use engine::platform::{DirectoryEntry, Files};

use crate::runtime::entries;

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFiles;

impl Files for RealFiles {
    fn read_dir(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        entries(directory)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
}
