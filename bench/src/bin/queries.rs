//! Measures round trips of queries over loopback HTTP against a day and more of minutes, and what the largest query does
//! to ingest.
//!
//! `cargo build --release && target/release/queries`. Loads 28.6 million values through the daemon first. Each query is
//! checked once per host it is asked of, then measured on one keep-alive connection; the time is from the first byte
//! of the request to the last of the answer, the reading of a long answer by this program included.

use std::{
    error::Error,
    net::SocketAddr,
    path::PathBuf,
    process::{self, ExitCode},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use bench::{
    daemon::{Daemon, Start},
    http::Connection,
    interrupt,
    options::{Extent, Options},
    pace,
    procfs::Usage,
    query_set::{MINUTES, Query, SITE},
    report, sender, session,
    site::Site,
    steady::{Steady, latencies_ns},
    timeline::Timeline,
    worker::histogram,
};
use clap::{Arg, Command, value_parser};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Longest stall of ingest while the largest query runs, in milliseconds.
const STALL_GOAL_MS: f64 = 10.0;
/// Hosts that queries of few hosts are asked of in turn.
const HOSTS_IN_TURN: u32 = 40;
/// Connections that write while the largest query is asked for, and requests a second of all of them.
const WRITERS: u32 = 8;
const WRITES_PER_SECOND: u32 = 200;
const SEED: u64 = 1;

fn main() -> ExitCode {
    let matches = Command::new("queries")
        .about("Measures queries over a day of minutes")
        .arg(
            Arg::new("binary")
                .long("binary")
                .value_name("PATH")
                .default_value("target/release/cc-metric-store")
                .help("a store with the reference's command line")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("store-json")
                .long("store-json")
                .value_name("JSON")
                .default_value("{}")
                .help("merged into the section metric-store (the reference needs {\"memory-cap\": 64})")
                .value_parser(|text: &str| serde_json::from_str::<Value>(text)),
        )
        .arg(
            Arg::new("seconds")
                .long("seconds")
                .value_name("N")
                .default_value("3")
                .help("how long each query is measured, at least five times")
                .value_parser(value_parser!(u64).range(1..=600)),
        )
        .get_matches();
    let binary = matches.get_one::<PathBuf>("binary").expect("has a default");
    let store_json = matches.get_one::<Value>("store-json").expect("has a default");
    let time = Duration::from_secs(*matches.get_one("seconds").expect("has a default"));
    report::exit_code(queries(binary, store_json, time))
}

fn queries(binary: &std::path::Path, store_json: &Value, time: Duration) -> Result<(), Box<dyn Error>> {
    interrupt::install()?;
    pace::sleep_precisely();
    let mut load = Options::parse(["queries"])?;
    (load.site, load.extent) = (SITE, Extent::Intervals(MINUTES));
    // Bodies are small here: many connections share commits, or loading would be most of the run.
    load.connections = 32;
    let site = Site::new(&SITE);
    let mut metrics = site.metrics_json(60);
    metrics[site.line(0).metric]["aggregation"] = json!("sum");
    let daemon = Daemon::start(Start {
        binary,
        metrics: &metrics,
        main_json: &json!({}),
        store_json,
        scratch_parent: None,
        tcp: false,
    })?;
    let (timeline, loaded) = session::fill(&load, &site, SEED, &daemon)?;
    println!(
        "loaded {} values in {:.1} s, server CPU {:.1} s; RSS {:.0} MB, {:.2} bytes of growth per value\n",
        loaded.total.lines,
        loaded.total.wall_seconds,
        loaded.total.server_cpu_seconds,
        loaded.rss_bytes / 1e6,
        loaded.total.rss_growth_bytes / loaded.total.lines
    );
    let client = Client { site: &site, timeline, addr: daemon.addr, pid: daemon.pid };
    println!(
        "{:<30}{:>10}{:>10}{:>10}{:>10}{:>12}{:>14}{:>10}  goal",
        "round trip, ms", "median", "p99", "min", "CPU", "answer, kB", "reference", "ratio"
    );
    for query in Query::ALL {
        client.measure(query, time)?;
    }
    client.stalls(time.max(Duration::from_secs(5)))?;
    daemon.stop()?;
    Ok(())
}

/// The asking side.
struct Client<'a> {
    site: &'a Site,
    timeline: Timeline,
    addr: SocketAddr,
    pid: u32,
}

impl Client<'_> {
    fn requests(&self, query: Query) -> Vec<Vec<u8>> {
        (0..HOSTS_IN_TURN).map(|host| query.request(self.site, self.timeline, self.addr, host)).collect()
    }

    /// Checks the answers, then measures, then prints a line of the table.
    fn measure(&self, query: Query, time: Duration) -> Result<(), Box<dyn Error>> {
        let requests = self.requests(query);
        let mut connection = Connection::open(self.addr)?;
        let mut bytes = 0;
        let checked = if query == Query::ManySeries { 2 } else { HOSTS_IN_TURN };
        for (host, request) in (0..checked).zip(&requests) {
            let answer = connection.exchange(request)?;
            if answer.status != 200 {
                return Err(format!("{query:?} was answered with {}", answer.status).into());
            }
            query
                .check(self.site, self.timeline, SEED, host, &answer.body)
                .map_err(|error| format!("{query:?} of host {host}: {error}"))?;
            bytes = answer.body.len();
        }
        let mut latency_ns = histogram();
        let cpu = Usage::of(self.pid)?.cpu;
        let began = Instant::now();
        for request in requests.iter().cycle() {
            let sent = Instant::now();
            connection.exchange(request)?;
            latency_ns.saturating_record(sent.elapsed().as_nanos() as u64);
            if began.elapsed() >= time && latency_ns.len() >= 5 {
                break;
            }
        }
        let cpu = Usage::of(self.pid)?.cpu.saturating_sub(cpu);
        let ms = |quantile: f64| latency_ns.value_at_quantile(quantile) as f64 / 1e6;
        let reference = query.reference_ms();
        println!(
            "{:<30}{:>10.3}{:>10.3}{:>10.3}{:>10.3}{:>12.1}{:>14}{:>10}  ≤ {:.2} ms: {}",
            query.name(),
            ms(0.5),
            ms(0.99),
            latency_ns.min() as f64 / 1e6,
            cpu.as_secs_f64() * 1e3 / latency_ns.len() as f64,
            bytes as f64 / 1e3,
            reference.map_or_else(|| "-".into(), |ms| format!("{ms:.2}")),
            reference.map_or_else(|| "-".into(), |reference| format!("{:.1}", reference / ms(0.5))),
            query.goal_ms(),
            if ms(0.5) <= query.goal_ms() { "reached" } else { "not reached" }
        );
        Ok(())
    }

    /// Ingest at a steady pace, once alone and once while the largest query runs again and again.
    fn stalls(&self, time: Duration) -> Result<(), Box<dyn Error>> {
        println!(
            "\n{:<44}{:>10}{:>10}{:>10}{:>10}",
            "ingest at a steady pace, latency, ms", "median", "p99", "p99.9", "max"
        );
        let mut max_ms = [0.0; 2];
        for (index, name) in ["alone", "while 2,304 series × 31 h are asked for"].into_iter().enumerate() {
            let done = AtomicBool::new(false);
            let (latency_ns, queries) = thread::scope(|scope| {
                let queries = scope.spawn(|| self.ask_until(index == 1, &done));
                let latency_ns = self.ingest(time);
                done.store(true, Relaxed);
                (latency_ns, queries.join().expect("the asking thread panicked"))
            });
            let (latency_ns, queries) = (latency_ns?, queries?);
            let ms = |quantile: f64| latency_ns.value_at_quantile(quantile) as f64 / 1e6;
            max_ms[index] = latency_ns.max() as f64 / 1e6;
            print!("{name:<44}{:>10.3}{:>10.3}{:>10.3}{:>10.3}", ms(0.5), ms(0.99), ms(0.999), max_ms[index]);
            println!("{}", if index == 1 { format!("   {queries} queries") } else { String::new() });
        }
        println!(
            "largest stall {:.1} ms, {:.1} ms without queries; goal at most {STALL_GOAL_MS} ms: {}",
            max_ms[1],
            max_ms[0],
            if max_ms[1] <= STALL_GOAL_MS { "reached" } else { "not reached" }
        );
        Ok(())
    }

    /// Asks for 2,304 series until it is told to stop, if `asks`; returns how often.
    ///
    /// Reading 33 MB is work for the asker, on the same CPUs: it gives way, so that what the writers wait for is the daemon.
    /// A low priority would not do: a thread that runs keeps its CPU for some milliseconds, while writers wait for it, and the
    /// kernel's own threads, on which the log's syncs depend.
    fn ask_until(&self, asks: bool, done: &AtomicBool) -> std::io::Result<u64> {
        only_when_idle()?;
        let request = Query::ManySeries.request(self.site, self.timeline, self.addr, 0);
        let mut connection = Connection::open(self.addr)?;
        let mut queries = 0;
        while asks && !done.load(Relaxed) {
            connection.exchange_and_drop(&request)?;
            queries += 1;
        }
        Ok(queries)
    }

    /// Writes the last minute of host after host again, from several connections that take turns.
    fn ingest(&self, time: Duration) -> Result<Histogram<u64>, sender::SendError> {
        let steady = Steady {
            site: self.site,
            addr: self.addr,
            seed: SEED,
            writers: WRITERS,
            requests_per_second: WRITES_PER_SECOND,
        };
        let last = u64::from(MINUTES) - 1;
        let written = steady.write(time, |_| (last, self.timeline.slot_seconds(last)))?;
        Ok(latencies_ns(&written))
    }
}

/// Lets the calling thread run only when nobody else wants its CPU, by the `chrt` that every Debian has.
fn only_when_idle() -> std::io::Result<()> {
    let thread = rustix::thread::gettid().to_string();
    let status = process::Command::new("chrt").args(["--idle", "--pid", "0", &thread]).status()?;
    if !status.success() {
        return Err(std::io::Error::other(format!("chrt --idle --pid 0 {thread}: {status}")));
    }
    Ok(())
}
