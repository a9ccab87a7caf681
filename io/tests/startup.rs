//! The command line and the configuration file as an operator meets them (SPEC section 7).

mod daemon;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use daemon::http::Client;
use daemon::{BINARY, Daemon, Finished, Killed, default_config, eventually, free_port, run, write_config};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// Where the daemon listens when there is no configuration file.
const DEFAULT_PORT: u16 = 8082;

/// Starts the daemon with a changed configuration that it must refuse.
#[track_caller]
fn refused(change: impl Fn(&mut Value)) -> String {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let mut config = default_config(directory.path(), free_port());
    change(&mut config);
    write_config(directory.path(), &config);
    refusal(&run(&["-config", "config.json"], directory.path()))
}

/// Asserts that the program ended with an error and without a panic; returns what it said.
#[track_caller]
fn refusal(finished: &Finished) -> String {
    assert!(finished.code.is_some_and(|code| code != 0), "it must end with an error: {finished:?}");
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    assert!(!finished.stderr.trim().is_empty(), "it says why");
    finished.stderr.clone()
}

#[test]
fn unknown_keys_are_named() {
    let said = refused(|config| config["metric-store"]["retenshun"] = json!("48h"));
    assert!(said.contains("retenshun"), "{said}");
    let said = refused(|config| config["main"]["adr"] = json!("x"));
    assert!(said.contains("adr"), "{said}");
    let said = refused(|config| config["metrics"]["cpu_load"]["frequenzy"] = json!(1));
    assert!(said.contains("frequenzy"), "{said}");
    let said = refused(|config| config["metric-store"]["cleanup"]["mod"] = json!("delete"));
    assert!(said.contains("mod"), "{said}");
}

#[test]
fn wrong_values_are_named() {
    for duration in ["48", "two days", "", "-1h", "1y"] {
        let said = refused(|config| config["metric-store"]["retention-in-memory"] = json!(duration));
        assert!(said.contains("retention-in-memory"), "{duration:?}: {said}");
    }
    let said = refused(|config| {
        config["metric-store"].as_object_mut().unwrap().remove("retention-in-memory");
    });
    assert!(said.contains("retention-in-memory"), "it is required: {said}");
    for frequency in [json!(0), json!(-60), json!("60")] {
        let said = refused(|config| config["metrics"]["cpu_user"]["frequency"] = frequency.clone());
        assert!(said.contains("cpu_user") || said.contains("frequency"), "{frequency}: {said}");
    }
    let said = refused(|config| config["metrics"]["cpu_user"]["aggregation"] = json!("median"));
    assert!(said.contains("aggregation") || said.contains("median"), "{said}");
    for address in ["nonsense", "127.0.0.1", "127.0.0.1:99999"] {
        let said = refused(|config| config["main"]["addr"] = json!(address));
        assert!(said.contains(address), "{said}");
    }
    let said = refused(|config| config["metric-store"]["checkpoints"] = json!(7));
    assert!(said.contains("checkpoints"), "{said}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let said = refusal(&run(&["-config", "not-there.json"], directory.path()));
    assert!(said.contains("not-there.json"), "{said}");
    std::fs::write(directory.path().join("broken.json"), "{\"main\": {").unwrap();
    let said = refusal(&run(&["-config", "broken.json"], directory.path()));
    assert!(said.contains("broken.json"), "{said}");
    let said = refused(|config| {
        config.as_object_mut().unwrap().remove("metrics");
        config["metrics-file"] = json!("nowhere.json");
    });
    assert!(said.contains("nowhere.json"), "{said}");
}

#[test]
fn a_section_may_be_in_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let metrics = directory.path().join("metrics.json");
    std::fs::write(&metrics, r#"{"elsewhere": {"frequency": 60, "aggregation": "sum"}}"#).unwrap();
    let daemon = Daemon::start_with(|config| {
        config.as_object_mut().unwrap().remove("metrics");
        config["metrics-file"] = json!(metrics);
    });
    daemon.write("elsewhere,cluster=c,hostname=h value=1 1700000040\n");
    assert_eq!(daemon.data("c", "h", "elsewhere", 1_700_000_040, 1_700_000_100), json!([1.0]));
}

#[test]
fn everything_the_reference_accepts_starts() {
    let daemon = Daemon::start_with(|config| {
        config["main"]["backend-url"] = json!("http://127.0.0.1:9");
        config["main"]["debug"] = json!({"dump-to-file": "", "gops": false});
        config["nats"] = json!({"address": "nats://127.0.0.1:9", "username": "u", "password": "p"});
        let store = &mut config["metric-store"];
        store["checkpoints"]["max-wal-size"] = json!(1_000_000_000);
        store["checkpoint-interval"] = json!("1h30m");
        store["num-workers"] = json!(0);
        store["memory-cap"] = json!(0);
        store["nats-subscriptions"] = json!([{"subscribe-to": "hpc-nats", "cluster-tag": "fritz"}]);
    });
    daemon.write("cpu_load,cluster=c,hostname=h value=1 1700000040\n");
    assert_eq!(daemon.data("c", "h", "cpu_load", 1_700_000_040, 1_700_000_100), json!([1.0]));
}

#[test]
fn the_command_line_is_that_of_the_reference() {
    let directory = tempfile::tempdir().unwrap();
    for flag in ["-version", "--version"] {
        let finished = run(&[flag], directory.path());
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(finished.stdout.contains(env!("CARGO_PKG_VERSION")), "{finished:?}");
    }
    for arguments in [&["-nonsense"][..], &["--nonsense"], &["-config"]] {
        let finished = run(arguments, directory.path());
        assert!(finished.code.is_some_and(|code| code != 0), "{arguments:?}: {finished:?}");
        assert!(!finished.stderr.trim().is_empty(), "{arguments:?} is explained");
    }
    let unknown = run(&["-nonsense"], directory.path());
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("nonsense"), "{}", unknown.stderr);
    for flag in ["-h", "-help", "--help"] {
        let help = run(&[flag], directory.path());
        assert_eq!(help.code, Some(0), "{flag}: {help:?}");
        let text = help.stdout + &help.stderr;
        for name in ["config", "loglevel", "logdate", "version", "dev", "gops", "cleanup-checkpoints"] {
            assert!(text.contains(name), "{flag} does not mention -{name}: {text}");
        }
    }
}

#[test]
fn without_any_configuration_file_it_serves_on_the_default_port() {
    if let Err(error) = TcpListener::bind(("127.0.0.1", DEFAULT_PORT)) {
        eprintln!("skipped: port {DEFAULT_PORT} is in use here ({error})");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let child = Command::new(BINARY).current_dir(&directory).stderr(Stdio::null()).spawn().unwrap();
    let daemon = Killed(child);
    let listens =
        eventually(Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", DEFAULT_PORT)).is_ok());
    let answer = listens.then(|| {
        // A connection each: what is answered while the daemon starts closes its connection.
        let request = |method, path, body: &[u8]| Client::connect(DEFAULT_PORT).request(method, path, &[], body).unwrap();
        request("POST", "/api/write", b"cpu_load,cluster=c,hostname=h value=1 1700000040\n");
        let query = br#"{"cluster":"c","from":1700000040,"to":1700000100,"queries":[{"metric":"cpu_load","host":"h"}]}"#;
        request("GET", "/api/query", query)
    });
    drop(daemon);
    let answer = answer.expect("it listens on the default port");
    assert_eq!(answer.json()["results"][0][0]["data"], json!([1.0]), "cpu_load is a metric of the default");
}

#[test]
fn check_config_prints_what_would_be_used_and_starts_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let config = default_config(directory.path(), free_port());
    write_config(directory.path(), &config);
    let good = run(&["-config", "config.json", "-check-config"], directory.path());
    assert_eq!(good.code, Some(0), "{good:?}");
    let printed: Value = serde_json::from_str(&good.stdout).expect("it is JSON");
    assert_eq!(printed["main"]["addr"], config["main"]["addr"]);
    assert_eq!(printed["metric-store"]["wal"]["sync"], json!("always"), "defaults are shown");
    assert!(!directory.path().join("checkpoints").exists() && !directory.path().join("wal").exists());
    // What it prints is a configuration, and the same one.
    write_config(directory.path(), &printed);
    let again = run(&["-config", "config.json", "-check-config"], directory.path());
    assert_eq!((again.code, &again.stdout), (Some(0), &good.stdout));

    for (change, named) in [
        (json!({"main": {"adr": "x"}}), "\"adr\""),
        (json!({"main": {"user": "no-such-user"}}), "main.user"),
        (json!({"main": {"jwt-public-key": "a2V5"}}), "main.jwt-public-key"),
        (
            json!({"main": {"https-cert-file": "/no.pem", "https-key-file": "/no.pem"}}),
            "main.https-cert-file",
        ),
        (json!({"checkpoints": {}}), "both layouts"),
    ] {
        let mut bad = config.clone();
        for (section, keys) in change.as_object().unwrap() {
            for (key, value) in keys.as_object().unwrap() {
                bad[section][key] = value.clone();
            }
            if keys.as_object().unwrap().is_empty() {
                bad[section] = json!({});
            }
        }
        write_config(directory.path(), &bad);
        let finished = run(&["-config", "config.json", "-check-config"], directory.path());
        assert_eq!(finished.code, Some(1), "{named}: {finished:?}");
        assert!(finished.stderr.contains(named) && finished.stdout.is_empty(), "{named}: {finished:?}");
    }
}

#[test]
fn a_configuration_of_before_version_1_5_starts_with_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let old = json!({
        "metrics": {"cpu_load": {"frequency": 60, "aggregation": null}},
        "checkpoints": {"interval": "12h", "directory": directory.path().join("checkpoints"), "restore": "48h"},
        "archive": {"interval": "50h", "directory": directory.path().join("archive"), "delete-instead": true},
        "http-api": {"address": format!("127.0.0.1:{port}"), "https-cert-file": null, "https-key-file": null},
        "retention-in-memory": "48h", "nats": null
    });
    write_config(directory.path(), &old);
    let checked = run(&["-config", "config.json", "-check-config"], directory.path());
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(
        checked.stderr.contains("<4>") && checked.stderr.contains("before version 1.5"),
        "{}",
        checked.stderr
    );
    assert!(checked.stderr.contains("\"metric-store\": {"), "the new form is shown: {}", checked.stderr);
    let mut child = Command::new(BINARY)
        .args(["-config", "config.json"])
        .current_dir(&directory)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let listens = eventually(Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let line = b"cpu_load,cluster=c,hostname=h value=1 1700000040\n";
    let answer = listens.then(|| Client::connect(port).request("POST", "/api/write", &[], line));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(answer.expect("it listens on the old address").unwrap().status, 200);
}

#[test]
fn a_second_daemon_on_the_same_data_is_refused() {
    let first = Daemon::start();
    let mut config = first.config().clone();
    let port = free_port();
    config["main"]["addr"] = json!(format!("127.0.0.1:{port}"));
    std::fs::write(first.path().join("second.json"), config.to_string()).unwrap();
    let said = refusal(&run(&["-config", "second.json"], first.path()));
    let directory = first.path().file_name().unwrap().to_string_lossy().into_owned();
    assert!(said.contains(&directory), "the directory in use is named: {said}");
    first.assert_answers();
}

#[test]
fn a_second_daemon_on_the_same_port_is_refused() {
    let first = Daemon::start();
    let other = tempfile::tempdir().unwrap();
    write_config(other.path(), &default_config(other.path(), first.port()));
    let said = refusal(&run(&["-config", "config.json"], other.path()));
    assert!(said.contains(&first.port().to_string()), "the port in use is named: {said}");
    first.assert_answers();
}

#[test]
fn a_port_that_becomes_free_is_waited_for() {
    let mut daemon = Daemon::start();
    daemon.kill();
    let taken = bound(daemon.port());
    // As long as the socket of a killed daemon lingers, at worst.
    let freed = thread::spawn(move || {
        thread::sleep(Duration::from_millis(400));
        drop(taken);
        Instant::now()
    });
    daemon.restart();
    assert!(freed.join().unwrap() < Instant::now(), "it listens only once the port is free");
    daemon.assert_answers();
}

/// Takes a port whose last owner was killed a moment ago, without listening: who connects is refused.
fn bound(port: u16) -> Socket {
    let addr = SocketAddr::from(([127, 0, 0, 1], port)).into();
    let mut taken = None;
    daemon::eventually(Duration::from_secs(5), || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("sockets can be made");
        taken = socket.bind(&addr).is_ok().then_some(socket);
        taken.is_some()
    });
    taken.expect("the port becomes free")
}

#[test]
fn log_lines_carry_systemd_priorities() {
    let mut daemon = Daemon::start();
    daemon.write(format!("cpu_load,cluster=c,hostname=h value=1 {}\n", daemon::now() + 100_000));
    daemon.signal("TERM");
    daemon.wait();
    let log = daemon.log();
    assert!(log.lines().any(|line| line.starts_with("<4>[WARNING]")), "{log}");
    for line in log.lines() {
        let marked =
            line.len() > 3 && line.starts_with('<') && line[1..].starts_with(|c: char| c.is_ascii_digit());
        assert!(marked, "without a priority: {line:?}");
    }
}
