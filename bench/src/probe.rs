//! Requests whose owner is chosen: to the core that receives them, to the other one, or to both.
//!
//! The program `scaling` measures with it what handing lines over costs. Which core a connection belongs to is the kernel's
//! choice; it is found by looking at the CPU time of the daemon's threads.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use engine::series::route::core_of;

use crate::{
    body::Body,
    daemon::Daemon,
    procfs::thread_cpu,
    sender::{self, SendError, Sender, Transport},
    site::{CLUSTER, Site},
    timeline::{Timeline, now_seconds},
};

/// Time measured at a stretch.
const STRETCH: Duration = Duration::from_millis(400);
/// Time in which a connection's core is found.
const FIND: Duration = Duration::from_millis(60);
/// Slots written before simulated time starts over; less than a buffer.
const SLOTS: u32 = 400;
/// Rounds that make every series known and its first slots allocated.
const WARM_UP_ROUNDS: u64 = 3;
const SEED: u64 = 1;

/// Why a measurement ended.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A request failed.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The daemon's threads cannot be looked at.
    #[error("looking at the daemon's threads: {0}")]
    Threads(#[from] io::Error),
}

/// Whose lines are sent, on a daemon with two cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Those of the core that receives.
    Local,
    /// Those of the other core.
    Remote,
    /// All.
    All,
    /// Those of this core.
    Of(usize),
}

/// A daemon under load from some connections, all series known.
#[derive(Debug)]
pub struct Load {
    connections: Vec<Connection>,
    timeline: Timeline,
    pid: u32,
}

/// One connection and its hosts.
#[derive(Debug)]
struct Connection {
    sender: Sender,
    /// With the owner among two cores.
    bodies: Vec<(usize, Body)>,
    round: u64,
    /// The core that receives, once it is known.
    core: usize,
}

impl Load {
    /// Connects, and registers every series.
    ///
    /// # Errors
    /// When a request fails.
    pub fn new(site: &Site, daemon: &Daemon, connections: u32) -> Result<Self, ProbeError> {
        let target = sender::write_target();
        let head = |bytes| sender::head(Transport::Http, daemon.addr, &target, bytes);
        let connections = (0..connections)
            .map(|connection| Connection {
                sender: Sender::new(Transport::Http, daemon.addr),
                bodies: (0..site.hosts())
                    .filter(|host| host % connections == connection)
                    .map(|host| (core_of(CLUSTER, &site.host_name(host), 2), Body::new(site, host, head)))
                    .collect(),
                round: 0,
                core: 0,
            })
            .collect();
        let timeline = Timeline::ending_at(now_seconds(), 60, SLOTS);
        let mut load = Self { connections, timeline, pid: daemon.pid };
        for connection in &mut load.connections {
            for _ in 0..WARM_UP_ROUNDS {
                connection.round(Hosts::All, timeline, None)?;
            }
        }
        Ok(load)
    }

    /// Finds out which core each connection belongs to: lines of its own hosts cost other threads nothing.
    ///
    /// # Errors
    /// When a request fails or the threads cannot be looked at.
    pub fn find_cores(&mut self) -> Result<(), ProbeError> {
        for connection in &mut self.connections {
            let mut shares = [0.0; 2];
            for (core, share) in shares.iter_mut().enumerate() {
                let before = thread_cpu(self.pid)?;
                connection.until(Hosts::Of(core), self.timeline, Instant::now() + FIND)?;
                let after = thread_cpu(self.pid)?;
                let used = after.iter().map(|(thread, cpu)| {
                    cpu.saturating_sub(before.get(thread).copied().unwrap_or_default()).as_secs_f64()
                });
                let (busiest, total) =
                    used.fold((0.0f64, 0.0), |(busiest, total), used| (busiest.max(used), total + used));
                *share = busiest / total;
            }
            connection.core = usize::from(shares[1] > shares[0]);
        }
        Ok(())
    }

    /// Requests for these hosts from all connections for a while; nanoseconds of the daemon's CPU a request.
    ///
    /// # Errors
    /// When a request fails or the threads cannot be looked at.
    ///
    /// # Panics
    /// When a connection's thread does.
    pub fn stretch(&mut self, hosts: Hosts) -> Result<f64, ProbeError> {
        let before: Duration = thread_cpu(self.pid)?.values().sum();
        let (end, timeline) = (Instant::now() + STRETCH, self.timeline);
        let requests: Vec<Result<u64, SendError>> = thread::scope(|scope| {
            let threads: Vec<_> = self
                .connections
                .iter_mut()
                .map(|connection| scope.spawn(move || connection.until(hosts, timeline, end)))
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("a connection panicked")).collect()
        });
        let after: Duration = thread_cpu(self.pid)?.values().sum();
        let requests = requests.into_iter().sum::<Result<u64, _>>()?;
        Ok((after - before).as_nanos() as f64 / requests.max(1) as f64)
    }
}

impl Connection {
    fn wants(&self, hosts: Hosts, owner: usize) -> bool {
        match hosts {
            Hosts::All => true,
            Hosts::Of(core) => owner == core,
            Hosts::Local => owner == self.core,
            Hosts::Remote => owner != self.core,
        }
    }

    /// Round after round; how many requests.
    fn until(&mut self, hosts: Hosts, timeline: Timeline, end: Instant) -> Result<u64, SendError> {
        let mut requests = 0;
        while Instant::now() < end {
            requests += self.round(hosts, timeline, Some(end))?;
        }
        Ok(requests)
    }

    /// One request for each of these hosts, or until the time is over.
    fn round(&mut self, hosts: Hosts, timeline: Timeline, end: Option<Instant>) -> Result<u64, SendError> {
        let time = timeline.round_seconds(self.round);
        let mut requests = 0;
        for index in 0..self.bodies.len() {
            if !self.wants(hosts, self.bodies[index].0) {
                continue;
            }
            if end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
            let body = &mut self.bodies[index].1;
            body.patch(SEED, self.round, time);
            self.sender.send(body.bytes())?;
            requests += 1;
        }
        self.round += 1;
        Ok(requests)
    }
}
