//! The servers of a side-by-side run: how each is started, where it takes line protocol, and how it is asked how many
//! points it holds.
//!
//! Used by [`crate::compare`]. A peer runs with its defaults, except for addresses, directories, and what would
//! otherwise make it slower: access logs and its monitoring of itself.

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, DaemonError, Start, free_addrs, prepare},
    http::Connection,
    sender,
    site::{CLUSTER, Site},
    verify::{self, Sent},
};

/// How long a peer may take until what it acknowledged can be queried.
const VISIBLE_SECONDS_MAX: u64 = 60;

/// What kind of server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A metric store with the reference's command line, configuration and API.
    Store,
    /// VictoriaMetrics, single node.
    VictoriaMetrics,
    /// InfluxDB 1.x.
    InfluxDb,
}

/// One server to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name in the table.
    pub name: String,
    /// How it is spoken to.
    pub kind: Kind,
    /// The program; a bare name is looked for in `PATH`.
    pub binary: PathBuf,
    /// Merged into the section `metric-store`; only for [`Kind::Store`].
    pub store_json: Value,
}

impl Peer {
    /// Starts it in a scratch directory on free ports, ready to be written to.
    ///
    /// # Errors
    /// When it does not start; the text says what is missing.
    pub fn start(&self, site: &Site, scratch_parent: Option<&Path>) -> Result<Daemon, Box<dyn Error>> {
        let binary = find(&self.binary).ok_or_else(|| {
            format!(
                "there is no program {}; {}",
                self.binary.display(),
                match self.kind {
                    Kind::Store => "build it, or give its path",
                    Kind::VictoriaMetrics =>
                        "install the package victoria-metrics, or leave it out (--without)",
                    Kind::InfluxDb => "install the package influxdb, or leave it out (--without)",
                }
            )
        })?;
        if self.kind == Kind::Store {
            let metrics = site.metrics_json(60);
            let start = Start {
                binary: &binary,
                metrics: &metrics,
                main_json: &json!({}),
                store_json: &self.store_json,
                scratch_parent,
                tcp: false,
            };
            return Ok(Daemon::start(start)?);
        }
        let [addr, other] = free_addrs()?;
        let daemon = Daemon::launch(scratch_parent, addr, None, |scratch| {
            let mut command = Command::new(&binary);
            match self.kind {
                Kind::VictoriaMetrics => {
                    command
                        .arg(format!("-storageDataPath={}", scratch.join("data").display()))
                        .arg(format!("-httpListenAddr={addr}"))
                        .args(["-search.maxUniqueTimeseries=50000000", "-search.latencyOffset=1ms"]);
                }
                _ => {
                    let path = scratch.join("influxdb.conf");
                    fs::write(&path, influx_config(scratch, addr, other))
                        .map_err(prepare("writing the configuration"))?;
                    command.arg("-config").arg(path);
                }
            }
            Ok::<_, DaemonError>(command)
        })?;
        if self.kind == Kind::InfluxDb {
            call(addr, "POST", &format!("/query?q=CREATE%20DATABASE%20{CLUSTER}"))?;
        }
        Ok(daemon)
    }

    /// Path and query of the requests that carry lines.
    #[must_use]
    pub fn write_target(&self) -> String {
        match self.kind {
            Kind::Store => sender::write_target(),
            Kind::VictoriaMetrics => "/write?precision=s".into(),
            Kind::InfluxDb => format!("/write?db={CLUSTER}&precision=s"),
        }
    }

    /// Asks it for what was sent: a store for the values of series, others for the number of points.
    /// Returns how many points were found to be there.
    ///
    /// # Errors
    /// When something is not there a minute after the last acknowledgement.
    pub fn check(&self, addr: SocketAddr, sent: Sent<'_>, series: u32) -> Result<u64, Box<dyn Error>> {
        if self.kind == Kind::Store {
            return Ok(verify::verify(addr, sent, series)?.values);
        }
        let expected = sent.rounds.iter().sum::<u64>() * u64::from(sent.site.lines_per_host());
        let deadline = Instant::now() + Duration::from_secs(VISIBLE_SECONDS_MAX);
        loop {
            let found = match self.kind {
                Kind::VictoriaMetrics => victoria_count(addr, sent)?,
                _ => influx_count(addr)?,
            };
            if found == expected {
                return Ok(found);
            }
            if Instant::now() > deadline || found > expected {
                return Err(format!("{} holds {found} points of {expected}", self.name).into());
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// The configuration of InfluxDB 1.x: `other` is its second port.
fn influx_config(scratch: &Path, addr: SocketAddr, other: SocketAddr) -> String {
    let directory = |name: &str| scratch.join(name).display().to_string();
    format!(
        "reporting-disabled = true\nbind-address = \"{other}\"\n\
         [meta]\ndir = {:?}\n[data]\ndir = {:?}\nwal-dir = {:?}\nquery-log-enabled = false\n\
         [monitor]\nstore-enabled = false\n[http]\nbind-address = \"{addr}\"\nlog-enabled = false\n\
         [ifql]\nenabled = false\n[logging]\nlevel = \"warn\"\n",
        directory("meta"),
        directory("data"),
        directory("wal"),
    )
}

fn victoria_count(addr: SocketAddr, sent: Sent<'_>) -> Result<u64, Box<dyn Error>> {
    let timeline = sent.timeline;
    let end = timeline.slot_seconds(timeline.slots);
    let window = end - timeline.start_seconds + timeline.interval_seconds;
    let query = format!("sum(count_over_time(%7Bcluster%3D%22{CLUSTER}%22%7D%5B{window}s%5D))");
    let answer = call(addr, "GET", &format!("/api/v1/query?nocache=1&time={end}&query={query}"))?;
    let results = answer["data"]["result"].as_array().ok_or("VictoriaMetrics answered without a result")?;
    let Some(first) = results.first() else { return Ok(0) };
    let text = first["value"][1].as_str().ok_or("VictoriaMetrics answered without a count")?;
    Ok(text.parse::<f64>()? as u64)
}

fn influx_count(addr: SocketAddr) -> Result<u64, Box<dyn Error>> {
    let answer =
        call(addr, "GET", &format!("/query?db={CLUSTER}&q=SELECT%20count(value)%20FROM%20%2F.%2A%2F"))?;
    let series = answer["results"][0]["series"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(series.iter().filter_map(|series| series["values"][0][1].as_u64()).sum())
}

/// A request without a body; its answer must be 200 and JSON.
fn call(addr: SocketAddr, method: &str, target: &str) -> Result<Value, Box<dyn Error>> {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: {addr}\r\nContent-Length: 0\r\n\r\n");
    let response = Connection::open(addr)?.exchange(request.as_bytes())?;
    let quoted = || response.body[..response.body.len().min(300)].escape_ascii().to_string();
    if response.status != 200 {
        return Err(format!("{method} {target} was answered with {}: {}", response.status, quoted()).into());
    }
    serde_json::from_slice(&response.body).map_err(|_| format!("{target} gave no JSON: {}", quoted()).into())
}

/// A program by its path, or by its name in `PATH`.
fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| program.to_path_buf());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named_with_its_package() {
        let site = Site::new(&crate::options::SiteOptions {
            hosts: 1,
            threads: 1,
            thread_metrics: 1,
            node_metrics: 1,
        });
        for (kind, package) in [
            (Kind::VictoriaMetrics, "victoria-metrics"),
            (Kind::InfluxDb, "influxdb"),
            (Kind::Store, "build"),
        ] {
            let binary = PathBuf::from("no-such-program");
            let peer = Peer { name: "x".into(), kind, binary, store_json: json!({}) };
            let error = peer.start(&site, None).unwrap_err().to_string();
            assert!(error.contains("no-such-program") && error.contains(package), "{error}");
        }
        assert!(find(Path::new("sh")).is_some_and(|path| path.is_absolute()));
    }
}
