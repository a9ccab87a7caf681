//! Runs the real binary for the end-to-end tests: a scratch directory, a configuration, a process, its log.
//!
//! Every test starts a daemon of its own on ports of its own, so tests run in parallel. The daemon is killed when
//! its test ends, and what it logged is printed when the test failed.

#![allow(dead_code, reason = "every test file uses another part of the harness")]

pub(crate) mod disk;
pub(crate) mod http;
pub(crate) mod issuer;
pub(crate) mod prometheus;
pub(crate) mod python;
pub(crate) mod random;
pub(crate) mod scenario;
pub(crate) mod tls;

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use http::{Answer, Client};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_cc-metric-store");

/// How long a daemon may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What a daemon logs once it listens.
const LISTENING: &str = "HTTP on ";
/// What a daemon logs once everything is loaded.
const RUNNING: &str = " cores are running";
/// How long a process that is expected to end by itself may take.
const EXIT_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two looks at a process or a port, for which there is no event to wait for.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Most starts that are tried when another program takes the port in between.
const START_ATTEMPTS_MAX: usize = 5;

/// One daemon process over one scratch directory; restartable on the same data.
pub(crate) struct Daemon {
    directory: TempDir,
    config: Value,
    flags: Vec<String>,
    port: u16,
    child: Child,
    log: Log,
}

impl Daemon {
    /// Starts a daemon with the metrics and the store section of the recorded scenarios.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// Starts a daemon whose configuration (the whole file) was changed by `change` first.
    #[track_caller]
    pub(crate) fn start_with(change: impl Fn(&mut Value)) -> Self {
        Self::start_on(|_, config| change(config))
    }

    /// Starts a daemon whose scratch directory and configuration were changed by `change` first.
    #[track_caller]
    pub(crate) fn start_on(change: impl Fn(&Path, &mut Value)) -> Self {
        Self::start_until(RUNNING, &[], change)
    }

    /// The same, but does not wait until the data is loaded.
    #[track_caller]
    pub(crate) fn start_early(change: impl Fn(&mut Value)) -> Self {
        Self::start_until(LISTENING, &[], |_, config| change(config))
    }

    /// Starts a daemon with these flags.
    #[track_caller]
    pub(crate) fn start_with_flags(flags: &[&str]) -> Self {
        Self::start_until(RUNNING, flags, |_, _| {})
    }

    #[track_caller]
    fn start_until(logged: &str, flags: &[&str], change: impl Fn(&Path, &mut Value)) -> Self {
        let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
        let mut said = String::new();
        for _ in 0..START_ATTEMPTS_MAX {
            let directory = tempfile::tempdir().expect("a scratch directory can be made");
            let port = free_port();
            let mut config = default_config(directory.path(), port);
            change(directory.path(), &mut config);
            match launch(directory.path(), &config, logged, &flags) {
                Ok((child, log)) => return Self { directory, config, flags, port, child, log },
                Err(text) => said = text,
            }
        }
        panic!("the daemon does not start: {said}");
    }

    /// Starts the daemon again, on the same data and ports, after it has ended.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.kill();
        // The kernel takes rings apart behind the end of their process, and the listening sockets with them: until
        // then a connection succeeds and is reset.
        let is_refused = || TcpStream::connect(("127.0.0.1", self.port)).is_err();
        assert!(eventually(START_TIMEOUT, is_refused), "something else listens on {}", self.port);
        let (child, log) = launch(self.directory.path(), &self.config, RUNNING, &self.flags)
            .unwrap_or_else(|said| panic!("restart: {said}"));
        self.child = child;
        self.log = log;
    }

    /// Starts the daemon again after its configuration (the whole file) was changed.
    #[track_caller]
    pub(crate) fn restart_with(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.config);
        self.restart();
    }

    /// Ends it in order, as systemd would, and looks at its exit code.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        let (status, _) = self.wait();
        assert!(status.success(), "a clean stop: {status}");
    }

    /// Where the snapshots are.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.path().join("checkpoints")
    }

    /// Where the log is by default.
    pub(crate) fn wal(&self) -> PathBuf {
        self.path().join("wal")
    }

    /// The HTTP port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The configuration it was started with.
    pub(crate) fn config(&self) -> &Value {
        &self.config
    }

    /// Its scratch directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Whether it logs this text: lines wait in a queue, so one can come after the answer that it belongs to.
    pub(crate) fn logs(&self, text: &str) -> bool {
        eventually(Duration::from_secs(10), || self.log().contains(text))
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// A new connection to the HTTP port.
    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn request(&self, method: &str, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request_with(method, path, &[], body)
    }

    /// One request with headers of the caller on a connection of its own.
    #[track_caller]
    pub(crate) fn request_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Answer {
        self.connect()
            .request(method, path, headers, body.as_ref())
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Writes line protocol that must be accepted.
    #[track_caller]
    pub(crate) fn write(&self, lines: impl AsRef<[u8]>) {
        let answer = self.request("POST", "/api/write/", lines);
        assert_eq!(answer.status, 200, "write: {}", answer.text());
    }

    /// Asks a query that must be answered.
    #[track_caller]
    pub(crate) fn query(&self, query: &Value) -> Value {
        let answer = self.request("GET", "/api/query/?version=v2", query.to_string());
        assert_eq!(answer.status, 200, "query: {}", answer.text());
        answer.json()
    }

    /// The data of one series of a host in `[from, to)` without padding; `Null` when there is none.
    #[track_caller]
    pub(crate) fn data(&self, cluster: &str, host: &str, metric: &str, from: i64, to: i64) -> Value {
        let query = json!({"cluster": cluster, "from": from, "to": to, "with-padding": false,
            "queries": [{"metric": metric, "host": host}]});
        self.query(&query)["results"][0][0]["data"].clone()
    }

    /// Asserts that the daemon runs and answers.
    #[track_caller]
    pub(crate) fn assert_answers(&self) {
        let answer =
            self.request("GET", "/api/healthcheck/", r#"{"cluster":"alive","nodes":[],"metric-names":[]}"#);
        assert_eq!((answer.status, answer.json()), (200, json!({})));
    }

    /// Sends a signal by its name, for example `TERM`.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &command]).status().expect("sh runs");
        assert!(status.success(), "{command}");
    }

    /// Waits for its end; returns how it ended and how long that took.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let status = wait_for_exit(&mut self.child).expect("the daemon ends");
        (status, started.elapsed())
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself; both calls then have nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many file descriptors it has open.
    pub(crate) fn open_files(&self) -> usize {
        let listing =
            std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("/proc lists descriptors");
        listing.count()
    }

    /// The most memory it has had resident at any time.
    pub(crate) fn memory_bytes_max(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("/proc knows the process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("/proc names VmHWM");
        let kibibytes: usize = line.trim_end_matches("kB").trim().parse().expect("VmHWM is in kB");
        kibibytes * 1024
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("---- the daemon logged ----\n{}---- end of its log ----", self.log.text());
        }
    }
}

/// A process that ends with its test: one that is left behind holds the test's output open.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a finished command left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its exit code; `None` when a signal ended it or it had to be killed for not ending.
    pub(crate) code: Option<i32>,
    /// What it wrote to stdout.
    pub(crate) stdout: String,
    /// What it wrote to stderr.
    pub(crate) stderr: String,
}

/// Runs the binary with these arguments in `directory` and waits for its end.
#[track_caller]
pub(crate) fn run(arguments: &[&str], directory: &Path) -> Finished {
    let mut child = Command::new(BINARY)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let stdout = Log::read(child.stdout.take().expect("stdout is piped"));
    let stderr = Log::read(child.stderr.take().expect("stderr is piped"));
    let status = wait_for_exit(&mut child);
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    Finished {
        code: status.and_then(|status| status.code()),
        stdout: stdout.finish(),
        stderr: stderr.finish(),
    }
}

/// The configuration of the recorded scenarios over `directory`, listening on `port`.
pub(crate) fn default_config(directory: &Path, port: u16) -> Value {
    json!({
        "main": {"addr": format!("127.0.0.1:{port}")},
        "metrics": {
            "cpu_load":  {"frequency": 60, "aggregation": null},
            "cpu_user":  {"frequency": 60, "aggregation": "avg"},
            "flops_any": {"frequency": 60, "aggregation": "sum"},
            "mem_bw":    {"frequency": 60, "aggregation": "sum"},
            "acc_power": {"frequency": 30, "aggregation": "sum"},
            "ipc":       {"frequency": 10, "aggregation": "avg"},
            "mem_used":  {"frequency": 60, "aggregation": null},
            "clock":     {"frequency": 1,  "aggregation": "avg"},
        },
        "metric-store": {
            "checkpoints": {"file-format": "wal", "directory": directory.join("checkpoints")},
            "memory-cap": 8,
            "retention-in-memory": "48h",
            "cleanup": {"mode": "archive", "directory": directory.join("archive")},
        },
    })
}

/// Writes the configuration into `directory` and returns the path of the file.
#[track_caller]
pub(crate) fn write_config(directory: &Path, config: &Value) -> PathBuf {
    let path = directory.join("config.json");
    std::fs::write(&path, config.to_string()).expect("the scratch directory is writable");
    path
}

/// A port that nothing listens on now.
///
/// Below the range the kernel gives to outgoing connections: those of parallel tests could take a port of that
/// range between this look and the daemon's bind. No port is given out twice by one test process.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let offset = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + offset.wrapping_add(turn) % COUNT).expect("FIRST + COUNT fits u16");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Seconds since the epoch.
pub(crate) fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    i64::try_from(elapsed.as_secs()).expect("the clock fits i64")
}

/// Waits until `condition` holds, for what gives no event to wait for; false when it never does in `timeout`.
pub(crate) fn eventually(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(POLL_INTERVAL);
    }
    true
}

/// Starts a daemon and waits until it has `logged` that.
fn launch(directory: &Path, config: &Value, logged: &str, flags: &[String]) -> Result<(Child, Log), String> {
    let config_path = write_config(directory, config);
    let mut child = Command::new(BINARY)
        .arg("-config")
        .arg(config_path)
        .args(["-loglevel", "info"])
        .args(flags)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let log = Log::read(child.stderr.take().expect("stderr is piped"));
    let mut ended = false;
    let has_logged = eventually(START_TIMEOUT, || {
        ended = child.try_wait().expect("the child can be waited for").is_some();
        ended || log.text().contains(logged)
    });
    if has_logged && !ended {
        return Ok((child, log));
    }
    let _ = child.kill();
    let status = child.wait().expect("the child can be waited for");
    Err(format!("{status}\n{}", log.finish()))
}

fn wait_for_exit(child: &mut Child) -> Option<ExitStatus> {
    let mut status = None;
    eventually(EXIT_TIMEOUT, || {
        status = child.try_wait().expect("the child can be waited for");
        status.is_some()
    });
    status
}

/// What a process writes, collected while it runs.
struct Log {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: thread::JoinHandle<()>,
}

impl Log {
    fn read(mut source: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let target = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut piece) {
                target.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&piece[..length]);
            }
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// The whole text, once the process has ended.
    fn finish(self) -> String {
        let _ = self.reader.join();
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}
