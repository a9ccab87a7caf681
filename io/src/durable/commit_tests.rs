//! Group commit and its failures, on real executors with a disk that does as it is told.

use std::cell::RefCell;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::RealPlatform;
use crate::durable::faulty::{Faults, FaultyDisk, Operation};
use crate::runtime::next_tick;
use crate::runtime::testing::on_core;
use engine::durable::commit::{
    AppendError, CommitError, CommitEvent, CommitOptions, CommitQueue, LogState, Ticket, WalSync,
};
use engine::durable::names::SegmentName;
use engine::durable::segments::SegmentOptions;
use engine::durable::segments::Segments;
use engine::platform::SECTOR_BYTES;

const SEGMENT_BYTES: u64 = 64 * 1024;
const RETRY: Duration = Duration::from_millis(20);

/// A log in a directory of its own.
struct Log {
    queue: CommitQueue<FaultyDisk>,
    faults: Rc<Faults>,
    events: Rc<RefCell<Vec<CommitEvent>>>,
    directory: tempfile::TempDir,
}

impl Log {
    async fn start(options: CommitOptions) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), options).await
    }

    async fn start_in(directory: tempfile::TempDir, options: CommitOptions) -> Self {
        let disk = FaultyDisk::default();
        let faults = Rc::clone(&disk.0);
        let segment_options = SegmentOptions {
            segment_bytes: SEGMENT_BYTES,
            ..SegmentOptions::new(directory.path().to_owned(), 0, 1)
        };
        let segments = Segments::open(disk, segment_options).await.unwrap();
        let events = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&events);
        let queue =
            CommitQueue::start(segments, options, move |event| seen.borrow_mut().push(event)).await.unwrap();
        Self { queue, faults, events, directory }
    }

    fn append(&self, sectors: usize, content: u8) -> Ticket {
        self.queue.append(self.queue.segment().unwrap(), &vec![content; sectors * SECTOR_BYTES]).unwrap()
    }

    fn path(&self, id: u64) -> PathBuf {
        SegmentName { id, core: 0 }.log_path(self.directory.path())
    }

    /// The first bytes of the sectors of a segment, without the zeros at its end.
    fn sectors(&self, id: u64) -> Vec<u8> {
        let mut sectors: Vec<_> =
            fs::read(self.path(id)).unwrap().chunks(SECTOR_BYTES).map(|sector| sector[0]).collect();
        while sectors.last() == Some(&0) {
            sectors.pop();
        }
        sectors
    }

    async fn runs_again(&self) -> u64 {
        loop {
            match self.queue.segment() {
                Some(segment) => return segment,
                None => next_tick().await,
            }
        }
    }
}

fn options(sync: WalSync) -> CommitOptions {
    CommitOptions { sync, retry_interval: RETRY, ..CommitOptions::default() }
}

fn always() -> CommitOptions {
    options(WalSync::Always)
}

#[test]
fn blocks_that_come_during_a_sync_share_the_next_one() {
    on_core(async || {
        let log = Log::start(always()).await;
        log.faults.hold(Some(Operation::Sync));
        let syncs = log.faults.calls(Operation::Sync);
        let first = log.append(1, 1);
        log.faults.called(Operation::Sync, syncs + 1).await;
        let later: Vec<_> = (2..30).map(|content| log.append(1, content)).collect();
        assert_eq!(log.queue.outcome(first), None, "not durable before its sync has ended");
        log.faults.hold(None);
        for ticket in [first].iter().chain(&later) {
            log.queue.wait(*ticket).await.unwrap();
        }
        let statistics = log.queue.statistics();
        assert_eq!((statistics.commits, statistics.blocks, statistics.syncs), (2, 29, 2));
        assert_eq!(statistics.bytes, 29 * 512);
        assert!(statistics.commit_ns_max >= statistics.sync_ns_max && statistics.sync_ns_max > 0);
        assert_eq!(log.queue.durable_up_to(), later[27]);
        assert_eq!(log.sectors(1), (1..30).collect::<Vec<_>>());
        assert_eq!(
            *log.events.borrow(),
            [CommitEvent::Acknowledged(first), CommitEvent::Acknowledged(later[27])]
        );
        log.queue.close().await.unwrap();
    });
}

#[test]
fn durable_writes_need_no_sync() {
    on_core(async || {
        let log = Log::start(always()).await;
        log.faults.has_durable_writes.set(true);
        log.queue.next_segment().await.unwrap();
        let syncs = log.faults.calls(Operation::Sync);
        let ticket = log.append(2, 7);
        log.queue.wait(ticket).await.unwrap();
        log.queue.close().await.unwrap();
        assert_eq!(log.faults.calls(Operation::Sync), syncs);
        assert_eq!(log.queue.statistics().syncs, 1);
        assert_eq!(log.sectors(2), [7, 7]);
    });
}

#[test]
fn the_log_works_in_memory_too() {
    on_core(async || {
        let log = Log::start_in(tempfile::tempdir_in("/dev/shm").unwrap(), always()).await;
        log.queue.wait(log.append(3, 9)).await.unwrap();
        assert_eq!(log.sectors(1), [9, 9, 9]);
        log.queue.close().await.unwrap();
    });
}

#[test]
fn a_full_segment_is_followed_by_the_next_in_order() {
    on_core(async || {
        let log = Log::start(always()).await;
        let mut tickets = Vec::new();
        for content in 1..=3 {
            // The second half lets the next segment be prepared.
            tickets.push(log.append(70, content));
            tickets.push(log.append(58, content));
            let full = log.queue.append(log.queue.segment().unwrap(), &[0; 512]).unwrap_err();
            assert_eq!(full, AppendError::SegmentFull { bytes: 512, room_bytes: 0 });
            let next = log.queue.next_segment().await.unwrap();
            assert_eq!(log.queue.segment(), Some(next));
        }
        for ticket in tickets {
            log.queue.wait(ticket).await.unwrap();
        }
        // Sealing the last one follows its acknowledgement.
        log.faults.called(Operation::Close, 3).await;
        next_tick().await;
        let sealed = log.queue.segments().sealed();
        assert_eq!(sealed.len(), 3);
        for (id, content) in sealed.iter().zip(1..) {
            assert_eq!(log.sectors(*id), vec![content; 128]);
        }
        assert!(sealed.is_sorted() && log.queue.segment() > sealed.last().copied());
        log.queue.close().await.unwrap();
        assert_eq!(log.queue.segments().sealed().len(), 4);
    });
}

#[test]
fn writes_go_on_while_a_checkpoint_waits_for_its_segment() {
    on_core(async || {
        let log = Log::start(always()).await;
        log.append(2, 1);
        log.faults.hold(Some(Operation::Create));
        let created = log.faults.calls(Operation::Create);
        let queue = log.queue.clone();
        let cut = async { queue.cut().await.unwrap() };
        let writes = async {
            // Somebody makes the file, and is stopped.
            log.faults.called(Operation::Create, created + 1).await;
            let ticket = log.append(1, 2);
            let late = async {
                for _ in 0..400 {
                    next_tick().await;
                }
                panic!("the write waits for the new segment");
            };
            futures_lite::FutureExt::or(log.queue.wait(ticket), late).await.unwrap();
            log.faults.hold(None);
        };
        let (line, ()) = futures_lite::future::zip(cut, writes).await;
        assert_eq!((line, log.queue.segment()), (2, Some(2)));
        assert_eq!(log.sectors(1), [1, 1, 2]);
        log.queue.close().await.unwrap();
    });
}

#[test]
fn a_block_for_another_segment_or_of_odd_length_is_refused() {
    on_core(async || {
        let log = Log::start(always()).await;
        let old = log.queue.segment().unwrap();
        let current = log.queue.next_segment().await.unwrap();
        let refused = log.queue.append(old, &[0; 512]).unwrap_err();
        assert_eq!(refused, AppendError::OtherSegment { given: old, current });
        for bytes in [0, 1, 511, 513] {
            assert_eq!(
                log.queue.append(current, &vec![0; bytes]).unwrap_err(),
                AppendError::Misaligned { bytes }
            );
        }
        log.queue.close().await.unwrap();
        assert_eq!(log.queue.append(current, &[0; 512]).unwrap_err(), AppendError::Closed);
    });
}

#[test]
fn too_much_waiting_is_pushed_back() {
    on_core(async || {
        let log = Log::start(CommitOptions { pending_bytes_max: 2048, ..always() }).await;
        log.faults.hold(Some(Operation::Write));
        for content in 1..=4 {
            assert!(log.queue.has_room());
            log.append(1, content);
        }
        assert!(!log.queue.has_room());
        let refused = log.queue.append(1, &[0; 512]).unwrap_err();
        assert_eq!(refused, AppendError::NoRoom { pending_bytes: 2048 });
        assert!(futures_lite::future::poll_once(log.queue.room()).await.is_none());
        log.faults.hold(None);
        log.queue.room().await;
        log.queue.wait(log.append(1, 5)).await.unwrap();
        log.queue.close().await.unwrap();
    });
}

#[test]
fn a_failed_write_or_sync_is_never_reported_durable_and_never_retried_on_that_segment() {
    for (operation, kind, tears) in [
        (Operation::Write, ErrorKind::StorageFull, false),
        (Operation::Write, ErrorKind::StorageFull, true),
        (Operation::Sync, ErrorKind::Other, false),
    ] {
        on_core(async move || {
            let log = Log::start(always()).await;
            let good = log.append(1, 1);
            log.queue.wait(good).await.unwrap();
            log.events.take();

            log.faults.tears.set(tears);
            log.faults.fail(operation, kind, 1);
            // The cause stays for some attempts.
            log.faults.fail(Operation::Create, kind, 3);
            let bad = [log.append(2, 2), log.append(1, 3)];
            for ticket in bad {
                assert_eq!(log.queue.wait(ticket).await, Err(CommitError::Lost));
            }
            let LogState::Failed(failure) = log.queue.state() else { panic!("{:?}", log.queue.state()) };
            assert_eq!(failure.kind, kind);
            assert!(failure.text.contains("core000-0000000000000001.log"), "{failure}");
            assert_eq!(log.queue.segment(), None);
            let refused = log.queue.append(1, &[4; 512]).unwrap_err();
            assert_eq!(refused, AppendError::Failed(Rc::clone(&failure)));
            assert!(matches!(log.queue.next_segment().await, Err(CommitError::Failed(_))));
            log.faults.log.take();

            let start = Instant::now();
            let segment = log.runs_again().await;
            assert!(segment > 1 && start.elapsed() >= RETRY * 2, "{:?}", start.elapsed());
            assert!(!log.faults.log.borrow().iter().any(|step| {
                (step.starts_with("Write") || step.starts_with("Sync "))
                    && step.contains("0000000000000001.log")
            }));
            log.queue.wait(log.append(1, 5)).await.unwrap();
            for ticket in bad {
                assert_eq!(log.queue.outcome(ticket), Some(Err(CommitError::Lost)), "not durable afterwards");
            }
            assert_eq!(log.queue.outcome(good), Some(Ok(())));
            assert_eq!(log.sectors(segment), [5]);
            assert_eq!(log.sectors(1)[0], 1, "what was acknowledged is still there");
            assert_eq!(log.queue.segments().sealed(), [1]);
            assert_eq!(log.queue.statistics().failures, 1);
            let events = log.events.take();
            assert_eq!(
                events,
                [
                    CommitEvent::Failed { lost_up_to: Some(bad[1]), synced_up_to: good, failure },
                    CommitEvent::NewSegment(segment),
                    CommitEvent::Acknowledged(Ticket(bad[1].0 + 1)),
                ]
            );
            log.queue.close().await.unwrap();
        });
    }
}

#[test]
fn a_next_segment_that_cannot_be_begun_stops_the_log_but_loses_nothing() {
    for operation in [Operation::Create, Operation::Rename, Operation::SyncDirectory] {
        on_core(async move || {
            let log = Log::start(always()).await;
            // One is lost while preparing, one when it is needed.
            log.faults.fail(operation, ErrorKind::StorageFull, 2);
            let tickets = [log.append(70, 1), log.append(58, 2)];
            let error = log.queue.next_segment().await.unwrap_err();
            assert!(
                matches!(&error, CommitError::Failed(failure) if failure.kind == ErrorKind::StorageFull),
                "{error}"
            );
            for ticket in tickets {
                assert_eq!(log.queue.outcome(ticket), Some(Ok(())), "{operation:?}");
            }
            let segment = log.runs_again().await;
            assert!(segment > 1);
            log.queue.wait(log.append(1, 3)).await.unwrap();
            log.queue.close().await.unwrap();
        });
    }
}

#[test]
fn a_log_that_cannot_be_begun_is_an_error_of_the_start() {
    on_core(async || {
        let directory = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::default();
        let segment_options = SegmentOptions::new(directory.path().to_owned(), 0, 1);
        disk.0.fail(Operation::Create, ErrorKind::PermissionDenied, 1);
        let segments = Segments::open(disk, segment_options).await.unwrap();
        let error = CommitQueue::start(segments, always(), |_| {}).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    });
}

#[test]
fn a_failed_log_can_be_closed_and_closing_can_fail() {
    on_core(async || {
        let log = Log::start(always()).await;
        log.faults.fail(Operation::Write, ErrorKind::Other, u32::MAX);
        let ticket = log.append(1, 1);
        // The failure happens while it is being closed.
        assert!(matches!(log.queue.close().await, Err(CommitError::Failed(_))));
        assert_eq!(log.queue.wait(ticket).await, Err(CommitError::Lost));
        assert!(matches!(log.queue.close().await, Err(CommitError::Failed(_))));
        assert_eq!(log.queue.append(1, &[0; 512]).unwrap_err(), AppendError::Closed);
    });
}

#[test]
fn at_intervals_a_written_block_is_acknowledged_and_synced_later() {
    on_core(async || {
        let log = Log::start(options(WalSync::Interval(Duration::from_millis(30)))).await;
        let before = log.faults.calls(Operation::Sync);
        let start = Instant::now();
        log.queue.wait(log.append(1, 1)).await.unwrap();
        assert_eq!(log.faults.calls(Operation::Sync), before, "acknowledged without a sync");
        log.faults.called(Operation::Sync, before + 1).await;
        assert!(start.elapsed() < Duration::from_secs(1));
        // Nothing new: no further sync.
        crate::runtime::sleep(Duration::from_millis(100)).await;
        assert_eq!(log.faults.calls(Operation::Sync), before + 1);

        log.faults.fail(Operation::Sync, ErrorKind::Other, 1);
        let acknowledged = log.append(1, 2);
        log.queue.wait(acknowledged).await.unwrap();
        while !matches!(log.queue.state(), LogState::Failed(_)) {
            next_tick().await;
        }
        let expected = Some(Ticket(1));
        let synced = log.events.borrow().iter().find_map(|event| match event {
            CommitEvent::Failed { synced_up_to, lost_up_to: None, .. } => Some(*synced_up_to),
            _ => None,
        });
        assert_eq!(synced, expected, "the owner learns what was acknowledged and is not durable");
        log.runs_again().await;
        log.queue.close().await.unwrap();
    });
}

#[test]
fn without_sync_nothing_is_synced_until_the_log_is_closed() {
    on_core(async || {
        let log = Log::start(options(WalSync::None)).await;
        let before = log.faults.calls(Operation::Sync);
        for content in 1..=3 {
            log.queue.wait(log.append(1, content)).await.unwrap();
        }
        assert_eq!(log.faults.calls(Operation::Sync), before);
        log.append(1, 4);
        log.queue.close().await.unwrap();
        assert_eq!(log.faults.calls(Operation::Sync), before + 1);
        assert_eq!(log.sectors(1), [1, 2, 3, 4]);
        assert_eq!(log.queue.segments().sealed(), [1]);
    });
}

#[test]
fn nothing_acknowledged_is_missing_after_random_failures() {
    random_failures(false);
}

#[test]
fn nothing_acknowledged_is_missing_after_random_failures_of_durable_writes() {
    random_failures(true);
}

/// Random blocks, failures and rotations: what was acknowledged is in the files, in order, whatever happened.
fn random_failures(has_durable_writes: bool) {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
    });
    println!("SEED={seed}");
    on_core(async move || {
        let mut random = seed | 1;
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let log = Log::start(CommitOptions { retry_interval: Duration::from_millis(2), ..always() }).await;
        log.faults.has_durable_writes.set(has_durable_writes);
        let mut sent = Vec::new();
        for number in 1..3000_u64 {
            if next(60) == 0 {
                // Often enough what every commit does: some twenty times, whatever the seed.
                let operations = [
                    Operation::Write,
                    Operation::Write,
                    Operation::Write,
                    Operation::Sync,
                    Operation::Create,
                    Operation::SyncDirectory,
                    Operation::Close,
                ];
                log.faults.tears.set(next(2) == 0);
                log.faults.fail(
                    operations[next(operations.len() as u64) as usize],
                    ErrorKind::Other,
                    1 + next(2) as u32,
                );
            }
            let segment = log.runs_again().await;
            let bytes = number.to_le_bytes().repeat(64 * (1 + next(5) as usize));
            match log.queue.append(segment, &bytes) {
                Ok(ticket) => sent.push((number, ticket)),
                Err(AppendError::SegmentFull { .. }) => drop(log.queue.next_segment().await),
                Err(error) => panic!("{error}"),
            }
            if next(8) == 0 {
                let (_, ticket) = sent[sent.len() - 1];
                let _ = log.queue.wait(ticket).await;
            }
        }
        let _ = log.queue.close().await;
        let mut stored = std::collections::BTreeSet::new();
        for id in log.queue.segments().sealed() {
            for sector in fs::read(log.path(id)).unwrap().chunks(SECTOR_BYTES) {
                let numbers: Vec<_> =
                    sector.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
                assert!(numbers.iter().all(|number| *number == numbers[0]), "blocks overlap");
                let is_in_order = stored.last().is_none_or(|last| numbers[0] == 0 || numbers[0] >= *last);
                assert!(is_in_order, "{} after {:?}", numbers[0], stored.last());
                stored.insert(numbers[0]);
                stored.remove(&0);
            }
        }
        let mut lost = 0;
        for (number, ticket) in &sent {
            match log.queue.outcome(*ticket) {
                Some(Ok(())) => assert!(stored.contains(number), "{number} was acknowledged and is missing"),
                Some(Err(_)) => lost += 1,
                None => panic!("{number} still waits"),
            }
        }
        let failures = log.queue.statistics().failures;
        assert!(
            failures > 3 && lost > 0 && lost < sent.len() / 2,
            "{failures} failures, {lost} of {} lost",
            sent.len()
        );
    });
}

/// A file of this module's making is a segment of the real disk: the trait loses nothing on the way.
#[test]
fn the_real_disk_is_the_one_of_the_runtime() {
    on_core(async || {
        let directory = tempfile::tempdir().unwrap();
        let options =
            SegmentOptions { segment_bytes: 4096, ..SegmentOptions::new(directory.path().to_owned(), 0, 1) };
        let segments = Segments::open(RealPlatform, options).await.unwrap();
        let queue = CommitQueue::start(segments, always(), |_| {}).await.unwrap();
        let ticket = queue.append(1, &[3; 512]).unwrap();
        queue.wait(ticket).await.unwrap();
        queue.close().await.unwrap();
        let written = fs::read(directory.path().join("core000-0000000000000001.log")).unwrap();
        assert_eq!(written.len(), 4096);
        assert!(written[..512] == [3; 512]);
    });
}
