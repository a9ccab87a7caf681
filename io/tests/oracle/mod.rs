//! The real Prometheus beside the daemon under test, with the same samples: what it answers is right.
//!
//! Its samples come from a file in OpenMetrics, of which `promtool` makes blocks; it scrapes nothing.

pub(crate) mod answers;
pub(crate) mod questions;

use std::fmt::Write as _;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::daemon::http::{Answer, Client};
use super::daemon::{eventually, free_port};

/// How long it may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A sample: name and labels as Prometheus writes them, time, and value.
pub(crate) type Sample = (String, i64, f64);

/// The process, over a scratch directory; ends with it.
pub(crate) struct Oracle {
    directory: TempDir,
    port: u16,
    child: Child,
}

impl Oracle {
    /// Starts it with these samples; those of one metric stand together, those of one series in order.
    #[track_caller]
    pub(crate) fn start(samples: &[Sample]) -> Self {
        let directory = tempfile::tempdir().expect("a scratch directory can be made");
        let (text, data) = (directory.path().join("samples"), directory.path().join("data"));
        let mut lines = String::new();
        for (series, time, value) in samples {
            let _ = writeln!(lines, "{series} {value} {time}");
        }
        lines += "# EOF\n";
        std::fs::write(&text, lines).expect("the scratch directory is writable");
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([&text, &data])
            .output()
            .expect("promtool can be started (Debian package prometheus)");
        assert!(made.status.success(), "promtool: {}", String::from_utf8_lossy(&made.stderr));
        let config = directory.path().join("prometheus.yml");
        std::fs::write(&config, "scrape_configs: []\n").expect("the scratch directory is writable");
        let port = free_port();
        let mut child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--storage.tsdb.retention.time=100y")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus can be started (Debian package prometheus)");
        let is_ready = || {
            TcpStream::connect(("127.0.0.1", port)).is_ok_and(|stream| {
                Client::over(stream)
                    .request("GET", "/-/ready", &[], b"")
                    .is_ok_and(|answer| answer.status == 200)
            })
        };
        if !eventually(START_TIMEOUT, is_ready) {
            let _ = child.kill();
            panic!("prometheus does not get ready");
        }
        Self { directory, port, child }
    }

    /// Asks it, with a form.
    #[track_caller]
    pub(crate) fn ask(&self, path: &str, form: &str) -> Answer {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("prometheus listens");
        let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Connection", "close")];
        Client::over(stream)
            .request("POST", path, &headers, form.as_bytes())
            .unwrap_or_else(|error| panic!("{path} {form} in {}: {error}", self.directory.path().display()))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
