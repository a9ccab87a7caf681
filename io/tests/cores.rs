//! What crosses cores, as a client sees it: the hosts of all cores, and a stop while samples are on their way.

mod daemon;

use std::fs;
use std::time::Duration;

use daemon::http::Client;
use daemon::{Daemon, eventually};
use serde_json::{Value, json};

const T: i64 = 1_750_000_020;
/// What happens "soon" happens in this time, also on a machine that is busy.
const SOON: Duration = Duration::from_secs(15);

/// With a log that is acknowledged at once, so that replies are as early as they can be.
fn start() -> Daemon {
    Daemon::start_with(|config| {
        config["metric-store"]["wal"] = json!({"sync": "none"});
        config["metric-store"]["retention-in-memory"] = json!("87600h");
        config["metric-store"]["cores"] = json!(2);
    })
}

fn line(host: &str, value: usize) -> String {
    format!("mem_used,cluster=c,hostname={host} value={value} {T}\n")
}

fn request(client: &mut Client, method: &str, path: &str, body: &str) -> String {
    let answer = client.request(method, path, &[], body.as_bytes()).expect("the daemon answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text()
}

/// The hosts that `for-all-nodes` finds.
fn nodes(client: &mut Client) -> Vec<String> {
    let query = json!({"cluster": "c", "from": T, "to": T + 60, "for-all-nodes": ["mem_used"]});
    let answer: Value = serde_json::from_str(&request(client, "GET", "/api/query/", &query.to_string()))
        .expect("answers are JSON");
    let queries = answer["queries"].as_array().map_or(&[][..], Vec::as_slice);
    queries.iter().map(|query| query["host"].as_str().expect("a query names its host").to_owned()).collect()
}

/// Eight connections: one core alone gets all of them once in a hundred runs.
#[test]
fn every_core_knows_a_host_as_soon_as_its_write_is_acknowledged() {
    let mut daemon = start();
    let mut clients: Vec<Client> = (0..8).map(|_| daemon.connect()).collect();
    let mut expected = Vec::new();
    for round in 0..100 {
        let host = format!("h{round:03}");
        request(&mut clients[round % 8], "POST", "/api/write", &line(&host, round));
        expected.push(host);
        assert_eq!(nodes(&mut clients[(round * 3 + 1) % 8]), expected);
    }
    for round in 0..20 {
        let free = json!([["c", expected.remove(0)]]).to_string();
        request(&mut clients[round % 8], "POST", &format!("/api/free?to={}", T + 3600), &free);
        assert_eq!(nodes(&mut clients[(round * 3 + 1) % 8]), expected, "freed in round {round}");
    }
    drop(clients);
    daemon.stop();
    daemon.restart();
    assert_eq!(nodes(&mut daemon.connect()), expected, "after a restart");
}

/// A request is under way when the stop comes, for hosts of both cores, whichever core has its connection. Its lines
/// are acknowledged, so they are in snapshots: the last checkpoint of the core without a connection must not be earlier.
#[test]
fn what_is_acknowledged_during_a_stop_is_in_snapshots() {
    const HOSTS: usize = 40;
    let mut daemon = start();
    let mut client = daemon.connect();
    let head =
        "POST /api/write HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(head.as_bytes()).unwrap();
    // The daemon is about to read the body. Nothing comes behind the head of a 100, as with HEAD.
    assert_eq!(client.answer("HEAD").unwrap().status, 100);
    daemon.signal("TERM");
    assert!(eventually(SOON, || daemon.log().contains("stopping")));
    // A hundred ticks and more: a core that did not wait would be through with its last checkpoint.
    for host in 0..HOSTS {
        let line = line(&format!("h{host}"), host);
        client.send(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(15));
    }
    client.send(b"0\r\n\r\n").unwrap();
    assert_eq!(client.answer("POST").unwrap().status, 200);
    let (status, _) = daemon.wait();
    assert!(status.success(), "{}", daemon.log());

    fs::remove_dir_all(daemon.wal()).unwrap();
    daemon.restart();
    for host in 0..HOSTS {
        let data = daemon.data("c", &format!("h{host}"), "mem_used", T, T + 60);
        assert_eq!(data, json!([host as f64]), "host {host} was in the log alone");
    }
}
