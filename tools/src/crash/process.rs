//! The daemon as a process over one data directory, and the little HTTP that its tests need.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

/// How long a start may take, whatever has to be recovered.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks whether the daemon listens, for which there is no event to wait for.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// No answer in this time: the daemon is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    port: u16,
}

/// What the daemon is started with.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The binary.
    pub binary: PathBuf,
    /// Where configuration and its log of messages (`daemon.log`) go.
    pub directory: PathBuf,
    /// Where its data goes.
    pub data: PathBuf,
    /// `wal.sync`.
    pub sync: String,
    /// `checkpoint-interval`, a Go duration.
    pub checkpoint_interval: String,
}

impl Setting {
    /// Starts it with so many cores and waits until it has loaded its data: before that, every answer closes its connection.
    ///
    /// # Errors
    /// It ends or is not ready in time; the text names its log.
    pub fn start(&self, cores: usize) -> io::Result<Process> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let config = self.directory.join("config.json");
        fs::write(&config, self.config(port, cores).to_string())?;
        let log_path = self.directory.join("daemon.log");
        let log = File::options().create(true).append(true).open(&log_path)?;
        let child = Command::new(&self.binary)
            .arg("-config")
            .arg(&config)
            .args(["-loglevel", "info"])
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut process = Process { child, port };
        let deadline = Instant::now() + START_TIMEOUT;
        while !is_ready(port) {
            let ended = process.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let text = format!("the daemon does not start ({ended:?}): see {}", log_path.display());
                return Err(io::Error::other(text));
            }
            thread::sleep(LOOK_INTERVAL);
        }
        Ok(process)
    }

    fn config(&self, port: u16, cores: usize) -> serde_json::Value {
        json!({
            "main": {"addr": format!("127.0.0.1:{port}")},
            "metrics": {"clock": {"frequency": 1, "aggregation": "avg"}},
            "metric-store": {
                "checkpoints": {"directory": self.data.join("checkpoints")},
                "checkpoint-interval": self.checkpoint_interval,
                "retention-in-memory": "87600h",
                "wal": {"sync": self.sync},
                "cores": cores,
            },
        })
    }
}

impl Process {
    /// Ends it at once. What it has acknowledged must survive.
    pub fn kill(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends it in order, as an administrator would.
    ///
    /// # Errors
    /// It cannot be asked to, or ends with an error.
    pub fn stop(&mut self) -> io::Result<()> {
        let asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        let ended = self.child.wait()?;
        if asked.success() && ended.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("the daemon does not stop in order: {ended}")))
        }
    }

    /// Its HTTP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The values of a series of cluster `crash` in `[from, to)`; empty if there are none.
    ///
    /// # Errors
    /// No answer, or none that is as SPEC section 4 says.
    pub fn values(&self, host: &str, from: i64, to: i64) -> io::Result<(i64, Vec<Option<f64>>)> {
        let query =
            json!({"cluster": "crash", "from": from, "to": to, "with-padding": false, "with-stats": false,
            "queries": [{"metric": "clock", "host": host}]})
            .to_string();
        let mut stream = connect(self.port)?;
        // HTTP/1.0: the answer ends with the connection.
        write!(
            stream,
            "GET /api/query HTTP/1.0\r\nHost: x\r\nContent-Length: {}\r\n\r\n{query}",
            query.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(0);
        let is_ok = answer.get(9..12) == Some(b"200");
        if !is_ok {
            return Err(io::Error::other(format!("query: {}", String::from_utf8_lossy(&answer))));
        }
        let answer: serde_json::Value = serde_json::from_slice(&answer[head_end..])?;
        let result = &answer["results"][0][0];
        let data = result["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok((result["from"].as_i64().unwrap_or(from), data.iter().map(serde_json::Value::as_f64).collect()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection that writes one batch after the other.
#[derive(Debug)]
pub struct Writer {
    stream: BufReader<TcpStream>,
    request: String,
}

impl Writer {
    /// Connects.
    ///
    /// # Errors
    /// The daemon is gone.
    pub fn connect(port: u16) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(connect(port)?), request: String::new() })
    }

    /// Posts lines and returns the status of the answer.
    ///
    /// # Errors
    /// The daemon is gone: the lines may or may not have reached it.
    pub fn post(&mut self, lines: &str) -> io::Result<u16> {
        self.request.clear();
        let length = lines.len();
        let head = format_args!("POST /api/write HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        self.request.write_fmt(head).map_err(io::Error::other)?;
        self.request.push_str(lines);
        self.stream.get_mut().write_all(self.request.as_bytes())?;
        let (mut status, mut body_bytes) = (None, 0);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if status.is_none() {
                status = line.get(9..12).and_then(|digits| digits.parse().ok());
            } else if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                body_bytes = length.trim().parse().map_err(io::Error::other)?;
            } else if line.is_empty() {
                break;
            }
        }
        io::copy(&mut self.stream.by_ref().take(body_bytes), &mut io::sink())?;
        status.ok_or_else(|| io::Error::other("an answer without a status"))
    }
}

/// Whether `/ready` is answered with 200.
fn is_ready(port: u16) -> bool {
    let mut answer = [0; 12];
    let asked = connect(port).and_then(|mut stream| {
        stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n")?;
        stream.read_exact(&mut answer)
    });
    asked.is_ok() && answer.ends_with(b" 200")
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(stream)
}

/// Bytes of all files below a directory.
#[must_use]
pub fn directory_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let bytes = |entry: fs::DirEntry| {
        let path = entry.path();
        if path.is_dir() {
            directory_bytes(&path)
        } else {
            entry.metadata().map_or(0, |metadata| metadata.len())
        }
    };
    entries.flatten().map(bytes).sum()
}
