//! A standard error that nobody reads stops nothing: no ingest, no stop. What is lost of the log is told.
#![expect(clippy::unwrap_used, reason = "a test fails where something is missing")]

mod daemon;

use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write, pipe};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use daemon::http::Client;
use daemon::prometheus::Page;
use daemon::{BINARY, Killed, default_config, eventually, free_port, now, write_config};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde_json::json;
use std::os::fd::AsRawFd;

/// A daemon whose standard error is the pipe.
fn start(directory: &Path, port: u16, level: &str, stderr: &PipeWriter) -> Killed {
    let mut config = default_config(directory, port);
    config["metric-store"]["cores"] = json!(1);
    write_config(directory, &config);
    let child = Command::new(BINARY)
        .args(["-config", "config.json", "-loglevel", level])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.try_clone().unwrap())
        .spawn()
        .unwrap();
    Killed(child)
}

#[track_caller]
fn wait_until_ready(port: u16) {
    let is_ready = || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
            && Client::connect(port)
                .request("GET", "/ready", &[], b"")
                .is_ok_and(|answer| answer.status == 200)
    };
    assert!(eventually(Duration::from_secs(30), is_ready), "the daemon runs");
}

fn set_blocking(pipe: &impl AsRawFd, is_blocking: bool) {
    let flags = if is_blocking { OFlag::empty() } else { OFlag::O_NONBLOCK };
    fcntl(pipe.as_raw_fd(), FcntlArg::F_SETFL(flags)).unwrap();
}

/// Puts into the pipe what it takes.
fn fill(stderr: &mut PipeWriter) {
    set_blocking(stderr, false);
    for piece in [1024, 1] {
        while stderr.write(&[b'x'; 1024][..piece]).is_ok() {}
    }
    set_blocking(stderr, true);
}

/// What the pipe holds by now.
fn drain(reader: &mut PipeReader) -> String {
    let (mut text, mut piece) = (Vec::new(), [0; 65536]);
    set_blocking(reader, false);
    loop {
        match reader.read(&mut piece) {
            Ok(bytes) => text.extend_from_slice(&piece[..bytes]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return String::from_utf8_lossy(&text).into_owned();
            }
        }
    }
}

/// Requests that are no HTTP, each of which is a line of the log when debugging.
fn provoke(port: u16, lines: usize) {
    for _ in 0..lines {
        let mut client = Client::connect(port);
        client.send(b"hello\r\n\r\n").unwrap();
        assert_eq!(client.answer("GET").unwrap().status, 400);
    }
}

#[track_caller]
fn ends(daemon: &mut Killed) -> i32 {
    let pid = nix::unistd::Pid::from_raw(daemon.0.id().try_into().unwrap());
    let kill = Command::new("kill").arg(pid.to_string()).status().unwrap();
    assert!(kill.success());
    let mut code = None;
    let ended = eventually(Duration::from_secs(15), || {
        code = daemon.0.try_wait().unwrap();
        code.is_some()
    });
    assert!(ended, "SIGTERM is obeyed");
    code.unwrap().code().expect("no signal ended it")
}

#[test]
fn a_full_pipe_stops_neither_ingest_nor_the_stop() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let (_reader, mut stderr) = pipe().unwrap();
    let mut daemon = start(directory.path(), port, "debug", &stderr);
    wait_until_ready(port);
    fill(&mut stderr);
    provoke(port, 30);
    let mut client = Client::connect(port);
    for index in 0..10 {
        let line = format!("cpu_load,cluster=c,hostname=h value={index} {}\n", now() - 600 + 60 * index);
        assert_eq!(client.request("POST", "/api/write", &[], line.as_bytes()).unwrap().status, 200);
    }
    assert_eq!(ends(&mut daemon), 0);
}

#[test]
fn what_is_lost_is_counted_and_told_when_somebody_reads_again() {
    const DROPPED: &str = "cc_metric_store_log_lines_dropped_total";
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let (mut reader, mut stderr) = pipe().unwrap();
    let mut daemon = start(directory.path(), port, "debug", &stderr);
    wait_until_ready(port);
    let dropped = || {
        let page = Client::connect(port).request("GET", "/metrics", &[], b"").unwrap();
        Page::parse(&page.text()).value(DROPPED)
    };
    assert_eq!(dropped(), 0.0);
    fill(&mut stderr);
    // More than the queue takes.
    provoke(port, 1100);
    let lost = dropped();
    assert!(lost > 50.0, "{lost}");
    let mut log = String::new();
    let told = eventually(Duration::from_secs(10), || {
        log += &drain(&mut reader);
        log.contains("lines of the log are lost")
    });
    assert!(told, "{}", &log[log.len().saturating_sub(500)..]);
    assert!(log.lines().all(|line| line.starts_with('<') || line.starts_with('x')), "lines are whole");
    // The last words are out before the process ends.
    assert_eq!(ends(&mut daemon), 0);
    let last = drain(&mut reader);
    assert!(last.contains("stopped after"), "{last}");
}

#[test]
fn a_start_does_not_wait_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let (_reader, mut stderr) = pipe().unwrap();
    fill(&mut stderr);
    let mut daemon = start(directory.path(), port, "info", &stderr);
    wait_until_ready(port);
    assert_eq!(ends(&mut daemon), 0);
}
