//! Compressed bodies in and out (SPEC section 3): `Content-Encoding` of writes, `Accept-Encoding` of queries.

mod daemon;

use std::io::Write;
use std::process::{Command, Stdio};

use daemon::Daemon;
use serde_json::json;

const LINES: &str = "cpu_load,cluster=c,hostname=h value=1 1700000040\n\
    cpu_load,cluster=c,hostname=h value=2 1700000100\n";

/// A gzip file of stored blocks: valid for every decoder, made without a compressor.
fn gzip(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("the test data is short");
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    bytes.extend(length.to_le_bytes());
    bytes.extend((!length).to_le_bytes());
    bytes.extend_from_slice(data);
    let mut crc = !0u32;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    bytes.extend((!crc).to_le_bytes());
    bytes.extend(u32::from(length).to_le_bytes());
    bytes
}

/// A zstd frame of one raw block.
fn zstd(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1010_0000];
    let length = u32::try_from(data.len()).expect("the test data is short");
    bytes.extend(length.to_le_bytes());
    bytes.extend(&(length << 3 | 1).to_le_bytes()[..3]);
    bytes.extend_from_slice(data);
    bytes
}

/// What `gzip -dc` makes of the bytes.
#[track_caller]
fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip runs");
    let mut input = child.stdin.take().expect("stdin is piped");
    let bytes = bytes.to_vec();
    let feeder = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().expect("gzip ends");
    feeder.join().expect("the feeder does not panic").expect("gzip reads all of it");
    assert!(output.status.success(), "the answer is not gzip");
    output.stdout
}

#[test]
fn compressed_writes_are_stored() {
    for (coding, body) in [("gzip", gzip(LINES.as_bytes())), ("zstd", zstd(LINES.as_bytes()))] {
        let daemon = Daemon::start();
        let answer = daemon.request_with("POST", "/api/write/", &[("Content-Encoding", coding)], body);
        assert_eq!(answer.status, 200, "{coding}: {}", answer.text());
        let data = daemon.data("c", "h", "cpu_load", 1_700_000_040, 1_700_000_160);
        assert_eq!(data, json!([1.0, 2.0]), "{coding}");
    }
}

#[test]
fn a_damaged_or_unknown_coding_is_refused() {
    let daemon = Daemon::start();
    let mut cut = gzip(LINES.as_bytes());
    cut.truncate(20);
    for (coding, body) in [("gzip", LINES.into()), ("zstd", LINES.into()), ("gzip", cut)] {
        daemon.request_with("POST", "/api/write/", &[("Content-Encoding", coding)], body).error(400);
    }
    let unknown = daemon.request_with("POST", "/api/write/", &[("Content-Encoding", "br")], LINES);
    assert!([400, 415].contains(&unknown.status), "{}", unknown.status);
    daemon.assert_answers();
}

#[test]
fn an_answer_is_compressed_only_for_those_who_ask() {
    let daemon = Daemon::start();
    let time = 1_700_000_000;
    let lines: String =
        (0..5000).map(|i| format!("clock,cluster=c,hostname=h value={} {}\n", i % 7, time + i)).collect();
    daemon.write(lines);
    let query = json!({"cluster": "c", "from": time, "to": time + 5000, "queries": [{"metric": "clock", "host": "h"}]});
    let query = query.to_string();
    let plain = daemon.request("GET", "/api/query", &query);
    assert_eq!(plain.header("content-encoding"), None);
    let refused =
        daemon.request_with("GET", "/api/query", &[("Accept-Encoding", "gzip;q=0, identity")], &query);
    assert_eq!((refused.header("content-encoding"), &refused.body), (None, &plain.body));
    let packed = daemon.request_with("GET", "/api/query", &[("Accept-Encoding", "gzip")], &query);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < plain.body.len() / 4, "{} of {} bytes", packed.body.len(), plain.body.len());
    assert_eq!(gunzip(&packed.body), plain.body, "the same bytes when unpacked");
}

#[test]
fn members_follow_each_other() {
    let daemon = Daemon::start();
    let parts: Vec<&[u8]> = LINES.split_inclusive('\n').map(str::as_bytes).collect();
    for (coding, encode) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd)] {
        // The second begins in the middle of a line.
        let body = [encode(&parts[0][..20]), encode(b""), encode(&parts[0][20..]), encode(parts[1])].concat();
        let answer = daemon.request_with("POST", "/api/write/", &[("Content-Encoding", coding)], body);
        assert_eq!(answer.status, 200, "{coding}: {}", answer.text());
        let data = daemon.data("c", "h", "cpu_load", 1_700_000_040, 1_700_000_160);
        assert_eq!(data, json!([1.0, 2.0]), "{coding}");
    }
}

#[test]
fn a_coding_that_is_not_the_declared_one_stores_nothing() {
    let daemon = Daemon::start();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(LINES.as_bytes()).expect("a Vec takes everything");
    let packed = encoder.finish().expect("a Vec takes everything");
    let other = zstd::bulk::compress(LINES.as_bytes(), 1).expect("it can be compressed");
    for (declared, body) in [("gzip", &other), ("zstd", &packed)] {
        daemon.request_with("POST", "/api/write/", &[("Content-Encoding", declared)], body).error(400);
    }
    // Compressed bytes are lines of metrics that nobody configured, or bad ones.
    for (declared, body) in [("identity", &packed), ("identity", &other), ("gzip", &gzip(&packed))] {
        let answer = daemon.request_with("POST", "/api/write/", &[("Content-Encoding", declared)], body);
        assert!([200, 400].contains(&answer.status), "{}", answer.text());
    }
    for declared in ["gzip, gzip", "gzip, zstd", "br", "deflate", "gzip;q=1"] {
        daemon.request_with("POST", "/api/write/", &[("Content-Encoding", declared)], &packed).error(415);
    }
    let twice = [("Content-Encoding", "gzip"), ("Content-Encoding", "zstd")];
    daemon.request_with("POST", "/api/write/", &twice, &packed).error(415);
    let data = daemon.data("c", "h", "cpu_load", 1_700_000_040, 1_700_000_160);
    assert_eq!(data, json!(null));
}

#[test]
fn a_bomb_costs_time_and_no_memory() {
    const PLAIN_BYTES: usize = 128 << 20;
    const GROWTH_BYTES_MAX: usize = 32 << 20;
    let mut bombs = Vec::new();
    for filler in ["\n", "#"] {
        let block = filler.repeat(1 << 20);
        let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("a level");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for _ in 0..PLAIN_BYTES >> 20 {
            zstd.write_all(block.as_bytes()).expect("a Vec takes everything");
            gzip.write_all(block.as_bytes()).expect("a Vec takes everything");
        }
        bombs.push(("zstd", zstd.finish().expect("a Vec takes everything")));
        bombs.push(("gzip", gzip.finish().expect("a Vec takes everything")));
    }
    let daemon = Daemon::start();
    daemon.write(LINES);
    let before = daemon.memory_bytes_max();
    for (coding, bomb) in &bombs {
        assert!(bomb.len() < PLAIN_BYTES / 100, "{coding}: {} bytes", bomb.len());
        let answer = daemon.request_with("POST", "/api/write/", &[("Content-Encoding", coding)], bomb);
        // Empty lines are fine; a comment without end is too long a line.
        assert!([200, 400].contains(&answer.status), "{}", answer.text());
    }
    let growth = daemon.memory_bytes_max().saturating_sub(before);
    assert!(growth < GROWTH_BYTES_MAX, "grown by {growth} bytes");
    daemon.assert_answers();
}
