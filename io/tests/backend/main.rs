//! Retention with a backend (SPEC section 6): what it spares stays in memory and on disk, also over a
//! restart; without its answer nothing goes.

mod cc_backend;
#[path = "../daemon/mod.rs"]
mod daemon;

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cc_backend::CcBackend;
use daemon::{Daemon, eventually, now, run};
use engine::checkpoint::{SnapshotEncoder, SnapshotSink};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};

/// Of cc-backend's API user.
const TOKEN: &str = "hidden-token";
const HOUR: i64 = 3600;
const TIMEOUT: Duration = Duration::from_secs(20);

fn url(port: u16) -> Value {
    // As people write it; the answer comes from the same place.
    json!(format!("http://127.0.0.1:{port}/"))
}

/// A port that refuses connections.
fn closed_port() -> u16 {
    let port = daemon::free_port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    port
}

/// Writes a snapshot of three samples, this many seconds old; returns when the first is.
fn put_snapshot(root: &Path, host: &str, age_seconds: i64) -> i64 {
    let from = (now() - age_seconds) / 60 * 60;
    let mut encoder = SnapshotEncoder::new(from, from + HOUR);
    encoder.series("mem_bw", 60, from, [1.0, 2.0, 3.0]);
    let path = root.join(format!("c/{host}/{from}.bin"));
    fs::create_dir_all(path.parent().expect("it is in a directory")).expect("it can be made");
    fs::write(&path, encoder.finish().0).expect("it can be written");
    let modified = SystemTime::now() - Duration::from_secs((age_seconds - HOUR).unsigned_abs());
    File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_modified(modified))
        .expect("it is there");
    from
}

fn snapshots(root: &Path, host: &str) -> usize {
    let files = fs::read_dir(root.join("c").join(host)).into_iter().flatten().flatten();
    files.filter(|entry| entry.path().extension().is_some_and(|end| end == "bin")).count()
}

/// A daemon that keeps two seconds and asks this backend, with samples of two hosts.
fn daemon_of_two_hosts(port: u16) -> (Daemon, i64) {
    let daemon = Daemon::start_with(|config| {
        config["main"]["backend-url"] = url(port);
        config["main"]["backend-token"] = json!(TOKEN);
        config["metric-store"]["retention-in-memory"] = json!("2s");
        // Only what is in snapshots is freed.
        config["metric-store"]["checkpoint-interval"] = json!("1s");
    });
    let time = now();
    daemon.write(format!(
        "clock,cluster=c,hostname=spared value=1 {time}\nclock,cluster=c,hostname=other value=2 {time}\n"
    ));
    (daemon, time)
}

#[test]
fn hosts_with_jobs_keep_their_data_and_the_others_do_not() {
    let backend = CcBackend::start_with_token(json!({"c": ["spared"], "d": null}), TOKEN);
    let (daemon, time) = daemon_of_two_hosts(backend.port);
    let held = |host| daemon.data("c", host, "clock", time, time + 1);
    assert!(eventually(TIMEOUT, || held("other").is_null()), "{}", held("other"));
    assert_eq!(held("spared"), json!([1.0]));
    // The question of the start is for what is to be loaded.
    let asked = backend.asked();
    let last = asked.last().expect("it was asked");
    let ts: i64 = last
        .strip_prefix("GET /api/jobs/used_nodes?ts=")
        .and_then(|rest| rest.split_once(' '))
        .and_then(|(ts, _)| ts.parse().ok())
        .unwrap_or_else(|| panic!("{last}"));
    assert!((time - 2..=now() - 2).contains(&ts), "{ts} is not now - retention, {time}");
    assert!(last.to_lowercase().contains("authorization: bearer hidden-token\r\n"), "{last}");
    assert!(!daemon.log().contains(TOKEN));
    assert!(!daemon.log().contains("does not say which hosts"), "{}", daemon.log());

    // Its jobs are over.
    backend.use_nodes(json!({}));
    assert!(eventually(TIMEOUT, || held("spared").is_null()), "{}", held("spared"));
}

#[test]
fn every_form_of_a_list_is_understood() {
    let backend = CcBackend::start(json!({"c": ["spared"]}));
    let (daemon, _) = daemon_of_two_hosts(backend.port);
    let held = |host: &str, time: i64| daemon.data("c", host, "clock", time, time + 1);
    // Large enough to come in chunks.
    let many: Vec<String> =
        (0..2000).map(|host| format!("h{host:04}")).chain(["spared".to_owned()]).collect();
    type Form<'a> = (&'a str, Box<dyn Fn() + 'a>, bool);
    let forms: [Form<'_>; 5] = [
        ("in chunks", Box::new(|| backend.use_nodes(json!({"a": null, "c": many}))), true),
        ("null", Box::new(|| backend.use_nodes(Value::Null)), false),
        ("bare", Box::new(|| backend.say(200, "{\"a\":[],\"c\":[\"spared\"]}")), true),
        ("bare null", Box::new(|| backend.say(200, "null\n")), false),
        ("empty", Box::new(|| backend.use_nodes(json!({"c": []}))), false),
    ];
    for (name, say, is_spared) in forms {
        say();
        let time = now();
        daemon.write(format!(
            "clock,cluster=c,hostname=spared value=1 {time}\nclock,cluster=c,hostname=other value=2 {time}\n"
        ));
        assert!(eventually(TIMEOUT, || held("other", time).is_null()), "{name}");
        if is_spared {
            assert_eq!(held("spared", time), json!([1.0]), "{name}");
        } else {
            assert!(eventually(TIMEOUT, || held("spared", time).is_null()), "{name}");
        }
    }
    assert!(!daemon.log().contains("does not say which hosts"), "{}", daemon.log());
}

#[test]
fn without_a_valid_token_nothing_is_freed_and_the_error_says_what_to_do() {
    let backend = CcBackend::start_with_token(json!({}), "another-token");
    let (daemon, time) = daemon_of_two_hosts(backend.port);
    let freed_nothing = "nothing is freed or removed this time";
    assert!(eventually(TIMEOUT, || daemon.log().matches(freed_nothing).count() >= 4), "{}", daemon.log());
    assert_eq!(daemon.data("c", "other", "clock", time, time + 1), json!([2.0]));
    let log = daemon.log();
    for said in ["401 Unauthorized", "unauthorized (please login first)", "main.backend-token"] {
        assert!(log.contains(said), "{log}");
    }
    assert!(!log.contains("hidden-token"), "{log}");
}

#[test]
fn the_token_may_come_from_the_environment() {
    let backend = CcBackend::start_with_token(json!({}), TOKEN);
    let mut daemon = Daemon::start();
    daemon.stop();
    let mut config = daemon.config().clone();
    config["main"]["backend-url"] = url(backend.port);
    daemon::write_config(daemon.path(), &config);
    let file = daemon.path().join("token");
    fs::write(&file, format!("{TOKEN}\n")).expect("it can be written");
    let clean_up = |name: &str, value: &std::ffi::OsStr| {
        let done = std::process::Command::new(daemon::BINARY)
            .args(["-config", "config.json", "-cleanup-checkpoints"])
            .env(name, value)
            .current_dir(daemon.path())
            .output()
            .expect("the binary runs");
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    for (name, value) in [("CC_BACKEND_TOKEN", TOKEN.as_ref()), ("CC_BACKEND_TOKEN_FILE", file.as_os_str())] {
        let (is_done, said) = clean_up(name, value);
        assert!(is_done, "{name}: {said}");
    }
    assert!(!clean_up("CC_BACKEND_TOKEN", "wrong".as_ref()).0);
    fs::write(&file, "\n").expect("it can be written");
    let (is_done, said) = clean_up("CC_BACKEND_TOKEN_FILE", file.as_os_str());
    assert!(!is_done && said.contains("CC_BACKEND_TOKEN_FILE: cannot use"), "{said}");
}

#[test]
fn without_an_answer_nothing_is_freed_and_a_warning_says_so() {
    let backend = CcBackend::start(json!({}));
    backend.say(503, "{}");
    let (daemon, time) = daemon_of_two_hosts(backend.port);
    let warnings = || daemon.log().matches("nothing is freed or removed this time").count();
    for (status, body) in [(503, "{}"), (200, "<html>"), (200, "{\"c\": [7]}")] {
        backend.say(status, body);
        let before = warnings();
        // One question may be under way.
        assert!(eventually(TIMEOUT, || warnings() >= before + 3), "{status} {body}");
    }
    assert_eq!(daemon.data("c", "other", "clock", time, time + 1), json!([2.0]));
    backend.use_nodes(json!({}));
    assert!(eventually(TIMEOUT, || daemon.data("c", "other", "clock", time, time + 1).is_null()));
}

#[test]
fn spared_hosts_survive_restarts_on_disk_and_in_memory() {
    let backend = CcBackend::start(json!({"c": ["spared"]}));
    let mut daemon = Daemon::start();
    daemon.stop();
    let root = daemon.checkpoints();
    let oldest = put_snapshot(&root, "spared", 40 * HOUR);
    for age in [30 * HOUR, 20 * HOUR] {
        put_snapshot(&root, "spared", age);
    }
    for age in [40 * HOUR, 30 * HOUR, 20 * HOUR] {
        put_snapshot(&root, "other", age);
    }
    let use_backend = |port: u16| {
        move |config: &mut Value| {
            config["main"]["backend-url"] = url(port);
            config["metric-store"]["retention-in-memory"] = json!("10h");
            config["metric-store"]["checkpoint-interval"] = json!("1h");
        }
    };
    let held = |daemon: &Daemon, host: &str| daemon.data("c", host, "mem_bw", oldest, oldest + 180);
    daemon.restart_with(use_backend(backend.port));
    assert_eq!(held(&daemon, "spared"), json!([1.0, 2.0, 3.0]));
    assert!(held(&daemon, "other").is_null());

    // The backend is down: the last answer counts, and nothing is removed.
    let closed = closed_port();
    daemon.restart_with(use_backend(closed));
    assert_eq!(held(&daemon, "spared"), json!([1.0, 2.0, 3.0]), "{}", daemon.log());
    assert!(daemon.logs("loading what the last answer spared, 1 hosts"), "{}", daemon.log());
    daemon.stop();
    let clean_up = |daemon: &Daemon| {
        run(&["-config", "config.json", "-loglevel", "info", "-cleanup-checkpoints"], daemon.path())
    };
    let done = clean_up(&daemon);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("nothing is archived or deleted"), "{}", done.stderr);
    assert_eq!((snapshots(&root, "spared"), snapshots(&root, "other")), (3, 3));

    // It is back.
    daemon.restart_with(use_backend(backend.port));
    daemon.stop();
    let done = clean_up(&daemon);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!((snapshots(&root, "spared"), snapshots(&root, "other")), (3, 0), "{}", done.stderr);
    assert!(done.stderr.contains("9 samples archived in 1 files"), "{}", done.stderr);
    daemon.restart();
    assert_eq!(held(&daemon, "spared"), json!([1.0, 2.0, 3.0]));

    daemon.stop();
    backend.use_nodes(json!({}));
    let done = clean_up(&daemon);
    assert!(done.stderr.contains("9 samples archived in 1 files"), "{}", done.stderr);
    assert_eq!(snapshots(&root, "spared"), 0);
}

#[test]
fn a_running_daemon_archives_nothing_of_spared_hosts() {
    let backend = CcBackend::start(json!({"c": ["spared"]}));
    let mut daemon = Daemon::start();
    daemon.stop();
    let root = daemon.checkpoints();
    for host in ["spared", "other"] {
        put_snapshot(&root, host, 20 * HOUR);
    }
    daemon.restart_with(|config| {
        config["main"]["backend-url"] = url(backend.port);
        config["metric-store"]["retention-in-memory"] = json!("2s");
        config["metric-store"]["checkpoint-interval"] = json!("1h");
    });
    assert!(eventually(TIMEOUT, || snapshots(&root, "other") == 0));
    assert_eq!(snapshots(&root, "spared"), 1);
    backend.use_nodes(json!({}));
    assert!(eventually(TIMEOUT, || snapshots(&root, "spared") == 0));
}

#[test]
fn https_is_checked_against_what_the_system_trusts() {
    let key =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
    let certificates = vec![key.cert.der().clone()];
    let private = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()).into();
    let tls = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .expect("the certificate is sound");
    let backend = CcBackend::start_with("{}", None, Some(Arc::new(tls)));
    let daemon = {
        let mut daemon = Daemon::start();
        daemon.stop();
        daemon.restart_with(|config| {
            config["main"]["backend-url"] = json!(format!("https://localhost:{}", backend.port));
        });
        daemon.stop();
        daemon
    };
    assert!(daemon.logs("cc-backend does not say which hosts to spare"), "{}", daemon.log());
    assert!(backend.asked().is_empty(), "not even the question is sent to whom nobody trusts");
    let trusted = daemon.path().join("trusted.pem");
    fs::write(&trusted, key.cert.pem()).expect("it can be written");
    let done = std::process::Command::new(daemon::BINARY)
        .args(["-config", "config.json", "-cleanup-checkpoints"])
        .env("SSL_CERT_FILE", &trusted)
        .current_dir(daemon.path())
        .output()
        .expect("the binary runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(backend.asked().len(), 1);
}

#[test]
fn a_url_that_is_none_is_an_error_of_the_start() {
    let mut daemon = Daemon::start();
    daemon.stop();
    let mut config = daemon.config().clone();
    config["main"]["backend-url"] = json!("backend.example.org");
    daemon::write_config(daemon.path(), &config);
    let done = run(&["-config", "config.json"], daemon.path());
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("main.backend-url"), "{}", done.stderr);
}
