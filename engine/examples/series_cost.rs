//! What a series costs outside its buffers: bytes of the tables, nanoseconds of its first line and of every
//! later one, and the longest time that a table's growth stops everything else.
//!
//! `cargo run --release -p engine --example series_cost -- [HOSTS] [ROUNDS] [ORDER]` sends HOSTS × 740 lines (72 hardware
//! threads × 10 metrics + 20 metrics of the node, one body a host) ROUNDS times through decoder and shard of one core.
//! ORDER is `same` (default: every round as the first) or `shuffled`. The instructions of a repeated line are the
//! difference of two runs under `valgrind --tool=callgrind` with different ROUNDS.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::config::{Aggregation, Metric, Metrics};
use engine::line::decode::{BadLine, LineStream, Outbox};
use engine::memory::shard::Shard;
use engine::series::route::Router;

const THREADS: usize = 72;
const THREAD_METRICS: usize = 10;
const NODE_METRICS: usize = 20;
/// Bodies kept in memory at most.
const HOSTS_MADE_MAX: usize = 400;
const NOW: i64 = 1_700_000_000;

fn metrics() -> Arc<Metrics> {
    let names = (0..THREAD_METRICS).map(thread_metric).chain((0..NODE_METRICS).map(node_metric));
    let metric = |name: String| Metric { name: name.into(), frequency: 60, aggregation: Aggregation::Avg };
    Metrics::new(names.map(metric).collect()).expect("the metrics are valid")
}

fn thread_metric(index: usize) -> String {
    ["flops_any", "flops_dp", "mem_bw", "cpu_user", "ipc"][index % 5].to_owned() + ["", "_b"][index / 5]
}

fn node_metric(index: usize) -> String {
    format!("node_metric{index:02}")
}

/// The lines of a host, as in SPEC section 2.
fn lines(host: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for metric in 0..THREAD_METRICS {
        for thread in 0..THREADS {
            let name = thread_metric(metric);
            lines.push(format!(
                "{name},cluster=fritz,hostname=f{host:04},type=hwthread,type-id={thread},unit=GFlops/s value=1.23 {NOW}\n"
            ));
        }
    }
    for metric in 0..NODE_METRICS {
        let name = node_metric(metric);
        lines.push(format!("{name},cluster=fritz,hostname=f{host:04},type=node,unit=B value=17.25 {NOW}\n"));
    }
    lines
}

fn body(host: usize, shuffle: Option<&mut u64>) -> String {
    let mut lines = lines(host);
    if let Some(state) = shuffle {
        for index in (1..lines.len()).rev() {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            lines.swap(index, (*state >> 33) as usize % (index + 1));
        }
    }
    lines.concat()
}

fn resident_bytes() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Time spent in a part of the work: in all, and longest for one host. What is longest at another host in every run is
/// the machine's doing, not the tables'.
#[derive(Default)]
struct Spent {
    total: Duration,
    longest: Duration,
    longest_host: usize,
}

impl Spent {
    fn add(&mut self, since: Instant, host: usize) {
        let time = since.elapsed();
        self.total += time;
        if time > self.longest {
            (self.longest, self.longest_host) = (time, host);
        }
    }
}

/// Does a router count its bytes right? What it says, and what the process grows by.
fn compare_with_resident(hosts: usize, metrics: &Arc<Metrics>) {
    let mut router = Router::new(Arc::clone(metrics), 1, 7);
    let mut outbox = Outbox::new(1);
    let before = resident_bytes();
    for host in 0..hosts {
        let body = body(host, None);
        let mut stream = LineStream::new(BadLine::Stop);
        stream.push(&mut router, "fritz", NOW, body.as_bytes(), &mut outbox).expect("good lines");
        outbox.samples[0].clear();
        drop(router.seal(0, Vec::new()));
    }
    let (counted, grown) = (router.bytes(), resident_bytes().saturating_sub(before));
    println!("keys of a router: {counted} bytes counted, {grown} resident");
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (hosts, rounds) = (number(200usize), number(10usize));
    let shuffled = arguments.next().is_some_and(|order| order == "shuffled");
    let mut random = 1;

    let metrics = metrics();
    compare_with_resident(hosts, &metrics);
    let mut router = Router::new(Arc::clone(&metrics), 1, 7);
    let mut shard = Shard::new(metrics, 1, i64::MAX);
    let mut outbox = Outbox::new(1);
    // Few bodies are made beforehand, so that they are not counted with the lines.
    let made: Vec<String> = (0..if shuffled || hosts > HOSTS_MADE_MAX { 0 } else { hosts })
        .map(|host| body(host, None))
        .collect();
    let before = resident_bytes();
    for round in 0..rounds {
        let (mut decoded, mut applied) = (Spent::default(), Spent::default());
        let mut count = 0;
        for host in 0..hosts {
            let body = match made.get(host) {
                Some(made) => Cow::Borrowed(made),
                None => Cow::Owned(body(host, (shuffled && round > 0).then_some(&mut random))),
            };
            let since = Instant::now();
            let mut stream = LineStream::new(BadLine::Stop);
            stream.push(&mut router, "fritz", NOW, body.as_bytes(), &mut outbox).expect("good lines");
            decoded.add(since, host);
            let samples = std::mem::take(&mut outbox.samples[0]);
            count += samples.len();
            let since = Instant::now();
            let batch = router.seal(0, samples);
            shard.apply(0, &batch, NOW, None);
            applied.add(since, host);
            outbox.samples[0] = batch.samples;
            outbox.samples[0].clear();
        }
        if round == 0 || round == rounds - 1 {
            let mut text = String::new();
            for (name, spent) in [("decode", &decoded), ("apply", &applied)] {
                let ns = spent.total.as_nanos() as f64 / count as f64;
                let ms = spent.longest.as_secs_f64() * 1e3;
                let host = spent.longest_host;
                write!(text, "  {name} {ns:.0} ns/line, longest {ms:.2} ms at host {host}")
                    .expect("a String grows");
            }
            println!("round {round}:{text}");
        }
        if round == 0 {
            let grown = resident_bytes().saturating_sub(before);
            let each = |bytes: usize| bytes as f64 / count as f64;
            let (keys, names) = (each(router.bytes()), each(shard.names_bytes()));
            println!(
                "{count} series, bytes each: {:.1} in tables ({keys:.1} keys, {names:.1} tree and links); \
                 {:.1} resident, buffers included",
                keys + names,
                each(grown)
            );
        }
    }
}
