//! Faults of disks, directories and files on a simulated machine: what was acknowledged is kept, what is kept has an end.
#![expect(clippy::unwrap_used, reason = "a test fails where something unexpected happens")]

mod machine;

use std::io;
use std::path::Path;
use std::time::Duration;

use engine::durable::commit::{CommitOptions, LogState, WalSync};
use engine::durable::load::{Found, inherited};
use engine::durable::names::SegmentName;
use engine::durable::segments::LogFate;
use engine::memory::retention::FreeWork;
use engine::memory::spared::Spared;
use engine::memory::work::ShardWork;
use engine::platform::{Clock, DirectoryEntry, Disk, Files};
use engine::series::route::core_of;
use engine::series::tree::ROOT;
use engine::testing::disk::SimDisk;
use engine::testing::faults::{Crash, Faults};
use engine::testing::platform::SimFiles;
use engine::testing::random::Random;
use engine::wal::encode::SegmentEncoder;
use engine::wal::segment::SegmentHeader;
use machine::{
    CHECKPOINTS, Core, LOG, SEGMENT_BYTES, WALL_SECONDS, load, load_options, on_a_machine, on_the_machine_of,
    values,
};

const T: i64 = WALL_SECONDS;

/// The bytes of a segment that core `core` of `cores` wrote.
fn segment(id: u64, core: u16, cores: u16, record: impl FnOnce(&mut SegmentEncoder)) -> Vec<u8> {
    let header = SegmentHeader { id, core, cores, created_seconds: T };
    let mut encoder = SegmentEncoder::new(header);
    let mut bytes = header.encode().to_vec();
    record(&mut encoder);
    bytes.extend_from_slice(encoder.seal());
    bytes.resize(SEGMENT_BYTES as usize, 0);
    bytes
}

/// Puts files into the log's directory.
fn put_log(disk: &SimDisk, files: Vec<(SegmentName, Vec<u8>)>) {
    on_the_machine_of(disk, 1, T, |platform, _| async move {
        platform.create_directory(Path::new(LOG)).await.unwrap();
        for (name, bytes) in files {
            platform.write_file(&name.log_path(Path::new(LOG)), bytes).await.unwrap();
        }
    });
}

#[test]
fn a_free_is_replayed_on_the_hosts_of_the_core_that_recorded_it() {
    // The core that records the free may be the one whose segments come last, or first.
    for (free_id, sample_id) in [(4, 3), (3, 4)] {
        for selector in [&[][..], &["c"]] {
            let hosts: Vec<String> = (0..20).map(|host| format!("h{host}")).collect();
            let files = [(free_id, 0, true), (sample_id, 1, false)].map(|(id, core, frees)| {
                let record = |log: &mut SegmentEncoder| {
                    let owned = hosts.iter().filter(|host| core_of("c", host, 2) == usize::from(core));
                    for (number, host) in (0..).zip(owned) {
                        log.declare(number, &["c", host], "load");
                        log.sample(number, T - 7200, 1.0);
                    }
                    if frees {
                        log.free(selector, T + 1_000_000);
                    }
                };
                (SegmentName { id, core }, segment(id, core, 2, record))
            });
            for cores in [1, 2, 3] {
                let disk = SimDisk::new(Random::new(1), false);
                put_log(&disk, files.to_vec());
                let loaded = load(&SimFiles(disk), cores, T);
                for host in &hosts {
                    let shard = &loaded[core_of("c", host, cores)].shard;
                    let is_freed = core_of("c", host, 2) == 0;
                    assert_eq!(
                        values(shard, "c", host).is_empty(),
                        is_freed,
                        "{host}: free {selector:?} in {free_id}, {cores} cores"
                    );
                }
            }
        }
    }
}

#[test]
fn without_its_header_a_segment_s_free_reaches_only_hosts_that_it_names() {
    let mut first = segment(3, 1, 2, |log| {
        log.declare(0, &["c", "named"], "load");
        log.sample(0, T, 1.0);
        log.free(&["c"], T + 1_000_000);
    });
    first[8] ^= 0;
    first[33] ^= 1;
    let other = segment(2, 0, 2, |log| {
        log.declare(0, &["c", "other"], "load");
        log.sample(0, T, 2.0);
    });
    let disk = SimDisk::new(Random::new(1), false);
    put_log(&disk, vec![(SegmentName { id: 3, core: 1 }, first), (SegmentName { id: 2, core: 0 }, other)]);
    let loaded = load(&SimFiles(disk), 1, T);
    assert!(values(&loaded[0].shard, "c", "named").is_empty());
    assert_eq!(values(&loaded[0].shard, "c", "other"), [(T, 2.0)]);
}

#[test]
fn a_turn_larger_than_the_room_in_the_segment_is_never_refused() {
    for batches in [1, 4, 40, 200] {
        on_a_machine(batches, move |platform, disk| async move {
            let files = SimFiles(disk);
            let mut core = Core::start(&platform, &files, CommitOptions::default()).await;
            let mut sent = Vec::new();
            for round in 0..5i64 {
                core.journal.begin_turn().await;
                let mut tags = Vec::new();
                for batch in 0..batches as i64 {
                    let host = format!("h{batch}");
                    let samples: Vec<_> = (0..60)
                        .map(|minute| ("c", &*host, T + 60 * (60 * round + minute), 0.1 + minute as f64))
                        .collect();
                    tags.push(core.hand_in(&samples));
                    sent.push((host.clone(), T + 60 * 60 * round));
                }
                core.journal.end_block(&core.shard.borrow());
                for tag in tags {
                    assert_eq!(core.outcome(tag).await, Ok(()), "round {round}, {batches} batches");
                }
            }
            assert_eq!(core.journal.queue().statistics().failures, 0);
            let loaded = load(&files, 1, T);
            for (host, time) in sent {
                let found = values(&loaded[0].shard, "c", &host);
                assert!(found.contains(&(time, 0.1)), "{host} at {time}");
            }
        });
    }
}

#[test]
fn what_can_never_fit_is_refused_once_with_a_text_and_without_a_new_segment() {
    on_a_machine(7, |platform, disk| async move {
        let files = SimFiles(disk);
        let mut core = Core::start(&platform, &files, CommitOptions::default()).await;
        core.write(&[("c", "h", T, 1.0)]).await.unwrap();
        let segment = core.journal.queue().segment();
        let long: Vec<_> =
            (0..10_000i64).map(|minute| ("c", "long", T + 60 * minute, minute as f64 + 0.1)).collect();
        core.journal.begin_turn().await;
        let tags = [
            core.hand_in(&[("c", "before", T, 2.0)]),
            core.hand_in(&long),
            core.hand_in(&[("c", "behind", T, 3.0)]),
        ];
        core.journal.end_block(&core.shard.borrow());
        let mut outcomes = Vec::new();
        for tag in tags {
            outcomes.push(core.outcome(tag).await);
        }
        assert_eq!((&outcomes[0], &outcomes[2]), (&Ok(()), &Ok(())));
        let why = outcomes[1].clone().unwrap_err();
        assert!(why.contains("bytes") && why.contains("smaller parts"), "{why}");
        core.write(&[("c", "h", T + 60, 4.0)]).await.unwrap();
        let segments = core.journal.queue().statistics().segments;
        assert!(segments <= 2, "{segments} segments, {segment:?} was the first");
        let loaded = load(&files, 1, T);
        let shard = &loaded[0].shard;
        assert_eq!(values(shard, "c", "h"), [(T, 1.0), (T + 60, 4.0)]);
        assert_eq!(values(shard, "c", "before"), [(T, 2.0)]);
        assert_eq!(values(shard, "c", "behind"), [(T, 3.0)]);
    });
}

#[test]
fn without_a_log_nobody_is_told_before_the_turn_has_ended() {
    on_a_machine(3, |platform, disk| async move {
        let options = CommitOptions { sync: WalSync::Off, ..CommitOptions::default() };
        let mut core = Core::start(&platform, &SimFiles(disk), options).await;
        core.journal.begin_turn().await;
        let tag = core.hand_in(&[("c", "h", T, 1.0)]);
        // The pump publishes its hosts here.
        assert!(core.told.borrow().is_empty());
        core.journal.end_block(&core.shard.borrow());
        assert_eq!(*core.told.borrow(), [(tag, Ok(()))]);
    });
}

/// Cuts the log by a checkpoint of all hosts but those of cluster `x`, whose directory cannot be made.
async fn with_a_file_in_the_place_of_cluster_x(platform: &impl Disk) {
    platform.create_directory(Path::new(CHECKPOINTS)).await.unwrap();
    platform.write_file(&Path::new(CHECKPOINTS).join("x"), b"stray".to_vec()).await.unwrap();
}

#[test]
fn a_host_that_cannot_be_saved_is_kept_and_the_log_of_the_others_is_cut() {
    for seed in 0..20 {
        let disk = SimDisk::new(Random::new(seed), false);
        let mut bytes_max = 0;
        for life in 0..3i64 {
            let begin = T + 3600 * life;
            on_the_machine_of(&disk, seed, begin, |platform, disk| async move {
                if life == 0 {
                    with_a_file_in_the_place_of_cluster_x(&platform).await;
                }
                let files = SimFiles(disk.clone());
                let mut core = Core::start(&platform, &files, CommitOptions::default()).await;
                for minute in 0..10 {
                    let time = begin + 60 * minute;
                    // The same slot twice: the newer value has to win.
                    for value in [1.0, 2.0 + minute as f64] {
                        core.write(&[("x", "h", time, value), ("c", "ok", time, value)]).await.unwrap();
                    }
                    let done = core.checkpoints.run(&core.hosts()).await.unwrap();
                    assert_eq!((done.hosts, done.kept_in_log), (1, 1), "life {life}");
                }
                let logs = Core::names(&files, LOG).iter().filter(|name| name.ends_with(".log")).count();
                assert!(logs <= 4, "{logs} segments");
                if life == 1 {
                    // A stop, at which it fails as well.
                    let done = core.checkpoints.run_last(&core.hosts()).await.unwrap();
                    assert_eq!(done.kept_in_log, 1);
                    core.journal.close().await.unwrap();
                }
            });
            disk.crash(if life == 0 { Crash::Power { percent_kept: 50 } } else { Crash::Kill });
            bytes_max = bytes_max.max(disk.used_bytes_at(Path::new(LOG)));
            let loaded = load(&SimFiles(disk.clone()), 1, begin + 600);
            let wanted: Vec<_> = (0..=life)
                .flat_map(|life| {
                    (0..10).map(move |minute| (T + 3600 * life + 60 * minute, 2.0 + minute as f64))
                })
                .collect();
            for (cluster, host) in [("x", "h"), ("c", "ok")] {
                assert_eq!(
                    values(&loaded[0].shard, cluster, host),
                    wanted,
                    "{cluster}, seed {seed}, life {life}"
                );
            }
        }
        assert!(bytes_max < 10 * SEGMENT_BYTES, "{bytes_max} bytes");
        // The stray is gone: the next checkpoint saves the host, and nothing of it is left in the log.
        on_the_machine_of(&disk, seed, T + 4 * 3600, |platform, disk| async move {
            platform.remove(&Path::new(CHECKPOINTS).join("x")).await.unwrap();
            let files = SimFiles(disk);
            let mut core = Core::start(&platform, &files, CommitOptions::default()).await;
            let done = core.checkpoints.run_last(&core.hosts()).await.unwrap();
            assert_eq!(done.kept_in_log, 0);
            core.journal.close().await.unwrap();
            let mut options = load_options(1, T + 4 * 3600);
            options.log = "/nowhere".into();
            let loaded = Found::find(&files, options).unwrap().load_core(&files, 0, |_, _| {});
            assert_eq!(values(&loaded.shard, "x", "h").len(), 30);
        });
    }
}

#[test]
fn retries_of_a_checkpoint_on_a_full_disk_begin_no_segments() {
    on_a_machine(5, |platform, disk| async move {
        with_a_file_in_the_place_of_cluster_x(&platform).await;
        let files = SimFiles(disk.clone());
        let mut core = Core::start(&platform, &files, CommitOptions::default()).await;
        core.write(&[("c", "h", T, 1.0)]).await.unwrap();
        disk.set_faults(Faults {
            capacity_bytes: disk.used_bytes_at(Path::new(LOG)) + 20,
            ..Faults::default()
        });
        for minute in 1..20 {
            core.write(&[("c", "h", T + 60 * minute, 1.0)]).await.unwrap();
            core.checkpoints.run(&core.hosts()).await.unwrap_err();
        }
        assert!(core.journal.queue().statistics().segments <= 2);
    });
}

#[test]
fn a_log_without_room_asks_for_a_checkpoint_and_goes_on() {
    for seed in 0..30 {
        on_a_machine(seed, |platform, disk| async move {
            disk.mount(Path::new(LOG));
            let files = SimFiles(disk.clone());
            let options =
                CommitOptions { retry_interval: Duration::from_secs(3600), ..CommitOptions::default() };
            let mut core = Core::start(&platform, &files, options).await;
            // Room for some segments; snapshots are on another disk.
            let capacity_bytes = 5 * SEGMENT_BYTES + SEGMENT_BYTES / 2;
            disk.set_faults_at(Path::new(LOG), Faults { capacity_bytes, ..Faults::default() });
            let (mut refused, mut minute) = (0, 0i64);
            for _ in 0..1500 {
                let samples: Vec<_> =
                    (0..60).map(|slot| ("c", "h", T + 60 * (minute + slot) % 90_000, 0.1)).collect();
                minute += 60;
                refused += u32::from(core.write(&samples).await.is_err());
                if core.checkpoints.is_log_full(None) {
                    core.checkpoints.run(&core.hosts()).await.unwrap();
                    platform.sleep(Duration::from_secs(6)).await;
                }
            }
            assert!(core.journal.queue().statistics().segments > 10);
            assert!(refused <= 3, "{refused} of 1500 writes were refused, seed {}", platform.now_ns());
            assert_eq!(core.journal.queue().state(), LogState::Running);
        });
    }
}

#[test]
fn a_log_whose_directory_was_taken_away_is_made_again_and_nothing_is_lost() {
    on_a_machine(11, |platform, disk| async move {
        let files = SimFiles(disk.clone());
        let mut core = Core::start(&platform, &files, CommitOptions::default()).await;
        core.write(&[("c", "h", T, 1.0)]).await.unwrap();
        for name in Core::names(&files, LOG) {
            platform.remove(&Path::new(LOG).join(name)).await.unwrap();
        }
        // Not noticed at once.
        core.write(&[("c", "h", T + 60, 2.0)]).await.unwrap();
        platform.sleep(Duration::from_secs(2)).await;
        let why = core.write(&[("c", "h", T + 120, 3.0)]).await.unwrap_err();
        assert!(why.contains("took it away"), "{why}");
        assert!(core.checkpoints.is_log_full(None), "what it held is in memory only");
        core.checkpoints.run(&core.hosts()).await.unwrap();
        platform.sleep(Duration::from_secs(2)).await;
        core.write(&[("c", "h", T + 180, 4.0)]).await.unwrap();
        let loaded = load(&files, 1, T);
        assert_eq!(
            values(&loaded[0].shard, "c", "h"),
            [(T, 1.0), (T + 60, 2.0), (T + 120, 3.0), (T + 180, 4.0)]
        );
    });
}

/// Files of which one cannot be read by one core.
struct UnreadableOnce<'a> {
    files: &'a SimFiles,
    path: &'a str,
}

impl Files for UnreadableOnce<'_> {
    fn read_dir(&self, directory: &Path) -> io::Result<Vec<DirectoryEntry>> {
        self.files.read_dir(directory)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path.ends_with(self.path) { Err(io::Error::other("EIO")) } else { self.files.read(path) }
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.files.sync(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.files.rename(from, to)
    }
}

#[test]
fn a_segment_that_one_core_could_not_read_is_kept_and_never_read_again() {
    let disk = SimDisk::new(Random::new(1), false);
    let bytes = segment(2, 0, 2, |log| {
        log.declare(0, &["c", "h"], "load");
        log.sample(0, T, 1.0);
    });
    put_log(&disk, vec![(SegmentName { id: 2, core: 0 }, bytes)]);
    let files = SimFiles(disk.clone());
    let name = "core000-0000000000000002.log";
    for failing in 0..3 {
        let found = Found::find(&files, load_options(3, T)).unwrap();
        let loaded: Vec<_> = (0..3)
            .map(|core| {
                let path = if core == failing { name } else { "nothing" };
                found.load_core(&UnreadableOnce { files: &files, path }, core, |_, _| {})
            })
            .collect();
        let all = inherited(&loaded);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].fate, LogFate::Unreadable, "core {failing}");
    }
    on_the_machine_of(&disk, 1, T, |platform, disk| async move {
        let files = SimFiles(disk);
        let failing = UnreadableOnce { files: &files, path: name };
        let mut core = Core::start(&platform, &failing, CommitOptions::default()).await;
        core.write(&[("c", "h", T, 2.0)]).await.unwrap();
        core.checkpoints.run(&core.hosts()).await.unwrap();
        let names = Core::names(&files, LOG);
        assert!(names.contains(&format!("{name}.unreadable")), "{names:?}");
        assert_eq!(
            values(&load(&files, 1, T)[0].shard, "c", "h"),
            [(T, 2.0)],
            "the older value has not come back"
        );
    });
}

#[test]
fn a_segment_that_was_cut_or_emptied_is_reported_and_set_aside() {
    let whole = segment(2, 0, 1, |log| {
        log.declare(0, &["c", "h"], "load");
        log.sample(0, T, 1.0);
    });
    for (length, fate) in [
        (0, LogFate::Damaged),
        (511, LogFate::Damaged),
        (4096, LogFate::Damaged),
        (whole.len(), LogFate::Superfluous),
    ] {
        let disk = SimDisk::new(Random::new(1), false);
        put_log(&disk, vec![(SegmentName { id: 2, core: 0 }, whole[..length].to_vec())]);
        assert_eq!(inherited(&load(&SimFiles(disk), 1, T))[0].fate, fate, "{length} bytes");
    }
}

#[test]
fn blocks_behind_a_damaged_place_are_loaded() {
    let header = SegmentHeader { id: 2, core: 0, cores: 1, created_seconds: T };
    let mut log = SegmentEncoder::new(header);
    let mut bytes = header.encode().to_vec();
    for block in 0..6i64 {
        // Each block has a host of its own, and one that all have.
        log.settle(block as u64);
        let host = format!("h{block}");
        for (number, host) in [(0, "all"), (1 + block as u32, &*host)] {
            if !log.is_declared(number) {
                log.declare(number, &["c", host], "load");
            }
            log.sample(number, T + 60 * block, block as f64);
        }
        bytes.extend_from_slice(log.seal());
    }
    bytes[512 * 3 + 40] ^= 1;
    bytes.resize(SEGMENT_BYTES as usize, 0);
    let disk = SimDisk::new(Random::new(1), false);
    put_log(&disk, vec![(SegmentName { id: 2, core: 0 }, bytes)]);
    let loaded = load(&SimFiles(disk), 1, T);
    let shard = &loaded[0].shard;
    let minutes =
        |host: &str| values(shard, "c", host).iter().map(|(time, _)| (time - T) / 60).collect::<Vec<_>>();
    assert_eq!(minutes("all"), [0, 1, 3, 4, 5]);
    for block in [0, 1, 3, 4, 5] {
        assert_eq!(minutes(&format!("h{block}")), [block], "its declaration is behind the damage, or before");
    }
    assert_eq!(inherited(&loaded)[0].fate, LogFate::Damaged);
}

#[test]
fn what_the_log_holds_is_loaded_and_saved_whatever_its_age() {
    let disk = SimDisk::new(Random::new(1), false);
    on_the_machine_of(&disk, 1, T, |platform, disk| async move {
        let mut core = Core::start(&platform, &SimFiles(disk), CommitOptions::default()).await;
        core.write(&[("c", "h", T, 1.0)]).await.unwrap();
    });
    disk.crash(Crash::Kill);
    // Away for a month.
    on_the_machine_of(&disk, 2, T + 30 * 24 * 3600, |platform, disk| async move {
        let files = SimFiles(disk);
        let mut core = Core::start(&platform, &files, CommitOptions::default()).await;
        assert_eq!(values(&core.shard.borrow(), "c", "h"), [(T, 1.0)]);
        // Retention leaves it until it is in a snapshot.
        let retain = |core: &Core| {
            let oldest = platform.now_seconds() - machine::RETENTION_SECONDS;
            let mut shard = core.shard.borrow_mut();
            FreeWork::sparing(&shard, oldest, &Spared::default()).finish(&mut shard)
        };
        assert_eq!(retain(&core), 0);
        core.checkpoints.run(&core.hosts()).await.unwrap();
        assert_eq!(retain(&core), 1);
        assert_eq!(Core::names(&files, "/data/checkpoints/c/h").len(), 1);
    });
}

#[test]
fn what_is_handed_over_is_not_freed_before_it_is_durable() {
    on_a_machine(1, |platform, disk| async move {
        let mut core = Core::start(&platform, &SimFiles(disk), CommitOptions::default()).await;
        core.write(&[("c", "h", T, 1.0), ("c", "other", T, 1.0)]).await.unwrap();
        let hosts = core.hosts();
        use engine::durable::checkpoint::Hosts as _;
        let level = core.shard.borrow().tree().find(["c", "h"]).unwrap();
        let snapshots = hosts.hand_over(level, engine::checkpoint::Kind::Binary, T, T).await.unwrap();
        let free = || {
            let mut shard = core.shard.borrow_mut();
            FreeWork::saved(vec![ROOT], i64::MAX).finish(&mut shard)
        };
        assert_eq!(free(), 0);
        hosts.take_back(snapshots.handed_over).await;
        assert_eq!(free(), 0);
        let snapshots = hosts.hand_over(level, engine::checkpoint::Kind::Binary, T, T).await.unwrap();
        drop(snapshots);
        assert_eq!(free(), 1);
    });
}
