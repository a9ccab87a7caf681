//! The files of one core's log: which exist, which are recycled, which number comes next.
//!
//! A segment is born as a `.free` file with its full length and real bytes, and gets its name only when its first
//! sector is zero, durably. So a `.log` file never shows the header of an earlier life, and one without header is a
//! segment that was never begun. After a checkpoint it becomes `.free` again, or is removed.
//!
//! Numbers: the next one is above every number that any name in the directory shows, of all cores, and the cores of
//! one run never share one ([`names::next_id`](super::names::next_id)). Blocks of earlier lives in a file have numbers
//! not above that of its name, so no segment ever has the number of stale blocks, not even after a restart with other
//! cores.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::names::{LogFileName, SegmentName, next_id};
use crate::checkpoint::file_name::{CORRUPT_SUFFIX, UNREADABLE_SUFFIX, with_suffix};
use crate::platform::{LogFile, Platform};
use crate::platform::{SECTOR_BYTES, Writes, create_directory_durably, remove_if_there};
use crate::wal::segment::SegmentHeader;

/// Length of a segment unless something else is asked for.
pub const SEGMENT_BYTES_DEFAULT: u64 = crate::limits::LOG_SEGMENT_BYTES;
/// Recycled files kept unless something else is asked for.
pub const FREE_FILES_DEFAULT: usize = 2;

/// How the files of a core's log are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentOptions {
    /// `metric-store.wal.directory`.
    pub directory: PathBuf,
    /// This core.
    pub core: u16,
    /// How many cores this run has.
    pub cores: u16,
    /// Length of a segment: a positive multiple of [`SECTOR_BYTES`].
    pub segment_bytes: u64,
    /// Most recycled files kept; others are removed.
    pub free_files_max: usize,
}

impl SegmentOptions {
    /// The usual lengths and numbers.
    #[must_use]
    pub fn new(directory: PathBuf, core: u16, cores: u16) -> Self {
        Self {
            directory,
            core,
            cores,
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            free_files_max: FREE_FILES_DEFAULT,
        }
    }
}

/// The files of one core's log, all but the open one.
#[derive(Debug)]
pub struct Segments<P: Platform> {
    platform: P,
    options: SegmentOptions,
    /// The largest number used so far.
    last_id: Cell<u64>,
    free: RefCell<Vec<SegmentName>>,
    sealed: RefCell<BTreeSet<u64>>,
    inherited: RefCell<Vec<SegmentName>>,
    /// A number between those of earlier runs and those of this one, for [`rescue`](Self::rescue).
    reserved: Cell<Option<u64>>,
    /// The sealed segment that [`rescue`](Self::rescue) has written, as long as it is needed.
    rescued: Cell<Option<u64>>,
    /// Length and CRC-32 of its blocks.
    rescued_content: Cell<(usize, u32)>,
}

/// A segment of an earlier run that was found at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InheritedSegment {
    /// Which.
    pub name: SegmentName,
    /// What becomes of it once snapshots hold what could be read.
    pub fate: LogFate,
}

/// What becomes of a log of an earlier run once snapshots hold what could be read of it. It is never read again: what is newer may
/// be in snapshots by then, and older values would win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogFate {
    /// All of it was read: it is removed.
    Superfluous,
    /// It is damaged: it is kept as `.corrupt`.
    Damaged,
    /// It could not be read, or not by every core: it is kept as `.unreadable`.
    Unreadable,
}

impl LogFate {
    /// Removes a log, or gives it a name under which nobody reads it. Durable after
    /// [`Disk::sync_directory`](crate::platform::Disk::sync_directory).
    pub(super) async fn apply(self, platform: &impl Platform, path: &Path) -> io::Result<()> {
        let suffix = match self {
            Self::Superfluous => return remove_if_there(platform, path).await,
            Self::Damaged => CORRUPT_SUFFIX,
            Self::Unreadable => UNREADABLE_SUFFIX,
        };
        match platform.rename(path, &with_suffix(path, suffix)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

/// A segment being written.
#[derive(Debug)]
pub struct OpenSegment<F> {
    /// Its number.
    pub id: u64,
    /// To be written to.
    pub file: F,
}

impl<P: Platform> Segments<P> {
    /// Looks at the directory, creates it if need be, and takes over the recycled files of this core; those that no
    /// core of this run would use are removed. Changes no segment.
    ///
    /// # Errors
    /// Those of the disk. Lengths or cores that make no sense. A name with the largest number there is.
    pub async fn open(platform: P, options: SegmentOptions) -> io::Result<Self> {
        let SegmentOptions { directory, core, cores, segment_bytes, .. } = &options;
        if *segment_bytes == 0 || !segment_bytes.is_multiple_of(SECTOR_BYTES as u64) || core >= cores {
            let text = format!("segments of {segment_bytes} bytes for core {core} of {cores} cannot be");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        create_directory_durably(&platform, directory).await?;
        let (mut free, mut useless, mut inherited, mut last_id) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for entry in platform.read_dir(directory).await? {
            let Some(name) = LogFileName::parse(&entry.name) else { continue };
            // Also where something else has the name: a segment of ours must not need it.
            last_id = last_id.max(name.segment().id);
            if !entry.is_file {
                continue;
            }
            match name {
                LogFileName::Log(segment) => inherited.push(segment),
                // Of a core that does not exist any more: one of those that do looks after it.
                LogFileName::Free(segment) if segment.core % cores != *core => {}
                LogFileName::Free(segment) => {
                    let fits = segment.core == *core && entry.bytes == *segment_bytes;
                    if fits && free.len() < options.free_files_max { &mut free } else { &mut useless }
                        .push(segment);
                }
            }
        }
        for segment in useless {
            remove_if_there(&platform, &segment.free_path(directory)).await?;
        }
        inherited.sort_unstable();
        let reserved = if inherited.is_empty() { None } else { next_id(last_id, *core, *cores) };
        last_id = reserved.unwrap_or(last_id);
        Ok(Self {
            platform,
            options,
            last_id: last_id.into(),
            free: free.into(),
            sealed: RefCell::default(),
            inherited: inherited.into(),
            reserved: reserved.into(),
            rescued: Cell::default(),
            rescued_content: Cell::default(),
        })
    }

    /// The world outside.
    pub(super) fn platform(&self) -> &P {
        &self.platform
    }

    /// The largest number used so far.
    pub(super) fn last_id(&self) -> u64 {
        self.last_id.get()
    }

    /// Length of every segment.
    #[must_use]
    pub fn segment_bytes(&self) -> u64 {
        self.options.segment_bytes
    }

    /// The directory of all segments.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.options.directory
    }

    /// This core.
    #[must_use]
    pub fn core(&self) -> u16 {
        self.options.core
    }

    /// The header of a segment of this core, but for its number and time.
    pub(super) fn header(&self) -> SegmentHeader {
        let SegmentOptions { core, cores, .. } = self.options;
        SegmentHeader { id: 0, core, cores, created_seconds: 0 }
    }

    /// Segments of earlier runs, of any core, as [`open`](Self::open) found them (and those of this run's cores that
    /// were faster), by number. They are replayed in this order; see [`remove_inherited`](Self::remove_inherited).
    #[must_use]
    pub fn inherited(&self) -> Vec<SegmentName> {
        self.inherited.borrow().clone()
    }

    /// The numbers of this core's finished segments that still exist, ascending.
    #[must_use]
    pub fn sealed(&self) -> Vec<u64> {
        self.sealed.borrow().iter().copied().collect()
    }

    /// How many finished segments a checkpoint could discard: not what was [rescued](Self::rescue).
    #[must_use]
    pub fn discardable(&self) -> usize {
        self.sealed.borrow().len() - usize::from(self.rescued.get().is_some())
    }

    /// How many recycled files wait.
    #[must_use]
    pub fn free_files(&self) -> usize {
        self.free.borrow().len()
    }

    /// Recycles or removes this core's finished segments with numbers below `id`: everything in them is in snapshots
    /// that are durable. Returns how many. Each is gone durably before the next: a later one that is gone while an
    /// earlier one is not would let older values win.
    ///
    /// # Errors
    /// Those of the disk. What could not be removed stays in [`sealed`](Self::sealed), for the next time.
    pub async fn discard_before(&self, id: u64) -> io::Result<usize> {
        let is_needed = |id: &u64| self.rescued.get() == Some(*id);
        let old: Vec<u64> = self.sealed.borrow().range(..id).copied().filter(|id| !is_needed(id)).collect();
        for id in &old {
            let segment = SegmentName { id: *id, core: self.options.core };
            let log_path = segment.log_path(self.directory());
            let is_recycled = self.free.borrow().len() < self.options.free_files_max;
            if is_recycled {
                match self.platform.rename(&log_path, &segment.free_path(self.directory())).await {
                    // An attempt before this one renamed it and failed then.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    result => result?,
                }
            } else {
                remove_if_there(&self.platform, &log_path).await?;
            }
            match self.platform.sync_directory(self.directory()).await {
                // Somebody took the directory away, and the segments with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => result?,
            }
            if is_recycled {
                self.free.borrow_mut().push(segment);
            }
            self.sealed.borrow_mut().remove(id);
            if self.reserved.get() == Some(*id) {
                // Its number is that of a recycled file now.
                self.reserved.set(None);
            }
        }
        Ok(old.len())
    }

    /// The number for [`rescue`](Self::rescue), when the segments below `id` are to be discarded: below all of these. None if there
    /// is nothing to discard.
    #[must_use]
    pub fn rescue_id(&self, id: u64) -> Option<u64> {
        self.rescued
            .get()
            .or(self.reserved.get())
            .or_else(|| self.sealed.borrow().range(..id).next().copied())
    }

    /// Keeps what a checkpoint could not save in a segment of its own, `bytes` with header and blocks for the number that
    /// [`rescue_id`](Self::rescue_id) gave, in place of the one of that number. Durable on return: now the others can be discarded.
    ///
    /// It is below all others of this run. So whatever others of them are left, a replay ends with the newest values: this one's are
    /// newer than those of all segments to be discarded, and of these the oldest go first.
    ///
    /// # Errors
    /// Those of the disk; then nothing has changed.
    pub async fn rescue(&self, id: u64, bytes: &[u8]) -> io::Result<()> {
        let content = (bytes.len(), crc32fast::hash(&bytes[SECTOR_BYTES..]));
        if self.rescued.get() == Some(id) && self.rescued_content.get() == content {
            return Ok(());
        }
        let segment = SegmentName { id, core: self.options.core };
        let (free_path, log_path) = (segment.free_path(self.directory()), segment.log_path(self.directory()));
        let written = match self.platform.create(&free_path, self.options.segment_bytes, Writes::Cached).await
        {
            Ok(file) => {
                let written = match file.write_at(0, bytes).await {
                    Ok(()) => file.sync_data().await,
                    Err(error) => Err(error),
                };
                let closed = file.close().await;
                written.and(closed)
            }
            Err(error) => Err(error),
        };
        let named = match written {
            Ok(()) => {
                // Also if that fails, or what follows: then it may be there all the same, and must go with the others.
                self.sealed.borrow_mut().insert(id);
                self.platform.rename(&free_path, &log_path).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = named {
            // The first error is the one to report.
            let _ = self.platform.remove(&free_path).await;
            return Err(error);
        }
        self.platform.sync_directory(self.directory()).await?;
        self.rescued.set(Some(id));
        self.rescued_content.set(content);
        Ok(())
    }

    /// What was [rescued](Self::rescue) is in snapshots: the segment can be discarded, before all others.
    pub fn forget_rescued(&self) {
        self.rescued.set(None);
    }

    /// Removes segments of earlier runs, durably and one after the other, oldest first: everything in them is in
    /// snapshots that are durable. One core does it when all cores have made theirs, since a segment of an earlier run
    /// may hold hosts of any core. Damaged ones are set aside.
    ///
    /// # Errors
    /// Those of the disk; a segment that is gone already is no error.
    pub async fn remove_inherited(&self, segments: &[InheritedSegment]) -> io::Result<()> {
        for &InheritedSegment { name, fate } in segments {
            fate.apply(&self.platform, &name.log_path(self.directory())).await?;
            self.platform.sync_directory(self.directory()).await?;
            self.inherited.borrow_mut().retain(|other| *other != name);
        }
        Ok(())
    }

    /// Begins a segment: a file of zeros or of an earlier life, with a first sector of zeros, durable with its name.
    ///
    /// # Errors
    /// Those of the disk; then nothing of it is left, as far as the disk lets us.
    pub async fn begin(&self, writes: Writes) -> io::Result<OpenSegment<P::File>> {
        let SegmentOptions { directory, core, cores, segment_bytes, .. } = &self.options;
        let (core, cores) = (*core, *cores);
        let Some(id) = next_id(self.last_id.get(), core, cores) else {
            let text =
                format!("no number is left for a segment in {}: remove core*-ff* there", directory.display());
            return Err(io::Error::other(text));
        };
        // Used up, whatever happens now.
        self.last_id.set(id);
        let segment = SegmentName { id, core };
        // Not an expression of the match below: the pool must not stay borrowed while the disk works.
        let recycled = self.free.borrow_mut().pop();
        let reused = match recycled {
            Some(old) => {
                let path = old.free_path(directory);
                let opened = self.platform.open_for_reuse(&path, writes).await;
                // Somebody took it away.
                let is_gone = opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
                (!is_gone).then_some((path, opened))
            }
            None => None,
        };
        let (free_path, opened) = match reused {
            Some(reused) => reused,
            None => {
                let path = segment.free_path(directory);
                let opened = match self.platform.create(&path, *segment_bytes, writes).await {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        // Somebody took the directory away.
                        create_directory_durably(&self.platform, directory).await?;
                        self.platform.create(&path, *segment_bytes, writes).await
                    }
                    opened => opened,
                };
                (path, opened)
            }
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                // A recycled file that cannot be opened is given up: the next attempt makes another. The first error
                // is the one to report.
                let _ = self.platform.remove(&free_path).await;
                return Err(error);
            }
        };
        let log_path = segment.log_path(directory);
        let named = match self.platform.rename(&free_path, &log_path).await {
            Ok(()) => self.platform.sync_directory(directory).await,
            Err(error) => Err(error),
        };
        if let Err(error) = named {
            let _ = file.close().await;
            let _ = self.platform.remove(&free_path).await;
            let _ = self.platform.remove(&log_path).await;
            return Err(error);
        }
        file.renamed(&log_path);
        Ok(OpenSegment { id, file })
    }

    /// Whether a segment of this core has its name in the directory; also where that cannot be told.
    pub(super) async fn is_there(&self, id: u64) -> bool {
        let name = LogFileName::Log(SegmentName { id, core: self.options.core }).to_string();
        match self.platform.read_dir(self.directory()).await {
            Ok(entries) => entries.iter().any(|entry| entry.name == *name),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Removes recycled files, and a segment that was begun ahead of time, for the sake of their room.
    pub(super) async fn remove_spares(&self, begun: Option<OpenSegment<P::File>>) {
        let mut paths: Vec<PathBuf> =
            self.free.borrow_mut().drain(..).map(|segment| segment.free_path(self.directory())).collect();
        if let Some(OpenSegment { id, file }) = begun {
            // It is empty, whatever becomes of it.
            let _ = file.close().await;
            paths.push(SegmentName { id, core: self.options.core }.log_path(self.directory()));
        }
        for path in paths {
            if let Err(error) = remove_if_there(&self.platform, &path).await {
                tracing::debug!("core {}: a spare segment stays: {error}", self.options.core);
            }
        }
    }

    /// A segment is not written any more: closes it. From now on it can be discarded.
    pub async fn seal(&self, segment: OpenSegment<P::File>) {
        if let Err(error) = segment.file.close().await {
            // What was acknowledged was synced before.
            tracing::warn!("core {}: {error}", self.options.core);
        }
        self.sealed.borrow_mut().insert(segment.id);
    }
}
