//! The systemd unit and the container profile: well formed, tight, and enough for a daemon that really runs.
//!
//! The filters of system calls are put on the daemon itself (`io/tests/python/under_seccomp.py`).

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::daemon::http::Client;
use crate::daemon::{BINARY, default_config, eventually, free_port, now, write_config};
use crate::{read, root, run_tool, said};

const UNIT: &str = "configs/cc-metric-store.service";
const PROFILE: &str = "configs/seccomp.json";
/// Of ten, by `systemd-analyze security`: 1.4 when this was written.
const EXPOSURE_MAX: &str = "20";

/// The unit with a path of the binary that exists here.
fn unit_here(directory: &Path) -> String {
    let path = directory.join("cc-metric-store.service");
    fs::write(&path, read(UNIT).replace("/usr/bin/cc-metric-store", BINARY)).expect("it is writable");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn systemd_understands_the_unit() {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let unit = unit_here(directory.path());
    let output = run_tool("systemd-analyze", &["verify", "--man=no", &unit], "systemd");
    // It also complains about units of the machine it runs on.
    let complaints: Vec<String> =
        said(&output).lines().filter(|line| line.contains("cc-metric-store")).map(str::to_owned).collect();
    assert_eq!(complaints, Vec::<String>::new());
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let output = run_tool(
        "systemd-analyze",
        &["security", "--no-pager", "--offline=true", &threshold, &unit],
        "systemd",
    );
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn the_unit_says_what_the_daemon_needs() {
    let unit = read(UNIT);
    for line in [
        "Type=notify",
        "WatchdogSec=60",
        "LimitMEMLOCK=infinity",
        "LimitNOFILE=1048576",
        "StateDirectory=cc-metric-store",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
    ] {
        assert!(unit.lines().any(|found| found == line), "{UNIT} has no line {line}");
    }
}

/// The daemon under a filter; killed when its test ends.
struct Confined {
    child: Child,
    log: PathBuf,
}

impl Confined {
    fn start(directory: &Path, filter: &[&str], port: u16) -> Self {
        let mut config = default_config(directory, port);
        config["main"]["tcp-addr"] = json!(format!("127.0.0.1:{}", free_port()));
        let config = write_config(directory, &config);
        let log = directory.join("log");
        let child = Command::new("python3")
            .arg(root().join("io/tests/python/under_seccomp.py"))
            .args(filter)
            .arg(BINARY)
            .args(["-loglevel", "info", "-config"])
            .arg(config)
            .current_dir(root())
            .stdin(Stdio::null())
            .stderr(fs::File::create(&log).expect("it is writable"))
            .spawn()
            .expect("python3 runs; install it: apt-get install python3");
        Self { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("it is there")
    }

    fn ended(&mut self) -> Option<i32> {
        let mut code = None;
        assert!(
            eventually(Duration::from_secs(20), || {
                code = self.child.try_wait().expect("it can be waited for");
                code.is_some()
            }),
            "{}",
            self.log()
        );
        code.and_then(|status| status.code())
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the daemon on this port has loaded its data.
fn is_ready(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
        && Client::connect(port).request("GET", "/ready", &[], &[]).is_ok_and(|answer| answer.status == 200)
}

/// Write, query, stop with its checkpoint, and a second start that loads.
#[track_caller]
fn lives_under(filter: &[&str]) {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let time = now() - 60;
    for round in 0..2 {
        let port = free_port();
        let mut daemon = Confined::start(directory.path(), filter, port);
        assert!(eventually(Duration::from_secs(30), || is_ready(port)), "{}", daemon.log());
        let mut client = Client::connect(port);
        if round == 0 {
            let line = format!("cpu_load,cluster=c,hostname=h value=7 {time}\n");
            let answer = client.request("POST", "/api/write", &[], line.as_bytes()).expect("an answer");
            assert_eq!(answer.status, 200, "{}", daemon.log());
        }
        let query = json!({"cluster": "c", "from": time, "to": time + 60, "with-padding": false,
            "queries": [{"metric": "cpu_load", "host": "h"}]});
        let answer =
            client.request("POST", "/api/query", &[], query.to_string().as_bytes()).expect("an answer");
        assert_eq!(answer.json()["results"][0][0]["data"], json!([7.0]), "round {round}: {}", daemon.log());
        let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", daemon.child.id())]).status();
        assert!(kill.expect("sh runs").success());
        assert_eq!(daemon.ended(), Some(0), "{}", daemon.log());
        let bad = |line: &&str| {
            line.contains("[ERROR]") || line.contains("[CRITICAL]") || line.contains("[WARNING]")
        };
        assert_eq!(daemon.log().lines().filter(bad).collect::<Vec<_>>(), Vec::<&str>::new());
    }
    assert!(directory.path().join("checkpoints/c/h").is_dir(), "a snapshot was written");
}

#[test]
fn the_daemon_lives_under_the_units_filter() {
    lives_under(&["--unit", UNIT]);
}

#[test]
fn the_daemon_lives_under_the_container_profile() {
    lives_under(&["--profile", PROFILE]);
}

#[test]
fn without_io_uring_it_says_what_to_allow() {
    for filter in [["--unit", UNIT], ["--profile", PROFILE]] {
        let directory = tempfile::tempdir().expect("a scratch directory can be made");
        let filter = [&filter[..], &["--without", "io_uring_setup"]].concat();
        let mut daemon = Confined::start(directory.path(), &filter, free_port());
        assert_eq!(daemon.ended(), Some(1), "{}", daemon.log());
        let log = daemon.log();
        assert!(
            log.contains("io_uring_setup") && log.contains("seccomp") && !log.contains("panicked"),
            "{log}"
        );
    }
}

#[test]
fn the_profile_forbids_what_is_not_needed() {
    let profile: Value = serde_json::from_str(&read(PROFILE)).expect("JSON");
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let names: Vec<&str> = profile["syscalls"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["names"].as_array().expect("names"))
        .map(|name| name.as_str().expect("a name"))
        .collect();
    for name in ["io_uring_setup", "io_uring_enter", "io_uring_register", "membarrier"] {
        assert!(names.contains(&name), "{name}");
    }
    for name in
        ["ptrace", "mount", "bpf", "unshare", "setns", "keyctl", "kexec_load", "init_module", "chroot"]
    {
        assert!(!names.contains(&name), "{name}");
    }
    let image = read("docs/operations/container.md");
    assert!(
        image.contains("seccomp=configs/seccomp.json") && read("Dockerfile").contains("\nUSER 8082:8082\n")
    );
}
