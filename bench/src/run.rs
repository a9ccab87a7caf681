//! The run itself: all workers at once, one phase for the first interval, one for the rest.
//!
//! Comes after [`crate::daemon`]; what it measured goes to [`crate::figures`], what it sent to [`crate::verify`].

use std::{
    io,
    net::SocketAddr,
    sync::{
        atomic::Ordering::Relaxed,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    figures::Window,
    options::{Extent, Options},
    procfs::Usage,
    sender::{SendError, Transport},
    site::Site,
    timeline::Timeline,
    worker::{self, End, Phase, Progress, Tally, Worker},
};

/// How often a run with `--duration` reports.
const WINDOW: Duration = Duration::from_secs(10);
/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The daemon does not take connections.
    #[error("connection {connection}: {source}")]
    Connect {
        /// Which connection.
        connection: usize,
        /// What happened.
        source: SendError,
    },
    /// The daemon's process cannot be looked at.
    #[error("process {pid}: {source}")]
    Process {
        /// Which process.
        pid: u32,
        /// What the system says.
        source: io::Error,
    },
}

/// The daemon as the load sees it.
#[derive(Clone, Copy, Debug)]
pub struct Daemon<'a> {
    /// Where lines go.
    pub addr: SocketAddr,
    /// Path and query of the requests that carry lines; see [`crate::sender::write_target`].
    pub write_target: &'a str,
    /// Its process.
    pub pid: u32,
}

/// What one phase measured.
#[derive(Debug)]
pub struct Measured {
    /// Requests acknowledged (TCP: bodies written).
    pub requests: u64,
    /// Lines in them.
    pub lines: u64,
    /// Bytes in them, HTTP heads included.
    pub bytes: u64,
    /// Requests that failed.
    pub errors: u64,
    /// The first failure.
    pub first_error: Option<String>,
    /// Latency of each request in nanoseconds.
    pub latency_ns: Histogram<u64>,
    /// From the first request to the last acknowledgement.
    pub wall: Duration,
    /// CPU time of the daemon.
    pub server_cpu: Duration,
    /// CPU time of the load generator.
    pub generator_cpu: Duration,
    /// The daemon before the phase.
    pub before: Usage,
    /// The daemon after the phase.
    pub after: Usage,
}

/// What a run measured and sent.
#[derive(Debug)]
pub struct Outcome {
    /// The first interval of every host.
    pub first: Measured,
    /// Everything after it, if there was more.
    pub rest: Option<Measured>,
    /// Rounds sent, by host.
    pub rounds: Vec<u64>,
    /// The reports of a run with `--duration`.
    pub windows: Vec<Window>,
}

/// Sends the whole load once. `seed` makes the values.
///
/// # Errors
/// When the daemon cannot be reached or looked at. Requests that fail are counted, not returned.
///
/// # Panics
/// When a worker panics.
pub fn run(
    options: &Options,
    site: &Site,
    timeline: Timeline,
    daemon: Daemon<'_>,
    seed: u64,
) -> Result<Outcome, RunError> {
    let mut workers = worker::workers(options, site, daemon.addr, daemon.write_target);
    let mut windows = Vec::new();
    let progress = Progress::default();
    let began = Instant::now();
    let mut phase = Phase { seed, timeline, first_round: 0, end: End::Round(1), progress: &progress };
    let first = measure(&mut workers, &phase, daemon, None)?;
    phase.first_round = 1;
    let rest = match options.extent {
        // A daemon that fails already gets no more.
        _ if first.errors > 0 => None,
        Extent::Intervals(1) => None,
        Extent::Intervals(intervals) => {
            phase.end = End::Round(intervals.into());
            Some(measure(&mut workers, &phase, daemon, None)?)
        }
        Extent::Duration { time, .. } => {
            phase.end = End::Time(began + time);
            Some(measure(&mut workers, &phase, daemon, Some(&mut windows))?)
        }
    };
    let mut rounds = vec![0; site.hosts() as usize];
    for worker in &workers {
        for (body, sent) in worker.bodies.iter().zip(&worker.rounds) {
            rounds[body.host() as usize] = *sent;
        }
    }
    Ok(Outcome { first, rest, rounds, windows })
}

/// Runs one phase on all workers at once and looks at the daemon before and after.
fn measure(
    workers: &mut [Worker],
    phase: &Phase<'_>,
    daemon: Daemon<'_>,
    windows: Option<&mut Vec<Window>>,
) -> Result<Measured, RunError> {
    for (connection, worker) in workers.iter_mut().enumerate() {
        worker.sender.connect().map_err(|source| RunError::Connect { connection, source })?;
    }
    let look = || Usage::of(daemon.pid).map_err(|source| RunError::Process { pid: daemon.pid, source });
    let own_cpu = || Usage::of_self().map_or(Duration::ZERO, |usage| usage.cpu);
    let (before, own_before) = (look()?, own_cpu());
    let began = Instant::now();
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let threads: Vec<_> =
            workers.iter_mut().map(|worker| scope.spawn(move || worker.work(phase, began))).collect();
        let (done, ends) = mpsc::channel::<()>();
        if let Some(windows) = windows {
            scope.spawn(move || report(windows, phase.progress, daemon.pid, began, &ends));
        }
        let tallies = threads.into_iter().map(|thread| thread.join().expect("a worker panicked")).collect();
        drop(done);
        tallies
    });
    let wall = began.elapsed();
    let (after, own_after) = (look()?, own_cpu());
    let mut total = Tally::new();
    for tally in tallies {
        total.add(tally);
    }
    Ok(Measured {
        requests: total.requests,
        lines: total.lines,
        bytes: total.bytes,
        errors: total.errors,
        first_error: total.first_error,
        latency_ns: total.latency_ns,
        wall,
        server_cpu: after.cpu.saturating_sub(before.cpu),
        generator_cpu: own_after.saturating_sub(own_before),
        before,
        after,
    })
}

/// Prints and keeps a window every [`WINDOW`] until the sending side of `ends` is dropped.
fn report(
    windows: &mut Vec<Window>,
    progress: &Progress,
    pid: u32,
    began: Instant,
    ends: &mpsc::Receiver<()>,
) {
    let mut usage = Usage::of(pid).ok();
    let mut last = Instant::now();
    // The first interval is reported by its own phase.
    progress.lines.swap(0, Relaxed);
    progress.latency_ns_max.swap(0, Relaxed);
    loop {
        let ended = ends.recv_timeout(WINDOW) == Err(RecvTimeoutError::Disconnected);
        let now = Instant::now();
        let usage_now = Usage::of(pid).ok();
        let cpu = match (usage, usage_now) {
            (Some(before), Some(after)) => after.cpu.saturating_sub(before.cpu),
            _ => Duration::ZERO,
        };
        let window = Window {
            at_seconds: (now - began).as_secs_f64(),
            lines: progress.lines.swap(0, Relaxed) as f64,
            seconds: (now - last).as_secs_f64(),
            latency_ms_max: progress.latency_ns_max.swap(0, Relaxed) as f64 / 1e6,
            server_cpu_seconds: cpu.as_secs_f64(),
            rss_bytes: usage_now.map_or(0.0, |usage| usage.rss_bytes as f64),
        };
        println!("{window}");
        windows.push(window);
        (usage, last) = (usage_now, now);
        if ended {
            return;
        }
    }
}

/// The address lines go to.
#[must_use]
pub fn line_addr(transport: Transport, http: SocketAddr, tcp: Option<SocketAddr>) -> SocketAddr {
    match transport {
        Transport::Http => http,
        Transport::Tcp => tcp.expect("the options ask for it"),
    }
}
