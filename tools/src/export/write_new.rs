//! Files that appear whole, durably, and never in place of another.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use engine::checkpoint::file_name::TEMPORARY_SUFFIX;

/// As the daemon makes its files and directories.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// Creates a directory and those above it, durably; one that exists is no error.
///
/// # Errors
/// Those of the file system.
pub fn create_directory(directory: &Path) -> io::Result<()> {
    let missing: Vec<_> = directory.ancestors().take_while(|path| !path.exists()).collect();
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
    for path in missing {
        sync(parent(path))?;
    }
    Ok(())
}

/// Writes a file under a name that nobody has: `<path>.tmp`, synced, given its name, directory synced.
///
/// # Errors
/// Those of the file system, [`io::ErrorKind::AlreadyExists`] among them; then no file of this name was made or changed.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut name = OsString::from(path);
    name.push(TEMPORARY_SUFFIX);
    let temporary = PathBuf::from(name);
    let written = write_synced(&temporary, bytes).and_then(|()| give_name(&temporary, path));
    // Either it has its name by now, or the first error is the one to report.
    let _ = fs::remove_file(&temporary);
    written?;
    sync(parent(path))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What an interrupted export left under this name is read by nobody.
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A rename would replace a file that appeared meanwhile; a link does not.
fn give_name(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        // Some file systems have no links.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) =>
        {
            fs::rename(temporary, path)
        }
        linked => linked,
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The directory of a path; of a bare name, the current one.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_and_replaces_none() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("fritz/f0201");
        create_directory(&directory).unwrap();
        create_directory(&directory).unwrap();
        let path = directory.join("17.bin");
        fs::write(directory.join("17.bin.tmp"), "rest of an interrupted export").unwrap();
        write_new(&path, b"first").unwrap();
        assert_eq!(write_new(&path, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        // Also when it comes between the look and the naming.
        let other = directory.join("other");
        fs::write(&other, "other").unwrap();
        assert_eq!(give_name(&other, &path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        let names: Vec<_> =
            fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}
