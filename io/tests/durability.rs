//! What was acknowledged survives (SPEC section 9, fault 1): kills, damaged files, stray files, a full disk.
//!
//! The daemon is only ever killed here, so what these tests cannot show is power loss: that is the simulator's part.

mod daemon;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daemon::disk::SmallDisk;
use daemon::random::Random;
use daemon::{Daemon, eventually, free_port, now, run, write_config};
use serde_json::{Value, json};

/// The first sample's time; retention is ten years in these tests.
const T: i64 = 1_750_000_020;
/// What happens "soon" happens in this time, also on a machine that is busy.
const SOON: Duration = Duration::from_secs(15);

fn start(change: impl Fn(&mut Value)) -> Daemon {
    Daemon::start_with(|config| {
        config["metric-store"]["retention-in-memory"] = json!("87600h");
        config["metric-store"]["cores"] = json!(2);
        config["metric-store"]["memory-cap"] = json!(0);
        change(config);
    })
}

fn line(host: &str, minute: i64, value: f64) -> String {
    format!("mem_used,cluster=c,hostname={host} value={value} {}\n", T + 60 * minute)
}

#[track_caller]
fn values(daemon: &Daemon, host: &str, minutes: i64) -> Value {
    daemon.data("c", host, "mem_used", T, T + 60 * minutes)
}

/// The values that [`line`]s with value = minute + 0.25 leave behind.
fn quarters(minutes: i64) -> Value {
    json!((0..minutes).map(|minute| minute as f64 + 0.25).collect::<Vec<_>>())
}

/// The files below a directory whose names end so, sorted.
fn files(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn what_was_acknowledged_a_moment_before_a_kill_survives() {
    let mut daemon = start(|_| {});
    for round in 0..16 {
        for host in ["a", "b", "d", "e"] {
            daemon.write(line(host, round, round as f64 + 0.25));
        }
        daemon.kill();
        daemon.restart_with(|config| config["metric-store"]["cores"] = json!(1 + (round + 1) % 2));
        for host in ["a", "b", "d", "e"] {
            assert_eq!(values(&daemon, host, 100), quarters(round + 1), "round {round}, host {host}");
        }
    }
}

#[test]
fn a_free_survives_a_kill() {
    let mut daemon = start(|_| {});
    for round in 0..10 {
        let host = format!("f{round}");
        daemon.write(line(&host, 0, 1.0) + &line(&host, 5000, 2.0));
        let to = T + 60 * 4000;
        let freed = daemon.request("POST", &format!("/api/free/?to={to}"), json!([["c", host]]).to_string());
        daemon.kill();
        assert_eq!((freed.status, freed.text().as_str()), (200, "buffers freed: 1\n"));
        daemon.restart();
        assert_eq!(values(&daemon, &host, 10), Value::Null, "round {round}: the freed buffer is back");
        let late = daemon.data("c", &host, "mem_used", T + 60 * 5000, T + 60 * 5001);
        assert_eq!(late, json!([2.0]), "round {round}: the buffer that was kept");
    }
}

#[test]
fn closing_a_tcp_connection_acknowledges() {
    let tcp_port = free_port();
    let mut daemon = start(|config| config["main"]["tcp-addr"] = json!(format!("127.0.0.1:{tcp_port}")));
    for round in 0..8 {
        let mut stream = TcpStream::connect(("127.0.0.1", tcp_port)).expect("the daemon listens");
        stream.write_all(line("tcp", round, round as f64 + 0.25).as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("an orderly close");
        daemon.kill();
        daemon.restart();
        assert_eq!(values(&daemon, "tcp", 100), quarters(round + 1), "round {round}");
    }
}

#[test]
fn late_samples_and_those_received_during_checkpoints_survive() {
    let mut daemon = start(|config| config["metric-store"]["checkpoint-interval"] = json!("1s"));
    // Until so many snapshots of the host exist, each of another checkpoint; every other sample is late.
    let mut minutes = 0;
    let written = |daemon: &Daemon| files(&daemon.checkpoints().join("c/late"), ".bin").len();
    let through = eventually(SOON, || {
        daemon.write(line("late", minutes + 1, (minutes + 1) as f64 + 0.25));
        daemon.write(line("late", minutes, minutes as f64 + 0.25));
        minutes += 2;
        written(&daemon) >= 4
    });
    assert!(through, "{} snapshots", written(&daemon));
    // Behind everything that is in snapshots already.
    daemon.write(line("late", -1, -1.0));
    daemon.kill();
    daemon.restart();
    assert_eq!(values(&daemon, "late", minutes), quarters(minutes));
    assert_eq!(daemon.data("c", "late", "mem_used", T - 60, T), json!([-1.0]));
    // Now through a snapshot of its own.
    daemon.stop();
    assert_eq!(files(&daemon.checkpoints(), ".tmp"), Vec::<PathBuf>::new());
    daemon.restart();
    assert_eq!(values(&daemon, "late", minutes), quarters(minutes));
    assert_eq!(daemon.data("c", "late", "mem_used", T - 60, T), json!([-1.0]));
}

#[test]
fn damaged_snapshots_are_set_aside_and_the_rest_is_loaded() {
    let mut random = Random::from_environment();
    let mut daemon = start(|_| {});
    let hosts = ["cut", "empty", "flipped", "whole"];
    hosts.iter().for_each(|host| daemon.write(line(host, 0, 0.25) + &line(host, 1, 1.25)));
    daemon.stop();
    let snapshot = |host: &str| files(&daemon.checkpoints().join("c").join(host), ".bin").remove(0);
    let [cut, empty, flipped] = ["cut", "empty", "flipped"].map(snapshot);
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..1 + random.below(bytes.len() - 1)]).unwrap();
    fs::write(&empty, b"").unwrap();
    let mut bytes = fs::read(&flipped).unwrap();
    // The magic: a flipped bit in a value cannot be noticed, the format has no checksum.
    bytes[random.below(4)] ^= 1 << random.below(8);
    fs::write(&flipped, bytes).unwrap();

    daemon.restart();
    for path in [&cut, &empty, &flipped] {
        assert!(!path.exists(), "{} is still there", path.display());
        let aside = format!("{}.corrupt", path.display());
        assert!(Path::new(&aside).exists(), "{aside} is missing");
        assert!(daemon.logs(path.to_str().unwrap()), "{} is not reported", path.display());
    }
    assert_eq!(values(&daemon, "whole", 10), quarters(2));
    assert_eq!(values(&daemon, "cut", 10), Value::Null);
    // The hosts of damaged files live on.
    daemon.write(line("cut", 0, 0.25));
    daemon.kill();
    daemon.restart();
    assert_eq!(values(&daemon, "cut", 10), quarters(1));
}

#[test]
fn any_flipped_bit_of_a_snapshot_leaves_a_daemon_that_starts() {
    let mut random = Random::from_environment();
    let mut daemon = start(|_| {});
    daemon.write(line("whole", 0, 0.25) + &line("flipped", 0, 0.25));
    daemon.stop();
    let path = files(&daemon.checkpoints().join("c/flipped"), ".bin").remove(0);
    let bytes = fs::read(&path).unwrap();
    for _ in 0..12 {
        let (mut damaged, at) = (bytes.clone(), random.below(bytes.len()));
        damaged[at] ^= 1 << random.below(8);
        fs::write(&path, damaged).unwrap();
        daemon.restart();
        assert_eq!(values(&daemon, "whole", 10), quarters(1), "byte {at}");
        daemon.kill();
    }
}

#[test]
fn stray_files_and_directories_are_passed_over() {
    let mut daemon = start(|_| {});
    daemon.write(line("h", 0, 0.25));
    daemon.kill();
    let (root, wal) = (daemon.checkpoints(), daemon.wal());
    let host = root.join("c/h");
    fs::create_dir_all(host.join("1750000000.bin")).unwrap();
    fs::create_dir_all(root.join("c/empty-host")).unwrap();
    fs::create_dir_all(root.join("empty-cluster")).unwrap();
    fs::create_dir_all(root.join("c/sp ace\n")).unwrap();
    for path in [
        root.join("notes"),
        root.join("c/notes"),
        host.join("x.bin.tmp"),
        host.join("x.bin"),
        host.join("1.txt"),
    ] {
        fs::write(path, b"stray").unwrap();
    }
    for name in
        ["notes", "core000-zz.log", "core000-0000000000000001.log.bak", "core000-00000000000000ff.free"]
    {
        fs::write(wal.join(name), b"stray").unwrap();
    }
    fs::create_dir(wal.join("core000-00000000000000fe.log")).unwrap();
    std::os::unix::fs::symlink("/nonexistent", root.join("dangling")).unwrap();
    daemon.restart();
    assert_eq!(values(&daemon, "h", 10), quarters(1));
    daemon.stop();
    daemon.restart();
    assert_eq!(values(&daemon, "h", 10), quarters(1));
    assert!(host.join("x.bin.tmp").exists() && root.join("notes").exists(), "strangers' files are not ours");
}

/// Writes in order to one host, kills, and returns the newest segment with the values that must be there at most.
#[track_caller]
fn killed_with_a_log(minutes: i64) -> (Daemon, PathBuf) {
    let mut daemon = start(|config| config["metric-store"]["cores"] = json!(1));
    (0..minutes).for_each(|minute| daemon.write(line("h", minute, minute as f64 + 0.25)));
    daemon.kill();
    let segment = files(&daemon.wal(), ".log").pop().expect("there is a segment");
    (daemon, segment)
}

/// The values are those of the first so many minutes; returns how many.
#[track_caller]
fn assert_prefix(daemon: &Daemon, minutes: i64) -> i64 {
    let got = values(daemon, "h", minutes);
    let count = got.as_array().map_or(0, Vec::len) as i64;
    if count > 0 {
        assert_eq!(got, quarters(count));
    }
    count
}

#[test]
fn a_torn_segment_keeps_what_stands_before() {
    const MINUTES: i64 = 12;
    let mut random = Random::from_environment();
    let (mut daemon, segment) = killed_with_a_log(MINUTES);
    let bytes = fs::read(&segment).unwrap();
    let used = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let mut longest = 0;
    for round in 0..8 {
        // Only this segment counts: what the last start made of it goes.
        let _ = fs::remove_dir_all(daemon.checkpoints());
        fs::remove_dir_all(daemon.wal()).unwrap();
        fs::create_dir(daemon.wal()).unwrap();
        let cut = if round == 0 { used } else { random.below(used) };
        fs::write(&segment, &bytes[..cut]).unwrap();
        daemon.restart();
        let kept = assert_prefix(&daemon, MINUTES);
        longest = longest.max(kept);
        // What comes after a torn log is as safe as before.
        daemon.write(line("after", 0, 0.25));
        daemon.kill();
        daemon.restart();
        assert_eq!(assert_prefix(&daemon, MINUTES), kept, "cut at {cut}");
        assert_eq!(values(&daemon, "after", 10), quarters(1), "cut at {cut}");
        daemon.kill();
    }
    assert_eq!(longest, MINUTES, "a log cut behind its last block is whole");
}

#[test]
fn garbage_behind_the_log_is_no_sample() {
    const MINUTES: i64 = 5;
    let mut random = Random::from_environment();
    let (mut daemon, segment) = killed_with_a_log(MINUTES);
    let mut bytes = fs::read(&segment).unwrap();
    let used = bytes.iter().rposition(|&byte| byte != 0).unwrap().next_multiple_of(512);
    let garbage = random.bytes(8192);
    bytes[used..used + garbage.len()].copy_from_slice(&garbage);
    bytes.extend(random.bytes(1000));
    fs::write(&segment, &bytes).unwrap();
    daemon.restart();
    assert_eq!(assert_prefix(&daemon, MINUTES + 100), MINUTES);
    let hosts =
        daemon.query(&json!({"cluster": "c", "from": T, "to": T + 600, "for-all-nodes": ["mem_used"]}));
    assert_eq!(hosts["queries"].as_array().unwrap().len(), 1, "{hosts}");
}

#[test]
fn a_log_that_cannot_be_written_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    // Root may write anywhere, but not create a directory below a file.
    fs::write(directory.path().join("wal"), b"in the way").unwrap();
    let config = daemon::default_config(directory.path(), free_port());
    let path = write_config(directory.path(), &config);
    let finished = run(&["-config", path.to_str().unwrap()], directory.path());
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("wal"), "the path is named: {}", finished.stderr);

    fs::remove_file(directory.path().join("wal")).unwrap();
    fs::create_dir(directory.path().join("wal")).unwrap();
    fs::set_permissions(directory.path().join("wal"), fs::Permissions::from_mode(0o555)).unwrap();
    if File::create(directory.path().join("wal/probe")).is_ok() {
        eprintln!("skipped the rest: this user may write into directories that are read-only");
        return;
    }
    let finished = run(&["-config", path.to_str().unwrap()], directory.path());
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stderr.contains("wal"), "the path is named: {}", finished.stderr);
}

#[test]
fn a_full_disk_refuses_writes_until_it_has_room_again() {
    let mount = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(mount.path()) else {
        eprintln!("skipped: mounting a small file system needs root");
        return;
    };
    let data = mount.path().to_owned();
    let mut daemon = start(|config| {
        config["metric-store"]["cores"] = json!(1);
        config["metric-store"]["checkpoints"]["directory"] = json!(data.join("checkpoints"));
        config["metric-store"]["checkpoint-interval"] = json!("1h");
    });
    // A log that finds no room makes a checkpoint, which finds none either, and takes what its segment has room for.
    let flood = |daemon: &Daemon, round: i64| {
        let line = |index: i64| {
            let (host, minute) = (index % 2000, 60 * round + index / 2000);
            format!("mem_used,cluster=flood,hostname=h{host} value={index}.5 {}\n", T + 60 * minute)
        };
        daemon.request("POST", "/api/write", (0..120_000).map(line).collect::<String>()).status
    };
    let mut acknowledged = Vec::new();
    let mut minute = 0;
    let mut write = |daemon: &Daemon| {
        let answer = daemon.request("POST", "/api/write", line("h", minute, minute as f64 + 0.25));
        if answer.status == 200 {
            acknowledged.push(minute);
        } else {
            answer.error(503);
        }
        minute += 1;
        answer.status
    };
    assert_eq!(write(&daemon), 200);
    for round in 0..2 {
        disk.fill();
        let mut floods = 0;
        let is_noticed = || {
            floods += 1;
            flood(&daemon, floods) == 503
        };
        assert!(eventually(Duration::from_secs(120), is_noticed), "round {round}: a full disk is noticed");
        // Queries are answered all the same.
        assert_eq!(values(&daemon, "h", 1), quarters(1), "round {round}");
        disk.free();
        assert!(eventually(SOON, || write(&daemon) == 200), "round {round}: writes are accepted again");
    }
    let refusals = daemon.log().matches("writes are refused").count();
    assert!(refusals <= 4, "told once per change, not {refusals} times");
    daemon.kill();
    disk.grow();
    daemon.restart();
    let all = values(&daemon, "h", minute + 1);
    for minute in acknowledged {
        assert_eq!(all[minute as usize], json!(minute as f64 + 0.25), "minute {minute}");
    }
    daemon.kill();
}

#[test]
fn the_clock_counts_from_now() {
    // A sample without a time is acknowledged with the time of receipt, which a replay must not move.
    let mut daemon = start(|_| {});
    let before = now();
    daemon.write("clock,cluster=c,hostname=now value=7\n");
    let query = |daemon: &Daemon| daemon.data("c", "now", "clock", before, before + 30);
    let told = query(&daemon);
    assert!(told.to_string().contains("7.0"), "{told}");
    daemon.kill();
    daemon.restart();
    assert_eq!(query(&daemon), told);
}
