//! Measures what a checkpoint of every series does to ingest.
//!
//! `cargo build --release && target/release/checkpoint`. Two hundred hosts of 740 series write at a steady pace while the daemon
//! makes a checkpoint every few seconds; when each began and ended is what `/metrics` says. Latencies of requests that were
//! due during a checkpoint of any core are compared with those of all others.

use std::{
    error::Error,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use bench::{
    daemon::{Daemon, Start},
    http::Connection,
    interrupt,
    options::{Extent, Options},
    pace, report, session,
    site::Site,
    steady::{Steady, Written, latencies_ns},
};
use clap::{Arg, Command, value_parser};
use serde_json::json;

/// Most that the p99 of ingest may grow during a checkpoint.
const RATIO_GOAL: f64 = 3.0;
const CONNECTIONS: u32 = 8;
/// Every host once a second: all series have new samples in every checkpoint.
const REQUESTS_PER_SECOND: u32 = 200;
/// Intervals that are there beforehand, and those that are written meanwhile, again and again.
const MINUTES: u32 = 120;
/// Time between two looks at `/metrics`.
const LOOK: Duration = Duration::from_millis(250);
const SEED: u64 = 1;

fn main() -> ExitCode {
    let number = |name, default, help, max| {
        Arg::new(name)
            .long(name)
            .value_name("N")
            .default_value(default)
            .help(help)
            .value_parser(value_parser!(u64).range(1..=max))
    };
    let matches = Command::new("checkpoint")
        .about("Measures what checkpoints do to ingest")
        .arg(
            Arg::new("binary")
                .long("binary")
                .value_name("PATH")
                .default_value("target/release/cc-metric-store")
                .help("the daemon")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(number("seconds", "60", "how long is written", 3600))
        .arg(number("interval", "6", "seconds between checkpoints", 600))
        .get_matches();
    let binary = matches.get_one::<PathBuf>("binary").expect("has a default");
    let seconds = |name| Duration::from_secs(*matches.get_one(name).expect("has a default"));
    report::exit_code(checkpoint(binary, seconds("seconds"), seconds("interval")))
}

fn checkpoint(binary: &Path, time: Duration, interval: Duration) -> Result<(), Box<dyn Error>> {
    interrupt::install()?;
    pace::sleep_precisely();
    let mut load = Options::parse(["checkpoint"])?;
    load.extent = Extent::Intervals(MINUTES);
    let site = Site::new(&load.site);
    let daemon = Daemon::start(Start {
        binary,
        metrics: &site.metrics_json(60),
        main_json: &json!({}),
        store_json: &json!({"checkpoint-interval": format!("{}s", interval.as_secs())}),
        scratch_parent: None,
        tcp: false,
    })?;
    let (timeline, loaded) = session::fill(&load, &site, SEED, &daemon)?;
    println!("loaded {} values of {} series", loaded.total.lines, site.hosts() * site.lines_per_host());

    let done = AtomicBool::new(false);
    let (written, checkpoints) = thread::scope(|scope| {
        let watch = scope.spawn(|| watch(daemon.addr, &done));
        let steady = Steady {
            site: &site,
            addr: daemon.addr,
            seed: SEED,
            writers: CONNECTIONS,
            requests_per_second: REQUESTS_PER_SECOND,
        };
        let written = steady.write(time, |round| {
            let minute = round % u64::from(MINUTES);
            (minute, timeline.slot_seconds(minute))
        });
        done.store(true, Relaxed);
        (written, watch.join().expect("the watching thread panicked"))
    });
    let (written, checkpoints) = (written?, checkpoints?);
    daemon.stop()?;
    print(&written, &checkpoints)
}

/// A checkpoint of one core.
#[derive(Clone, Copy, Debug)]
struct Made {
    began: Instant,
    ended: Instant,
}

/// Asks for the checkpoints of all cores until it is told to stop; each core's in order.
fn watch(addr: SocketAddr, done: &AtomicBool) -> Result<Vec<Vec<Made>>, String> {
    let mut connection = Connection::open(addr).map_err(|error| error.to_string())?;
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let (mut made, mut seen) = (Vec::new(), None);
    while !done.load(Relaxed) {
        let asked = Instant::now();
        let answer = connection.exchange(request).map_err(|error| error.to_string())?;
        let page = String::from_utf8_lossy(&answer.body);
        let counts = by_core(&page, "cc_metric_store_checkpoints_total")?;
        let ages = by_core(&page, "cc_metric_store_checkpoint_age_seconds")?;
        let durations = by_core(&page, "cc_metric_store_checkpoint_duration_seconds")?;
        // What was made before the first look belongs to the loading.
        let before = seen.replace(counts.clone()).unwrap_or_else(|| counts.clone());
        made.resize(counts.len(), Vec::new());
        for core in 0..counts.len() {
            if counts[core] > before[core] {
                let ended = asked.checked_sub(Duration::from_secs_f64(ages[core])).unwrap_or(asked);
                let began = ended.checked_sub(Duration::from_secs_f64(durations[core])).unwrap_or(ended);
                made[core].push(Made { began, ended });
            }
        }
        thread::sleep(LOOK);
    }
    Ok(made)
}

/// The values of a metric, core by core.
fn by_core(page: &str, name: &str) -> Result<Vec<f64>, String> {
    let values: Vec<f64> = page
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')))
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    if values.is_empty() { Err(format!("/metrics does not say {name}")) } else { Ok(values) }
}

fn print(written: &[Written], by_core: &[Vec<Made>]) -> Result<(), Box<dyn Error>> {
    // Behind a core's last checkpoint there may be one that was not seen to end.
    let lasts: Option<Vec<Instant>> = by_core.iter().map(|made| Some(made.last()?.ended)).collect();
    let Some(known_until) = lasts.and_then(|lasts| lasts.into_iter().min()) else {
        return Err("a core made no checkpoint meanwhile: give it more --seconds".into());
    };
    let checkpoints: Vec<Made> = by_core.iter().flatten().copied().collect();
    let written = written.iter().filter(|request| request.due <= known_until);
    let is_during =
        |request: &&Written| checkpoints.iter().any(|made| (made.began..=made.ended).contains(&request.due));
    let (during, outside): (Vec<_>, Vec<_>) = written.partition(is_during);
    let seconds: Vec<f64> =
        checkpoints.iter().map(|made| made.ended.duration_since(made.began).as_secs_f64()).collect();
    println!(
        "{} checkpoints of a core each, {:.2} to {:.2} s\n",
        seconds.len(),
        seconds.iter().copied().fold(f64::INFINITY, f64::min),
        seconds.iter().copied().fold(0.0, f64::max)
    );
    println!(
        "{:<28}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "ingest latency, ms", "requests", "median", "p99", "p99.9", "max"
    );
    let mut p99 = [0.0; 2];
    for (index, (name, requests)) in
        [("outside a checkpoint", outside), ("during a checkpoint", during)].into_iter().enumerate()
    {
        let latencies_ns = latencies_ns(requests);
        let ms = |quantile: f64| latencies_ns.value_at_quantile(quantile) as f64 / 1e6;
        p99[index] = ms(0.99);
        println!(
            "{name:<28}{:>10}{:>10.3}{:>10.3}{:>10.3}{:>10.3}",
            latencies_ns.len(),
            ms(0.5),
            ms(0.99),
            ms(0.999),
            latencies_ns.max() as f64 / 1e6
        );
    }
    let ratio = p99[1] / p99[0];
    let verdict = if ratio <= RATIO_GOAL { "reached" } else { "not reached" };
    println!("p99 during a checkpoint {ratio:.1} times that outside; goal at most {RATIO_GOAL}: {verdict}");
    Ok(())
}
