//! A connection goes on after an error, or the answer says that it ends.

mod daemon;

use std::time::{Duration, Instant};

use daemon::http::{Client, chunked};
use daemon::issuer::Issuer;
use daemon::{Daemon, now};
use serde_json::json;

/// As a collector sends them: about 60 KB, the first line bad.
fn body(lines: usize) -> String {
    "cpu_load,hostname=h value=x\n".to_owned() + &"m,hostname=h value=1\n".repeat(lines)
}

/// The next request on the connection is answered, or the last answer has said that it is not.
#[track_caller]
fn goes_on(client: &mut Client, what: &str) {
    let line = format!("cpu_load,cluster=c,hostname=h value=1 {}\n", now() - 60);
    let next = client.request("POST", "/api/write", &[], line.as_bytes());
    let next = next.unwrap_or_else(|error| panic!("the next request after {what}: {error}"));
    assert!([200, 401].contains(&next.status), "{what}: {}", next.text());
}

#[test]
fn an_error_before_the_end_of_a_body_ends_no_connection_unless_it_says_so() {
    let daemon = Daemon::start();
    let small = body(3000);
    let huge = body(300_000);
    for (method, path, status) in [
        ("POST", "/api/write?cluster=c", 400),
        ("POST", "/write?db=c&precision=x", 400),
        ("POST", "/api/free", 400),
        ("POST", "/nowhere", 404),
        ("PUT", "/api/query", 405),
        ("DELETE", "/api/write", 405),
        ("GET", "/ping", 204),
        ("GET", "/", 200),
        ("POST", "/metrics", 405),
    ] {
        let what = format!("{method} {path}");
        let mut client = daemon.connect();
        let answer = client.request(method, path, &[], small.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.closes()), (status, false), "{what}: {}", answer.text());
        goes_on(&mut client, &what);

        // The same with a body whose length nobody has said.
        client
            .send(
                format!("{method} {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
                    .as_bytes(),
            )
            .unwrap();
        client.send(&chunked(small.as_bytes(), 1000)).unwrap();
        let answer = client.answer(method).unwrap();
        assert_eq!((answer.status, answer.closes()), (status, false), "{what}, chunked: {}", answer.text());
        goes_on(&mut client, &what);

        let answer = daemon.connect().request(method, path, &[], huge.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.closes()), (status, true), "{what}, huge: {}", answer.text());
    }
}

#[test]
fn a_rest_that_does_not_come_is_not_waited_for() {
    let daemon = Daemon::start();
    let mut client = daemon.connect();
    let began = Instant::now();
    client
        .send(b"POST /api/write?cluster=c HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\ncpu_load,hostname=h value=x\n")
        .unwrap();
    let answer = client.answer("POST").unwrap();
    assert_eq!((answer.status, answer.closes()), (400, true));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn who_asks_before_it_sends_is_not_told_to_go_on_after_a_refusal() {
    let daemon = Daemon::start();
    let mut client = daemon.connect();
    client
        .send(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
        .unwrap();
    let answer = client.answer("POST").unwrap();
    assert_eq!((answer.status, answer.closes()), (404, true), "{}", answer.text());
}

#[test]
fn refusals_of_heads_bodies_and_tokens_say_so() {
    let daemon = Daemon::start();
    let raw = |bytes: &[u8]| {
        let mut client = daemon.connect();
        // It may be refused before all of it is sent.
        let _ = client.send(bytes);
        client.answer("POST").unwrap()
    };
    let head = format!("GET /ping HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    for (what, bytes, status) in [
        ("a large head", head.as_bytes(), 431),
        ("no HTTP", b"hello\r\n\r\n", 400),
        ("a large body", b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n", 413),
        (
            "a body of two lengths",
            b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
        ),
        ("no host", b"POST /api/query HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n", 400),
        (
            "an encoding",
            b"POST /api/write HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 9000000\r\n\r\n",
            415,
        ),
    ] {
        let answer = raw(bytes);
        assert_eq!((answer.status, answer.closes()), (status, true), "{what}: {answer:?}");
    }

    let issuer = Issuer::new();
    let daemon = Daemon::start_with(|config| config["main"]["jwt-public-key"] = json!(issuer.public_key()));
    let mut client = daemon.connect();
    let answer = client.request("POST", "/api/write", &[], body(3000).as_bytes()).unwrap();
    assert_eq!((answer.status, answer.closes()), (401, false));
    goes_on(&mut client, "401");
    let answer = client.request("POST", "/api/write", &[], body(300_000).as_bytes()).unwrap();
    assert_eq!((answer.status, answer.closes()), (401, true));
}
