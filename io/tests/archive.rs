//! The archive (SPEC section 6), read back by pyarrow and DuckDB: what leaves retention is in Parquet files, and nowhere else.

mod daemon;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use daemon::{Daemon, Finished, default_config, eventually, free_port, now, run, write_config};
use engine::checkpoint::{SnapshotEncoder, SnapshotSink};
use serde_json::{Value, json};

const HOUR: i64 = 3600;

/// Two snapshots of a host, 30 and 29 hours old, with a slot written again and one missing; their rows in order.
fn put_host(root: &Path, cluster: &str, host: &str, now: i64, level: f64) -> Vec<Value> {
    let old = (now - 30 * HOUR) / 60 * 60;
    let mut encoder = SnapshotEncoder::new(old, old + HOUR);
    encoder.series("mem_bw", 60, old, [level, level + 1.0, f64::NAN, level + 3.0]);
    for thread in 0..2 {
        encoder.open_level(&format!("hwthread{thread}"));
        encoder.series("cpu_user", 60, old, [level + 10.0 + f64::from(thread), level + 12.5]);
        encoder.close_level();
    }
    encoder.open_level("accelerator00000000:49:00.0");
    encoder.series("acc_power", 30, old + 7, [0.1]);
    encoder.close_level();
    put(root, &format!("{cluster}/{host}/{old}.bin"), &encoder.finish().0, 29 * HOUR);
    let mut encoder = SnapshotEncoder::new(old + HOUR, old + 2 * HOUR);
    encoder.series("mem_bw", 60, old + 60, [level + 1.5, f64::NAN, level + 3.5]);
    put(root, &format!("{cluster}/{host}/{}.bin", old + HOUR), &encoder.finish().0, 28 * HOUR);
    let row = |metric: &str, scope: &str, id: &str, time: i64, frequency: i64, value: f64| {
        json!([cluster, host, metric, scope, id, time, frequency, f64::from(value as f32)])
    };
    vec![
        row("acc_power", "accelerator", "00000000:49:00.0", old + 7, 30, 0.1),
        row("cpu_user", "hwthread", "0", old, 60, level + 10.0),
        row("cpu_user", "hwthread", "1", old, 60, level + 11.0),
        row("cpu_user", "hwthread", "0", old + 60, 60, level + 12.5),
        row("cpu_user", "hwthread", "1", old + 60, 60, level + 12.5),
        row("mem_bw", "node", "", old, 60, level),
        row("mem_bw", "node", "", old + 60, 60, level + 1.5),
        row("mem_bw", "node", "", old + 180, 60, level + 3.5),
    ]
}

/// Writes a file of this age.
fn put(root: &Path, path: &str, content: &[u8], age_seconds: i64) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("it is in a directory")).expect("it can be made");
    fs::write(&path, content).expect("it can be written");
    let modified = SystemTime::now() - Duration::from_secs(age_seconds.unsigned_abs());
    File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_modified(modified))
        .expect("it is there");
}

/// The files below a directory that end so.
fn files(root: &Path, end: &str) -> Vec<PathBuf> {
    let (mut found, mut directories) = (Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                directories.push(entry.path());
            } else if entry.path().to_string_lossy().ends_with(end) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// What pyarrow and DuckDB find in a file.
fn read_with_python(file: &Path) -> Value {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
    let install = "the archive is read back with pyarrow and DuckDB; install them with `python3 -m venv .venv && \
        .venv/bin/pip install -r io/tests/python/requirements.txt` (Debian: apt-get install python3-venv)";
    let output = Command::new(&python).arg(tests.join("read_archive.py")).arg(file).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}: {install}", python.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("ModuleNotFoundError"), "{errors}\n{install}");
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// A directory whose configuration archives after 10 hours.
fn prepared() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let mut config = default_config(directory.path(), free_port());
    config["metric-store"]["retention-in-memory"] = json!("10h");
    config["metric-store"]["checkpoint-interval"] = json!("1h");
    config["metric-store"]["cleanup"] =
        json!({"mode": "archive", "directory": directory.path().join("archive")});
    write_config(directory.path(), &config);
    let root = directory.path().join("checkpoints");
    (directory, root)
}

fn clean_up(directory: &Path) -> Finished {
    run(&["-config", "config.json", "-loglevel", "info", "-cleanup-checkpoints"], directory)
}

#[test]
fn one_round_archives_what_is_out_of_retention_and_real_readers_read_it() {
    let (directory, root) = prepared();
    let now = now();
    let mut rows = put_host(&root, "fritz", "f0201", now, 100.0);
    rows.extend(put_host(&root, "fritz", "f0202", now, 200.0));
    let other = put_host(&root, "alex", "a1", now, 300.0);
    let mut young = SnapshotEncoder::new(now - HOUR, now);
    young.series("mem_bw", 60, now - HOUR, [1.0]);
    put(&root, &format!("fritz/f0201/{}.bin", now - HOUR), &young.finish().0, 0);

    let done = clean_up(directory.path());
    assert!(done.code == Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("24 samples archived in 2 files"), "{}", done.stderr);
    assert!(done.stderr.contains("archive: 100 % of 0 MB, 24 samples"), "progress: {}", done.stderr);
    assert_eq!(files(&root, "").len(), 1, "only the young snapshot is left: {:?}", files(&root, ""));
    assert!(!root.join("alex").exists(), "empty directories go");

    let archive = directory.path().join("archive");
    let found = files(&archive, "");
    assert_eq!(found.len(), 2, "{found:?}");
    let time: i64 = found[1]
        .file_stem()
        .and_then(|name| name.to_str())
        .and_then(|name| name.parse().ok())
        .expect("a time");
    assert!((now - 10 * HOUR..now - 10 * HOUR + 60).contains(&time), "{found:?}");
    assert!(found[0].starts_with(archive.join("alex")) && found[1].starts_with(archive.join("fritz")));

    assert_eq!(read_with_python(&found[0])["arrow_rows"], Value::from(other));
    let read = read_with_python(&found[1]);
    assert_eq!(
        read["arrow_rows"],
        Value::from(rows.clone()),
        "row order is cluster, hostname, metric, timestamp"
    );
    assert_eq!(read["duckdb_rows"], Value::from(rows));
    assert_eq!(read["duckdb_sum"], json!([["cpu_user", 8, 1292.0]]));
    let columns = [
        ("cluster", "string", "VARCHAR"),
        ("hostname", "string", "VARCHAR"),
        ("metric", "string", "VARCHAR"),
        ("scope", "string", "VARCHAR"),
        ("scope_id", "string", "VARCHAR"),
        ("timestamp", "int64", "BIGINT"),
        ("frequency", "int64", "BIGINT"),
        ("value", "float", "FLOAT"),
    ];
    assert_eq!(read["schema"], json!(columns.map(|(name, arrow, _)| json!([name, arrow, false]))));
    assert_eq!(read["duckdb_types"], json!(columns.map(|(name, _, duckdb)| json!([name, duckdb]))));
    let groups = read["groups"].as_array().expect("a list");
    assert_eq!(groups.len(), 2);
    for (group, host) in groups.iter().zip(["f0201", "f0202"]) {
        assert_eq!(group["rows"], 8);
        assert_eq!(group["hosts"], json!([host, host]), "a row group holds one host");
        assert_eq!(group["sorted_by"], json!([[0, false], [1, false], [2, false], [5, false]]));
        assert_eq!(group["compression"], json!(["ZSTD"]));
        assert!(group["encodings"]["timestamp"].to_string().contains("DELTA_BINARY_PACKED"), "{group}");
        assert!(group["encodings"]["value"].to_string().contains("BYTE_STREAM_SPLIT"), "{group}");
        assert!(group["encodings"]["metric"].to_string().contains("DICTIONARY"), "{group}");
    }
    assert!(read["created_by"].as_str().is_some_and(|by| by.starts_with("cc-metric-store")), "{read}");

    let again = clean_up(directory.path());
    assert!(again.code == Some(0), "{}", again.stderr);
    assert_eq!(files(&archive, ""), found, "nothing is archived twice");
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_one_cluster_that_fails_does_not_stop_the_others() {
    let (directory, root) = prepared();
    let now = now();
    put_host(&root, "alex", "a1", now, 1.0);
    put_host(&root, "fritz", "f1", now, 2.0);
    let damaged = format!("fritz/f1/{}.bin", now - 40 * HOUR);
    put(&root, &damaged, b"not a snapshot", 39 * HOUR);
    // A file where the directory of the cluster would be.
    put(&directory.path().join("archive"), "alex", b"", 0);
    let done = clean_up(directory.path());
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("cleanup is not complete"), "{}", done.stderr);
    assert_eq!(files(&root, ".bin").len(), 2, "those of alex");
    assert!(root.join(format!("{damaged}.corrupt")).exists());
    assert!(done.stderr.contains("is damaged and was not archived"), "{}", done.stderr);
    assert_eq!(files(&directory.path().join("archive"), ".parquet").len(), 1);

    fs::remove_file(directory.path().join("archive/alex")).expect("it is there");
    let again = clean_up(directory.path());
    assert!(again.code == Some(0), "{}", again.stderr);
    assert_eq!(files(&directory.path().join("archive"), ".parquet").len(), 2);
    assert_eq!(files(&root, ""), [root.join(format!("{damaged}.corrupt"))]);
}

#[test]
fn a_running_daemon_archives_once_per_retention_while_it_takes_samples() {
    let mut daemon = Daemon::start();
    daemon.stop();
    let (root, now) = (daemon.checkpoints(), now());
    let rows = put_host(&root, "c", "gone", now, 5.0);
    daemon.restart_with(|config| {
        config["metric-store"]["retention-in-memory"] = json!("2s");
        config["metric-store"]["checkpoint-interval"] = json!("1h");
    });
    let archive = daemon.path().join("archive");
    let is_archived = || {
        daemon.write(format!("mem_bw,cluster=c,hostname=busy value=1 {}", daemon::now()));
        files(&archive, ".parquet").len() == 1 && files(&root.join("c/gone"), ".bin").is_empty()
    };
    assert!(
        eventually(Duration::from_secs(20), is_archived),
        "{:?} {:?}",
        files(&archive, ""),
        files(&root, "")
    );
    assert_eq!(read_with_python(&files(&archive, ".parquet")[0])["arrow_rows"], Value::from(rows));
    daemon.assert_answers();
    let is_removed = || !root.join("c/gone").exists();
    assert!(eventually(Duration::from_secs(10), is_removed), "the empty directory goes with the next round");
}
