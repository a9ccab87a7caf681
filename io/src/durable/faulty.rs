//! A disk for tests: the real one, whose operations fail, tear or wait when told to.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use engine::platform::{Clock, DirectoryEntry, Disk, LogFile, Writes};

use super::RealPlatform;
use crate::runtime::{SegmentFile, next_tick};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Create,
    Reuse,
    CreateDirectory,
    ReadDir,
    Rename,
    Remove,
    SyncDirectory,
    Write,
    Sync,
    Close,
}

/// The switches; shared by the disk and its files.
#[derive(Debug, Default)]
pub(super) struct Faults {
    failing: RefCell<HashMap<Operation, (io::ErrorKind, u32)>>,
    calls: RefCell<HashMap<Operation, u32>>,
    /// A failing write has written its first sector.
    pub(super) tears: Cell<bool>,
    /// Durable writes are possible; otherwise every commit needs a sync.
    pub(super) has_durable_writes: Cell<bool>,
    held: Cell<Option<Operation>>,
    pub(super) log: RefCell<Vec<String>>,
}

impl Faults {
    /// The next `times` calls fail so; 0 makes them succeed again.
    pub(super) fn fail(&self, operation: Operation, kind: io::ErrorKind, times: u32) {
        self.failing.borrow_mut().insert(operation, (kind, times));
    }

    /// Calls wait until it is released (`None`).
    pub(super) fn hold(&self, operation: Option<Operation>) {
        self.held.set(operation);
    }

    pub(super) fn calls(&self, operation: Operation) -> u32 {
        self.calls.borrow().get(&operation).copied().unwrap_or(0)
    }

    /// Waits until the operation has been called so often.
    pub(super) async fn called(&self, operation: Operation, times: u32) {
        while self.calls(operation) < times {
            next_tick().await;
        }
    }

    fn possible(&self, writes: Writes) -> Writes {
        if self.has_durable_writes.get() { writes } else { Writes::Cached }
    }

    async fn enter(&self, operation: Operation, path: &Path) -> io::Result<()> {
        *self.calls.borrow_mut().entry(operation).or_default() += 1;
        self.log
            .borrow_mut()
            .push(format!("{operation:?} {}", path.file_name().unwrap_or(path.as_os_str()).display()));
        while self.held.get() == Some(operation) {
            next_tick().await;
        }
        let mut failing = self.failing.borrow_mut();
        match failing.get_mut(&operation) {
            Some((kind, times)) if *times > 0 => {
                *times = times.saturating_sub(1);
                Err(io::Error::new(*kind, format!("cannot {operation:?} {}: injected", path.display())))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct FaultyDisk(pub(super) Rc<Faults>);

#[derive(Debug)]
pub(super) struct FaultyFile {
    file: SegmentFile,
    path: RefCell<PathBuf>,
    faults: Rc<Faults>,
}

impl LogFile for FaultyFile {
    fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    fn writes_are_durable(&self) -> bool {
        self.file.writes_are_durable()
    }

    fn renamed(&self, path: &Path) {
        *self.path.borrow_mut() = path.to_owned();
        self.file.renamed(path);
    }

    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.borrow().clone();
        let entered = self.faults.enter(Operation::Write, &path).await;
        if entered.is_err() && self.faults.tears.get() {
            self.file.write_at(offset, &bytes[..512]).await?;
        }
        entered?;
        self.file.write_at(offset, bytes).await
    }

    async fn sync_data(&self) -> io::Result<()> {
        let path = self.path.borrow().clone();
        self.faults.enter(Operation::Sync, &path).await?;
        self.file.sync_data().await
    }

    async fn close(self) -> io::Result<()> {
        let path = self.path.borrow().clone();
        let entered = self.faults.enter(Operation::Close, &path).await;
        self.file.close().await?;
        entered
    }
}

impl Disk for FaultyDisk {
    type File = FaultyFile;

    async fn create(&self, path: &Path, bytes: u64, writes: Writes) -> io::Result<FaultyFile> {
        self.0.enter(Operation::Create, path).await?;
        let file = RealPlatform.create(path, bytes, self.0.possible(writes)).await?;
        Ok(FaultyFile { file, path: path.to_owned().into(), faults: Rc::clone(&self.0) })
    }

    async fn open_for_reuse(&self, path: &Path, writes: Writes) -> io::Result<FaultyFile> {
        self.0.enter(Operation::Reuse, path).await?;
        let file = RealPlatform.open_for_reuse(path, self.0.possible(writes)).await?;
        Ok(FaultyFile { file, path: path.to_owned().into(), faults: Rc::clone(&self.0) })
    }

    async fn write_file(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        RealPlatform.write_file(path, bytes).await
    }

    async fn create_directory(&self, directory: &Path) -> io::Result<()> {
        self.0.enter(Operation::CreateDirectory, directory).await?;
        RealPlatform.create_directory(directory).await
    }

    async fn read_dir(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.0.enter(Operation::ReadDir, directory).await?;
        RealPlatform.read_dir(directory).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.enter(Operation::Rename, from).await?;
        RealPlatform.rename(from, to).await
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.enter(Operation::Remove, path).await?;
        RealPlatform.remove(path).await
    }

    async fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.0.enter(Operation::SyncDirectory, directory).await?;
        RealPlatform.sync_directory(directory).await
    }
}

impl Clock for FaultyDisk {
    fn now_seconds(&self) -> i64 {
        RealPlatform.now_seconds()
    }

    fn now_ns(&self) -> u64 {
        RealPlatform.now_ns()
    }

    async fn sleep(&self, duration: Duration) {
        RealPlatform.sleep(duration).await;
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        RealPlatform.spawn(name, task);
    }
}
