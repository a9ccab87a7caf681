//! What is answered while the data is being loaded, and what systemd is told.

mod daemon;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use daemon::prometheus::Page;
use daemon::{BINARY, Daemon, Killed, default_config, eventually, free_port, write_config};
use serde_json::json;

const TIME: i64 = 1_700_000_040;

/// A cc-backend that is asked at the start, and says nothing until it is told to: until then nothing is loaded.
struct SilentBackend(TcpListener);

impl SilentBackend {
    fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        (Self(listener), port)
    }

    fn answer(self) {
        let (stream, _) = self.0.accept().expect("the daemon asks");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).expect("a request comes") > 0);
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        reader.into_inner().write_all(answer).expect("the daemon takes the answer");
    }
}

#[test]
fn while_loading_probes_are_answered_writes_wait_and_the_rest_is_refused() {
    let (backend, backend_port) = SilentBackend::start();
    let daemon = Daemon::start_early(|config| {
        config["metric-store"]["cores"] = json!(2);
        config["main"]["backend-url"] = json!(format!("http://127.0.0.1:{backend_port}"));
    });
    // Several connections each: the sockets of both cores are served.
    for _ in 0..8 {
        let ready = daemon.request("GET", "/ready", "");
        assert_eq!((ready.status, ready.header("retry-after")), (503, Some("5")));
        assert_eq!(ready.json()["status"], json!("recovering"));
        assert_eq!(ready.json()["percent"], json!(0));
        assert!(!ready.closes());
        assert_eq!(daemon.request("GET", "/ping", "").status, 204);
        assert_eq!(daemon.request("GET", "/health/", "").json()["status"], json!("pass"));
    }
    let page = Page::parse(&daemon.request("GET", "/metrics", "").text());
    assert_eq!(page.value("cc_metric_store_ready"), 0.0);

    let writes: Vec<_> = (0..8)
        .map(|host| {
            let mut client = daemon.connect();
            thread::spawn(move || {
                // A connection goes on where it is, after an answer and after the one that waited.
                assert_eq!(client.request("GET", "/ping", &[], b"").unwrap().status, 204);
                let line = format!("cpu_load,cluster=c,hostname=h{host} value=1 {TIME}\n");
                let write = client.request("POST", "/api/write", &[], line.as_bytes()).unwrap();
                (client, write)
            })
        })
        .collect();
    let refused = daemon.request("GET", "/api/healthcheck", "{}");
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert!(refused.error(503).contains("loaded"), "{}", refused.text());
    assert!(
        writes.iter().all(|write| !write.is_finished()),
        "a write is not refused: its client would drop it"
    );

    backend.answer();
    for write in writes {
        let (mut client, answer) = write.join().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.closes());
        assert_eq!(client.request("GET", "/ready", &[], b"").unwrap().json(), json!({"status": "ready"}));
        let line = format!("cpu_load,cluster=c,hostname=again value=2 {TIME}\n");
        let again = client.request("POST", "/api/write", &[], line.as_bytes()).unwrap();
        assert!(again.status == 200 && !again.closes());
    }
    assert_eq!(daemon.data("c", "again", "cpu_load", TIME, TIME + 60), json!([2.0]));
    assert_eq!(daemon.request("GET", "/ready", "").json(), json!({"status": "ready"}));
    for host in 0..8 {
        assert_eq!(daemon.data("c", &format!("h{host}"), "cpu_load", TIME, TIME + 60), json!([1.0]));
    }
    let mut client = daemon.connect();
    for _ in 0..2 {
        let answer = client.request("GET", "/ping", &[], b"").unwrap();
        assert!(answer.status == 204 && !answer.closes());
    }
}

#[test]
fn connections_beyond_the_share_of_the_first_core_end_with_an_answer() {
    let (backend, backend_port) = SilentBackend::start();
    let daemon = Daemon::start_early(|config| {
        config["metric-store"]["cores"] = json!(2);
        config["main"]["max-connections"] = json!(20);
        config["main"]["backend-url"] = json!(format!("http://127.0.0.1:{backend_port}"));
    });
    let mut clients: Vec<_> = (0..18).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        let answer = client.request("GET", "/ping", &[], b"").unwrap();
        assert!(answer.status == 204 && !answer.closes(), "all of them have room while there is one core");
    }
    backend.answer();
    assert!(eventually(Duration::from_secs(20), || daemon.log().contains("cores are running")));
    let closed = clients
        .iter_mut()
        .filter_map(|client| client.request("GET", "/ready", &[], b"").ok())
        .filter(|answer| answer.closes())
        .count();
    assert!(closed >= 8, "10 stay at most: {closed}");
    assert!(closed < 18, "those that are not too many stay");
}

#[test]
fn writes_that_waited_are_in_the_last_checkpoint_of_a_stop() {
    let (backend, backend_port) = SilentBackend::start();
    let mut daemon = Daemon::start_early(|config| {
        config["metric-store"]["wal"] = json!({"sync": "off"});
        config["main"]["backend-url"] = json!(format!("http://127.0.0.1:{backend_port}"));
    });
    let mut client = daemon.connect();
    let line = format!("cpu_load,cluster=c,hostname=h value=7 {TIME}\n");
    client.send(&daemon::http::request_bytes("POST", "/api/write", &[], line.as_bytes())).unwrap();
    // It is taken in when the next one on the same sockets is answered.
    assert_eq!(daemon.request("GET", "/ping", "").status, 204);
    daemon.signal("TERM");
    backend.answer();
    let answer = client.answer("POST").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (status, _) = daemon.wait();
    assert!(status.success(), "{status}");
    let directory = daemon.checkpoints().join("c/h");
    assert_eq!(std::fs::read_dir(&directory).map(Iterator::count).unwrap_or(0), 1, "{}", directory.display());
}

#[test]
fn a_stop_does_not_wait_for_ever_for_what_is_loaded() {
    let (_backend, backend_port) = SilentBackend::start();
    let mut daemon = Daemon::start_early(|config| {
        config["main"]["stop-timeout"] = json!("1s");
        config["main"]["backend-url"] = json!(format!("http://127.0.0.1:{backend_port}"));
    });
    let mut client = daemon.connect();
    let line = format!("cpu_load,cluster=c,hostname=h value=7 {TIME}\n");
    client.send(&daemon::http::request_bytes("POST", "/api/write", &[], line.as_bytes())).unwrap();
    daemon.signal("TERM");
    let (status, took) = daemon.wait();
    assert!(status.success() && took < Duration::from_secs(8), "{status} after {took:?}");
    assert!(client.answer("POST").is_err(), "nothing is acknowledged");
    assert!(daemon.logs("main.stop-timeout"), "{}", daemon.log());
}

#[test]
fn systemd_is_told_and_its_watchdog_pinged() {
    let directory = tempfile::tempdir().unwrap();
    let socket_path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&socket_path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = free_port();
    write_config(directory.path(), &default_config(directory.path(), port));
    let child = Command::new(BINARY)
        .current_dir(&directory)
        .env("NOTIFY_SOCKET", &socket_path)
        .env("WATCHDOG_USEC", "400000")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut daemon = Killed(child);
    let receive = || {
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).expect("systemd is told something");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let first = receive();
    assert!(first.starts_with("READY=1\nSTATUS="), "{first:?}");
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(receive().trim_end(), "WATCHDOG=1");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "five pings of 0.1 s each took {took:?}");
    let stop = Command::new("kill").arg(daemon.0.id().to_string()).status().unwrap();
    assert!(stop.success());
    let stopping = || (0..1000).map(|_| receive()).find(|text| text.starts_with("STOPPING=1"));
    assert!(stopping().is_some());
    assert!(eventually(Duration::from_secs(20), || daemon.0.try_wait().unwrap().is_some()));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
