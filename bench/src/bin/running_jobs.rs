//! Measures the load that cc-backend 1.6 makes for its running jobs: the statistics of 200 jobs of 16 hosts, eight
//! queries at once.
//!
//! `cargo build --release && target/release/running-jobs`. Loads 225 million values through the daemon first
//! ([`bench::running_jobs`] says which). Every job is asked for once and checked; then rounds over all jobs are measured, with
//! eight keep-alive connections that take job after job. The time of a query is from the first byte of the request to the
//! last of the answer; with eight at once, most of it is waiting for the others.

use std::{
    error::Error,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
    time::Instant,
};

use bench::{
    daemon::{Daemon, Start},
    http::Connection,
    interrupt,
    options::{Extent, Options},
    procfs::Usage,
    report,
    running_jobs::{Job, MINUTES, SITE},
    session,
    site::Site,
    worker::histogram,
};
use clap::{Arg, Command, value_parser};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Queries at once, as cc-backend asks.
const CONNECTIONS: usize = 8;
const SEED: u64 = 1;

fn main() -> ExitCode {
    let matches = Command::new("running-jobs")
        .about("Measures statistics of running jobs, as cc-backend 1.6 asks for them")
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
                .help("merged into the section metric-store")
                .value_parser(|text: &str| serde_json::from_str::<Value>(text)),
        )
        .arg(
            Arg::new("rounds")
                .long("rounds")
                .value_name("N")
                .default_value("5")
                .help("how often all jobs are asked for")
                .value_parser(value_parser!(u32).range(1..=1000)),
        )
        .get_matches();
    let binary = matches.get_one::<PathBuf>("binary").expect("has a default");
    let store_json = matches.get_one::<Value>("store-json").expect("has a default");
    let rounds = *matches.get_one("rounds").expect("has a default");
    report::exit_code(running_jobs(binary, store_json, rounds))
}

fn running_jobs(binary: &Path, store_json: &Value, rounds: u32) -> Result<(), Box<dyn Error>> {
    interrupt::install()?;
    let mut load = Options::parse(["running-jobs"])?;
    (load.site, load.extent) = (SITE, Extent::Intervals(MINUTES));
    load.connections = 32;
    let site = Site::new(&SITE);
    let daemon = Daemon::start(Start {
        binary,
        metrics: &site.metrics_json(60),
        main_json: &json!({}),
        store_json,
        scratch_parent: None,
        tcp: false,
    })?;
    let (timeline, loaded) = session::fill(&load, &site, SEED, &daemon)?;
    println!(
        "loaded {} values in {:.1} s, server CPU {:.1} s; RSS {:.0} MB, {:.3} bytes of growth per value\n",
        loaded.total.lines,
        loaded.total.wall_seconds,
        loaded.total.server_cpu_seconds,
        loaded.rss_bytes / 1e6,
        loaded.total.rss_growth_bytes / loaded.total.lines
    );

    let requests: Vec<Vec<u8>> = Job::all().map(|job| job.request(&site, timeline, daemon.addr)).collect();
    let mut connection = Connection::open(daemon.addr)?;
    for (job, request) in Job::all().zip(&requests) {
        let answer = connection.exchange(request)?;
        job.check(&site, timeline, SEED, &answer.body).map_err(|error| format!("{job:?}: {error}"))?;
    }
    let values: u64 = Job::all().map(Job::values).sum();
    println!("a round is {} queries over {:.1} million values", requests.len(), values as f64 / 1e6);
    println!(
        "{:<8}{:>12}{:>14}{:>12}{:>12}{:>12}{:>20}",
        "round", "wall, ms", "server CPU", "median, ms", "p99, ms", "max, ms", "CPU ns a value"
    );
    for round in 1..=rounds {
        let cpu = Usage::of(daemon.pid)?.cpu;
        let began = Instant::now();
        let latency_ns = ask_all(&requests, daemon.addr)?;
        let wall = began.elapsed();
        let cpu = Usage::of(daemon.pid)?.cpu.saturating_sub(cpu);
        let ms = |quantile: f64| latency_ns.value_at_quantile(quantile) as f64 / 1e6;
        println!(
            "{round:<8}{:>12.0}{:>14.0}{:>12.2}{:>12.2}{:>12.2}{:>20.2}",
            wall.as_secs_f64() * 1e3,
            cpu.as_secs_f64() * 1e3,
            ms(0.5),
            ms(0.99),
            latency_ns.max() as f64 / 1e6,
            cpu.as_secs_f64() * 1e9 / values as f64
        );
    }
    daemon.stop()?;
    Ok(())
}

/// Sends every request once, from eight connections; the latencies of all.
fn ask_all(requests: &[Vec<u8>], addr: SocketAddr) -> Result<Histogram<u64>, Box<dyn Error>> {
    let next = AtomicUsize::new(0);
    let ask = || -> std::io::Result<Histogram<u64>> {
        let mut connection = Connection::open(addr)?;
        let mut latency_ns = histogram();
        while let Some(request) = requests.get(next.fetch_add(1, Relaxed)) {
            let sent = Instant::now();
            connection.exchange_and_drop(request)?;
            latency_ns.saturating_record(sent.elapsed().as_nanos() as u64);
        }
        Ok(latency_ns)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(ask)).collect();
        let mut all = histogram();
        for thread in threads {
            all.add(thread.join().expect("an asking thread panicked")?)?;
        }
        Ok(all)
    })
}
