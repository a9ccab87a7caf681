//! What no well-meaning client sends: absurd ranges, endless nesting, random bytes, oversized heads (SPEC sections 4
//! and 9). The daemon refuses each quickly and goes on to serve.

mod daemon;

use std::time::{Duration, Instant};

use daemon::Daemon;
use daemon::http::request_bytes;
use daemon::random::Random;
use serde_json::json;

/// A refusal, or an answer to an absurd question, must be there in this time.
const QUICK: Duration = Duration::from_secs(5);
/// As deep as a client may try to nest.
const NESTING: usize = 100_000;

const LINE: &str = "cpu_load,cluster=c,hostname=h value=1 1700000040\n";

#[test]
fn absurd_ranges_are_answered_or_refused_quickly() {
    let daemon = Daemon::start();
    daemon.write(LINE);
    daemon.write(format!("clock,cluster=c,hostname=h value=1 {}\n", daemon::now()));
    let ranges = [
        ("0", "1000000000000000000"),
        ("0", "1e18"),
        ("0", "1000000000000"),
        ("-9223372036854775808", "9223372036854775807"),
        ("9223372036854775807", "-9223372036854775808"),
        ("9223372036854775806", "9223372036854775807"),
        ("-1000000000000000000", "0"),
        ("0", "9223372036854775808"),
        ("0", "1e300"),
    ];
    for (from, to) in ranges {
        for padding in ["true", "false"] {
            for metric in ["cpu_load", "clock"] {
                let queries = format!(r#"[{{"metric":"{metric}","host":"h"}}]"#);
                let body = format!(
                    r#"{{"cluster":"c","from":{from},"to":{to},"with-padding":{padding},"queries":{queries}}}"#
                );
                let started = Instant::now();
                let answer = daemon.request("GET", "/api/query", body);
                assert!([200, 400].contains(&answer.status), "{from} to {to}: {}", answer.status);
                assert!(started.elapsed() < QUICK, "{from} to {to} took {:?}", started.elapsed());
            }
        }
    }
    assert_eq!(daemon.data("c", "h", "cpu_load", 1_700_000_040, 1_700_000_100), json!([1.0]));
}

#[test]
fn an_answer_beyond_the_query_limit_is_refused_by_name() {
    let daemon = Daemon::start();
    daemon.write(LINE);
    let body = r#"{"cluster":"c","from":0,"to":1700000100,"queries":["#.to_owned()
        + &vec![r#"{"metric":"cpu_load","host":"h"}"#; 100].join(",")
        + "]}";
    let answer = daemon.request("GET", "/api/query", body);
    assert_eq!(answer.status, 400, "100 times 28 million values of padding: {}", answer.body.len());
    answer.error(400);
    assert_eq!(daemon.data("c", "h", "cpu_load", 1_700_000_040, 1_700_000_100), json!([1.0]));
}

#[test]
fn endless_nesting_is_refused() {
    let daemon = Daemon::start();
    let open = "[".repeat(NESTING);
    let closed = open.clone() + &"]".repeat(NESTING);
    let objects = r#"{"a":"#.repeat(NESTING);
    let ignored = format!(r#"{{"x":{closed},"queries":{closed}}}"#);
    for body in [&open, &closed, &objects, &ignored] {
        for (method, path) in [("GET", "/api/query"), ("POST", "/api/free?to=1"), ("GET", "/api/healthcheck")]
        {
            let answer = daemon.request(method, path, body);
            assert_eq!(answer.status, 400, "{path} with {}…", &body[..20]);
        }
        // As line protocol it is a metric that nobody configured, or too long a line.
        let write = daemon.request("POST", "/api/write", body).status;
        assert!([200, 400].contains(&write), "{write}");
    }
    daemon.assert_answers();
}

#[test]
fn oversized_heads_are_refused() {
    let daemon = Daemon::start();
    let name = "x".repeat(1 << 20);
    let heads = [
        format!("GET /api/query HTTP/1.1\r\nHost: x\r\nX-Long: {name}\r\n\r\n"),
        format!("GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("{name} / HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-Many: x\r\n".repeat(100_000)),
    ];
    for head in heads {
        let mut client = daemon.connect();
        // The daemon may close before it has read all of it; then the answer may be lost, which is as good.
        let _ = client.send(head.as_bytes());
        if let Ok(answer) = client.answer("GET") {
            assert!([400, 414, 431].contains(&answer.status), "{}", answer.status);
        }
    }
    let mut client = daemon.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n").unwrap();
    let flood = format!("X-Flood: {}\r\n", "y".repeat(8000));
    let mut accepted_bytes = 0usize;
    while accepted_bytes < 64 << 20 && client.send(flood.as_bytes()).is_ok() {
        accepted_bytes += flood.len();
    }
    assert!(accepted_bytes < 64 << 20, "a head without end is cut off");
    assert!(daemon.logs("main.max-header-bytes"), "{}", daemon.log());
    daemon.assert_answers();
}

#[test]
fn a_body_that_no_call_takes_is_refused_by_its_size() {
    let daemon = Daemon::start();
    for path in ["/api/query", "/api/free?to=1", "/api/healthcheck"] {
        let mut client = daemon.connect();
        client
            .send(format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n").as_bytes())
            .unwrap();
        client.answer("POST").unwrap().error(413);
    }
    daemon.assert_answers();
}

#[test]
fn broken_framing_is_refused_and_never_stored() {
    let daemon = Daemon::start();
    let head = "POST /api/write HTTP/1.1\r\nHost: x\r\n";
    let line = "cpu_load,cluster=c,hostname=framing value=1 1700000040\n";
    let requests = [
        format!("{head}Content-Length: -1\r\n\r\n{line}"),
        format!("{head}Content-Length: 99999999999999999999999\r\n\r\n{line}"),
        format!("{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{line}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{line}\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{line}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n-1\r\n{line}\r\n"),
        "GET\r\n\r\n".to_owned(),
        "\r\n\r\n\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}".to_owned(),
    ];
    for request in requests {
        let mut client = daemon.connect();
        let _ = client.send(request.as_bytes());
        let _ = client.finish_sending();
        if let Ok(answer) = client.answer("POST") {
            assert!((400..600).contains(&answer.status), "{request:?}: {}", answer.status);
        }
    }
    let dump = daemon.request("GET", "/api/debug", "").text();
    assert!(!dump.contains("framing"), "{dump}");
}

#[test]
fn random_bytes_at_the_port_do_no_harm() {
    let daemon = Daemon::start();
    let mut random = Random::from_environment();
    let whole = request_bytes("POST", "/api/write", &[], LINE.as_bytes());
    for turn in 0..300 {
        let length = random.below(4000);
        let mut bytes = if turn % 3 == 0 { random.bytes(length) } else { whole.clone() };
        for _ in 0..random.below(4) {
            let at = random.below(bytes.len());
            let replacement = random.bytes(1);
            bytes.splice(at..at, replacement);
        }
        let mut client = daemon.connect();
        let _ = client.send(&bytes);
        let _ = client.finish_sending();
        let _ = client.read_to_close();
    }
    daemon.assert_answers();
}

#[test]
fn random_bodies_are_accepted_or_refused_and_the_connection_lives() {
    let daemon = Daemon::start();
    let mut random = Random::from_environment();
    let mut client = daemon.connect();
    let paths = ["/api/write", "/api/query", "/api/free?to=1"];
    for turn in 0..600 {
        let mut body = if turn % 2 == 0 { LINE.repeat(3).into_bytes() } else { random.bytes(300) };
        for _ in 0..random.below(5) {
            let at = random.below(body.len());
            body[at] = random.bytes(1)[0];
        }
        let path = paths[turn % paths.len()];
        let answer =
            client.request("POST", path, &[], &body).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(
            [200, 400].contains(&answer.status),
            "{path} {:?}: {}",
            String::from_utf8_lossy(&body),
            answer.status
        );
        if answer.status == 400 {
            answer.error(400);
        }
        if answer.closes() {
            client = daemon.connect();
        }
    }
    daemon.assert_answers();
}

#[test]
fn a_line_without_end_does_not_fill_the_memory() {
    const SENT_BYTES_MAX: usize = 128 << 20;
    const GROWTH_BYTES_MAX: usize = 32 << 20;
    let daemon = Daemon::start();
    daemon.write(LINE);
    let before = daemon.memory_bytes_max();
    for beginning in
        ["cpu_load,cluster=c,hostname=h,tag=", "cpu_load,cluster=c,hostname=", "unknown,tag=", "# "]
    {
        let mut client = daemon.connect();
        client.send(b"POST /api/write HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        client.send(format!("{:x}\r\n{beginning}\r\n", beginning.len()).as_bytes()).unwrap();
        let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        let mut sent_bytes = 0;
        while sent_bytes < SENT_BYTES_MAX && client.send(piece.as_bytes()).is_ok() {
            sent_bytes += piece.len();
        }
        let growth = daemon.memory_bytes_max().saturating_sub(before);
        assert!(growth < GROWTH_BYTES_MAX, "{beginning}: {sent_bytes} bytes sent, grown by {growth}");
    }
    let line = format!("cpu_load,cluster=c,hostname=h,tag={} value=1 1700000040\n", "x".repeat(1 << 20));
    daemon.request("POST", "/api/write", line).error(400);
    daemon.assert_answers();
}

#[test]
fn long_names_and_odd_selectors_are_no_trouble() {
    let daemon = Daemon::start();
    let name = "n".repeat(5000);
    let long = format!("cpu_load,cluster=c,hostname=h,type=t,type-id={name} value=1 1700000040\n");
    let answer = daemon.request("POST", "/api/write", &long);
    assert!([200, 400].contains(&answer.status), "{}", answer.status);
    daemon.write(LINE);
    let body = json!({"cluster": "c", "from": 0, "to": 1, "queries": [
        {"metric": name, "host": name, "type": name, "type-ids": [name], "subtype": "", "subtype-ids": [""]},
        {"metric": "cpu_load", "host": "", "type-ids": vec!["1"; 1000]},
        {"metric": "cpu_load", "host": "h", "type": "", "type-ids": null, "scale-by": 1e308},
        {"metric": "cpu_load", "host": "h", "type": "socket", "type-ids": [], "aggreg": true, "resolution": -60},
    ]});
    let answer = daemon.request("GET", "/api/query", body.to_string());
    assert_eq!(answer.json()["results"].as_array().map(Vec::len), Some(4), "{}", answer.text());
    let selector = ":".repeat(10_000);
    daemon.request("GET", &format!("/api/debug?selector={selector}"), "").error(400);
    let escapes = daemon.request("GET", "/api/debug?selector=%zz%00%ff", "").status;
    assert!([200, 400].contains(&escapes), "{escapes}");
    daemon.assert_answers();
}
