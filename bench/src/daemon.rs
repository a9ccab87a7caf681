//! A daemon started in a scratch directory with a generated configuration, and stopped whatever happens.
//!
//! The first and the last step of a run.

use std::{
    fs::{self, File},
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::Connection;
use crate::interrupt;

mod config;

/// Longest time from start to the first accepted connection.
const START_SECONDS_MAX: u64 = 60;
/// Longest time from SIGTERM to exit: it may have gigabytes of snapshots to write.
const STOP_SECONDS_MAX: u64 = 180;
/// How often start and stop are looked at.
const LOOK: Duration = Duration::from_millis(2);
/// How much of the daemon's log an error shows.
const LOG_BYTES_SHOWN: usize = 2000;

/// Why there is no daemon, or why it did not end well.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A step before the start failed.
    #[error("{doing}: {source}")]
    Prepare {
        /// What was being done.
        doing: String,
        /// What the system says.
        source: io::Error,
    },
    /// It exited before it listened.
    #[error("the daemon ended with {status} before it listened; its log ends:\n{log}")]
    Died {
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It runs but does not listen.
    #[error("the daemon did not listen on {addr} within {START_SECONDS_MAX} s; its log ends:\n{log}")]
    Deaf {
        /// Where it should listen.
        addr: SocketAddr,
        /// The end of its log.
        log: String,
    },
    /// It does not stop.
    #[error(
        "the daemon had not ended {STOP_SECONDS_MAX} s after SIGTERM and was killed; its log ends:\n{log}"
    )]
    Stuck {
        /// The end of its log.
        log: String,
    },
    /// It stopped with an error.
    #[error("the daemon ended with {status}; its log ends:\n{log}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
}

/// What to start.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The program.
    pub binary: &'a Path,
    /// The section `metrics` of its configuration.
    pub metrics: &'a Value,
    /// Merged into the section `main`.
    pub main_json: &'a Value,
    /// Merged into the section `metric-store`.
    pub store_json: &'a Value,
    /// Where the scratch directory is made.
    pub scratch_parent: Option<&'a Path>,
    /// Whether it shall take raw lines over TCP.
    pub tcp: bool,
}

/// A running daemon; dropping it kills it and removes its directory.
#[derive(Debug)]
pub struct Daemon {
    /// None once it has been waited for.
    child: Option<Child>,
    /// None only while it is dropped.
    scratch: Option<TempDir>,
    /// How it was started.
    command: Command,
    /// Its HTTP address.
    pub addr: SocketAddr,
    /// Where it takes raw lines.
    pub tcp_addr: Option<SocketAddr>,
    /// Its process.
    pub pid: u32,
}

impl Daemon {
    /// Starts a daemon with the reference's command line and waits until it accepts connections; ours has then loaded its data.
    ///
    /// # Errors
    /// See [`DaemonError`].
    pub fn start(start: Start<'_>) -> Result<Self, DaemonError> {
        let [addr, tcp_addr] = free_addrs()?;
        let tcp_addr = start.tcp.then_some(tcp_addr);
        let daemon = Self::launch(start.scratch_parent, addr, tcp_addr, |scratch| {
            let config_path = scratch.join("config.json");
            let config = config::config(&start, scratch, addr, tcp_addr);
            fs::write(&config_path, format!("{config:#}\n")).map_err(prepare("writing the configuration"))?;
            let binary = fs::canonicalize(start.binary)
                .map_err(prepare(format!("looking for the daemon {}", start.binary.display())))?;
            let mut command = Command::new(binary);
            command.arg("-config").arg(config_path).args(["-loglevel", "warn"]);
            Ok(command)
        })?;
        // Until then ours answers 503, and closes every connection with its first answer.
        let request = b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n";
        let is_loading = || {
            let answer = Connection::open(addr).and_then(|mut connection| connection.exchange(request));
            answer.is_ok_and(|answer| answer.status == 503)
        };
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while is_loading() {
            if Instant::now() > deadline {
                return Err(DaemonError::Deaf { addr, log: daemon.log() });
            }
            thread::sleep(LOOK);
        }
        Ok(daemon)
    }

    /// Starts any server in a scratch directory and waits until it accepts connections on both addresses.
    /// `command` makes its command line, and files it needs, for that directory.
    ///
    /// # Errors
    /// See [`DaemonError`].
    pub fn launch(
        scratch_parent: Option<&Path>,
        addr: SocketAddr,
        tcp_addr: Option<SocketAddr>,
        command: impl FnOnce(&Path) -> Result<Command, DaemonError>,
    ) -> Result<Self, DaemonError> {
        let mut kept = interrupt::kept();
        let parent = scratch_parent.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let scratch = tempfile::Builder::new()
            .prefix("load-")
            .tempdir_in(&parent)
            .map_err(prepare(format!("making a directory in {}", parent.display())))?;
        kept.directory = Some(scratch.path().to_path_buf());
        let log = File::create(log_path(&scratch)).map_err(prepare("making the log"))?;
        let log_too = log.try_clone().map_err(prepare("making the log"))?;
        let mut command = command(scratch.path())?;
        let child = command
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .spawn()
            .map_err(prepare(format!("starting {}", command.get_program().display())))?;
        let pid = child.id();
        kept.process = Some(process(pid));
        drop(kept);
        let mut daemon = Self { child: Some(child), scratch: Some(scratch), command, addr, tcp_addr, pid };
        daemon.wait_until_it_listens()?;
        Ok(daemon)
    }

    fn wait_until_it_listens(&mut self) -> Result<(), DaemonError> {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        for addr in [Some(self.addr), self.tcp_addr].into_iter().flatten() {
            while TcpStream::connect_timeout(&addr, Duration::from_secs(1)).is_err() {
                if let Some(status) = self.ended() {
                    return Err(DaemonError::Died { status, log: self.log() });
                }
                if Instant::now() > deadline {
                    return Err(DaemonError::Deaf { addr, log: self.log() });
                }
                thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    /// Kills it, as a crash would; its directory stays.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<(), DaemonError> {
        let mut kept = interrupt::kept();
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).map_err(prepare("killing the daemon"))?;
        }
        kept.process = None;
        Ok(())
    }

    /// Starts it again on the same directory after [`kill`](Self::kill), without waiting for anything.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start_again(&mut self) -> Result<(), DaemonError> {
        let mut kept = interrupt::kept();
        let child = self.command.spawn().map_err(prepare("starting the daemon again"))?;
        (self.pid, kept.process) = (child.id(), Some(process(child.id())));
        self.child = Some(child);
        Ok(())
    }

    /// Its directory.
    ///
    /// # Panics
    /// Never: it has one until it is dropped.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.scratch.as_ref().expect("it has one until it is dropped").path()
    }

    /// Sends SIGTERM, waits for the end, removes the directory; how long it took.
    ///
    /// # Errors
    /// When it does not end, or not with 0.
    pub fn stop(mut self) -> Result<Duration, DaemonError> {
        let began = Instant::now();
        // Not an error when it has ended already: its status tells.
        let _ = kill_process(process(self.pid), Signal::TERM);
        let deadline = began + Duration::from_secs(STOP_SECONDS_MAX);
        loop {
            if let Some(status) = self.ended() {
                let took = began.elapsed();
                let log = self.log();
                return if status.success() { Ok(took) } else { Err(DaemonError::Failed { status, log }) };
            }
            if Instant::now() > deadline {
                return Err(DaemonError::Stuck { log: self.log() });
            }
            thread::sleep(LOOK);
        }
    }

    /// The end of what it logged.
    #[must_use]
    pub fn log(&self) -> String {
        let log =
            self.scratch.as_ref().and_then(|scratch| fs::read(log_path(scratch)).ok()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_BYTES_SHOWN)..]).into_owned()
    }

    /// Its exit status, if it has ended.
    fn ended(&mut self) -> Option<ExitStatus> {
        let mut kept = interrupt::kept();
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        kept.process = None;
        self.child = None;
        Some(status)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let mut kept = interrupt::kept();
        if let Some(mut child) = self.child.take() {
            // Nothing can be done about a failure here, and the directory goes anyway.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.scratch = None;
        (kept.process, kept.directory) = (None, None);
    }
}

/// Two addresses nobody listens on. Both are held while looking, so they differ.
///
/// # Errors
/// When the system has none.
pub fn free_addrs() -> Result<[SocketAddr; 2], DaemonError> {
    let bind =
        || TcpListener::bind("127.0.0.1:0").and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (first, second) = (bind(), bind());
    let failed = prepare("looking for free ports");
    match (first, second) {
        (Ok((first, _)), Ok((second, _))) => Ok([first, second]),
        (Err(error), _) | (_, Err(error)) => Err(failed(error)),
    }
}

fn log_path(scratch: &TempDir) -> PathBuf {
    scratch.path().join("daemon.log")
}

fn process(pid: u32) -> Pid {
    Pid::from_raw(pid.cast_signed()).expect("a child has an id above 0")
}

pub(crate) fn prepare(doing: impl Into<String>) -> impl FnOnce(io::Error) -> DaemonError {
    let doing = doing.into();
    move |source| DaemonError::Prepare { doing, source }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_program_that_ends_at_once_is_reported_with_its_log() {
        let start = Start {
            binary: Path::new("/bin/ls"),
            metrics: &json!({}),
            main_json: &json!({}),
            store_json: &json!({}),
            scratch_parent: None,
            tcp: false,
        };
        let error = Daemon::start(start).unwrap_err().to_string();
        assert!(error.contains("before it listened") && error.contains("ls:"), "{error}");
    }
}
