//! Writers that keep a steady pace over HTTP, whatever the server does beside: what `queries` and `checkpoint` measure stalls with.
//!
//! Latencies count from the moment a request was due, so that a stall is charged to all it delays.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    body::Body,
    pace::{self, Pace},
    sender::{self, SendError, Sender, Transport},
    site::Site,
    worker::histogram,
};

/// Who writes what, how often.
#[derive(Clone, Copy, Debug)]
pub struct Steady<'a> {
    /// Whose hosts write, one after the other.
    pub site: &'a Site,
    /// Where to.
    pub addr: SocketAddr,
    /// Seed of the values.
    pub seed: u64,
    /// Connections that take turns.
    pub writers: u32,
    /// Requests a second of all of them.
    pub requests_per_second: u32,
}

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// When it should have been sent.
    pub due: Instant,
    /// From then to the end of its answer.
    pub latency: Duration,
}

impl Steady<'_> {
    /// Writes for this long. `round` makes interval and timestamp of a host's requests of their number.
    ///
    /// # Errors
    /// The first of a writer.
    ///
    /// # Panics
    /// If a writer does.
    pub fn write(
        &self,
        time: Duration,
        round: impl Fn(u64) -> (u64, i64) + Sync,
    ) -> Result<Vec<Written>, SendError> {
        let began = Instant::now();
        let round = &round;
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.writers)
                .map(|writer| scope.spawn(move || self.write_one(writer, began, time, round)))
                .collect();
            let mut all = Vec::new();
            for thread in threads {
                all.extend(thread.join().expect("a writer panicked")?);
            }
            Ok(all)
        })
    }

    /// One connection.
    fn write_one(
        &self,
        writer: u32,
        began: Instant,
        time: Duration,
        round: impl Fn(u64) -> (u64, i64),
    ) -> Result<Vec<Written>, SendError> {
        let target = sender::write_target();
        let mut bodies: Vec<Body> = (0..self.site.hosts())
            .filter(|host| host % self.writers == writer)
            .map(|host| {
                Body::new(self.site, host, |bytes| sender::head(Transport::Http, self.addr, &target, bytes))
            })
            .collect();
        let mut sender = Sender::new(Transport::Http, self.addr);
        let rate = f64::from(self.requests_per_second);
        let stagger = Duration::from_secs_f64(f64::from(writer) / rate);
        let mut pace = Pace::new(began + stagger, rate / f64::from(self.writers));
        let count = bodies.len();
        let mut written = Vec::new();
        for turn in 0.. {
            let due = pace.next_due();
            if due >= began + time {
                break;
            }
            let (interval, timestamp) = round((turn / count) as u64);
            let body = &mut bodies[turn % count];
            body.patch(self.seed, interval, timestamp);
            pace::wait_until(due);
            sender.send(body.bytes())?;
            written.push(Written { due, latency: due.elapsed() });
        }
        Ok(written)
    }
}

/// The latencies of some requests, in nanoseconds.
pub fn latencies_ns<'a>(written: impl IntoIterator<Item = &'a Written>) -> Histogram<u64> {
    let mut latencies_ns = histogram();
    for request in written {
        latencies_ns.saturating_record(request.latency.as_nanos() as u64);
    }
    latencies_ns
}
