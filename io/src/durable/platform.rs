//! Disk and clock of a core, through the [`runtime`](crate::runtime); the calls are direct.

use std::future::Future;
use std::io;
use std::path::Path;
use std::time::Duration;

use engine::platform::{Archiving, Clock, DirectoryEntry, Disk, Housekeeping, LogFile, Writes};

use crate::core::clock_seconds;
use crate::runtime::{self, OutputFile, SegmentFile};

/// This machine, as a core sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealPlatform;

impl LogFile for SegmentFile {
    fn bytes(&self) -> u64 {
        self.bytes()
    }

    fn writes_are_durable(&self) -> bool {
        self.writes_are_durable()
    }

    fn renamed(&self, path: &Path) {
        self.renamed(path);
    }

    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at(offset, bytes).await
    }

    async fn sync_data(&self) -> io::Result<()> {
        self.sync_data().await
    }

    async fn close(self) -> io::Result<()> {
        self.close().await
    }
}

impl Disk for RealPlatform {
    type File = SegmentFile;

    async fn create(&self, path: &Path, bytes: u64, writes: Writes) -> io::Result<SegmentFile> {
        SegmentFile::create(path, bytes, writes).await
    }

    async fn open_for_reuse(&self, path: &Path, writes: Writes) -> io::Result<SegmentFile> {
        SegmentFile::open_for_reuse(path, writes).await
    }

    async fn write_file(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        runtime::write_file(path, bytes).await
    }

    async fn create_directory(&self, directory: &Path) -> io::Result<()> {
        runtime::create_directory(directory).await
    }

    async fn read_dir(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        runtime::read_dir(directory).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        runtime::rename(from, to).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        runtime::remove(path).await
    }

    async fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        runtime::sync_directory(directory).await
    }
}

impl Housekeeping for RealPlatform {
    async fn read_dir_with_ages(&self, directory: &Path) -> io::Result<Vec<(DirectoryEntry, i64)>> {
        runtime::read_dir_with_ages(directory).await
    }

    async fn remove_directory(&self, directory: &Path) -> io::Result<()> {
        runtime::remove_directory(directory).await
    }
}

impl Archiving for RealPlatform {
    type Output = OutputFile;

    async fn read_file(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        runtime::read_file(path, bytes_max).await
    }

    async fn create_output(&self, path: &Path) -> io::Result<OutputFile> {
        OutputFile::create(path).await
    }

    async fn append(&self, output: OutputFile, bytes: Vec<u8>) -> io::Result<OutputFile> {
        output.append(bytes).await
    }

    async fn sync_output(&self, output: OutputFile) -> io::Result<()> {
        output.sync().await
    }

    async fn run_aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
        runtime::run_aside(work).await
    }
}

impl Clock for RealPlatform {
    fn now_seconds(&self) -> i64 {
        clock_seconds()
    }

    fn now_ns(&self) -> u64 {
        runtime::now_ns()
    }

    async fn sleep(&self, duration: Duration) {
        runtime::sleep(duration).await;
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        runtime::spawn(name, task);
    }
}
