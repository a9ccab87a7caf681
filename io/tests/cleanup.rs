//! Cleanup of snapshots (SPEC section 6): what is out of retention goes, and nothing else.

mod daemon;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use daemon::{Daemon, Finished, default_config, eventually, free_port, now, run, write_config};
use serde_json::{Value, json};

const HOUR: i64 = 3600;

/// Puts a file of this age there.
fn put(root: &Path, path: &str, age_seconds: i64) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("it is in a directory")).expect("it can be made");
    let modified = SystemTime::now() - Duration::from_secs(age_seconds.unsigned_abs());
    File::create(path).and_then(|file| file.set_modified(modified)).expect("it can be made");
}

/// Every file below a directory, and every directory with nothing in it.
fn left(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let mut is_empty = true;
        for entry in fs::read_dir(&directory).expect("it can be read").flatten() {
            is_empty = false;
            if entry.path().is_dir() {
                directories.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
        if is_empty {
            found.push(directory);
        }
    }
    let mut names: Vec<_> = found
        .iter()
        .map(|path| path.strip_prefix(root).expect("it is below").display().to_string())
        .collect();
    names.sort();
    names
}

/// A directory with old and young files, and its configuration: 10 hours of retention, a checkpoint an hour.
fn prepared(change: impl Fn(&mut Value)) -> (tempfile::TempDir, Vec<String>) {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let mut config = default_config(directory.path(), free_port());
    config["metric-store"]["retention-in-memory"] = json!("10h");
    config["metric-store"]["checkpoint-interval"] = json!("1h");
    config["metric-store"]["cleanup"] = json!({"mode": "delete"});
    change(&mut config);
    write_config(directory.path(), &config);
    let root = directory
        .path()
        .join(config["metric-store"]["checkpoints"]["directory"].as_str().expect("it is set"));
    let name = |age: i64, end: &str| format!("{}.{end}", now() - age);
    let kept = [
        // Loaded: in retention, and the last one before it.
        format!("c/busy/{}", name(2 * HOUR, "bin")),
        format!("c/busy/{}", name(12 * HOUR, "bin")),
        // Checkpoints failed, so its span reaches into the retention.
        format!("c/long/{}", name(20 * HOUR, "bin")),
        "c/gone/5.bin.corrupt".to_owned(),
        "c/stray.txt".to_owned(),
        "d/log/current.wal".to_owned(),
    ];
    let expired = [
        format!("c/busy/{}", name(13 * HOUR, "bin")),
        format!("c/busy/{}", name(30 * HOUR, "json")),
        format!("c/gone/{}", name(13 * HOUR, "bin")),
        format!("e/all-gone/{}", name(14 * HOUR, "bin")),
        format!("e/all-gone/{}", name(13 * HOUR, "bin")),
    ];
    kept.iter().for_each(|path| put(&root, path, HOUR));
    expired.iter().for_each(|path| put(&root, path, 12 * HOUR));
    let mut kept = kept.to_vec();
    kept.sort();
    (directory, kept)
}

fn root(directory: &tempfile::TempDir) -> std::path::PathBuf {
    let config: Value =
        serde_json::from_slice(&fs::read(directory.path().join("config.json")).expect("it is there"))
            .expect("it is JSON");
    directory.path().join(config["metric-store"]["checkpoints"]["directory"].as_str().expect("it is set"))
}

fn clean_up(directory: &Path) -> Finished {
    run(&["-config", "config.json", "-loglevel", "info", "-cleanup-checkpoints"], directory)
}

#[test]
fn one_round_deletes_what_is_out_of_retention_and_nothing_else() {
    let (directory, kept) = prepared(|_| {});
    let done = clean_up(directory.path());
    assert!(done.code == Some(0), "{}", done.stderr);
    assert_eq!(left(&root(&directory)), kept);
    assert!(done.stderr.contains("5 snapshots"), "{}", done.stderr);
    let again = clean_up(directory.path());
    assert!(again.code == Some(0), "{}", again.stderr);
    assert_eq!(left(&root(&directory)), kept);
}

#[test]
fn beside_a_running_daemon_it_has_that_do_the_round() {
    for cleanup in [json!({"mode": "delete"}), json!({"mode": "archive", "directory": "archive"})] {
        let daemon = Daemon::start_with(|config| {
            config["metric-store"]["retention-in-memory"] = json!("10h");
            config["metric-store"]["checkpoint-interval"] = json!("1h");
            config["metric-store"]["cleanup"] = cleanup.clone();
        });
        let root = daemon.checkpoints();
        let old = format!("e/all-gone/{}.bin", now() - 14 * HOUR);
        if cleanup["mode"] == "delete" {
            put(&root, &old, 12 * HOUR);
        }
        put(&root, "c/gone/5.bin.corrupt", 12 * HOUR);
        for _ in 0..2 {
            let done = clean_up(daemon.path());
            assert_eq!(done.code, Some(0), "{}", done.stderr);
            assert!(done.stderr.contains("asked for the round"), "{}", done.stderr);
            assert!(!root.join(&old).exists(), "{:?}", left(&root));
        }
        assert_eq!(left(&root), ["c/gone/5.bin.corrupt"]);
        daemon.assert_answers();
    }
}

#[test]
fn a_running_daemon_cleans_up_once_per_retention() {
    let mut daemon = Daemon::start();
    daemon.stop();
    let root = daemon.checkpoints();
    put(&root, &format!("c/gone/{}.bin", now() - 3 * HOUR), 3 * HOUR);
    put(&root, "c/gone/5.bin.corrupt", 3 * HOUR);
    put(&root, &format!("e/all-gone/{}.bin", now() - 3 * HOUR), 3 * HOUR);
    daemon.restart_with(|config| {
        config["metric-store"]["retention-in-memory"] = json!("2s");
        config["metric-store"]["checkpoint-interval"] = json!("1h");
        config["metric-store"]["cleanup"] = json!({"mode": "delete"});
    });
    // A file without content is damaged, so the start sets it aside, which tells that it was not deleted before.
    put(&root, &format!("c/gone/{}.bin", now() - 3 * HOUR), 3 * HOUR);
    let gone = || {
        let left = left(&root);
        left.iter().any(|path| path == "c/gone/5.bin.corrupt")
            && !left.iter().any(|path| path.ends_with(".bin"))
    };
    assert!(eventually(Duration::from_secs(10), gone), "{:?}", left(&root));
    daemon.assert_answers();
}
