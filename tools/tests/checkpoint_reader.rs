//! `checkpoint-reader` as its users see it: output, exit code, and that it changes nothing.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot read")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use serde_json::Value;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/golden");

fn golden(path: &str) -> PathBuf {
    Path::new(GOLDEN).join(path)
}

fn run(arguments: &[&str], files: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_checkpoint-reader")).args(arguments).args(files).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The output lines, file names and the run of spaces between columns left out.
fn lines(output: &Output) -> Vec<String> {
    let text = text(&output.stdout);
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

const SMALL: [&str; 5] = [
    "clock every 1 s first 1700000040 last 1700000042 2 values, 1 missing",
    "ipc every 10 s first 1700000040 last 1700000040 1 values, 0 missing",
    "cpu3 clock every 1 s first 1700000040 last 1700000040 1 values, 0 missing",
    "socket0 mem_bw every 60 s first 1700000040 last 1700000100 2 values, 0 missing",
    "socket0 memctrl1 mem_bw every 60 s first 1700000100 last 1700000100 1 values, 0 missing",
];

#[test]
fn snapshots_are_listed_by_series() {
    for name in ["snapshot/small.bin", "snapshot/small.json"] {
        let output = run(&[], &[&golden(name)]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let lines = lines(&output);
        assert!(lines[0].ends_with("from 1700000040 to 1700000060"), "{}", lines[0]);
        assert_eq!(lines[1..6], SMALL);
        assert_eq!(lines[6..], ["total: 1 files, 5 series, 7 values, 1 missing, 0 damaged files"]);
    }
}

#[test]
fn values_are_listed_when_asked_for() {
    let output = run(&["--values"], &[&golden("snapshot/small.bin")]);
    let lines = lines(&output);
    assert_eq!(lines[2..5], ["1700000040 1.5", "1700000041 -", "1700000042 -0.25"]);
    assert_eq!(lines[6], "1700000040 0.1");
}

#[test]
fn the_references_log_is_listed_by_series() {
    let output = run(&["--values"], &[&golden("reference_log/small.wal"), &golden("snapshot/small.json")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = lines(&output);
    assert_eq!(lines[1], "clock first 1699996440 last 1700000040 2 values, 0 missing");
    assert_eq!(lines[2..4], ["1700000040 1.5", "1699996440 0.1"]);
    assert_eq!(lines.last().unwrap(), "total: 2 files, 8 series, 11 values, 1 missing, 0 damaged files");
}

#[test]
fn json_has_one_object_a_line() {
    let output = run(&["--json", "--values"], &[&golden("snapshot/small.bin")]);
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["from"], 1_700_000_040);
    assert_eq!(
        lines[1]["samples"],
        serde_json::json!([[1_700_000_040, 1.5], [1_700_000_041, null], [1_700_000_042, -0.25]])
    );
    assert_eq!(lines[5]["path"], serde_json::json!(["socket0", "memctrl1"]));
    assert_eq!(lines[6]["total"]["values"], 7);
    assert_eq!(lines.len(), 7);
}

/// A file with the first `length` bytes of another.
fn cut(directory: &Path, name: &str, source: &str, length: usize) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, &fs::read(golden(source)).unwrap()[..length]).unwrap();
    path
}

#[test]
fn damaged_files_are_named_and_the_others_still_printed() {
    let directory = tempfile::tempdir().unwrap();
    let snapshot = cut(directory.path(), "17.bin", "snapshot/small.bin", 100);
    let log = cut(directory.path(), "current.wal", "reference_log/small.wal", 60);
    let notes = directory.path().join("notes.txt");
    fs::write(&notes, "notes").unwrap();
    let missing = directory.path().join("missing.bin");
    for json in [false, true] {
        let arguments: &[&str] = if json { &["--json"] } else { &[] };
        let files: [&Path; 6] =
            [&snapshot, &log, &notes, &missing, directory.path(), &golden("snapshot/small.bin")];
        let output = run(arguments, &files);
        assert_eq!(output.status.code(), Some(1));
        let errors = text(&output.stderr);
        let errors: Vec<_> = errors.lines().collect();
        for (line, (name, what)) in errors.iter().zip([
            ("17.bin: byte ", "cut off or damaged"),
            ("current.wal: byte 36: ", "what stands before it is whole"),
            ("notes.txt", "neither a snapshot nor a log"),
            ("missing.bin", "cannot be read"),
            ("", "is not a file"),
        ]) {
            assert!(line.contains(name) && line.contains(what), "{line}");
        }
        assert_eq!(errors.len(), 5);
        let lines = lines(&output);
        if json {
            let total: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
            assert_eq!(
                total["total"],
                serde_json::json!({"files": 6, "series": 6, "values": 8, "missing": 1, "damaged": 5})
            );
            assert_eq!(lines.iter().filter(|line| line.contains("\"error\"")).count(), 5);
        } else {
            assert!(lines.contains(&"clock first 1700000040 last 1700000040 1 values, 0 missing".to_owned()));
            assert_eq!(
                lines.last().unwrap(),
                "total: 6 files, 6 series, 8 values, 1 missing, 5 damaged files"
            );
        }
    }
}

#[test]
fn nothing_is_changed() {
    let directory = tempfile::tempdir().unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let files = [
        cut(directory.path(), "17.bin", "snapshot/small.bin", 244),
        cut(directory.path(), "18.bin", "snapshot/small.bin", 100),
        cut(directory.path(), "current.wal", "reference_log/small.wal", 60),
    ];
    for path in &files {
        fs::File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let before: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();

    let output = run(&["--values"], &files.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(1));

    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (path, before) in files.iter().zip(before) {
        assert_eq!(fs::metadata(path).unwrap().modified().unwrap(), long_ago);
        assert_eq!(fs::read(path).unwrap(), before);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3, "files beside those named");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let reader = env!("CARGO_BIN_EXE_checkpoint-reader");
    let file = golden("snapshot/small.bin");
    let script = format!("'{reader}' '{}' | true; exit ${{PIPESTATUS[0]}}", file.display());
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "");
}
