//! The file system that the daemon uses, by FUSE: every request becomes a call of the [`Recorder`].
//!
//! The page cache of the kernel writes through, so an operation is recorded before the system call that asked for it
//! returns. A write to a file that is open with `O_DSYNC` says so in its flags; newer kernels sync the file behind it as
//! well. That is not counted, since a disk makes no more durable than the write itself.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, KernelConfig, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite,
    Request, TimeOrNow, WriteFlags,
};

use super::image::Image;
use super::journal::Operation;
use super::recorder::Recorder;

/// How long the kernel may believe what it was told: nobody else changes anything.
const VALID: Duration = Duration::from_secs(1);
/// Most bytes of one write.
const WRITE_BYTES_MAX: u32 = 1024 * 1024;
/// Bytes of a block, as `statfs` tells.
const BLOCK_BYTES: u32 = 4096;
/// Blocks that are free, always: 64 GiB.
const BLOCKS: u64 = 1 << 24;
/// `O_DSYNC`, which is a part of `O_SYNC`.
const O_DSYNC: i32 = 0o10000;
/// The handle of files that are open with it: what is written by this handle needs no sync.
const DURABLE: FileHandle = FileHandle(1);
/// The handle of all others.
const CACHED: FileHandle = FileHandle(0);

/// A recording file system that is mounted; unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    recorder: Arc<Mutex<Recorder>>,
    path: PathBuf,
    _session: BackgroundSession,
}

impl Mounted {
    /// Mounts one on a directory; it holds what an earlier loss of power has left.
    ///
    /// # Errors
    /// There is no `/dev/fuse`, or no right to mount.
    pub fn new(path: &Path, image: &Image) -> io::Result<Self> {
        // Said here, as otherwise the library would look for a helper of its name.
        std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .map_err(|error| io::Error::new(error.kind(), format!("/dev/fuse cannot be opened: {error}")))?;
        let recorder = Recorder::with_image(image)
            .map_err(|error| io::Error::other(format!("an image cannot be loaded: {error:?}")))?;
        let recorder = Arc::new(Mutex::new(recorder));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("power-loss".to_owned())];
        let session = fuser::spawn_mount(Recording(Arc::clone(&recorder)), path, &config)
            .map_err(|error| io::Error::new(error.kind(), format!("FUSE cannot be mounted: {error}")))?;
        Ok(Self { recorder, path: path.to_owned(), _session: session })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many operations there were.
    #[must_use]
    pub fn position(&self) -> usize {
        lock(&self.recorder).journal().len()
    }

    /// All operations.
    #[must_use]
    pub fn journal(&self) -> Vec<Operation> {
        lock(&self.recorder).journal().to_vec()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // At once, even if the kernel is not done yet with the files of a process that was killed.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[derive(Debug)]
struct Recording(Arc<Mutex<Recorder>>);

fn lock(recorder: &Mutex<Recorder>) -> MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recording {
    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        lock(&self.0)
    }

    fn attributes(&self, inode: u64) -> Result<FileAttr, Errno> {
        let (attributes, bytes) = self.recorder().attributes(inode)?;
        Ok(FileAttr {
            ino: INodeNo(inode),
            size: bytes,
            blocks: bytes.div_ceil(512),
            atime: attributes.modified,
            mtime: attributes.modified,
            ctime: attributes.modified,
            crtime: UNIX_EPOCH,
            kind: kind(attributes.is_directory),
            perm: attributes.mode,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK_BYTES,
            flags: 0,
        })
    }

    fn entry(&self, found: Result<u64, Errno>, reply: ReplyEntry) {
        match found.and_then(|inode| self.attributes(inode)) {
            Ok(attributes) => reply.entry(&VALID, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }
}

fn kind(is_directory: bool) -> FileType {
    if is_directory { FileType::Directory } else { FileType::RegularFile }
}

fn handle(flags: i32) -> FileHandle {
    if flags & O_DSYNC == 0 { CACHED } else { DURABLE }
}

fn done(result: Result<(), Errno>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Recording {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let set = config.set_max_write(WRITE_BYTES_MAX);
        set.map(drop).map_err(|bytes| io::Error::other(format!("at most {bytes} bytes can be written")))
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.recorder().find(parent.0, name);
        self.entry(found, reply);
    }

    fn getattr(&self, _request: &Request, inode: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode.0) {
            Ok(attributes) => reply.attr(&VALID, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _request: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _accessed: Option<TimeOrNow>,
        _modified: Option<TimeOrNow>,
        _changed: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _created: Option<SystemTime>,
        _change_time: Option<SystemTime>,
        _backup_time: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if let Some(mode) = mode {
            self.recorder().set_mode(inode.0, mode);
        }
        let set = size.map_or(Ok(()), |length| self.recorder().set_length(inode.0, length));
        match set.and_then(|()| self.attributes(inode.0)) {
            Ok(attributes) => reply.attr(&VALID, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let made = self.recorder().create(parent.0, name, true, mode & !umask);
        self.entry(made, reply);
    }

    fn create(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let made = self.recorder().create(parent.0, name, false, mode & !umask);
        match made.and_then(|inode| self.attributes(inode)) {
            Ok(attributes) => {
                reply.created(&VALID, &attributes, Generation(0), handle(flags), FopenFlags::empty());
            }
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _request: &Request, _inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(handle(flags.0), FopenFlags::empty());
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.recorder().remove(parent.0, name), reply);
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.recorder().remove(parent.0, name), reply);
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if flags.is_empty() {
            done(self.recorder().rename(parent.0, name, (new_parent.0, new_name)), reply);
        } else {
            reply.error(Errno::EINVAL);
        }
    }

    fn read(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.recorder().read(inode.0, offset, u64::from(size)) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let is_durable = flags.0 & O_DSYNC != 0;
        match self.recorder().write(inode.0, offset, data, is_durable) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error),
        }
    }

    fn flush(
        &self,
        _request: &Request,
        _inode: INodeNo,
        _handle: FileHandle,
        _owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }

    fn fsync(
        &self,
        _request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        _is_data: bool,
        reply: ReplyEmpty,
    ) {
        let synced = if handle == DURABLE { Ok(()) } else { self.recorder().sync(inode.0) };
        done(synced, reply);
    }

    fn fsyncdir(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        _is_data: bool,
        reply: ReplyEmpty,
    ) {
        done(self.recorder().sync(inode.0), reply);
    }

    fn readdir(
        &self,
        _request: &Request,
        inode: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let recorder = self.recorder();
        // The offset of a name follows from its inode, so that a listing goes on where it was whatever changes.
        let mut entries: Vec<_> = recorder.disk().names().entries(inode.0).collect();
        entries.sort_unstable_by_key(|&(_, inode)| inode);
        let dots = [(".", 1), ("..", 2)].map(|(name, offset)| (OsStr::new(name), inode.0, offset));
        let named = entries.into_iter().map(|(name, inode)| (name, inode, inode + 2));
        for (name, inode, at) in dots.into_iter().chain(named).filter(|&(_, _, at)| at > offset) {
            let is_directory = recorder.attributes(inode).is_ok_and(|(found, _)| found.is_directory);
            if reply.add(INodeNo(inode), at, kind(is_directory), name) {
                break;
            }
        }
        drop(recorder);
        reply.ok();
    }

    fn statfs(&self, _request: &Request, _inode: INodeNo, reply: ReplyStatfs) {
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCK_BYTES, 255, BLOCK_BYTES);
    }
}
