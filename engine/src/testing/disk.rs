//! A simulated disk: what TigerBeetle calls a storage fault model, for files. It tears, loses, reorders, fails and fills up.
//!
//! Before it: the operations of the simulated [`platform`](super::platform), each of which begins, takes its time and
//! finishes. Both moments are steps, and the machine can stop at every step: what is under way then has happened in part.
//!
//! What is promised: a successful sync makes durable what was written before it began. Nothing else is. See
//! [`Inode::lose_power`](super::inode) and [`Names::lose_power`](super::names) for what becomes of the rest.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::faults::{Crash, Faults};
use super::inode::Inode;
use super::names::{Names, Node, not_found};
use super::random::Random;
use crate::platform::{DirectoryEntry, SECTOR_BYTES};

/// A disk. Cheap to clone; all clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>);

/// An operation.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Create { path: PathBuf, bytes: u64 },
    Reuse { path: PathBuf },
    WriteFile { path: PathBuf, bytes: Vec<u8> },
    MakeDirectory { path: PathBuf },
    ReadDirectory { path: PathBuf },
    ReadFile { path: PathBuf },
    RemoveDirectory { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
    SyncDirectory { path: PathBuf },
    Write { file: u64, offset: u64, bytes: Vec<u8>, is_durable: bool },
    Sync { file: u64 },
    SyncFile { path: PathBuf },
    Close { file: u64 },
}

/// What an operation that succeeded returns.
#[derive(Debug)]
pub(super) enum Outcome {
    Done,
    /// The inode and its length.
    Opened(u64, u64),
    Entries(Vec<DirectoryEntry>),
    Content(Vec<u8>),
}

#[derive(Debug)]
struct State {
    random: Random,
    names: Names,
    inodes: BTreeMap<u64, Inode>,
    /// When files were last written.
    ages: BTreeMap<PathBuf, i64>,
    /// Numbers of operations and inodes.
    last_number: u64,
    /// By number of the operation.
    under_way: BTreeMap<u64, Operation>,
    /// The file systems, the root first: where each is mounted, and how its disk behaves.
    mounts: Vec<(PathBuf, Faults)>,
    steps: u64,
    failed_reads: u64,
    failed_writes: u64,
    /// The step at which the machine stops.
    stop_at: Option<u64>,
    is_stopped: bool,
    trace: Option<String>,
}

impl SimDisk {
    /// An empty disk. With `is_traced` it remembers what happens.
    #[must_use]
    pub fn new(random: Random, is_traced: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            random,
            names: Names::default(),
            inodes: BTreeMap::new(),
            ages: BTreeMap::new(),
            last_number: 0,
            under_way: BTreeMap::new(),
            mounts: vec![("/".into(), Faults::default())],
            steps: 0,
            failed_reads: 0,
            failed_writes: 0,
            stop_at: None,
            is_stopped: false,
            trace: is_traced.then(String::new),
        })))
    }

    /// A file was written at this time, in seconds; renaming it does not make it younger.
    pub(super) fn set_age(&self, path: &Path, modified: i64) {
        self.state().ages.insert(path.to_owned(), modified);
    }

    /// When a file was written, if a core wrote it.
    pub(super) fn age(&self, path: &Path) -> Option<i64> {
        self.state().ages.get(path).copied()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with it")
    }

    /// What is below this path is on a disk of its own from now on, with room and faults of its own. Power is lost by all.
    pub fn mount(&self, path: &Path) {
        let mut state = self.state();
        let faults = state.mounts[0].1;
        state.mounts.push((path.to_owned(), faults));
    }

    /// How all disks behave from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().mounts.iter_mut().for_each(|(_, of_mount)| *of_mount = faults);
        self.note(|| format!("-- {faults:?}"));
    }

    /// How the disk that holds this path behaves from now on.
    pub fn set_faults_at(&self, path: &Path, faults: Faults) {
        let mut state = self.state();
        let mount = state.mount_of(path);
        state.mounts[mount].1 = faults;
        drop(state);
        self.note(|| format!("-- disk of {}: {faults:?}", path.display()));
    }

    /// How the disk behaves that holds this path.
    #[must_use]
    pub fn faults_at(&self, path: &Path) -> Faults {
        let state = self.state();
        state.mounts[state.mount_of(path)].1
    }

    /// Bytes of all files on the disk that holds this path.
    #[must_use]
    pub fn used_bytes_at(&self, path: &Path) -> u64 {
        let state = self.state();
        state.used_bytes(state.mount_of(path))
    }

    /// The machine stops that many steps from now.
    pub fn stop_after(&self, steps: Option<u64>) {
        let mut state = self.state();
        state.stop_at = steps.map(|steps| state.steps + steps);
    }

    /// The machine stops.
    pub fn stop(&self) {
        self.state().is_stopped = true;
    }

    /// Whether the machine has stopped: operations do not return any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.state().is_stopped
    }

    /// Steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Reads that failed so far, of files and directories.
    #[must_use]
    pub fn failed_reads(&self) -> u64 {
        self.state().failed_reads
    }

    /// Operations that failed so far because the disk did or was full, but reads.
    #[must_use]
    pub fn failed_writes(&self) -> u64 {
        self.state().failed_writes
    }

    /// All files that have names.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.state().names.paths()
    }

    /// A file is cut or emptied, or a bit of a log is flipped, on the medium as well; the formats of snapshots have no checksum that
    /// would tell of that.
    pub fn damage(&self, path: &Path, random: &mut Random) {
        let state = &mut *self.state();
        if let Some(Node::File(file)) = state.names.get(path) {
            let flips = path.extension().is_some_and(|extension| extension == "log");
            state.inode(file).damage(flips, random);
        }
    }

    /// Adds a line to the trace.
    pub fn note(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.state().trace {
            let _ = writeln!(trace, "{}", line());
        }
    }

    /// What happened so far; empty unless it is traced.
    #[must_use]
    pub fn trace(&self) -> String {
        self.state().trace.clone().unwrap_or_default()
    }

    /// The machine has stopped or ended its tasks: what comes of what is not durable. It can be used again then.
    pub fn crash(&self, crash: Crash) {
        self.note(|| format!("-- {crash:?}"));
        let state = &mut *self.state();
        for operation in std::mem::take(&mut state.under_way).into_values() {
            state.happen_in_part(operation);
        }
        if let Crash::Power { percent_kept } = crash {
            let State { names, inodes, random, .. } = state;
            names.lose_power(percent_kept, random);
            inodes.values_mut().for_each(|inode| inode.lose_power(percent_kept, random));
        }
        state.forget_nameless();
        state.stop_at = None;
        state.is_stopped = false;
    }

    /// Begins an operation: its number and how long it takes; none if the machine has stopped.
    pub(super) fn begin(&self, operation: Operation, now_ns: u64) -> Option<(u64, u64)> {
        let state = &mut *self.state();
        if state.is_stopped {
            return None;
        }
        state.last_number += 1;
        let number = state.last_number;
        state.step(|step| {
            format!("{step:5} {:10.3} ms  {number} begins: {}", millis(now_ns), describe(&operation))
        });
        state.under_way.insert(number, operation);
        if state.is_stopped {
            return None;
        }
        let latency_ns_max = state.faults(&state.under_way[&number]).latency_ns_max;
        let latency_ns = state.random.within(0..latency_ns_max.max(1));
        Some((number, if state.random.percent(3) { latency_ns * 10 } else { latency_ns }))
    }

    /// Finishes it; none if the machine has stopped.
    pub(super) fn finish(&self, number: u64) -> Option<io::Result<Outcome>> {
        let state = &mut *self.state();
        if state.is_stopped {
            return None;
        }
        let operation = state.under_way.remove(&number)?;
        let faults = state.faults(&operation);
        let is_read = matches!(operation, Operation::ReadDirectory { .. } | Operation::ReadFile { .. });
        let error_percent =
            if is_read { faults.error_percent.max(faults.read_error_percent) } else { faults.error_percent };
        let fails = state.random.percent(error_percent);
        state.failed_reads += u64::from(fails && is_read);
        let text = if state.trace.is_some() { describe(&operation) } else { String::new() };
        let result = if fails {
            state.happen_with_error(operation);
            Err(io::Error::other(format!("cannot {text}: simulated EIO")))
        } else {
            state.happen(number, operation)
        };
        let is_failed = |error: &io::Error| fails || error.kind() == io::ErrorKind::StorageFull;
        state.failed_writes += u64::from(!is_read && result.as_ref().err().is_some_and(is_failed));
        state.step(|step| match &result {
            Ok(_) => format!("{step:5}                {number} done"),
            Err(error) => format!("{step:5}                {number} failed: {error}"),
        });
        (!state.is_stopped).then_some(result)
    }

    /// What is in a directory, at once.
    pub(super) fn entries(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.state().entries(path)
    }

    /// What is in a file, at once.
    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.state().content(path)
    }

    /// Whether a path is a directory.
    pub(super) fn is_directory(&self, path: &Path) -> bool {
        self.state().names.get(path) == Some(Node::Directory)
    }
}

impl State {
    fn step(&mut self, line: impl FnOnce(u64) -> String) {
        self.steps += 1;
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{}", line(self.steps));
        }
        if self.stop_at.is_some_and(|at| self.steps >= at) {
            self.is_stopped = true;
        }
    }

    /// Which disk holds a path: the one mounted deepest.
    fn mount_of(&self, path: &Path) -> usize {
        let holds = |&(_, (at, _)): &(usize, &(PathBuf, Faults))| path.starts_with(at);
        self.mounts.iter().enumerate().filter(holds).map(|(mount, _)| mount).next_back().unwrap_or_default()
    }

    /// How the disk behaves on which an operation works.
    fn faults(&self, operation: &Operation) -> Faults {
        let mount = match operation {
            Operation::Create { path, .. }
            | Operation::Reuse { path }
            | Operation::WriteFile { path, .. }
            | Operation::MakeDirectory { path }
            | Operation::ReadDirectory { path }
            | Operation::ReadFile { path }
            | Operation::RemoveDirectory { path }
            | Operation::Rename { from: path, .. }
            | Operation::Remove { path }
            | Operation::SyncDirectory { path }
            | Operation::SyncFile { path } => self.mount_of(path),
            Operation::Write { file, .. } | Operation::Sync { file } | Operation::Close { file } => {
                self.inodes.get(file).map_or(0, |inode| inode.mount)
            }
        };
        self.mounts[mount].1
    }

    fn used_bytes(&self, mount: usize) -> u64 {
        let of_mount = self.inodes.values().filter(|inode| inode.mount == mount);
        of_mount.map(|inode| inode.seen.len() as u64).sum()
    }

    fn forget_nameless(&mut self) {
        let named = self.names.files();
        self.inodes.retain(|file, _| named.contains(file));
    }

    fn inode(&mut self, file: u64) -> &mut Inode {
        self.inodes.get_mut(&file).expect("open files stay")
    }

    /// The file of this name, a new one if there is none.
    fn open_or_create(&mut self, number: u64, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            Some(Node::File(file)) => {
                self.inode(file).truncate();
                Ok(file)
            }
            Some(Node::Directory) => Err(io::Error::other(format!("{} is a directory", path.display()))),
            None => {
                self.names.add(number, path, Node::File(number))?;
                let mount = self.mount_of(path);
                self.inodes.insert(number, Inode::on(mount));
                Ok(number)
            }
        }
    }

    /// How many of so many bytes there is room for in a file of this path, all of them or not.
    fn room(&self, path: &Path, bytes: u64) -> Result<(), u64> {
        let mount = self.mount_of(path);
        let left = self.mounts[mount].1.capacity_bytes.saturating_sub(self.used_bytes(mount));
        if bytes <= left { Ok(()) } else { Err(left) }
    }

    fn fill(&mut self, number: u64, path: &Path, content: &[u8]) -> io::Result<u64> {
        let file = self.open_or_create(number, path)?;
        let room = self.room(path, content.len() as u64);
        let fits = room.map_or_else(|left| left as usize, |()| content.len());
        self.inode(file).write(number, 0, &content[..fits], || true);
        match room {
            Ok(()) => {
                self.inode(file).sync(number);
                Ok(file)
            }
            Err(_) => Err(io::Error::new(io::ErrorKind::StorageFull, "the simulated disk is full")),
        }
    }

    /// It succeeds, unless what it needs is not there.
    fn happen(&mut self, number: u64, operation: Operation) -> io::Result<Outcome> {
        match operation {
            Operation::Create { path, bytes } => {
                let file = self.fill(number, &path, &vec![0; bytes as usize])?;
                return Ok(Outcome::Opened(file, bytes));
            }
            Operation::Reuse { path } => {
                let Some(Node::File(file)) = self.names.get(&path) else { return Err(not_found(&path)) };
                let inode = self.inode(file);
                inode.write(number, 0, &[0; SECTOR_BYTES], || true);
                inode.sync(number);
                return Ok(Outcome::Opened(file, inode.seen.len() as u64));
            }
            Operation::WriteFile { path, bytes } => drop(self.fill(number, &path, &bytes)?),
            Operation::MakeDirectory { path } => {
                if self.names.get(&path).is_none() {
                    self.names.add(number, &path, Node::Directory)?;
                }
            }
            Operation::ReadDirectory { path } => return self.entries(&path).map(Outcome::Entries),
            Operation::ReadFile { path } => return self.content(&path).map(Outcome::Content),
            Operation::RemoveDirectory { path } => self.names.remove_directory(number, &path)?,
            Operation::Rename { from, to } if self.mount_of(&from) != self.mount_of(&to) => {
                return Err(io::ErrorKind::CrossesDevices.into());
            }
            Operation::Rename { from, to } => self.names.rename(number, &from, &to)?,
            Operation::Remove { path } => self.names.remove(number, &path)?,
            Operation::SyncDirectory { path } => self.names.sync(&path, number),
            Operation::Write { file, offset, bytes, is_durable } => {
                let inode = self.inode(file);
                inode.write(number, offset as usize, &bytes, || true);
                if is_durable {
                    inode.sync(number);
                }
            }
            Operation::Sync { file } => self.inode(file).sync(number),
            Operation::SyncFile { path } => {
                let Some(Node::File(file)) = self.names.get(&path) else { return Err(not_found(&path)) };
                self.inode(file).sync(number);
            }
            Operation::Close { .. } => {}
        }
        Ok(Outcome::Done)
    }

    /// The machine stops while it is under way: any part of it has happened, nothing is durable for sure.
    fn happen_in_part(&mut self, operation: Operation) {
        self.last_number += 1;
        let number = self.last_number;
        let half = self.random.percent(50);
        let percent = self.random.one_of(&[0, 50, 100]);
        let random = &mut self.random.fork();
        // Errors: what it works on is not there. That is one of the ways in which nothing happens.
        let _: io::Result<()> = match operation {
            Operation::Create { path, bytes } if half => self.open_or_create(number, &path).map(|file| {
                let written = random.within(0..bytes + 1) as usize;
                self.inode(file).write(number, 0, &vec![0; written], || true);
            }),
            Operation::WriteFile { path, bytes } if half => self.open_or_create(number, &path).map(|file| {
                let written = random.within(0..bytes.len() as u64 + 1) as usize;
                self.inode(file).write(number, 0, &bytes[..written], || true);
            }),
            Operation::Reuse { path } => {
                if let (true, Some(Node::File(file))) = (half, self.names.get(&path)) {
                    self.inode(file).write(number, 0, &[0; SECTOR_BYTES], || true);
                }
                Ok(())
            }
            Operation::Write { file, offset, bytes, .. } => {
                self.inode(file).write(number, offset as usize, &bytes, || random.percent(percent));
                Ok(())
            }
            Operation::MakeDirectory { path } if half && self.names.get(&path).is_none() => {
                self.names.add(number, &path, Node::Directory)
            }
            Operation::Rename { from, to } if half && self.mount_of(&from) == self.mount_of(&to) => {
                self.names.rename(number, &from, &to)
            }
            Operation::Remove { path } if half => self.names.remove(number, &path),
            Operation::RemoveDirectory { path } if half => self.names.remove_directory(number, &path),
            _ => Ok(()),
        };
    }

    /// It fails, and may have had an effect nevertheless.
    fn happen_with_error(&mut self, operation: Operation) {
        match operation {
            Operation::Sync { file } => {
                let mut random = self.random.fork();
                self.inode(file).fail_sync(&mut random);
            }
            Operation::SyncFile { path } => {
                let mut random = self.random.fork();
                if let Some(Node::File(file)) = self.names.get(&path) {
                    self.inode(file).fail_sync(&mut random);
                }
            }
            // A rename that fails has mostly not happened.
            Operation::Rename { .. } | Operation::Remove { .. } if self.random.percent(80) => {}
            other => self.happen_in_part(other),
        }
    }

    fn content(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.names.get(path) {
            Some(Node::File(file)) => Ok(self.inodes[&file].seen.clone()),
            _ => Err(not_found(path)),
        }
    }

    fn entries(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        if self.names.get(path) != Some(Node::Directory) {
            return Err(not_found(path));
        }
        let entry = |(path, node): (&Path, Node)| DirectoryEntry {
            name: path.file_name().unwrap_or_default().to_owned(),
            is_file: node != Node::Directory,
            is_directory: node == Node::Directory,
            bytes: match node {
                Node::File(file) => self.inodes[&file].seen.len() as u64,
                Node::Directory => 0,
            },
        };
        Ok(self.names.list(path).map(entry).collect())
    }
}

fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn describe(operation: &Operation) -> String {
    match operation {
        Operation::Create { path, bytes } => format!("create {} of {bytes} bytes", path.display()),
        Operation::Reuse { path } => format!("reuse {}", path.display()),
        Operation::WriteFile { path, bytes } => format!("write {} of {} bytes", path.display(), bytes.len()),
        Operation::MakeDirectory { path } => format!("make directory {}", path.display()),
        Operation::SyncFile { path } => format!("sync {}", path.display()),
        Operation::ReadDirectory { path } => format!("read directory {}", path.display()),
        Operation::ReadFile { path } => format!("read {}", path.display()),
        Operation::RemoveDirectory { path } => format!("remove directory {}", path.display()),
        Operation::Rename { from, to } => format!("rename {} to {}", from.display(), to.display()),
        Operation::Remove { path } => format!("remove {}", path.display()),
        Operation::SyncDirectory { path } => format!("sync directory {}", path.display()),
        Operation::Write { file, offset, bytes, .. } => {
            format!("write file {file}, bytes {offset} to {}", offset + bytes.len() as u64)
        }
        Operation::Sync { file } => format!("sync file {file}"),
        Operation::Close { file } => format!("close file {file}"),
    }
}
