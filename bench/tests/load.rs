//! The program as a user runs it, against a fake daemon: in this process, or started by the program itself.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

mod fake;

use std::{
    fs::{self, File},
    io::Read,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::atomic::Ordering::SeqCst,
    thread,
    time::{Duration, Instant},
};

use fake::{Fake, Fault};
use serde_json::Value;

/// A small site: 5 hosts with 6 × 3 + 4 = 22 lines.
const SITE: [&str; 8] = ["--hosts", "5", "--threads", "6", "--thread-metrics", "3", "--node-metrics", "4"];
const LINES_PER_INTERVAL: u64 = 5 * 22;

fn load(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command.args(SITE).args(arguments);
    command
}

/// Runs the program against a fake in this process.
fn load_running(fault: Fault, arguments: &[&str]) -> (std::sync::Arc<Fake>, Output) {
    let (fake, http, tcp) = Fake::start(fault);
    let output = load(arguments)
        .args(["--addr", &http.to_string(), "--tcp-addr", &tcp.to_string()])
        .args(["--pid", &std::process::id().to_string()])
        .output()
        .unwrap();
    (fake, output)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn assert_fails(output: &Output, reason: &str) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(reason), "expected {reason:?} in: {error}");
}

#[test]
fn sends_everything_reads_it_back_and_writes_the_figures() {
    for transport in ["http", "tcp"] {
        let directory = tempfile::tempdir().unwrap();
        let json = directory.path().join("figures.json");
        let (fake, output) = load_running(
            Fault::None,
            &[
                "--transport",
                transport,
                "--intervals",
                "7",
                "--connections",
                "3",
                "--repeat",
                "2",
                "--json",
                json.to_str().unwrap(),
            ],
        );
        assert!(output.status.success(), "{}", text(&output.stderr));
        let table = text(&output.stdout);
        for part in
            ["lines per server CPU-second", "latency p99", "first interval", "medians of 2 runs", "seed 1"]
        {
            assert!(table.contains(part), "{part:?} is missing in:\n{table}");
        }
        assert_eq!(fake.lines.load(SeqCst), 2 * 7 * LINES_PER_INTERVAL);
        assert_eq!(fake.requests.load(SeqCst), if transport == "http" { 2 * 7 * 5 } else { 0 });
        let figures: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
        let run = &figures["runs"][1];
        assert_eq!(run["seed"], 2);
        assert_eq!(run["total"]["lines"], 7.0 * LINES_PER_INTERVAL as f64);
        assert_eq!(run["first_interval"]["lines"], LINES_PER_INTERVAL as f64);
        assert_eq!(run["verified_values"], 200.0 * 7.0 + 5.0 * 4.0);
        assert_eq!(figures["median"]["total"]["requests"], 35.0);
    }
}

#[test]
fn a_value_that_is_stored_wrong_or_lost_fails_the_run() {
    // 2000 draws of 110 series: that one is never drawn has a probability of 1e-8, and the seed is fixed.
    let arguments = ["--intervals", "4", "--connections", "1", "--verify-series", "2000"];
    let (_, output) = load_running(Fault::WrongValue(LINES_PER_INTERVAL + 30), &arguments);
    assert_fails(&output, "interval 1, round 1");
    let (_, output) = load_running(Fault::LostLine(2), &arguments);
    assert_fails(&output, "f0000 cpu_user hwthread 2");
}

#[test]
fn a_refused_request_is_counted_and_fails_the_run() {
    let (_, output) = load_running(Fault::Refuse(8), &["--intervals", "4"]);
    assert_fails(&output, "1 requests failed; the first: the daemon answered 400: fake refusal");
}

#[test]
fn a_daemon_that_does_not_listen_fails_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let pid = std::process::id().to_string();
    let output = load(&["--addr", &addr.to_string(), "--pid", &pid]).output().unwrap();
    assert_fails(&output, "connecting");
}

#[test]
fn at_a_fixed_rate_a_stall_is_charged_to_every_request_it_delays() {
    // 100 requests per second; one takes 400 ms, so about 30 requests are late by more than 100 ms.
    let lines_per_second = (100 * 22).to_string();
    let stall = Fault::Stall(20, Duration::from_millis(400));
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("figures.json");
    let common = ["--connections", "1", "--intervals", "30", "--json", json.to_str().unwrap()];
    let late = |arguments: &[&str]| {
        let (_, output) = load_running(stall, arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let figures: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
        figures["median"]["total"]["requests_over_100_ms"].as_f64().unwrap()
    };
    // A busy machine may delay a few more; the stall alone delays 30 when requests are due at fixed times.
    let closed_loop = late(&common);
    assert!((1.0..=5.0).contains(&closed_loop), "{closed_loop} requests were late");
    let paced = late(&[&common[..], &["--rate", &lines_per_second]].concat());
    assert!(paced >= 20.0, "{paced} requests were late");
}

#[test]
fn a_soak_ends_in_time_starts_over_and_still_reads_back() {
    let (fake, output) = load_running(Fault::None, &["--duration", "1", "--window-intervals", "5"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(fake.lines.load(SeqCst) > 5 * LINES_PER_INTERVAL, "the window was never left");
    let table = text(&output.stdout);
    assert!(table.contains("latency max"), "{table}");
}

/// A program that behaves like the daemon: this test binary, running [`fake_daemon`].
fn fake_binary(directory: &Path) -> String {
    let path = directory.join("daemon.sh");
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nFAKE_CONFIG=\"$2\" exec '{}' --ignored --exact fake_daemon --nocapture\n",
        this.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
#[ignore = "not a test: the process that the program starts in other tests"]
fn fake_daemon() {
    let Ok(path) = std::env::var("FAKE_CONFIG") else { return };
    let config: Value = serde_json::from_reader(File::open(path).unwrap()).unwrap();
    let listen = |key: &str| config["main"][key].as_str().map(|addr| TcpListener::bind(addr).unwrap());
    let fault = match &config["metric-store"]["fake-fault"] {
        Value::String(fault) if fault == "stall" => Fault::Stall(3, Duration::from_secs(3600)),
        _ => Fault::None,
    };
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]).unwrap();
    Fake::new(fault).serve(listen("addr").unwrap(), listen("tcp-addr"));
    signals.forever().next();
    std::process::exit(config["metric-store"]["fake-exit"].as_i64().unwrap_or(0) as i32);
}

#[test]
fn starts_and_stops_the_daemon_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let scratch = directory.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let binary = fake_binary(directory.path());
    let own = ["--binary", &binary, "--scratch-parent", scratch.to_str().unwrap(), "--intervals", "3"];
    for transport in ["http", "tcp"] {
        let output = load(&own).args(["--transport", transport]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("exit code 0, "), "{}", text(&output.stdout));
    }
    let output = load(&own).args(["--store-json", r#"{"fake-exit": 3}"#]).output().unwrap();
    assert_fails(&output, "exit status: 3");
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "scratch directories are left");
}

#[test]
fn an_interrupt_takes_the_daemon_and_its_directory_along() {
    let directory = tempfile::tempdir().unwrap();
    let scratch = directory.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let binary = fake_binary(directory.path());
    // The daemon hangs in its fourth request; the program waits for it when the signal comes.
    let mut load = load(&["--binary", &binary, "--scratch-parent", scratch.to_str().unwrap()])
        .args(["--store-json", r#"{"fake-fault": "stall"}"#])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let daemon = wait_for(|| child_of(load.id()));
    assert!(wait_for(|| fs::read_dir(&scratch).unwrap().next()).is_ok());
    let sent = Command::new("kill").args(["-TERM", &load.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let status = ended(&mut load);
    assert_eq!(status, Some(128 + 15));
    assert!(!Path::new(&format!("/proc/{daemon}")).exists(), "the daemon is left");
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "its directory is left");
}

/// The exit code, within a minute.
fn ended(child: &mut Child) -> Option<i32> {
    let status = wait_for(|| child.try_wait().unwrap());
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert!(error.contains("interrupted by signal 15"), "{error}");
    status.code()
}

/// The first child of a process.
fn child_of(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_ascii_whitespace().next()?.parse().ok()
}

#[track_caller]
fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited for a minute");
        thread::sleep(Duration::from_millis(1));
    }
}
