//! What a series costs outside its buffers, by the tables' own count, and what a limit of series refuses.

use std::sync::Arc;

use engine::config::{Aggregation, Metric, Metrics};
use engine::line::decode::{BadLine, Counts, LineStream, Outbox};
use engine::memory::shard::{Applied, Shard};
use engine::recovery::Recovery;
use engine::series::route::Router;
use engine::sync::budget::Budget;
use engine::wal::encode::SegmentEncoder;
use engine::wal::segment::SegmentHeader;

const NOW: i64 = 1_700_000_000;
/// Bytes of all tables together, at the load below.
const BYTES_PER_SERIES_MAX: usize = 90;

fn metrics() -> Arc<Metrics> {
    let names = (0..10).map(|number| format!("flops_{number:03}"));
    let names = names.chain((0..20).map(|number| format!("node_metric{number:02}")));
    let metric = |name: String| Metric { name: name.into(), frequency: 60, aggregation: Aggregation::Avg };
    Metrics::new(names.map(metric).collect()).expect("the metrics are valid")
}

/// The lines of a host: 72 hardware threads × 10 metrics, and 20 metrics of the node.
fn body(host: usize) -> String {
    let tags = format!("cluster=fritz,hostname=f{host:04}");
    let threads = (0..720).map(|line| {
        let (metric, thread) = (line / 72, line % 72);
        format!("flops_{metric:03},{tags},type=hwthread,type-id={thread},unit=GFlops/s value=1.23 {NOW}\n")
    });
    let node =
        (0..20).map(|metric| format!("node_metric{metric:02},{tags},type=node,unit=GB value=7 {NOW}\n"));
    threads.chain(node).collect()
}

/// One accepting core and the shards it sends to.
struct Store {
    router: Router,
    shards: Vec<Shard>,
}

impl Store {
    fn new(cores: usize, series_max: usize) -> Self {
        let (metrics, budget) = (metrics(), Budget::new(series_max));
        let mut router = Router::new(Arc::clone(&metrics), cores, 1);
        router.limit_series(series_max);
        let shard = |_| {
            let mut shard = Shard::new(Arc::clone(&metrics), cores, 3600);
            shard.limit_series(budget.clone());
            shard
        };
        Self { router, shards: (0..cores).map(shard).collect() }
    }

    fn write(&mut self, body: &str) -> (Counts, Applied) {
        let mut outbox = Outbox::new(self.shards.len());
        let mut stream = LineStream::new(BadLine::Stop);
        stream.push(&mut self.router, "fritz", NOW, body.as_bytes(), &mut outbox).expect("good lines");
        let mut applied = Applied::default();
        for (core, samples) in outbox.samples.into_iter().enumerate() {
            let batch = self.router.seal(core, samples);
            let part = self.shards[core].apply(0, &batch, NOW, None);
            applied.stored += part.stored;
            applied.beyond_limit += part.beyond_limit;
        }
        (stream.counts, applied)
    }

    fn series(&self) -> usize {
        self.shards.iter().map(|shard| shard.tree().series_count() as usize).sum()
    }

    fn bytes(&self) -> usize {
        self.router.bytes() + self.shards.iter().map(Shard::names_bytes).sum::<usize>()
    }
}

#[test]
fn a_series_costs_few_bytes_outside_its_buffers() {
    const HOSTS: usize = 200;
    for cores in [1, 2] {
        let mut store = Store::new(cores, 0);
        let text: usize = (0..HOSTS)
            .map(|host| {
                let body = body(host);
                assert_eq!(store.write(&body).1.stored, 740);
                body.len()
            })
            .sum();
        let series = store.series();
        assert_eq!(series, HOSTS * 740);
        let bytes = store.bytes();
        println!("{cores} cores: {:.1} bytes a series", bytes as f64 / series as f64);
        assert!(text / series > 85, "the lines are as long as real ones");
        assert!(bytes <= series * BYTES_PER_SERIES_MAX, "{bytes} bytes for {series} series");
        // Lines that repeat cost nothing more.
        (0..HOSTS).for_each(|host| drop(store.write(&body(host))));
        assert_eq!(store.bytes(), bytes);
    }
}

#[test]
fn series_beyond_the_limit_are_refused_and_the_others_are_kept() {
    let mut store = Store::new(2, 1000);
    assert_eq!(store.write(&body(0)).1, Applied { stored: 740, ..Applied::default() });
    for _ in 0..2 {
        let (counts, applied) = store.write(&body(1));
        assert_eq!((counts.samples, counts.beyond_limit), (740, 0));
        assert_eq!(applied, Applied { stored: 260, beyond_limit: 480, ..Applied::default() });
    }
    // Known ones among new ones of a new host, of which nothing is created.
    let mixed = body(0) + &body(2) + &body(1);
    assert_eq!(store.write(&mixed).1, Applied { stored: 1000, beyond_limit: 1220, ..Applied::default() });
    assert_eq!(store.series(), 1000);
    for shard in &mut store.shards {
        assert_eq!(shard.tree().find(["fritz", "f0002"]), None);
    }
}

#[test]
fn made_up_series_do_not_grow_a_store_with_a_limit() {
    let mut store = Store::new(2, 1000);
    store.write(&body(0));
    let (mut bytes, mut beyond_limit) = (0, 0);
    for host in 1..40 {
        let (counts, applied) = store.write(&body(host));
        assert_eq!(counts.samples + counts.beyond_limit, 740, "the rest of the batch is kept");
        beyond_limit += counts.beyond_limit + applied.beyond_limit;
        if host == 20 {
            bytes = store.bytes();
        }
    }
    assert_eq!(store.bytes(), bytes);
    assert_eq!(beyond_limit, 39 * 740 - 260);
    assert_eq!(store.write(&body(0)).1.stored, 740);
}

#[test]
fn what_a_log_holds_is_loaded_whatever_the_limit_and_refused_series_are_not_in_it() {
    let header = SegmentHeader { id: 1, core: 0, cores: 1, created_seconds: NOW };
    let mut log = SegmentEncoder::new(header);
    let mut store = Store::new(1, 300);
    let mut outbox = Outbox::new(1);
    let mut stream = LineStream::new(BadLine::Stop);
    stream.push(&mut store.router, "fritz", NOW, body(0).as_bytes(), &mut outbox).unwrap();
    let batch = store.router.seal(0, std::mem::take(&mut outbox.samples[0]));
    let applied = store.shards[0].apply(0, &batch, NOW, Some(&mut log));
    assert_eq!((applied.stored, applied.beyond_limit), (300, 440));
    // Once more, as after a change of the segment in between.
    store.shards[0].record(0, &batch, &mut log);
    let segment = [&header.encode()[..], log.seal()].concat();

    let mut shard = Shard::new(metrics(), 1, 3600);
    let budget = Budget::new(10);
    shard.limit_series(budget.clone());
    let mut recovery = Recovery::new(&mut shard, 0, 1, 0);
    recovery.segment(1, &segment);
    assert_eq!(recovery.recovered().samples, 600);
    assert_eq!((shard.tree().series_count(), budget.taken()), (300, 300));
}
