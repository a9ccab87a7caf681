//! Segment files and the calls around them, on a disk and in memory.

use std::{cell::RefCell, fs, path::Path};

use engine::platform::write_atomically;

use super::*;
use crate::durable::RealPlatform;
use crate::runtime::testing::on_core;

/// A directory on the disk of temporary files, and one in memory where there is such a file system.
fn directories() -> Vec<tempfile::TempDir> {
    let mut directories = vec![tempfile::tempdir().unwrap()];
    if Path::new("/dev/shm").is_dir() {
        directories.push(tempfile::tempdir_in("/dev/shm").unwrap());
    }
    directories
}

fn pattern(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes).map(|index| (index / 512 * 7 + index) as u8 ^ seed).collect()
}

#[test]
fn what_is_written_is_in_the_file_and_its_length_never_changes() {
    for directory in directories() {
        let path = directory.path().join("segment");
        let seen = path.clone();
        on_core(async move || {
            // The first file of this executor: longer than one write may be.
            let file = SegmentFile::create(&path, 3 << 20, Writes::Durable).await.unwrap();
            assert_eq!(file.bytes(), 3 << 20);
            file.write_at(512, &pattern(512, 1)).await.unwrap();
            file.write_at(1024, &pattern((2 << 20) + 512, 2)).await.unwrap();
            file.write_at((3 << 20) - 512, &pattern(512, 3)).await.unwrap();
            file.sync_data().await.unwrap();
            file.close().await.unwrap();
        });
        let mut expected = vec![0; 3 << 20];
        expected[512..1024].copy_from_slice(&pattern(512, 1));
        expected[1024..][..(2 << 20) + 512].copy_from_slice(&pattern((2 << 20) + 512, 2));
        expected[(3 << 20) - 512..].copy_from_slice(&pattern(512, 3));
        assert!(fs::read(&seen).unwrap() == expected, "{}", seen.display());
    }
}

/// What the kernel says about the open file of this path.
fn kernel_flags(path: &Path) -> i32 {
    let entries = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let descriptor =
        entries.into_iter().find(|entry| fs::read_link(entry).is_ok_and(|target| target == path)).unwrap();
    let text =
        fs::read_to_string(Path::new("/proc/self/fdinfo").join(descriptor.file_name().unwrap())).unwrap();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    i32::from_str_radix(flags.trim(), 8).unwrap()
}

#[test]
fn writes_are_durable_where_the_kernel_was_told_so() {
    for directory in directories() {
        let path = directory.path().join("segment");
        on_core(async move || {
            for writes in [Writes::Cached, Writes::Durable] {
                let file = SegmentFile::create(&path, 8192, writes).await.unwrap();
                let is_synchronous = kernel_flags(&path) & nix::libc::O_DSYNC != 0;
                assert_eq!(file.writes_are_durable(), is_synchronous, "{writes:?}");
                assert_eq!(is_synchronous, writes == Writes::Durable);
                file.write_at(512, &pattern(1024, 1)).await.unwrap();
                assert!(fs::read(&path).unwrap()[512..1536] == pattern(1024, 1));
                file.close().await.unwrap();
            }
        });
    }
}

#[test]
fn a_new_file_has_real_blocks() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("segment");
    let seen = path.clone();
    on_core(async move || {
        SegmentFile::create(&path, 1 << 20, Writes::Durable).await.unwrap().close().await.unwrap();
    });
    assert!(fs::metadata(seen).unwrap().blocks() * 512 >= 1 << 20);
}

#[test]
fn a_reused_file_keeps_its_length_and_loses_its_first_sector_alone() {
    for directory in directories() {
        let (old, new) = (directory.path().join("old"), directory.path().join("new"));
        let seen = new.clone();
        on_core(async move || {
            let file = SegmentFile::create(&old, 8192, Writes::Durable).await.unwrap();
            file.write_at(0, &pattern(8192, 9)).await.unwrap();
            file.close().await.unwrap();
            let file = SegmentFile::open_for_reuse(&old, Writes::Durable).await.unwrap();
            rename(&old, &new).await.unwrap();
            file.renamed(&new);
            sync_directory(new.parent().unwrap()).await.unwrap();
            let error = file.write_at(100, &[0; 512]).await.unwrap_err().to_string();
            assert!(error.contains("/new"), "{error}");
            file.write_at(4096, &[5; 512]).await.unwrap();
            file.close().await.unwrap();
        });
        let mut expected = pattern(8192, 9);
        expected[..512].fill(0);
        expected[4096..4608].fill(5);
        assert!(fs::read(&seen).unwrap() == expected);
    }
}

#[test]
fn the_page_cache_is_a_way_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("segment");
    let seen = path.clone();
    on_core(async move || {
        let file = SegmentFile::create(&path, 8192, Writes::Cached).await.unwrap();
        assert!(!file.writes_are_durable());
        file.write_at(1024, &pattern(1024, 4)).await.unwrap();
        file.sync_data().await.unwrap();
        file.close().await.unwrap();
    });
    assert!(fs::read(&seen).unwrap()[1024..2048] == pattern(1024, 4));
}

#[test]
fn writes_that_would_change_metadata_or_miss_a_sector_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("segment");
    on_core(async move || {
        let file = SegmentFile::create(&path, 8192, Writes::Durable).await.unwrap();
        for (offset, length) in [(1, 512), (512, 511), (8192, 512), (7680, 1024), (u64::MAX - 511, 512)] {
            let error = file.write_at(offset, &vec![0; length]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains("segment"), "{error}");
        }
        file.close().await.unwrap();
    });
}

#[test]
fn errors_name_operation_and_path_and_leave_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().to_owned();
    on_core(async move || {
        let missing = base.join("no/such/file");
        let is_named = |error: io::Error, operation: &str| {
            let text = error.to_string();
            assert!(text.starts_with(&format!("cannot {operation} ")) && text.contains("no/such"), "{text}");
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{text}");
        };
        is_named(SegmentFile::create(&missing, 512, Writes::Durable).await.unwrap_err(), "create");
        is_named(SegmentFile::open_for_reuse(&missing, Writes::Durable).await.unwrap_err(), "open");
        is_named(rename(&missing, &base.join("x")).await.unwrap_err(), "rename");
        is_named(remove(&missing).await.unwrap_err(), "remove");
        is_named(read_dir(&missing).await.unwrap_err(), "read directory");
        is_named(sync_directory(&missing).await.unwrap_err(), "sync directory");
        is_named(write_file(&missing, vec![]).await.unwrap_err(), "write");
        for bytes in [0, 100] {
            SegmentFile::create(&base.join("odd"), bytes, Writes::Durable).await.unwrap_err();
        }
        // Too short to be a segment, and the trap of an empty first file.
        for content in [&b""[..], b"some text"] {
            fs::write(base.join("stray"), content).unwrap();
            let error = SegmentFile::open_for_reuse(&base.join("stray"), Writes::Durable).await.unwrap_err();
            assert!(error.to_string().contains("remove it"), "{error}");
            fs::remove_file(base.join("stray")).unwrap();
        }
        fs::create_dir(base.join("directory")).unwrap();
        SegmentFile::open_for_reuse(&base.join("directory"), Writes::Durable).await.unwrap_err();
        fs::remove_dir(base.join("directory")).unwrap();
        assert_eq!(read_dir(&base).await.unwrap(), []);
    });
}

#[test]
fn a_file_is_replaced_as_a_whole_or_not_at_all() {
    for directory in directories() {
        let path = directory.path().join("snapshot");
        on_core(async move || {
            let base = path.parent().unwrap();
            let write = |name: &'static str, bytes: &[u8]| {
                write_atomically(&RealPlatform, base, name, bytes.to_vec())
            };
            write("snapshot", b"old").await.unwrap();
            write("snapshot", b"newer").await.unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"newer");

            // The rename fails: a directory is in its way.
            let taken = path.with_file_name("taken");
            create_directory(&taken.join("below")).await.unwrap();
            write("taken", b"lost").await.unwrap_err();
            // The temporary file cannot be made.
            fs::create_dir(path.with_file_name("blocked.tmp")).unwrap();
            write("blocked", b"lost").await.unwrap_err();

            let mut entries = read_dir(path.parent().unwrap()).await.unwrap();
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            let names: Vec<_> =
                entries.iter().map(|entry| (entry.name.to_str().unwrap(), entry.is_file)).collect();
            assert_eq!(names, [("blocked.tmp", false), ("snapshot", true), ("taken", false)]);
            assert_eq!(entries[1].bytes, 5);
        });
    }
}

/// Calls `write_fully` with writes that take so many bytes each; returns the ranges it asked for.
fn asked(bytes: usize, takes: &[usize]) -> (Vec<(usize, usize)>, io::Result<()>) {
    let calls = RefCell::new(Vec::new());
    let content = vec![0; bytes];
    let result = futures_lite::future::block_on(write_fully(&content, |done, rest| {
        let mut calls = calls.borrow_mut();
        let taken = takes[calls.len()].min(rest.len());
        calls.push((done, rest.len()));
        async move { Ok(taken) }
    }));
    (calls.into_inner(), result)
}

#[test]
fn a_short_write_goes_on_from_its_last_whole_sector() {
    let (calls, result) = asked(4096, &[512, 1500, 511 + 1024, 9000]);
    result.unwrap();
    assert_eq!(calls, [(0, 4096), (512, 3584), (1536, 2560), (2560, 1536)]);
    let (calls, result) = asked(1024, &[512, 511]);
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WriteZero);
    assert_eq!(calls.len(), 2);
}
