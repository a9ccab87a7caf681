//! What queries cost the engine, without sockets: nanoseconds a value, and the longest step between two looks at ingest (each
//! step as it was in the round in which it was shortest: what is longer at another place in every round is the machine's doing).
//!
//! `cargo run --release -p engine --example query_cost -- [HOSTS] [ROUNDS] [QUERY]` fills HOSTS × (72 + 5) series with 31 hours
//! of minutes and asks each query (or the QUERY of that name alone) ROUNDS times. With 0 ROUNDS it only loads, so that the
//! instructions of a query are the difference of two runs under `valgrind --tool=callgrind`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::config::{Aggregation, Metric, Metrics};
use engine::line::decode::{BadLine, LineStream, Outbox};
use engine::memory::shard::Shard;
use engine::query::gather::gather;
use engine::query::request::QueryRequest;
use engine::query::scatter::{CoreQuery, scatter};
use engine::series::directory::Directory;
use engine::series::route::Router;

const THREADS: usize = 72;
const NODE_METRICS: usize = 5;
const MINUTES: i64 = 31 * 60;
const START: i64 = 1_700_000_040;
const END: i64 = START + MINUTES * 60;

/// The queries of `docs/performance.md`: name, hosts (all: 0), minutes, and whether it is of threads, of their sum, of statistics.
const QUERIES: [(&str, usize, i64, &str); 6] = [
    ("one", 1, 24 * 60, r#""type":"hwthread","type-ids":["0"]"#),
    ("threads", 1, 24 * 60, "ALL"),
    ("sum", 1, 24 * 60, r#"ALL,"aggreg":true"#),
    ("small", 20, 60, "NODE"),
    ("statistics", 0, 24 * 60, r#"ALL,"aggreg":true"#),
    ("largest", 32, MINUTES, "ALL"),
];

fn metrics() -> Arc<Metrics> {
    let names =
        ["flops_any".to_owned()].into_iter().chain((0..NODE_METRICS).map(|index| format!("node{index}")));
    let metric = |name: String| Metric { name: name.into(), frequency: 60, aggregation: Aggregation::Sum };
    Metrics::new(names.map(metric).collect()).expect("the metrics are valid")
}

/// The values of a host's series at a minute, of the shapes that collectors send.
fn body(host: usize, minute: i64, random: &mut u64, text: &mut String) {
    text.clear();
    for series in 0..THREADS + NODE_METRICS {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let digits = *random >> 33;
        let value = match series % 8 {
            0..=2 => (digits % 1000) as f64 / 100.0,
            3 | 4 => (digits % 10_000) as f64 / 100.0,
            5 => (digits % 100_000) as f64 / 100.0,
            6 => (digits % 10_000) as f64,
            _ => (digits % 10_000_000) as f64,
        };
        let time = START + minute * 60;
        let tags = format!("cluster=c,hostname=h{host:03}");
        let _ = match series.checked_sub(THREADS) {
            None => writeln!(text, "flops_any,{tags},type=hwthread,type-id={series} value={value} {time}"),
            Some(metric) => writeln!(text, "node{metric},{tags},type=node value={value} {time}"),
        };
    }
}

fn request(hosts: usize, (name, of_hosts, minutes, scope): (&str, usize, i64, &str)) -> String {
    let ids: Vec<String> = (0..THREADS).map(|id| format!("\"{id}\"")).collect();
    let all = format!(r#""type":"hwthread","type-ids":[{}]"#, ids.join(","));
    let hosts = if of_hosts == 0 { hosts } else { of_hosts.min(hosts) };
    let queries: Vec<String> = (0..hosts)
        .flat_map(|host| match scope {
            "NODE" => (0..NODE_METRICS)
                .map(|metric| format!(r#"{{"host":"h{host:03}","metric":"node{metric}"}}"#))
                .collect(),
            scope => vec![format!(
                r#"{{"host":"h{host:03}","metric":"flops_any",{}}}"#,
                scope.replace("ALL", &all)
            )],
        })
        .collect();
    let (from, with_data) = (END - minutes * 60, name != "statistics");
    format!(
        r#"{{"cluster":"c","from":{from},"to":{END},"with-data":{with_data},"queries":[{}]}}"#,
        queries.join(",")
    )
}

/// Answers a request as one core does; returns its bytes. `steps` become what they take here, unless they took less before.
#[inline(never)]
fn ask(shard: &Shard, directory: &Directory, body: &str, steps: &mut Vec<Duration>) -> usize {
    let request = QueryRequest::parse(body.as_bytes()).expect("a good request");
    let questions = scatter(request, directory, u64::MAX).expect("few rows");
    let mut query = CoreQuery::new(questions[0].clone());
    for index in 0.. {
        let since = Instant::now();
        let step = query.step(shard);
        let time = since.elapsed();
        match steps.get_mut(index) {
            Some(least) => *least = time.min(*least),
            None => steps.push(time),
        }
        if let Some(answer) = step {
            let mut answer = answer.expect("no limit");
            let _ = gather(&questions, std::slice::from_ref(&answer));
            return answer.text.take_chunks().map(|chunk| chunk.len()).sum();
        }
    }
    unreachable!("a query ends")
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (hosts, rounds) = (number(40usize), number(21usize));
    let only = arguments.next();

    let metrics = metrics();
    let (directory, mut publishers) = Directory::new(1);
    let mut router = Router::new(Arc::clone(&metrics), 1, 7);
    let mut shard = Shard::new(metrics, 1, i64::MAX);
    let mut outbox = Outbox::new(1);
    let (mut random, mut text) = (1, String::new());
    for minute in 0..MINUTES {
        for host in 0..hosts {
            body(host, minute, &mut random, &mut text);
            let mut stream = LineStream::new(BadLine::Stop);
            stream.push(&mut router, "c", END, text.as_bytes(), &mut outbox).expect("good lines");
            let mut batch = router.seal(0, std::mem::take(&mut outbox.samples[0]));
            shard.apply(0, &batch, END, None);
            batch.samples.clear();
            outbox.samples[0] = batch.samples;
        }
    }
    publishers[0].publish(&mut shard);

    for query in QUERIES.into_iter().filter(|query| only.as_deref().is_none_or(|only| only == query.0)) {
        let request = request(hosts, query);
        let rows = request.matches("host\"").count();
        let series = if request.contains("type-ids\":[\"0\"]") {
            1
        } else if query.3 == "NODE" {
            rows
        } else {
            rows * THREADS
        };
        let values = (series as i64 * query.2) as f64;
        let mut spent = Vec::new();
        let mut steps = Vec::new();
        for _ in 0..rounds {
            let since = Instant::now();
            let bytes = ask(&shard, &directory, &request, &mut steps);
            spent.push((since.elapsed(), bytes));
        }
        spent.sort();
        let (Some((least, bytes)), Some((median, _))) = (spent.first(), spent.get(spent.len() / 2)) else {
            continue;
        };
        println!(
            "{:<12}{:>12} values {:>10.1} µs, {:>6.2} ns a value ({:.2} at best), {bytes} bytes, longest of {} steps {:.3} ms",
            query.0,
            values,
            median.as_nanos() as f64 / 1e3,
            median.as_nanos() as f64 / values,
            least.as_nanos() as f64 / values,
            steps.len(),
            steps.iter().max().map_or(0.0, |longest| longest.as_secs_f64() * 1e3),
        );
    }
}
