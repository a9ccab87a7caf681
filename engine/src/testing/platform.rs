//! The simulated machine as the engine sees it: disk, clock and tasks, behind the traits of [`crate::platform`].

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::disk::{Operation, Outcome, SimDisk};
use super::executor::Executor;
use crate::platform::{Clock, DirectoryEntry, Disk, Files, LogFile, Writes};

/// One simulated process on its machine; all its cores share it.
#[derive(Clone, Debug)]
pub struct SimPlatform {
    pub(super) disk: SimDisk,
    executor: Executor,
    /// Whose tasks are spawned through it.
    core: usize,
    /// What the clock of the wall shows at virtual time 0, in seconds.
    wall_seconds: Rc<Cell<i64>>,
    /// The most it ever showed there.
    wall_seconds_max: Rc<Cell<i64>>,
    /// How far it was set forward, all in all, in seconds.
    forward_seconds: Rc<Cell<i64>>,
}

/// An open segment.
#[derive(Debug)]
pub struct SimFile {
    platform: SimPlatform,
    file: u64,
    bytes: u64,
    is_durable: bool,
    path: RefCell<PathBuf>,
}

/// The disk before the cores run.
#[derive(Clone, Debug)]
pub struct SimFiles(pub SimDisk);

impl SimPlatform {
    /// A process on this machine; `wall_seconds` is what the clock of the wall shows at virtual time 0.
    #[must_use]
    pub fn new(disk: SimDisk, executor: Executor, wall_seconds: i64) -> Self {
        Self {
            disk,
            executor,
            core: 0,
            wall_seconds: Rc::new(wall_seconds.into()),
            wall_seconds_max: Rc::new(wall_seconds.into()),
            forward_seconds: Rc::default(),
        }
    }

    /// The machine as this core sees it.
    #[must_use]
    pub fn of_core(&self, core: usize) -> Self {
        Self { core, ..self.clone() }
    }

    /// Sets the clock of the wall forward, or back.
    pub fn advance(&self, seconds: i64) {
        self.wall_seconds.set(self.wall_seconds.get() + seconds);
        self.note(|| format!("-- the clock moves by {seconds} s to {}", self.now_seconds()));
        self.wall_seconds_max.set(self.wall_seconds_max.get().max(self.wall_seconds.get()));
        self.forward_seconds.set(self.forward_seconds.get() + seconds.max(0));
    }

    /// The most that the clock of the wall can have shown so far.
    #[must_use]
    pub fn latest_seconds(&self) -> i64 {
        self.wall_seconds_max() + (self.executor.now_ns() / 1_000_000_000) as i64
    }

    /// How far the clock of the wall was set forward, all in all, in seconds.
    #[must_use]
    pub fn forward_seconds(&self) -> i64 {
        self.forward_seconds.get()
    }

    /// The most that the clock of the wall would have shown at virtual time 0, in seconds.
    #[must_use]
    pub fn wall_seconds_max(&self) -> i64 {
        self.wall_seconds_max.get()
    }

    /// What the clock of the wall shows at virtual time 0, in seconds.
    #[must_use]
    pub fn wall_seconds(&self) -> i64 {
        self.wall_seconds.get()
    }

    /// See [`SimDisk::note`].
    pub fn note(&self, line: impl FnOnce() -> String) {
        self.disk.note(line);
    }

    /// Its disks.
    #[must_use]
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    pub(super) async fn perform(&self, operation: Operation) -> io::Result<Outcome> {
        let Some((number, latency_ns)) = self.disk.begin(operation, self.executor.now_ns()) else {
            return std::future::pending().await;
        };
        self.executor.sleep_ns(latency_ns).await;
        match self.disk.finish(number) {
            Some(result) => result,
            None => std::future::pending().await,
        }
    }

    async fn open(&self, path: &Path, operation: Operation, writes: Writes) -> io::Result<SimFile> {
        let Outcome::Opened(file, bytes) = self.perform(operation).await? else {
            unreachable!("it opens a file")
        };
        let is_durable = writes == Writes::Durable && self.disk.faults_at(path).has_durable_writes;
        Ok(SimFile { platform: self.clone(), file, bytes, is_durable, path: path.to_owned().into() })
    }
}

impl Disk for SimPlatform {
    type File = SimFile;

    async fn create(&self, path: &Path, bytes: u64, writes: Writes) -> io::Result<SimFile> {
        self.open(path, Operation::Create { path: path.to_owned(), bytes }, writes).await
    }

    async fn open_for_reuse(&self, path: &Path, writes: Writes) -> io::Result<SimFile> {
        self.open(path, Operation::Reuse { path: path.to_owned() }, writes).await
    }

    async fn write_file(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        self.perform(Operation::WriteFile { path: path.to_owned(), bytes }).await?;
        self.disk.set_age(path, self.now_seconds());
        Ok(())
    }

    async fn create_directory(&self, directory: &Path) -> io::Result<()> {
        // As the daemon does it.
        let missing: Vec<&Path> = directory
            .ancestors()
            .take_while(|path| !self.disk.is_directory(path) && *path != Path::new("/"))
            .collect();
        for path in missing.iter().rev() {
            self.perform(Operation::MakeDirectory { path: path.to_path_buf() }).await?;
        }
        for path in missing {
            let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
            self.perform(Operation::SyncDirectory { path: parent }).await?;
        }
        Ok(())
    }

    async fn read_dir(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        match self.perform(Operation::ReadDirectory { path: directory.to_owned() }).await? {
            Outcome::Entries(entries) => Ok(entries),
            _ => unreachable!("it lists names"),
        }
    }

    async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        // Before it is: a machine that stops within it may have done it.
        if let Some(modified) = self.disk.age(from) {
            self.disk.set_age(to, modified);
        }
        self.perform(Operation::Rename { from: from.to_owned(), to: to.to_owned() }).await.map(drop)
    }

    async fn remove(&self, path: &Path) -> io::Result<()> {
        self.perform(Operation::Remove { path: path.to_owned() }).await.map(drop)
    }

    async fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.perform(Operation::SyncDirectory { path: directory.to_owned() }).await.map(drop)
    }
}

impl LogFile for SimFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn writes_are_durable(&self) -> bool {
        self.is_durable
    }

    fn renamed(&self, path: &Path) {
        path.clone_into(&mut self.path.borrow_mut());
    }

    async fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        assert!(offset + bytes.len() as u64 <= self.bytes, "a write behind the end of {:?}", self.path);
        let (file, is_durable, bytes) = (self.file, self.is_durable, bytes.to_vec());
        self.platform.perform(Operation::Write { file, offset, bytes, is_durable }).await.map(drop)
    }

    async fn sync_data(&self) -> io::Result<()> {
        self.platform.perform(Operation::Sync { file: self.file }).await.map(drop)
    }

    async fn close(self) -> io::Result<()> {
        self.platform.perform(Operation::Close { file: self.file }).await.map(drop)
    }
}

impl Clock for SimPlatform {
    fn now_seconds(&self) -> i64 {
        self.wall_seconds.get() + (self.executor.now_ns() / 1_000_000_000) as i64
    }

    fn now_ns(&self) -> u64 {
        self.executor.now_ns()
    }

    async fn sleep(&self, duration: Duration) {
        self.executor.sleep_ns(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)).await;
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        self.executor.spawn_on(self.core, name, task);
    }
}

impl SimFiles {
    /// One step; an error if the machine stops before or within it.
    fn step<T>(&self, operation: Operation, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let stopped = || io::Error::other("the machine has stopped");
        let (number, _) = self.0.begin(operation, 0).ok_or_else(stopped)?;
        self.0.finish(number).ok_or_else(stopped)??;
        call()
    }
}

impl Files for SimFiles {
    fn read_dir(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.step(Operation::ReadDirectory { path: directory.to_owned() }, || self.0.entries(directory))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.step(Operation::ReadFile { path: path.to_owned() }, || self.0.read(path))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.step(Operation::SyncFile { path: path.to_owned() }, || Ok(()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Operation::Rename { from: from.to_owned(), to: to.to_owned() }, || Ok(()))
    }
}
