//! The files of a core's log over several lives, and with a disk that fails.

use std::fs;
use std::io::ErrorKind;
use std::rc::Rc;

use std::path::Path;

use crate::durable::faulty::{Faults, FaultyDisk, Operation};
use crate::runtime::testing::on_core;
use engine::durable::names::SegmentName;
use engine::durable::segments::{FREE_FILES_DEFAULT, InheritedSegment, LogFate, SegmentOptions, Segments};
use engine::platform::{LogFile, Writes};

fn options(directory: &Path, core: u16, cores: u16) -> SegmentOptions {
    SegmentOptions { segment_bytes: 8192, ..SegmentOptions::new(directory.to_owned(), core, cores) }
}

async fn open(directory: &Path, core: u16, cores: u16) -> (Segments<FaultyDisk>, Rc<Faults>) {
    let disk = FaultyDisk::default();
    let faults = Rc::clone(&disk.0);
    (Segments::open(disk, options(directory, core, cores)).await.unwrap(), faults)
}

fn whole(segments: &[SegmentName]) -> Vec<InheritedSegment> {
    segments.iter().map(|&name| InheritedSegment { name, fate: LogFate::Superfluous }).collect()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

async fn begin_and_seal(segments: &Segments<FaultyDisk>, content: u8) -> u64 {
    let segment = segments.begin(Writes::Durable).await.unwrap();
    segment.file.write_at(0, &[content; 8192]).await.unwrap();
    let id = segment.id;
    segments.seal(segment).await;
    id
}

#[test]
fn a_discarded_segment_lives_on_under_a_new_number_and_shows_no_old_header() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wal/deep");
    let seen = path.clone();
    on_core(async move || {
        let (segments, _) = open(&path, 0, 1).await;
        for id in 1..=4 {
            assert_eq!(begin_and_seal(&segments, 0xee).await, id);
        }
        assert_eq!(segments.discard_before(4).await.unwrap(), 3);
        assert_eq!(segments.sealed(), [4]);
        assert_eq!(segments.free_files(), FREE_FILES_DEFAULT);
        let next = segments.begin(Writes::Durable).await.unwrap();
        assert_eq!(next.id, 5);
        next.file.close().await.unwrap();
    });
    let expected =
        ["core000-0000000000000001.free", "core000-0000000000000004.log", "core000-0000000000000005.log"];
    assert_eq!(names(&seen), expected);
    let content = fs::read(seen.join(expected[2])).unwrap();
    assert!(content[..512].iter().all(|byte| *byte == 0), "the header of its earlier life is gone");
    assert!(content[512..].iter().all(|byte| *byte == 0xee), "its blocks are reused");
}

#[test]
fn names_are_durable_before_anything_is_written_and_after_anything_is_discarded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    on_core(async move || {
        let (segments, faults) = open(&path, 0, 1).await;
        faults.log.take();
        begin_and_seal(&segments, 1).await;
        segments.discard_before(2).await.unwrap();
        begin_and_seal(&segments, 1).await;
        let steps: Vec<String> =
            faults.log.take().iter().map(|step| step.split(' ').next().unwrap().to_owned()).collect();
        let expected = [
            ["Create", "Rename", "SyncDirectory", "Write", "Close"].as_slice(),
            &["Rename", "SyncDirectory"],
            &["Reuse", "Rename", "SyncDirectory", "Write", "Close"],
        ]
        .concat();
        assert_eq!(steps, expected);
    });
}

/// Fills a segment with its number after checking that everything in it is of earlier ones.
async fn begin_stamp_and_seal(segments: &Segments<FaultyDisk>) -> u64 {
    let segment = segments.begin(Writes::Durable).await.unwrap();
    let path = SegmentName { id: segment.id, core: segments.core() }.log_path(segments.directory());
    for stamp in fs::read(path).unwrap().chunks(8) {
        let stale = u64::from_le_bytes(stamp.try_into().unwrap());
        assert!(stale < segment.id, "{stale} is stale in {}", segment.id);
    }
    segment.file.write_at(0, &segment.id.to_le_bytes().repeat(1024)).await.unwrap();
    let id = segment.id;
    segments.seal(segment).await;
    id
}

#[test]
fn no_file_gets_a_number_again_after_restarts_with_other_cores_and_none_piles_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    on_core(async move || {
        for cores in [2_u16, 1, 3, 1, 2, 2, 5, 1] {
            let mut used = std::collections::HashSet::new();
            let mut running = Vec::new();
            for core in 0..cores {
                running.push(open(&path, core, cores).await.0);
            }
            for round in 0..4 {
                for segments in &running {
                    let id = begin_stamp_and_seal(segments).await;
                    assert!(used.insert(id), "two cores used {id}");
                    // The last round ends like a crash: nothing is discarded.
                    if round % 2 == 0 {
                        segments.discard_before(u64::MAX).await.unwrap();
                    }
                }
            }
            let inherited = running[0].inherited();
            running[0].remove_inherited(&whole(&inherited)).await.unwrap();
            assert!(names(&path).len() <= usize::from(cores) * 4, "{:?}", names(&path));
        }
    });
}

#[test]
fn segments_of_earlier_runs_stay_until_they_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    on_core(async move || {
        for core in 0..2 {
            let (segments, _) = open(&path, core, 2).await;
            begin_and_seal(&segments, 1).await;
        }
        fs::write(path.join("notes.txt"), "not ours").unwrap();
        fs::create_dir(path.join("core000-00000000000000ff.log")).unwrap();
        let (segments, _) = open(&path, 0, 1).await;
        let inherited = segments.inherited();
        assert_eq!(inherited.len(), 2);
        // Behind every name there is, and a number that is kept for what a checkpoint cannot save.
        assert_eq!(begin_and_seal(&segments, 1).await, 0x101);
        segments.discard_before(u64::MAX).await.unwrap();
        assert!(inherited.iter().all(|segment| segment.log_path(&path).exists()));
        fs::remove_file(inherited[0].log_path(&path)).unwrap();
        segments.remove_inherited(&whole(&inherited)).await.unwrap();
        assert_eq!(segments.inherited(), []);
        assert_eq!(
            names(&path),
            ["core000-00000000000000ff.log", "core000-0000000000000101.free", "notes.txt"]
        );
    });
}

#[test]
fn recycled_files_of_another_length_or_core_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    on_core(async move || {
        for (name, bytes) in [
            ("core000-0000000000000001.free", 8192),
            ("core000-0000000000000002.free", 4096),
            ("core003-0000000000000003.free", 8192),
        ] {
            fs::write(path.join(name), vec![1; bytes]).unwrap();
        }
        let (segments, _) = open(&path, 0, 1).await;
        assert_eq!(names(&path), ["core000-0000000000000001.free"]);
        assert_eq!(begin_and_seal(&segments, 1).await, 4);
        assert_eq!(names(&path), ["core000-0000000000000004.log"]);
    });
}

#[test]
fn whatever_fails_while_a_segment_is_begun_the_next_attempt_succeeds_and_nothing_is_left() {
    for (operation, is_recycled) in [
        (Operation::Create, false),
        (Operation::Reuse, true),
        (Operation::Rename, false),
        (Operation::Rename, true),
        (Operation::SyncDirectory, false),
        (Operation::SyncDirectory, true),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        on_core(async move || {
            let (segments, faults) = open(&path, 0, 1).await;
            if is_recycled {
                begin_and_seal(&segments, 1).await;
                segments.discard_before(u64::MAX).await.unwrap();
            }
            faults.fail(operation, ErrorKind::StorageFull, 1);
            let error = segments.begin(Writes::Durable).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{operation:?}: {error}");
            assert_eq!(names(&path), [""; 0], "{operation:?}");
            let last = begin_and_seal(&segments, 1).await;
            assert_eq!(names(&path), [format!("core000-{last:016x}.log")], "{operation:?}");
        });
    }
}

#[test]
fn what_cannot_be_discarded_is_discarded_the_next_time() {
    for operation in [Operation::Rename, Operation::Remove, Operation::SyncDirectory] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        on_core(async move || {
            let (segments, faults) = open(&path, 0, 1).await;
            for _ in 0..4 {
                begin_and_seal(&segments, 1).await;
            }
            faults.fail(operation, ErrorKind::Other, 1);
            segments.discard_before(u64::MAX).await.unwrap_err();
            segments.discard_before(u64::MAX).await.unwrap();
            assert!(segments.sealed().is_empty());
            assert_eq!(names(&path).len(), FREE_FILES_DEFAULT, "{operation:?}");
        });
    }
}

#[test]
fn nonsense_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    on_core(async move || {
        for (bytes, core, cores) in [(0, 0, 1), (100, 0, 1), (512, 1, 1), (512, 0, 0)] {
            let options = SegmentOptions { segment_bytes: bytes, ..options(&path, core, cores) };
            Segments::open(FaultyDisk::default(), options).await.unwrap_err();
        }
        fs::write(path.join("core000-ffffffffffffffff.log"), "").unwrap();
        let (segments, _) = open(&path, 0, 1).await;
        let error = segments.begin(Writes::Durable).await.unwrap_err().to_string();
        assert!(error.contains("remove"), "{error}");
    });
}
