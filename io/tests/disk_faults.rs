//! What disks, directories, files and clocks do to a daemon, and what it makes of it: nothing acknowledged is lost or freed before it
//! is saved, and nothing that is in the way keeps it from starting or eats the disk.
#![expect(clippy::unwrap_used, reason = "a test fails where something unexpected happens")]

mod daemon;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use daemon::disk::SmallDisk;
use daemon::{Daemon, Finished, default_config, eventually, free_port, now, run, write_config};
use serde_json::{Value, json};

/// What happens "soon" happens in this time, also on a machine that is busy.
const SOON: Duration = Duration::from_secs(20);

fn start(change: impl Fn(&mut Value)) -> Daemon {
    Daemon::start_with(|config| {
        config["metric-store"]["cores"] = json!(1);
        change(config);
    })
}

fn minute() -> i64 {
    now() / 60 * 60
}

fn line(cluster: &str, host: &str, time: i64, value: f64) -> String {
    format!("mem_used,cluster={cluster},hostname={host} value={value} {time}\n")
}

fn value(daemon: &Daemon, cluster: &str, host: &str, time: i64) -> Value {
    daemon.data(cluster, host, "mem_used", time, time + 60)
}

/// Bytes on disk of everything in a directory.
fn disk_bytes(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
}

/// The names in a directory that end so.
fn names(directory: &Path, end: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(end)).collect()
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_free_of_a_cluster_takes_nothing_that_was_written_after_it() {
    let mut daemon = start(|config| config["metric-store"]["cores"] = json!(2));
    for (round, selector) in [json!([["c"]]), json!([[]])].into_iter().enumerate() {
        let time = minute() + 60 * round as i64;
        let hosts: Vec<String> = (0..20).map(|host| format!("h{host}")).collect();
        daemon.write(hosts.iter().map(|host| line("c", host, time - 7200, 1.0)).collect::<String>());
        let freed =
            daemon.request("POST", &format!("/api/free/?to={}", time + 1_000_000), selector.to_string());
        assert_eq!(freed.status, 200, "{selector}: {}", freed.text());
        daemon.write(hosts.iter().map(|host| line("c", host, time, 42.0)).collect::<String>());
        daemon.kill();
        daemon.restart();
        for host in &hosts {
            assert_eq!(value(&daemon, "c", host, time), json!([42.0]), "{host} after {selector}");
        }
    }
}

#[test]
fn a_host_that_cannot_be_saved_costs_neither_the_disk_nor_the_others() {
    let time = minute();
    let mut daemon = Daemon::start_on(|directory, config| {
        config["metric-store"]["cores"] = json!(1);
        config["metric-store"]["checkpoint-interval"] = json!("1s");
        let root = directory.join("checkpoints");
        fs::create_dir_all(root.join("y")).unwrap();
        fs::write(root.join("x"), b"in the place of a cluster").unwrap();
        fs::write(root.join("y/h"), b"in the place of a host").unwrap();
    });
    daemon.write(line("x", "h", time, 1.5) + &line("y", "h", time, 2.5));
    let ok = daemon.checkpoints().join("c/ok");
    let mut written = 0;
    // Every checkpoint has something to do, and many of them come.
    let through = eventually(SOON, || {
        daemon.write(line("c", "ok", time + 60 * (written % 50), written as f64));
        written += 1;
        thread::sleep(Duration::from_millis(50));
        names(&ok, ".bin").len() >= 6
    });
    assert!(through, "{} snapshots", names(&ok, ".bin").len());
    let bytes = disk_bytes(&daemon.wal());
    assert!(bytes <= 4 * 64 * 1024 * 1024 + 65_536, "{bytes} bytes of log");
    assert!(daemon.logs("2 hosts could not be saved"));
    for ends in [true, false] {
        if ends {
            daemon.stop();
        } else {
            daemon.kill();
        }
        daemon.restart();
        assert_eq!(value(&daemon, "x", "h", time), json!([1.5]));
        assert_eq!(value(&daemon, "y", "h", time), json!([2.5]));
    }
    for stray in ["x", "y/h"] {
        fs::remove_file(daemon.checkpoints().join(stray)).unwrap();
    }
    daemon.stop();
    assert_eq!(files(&daemon.checkpoints().join("x")).len(), 1, "it is saved once it can be");
}

#[test]
fn a_full_log_disk_makes_room_by_a_checkpoint() {
    let mount = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(mount.path()) else {
        eprintln!("skipped: mounting a small file system needs root");
        return;
    };
    let log = mount.path().join("wal");
    let daemon = start(|config| {
        config["metric-store"]["checkpoint-interval"] = json!("12h");
        config["metric-store"]["wal"] = json!({"directory": log});
    });
    let (begin, mut round) = (minute() - 40_000, 0);
    let refused = eventually(Duration::from_secs(120), || {
        round += 1;
        let lines: String = (0..8000)
            .map(|series| {
                let (host, thread) = (series / 64, series % 64);
                format!(
                    "mem_used,cluster=c,hostname=h{host},type=hwthread,type-id={thread} value={round}.5 {}\n",
                    begin + round
                )
            })
            .collect();
        daemon.request("POST", "/api/write", lines).status == 503
            || daemon.log().matches("checkpoint of").count() >= 2
    });
    assert!(refused, "the disk was not filled in {round} rounds");
    let goes_on = || daemon.request("POST", "/api/write", line("c", "h", minute(), 1.0)).status == 200;
    assert!(eventually(Duration::from_secs(30), goes_on), "writes go on by themselves");
}

#[test]
fn after_a_downtime_longer_than_the_retention_the_log_is_saved_and_told_of() {
    let mut daemon = start(|config| {
        config["metric-store"]["retention-in-memory"] = json!("3s");
        config["metric-store"]["checkpoint-interval"] = json!("1h");
    });
    let time = now();
    daemon.write(
        (0..50).map(|host| format!("clock,cluster=c,hostname=h{host} value=7 {time}\n")).collect::<String>(),
    );
    daemon.kill();
    thread::sleep(Duration::from_secs(5));
    daemon.restart();
    let is_saved = || daemon.log().contains("checkpoint of 50 hosts");
    assert!(eventually(SOON, is_saved), "{}", daemon.log());
    assert!(daemon.logs("50 samples older than retention-in-memory"), "{}", daemon.log());
    daemon.stop();
    daemon.restart_with(|config| config["metric-store"]["retention-in-memory"] = json!("1000h"));
    for host in 0..50 {
        assert_eq!(daemon.data("c", &format!("h{host}"), "clock", time, time + 1), json!([7.0]));
    }
}

#[test]
fn retention_frees_only_what_is_saved_also_where_it_is_shorter_than_the_checkpoint_interval() {
    let mut daemon = start(|config| {
        config["metric-store"]["retention-in-memory"] = json!("4s");
        config["metric-store"]["checkpoint-interval"] = json!("1h");
    });
    let time = now();
    daemon.write(format!("clock,cluster=c,hostname=h value=7 {}\n", time - 2));
    // A checkpoint comes as often as retention.
    assert!(eventually(SOON, || daemon.data("c", "h", "clock", time - 2, time - 1) == Value::Null));
    daemon.stop();
    // Older by two hours, as far as the name and the age of the file tell, the archive gets it.
    let host = daemon.checkpoints().join("c/h");
    let old = host.join(format!("{}.bin", now() - 7200));
    fs::rename(host.join(&names(&host, ".bin")[0]), &old).unwrap();
    make_old(&old);
    daemon.restart_with(|config| config["metric-store"]["checkpoint-interval"] = json!("1s"));
    let archive = daemon.path().join("archive/c");
    assert!(eventually(SOON, || !names(&archive, ".parquet").is_empty()), "{}", daemon.log());
    // What is in snapshots is freed.
    let time = now();
    daemon.write(format!("clock,cluster=c,hostname=h value=7 {time}\n"));
    assert_eq!(daemon.data("c", "h", "clock", time, time + 1), json!([7.0]));
    assert!(eventually(SOON, || daemon.data("c", "h", "clock", time, time + 1) == Value::Null));
}

/// Makes a file look as if it were two hours old.
fn make_old(path: &Path) {
    let modified = SystemTime::now() - Duration::from_secs(7200);
    File::options().write(true).open(path).and_then(|file| file.set_modified(modified)).unwrap();
}

fn start_expecting_an_error(config: &Value, directory: &Path) -> Finished {
    let path = write_config(directory, config);
    run(&["-config", path.to_str().unwrap()], directory)
}

#[test]
fn a_second_daemon_on_the_same_checkpoints_or_archive_is_refused() {
    let daemon = Daemon::start();
    for (key, directory) in [
        ("/metric-store/checkpoints/directory", daemon.checkpoints()),
        ("/metric-store/cleanup/directory", daemon.path().join("archive")),
    ] {
        let other = tempfile::tempdir().unwrap();
        let mut config = default_config(other.path(), free_port());
        *config.pointer_mut(key).unwrap() = json!(directory);
        config["metric-store"]["wal"] = json!({"directory": other.path().join("wal")});
        let finished = start_expecting_an_error(&config, other.path());
        assert_eq!(finished.code, Some(1), "{}", finished.stderr);
        let key = key[1..].replace('/', ".");
        assert!(
            finished.stderr.contains("another instance is running") && finished.stderr.contains(&key),
            "{}",
            finished.stderr
        );
    }
    daemon.assert_answers();
}

#[test]
fn snapshots_out_of_retention_go_also_where_no_run_is_as_long_as_the_retention() {
    let mut daemon = start(|config| {
        config["metric-store"]["retention-in-memory"] = json!("6s");
        config["metric-store"]["checkpoint-interval"] = json!("1s");
    });
    daemon.write(format!("clock,cluster=c,hostname=h value=7 {}\n", now()));
    daemon.stop();
    let host = daemon.checkpoints().join("c/h");
    let written = fs::read(host.join(&names(&host, ".bin")[0])).unwrap();
    let old: Vec<PathBuf> =
        (0..3).map(|index| host.join(format!("{}.bin", now() - 7200 + 60 * index))).collect();
    for path in &old {
        fs::write(path, &written).unwrap();
        make_old(path);
    }
    for _ in 0..6 {
        daemon.restart();
        thread::sleep(Duration::from_secs(3));
        daemon.stop();
    }
    let left: Vec<_> = old.iter().filter(|path| path.exists()).collect();
    assert!(left.is_empty(), "{left:?} are left after 18 s with a retention of 6 s");
}

#[test]
fn what_may_not_be_read_is_passed_over() {
    if !nix_is_root() {
        eprintln!("skipped: taking rights away from oneself and giving them to others needs root");
        return;
    }
    let daemon = Daemon::start_on(|directory, config| {
        config["main"]["user"] = json!("nobody");
        for path in ["", "checkpoints", "checkpoints/c", "wal", "archive"] {
            let path = directory.join(path);
            fs::create_dir_all(&path).unwrap();
            let command = format!("chmod 755 '{0}' && chown nobody '{0}'", path.display());
            assert!(Command::new("sh").arg("-c").arg(command).status().unwrap().success());
        }
        for stray in ["checkpoints/lost+found", "checkpoints/c/lost+found", "archive/lost+found"] {
            let path = directory.join(stray);
            fs::create_dir(&path).unwrap();
            assert!(Command::new("chmod").arg("700").arg(&path).status().unwrap().success());
        }
    });
    assert!(daemon.logs("lost+found"), "{}", daemon.log());
    daemon.write(line("c", "h", minute(), 1.0));
    daemon.assert_answers();
}

fn nix_is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

#[test]
fn a_segment_that_was_cut_is_told_of_and_kept() {
    for keep in [0, 300, 4096, 65_536] {
        let mut daemon = start(|_| {});
        let time = minute() - 60 * 300;
        for index in 0..200 {
            daemon.write(line("c", "h", time + 60 * index, index as f64));
        }
        daemon.kill();
        let log = names(&daemon.wal(), ".log");
        let path = daemon.wal().join(log.iter().min().unwrap());
        File::options().write(true).open(&path).unwrap().set_len(keep).unwrap();
        daemon.restart();
        assert!(daemon.logs("it was cut"), "cut to {keep}: {}", daemon.log());
        let is_kept = || !names(&daemon.wal(), ".corrupt").is_empty();
        assert!(eventually(SOON, is_kept), "cut to {keep}: {:?}", names(&daemon.wal(), ""));
    }
}

#[test]
fn strange_things_with_names_of_segments_are_set_aside_at_once() {
    let mut daemon = start(|_| {});
    let time = minute();
    daemon.write(line("c", "h", time, 1.0));
    daemon.kill();
    let wal = daemon.wal();
    let name = |number: u32| wal.join(format!("core000-00000000000001{number:02x}.log"));
    assert!(Command::new("mkfifo").arg(name(1)).status().unwrap().success());
    fs::create_dir(name(2)).unwrap();
    std::os::unix::fs::symlink("/nonexistent", name(3)).unwrap();
    File::create(name(4)).unwrap().set_len(1 << 40).unwrap();
    File::create(name(5)).unwrap();
    daemon.restart();
    assert_eq!(value(&daemon, "c", "h", time), json!([1.0]));
    let are_aside =
        || (names(&daemon.wal(), ".unreadable").len(), names(&daemon.wal(), ".corrupt").len()) == (3, 2);
    assert!(eventually(SOON, are_aside), "{:?}", names(&daemon.wal(), ""));
    for number in 1..=5 {
        let path = name(number);
        assert!(daemon.logs(path.to_str().unwrap()), "{} is not told of", path.display());
    }
    daemon.write(line("c", "h", time + 60, 2.0));
    daemon.kill();
    daemon.restart();
    assert_eq!(value(&daemon, "c", "h", time + 60), json!([2.0]));
}

#[test]
fn a_flipped_bit_costs_its_block_and_no_other() {
    let mut daemon = start(|_| {});
    let time = minute() - 60 * 100;
    for index in 0..60 {
        daemon.write(line("c", "h", time + 60 * index, index as f64));
    }
    daemon.kill();
    let log = names(&daemon.wal(), ".log");
    let path = daemon.wal().join(log.iter().min().unwrap());
    let mut bytes = fs::read(&path).unwrap();
    // The header, then a block for each write.
    bytes[512 * 11 + 40] ^= 1;
    fs::write(&path, bytes).unwrap();
    daemon.restart();
    let found = daemon.data("c", "h", "mem_used", time, time + 60 * 60);
    let wanted: Vec<_> =
        (0..60).map(|index| if index == 10 { Value::Null } else { json!(f64::from(index)) }).collect();
    assert_eq!(found, json!(wanted));
}

#[test]
fn a_log_directory_that_is_taken_away_is_noticed_and_made_again() {
    let mut daemon = start(|_| {});
    let time = minute() - 6000;
    daemon.write(line("c", "h", time, 1.0));
    fs::rename(daemon.wal(), daemon.path().join("wal.away")).unwrap();
    let (mut index, mut acknowledged, mut refused) = (0, vec![0], false);
    let goes_on = eventually(SOON, || {
        index += 1;
        let status = daemon.request("POST", "/api/write", line("c", "h", time + 60 * index, 1.0)).status;
        refused |= status == 503;
        if status == 200 {
            acknowledged.push(index);
        }
        thread::sleep(Duration::from_millis(200));
        status == 200 && refused
    });
    assert!(goes_on && daemon.wal().exists(), "{}", daemon.log());
    assert!(daemon.logs("took it away"), "{}", daemon.log());
    daemon.kill();
    daemon.restart();
    for index in acknowledged {
        assert_eq!(value(&daemon, "c", "h", time + 60 * index), json!([1.0]), "minute {index}");
    }
}
