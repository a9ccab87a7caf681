//! `checkpoint-reader` over segments of the daemon's own log.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot read")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use engine::wal::encode::SegmentEncoder;
use engine::wal::segment::SegmentHeader;

fn run(file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_checkpoint-reader")).arg("--values").arg(file).output().unwrap()
}

/// A segment of two blocks.
fn segment() -> Vec<u8> {
    let header = SegmentHeader { id: 7, core: 0, cores: 2, created_seconds: 1_700_000_000 };
    let mut encoder = SegmentEncoder::new(header);
    let mut bytes = header.encode().to_vec();
    encoder.declare(3, &["fritz", "f0201"], "clock");
    encoder.declare(5, &["fritz", "f0201", "socket0"], "mem_bw");
    encoder.sample(3, 1_700_000_040, 0.1);
    encoder.sample(5, 1_700_000_040, 1e300);
    bytes.extend_from_slice(encoder.seal());
    encoder.sample(3, 1_700_000_041, 2.5);
    encoder.free(&["fritz", "f0201"], 1_600_000_000);
    bytes.extend_from_slice(encoder.seal());
    bytes
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_segment_is_listed_by_series() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0-7.wal");
    fs::write(&path, segment()).unwrap();
    let output = run(&path);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    let lines: Vec<_> = text.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "fritz f0201 clock  first 1700000040  last 1700000041  2 values, 0 missing",
            "  1700000040 0.1",
            "  1700000041 2.5",
            "fritz f0201 socket0 mem_bw  first 1700000040  last 1700000040  1 values, 0 missing",
            &format!("  1700000040 {}", 1e300),
            "fritz f0201  freed before 1600000000",
            "total: 1 files, 2 series, 3 values, 0 missing, 0 damaged files",
        ]
    );
}

#[test]
fn a_damaged_segment_is_listed_up_to_the_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0-7.wal");
    let mut bytes = segment();
    let last_block = bytes.len() - 512;
    bytes[last_block + 40] ^= 1;
    fs::write(&path, bytes).unwrap();
    let output = run(&path);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr.clone()).unwrap().starts_with("error: "));
    assert!(stdout(&output).contains("total: 1 files, 2 series, 2 values, 0 missing, 1 damaged files"));
}

#[test]
fn a_segment_that_was_not_used_yet_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0-8.wal");
    fs::write(&path, vec![0; 4096]).unwrap();
    let output = run(&path);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).ends_with("total: 1 files, 0 series, 0 values, 0 missing, 0 damaged files\n"));
}
