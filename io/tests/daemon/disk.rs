//! A small file system, for tests in which the disk is full.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A disk so small that a log of one core fills it: the two segments that a quiet daemon uses fit.
const SMALL_DISK: &str = "size=200m";

/// A mounted file system of its own, unmounted when dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one; none without the right to.
    pub(crate) fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).ok()?;
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SMALL_DISK, "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    /// Fills what is left.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).expect("names still fit");
        while file.write(&[1; 64 * 1024]).is_ok_and(|bytes| bytes > 0) {}
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        fs::remove_file(self.0.join("filler")).expect("is there");
    }

    /// Makes room for the segment that a start begins.
    pub(crate) fn grow(&self) {
        let grown = Command::new("mount").args(["-o", "remount,size=800m"]).arg(&self.0).status();
        assert!(grown.is_ok_and(|status| status.success()), "remount {}", self.0.display());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
