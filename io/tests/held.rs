//! Bodies and answers of all connections hold no more than `main.max-held-bytes` together.
#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]

mod daemon;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use daemon::http::Client;
use daemon::prometheus::Page;
use daemon::{Daemon, eventually, now};
use serde_json::json;

const MIB: usize = 1024 * 1024;
/// The least that can be configured.
const HELD: usize = 128 * MIB;
/// What the daemon takes besides, with what its allocator has not given back yet.
const OTHER: usize = 200 * MIB;
const HELD_NOW: &str = "cc_metric_store_held_bytes";

fn start() -> Daemon {
    Daemon::start_with(|config| {
        config["main"]["max-held-bytes"] = json!(HELD);
        config["metric-store"]["cores"] = json!(1);
    })
}

fn held(daemon: &Daemon) -> f64 {
    Page::parse(&daemon.request("GET", "/metrics", "").text()).value(HELD_NOW)
}

#[track_caller]
fn writes_go_on(daemon: &Daemon) {
    daemon.write(format!("cpu_load,cluster=c,hostname=h value=1 {}\n", now() - 60));
}

/// A connection that has begun a request.
fn begun(daemon: &Daemon, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.port())).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(format!("POST {head}\r\nHost: x\r\n").as_bytes()).unwrap();
    stream
}

#[test]
fn bodies_that_are_not_over_are_bounded_together() {
    let daemon = start();
    let chunk = vec![b' '; MIB];
    for head in ["/api/query", "/api/free?to=1", "/api/healthcheck", "/api/v2/buckets", "/api/v1/query"] {
        let mut streams = Vec::new();
        for index in 0..8 {
            let mut stream = begun(&daemon, &format!("{head} HTTP/1.1"));
            // Every second one does not say how much comes.
            let is_chunked = index % 2 == 1;
            let how = if is_chunked {
                "Transfer-Encoding: chunked\r\n\r\n"
            } else {
                "Content-Length: 66000000\r\n\r\n"
            };
            stream.write_all(how.as_bytes()).unwrap();
            for _ in 0..60 {
                let framed = format!("{MIB:x}\r\n");
                let sent = if is_chunked {
                    stream
                        .write_all(framed.as_bytes())
                        .and_then(|()| stream.write_all(&chunk))
                        .and_then(|()| stream.write_all(b"\r\n"))
                } else {
                    stream.write_all(&chunk)
                };
                if sent.is_err() {
                    break;
                }
            }
            streams.push(stream);
        }
        writes_go_on(&daemon);
        let memory = daemon.memory_bytes_max();
        assert!(memory < HELD + OTHER, "{head}: {} MiB", memory / MIB);
        // Small bodies have a part of their own.
        assert_eq!(daemon.request("POST", "/api/query", "{}").status, 200);
        drop(streams);
        assert!(
            eventually(Duration::from_secs(10), || held(&daemon) == 0.0),
            "{head}: everything is given back"
        );
    }
    // A large body alone has room.
    let mut body = b"{}".to_vec();
    body.resize(60 * MIB, b' ');
    assert_eq!(daemon.request("POST", "/api/query", &body).status, 200);
}

#[test]
fn writes_that_are_read_as_a_whole_are_bounded_together() {
    let daemon = start();
    for head in ["/api/v1/write", "/api/v3/write_lp?db=c&accept_partial=false"] {
        let streams: Vec<TcpStream> = (0..16)
            .map(|_| {
                let mut stream = begun(&daemon, &format!("{head} HTTP/1.1"));
                stream.write_all(b"Content-Length: 16000000\r\n\r\n").unwrap();
                // Who is refused takes no more.
                let _ = (0..15).try_for_each(|_| stream.write_all(&vec![b' '; MIB]));
                stream
            })
            .collect();
        let is_full = || (64.0..=128.0).contains(&(held(&daemon) / MIB as f64));
        assert!(eventually(Duration::from_secs(10), is_full), "{head}: {}", held(&daemon));
        writes_go_on(&daemon);
        drop(streams);
        assert!(eventually(Duration::from_secs(10), || held(&daemon) == 0.0), "{head}");
    }
}

#[test]
fn who_finds_no_room_is_told_to_come_again() {
    let daemon = start();
    let mut first = begun(&daemon, "/api/query HTTP/1.1");
    first.write_all(b"Content-Length: 60000000\r\n\r\n").unwrap();
    (0..57).for_each(|_| first.write_all(&vec![b' '; MIB]).unwrap());
    assert!(eventually(Duration::from_secs(10), || held(&daemon) > 50.0 * MIB as f64));
    let body = vec![b' '; 60_000_000];
    let refused = daemon.request("POST", "/api/query", &body);
    assert!(refused.error(503).contains("main.max-held-bytes"));
    assert!(refused.header("retry-after").is_some() && refused.closes(), "{refused:?}");
    drop(first);
    assert!(eventually(Duration::from_secs(10), || held(&daemon) == 0.0));
    // Blanks are no query, but a body.
    daemon.request("POST", "/api/query", &body).error(400);
}

#[test]
fn windows_of_compressed_bodies_are_bounded_together() {
    let daemon = start();
    // The beginning of a frame whose decoder needs a window of 8 MiB, with a line in it.
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.set_parameter(zstd::zstd_safe::CParameter::WindowLog(23)).unwrap();
    encoder.write_all(b"cpu_load,cluster=c,hostname=h value=1 1700000040\n").unwrap();
    encoder.flush().unwrap();
    let frame = encoder.get_ref().clone();
    let streams: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = begun(&daemon, "/api/write HTTP/1.1");
            stream.write_all(b"Content-Encoding: zstd\r\nContent-Length: 100000\r\n\r\n").unwrap();
            stream.write_all(&frame).unwrap();
            stream
        })
        .collect();
    let is_full = || (64.0..=128.0).contains(&(held(&daemon) / MIB as f64));
    assert!(eventually(Duration::from_secs(10), is_full), "{}", held(&daemon));
    writes_go_on(&daemon);
    let refused = streams
        .into_iter()
        .filter(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).is_ok() && answer == *b"HTTP/1.1 503"
        })
        .count();
    assert!((20..40).contains(&refused), "{refused}");
    assert!(eventually(Duration::from_secs(10), || held(&daemon) == 0.0));
}

#[test]
fn answers_that_nobody_reads_are_bounded_together() {
    let daemon = start();
    let (count, end) = (150_000, now() - 60);
    for part in 0..15 {
        let lines: String = (0..10_000)
            .map(|index| {
                let time = end - count + part * 10_000 + index;
                format!("clock,cluster=c,hostname=h value={}.125 {time}\n", 100_000 + index)
            })
            .collect();
        daemon.write(lines);
    }
    let queries = vec![json!({"metric": "clock", "host": "h"}); 10];
    let query = json!({"cluster": "c", "from": end - count, "to": end, "queries": queries}).to_string();
    let whole = daemon.request("POST", "/api/query", &query);
    assert!(whole.body.len() > 15 * MIB, "{}", whole.body.len());
    let streams: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = begun(&daemon, "/api/query HTTP/1.1");
            stream.write_all(format!("Content-Length: {}\r\n\r\n{query}", query.len()).as_bytes()).unwrap();
            stream
        })
        .collect();
    let mut statuses = Vec::new();
    for stream in &streams {
        let mut status = [0; 12];
        assert!(eventually(Duration::from_secs(20), || stream
            .peek(&mut status)
            .is_ok_and(|bytes| bytes == 12)));
        statuses.push(String::from_utf8_lossy(&status).into_owned());
    }
    let answered = statuses.iter().filter(|status| status.ends_with("200")).count();
    assert!(
        (3..15).contains(&answered)
            && statuses.iter().all(|status| status.ends_with("200") || status.ends_with("503")),
        "{statuses:?}"
    );
    let memory = daemon.memory_bytes_max();
    assert!(memory < HELD + OTHER, "{} MiB", memory / MIB);
    writes_go_on(&daemon);
    drop(streams);
    assert!(eventually(Duration::from_secs(10), || held(&daemon) == 0.0));
    assert_eq!(
        Client::connect(daemon.port()).request("POST", "/api/query", &[], query.as_bytes()).unwrap().status,
        200
    );
}
