//! HTTPS and TLS in front of raw TCP, with clients that were not made here: rustls, curl, Python and openssl.
#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]

mod daemon;

use std::io::{Read, Write};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::http::{Client, request_bytes};
use daemon::issuer::Issuer;
use daemon::tls::{Pair, connect, finish};
use daemon::{Daemon, eventually, free_port, now};
use rustls::ClientConfig;
use serde_json::{Value, json};

const LINE: &str = "cpu_load,cluster=c,hostname=h value=1 1700000040\n";
/// The daemon's bound, and the sweep that enforces it.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10 + 2);

/// A daemon with TLS on both ports.
struct Site {
    daemon: Daemon,
    pair: Pair,
    tcp_port: u16,
    /// Holds the pair.
    _directory: tempfile::TempDir,
}

impl Site {
    fn start(change: impl Fn(&mut Value)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (pair, tcp_port) = (Pair::make(directory.path()), free_port());
        let daemon = Daemon::start_with(|config| {
            let main = &mut config["main"];
            main["https-cert-file"] = json!(pair.cert_file);
            main["https-key-file"] = json!(pair.key_file);
            main["tcp-addr"] = json!(format!("127.0.0.1:{tcp_port}"));
            change(config);
        });
        Self { daemon, pair, tcp_port, _directory: directory }
    }

    fn connect_with(
        &self,
        config: Arc<ClientConfig>,
    ) -> Client<rustls::StreamOwned<rustls::ClientConnection, std::net::TcpStream>> {
        Client::over(connect(self.daemon.port(), config))
    }

    /// The values of host `h` over a connection of its own.
    #[track_caller]
    fn data(&self) -> Value {
        let query = json!({"cluster": "c", "from": 1_700_000_040, "to": 1_700_001_000, "with-padding": false,
            "queries": [{"metric": "cpu_load", "host": "h"}]});
        let mut client = self.connect_with(self.pair.client_config());
        let answer = client.request("GET", "/api/query", &[], query.to_string().as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["results"][0][0]["data"].clone()
    }
}

/// Runs a program of the system.
#[track_caller]
fn run(program: &str, arguments: &[&str], input: &str) -> Output {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("this test needs {program} ({error}): apt-get install -y curl openssl python3")
    });
    // A program that has refused already reads no more.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn writes_and_queries_go_over_every_version() {
    let site = Site::start(|_| {});
    for (version, value) in [(&rustls::version::TLS12, 1.0), (&rustls::version::TLS13, 2.0)] {
        let mut config = site.pair.client_config_of(&[version]);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let line = LINE.replace("value=1", &format!("value={value}"));
        let mut client = site.connect_with(Arc::new(config));
        assert_eq!(client.request("POST", "/api/write", &[], line.as_bytes()).unwrap().status, 200);
        assert_eq!(site.data(), json!([value]), "{version:?}");
    }
}

#[test]
fn large_bodies_and_answers_arrive_whole() {
    let site = Site::start(|_| {});
    let time = now() - 100_000;
    let lines: String =
        (0..100_000).map(|i| format!("clock,cluster=c,hostname=h value={} {}\n", i % 97, time + i)).collect();
    let mut client = site.connect_with(site.pair.client_config());
    // In records of all sizes, and two requests in one.
    let request = request_bytes("POST", "/api/write", &[], lines.as_bytes());
    client.send_in_pieces(&request, 10_007).unwrap();
    assert_eq!(client.answer("POST").unwrap().status, 200);
    let query = json!({"cluster": "c", "from": time, "to": time + 100_000, "queries": vec![json!({"metric": "clock", "host": "h"}); 10]});
    let query = request_bytes("GET", "/api/query", &[], query.to_string().as_bytes());
    client.send(&[query.as_slice(), &query].concat()).unwrap();
    for _ in 0..2 {
        let answer = client.answer("GET").unwrap();
        assert!(answer.body.len() > 5_000_000, "{}", answer.body.len());
        let answer = answer.json();
        for result in answer["results"].as_array().unwrap() {
            let data = result[0]["data"].as_array().unwrap();
            assert_eq!(data.len(), 100_000);
            assert!(data.iter().enumerate().all(|(i, value)| *value == json!((i % 97) as f64)));
        }
    }
}

#[test]
fn curl_and_python_are_understood() {
    let site = Site::start(|_| {});
    let url = format!("https://localhost:{}/api/write", site.daemon.port());
    let cert = site.pair.cert_file.to_str().unwrap();
    let curl =
        ["-sS", "--fail-with-body", "--cacert", cert, "--data-binary", "@-", "-w", "%{http_version}", &url];
    let output = run("curl", &curl, LINE);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "1.1", "agreed on, though curl would like HTTP/2");

    let script = "import socket, ssl, sys\n\
        context = ssl.create_default_context(cafile=sys.argv[1])\n\
        context.set_alpn_protocols(['http/1.1'])\n\
        raw = socket.create_connection(('127.0.0.1', int(sys.argv[2])))\n\
        tls = context.wrap_socket(raw, server_hostname='localhost')\n\
        print(tls.version(), tls.selected_alpn_protocol())\n\
        tls.sendall(sys.stdin.read().encode())\n\
        print(tls.recv(4096).decode().split('\\r\\n')[0])\n\
        tls.unwrap()\n";
    let port = site.daemon.port().to_string();
    let request = request_bytes("POST", "/api/write", &[], LINE.replace("040", "100").as_bytes());
    let output = run("python3", &["-c", script, cert, &port], &text(&request));
    assert_eq!(text(&output.stdout), "TLSv1.3 http/1.1\nHTTP/1.1 200 OK\n", "{}", text(&output.stderr));
    assert_eq!(site.data(), json!([1.0, 1.0]));
}

#[test]
fn a_p_521_key_serves_who_can_check_it() {
    let directory = tempfile::tempdir().unwrap();
    let (cert, key) = (directory.path().join("c.pem"), directory.path().join("k.pem"));
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let made = run("openssl", &["ecparam", "-name", "secp521r1", "-genkey", "-noout", "-out", key], "");
    assert!(made.status.success(), "{}", text(&made.stderr));
    let name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    let of_key = ["req", "-x509", "-new", "-key", key, "-out", cert, "-days", "3"];
    assert!(run("openssl", &[&of_key[..], &name].concat(), "").status.success());
    let daemon = Daemon::start_with(|config| {
        config["main"]["https-cert-file"] = json!(cert);
        config["main"]["https-key-file"] = json!(key);
    });
    let address = format!("localhost:{}", daemon.port());
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = ["s_client", "-connect", &address, version, "-CAfile", cert, "-verify_return_error"];
        let output = run("openssl", &arguments, "GET /ping HTTP/1.0\r\n\r\n");
        assert!(
            text(&output.stdout).contains("Verify return code: 0 (ok)"),
            "{version}: {}",
            text(&output.stdout)
        );
    }
    let url = format!("https://{address}/api/write");
    let output =
        run("curl", &["-sS", "--fail-with-body", "--cacert", cert, "--data-binary", "@-", &url], LINE);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn old_versions_are_refused() {
    let site = Site::start(|_| {});
    let address = format!("127.0.0.1:{}", site.daemon.port());
    for (version, works) in [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
        let arguments = ["s_client", "-connect", &address, version, "-cipher", "DEFAULT:@SECLEVEL=0"];
        let output = run("openssl", &arguments, "");
        let agreed = text(&output.stdout)
            .lines()
            .any(|line| line.starts_with("New, TLSv1") && !line.contains("(NONE)"));
        assert_eq!(agreed, works, "{version}: {}{}", text(&output.stdout), text(&output.stderr));
    }
    assert_eq!(site.data(), Value::Null);
}

#[test]
fn plain_http_is_told_to_speak_https() {
    let site = Site::start(|_| {});
    let answer = site.daemon.request("POST", "/api/write", LINE.repeat(1000));
    assert!(answer.error(400).contains("https"), "{}", answer.text());
    let mut lines = Client::connect(site.tcp_port);
    lines.send(LINE.as_bytes()).unwrap();
    assert!(lines.read_to_close().is_err(), "the line port resets who does not speak TLS");
    assert_eq!(site.data(), Value::Null);
    assert!(site.daemon.logs("does not speak TLS"), "{}", site.daemon.log());
}

#[test]
fn garbage_and_half_handshakes_are_closed_and_stop_nobody() {
    let site = Site::start(|_| {});
    let begun = Instant::now();
    let mut waiting: Vec<Client> = Vec::new();
    for first in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        for port in [site.daemon.port(), site.tcp_port] {
            for _ in 0..20 {
                let mut client = Client::connect(port);
                client.send(first).unwrap();
                waiting.push(client);
            }
        }
    }
    for garbage in
        [&b"\x16\x03\x01\xff\xff"[..], b"\x00\x00\x00", b"\x16\x03\x01\x00\x05hello", &[0xff; 5000]]
    {
        let mut client = Client::connect(site.daemon.port());
        let _ = client.send(garbage);
        let _ = client.finish_sending();
        let _ = client.read_to_close();
    }
    assert!(begun.elapsed() < HANDSHAKE_MAX / 2, "nobody waits for the half ones: {:?}", begun.elapsed());
    let mut client = site.connect_with(site.pair.client_config());
    assert_eq!(client.request("POST", "/api/write", &[], LINE.as_bytes()).unwrap().status, 200);
    for mut client in waiting {
        // Closed or reset, but ended.
        let _ = client.read_to_close();
    }
    assert!(begun.elapsed() < HANDSHAKE_MAX, "{:?}", begun.elapsed());
    assert_eq!(site.data(), json!([1.0]));
}

#[test]
fn handshakes_under_way_are_bounded() {
    // As in io/src/listen/tls.rs, and some more.
    const HANDSHAKES_MAX: usize = 1024;
    let site = Site::start(|config| config["metric-store"]["cores"] = json!(1));
    let silent: Vec<Client> = (0..HANDSHAKES_MAX).map(|_| Client::connect(site.daemon.port())).collect();
    let begun = Instant::now();
    for _ in 0..5 {
        let _ = Client::connect(site.daemon.port()).read_to_close();
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "closed at once: {:?}", begun.elapsed());
    let told = || site.daemon.log().contains("1024 handshakes are under way");
    assert!(eventually(Duration::from_secs(5), told), "{}", site.daemon.log());
    drop(silent);
    let served = || {
        let mut client = site.connect_with(site.pair.client_config());
        client.request("POST", "/api/write", &[], LINE.as_bytes()).is_ok_and(|answer| answer.status == 200)
    };
    assert!(eventually(Duration::from_secs(10), served), "room is given back");
}

#[test]
fn a_tls_stream_of_lines_is_acknowledged_by_its_close() {
    let site = Site::start(|_| {});
    let mut stream = connect(site.tcp_port, site.pair.client_config());
    let lines: String =
        (0..10).map(|i| LINE.replace("1700000040", &(1_700_000_040 + i * 60).to_string())).collect();
    stream.write_all(lines.as_bytes()).unwrap();
    assert_eq!(finish(stream).expect("closed in order"), b"");
    assert_eq!(site.data(), json!(vec![1.0; 10]));
}

#[test]
fn a_tls_stream_that_is_cut_is_not_acknowledged() {
    let site = Site::start(|_| {});
    let mut stream = connect(site.tcp_port, site.pair.client_config());
    stream.write_all(format!("{LINE}cpu_load,cluster=c,hostname=h value=2 17000001").as_bytes()).unwrap();
    stream.flush().unwrap();
    // Whoever stands between may do that: it must not pass for the end of what was sent.
    stream.sock.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    assert!(stream.sock.read_to_end(&mut rest).is_err(), "reset, not closed");
    assert!(eventually(Duration::from_secs(5), || site.data() == json!([1.0])), "{}", site.data());
}

#[test]
fn tokens_are_checked_behind_tls() {
    let issuer = Issuer::new();
    let site = Site::start(|config| config["main"]["jwt-public-key"] = json!(issuer.public_key()));
    let token = issuer.token(&json!({"exp": now() + 3600}));
    let mut client = site.connect_with(site.pair.client_config());
    client.request("POST", "/api/write", &[], LINE.as_bytes()).unwrap().error(401);
    let mut client = site.connect_with(site.pair.client_config());
    let headers = [("Authorization", &*format!("Bearer {token}"))];
    assert_eq!(client.request("POST", "/api/write", &headers, LINE.as_bytes()).unwrap().status, 200);

    let mut stream = connect(site.tcp_port, site.pair.client_config());
    stream.write_all(format!("# authorization: Bearer {token}\n{LINE}").as_bytes()).unwrap();
    assert_eq!(finish(stream).expect("closed in order"), b"");
    let mut stream = connect(site.tcp_port, site.pair.client_config());
    stream.write_all(LINE.as_bytes()).unwrap();
    assert!(finish(stream).is_err(), "without a token it is reset");
}

#[test]
fn certificates_are_read_again_on_sighup() {
    let site = Site::start(|_| {});
    let old = site.pair.client_config();
    let mut open = site.connect_with(Arc::clone(&old));
    assert_eq!(open.request("POST", "/api/write", &[], LINE.as_bytes()).unwrap().status, 200);
    let logged = |what: &str| eventually(Duration::from_secs(10), || site.daemon.log().contains(what));

    let key = std::fs::read(&site.pair.key_file).unwrap();
    std::fs::write(&site.pair.key_file, "broken").unwrap();
    site.daemon.signal("HUP");
    assert!(logged("the certificate stays as it was"), "{}", site.daemon.log());
    std::fs::write(&site.pair.key_file, key).unwrap();
    assert_eq!(site.data(), json!([1.0]), "the old pair still serves");

    Pair::make(site.pair.cert_file.parent().unwrap());
    site.daemon.signal("HUP");
    assert!(logged("get the certificate as it is now"), "{}", site.daemon.log());
    assert_eq!(site.data(), json!([1.0]), "who trusts the new one is served");
    let refused = site.connect_with(old).request("GET", "/api/debug", &[], b"");
    assert!(refused.is_err(), "who trusts the old one only is not");
    let again = open.request("POST", "/api/write", &[], LINE.as_bytes()).unwrap();
    assert_eq!(again.status, 200, "open connections stay");
}

#[test]
fn a_stop_ends_tls_connections_in_order() {
    let mut site = Site::start(|_| {});
    let mut idle = connect(site.daemon.port(), site.pair.client_config());
    idle.write_all(&request_bytes("POST", "/api/write", &[], LINE.as_bytes())).unwrap();
    let mut answer = [0; 4096];
    assert!(idle.read(&mut answer).unwrap() > 0);
    // One without a body, too: its end is another way through the daemon.
    let mut bodiless = connect(site.daemon.port(), site.pair.client_config());
    bodiless.write_all(&request_bytes("GET", "/api/debug", &[], b"")).unwrap();
    assert!(bodiless.read(&mut answer).unwrap() > 0);
    let _half = Client::connect(site.daemon.port());
    site.daemon.signal("TERM");
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).expect("closed with close_notify");
    bodiless.read_to_end(&mut rest).expect("closed with close_notify");
    let (status, took) = site.daemon.wait();
    assert!(status.success() && took < Duration::from_secs(3), "{status} after {took:?}");
}
