//! The load generator's program: options in, table and JSON out, exit code 1 on any error. See the crate `bench`.

use std::{error::Error, fs, net::SocketAddr, process::ExitCode};

use bench::{
    daemon::{Daemon, Start},
    figures::RunFigures,
    interrupt,
    options::{Options, Target},
    pace, report,
    run::{self, line_addr},
    sender::Transport,
    site::Site,
    timeline::{Timeline, now_seconds},
    verify::{self, Sent},
};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os()) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    match load(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// All runs, and their report.
fn load(options: &Options) -> Result<(), Box<dyn Error>> {
    let site = Site::new(&options.site);
    if options.print_config {
        println!("{:#}", site.metrics_json(options.interval_seconds));
        return Ok(());
    }
    interrupt::install()?;
    pace::sleep_precisely();
    println!("{}", report::headline(options));
    let mut runs = Vec::new();
    for index in 0..options.repeat {
        let run = run_once(options, &site, options.seed.wrapping_add(index.into()))?;
        let title = format!("run {} of {}, seed {}", index + 1, options.repeat, run.seed);
        println!("\n{}", report::table(&title, &run));
        runs.push(run);
    }
    if runs.len() > 1 {
        let title = format!("medians of {} runs", runs.len());
        println!("\n{}", report::table(&title, &RunFigures::median(&runs)));
    }
    if let Some(path) = &options.json {
        let text = format!("{:#}\n", report::json(options, &runs));
        fs::write(path, text).map_err(|error| format!("writing {}: {error}", path.display()))?;
    }
    Ok(())
}

/// One run against a daemon of its own, or the one that runs.
fn run_once(options: &Options, site: &Site, seed: u64) -> Result<RunFigures, Box<dyn Error>> {
    let metrics = site.metrics_json(options.interval_seconds);
    match &options.target {
        Target::Running { addr, tcp_addr, pid } => {
            send_and_verify(options, site, seed, *addr, *tcp_addr, *pid)
        }
        Target::Start { binary, main_json, store_json, scratch_parent } => {
            let daemon = Daemon::start(Start {
                binary,
                metrics: &metrics,
                main_json,
                store_json,
                scratch_parent: scratch_parent.as_deref(),
                tcp: options.transport == Transport::Tcp,
            })?;
            let figures = send_and_verify(options, site, seed, daemon.addr, daemon.tcp_addr, daemon.pid);
            let mut figures =
                figures.map_err(|error| format!("{error}\nthe daemon's log ends:\n{}", daemon.log()))?;
            figures.stop_seconds = Some(daemon.stop()?.as_secs_f64());
            Ok(figures)
        }
    }
}

fn send_and_verify(
    options: &Options,
    site: &Site,
    seed: u64,
    addr: SocketAddr,
    tcp_addr: Option<SocketAddr>,
    pid: u32,
) -> Result<RunFigures, Box<dyn Error>> {
    let timeline = Timeline::ending_at(now_seconds(), options.interval_seconds, options.slots());
    let target = run::Daemon { addr: line_addr(options.transport, addr, tcp_addr), pid };
    let outcome = run::run(options, site, timeline, target, seed)?;
    let mut figures = RunFigures::new(seed, &outcome);
    let failed = [Some(&outcome.first), outcome.rest.as_ref()].into_iter().flatten();
    if let Some(error) = failed.clone().find_map(|phase| phase.first_error.as_ref()) {
        println!("\n{}", report::table("a run that failed", &figures));
        let errors: u64 = failed.map(|phase| phase.errors).sum();
        return Err(format!("{errors} requests failed; the first: {error}").into());
    }
    let sent = Sent { site, timeline, rounds: &outcome.rounds, seed };
    let verified = verify::verify(addr, sent, options.verify_series).inspect_err(|_| {
        println!("\n{}", report::table("a run that lost something", &figures));
    })?;
    figures.verified_series = verified.series as f64;
    figures.verified_values = verified.values as f64;
    Ok(figures)
}
