//! New connections go to the core that owns the host of their first line: seen in what the cores tell each other.

mod daemon;

use std::time::Duration;

use daemon::http::Client;
use daemon::prometheus::Page;
use daemon::{Daemon, eventually, free_port};
use serde_json::json;

const T: i64 = 1_750_000_020;
/// What happens "soon" happens in this time, also on a machine that is busy.
const SOON: Duration = Duration::from_secs(15);
/// One core alone accepts all of them once in 32,768 runs.
const CONNECTIONS: usize = 16;
const WRITES: usize = 50;

fn start(tcp_port: u16) -> Daemon {
    Daemon::start_with(|config| {
        config["main"]["tcp-addr"] = json!(format!("127.0.0.1:{tcp_port}"));
        config["main"]["tcp-cluster"] = json!("c");
        config["metric-store"]["wal"] = json!({"sync": "none"});
        config["metric-store"]["retention-in-memory"] = json!("87600h");
        config["metric-store"]["cores"] = json!(2);
    })
}

fn metrics(daemon: &Daemon) -> Page {
    Page::parse(&daemon.request("GET", "/metrics", "").text())
}

/// Messages that each core took and samples it stored.
fn by_core(page: &Page) -> [(f64, f64); 2] {
    [0, 1].map(|core| {
        let value = |name: &str| page.value(&format!("cc_metric_store_{name}{{core=\"{core}\"}}"));
        (value("core_messages_total"), value("samples_stored_total"))
    })
}

fn line(host: &str, value: usize) -> String {
    format!("mem_used,cluster=c,hostname={host} value={value} {}\n", T + 60 * value as i64)
}

/// What both cores did while `send` ran: the core without the host took no more than the questions for metrics.
#[track_caller]
fn assert_one_core_works(daemon: &Daemon, samples: usize, send: impl FnOnce()) {
    let before = by_core(&metrics(daemon));
    send();
    let stored = |page: &Page| by_core(page).iter().map(|core| core.1).sum::<f64>();
    let all_before: f64 = before.iter().map(|core| core.1).sum();
    let mut after = None;
    assert!(eventually(SOON, || {
        let page = metrics(daemon);
        let is_all = stored(&page) == all_before + samples as f64;
        after = Some(by_core(&page));
        is_all
    }));
    let after = after.expect("asked at least once");
    let owner = usize::from(after[1].1 > before[1].1);
    assert_eq!(after[owner].1 - before[owner].1, samples as f64, "one host has one owner");
    let others = after[1 - owner].0 - before[1 - owner].0;
    assert!(
        others < samples as f64 / 4.0,
        "{others} messages to the core that owns nothing, of {samples} writes"
    );
}

#[test]
fn http_connections_move_to_the_owner_of_their_host() {
    let daemon = start(free_port());
    for host in ["h0", "h1", "h2", "h3"] {
        let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| daemon.connect()).collect();
        assert_one_core_works(&daemon, CONNECTIONS * WRITES, || {
            for write in 0..WRITES {
                for client in &mut clients {
                    let answer = client.request("POST", "/api/write", &[], line(host, write).as_bytes());
                    assert_eq!(answer.unwrap().status, 200);
                }
            }
        });
        assert_eq!(
            daemon.data("c", host, "mem_used", T, T + 60 * WRITES as i64),
            json!((0..WRITES).map(|value| value as f64).collect::<Vec<_>>())
        );
    }
    assert!(metrics(&daemon).value("cc_metric_store_connections_moved_total") >= 1.0);
    assert_eq!(metrics(&daemon).value("cc_metric_store_connections_open"), 1.0);
}

/// Head and body in packets of their own, as many clients send them.
#[test]
fn a_body_that_comes_late_is_waited_for() {
    let daemon = start(free_port());
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| daemon.connect()).collect();
    assert_one_core_works(&daemon, CONNECTIONS * WRITES, || {
        for write in 0..WRITES {
            for client in &mut clients {
                let body = line("h", write);
                let head =
                    format!("POST /api/write HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
                client.send(head.as_bytes()).unwrap();
                client.send(body.as_bytes()).unwrap();
                assert_eq!(client.answer("POST").unwrap().status, 200);
            }
        }
    });
}

#[test]
fn raw_connections_move_to_the_owner_of_their_host() {
    let tcp_port = free_port();
    let daemon = start(tcp_port);
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(tcp_port)).collect();
    assert_one_core_works(&daemon, CONNECTIONS * WRITES, || {
        for write in 0..WRITES {
            for client in &mut clients {
                client.send(line("h", write).as_bytes()).unwrap();
                // Each line a message of its own.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        for client in &mut clients {
            client.finish_sending().unwrap();
            assert_eq!(client.read_to_close().unwrap(), b"", "an orderly end");
        }
    });
}

/// Nothing is lost or answered twice when connections of many hosts come and go, and none stays behind.
#[test]
fn connections_of_one_request_each_are_answered() {
    let daemon = start(free_port());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let daemon = &daemon;
            scope.spawn(move || {
                for round in 0..100 {
                    daemon.write(line(&format!("h{thread}-{round}"), 1));
                }
            });
        }
    });
    for thread in 0..4 {
        for round in 0..100 {
            let data = daemon.data("c", &format!("h{thread}-{round}"), "mem_used", T + 60, T + 120);
            assert_eq!(data, json!([1.0]));
        }
    }
    assert!(eventually(SOON, || metrics(&daemon).value("cc_metric_store_connections_open") == 1.0));
}
