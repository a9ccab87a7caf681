//! The daemon among slow, stalled and many clients, and its end under load (SPEC sections 3 and 7).

mod daemon;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use daemon::http::{Client, request_bytes};
use daemon::{Daemon, eventually};
use serde_json::json;

const LINE: &str = "cpu_load,cluster=c,hostname=h value=1 1700000040\n";
/// A stop must be done in this time, whatever the clients do (SPEC section 7).
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request may take beside stalled clients.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that have sent a part of a request and then nothing more: half of them stop within the head, half
/// within the body.
fn stalled_clients(daemon: &Daemon, count: usize) -> Vec<Client> {
    let whole = request_bytes("POST", "/api/write", &[], LINE.as_bytes());
    let cuts = [30, whole.len() - LINE.len() / 2];
    let stall = |index: usize| {
        let mut client = daemon.connect();
        client.send(&whole[..cuts[index % cuts.len()]]).expect("the daemon is there");
        client
    };
    (0..count).map(stall).collect()
}

#[test]
fn five_hundred_stalled_clients_stop_nobody_else() {
    let daemon = Daemon::start();
    let stalled = stalled_clients(&daemon, 500);
    let mut client = daemon.connect();
    for value in 0..200 {
        let started = Instant::now();
        let time = 1_700_000_040 + 60 * value;
        let line = format!("cpu_load,cluster=c,hostname=busy value={value} {time}\n");
        assert_eq!(client.request("POST", "/api/write", &[], line.as_bytes()).unwrap().status, 200);
        assert_eq!(daemon.data("c", "busy", "cpu_load", time, time + 60), json!([value as f64]));
        assert!(started.elapsed() < ANSWER_TIMEOUT, "a write and a query took {:?}", started.elapsed());
    }
    drop(stalled);
    daemon.assert_answers();
}

#[test]
fn a_stalled_body_is_finished_when_its_rest_arrives() {
    let daemon = Daemon::start();
    let request = request_bytes("POST", "/api/write", &[], LINE.as_bytes());
    let (first, rest) = request.split_at(request.len() - 20);
    let mut slow = daemon.connect();
    slow.send(first).unwrap();
    for _ in 0..50 {
        daemon.write(LINE.replace("hostname=h", "hostname=other"));
    }
    slow.send(rest).unwrap();
    assert_eq!(slow.answer("POST").unwrap().status, 200);
    assert_eq!(daemon.data("c", "h", "cpu_load", 1_700_000_040, 1_700_000_100), json!([1.0]));
}

/// Sends a body one byte at a time, evenly over `duration`, and asserts that it is accepted.
#[track_caller]
fn drip(duration: Duration) {
    let daemon = Daemon::start();
    let request = request_bytes("POST", "/api/write", &[], LINE.as_bytes());
    let (head, body) = request.split_at(request.len() - LINE.len());
    let mut client = daemon.connect();
    client.send(head).expect("the daemon is there");
    for byte in body {
        // The pause is what is tested: no event ends it.
        thread::sleep(duration / u32::try_from(body.len()).expect("a line is short"));
        client.send(&[*byte]).expect("the body is not cut while bytes come");
    }
    assert_eq!(client.answer("POST").expect("the daemon is there").status, 200);
    assert_eq!(daemon.data("c", "h", "cpu_load", 1_700_000_040, 1_700_000_100), json!([1.0]));
}

#[test]
fn a_dripping_body_is_not_cut() {
    drip(Duration::from_secs(4));
}

#[test]
#[ignore = "takes three minutes; part of the soak"]
fn a_body_that_drips_for_minutes_is_not_cut() {
    drip(Duration::from_secs(180));
}

#[test]
fn a_body_below_the_rate_asked_for_is_refused() {
    let daemon = Daemon::start_with(|config| {
        config["main"]["min-body-rate"] = json!(1000);
        config["main"]["idle-timeout"] = json!("2s");
    });
    let request = request_bytes("POST", "/api/write", &[], LINE.repeat(1000).as_bytes());
    let mut slow = daemon.connect();
    slow.send(&request[..request.len() - LINE.len() * 900]).unwrap();
    let started = Instant::now();
    let mut rest = LINE.bytes().cycle();
    // Never idle, always too slow, until it is told so.
    while slow.is_silent() && started.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(50));
        if slow.send(&[rest.next().expect("it goes round")]).is_err() {
            break;
        }
    }
    assert!(slow.answer("POST").expect("it is told why").error(408).contains("min-body-rate"));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(daemon.logs("min-body-rate"), "{}", daemon.log());
    // One that keeps the rate takes as long as it likes.
    let mut steady = daemon.connect();
    for part in request.chunks(request.len() / 50) {
        thread::sleep(Duration::from_millis(100));
        steady.send(part).expect("it is fast enough");
    }
    assert_eq!(steady.answer("POST").unwrap().status, 200);
}

#[test]
fn closed_connections_leave_no_descriptors_behind() {
    let daemon = Daemon::start();
    daemon.write(LINE);
    let before = daemon.open_files();
    for turn in 0..1000 {
        let mut client = daemon.connect();
        match turn % 4 {
            0 => assert_eq!(client.request("POST", "/api/write", &[], LINE.as_bytes()).unwrap().status, 200),
            1 => {
                client
                    .send(b"POST /api/write HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ncpu")
                    .unwrap();
            }
            2 => client.send(b"GET /ap").unwrap(),
            _ => {}
        }
    }
    drop(stalled_clients(&daemon, 200));
    let mut after = 0;
    let settled = eventually(Duration::from_secs(10), || {
        after = daemon.open_files();
        after <= before + 10
    });
    assert!(settled, "{before} descriptors before 1,200 connections, {after} after");
    daemon.assert_answers();
}

#[test]
fn parallel_writers_lose_nothing() {
    const WRITERS: i64 = 8;
    const BATCHES: i64 = 50;
    let daemon = Daemon::start();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let daemon = &daemon;
            scope.spawn(move || {
                let mut client = daemon.connect();
                for batch in 0..BATCHES {
                    let time = 1_700_000_040 + 60 * batch;
                    let line =
                        |host| format!("cpu_load,cluster=c,hostname=w{writer}-{host} value={batch} {time}\n");
                    let body: String = (0..20).map(line).collect();
                    let answer = client.request("POST", "/api/write", &[], body.as_bytes()).unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
            });
        }
    });
    let expected: Vec<f64> = (0..BATCHES).map(|batch| batch as f64).collect();
    let query = json!({"cluster": "c", "from": 1_700_000_040, "to": 1_700_000_040 + 60 * BATCHES,
        "for-all-nodes": ["cpu_load"]});
    let answer = daemon.query(&query);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), WRITERS as usize * 20);
    for (query, result) in answer["queries"].as_array().unwrap().iter().zip(results) {
        assert_eq!(result[0]["data"], json!(expected), "{query}");
    }
}

/// Ends the daemon with a signal while clients write, query and stall; asserts a clean and quick end.
#[track_caller]
fn stop_under_load(signal: &str) {
    let mut daemon = Daemon::start();
    let stalled = stalled_clients(&daemon, 50);
    let port = daemon.port();
    let stopping = AtomicBool::new(false);
    let answered = AtomicU32::new(0);
    thread::scope(|scope| {
        for worker in 0..4 {
            let (stopping, answered) = (&stopping, &answered);
            scope.spawn(move || {
                let mut client = Client::connect(port);
                let query = br#"{"cluster":"c","from":0,"to":1700000100,"queries":[]}"#;
                let lines = LINE.repeat(500);
                loop {
                    let done = if worker == 0 {
                        client.request("GET", "/api/query", &[], query)
                    } else {
                        client.request("POST", "/api/write", &[], lines.as_bytes())
                    };
                    match done {
                        Ok(answer) if answer.status == 200 && !answer.closes() => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(_) | Err(_) if stopping.load(Ordering::SeqCst) => return,
                        other => panic!("before the stop: {other:?}"),
                    }
                }
            });
        }
        let busy = eventually(Duration::from_secs(20), || answered.load(Ordering::Relaxed) > 100);
        stopping.store(true, Ordering::SeqCst);
        assert!(busy, "the load runs");
        daemon.signal(signal);
        let (status, duration) = daemon.wait();
        assert_eq!(status.code(), Some(0), "SIG{signal} ends it cleanly");
        assert!(duration < STOP_TIMEOUT, "SIG{signal} took {duration:?}");
    });
    drop(stalled);
    daemon.restart();
    daemon.assert_answers();
}

#[test]
fn sigterm_under_load_ends_cleanly_within_two_seconds() {
    stop_under_load("TERM");
}

#[test]
fn sigint_under_load_ends_cleanly_within_two_seconds() {
    stop_under_load("INT");
}

#[test]
fn an_idle_daemon_stops_at_once_and_can_be_started_again() {
    let mut daemon = Daemon::start();
    for _ in 0..3 {
        daemon.write(LINE);
        daemon.signal("TERM");
        let (status, duration) = daemon.wait();
        assert_eq!(status.code(), Some(0));
        assert!(duration < STOP_TIMEOUT, "took {duration:?}");
        daemon.restart();
    }
}
