//! One connection at work: patch, wait until due, send, time, count.
//!
//! [`crate::run`] starts one thread per worker and phase, and adds up what they counted.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    body::Body,
    options::Options,
    pace::{self, Pace},
    sender::{self, SendError, Sender},
    site::Site,
    timeline::Timeline,
};

/// A connection that failed so often gives up.
const ERRORS_PER_CONNECTION_MAX: u64 = 10;
/// Latencies are recorded up to here; the client's timeouts are shorter.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// When a phase ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Round(u64),
    Time(Instant),
}

/// One connection with its hosts.
pub(crate) struct Worker {
    pub(crate) sender: Sender,
    pub(crate) bodies: Vec<Body>,
    /// Rounds sent, by position in `bodies`.
    pub(crate) rounds: Vec<u64>,
    requests_per_second: Option<f64>,
    /// Offset of this connection's due times, so that the connections take turns.
    stagger: Duration,
}

/// What one worker did in one phase.
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) latency_ns: Histogram<u64>,
}

/// What workers tell the reporter while they run. Each worker adds, the reporter takes.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) lines: AtomicU64,
    pub(crate) latency_ns_max: AtomicU64,
}

/// What all workers of a phase share.
pub(crate) struct Phase<'a> {
    pub(crate) seed: u64,
    pub(crate) timeline: Timeline,
    pub(crate) first_round: u64,
    pub(crate) end: End,
    pub(crate) progress: &'a Progress,
}

/// Deals the hosts out to the connections and prepares all bodies.
pub(crate) fn workers(options: &Options, site: &Site, addr: SocketAddr, write_target: &str) -> Vec<Worker> {
    let connections = options.connections as usize;
    (0..connections)
        .map(|connection| {
            let bodies: Vec<Body> = (0..site.hosts())
                .filter(|host| *host as usize % connections == connection)
                .map(|host| {
                    Body::new(site, host, |bytes| sender::head(options.transport, addr, write_target, bytes))
                })
                .collect();
            let share = bodies.len() as f64 / f64::from(site.hosts());
            let requests_per_second =
                options.rate_lines_per_second.map(|rate| rate * share / f64::from(site.lines_per_host()));
            let turn = connection as f64 / connections as f64;
            let stagger = requests_per_second.map_or(0.0, |rate| turn / rate);
            Worker {
                sender: Sender::new(options.transport, addr),
                rounds: vec![0; bodies.len()],
                bodies,
                requests_per_second,
                stagger: Duration::from_secs_f64(stagger),
            }
        })
        .collect()
}

impl Worker {
    /// Sends round after round of all hosts of this connection.
    pub(crate) fn work(&mut self, phase: &Phase<'_>, began: Instant) -> Tally {
        let mut tally = Tally::new();
        let mut pace = self.requests_per_second.map(|rate| Pace::new(began + self.stagger, rate));
        let mut round = phase.first_round;
        'rounds: while !phase.end.round_is_over(round) {
            for index in 0..self.bodies.len() {
                let due = pace.as_mut().map(Pace::next_due);
                if phase.end.time_is_over(due) {
                    break 'rounds;
                }
                let sent = self.send_one(index, round, due, phase);
                if tally.count(sent, &self.bodies[index], phase.progress).is_ok() {
                    self.rounds[index] = round + 1;
                } else if tally.errors >= ERRORS_PER_CONNECTION_MAX {
                    break 'rounds;
                }
            }
            round += 1;
        }
        if let Err(error) = self.sender.finish() {
            tally.fail(&error);
        }
        tally
    }

    /// Sends one body; its latency in nanoseconds.
    fn send_one(
        &mut self,
        index: usize,
        round: u64,
        due: Option<Instant>,
        phase: &Phase<'_>,
    ) -> Result<u64, SendError> {
        let body = &mut self.bodies[index];
        body.patch(phase.seed, round, phase.timeline.round_seconds(round));
        if let Some(due) = due {
            pace::wait_until(due);
        }
        let from = due.unwrap_or_else(Instant::now);
        self.sender.send(body.bytes())?;
        Ok(u64::try_from(from.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl End {
    fn round_is_over(self, round: u64) -> bool {
        matches!(self, Self::Round(end) if round >= end)
    }

    /// Whether the time is over, or will be when the next request is due.
    fn time_is_over(self, due: Option<Instant>) -> bool {
        match self {
            Self::Round(_) => false,
            Self::Time(end) => due.unwrap_or_else(Instant::now).max(Instant::now()) >= end,
        }
    }
}

/// For latencies in nanoseconds, to three digits.
///
/// # Panics
/// Never: the bounds are valid.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).expect("the bounds are valid")
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { requests: 0, lines: 0, bytes: 0, errors: 0, first_error: None, latency_ns: histogram() }
    }

    /// Adds what another worker did.
    pub(crate) fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.lines += other.lines;
        self.bytes += other.bytes;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.latency_ns.add(&other.latency_ns).expect("all histograms have the same bounds");
    }

    /// Counts one request; an error when it failed.
    fn count(&mut self, sent: Result<u64, SendError>, body: &Body, progress: &Progress) -> Result<(), ()> {
        match sent {
            Ok(latency_ns) => {
                self.requests += 1;
                self.lines += body.lines();
                self.bytes += body.bytes().len() as u64;
                self.latency_ns.saturating_record(latency_ns);
                progress.lines.fetch_add(body.lines(), Relaxed);
                progress.latency_ns_max.fetch_max(latency_ns, Relaxed);
                Ok(())
            }
            Err(error) => {
                self.fail(&error);
                Err(())
            }
        }
    }

    fn fail(&mut self, error: &SendError) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }
}
