//! What questions in PromQL cost the engine, without sockets: time in all, the longest step of an owner, and the longest turn of the
//! asking core, between which ingest runs; each the least of some rounds, as other processes interrupt.
//!
//! `cargo run --release -p engine --example promql_cost -- [HOSTS]` fills HOSTS × 72 series with a day of minutes, on one core.

#[path = "../tests/store/mod.rs"]
mod store;

use std::fmt::Write as _;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use engine::config::{Aggregation, Metric, Metrics};
use engine::promql::PromError;
use engine::promql::evaluate::evaluate;
use engine::promql::gather::gather;
use engine::promql::grid::Grid;
use engine::promql::plan::Plan;
use engine::promql::scan::{PromQuestion, PromScan, Wanted};
use engine::promql::value::Value;
use engine::promql::work::Work;
use store::Store;

const ROUNDS: usize = 5;
const THREADS: usize = 72;
const MINUTES: i64 = 24 * 60;
const START: i64 = 1_700_000_040;
const NOW: i64 = START + MINUTES * 60;

/// Name, text, seconds of a step.
const QUESTIONS: [(&str, &str, i64); 12] = [
    ("thread", r#"flops_any{host="h000",id="0"}"#, 60),
    ("host", r#"flops_any{host="h000"}"#, 300),
    ("sum", "sum by (host) (flops_any)", 300),
    ("small steps", "sum(flops_any)", 8),
    ("rate", "sum by (host) (rate(flops_any[5m]))", 300),
    ("wide ranges", r#"max_over_time(flops_any{id="0"}[1d])"#, 300),
    ("above", r#"-(-(avg by (cluster) (flops_any{id=~"1.*"} * 2 + flops_any{id=~"1.*"})))"#, 900),
    ("quantiles", "sum by (host) (quantile_over_time(0.9, flops_any[1h]))", 300),
    ("subquery", r#"max_over_time(sum by (host) (rate(flops_any[5m]))[1h:1m])"#, 300),
    ("largest", r#"topk(5, flops_any{id=~"1.*"})"#, 900),
    ("joined", r#"flops_any{id=~"1.*"} / on(host) group_left sum by (host) (flops_any)"#, 900),
    ("hostile pattern", r#"sum(flops_any{host=~"(.*[a-h].*[0-9].*){90}|(h|.*)0.*0"})"#, 300),
];

fn fill(hosts: usize, metrics: &Arc<Metrics>) -> Store {
    let mut store = Store::new(metrics, 1, 100_000_000);
    let mut text = String::new();
    for host in 0..hosts {
        text.clear();
        for minute in 0..MINUTES {
            for thread in 0..THREADS {
                let value = (minute * 37 + thread as i64 * 11) % 1000;
                let time = START + minute * 60;
                let _ = writeln!(
                    text,
                    "flops_any,hostname=h{host:03},type=hwthread,type-id={thread} value={value} {time}"
                );
            }
        }
        store.write("c", &text, NOW).result.expect("the lines are good");
    }
    store
}

/// Runs a future; returns its result and its longest turn.
fn longest_turn<F: Future>(future: F) -> (F::Output, Duration) {
    let mut future = pin!(future);
    let mut longest = Duration::ZERO;
    loop {
        let began = Instant::now();
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        longest = longest.max(began.elapsed());
        if let Poll::Ready(result) = polled {
            return (result, longest);
        }
    }
}

fn ask(store: &Store, metrics: &Metrics, text: &str, step: i64) -> Result<(usize, [Duration; 3]), PromError> {
    let began = Instant::now();
    let steps = usize::try_from((MINUTES * 60) / step).expect("it is small");
    let grid = Grid { start_ms: START * 1000, step_ms: step * 1000, steps };
    let plan = Plan::parse(text, metrics, grid, grid.end_ms())?;
    let parsed = began.elapsed();
    let question = PromQuestion { leaves: plan.leaves, wanted: Wanted::Values, values_max: 200_000_000 };
    let mut scan = PromScan::new(Arc::new(question));
    let mut longest_step = Duration::ZERO;
    let answer = loop {
        let began = Instant::now();
        let answer = scan.step(&store.shards[0]);
        longest_step = longest_step.max(began.elapsed());
        if let Some(answer) = answer {
            break answer?;
        }
    };
    let mut work = Work::new(200_000_000);
    let (leaves, gathering) = longest_turn(gather(vec![answer], &mut work));
    let (value, evaluating) = longest_turn(evaluate(&plan.expression, grid, leaves?, &mut work));
    let Value::Vector(series) = value? else { return Ok((0, [Duration::ZERO; 3])) };
    Ok((series.len(), [began.elapsed(), longest_step, gathering.max(evaluating).max(parsed)]))
}

fn main() {
    let hosts = std::env::args().nth(1).map_or(32, |text| text.parse().expect("HOSTS is a number"));
    let metric = Metric { name: "flops_any".into(), frequency: 60, aggregation: Aggregation::Sum };
    let metrics = Metrics::new(vec![metric]).expect("the metric is valid");
    let store = fill(hosts, &metrics);
    println!("{} series of {MINUTES} values", hosts * THREADS);
    println!("{:16} {:>8} {:>10} {:>14} {:>14}", "question", "series", "ms", "step µs max", "turn µs max");
    for (name, text, step) in QUESTIONS {
        let rounds = (0..ROUNDS).map(|_| ask(&store, &metrics, text, step));
        let least = rounds.reduce(|a, b| {
            let (a, b) = (a?, b?);
            Ok((a.0, std::array::from_fn(|index| a.1[index].min(b.1[index]))))
        });
        match least.expect("there are rounds") {
            Ok((series, [all, step, turn])) => println!(
                "{name:16} {series:>8} {:>10.1} {:>14} {:>14}",
                all.as_secs_f64() * 1000.0,
                step.as_micros(),
                turn.as_micros()
            ),
            Err(error) => println!("{name:16} {error}"),
        }
    }
}
