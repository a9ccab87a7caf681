//! One whole run: a daemon of its own or one that runs, the load, the proof that it holds it, the stop.
//!
//! What the programs call; everything before [`crate::report`] happens here.

use std::{error::Error, net::SocketAddr};

use hdrhistogram::Histogram;

use crate::{
    daemon::{Daemon, Start},
    figures::RunFigures,
    options::{Options, Target},
    report,
    run::{self, Outcome, line_addr},
    sender::{self, Transport},
    site::Site,
    timeline::{Timeline, now_seconds},
    verify::{self, Sent},
};

/// What a run came to.
#[derive(Debug)]
pub struct Session {
    /// Its figures.
    pub figures: RunFigures,
    /// Latency of each request after the first interval (of all, if there was only that), in nanoseconds.
    pub latency_ns: Histogram<u64>,
}

/// Runs the load once; `seed` makes the values.
///
/// # Errors
/// When the daemon cannot be started, reached or stopped, refuses a request, or does not hold what was sent.
pub fn run_once(options: &Options, site: &Site, seed: u64) -> Result<Session, Box<dyn Error>> {
    let metrics = site.metrics_json(options.interval_seconds);
    match &options.target {
        Target::Running { addr, tcp_addr, pid } => {
            Ok(send_and_verify(options, site, seed, *addr, *tcp_addr, *pid)?.1)
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
            let session = send_and_verify(options, site, seed, daemon.addr, daemon.tcp_addr, daemon.pid);
            let (_, mut session) =
                session.map_err(|error| format!("{error}\nthe daemon's log ends:\n{}", daemon.log()))?;
            session.figures.stop_seconds = Some(daemon.stop()?.as_secs_f64());
            Ok(session)
        }
    }
}

/// Fills a daemon of one's own with the load over HTTP, for what is measured afterwards, and reads a part of it back. Returns
/// also where its intervals lie.
///
/// # Errors
/// When the daemon refuses a request, or does not hold what was sent.
pub fn fill(
    options: &Options,
    site: &Site,
    seed: u64,
    daemon: &Daemon,
) -> Result<(Timeline, RunFigures), Box<dyn Error>> {
    let (timeline, session) = send_and_verify(options, site, seed, daemon.addr, daemon.tcp_addr, daemon.pid)?;
    Ok((timeline, session.figures))
}

fn send_and_verify(
    options: &Options,
    site: &Site,
    seed: u64,
    addr: SocketAddr,
    tcp_addr: Option<SocketAddr>,
    pid: u32,
) -> Result<(Timeline, Session), Box<dyn Error>> {
    let timeline = Timeline::ending_at(now_seconds(), options.interval_seconds, options.slots());
    let write_target = sender::write_target();
    let target =
        run::Daemon { addr: line_addr(options.transport, addr, tcp_addr), write_target: &write_target, pid };
    let outcome = run::run(options, site, timeline, target, seed)?;
    let mut figures = figures(seed, &outcome)?;
    let sent = Sent { site, timeline, rounds: &outcome.rounds, seed };
    let verified = verify::verify(addr, sent, options.verify_series).inspect_err(|_| {
        println!("\n{}", report::table("a run that lost something", &figures));
    })?;
    figures.verified_series = verified.series as f64;
    figures.verified_values = verified.values as f64;
    let latency_ns = outcome.rest.unwrap_or(outcome.first).latency_ns;
    Ok((timeline, Session { figures, latency_ns }))
}

/// The figures of a run in which every request was acknowledged.
///
/// # Errors
/// Names the first request that was not.
pub fn figures(seed: u64, outcome: &Outcome) -> Result<RunFigures, Box<dyn Error>> {
    let figures = RunFigures::new(seed, outcome);
    let phases = || [Some(&outcome.first), outcome.rest.as_ref()].into_iter().flatten();
    if let Some(error) = phases().find_map(|phase| phase.first_error.as_ref()) {
        println!("\n{}", report::table("a run that failed", &figures));
        let errors: u64 = phases().map(|phase| phase.errors).sum();
        return Err(format!("{errors} requests failed; the first: {error}").into());
    }
    Ok(figures)
}
