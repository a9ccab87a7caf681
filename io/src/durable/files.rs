//! Files before the cores run, for recovery.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use engine::platform::{DirectoryEntry, Files};

use crate::runtime::entries;

/// Bytes of a log segment read at once: they stay in the cache of the core that decodes them.
const PIECE_BYTES: usize = 512 * 1024;

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

    fn read_pieces(&self, path: &Path, bytes_max: u64, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut file = File::open(path)?.take(bytes_max);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let mut filled = 0;
            while filled < piece.len() {
                match file.read(&mut piece[filled..]) {
                    Ok(0) => {
                        take(&piece[..filled]);
                        return Ok(());
                    }
                    Ok(bytes) => filled += bytes,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            take(&piece);
        }
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        let failed = |error: io::Error| io::Error::new(error.kind(), format!("it cannot be synced: {error}"));
        File::open(path)?.sync_all().map_err(failed)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
}
