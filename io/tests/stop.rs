//! A stop ends, whatever clients do (`main.stop-timeout`), and what it cuts off was not acknowledged.

mod daemon;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use daemon::{Daemon, eventually, free_port, now};
use serde_json::json;

const PAUSE: Duration = Duration::from_millis(100);

fn start() -> Daemon {
    Daemon::start_with(|config| config["main"]["stop-timeout"] = json!("2s"))
}

/// The daemon ends after its timeout, and not much later.
#[track_caller]
fn stops_in_time(daemon: &mut Daemon) {
    let began = Instant::now();
    daemon.signal("TERM");
    let (status, _) = daemon.wait();
    assert!(status.success(), "{status}: {}", daemon.log());
    let took = began.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&took), "{took:?}");
}

#[test]
fn a_body_that_trickles_is_cut_off_and_told_so() {
    let mut daemon = start();
    let time = now() - 600;
    daemon.write(format!("cpu_load,cluster=c,hostname=h value=1 {time}\n"));
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.port())).unwrap();
    stream
        .write_all(b"POST /api/write?cluster=c HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        .unwrap();
    let (over, mut sender) = (Arc::new(AtomicBool::new(false)), stream.try_clone().unwrap());
    let is_over = Arc::clone(&over);
    let trickle = thread::spawn(move || {
        while !is_over.load(Ordering::Relaxed) && sender.write_all(b"m").is_ok() {
            thread::sleep(PAUSE);
        }
    });
    stops_in_time(&mut daemon);
    over.store(true, Ordering::Relaxed);
    trickle.join().unwrap();
    let mut answer = String::new();
    // The trickle may have met a closed socket, and reset it.
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Connection: close"), "{answer:?}");
    assert!(daemon.logs("main.stop-timeout"), "{}", daemon.log());
    daemon.restart();
    assert_eq!(daemon.data("c", "h", "cpu_load", time, time + 60), json!([1.0]));
}

#[test]
fn an_answer_that_is_hardly_read_is_cut_off() {
    let mut daemon = start();
    let time = now() - 600;
    daemon.write(format!("clock,cluster=c,hostname=h value=1 {time}\n"));
    let mut stream = TcpStream::connect(("127.0.0.1", daemon.port())).unwrap();
    // Hundreds of megabytes of nulls.
    let query = json!({"cluster": "c", "from": time - 100_000_000, "to": time + 10,
        "queries": [{"metric": "clock", "host": "h"}]})
    .to_string();
    write!(stream, "POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{query}", query.len())
        .unwrap();
    stream.read_exact(&mut [0; 1000]).unwrap();
    let (over, mut reader) = (Arc::new(AtomicBool::new(false)), stream.try_clone().unwrap());
    let is_over = Arc::clone(&over);
    let trickle = thread::spawn(move || {
        let mut bytes = [0; 100_000];
        while !is_over.load(Ordering::Relaxed) && matches!(reader.read(&mut bytes), Ok(1..)) {
            thread::sleep(PAUSE);
        }
    });
    stops_in_time(&mut daemon);
    over.store(true, Ordering::Relaxed);
    trickle.join().unwrap();
}

#[test]
fn connections_of_all_kinds_at_once_are_cut_off_at_the_same_time() {
    let port = free_port();
    let mut daemon = Daemon::start_with(|config| {
        config["main"]["stop-timeout"] = json!("2s");
        config["main"]["tcp-addr"] = json!(format!("127.0.0.1:{port}"));
    });
    let listens = eventually(Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(listens, "the raw TCP port listens");
    let over = Arc::new(AtomicBool::new(false));
    let http = daemon.port();
    let trickles: Vec<_> = (0..40)
        .map(|index| {
            let is_over = Arc::clone(&over);
            let mut stream =
                TcpStream::connect(("127.0.0.1", if index % 4 == 0 { port } else { http })).unwrap();
            let begin: &[u8] = match index % 4 {
                0 => b"# acknowledge: bytes\n",
                1 => b"POST /api/write HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                2 => b"POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
                _ => b"GET /ping HTTP/1.1\r\nHost: x\r\nX: ",
            };
            let more: &[u8] = if index % 4 == 1 { b"1\r\nm\r\n" } else { b"m" };
            thread::spawn(move || {
                stream.write_all(begin).unwrap();
                while !is_over.load(Ordering::Relaxed) && stream.write_all(more).is_ok() {
                    thread::sleep(PAUSE);
                }
                let _ = stream.shutdown(Shutdown::Both);
            })
        })
        .collect();
    thread::sleep(3 * PAUSE);
    stops_in_time(&mut daemon);
    over.store(true, Ordering::Relaxed);
    trickles.into_iter().for_each(|trickle| trickle.join().unwrap());
}
