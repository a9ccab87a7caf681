//! Where the daemon listens, and which paths of requests mean the same.

mod daemon;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use daemon::http::Client;
use daemon::issuer::Issuer;
use daemon::{Daemon, default_config, free_port, now, run, write_config};
use serde_json::json;

const TIME: i64 = 1_700_000_040;
const LINE: &str = "cpu_load,cluster=c,hostname=h value=4 1700000040\n";

/// Whether this machine has IPv6 at all.
fn has_ipv6() -> bool {
    match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => true,
        Err(error) => {
            eprintln!("skipped: no IPv6 here ({error})");
            false
        }
    }
}

/// A client at this address.
fn client(address: impl Into<SocketAddr>) -> Client {
    Client::over(TcpStream::connect(address.into()).unwrap_or_else(|error| panic!("{error}")))
}

#[test]
fn an_address_of_all_is_that_of_both_families() {
    if !has_ipv6() {
        return;
    }
    for host in ["0.0.0.0", "", "[::]", "[0::0]"] {
        let (port, tcp_port) = (free_port(), free_port());
        let mut daemon = Daemon::start();
        daemon.stop();
        let mut config = daemon.config().clone();
        config["main"]["addr"] = json!(format!("{host}:{port}"));
        config["main"]["tcp-addr"] = json!(format!("{host}:{tcp_port}"));
        config["metric-store"]["cores"] = json!(2);
        write_config(daemon.path(), &config);
        let mut child = std::process::Command::new(daemon::BINARY)
            .args(["-config", "config.json"])
            .current_dir(daemon.path())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary runs");
        let listens = daemon::eventually(std::time::Duration::from_secs(20), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, tcp_port)).is_ok()
                && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        let asked = thread::spawn(move || {
            let addresses: [(std::net::IpAddr, &str); 2] =
                [(Ipv4Addr::LOCALHOST.into(), "four"), (Ipv6Addr::LOCALHOST.into(), "six")];
            for (address, name) in addresses {
                let line = format!("cpu_load,cluster=c,hostname={name} value=1 {TIME}\n");
                let answer = client((address, port)).request("POST", "/api/write", &[], line.as_bytes());
                assert_eq!(answer.expect("it answers").status, 200, "{address}");
                assert!(TcpStream::connect((address, tcp_port)).is_ok(), "{address}");
            }
            // Who starts on the port of another is refused, whichever way it is written.
            for second in ["0.0.0.0", "", "[::]", "127.0.0.1", "[::1]"] {
                let other = tempfile::tempdir().expect("a scratch directory can be made");
                let mut config = default_config(other.path(), port);
                config["main"]["addr"] = json!(format!("{second}:{port}"));
                write_config(other.path(), &config);
                let finished = run(&["-config", "config.json"], other.path());
                assert_eq!(finished.code, Some(1), "{second}");
                let named = finished.stderr.contains("cannot listen on")
                    && finished.stderr.contains(&port.to_string());
                assert!(named, "{second}: {}", finished.stderr);
            }
        });
        let asked = asked.join();
        child.kill().and_then(|()| child.wait()).expect("it runs");
        assert!(listens && asked.is_ok(), "{host:?}");
    }
}

#[test]
fn a_port_that_a_stranger_has_in_one_family_is_in_use() {
    if !has_ipv6() {
        return;
    }
    for (taken, addr) in [("0.0.0.0", "0.0.0.0"), ("127.0.0.1", ""), ("[::1]", "[::]"), ("[::1]", "0.0.0.0")]
    {
        let stranger = TcpListener::bind(format!("{taken}:0")).expect("a port is free");
        let port = stranger.local_addr().expect("it is bound").port();
        let directory = tempfile::tempdir().expect("a scratch directory can be made");
        let mut config = default_config(directory.path(), port);
        config["main"]["addr"] = json!(format!("{addr}:{port}"));
        write_config(directory.path(), &config);
        let finished = run(&["-config", "config.json"], directory.path());
        assert_eq!(finished.code, Some(1), "{taken} {addr}");
        assert!(finished.stderr.contains("cannot listen on"), "{taken} {addr}: {}", finished.stderr);
        match stranger.set_nonblocking(true).and_then(|()| stranger.accept()) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_path_is_cleaned_before_it_is_looked_at() {
    let daemon = Daemon::start();
    let query = json!({"cluster": "c", "from": TIME, "to": TIME + 60, "queries": [{"metric": "cpu_load", "host": "h"}]});
    daemon.write(LINE);
    for path in [
        "//api/query?version=v2",
        "//api//query/",
        "/./api/query",
        "/x/../api/query",
        "/../api/query/",
        "/api/query/.",
        "/%61pi/query",
    ] {
        let answer = daemon.request("GET", path, query.to_string());
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.json()["results"][0][0]["data"], json!([4.0]), "{path}");
    }
    for (method, path, body, status) in [
        ("POST", "//api/write/?cluster=c", LINE, 200),
        ("POST", "/api//write?cluster=c", LINE, 200),
        // Those of InfluxDB refuse what is older than the retention.
        ("POST", "//write?db=c", "cpu_load,hostname=g value=4\n", 204),
        ("POST", "//api/v2/./write/?bucket=c", "cpu_load,hostname=g value=4\n", 204),
        ("GET", "//api/healthcheck", r#"{"cluster":"c","nodes":["h"],"metric-names":["cpu_load"]}"#, 200),
        ("GET", "//api/debug?selector=c:h", "", 200),
        ("POST", "//api/free/?to=1", "[]", 200),
        ("GET", "//api/v1/query?query=1", "", 200),
        ("GET", "//api/v1/labels/", "", 200),
        ("GET", "//api/v1/label/%5F%5Fname__/values", "", 200),
        ("GET", "//metrics/", "", 200),
        ("GET", "//ready", "", 200),
        ("GET", "//health/", "", 200),
        ("GET", "//ping", "", 204),
        ("GET", "//api/openapi.json", "", 200),
        ("GET", "//", "", 200),
        ("GET", "//ui//page.css", "", 200),
        // These are other paths.
        ("GET", "/api%2Fquery", "{}", 404),
        ("GET", "/api/%2e%2e/api/query", "{}", 404),
        ("GET", "/api/query%00", "{}", 404),
        ("GET", "/api/query/..", "{}", 404),
        ("GET", "/..", "", 200),
    ] {
        let answer = daemon.request(method, path, body);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
}

#[test]
fn who_may_call_is_decided_on_the_clean_path() {
    let issuer = Issuer::new();
    let daemon = Daemon::start_with(|config| config["main"]["jwt-public-key"] = json!(issuer.public_key()));
    let token = issuer.token(&json!({"exp": now() + 3600}));
    let status = |method: &str, path: &str, scheme: Option<&str>| {
        let header = scheme.map(|scheme| format!("{scheme} {token}"));
        let headers: Vec<_> = header.iter().map(|value| ("Authorization", value.as_str())).collect();
        let answer =
            daemon.connect().request(method, path, &headers, b"cpu_load,cluster=c,hostname=h value=4\n");
        answer.expect("it answers").status
    };
    for path in ["/api/write", "//api/write", "/ui/../api/write", "//ui//..//api/write", "/%61pi/write"] {
        assert_eq!(status("POST", path, None), 401, "{path}");
        assert_eq!(status("POST", path, Some("Bearer")), 200, "{path}");
        // The word of InfluxDB's clients.
        assert_eq!(status("POST", path, Some("Token")), 401, "{path}");
    }
    for path in ["/write", "//write", "/api/../write", "/ui/../api/v2//write/"] {
        assert_eq!(status("POST", path, None), 401, "{path}");
        assert_eq!(status("POST", path, Some("Token")), 204, "{path}");
    }
    for path in ["/metrics", "//metrics", "/ui/page.css/../../metrics"] {
        assert_eq!(status("GET", path, None), 401, "{path}");
    }
}
