//! What nobody waits for any more ends, and does not hold up a stop.
#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]

mod daemon;

use std::time::{Duration, Instant};

use daemon::{Daemon, eventually, now};
use serde_json::{Value, json};

/// Threads of the host, which every query combines.
const THREADS: u32 = 1000;
/// Queries in a request: together some minutes of work.
const QUERIES: usize = 400_000;

/// A daemon with a host of many threads, and the time of their values.
fn start() -> (Daemon, i64) {
    let daemon = Daemon::start_with(|config| config["main"]["stop-timeout"] = json!("2s"));
    let time = now() - 600;
    let lines: String = (0..THREADS)
        .map(|thread| {
            format!("cpu_user,cluster=c,hostname=h,type=hwthread,type-id={thread} value=1 {time}\n")
        })
        .collect();
    daemon.write(lines);
    (daemon, time)
}

fn jobs(daemon: &Daemon) -> f64 {
    let text = daemon.request("GET", "/metrics", "").text();
    daemon::prometheus::Page::parse(&text).sum("cc_metric_store_core_jobs")
}

/// Asks, until the cores work on it.
fn ask(daemon: &Daemon, path: &str, body: &Value) -> daemon::http::Client {
    let mut client = daemon.connect();
    let body = body.to_string();
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    client.send(head.as_bytes()).unwrap();
    client.send(body.as_bytes()).unwrap();
    assert!(eventually(Duration::from_secs(60), || jobs(daemon) > 0.0), "the query was never begun");
    client
}

fn query(time: i64) -> Value {
    let queries = vec![json!({"metric": "cpu_user", "host": "h"}); QUERIES];
    json!({"cluster": "c", "from": time - 10, "to": time + 60, "queries": queries})
}

#[test]
fn a_query_whose_client_has_gone_ends() {
    let (daemon, time) = start();
    drop(ask(&daemon, "/api/query", &query(time)));
    // A peer that has closed its sending side may still wait: it is given some seconds.
    assert!(eventually(Duration::from_secs(10), || jobs(&daemon) == 0.0), "it goes on");
    daemon.assert_answers();
}

#[test]
fn a_stop_does_not_wait_for_a_query() {
    let (mut daemon, time) = start();
    let client = ask(&daemon, "/api/query", &query(time));
    let began = Instant::now();
    daemon.signal("TERM");
    let (status, _) = daemon.wait();
    assert!(status.success(), "{status}: {}", daemon.log());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(client);
    daemon.restart();
    assert_eq!(daemon.data("c", "h", "cpu_user", time, time + 60), json!([1.0]));
}
