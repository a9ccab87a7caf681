//! What cleanup and archive ask of the simulated machine, beyond its [`platform`](super::platform).

use std::io;
use std::path::Path;

use super::disk::{Operation, Outcome};
use super::platform::SimPlatform;
use crate::checkpoint::file_name::parse;
use crate::checkpoint::{SnapshotSeries, decode_as};
use crate::platform::{Archiving, Clock, DirectoryEntry, Disk, Housekeeping};

/// A file being written piece by piece.
#[derive(Debug)]
pub struct SimOutput {
    file: u64,
    bytes: u64,
}

impl Housekeeping for SimPlatform {
    /// The age of a snapshot that no core wrote is in its header: it is written at its end. Everything else is new.
    async fn read_dir_with_ages(&self, directory: &Path) -> io::Result<Vec<(DirectoryEntry, i64)>> {
        let entries = self.read_dir(directory).await?.into_iter().map(|entry| {
            let kind = entry.name.to_str().and_then(parse).map(|(_, kind)| kind);
            let header = kind.and_then(|kind| {
                let bytes = self.disk.read(&directory.join(&entry.name)).ok()?;
                decode_as(kind, &bytes, &mut |_: SnapshotSeries<'_>| ()).ok()
            });
            let modified = self.disk.age(&directory.join(&entry.name)).or(header.map(|header| header.to));
            let modified = modified.unwrap_or_else(|| self.now_seconds());
            (entry, modified)
        });
        Ok(entries.collect())
    }

    async fn remove_directory(&self, directory: &Path) -> io::Result<()> {
        self.perform(Operation::RemoveDirectory { path: directory.to_owned() }).await.map(drop)
    }
}

impl Archiving for SimPlatform {
    type Output = SimOutput;

    async fn read_file(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        match self.perform(Operation::ReadFile { path: path.to_owned() }).await? {
            Outcome::Content(bytes) if bytes.len() as u64 <= bytes_max => Ok(bytes),
            Outcome::Content(_) => Err(io::ErrorKind::FileTooLarge.into()),
            _ => unreachable!("it reads a file"),
        }
    }

    async fn create_output(&self, path: &Path) -> io::Result<SimOutput> {
        match self.perform(Operation::Create { path: path.to_owned(), bytes: 0 }).await? {
            Outcome::Opened(file, _) => Ok(SimOutput { file, bytes: 0 }),
            _ => unreachable!("it opens a file"),
        }
    }

    async fn append(&self, output: SimOutput, bytes: Vec<u8>) -> io::Result<SimOutput> {
        let SimOutput { file, bytes: offset } = output;
        let end = offset + bytes.len() as u64;
        self.perform(Operation::Write { file, offset, bytes, is_durable: false }).await?;
        Ok(SimOutput { file, bytes: end })
    }

    async fn sync_output(&self, output: SimOutput) -> io::Result<()> {
        self.perform(Operation::Sync { file: output.file }).await?;
        self.perform(Operation::Close { file: output.file }).await.map(drop)
    }

    async fn run_aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        Ok(work())
    }
}
