//! The engine's path as the daemon walks it on one core: decode and look up, store and log-encode, a block a body.
//!
//! [`crate::stages`] measures around it.

use std::{hint::black_box, sync::Arc};

use engine::{
    config::{Aggregation, Metric, Metrics},
    line::{
        decode::{BadLine, LineStream, Outbox},
        frame::{Framer, Overlong},
    },
    memory::shard::Shard,
    series::route::{Batch, Router},
    wal::encode::SegmentEncoder,
};

use super::{CHUNK_BYTES, SEED, header};
use crate::site::{CLUSTER, Site};

/// A core without its sockets and its disk.
#[derive(Debug)]
pub struct Path {
    metrics: Arc<Metrics>,
    retention_seconds: i64,
    router: Router,
    shard: Shard,
    log: SegmentEncoder,
    outbox: Outbox,
    stored: u64,
}

impl Path {
    /// A core that knows no series yet.
    ///
    /// # Panics
    /// If the site's metrics are none: a bug.
    #[must_use]
    pub fn new(site: &Site, retention_seconds: i64) -> Self {
        let metrics = site.metric_names().map(|name| Metric {
            name: name.into(),
            frequency: 60,
            aggregation: Aggregation::Avg,
        });
        let metrics = Metrics::new(metrics.collect()).expect("the site's metrics are right");
        Self {
            router: Router::new(Arc::clone(&metrics), 1, SEED),
            shard: Shard::new(Arc::clone(&metrics), 1, retention_seconds),
            log: SegmentEncoder::new(header()),
            outbox: Outbox::new(1),
            stored: 0,
            metrics,
            retention_seconds,
        }
    }

    /// An empty shard of the same metrics.
    #[must_use]
    pub fn shard(&self) -> Shard {
        Shard::new(Arc::clone(&self.metrics), 1, self.retention_seconds)
    }

    /// One body on the whole path; its block is sealed, and dropped.
    pub fn push(&mut self, body: &[u8], now: i64) {
        let mut batch = self.decode(body, now);
        self.stored += self.shard.apply(0, &batch, now, Some(&mut self.log)).stored;
        black_box(self.log.seal());
        // The daemon's lists come back with the reply.
        batch.samples.clear();
        self.outbox.samples[0] = batch.samples;
    }

    /// One body, decoded and looked up.
    ///
    /// # Panics
    /// If a line is bad: a bug.
    pub fn decode(&mut self, body: &[u8], now: i64) -> Batch {
        let mut stream = LineStream::new(BadLine::Stop);
        for chunk in body.chunks(CHUNK_BYTES) {
            stream
                .push(&mut self.router, CLUSTER, now, chunk, &mut self.outbox)
                .expect("the load's lines are right");
        }
        stream.finish(&mut self.router, CLUSTER, now, &mut self.outbox).expect("the load's lines are right");
        let samples = std::mem::take(&mut self.outbox.samples[0]);
        self.router.seal(0, samples)
    }

    /// Samples stored so far.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored
    }
}

/// Cuts a body into whole lines, as it comes from a socket.
pub(super) fn frame(body: &[u8]) {
    let mut framer = Framer::default();
    for chunk in body.chunks(CHUNK_BYTES) {
        framer
            .push(chunk, |region, _| {
                black_box(region);
                Ok::<_, Overlong>(region.len())
            })
            .expect("the load's lines are short");
    }
}
