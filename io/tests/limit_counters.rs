//! Limits that are hit are seen on `/metrics`, each by its counter and once.

mod daemon;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use daemon::http::Client;
use daemon::prometheus::Page;
use daemon::{Daemon, now};
use serde_json::{Value, json};

/// The daemon gives a head 30 s from its first byte, and looks once a second.
const HEAD_PATIENCE: Duration = Duration::from_secs(45);

/// Asked on a connection that stays, for a new one may be one too many.
#[track_caller]
fn metrics(client: &mut Client) -> Page {
    let answer = client.request("GET", "/metrics", &[], b"").expect("the daemon answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    Page::parse(&answer.text())
}

fn start(change: impl Fn(&mut Value)) -> Daemon {
    Daemon::start_with(|config| {
        config["metric-store"]["cores"] = json!(1);
        change(config);
    })
}

fn lines(hosts: i64) -> String {
    let time = now() - 3600;
    (0..hosts).map(|host| format!("cpu_load,cluster=c,hostname=h{host} value=1 {time}\n")).collect()
}

#[test]
fn series_bodies_answers_and_heads_that_are_too_large() {
    const NAMES: [&str; 4] = [
        "cc_metric_store_lines_rejected_total{reason=\"beyond_max_series\"}",
        "cc_metric_store_bodies_too_large_total",
        "cc_metric_store_queries_too_large_total",
        "cc_metric_store_oversized_heads_total",
    ];
    let daemon = start(|config| {
        config["metric-store"]["max-series"] = json!(3);
        config["metric-store"]["query-limit"] = json!(1000);
    });
    let mut client = daemon.connect();
    let mut counts = || {
        let page = metrics(&mut client);
        NAMES.map(|name| page.value(name))
    };
    assert_eq!(counts(), [0.0; 4]);

    daemon.write(lines(3));
    assert_eq!(counts(), [0.0; 4], "the limit is not reached");
    daemon.write(lines(5));
    assert_eq!(counts(), [2.0, 0.0, 0.0, 0.0]);
    // A second time: the core that decodes remembers a refused series, or asks its owner again.
    daemon.write(lines(5));
    assert_eq!(counts(), [4.0, 0.0, 0.0, 0.0]);

    let head = "POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n";
    let mut large = daemon.connect();
    large.send(head.as_bytes()).unwrap();
    large.answer("POST").unwrap().error(413);
    assert_eq!(counts(), [4.0, 1.0, 0.0, 0.0]);

    let query = |seconds: i64| {
        let to = now();
        let query = json!({"cluster": "c", "from": to - seconds, "to": to,
            "queries": [{"metric": "cpu_load", "host": "h0"}]});
        daemon.request("GET", "/api/query", query.to_string())
    };
    assert_eq!(query(7200).status, 200);
    assert_eq!(counts(), [4.0, 1.0, 0.0, 0.0], "the limit is not reached");
    query(30 * 86400).error(400);
    assert_eq!(counts(), [4.0, 1.0, 1.0, 0.0]);

    let mut long = daemon.connect();
    // It may close before it has read all of it.
    let _ =
        long.send(format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20)).as_bytes());
    let _ = long.read_to_close();
    assert_eq!(counts(), [4.0, 1.0, 1.0, 1.0]);
}

#[test]
fn connections_that_are_too_many() {
    let daemon = start(|config| config["main"]["max-connections"] = json!(3));
    let mut clients: Vec<Client> = (0..3).map(|_| daemon.connect()).collect();
    // Now they are taken in, for what was accepted earlier was registered earlier.
    for client in &mut clients {
        assert_eq!(client.request("GET", "/ping", &[], b"").unwrap().status, 204);
    }
    let page = metrics(&mut clients[0]);
    assert_eq!(page.value("cc_metric_store_connections_open"), 3.0);
    assert_eq!(page.value("cc_metric_store_connections_refused_total"), 0.0);
    for count in 1..=2 {
        let mut refused = daemon.connect();
        assert!(matches!(refused.read_to_close().as_deref(), Ok([]) | Err(_)), "it is closed at once");
        let page = metrics(&mut clients[0]);
        assert_eq!(page.value("cc_metric_store_connections_refused_total"), f64::from(count));
        assert_eq!(page.value("cc_metric_store_connections_open"), 3.0);
    }
}

#[test]
fn clients_that_are_too_slow() {
    const NAMES: [&str; 3] = ["slow_head", "slow_body", "idle"];
    let daemon = start(|config| {
        config["main"]["idle-timeout"] = json!("2s");
        config["main"]["min-body-rate"] = json!(1000);
    });
    let counts = || {
        let page = metrics(&mut daemon.connect());
        NAMES.map(|name| page.value(&format!("cc_metric_store_connections_swept_total{{reason=\"{name}\"}}")))
    };
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", daemon.port())).unwrap();
        stream.set_read_timeout(Some(HEAD_PATIENCE)).unwrap();
        stream
    };
    let trickle = |mut stream: TcpStream| {
        // A byte now and then, until the daemon closes: never silent for as long as the idle timeout.
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut received = Vec::new();
        for _ in 0..2 * HEAD_PATIENCE.as_secs() {
            match stream.read_to_end(&mut received) {
                Ok(_) => return,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            if stream.write_all(b"x").is_err() {
                return;
            }
        }
        panic!("a client that trickles is never closed");
    };
    assert_eq!(counts(), [0.0; 3]);
    let mut head = connect();
    head.write_all(b"GET /ping HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    let slow_head = std::thread::scope(|scope| {
        let slow_head = scope.spawn(|| trickle(head));

        let mut body = connect();
        body.write_all(b"POST /api/write HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n").unwrap();
        trickle(body);
        assert_eq!(counts(), [0.0, 1.0, 0.0]);

        let mut idle = connect();
        assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0, "it is closed");
        assert_eq!(counts(), [0.0, 1.0, 1.0]);
        slow_head.join()
    });
    assert!(slow_head.is_ok());
    assert_eq!(counts(), [1.0, 1.0, 1.0]);
}
