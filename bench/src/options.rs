//! The command line of the load generator.
//!
//! The first step of a run; everything after it works from [`Options`].

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Command, error::ErrorKind, value_parser};
use serde_json::Value;

use crate::{
    sender::Transport,
    timeline::{SPAN_SECONDS_MAX, WINDOW_INTERVALS_DEFAULT},
};

/// Most series a run may have; their lines are all kept in memory, 100 bytes each.
const SERIES_MAX: u64 = 40_000_000;

/// The size of the simulated site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteOptions {
    /// Hosts.
    pub hosts: u32,
    /// Hardware threads per host.
    pub threads: u32,
    /// Metrics per hardware thread.
    pub thread_metrics: u32,
    /// Metrics of the node as a whole.
    pub node_metrics: u32,
}

/// Which daemon to drive.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Start one in a scratch directory.
    Start {
        /// The program.
        binary: PathBuf,
        /// Merged into the section `main` of its configuration.
        main_json: Value,
        /// Merged into the section `metric-store`.
        store_json: Value,
        /// Where the scratch directory is made; none: the system's temporary directory.
        scratch_parent: Option<PathBuf>,
    },
    /// One that runs already.
    Running {
        /// Its HTTP address.
        addr: SocketAddr,
        /// Where it takes raw lines.
        tcp_addr: Option<SocketAddr>,
        /// Its process, for CPU time and memory.
        pid: u32,
    },
}

/// How long a run lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So many intervals.
    Intervals(u32),
    /// Until time is over, in a window of simulated time (see [`crate::timeline`]).
    Duration {
        /// Wall time.
        time: Duration,
        /// Intervals after which simulated time starts over.
        window_intervals: u32,
    },
}

/// Everything a run needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The daemon.
    pub target: Target,
    /// What is sent.
    pub site: SiteOptions,
    /// How long.
    pub extent: Extent,
    /// Simulated seconds between intervals.
    pub interval_seconds: u32,
    /// Concurrent connections; hosts are dealt out to them.
    pub connections: u32,
    /// How lines travel.
    pub transport: Transport,
    /// Lines per second over all connections; none: as fast as the daemon takes them.
    pub rate_lines_per_second: Option<f64>,
    /// Seed of the first run's values; each further run takes the next.
    pub seed: u64,
    /// How many runs.
    pub repeat: u32,
    /// Random series to read back.
    pub verify_series: u32,
    /// Where all figures are written as JSON.
    pub json: Option<PathBuf>,
    /// Print the `metrics` section a running daemon needs, and do nothing else.
    pub print_config: bool,
}

impl Options {
    /// Reads a command line, program name first.
    ///
    /// # Errors
    /// A [`clap::Error`] that says what to change; also for `--help`.
    pub fn parse(
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let mut command = command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        Self::from_matches(&matches).map_err(|what| command.error(ErrorKind::ValueValidation, what))
    }

    fn from_matches(matches: &ArgMatches) -> Result<Self, String> {
        let number = |name: &str| *matches.get_one::<u32>(name).expect("has a default");
        let path = |name: &str| matches.get_one::<PathBuf>(name).cloned();
        let transport = match matches.get_one::<String>("transport").map(String::as_str) {
            Some("tcp") => Transport::Tcp,
            _ => Transport::Http,
        };
        let target = match matches.get_one::<SocketAddr>("addr") {
            Some(&addr) => Target::Running {
                addr,
                tcp_addr: matches.get_one("tcp-addr").copied(),
                pid: *matches.get_one("pid").expect("required with addr"),
            },
            None => Target::Start {
                binary: path("binary").expect("has a default"),
                main_json: object(matches, "main-json")?,
                store_json: store_json(matches)?,
                scratch_parent: path("scratch-parent"),
            },
        };
        if transport == Transport::Tcp && matches!(target, Target::Running { tcp_addr: None, .. }) {
            return Err("--transport tcp with --addr needs --tcp-addr".into());
        }
        let extent = match matches.get_one::<u32>("duration") {
            Some(&seconds) => Extent::Duration {
                time: Duration::from_secs(seconds.into()),
                window_intervals: number("window-intervals"),
            },
            None => Extent::Intervals(number("intervals")),
        };
        let options = Self {
            target,
            site: SiteOptions {
                hosts: number("hosts"),
                threads: number("threads"),
                thread_metrics: number("thread-metrics"),
                node_metrics: number("node-metrics"),
            },
            extent,
            interval_seconds: number("interval-seconds"),
            connections: number("connections"),
            transport,
            rate_lines_per_second: matches.get_one::<u32>("rate").map(|&rate| f64::from(rate)),
            seed: *matches.get_one("seed").expect("has a default"),
            repeat: number("repeat"),
            verify_series: number("verify-series"),
            json: path("json"),
            print_config: matches.get_flag("print-config"),
        };
        options.check()?;
        Ok(options)
    }

    /// How many different timestamps the run uses.
    #[must_use]
    pub fn slots(&self) -> u32 {
        match self.extent {
            Extent::Intervals(intervals) => intervals,
            Extent::Duration { window_intervals, .. } => window_intervals,
        }
    }

    fn check(&self) -> Result<(), String> {
        let span_seconds = i64::from(self.slots()) * i64::from(self.interval_seconds);
        if span_seconds > SPAN_SECONDS_MAX {
            return Err(format!(
                "{} intervals of {} s are {span_seconds} s, at most {SPAN_SECONDS_MAX} s fit into a retention of 48 h",
                self.slots(),
                self.interval_seconds
            ));
        }
        if self.connections > self.site.hosts {
            return Err(format!("{} connections for {} hosts", self.connections, self.site.hosts));
        }
        let site = self.site;
        let per_host =
            u64::from(site.threads) * u64::from(site.thread_metrics) + u64::from(site.node_metrics);
        let series = u64::from(site.hosts) * per_host;
        if !(1..=SERIES_MAX).contains(&series) {
            return Err(format!("{series} series; possible are 1 to {SERIES_MAX}"));
        }
        Ok(())
    }
}

/// `--store-json`, with `--cores` in it.
fn store_json(matches: &ArgMatches) -> Result<Value, String> {
    let mut store = object(matches, "store-json")?;
    if let Some(&cores) = matches.get_one::<u32>("cores") {
        store["cores"] = Value::from(cores);
    }
    Ok(store)
}

fn object(matches: &ArgMatches, name: &str) -> Result<Value, String> {
    let Some(text) = matches.get_one::<String>(name) else { return Ok(Value::Object(Default::default())) };
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(format!("--{name} is not a JSON object")),
        Err(error) => Err(format!("--{name}: {error}")),
    }
}

fn command() -> Command {
    let number = |name: &'static str,
                  default: &'static str,
                  range: std::ops::RangeInclusive<i64>,
                  help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("N")
            .default_value(default)
            .help(help)
            .value_parser(value_parser!(u32).range(range))
    };
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let path = |name: &'static str, value: &'static str, help: &'static str| {
        text(name, value, help).value_parser(value_parser!(PathBuf))
    };
    Command::new("load")
        .about("Sends line protocol to a metric store, measures it, and reads back what it sent")
        .arg(
            path("binary", "PATH", "daemon to start in a scratch directory")
                .default_value("target/release/cc-metric-store"),
        )
        .arg(text("main-json", "JSON", "merged into the section main of its configuration"))
        .arg(text("store-json", "JSON", "merged into the section metric-store of its configuration"))
        .arg(
            text(
                "cores",
                "N",
                "cores the daemon uses (metric-store.cores); half of the machine's unless given",
            )
            .value_parser(value_parser!(u32).range(1..=1024)),
        )
        .arg(path("scratch-parent", "DIR", "where the scratch directory is made"))
        .arg(
            text("addr", "HOST:PORT", "drive the daemon that listens here instead")
                .value_parser(value_parser!(SocketAddr))
                .requires("pid")
                .conflicts_with_all(["main-json", "store-json", "scratch-parent", "cores"]),
        )
        .arg(
            text("tcp-addr", "HOST:PORT", "where that daemon takes raw lines")
                .value_parser(value_parser!(SocketAddr))
                .requires("addr"),
        )
        .arg(text("pid", "PID", "process of that daemon").value_parser(value_parser!(u32)).requires("addr"))
        .arg(number("hosts", "200", 1..=100_000, "hosts"))
        .arg(number("threads", "72", 0..=4096, "hardware threads per host"))
        .arg(number("thread-metrics", "10", 0..=1000, "metrics per hardware thread"))
        .arg(number("node-metrics", "20", 0..=1000, "metrics per node"))
        .arg(number("intervals", "20", 1..=i64::from(u32::MAX), "intervals to send"))
        .arg(
            text("duration", "SECONDS", "send for so long instead")
                .value_parser(value_parser!(u32).range(1..))
                .conflicts_with("intervals"),
        )
        .arg(
            number(
                "window-intervals",
                "500",
                1..=i64::from(u32::MAX),
                "with --duration: intervals after which simulated time starts over",
            )
            .requires("duration"),
        )
        .arg(number("interval-seconds", "60", 1..=86_400, "simulated seconds between intervals"))
        .arg(number("connections", "4", 1..=1024, "concurrent connections"))
        .arg(
            text("transport", "NAME", "how lines travel").value_parser(["http", "tcp"]).default_value("http"),
        )
        .arg(
            text(
                "rate",
                "LINES_PER_S",
                "fixed rate over all connections; latencies count from when a request was due",
            )
            .value_parser(value_parser!(u32).range(1..)),
        )
        .arg(text("seed", "N", "seed of all values").value_parser(value_parser!(u64)).default_value("1"))
        .arg(number("repeat", "1", 1..=1000, "runs; their medians are printed too"))
        .arg(number(
            "verify-series",
            "200",
            1..=1_000_000,
            "random series to read back with all their intervals",
        ))
        .arg(path("json", "FILE", "write all figures here"))
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("print the metrics section a running daemon needs, and exit"),
        )
}

const _: () = assert!(WINDOW_INTERVALS_DEFAULT as i64 * 60 < SPAN_SECONDS_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let all = std::iter::once("load").chain(arguments.iter().copied());
        Options::parse(all).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_the_load_every_figure_is_measured_with() {
        let options = parse(&[]).unwrap();
        assert_eq!(
            options.site,
            SiteOptions { hosts: 200, threads: 72, thread_metrics: 10, node_metrics: 20 }
        );
        assert_eq!(options.extent, Extent::Intervals(20));
        assert_eq!((options.connections, options.transport), (4, Transport::Http));
        assert_eq!(options.rate_lines_per_second, None);
    }

    #[test]
    fn cores_go_into_the_configuration_beside_what_else_is_given() {
        let options = parse(&["--cores", "1", "--store-json", r#"{"memory-cap": 64}"#]).unwrap();
        let Target::Start { store_json, .. } = options.target else { panic!("a daemon is started") };
        assert_eq!(store_json, serde_json::json!({"cores": 1, "memory-cap": 64}));
    }

    #[test]
    fn a_duration_gets_the_documented_window() {
        let options = parse(&["--duration", "600"]).unwrap();
        let time = Duration::from_secs(600);
        assert_eq!(options.extent, Extent::Duration { time, window_intervals: WINDOW_INTERVALS_DEFAULT });
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_reason() {
        for (arguments, reason) in [
            (&["--intervals", "3000"][..], "retention"),
            (&["--connections", "300"], "300 connections for 200 hosts"),
            (&["--threads", "0", "--node-metrics", "0"], "0 series"),
            (&["--addr", "127.0.0.1:1"], "--pid"),
            (&["--addr", "127.0.0.1:1", "--pid", "1", "--transport", "tcp"], "--tcp-addr"),
            (&["--store-json", "[]"], "not a JSON object"),
            (&["--store-json", "{"], "--store-json"),
            (&["--intervals", "3", "--duration", "3"], "cannot be used with"),
            (&["--window-intervals", "3"], "--duration"),
            (&["--rate", "0"], "--rate"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(reason), "{arguments:?}: {error}");
        }
    }
}
