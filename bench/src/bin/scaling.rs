//! One core against two, the message-cost model fitted to measured runs, and what it predicts for 16 and 64 cores.
//!
//! `cargo build --release && target/release/scaling`. See [`bench::scaling`] for the model. Everything is CPU time of the
//! daemon's threads: the generator runs on the same CPUs, so wall time says little.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use bench::{
    daemon::{Daemon, Start},
    interrupt,
    options::{Options, SiteOptions},
    probe::{Hosts, Load},
    procfs::thread_cpu,
    report,
    scaling::{Measured, Model},
    session,
    site::Site,
    spread::Spread,
};
use clap::{Arg, Command, value_parser};
use serde_json::{Value, json};

/// Hardware threads of the hosts of each size: 20, 90, 380, 740 and 1,460 lines a request.
const THREADS: [u32; 5] = [0, 7, 36, 72, 144];
/// Lines of an interval, whatever the size.
const LINES: u32 = 60_000;

fn main() -> ExitCode {
    let matches = Command::new("scaling")
        .about("Fits a model of what more cores bring to measured runs")
        .arg(
            Arg::new("binary")
                .long("binary")
                .value_name("PATH")
                .default_value("target/release/cc-metric-store")
                .help("this daemon")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("rounds")
                .long("rounds")
                .value_name("N")
                .default_value("3")
                .help("how often everything is measured; medians count")
                .value_parser(value_parser!(u32).range(1..=100)),
        )
        .arg(
            Arg::new("connections")
                .long("connections")
                .value_name("N")
                .default_value("8")
                .help("connections; with one, every commit and every wake-up is for one request alone")
                .value_parser(value_parser!(u32).range(1..=64)),
        )
        .arg(
            Arg::new("sync")
                .long("sync")
                .value_name("MODE")
                .default_value("always")
                .help("metric-store.wal.sync"),
        )
        .get_matches();
    let bed = Bed {
        binary: matches.get_one::<PathBuf>("binary").expect("has a default").clone(),
        connections: *matches.get_one("connections").expect("has a default"),
        sync: matches.get_one::<String>("sync").expect("has a default").clone(),
    };
    let rounds = *matches.get_one("rounds").expect("has a default");
    report::exit_code(scaling(&bed, rounds))
}

fn scaling(bed: &Bed, rounds: u32) -> Result<(), Box<dyn Error>> {
    interrupt::install()?;
    one_against_two(bed, rounds)?;
    let idle = idle(bed)?;
    println!("{} connections, CPU µs a request, medians of {rounds}, sync {}", bed.connections, bed.sync);
    println!("{:>12}{:>12}{:>12}{:>12}{:>12}", "lines", "1 core", "local", "remote", "mixed");
    let mut measured = Vec::new();
    for threads in THREADS {
        let at = bed.size(threads, rounds)?;
        let us = |ns: f64| ns / 1e3;
        println!(
            "{:>12.0}{:>12.1}{:>12.1}{:>12.1}{:>12.1}",
            at.lines,
            us(at.single_ns),
            us(at.local_ns),
            us(at.remote_ns),
            us(at.mixed_ns)
        );
        measured.push(at);
    }
    let model = Model::fit(&measured, &idle);
    println!("\nfitted, ns of CPU (n lines of one host a request, N cores)");
    for (name, line) in
        [("1 core", model.single), ("local", model.local), ("extra if handed over", model.extra)]
    {
        println!("{name:<24}{:>10.0} + {:>6.1} · n", line.fixed, line.slope);
    }
    println!("{:<24}{:>10.4} + {:>6.4} · N of a core", "idle", model.idle.fixed, model.idle.slope);
    println!("\ncheck, mixed requests on 2 cores: predicted / measured");
    for at in &measured {
        println!("{:>12.0} lines {:>8.2}", at.lines, model.cost_ns(2.0, at.lines) / at.mixed_ns);
    }
    println!(
        "\n{:<10}{:>14}{:>14}{:>14}{:>22}",
        "cores", "n = 90", "n = 740", "n = 1,460", "affinity, n = 740"
    );
    for cores in [2.0, 16.0, 64.0] {
        println!(
            "{cores:<10}{:>14.2}{:>14.2}{:>14.2}{:>22.3}",
            model.gain(cores, 90.0),
            model.gain(cores, 740.0),
            model.gain(cores, 1460.0),
            model.affinity_gain(cores, 740.0)
        );
    }
    println!(
        "gain over one core; affinity: what routing each connection to its owner would multiply that by"
    );
    Ok(())
}

/// The load of every figure on one core and on two, in turn.
fn one_against_two(bed: &Bed, rounds: u32) -> Result<(), Box<dyn Error>> {
    let mut per_cpu: [Vec<f64>; 2] = Default::default();
    let mut per_second: [Vec<f64>; 2] = Default::default();
    for round in 0..rounds {
        for cores in [1, 2] {
            let store = json!({"wal": {"sync": bed.sync}}).to_string();
            let (binary, cores_text) = (bed.binary.display().to_string(), cores.to_string());
            let options = Options::parse([
                "scaling",
                "--binary",
                &binary,
                "--store-json",
                &store,
                "--cores",
                &cores_text,
            ])?;
            let run = session::run_once(&options, &Site::new(&options.site), u64::from(round))?.figures;
            per_cpu[cores - 1].push(run.total.lines / run.total.server_cpu_seconds);
            per_second[cores - 1].push(run.total.lines_per_second);
        }
    }
    println!(
        "{:<10}{:>20}{:>16}   4 connections, 20 intervals, first included",
        "cores", "lines/CPU-s", "lines/s"
    );
    for cores in [1, 2] {
        let median = |figures: &[Vec<f64>; 2]| Spread::of(figures[cores - 1].iter().copied()).median;
        println!("{cores:<10}{:>20.0}{:>16.0}", median(&per_cpu), median(&per_second));
    }
    let ratio = Spread::of(per_cpu[1].iter().zip(&per_cpu[0]).map(|(two, one)| two / one));
    println!("2 cores / 1 core per CPU-second: {:.2} ({:.2}..{:.2})\n", ratio.median, ratio.min, ratio.max);
    Ok(())
}

/// Share of a core that an idle daemon takes, by number of cores.
fn idle(bed: &Bed) -> Result<Vec<(f64, f64)>, Box<dyn Error>> {
    let site = Site::new(&SiteOptions { hosts: 1, threads: 1, thread_metrics: 1, node_metrics: 1 });
    print!("idle, share of a core:");
    let mut shares = Vec::new();
    for cores in [1u32, 2, 8, 16] {
        let daemon = bed.start(&site, cores)?;
        let total = || thread_cpu(daemon.pid).map(|threads| threads.values().sum::<Duration>());
        let (before, began) = (total()?, Instant::now());
        thread::sleep(Duration::from_secs(2));
        let share = (total()? - before).as_secs_f64() / began.elapsed().as_secs_f64() / f64::from(cores);
        daemon.stop()?;
        print!("  {share:.4} of each of {cores}");
        shares.push((f64::from(cores), share));
    }
    println!("\n");
    Ok(shares)
}

/// The daemon that is measured.
struct Bed {
    binary: PathBuf,
    connections: u32,
    sync: String,
}

impl Bed {
    fn start(&self, site: &Site, cores: u32) -> Result<Daemon, Box<dyn Error>> {
        let store_json: Value = json!({"cores": cores, "wal": {"sync": self.sync}});
        Ok(Daemon::start(Start {
            binary: Path::new(&self.binary),
            metrics: &site.metrics_json(60),
            main_json: &json!({}),
            store_json: &store_json,
            scratch_parent: None,
            tcp: false,
        })?)
    }

    /// Medians at one size of request.
    fn size(&self, threads: u32, rounds: u32) -> Result<Measured, Box<dyn Error>> {
        let lines = threads * 10 + 20;
        let hosts = LINES / lines;
        let site = Site::new(&SiteOptions { hosts, threads, thread_metrics: 10, node_metrics: 20 });
        let mut found: [Vec<f64>; 4] = Default::default();
        for _ in 0..rounds {
            let daemon = self.start(&site, 1)?;
            found[0].push(Load::new(&site, &daemon, self.connections)?.stretch(Hosts::All)?);
            daemon.stop()?;
            let daemon = self.start(&site, 2)?;
            let mut load = Load::new(&site, &daemon, self.connections)?;
            load.find_cores()?;
            for (figures, hosts) in found[1..].iter_mut().zip([Hosts::Local, Hosts::Remote, Hosts::All]) {
                figures.push(load.stretch(hosts)?);
            }
            daemon.stop()?;
        }
        let [single_ns, local_ns, remote_ns, mixed_ns] = found.map(|ns| Spread::of(ns).median);
        Ok(Measured { lines: lines.into(), single_ns, local_ns, remote_ns, mixed_ns })
    }
}
