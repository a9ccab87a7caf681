//! Questions in PromQL against a model that knows every sample and nothing of buffers, cores or steps.
//!
//! Samples are on the grid of their metric, with gaps, so that the slot of a buffer and the time of a sample are the same.

mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::config::{Aggregation, Metric, Metrics};
use engine::promql::evaluate::evaluate;
use engine::promql::gather::gather;
use engine::promql::grid::Grid;
use engine::promql::labels::Label;
use engine::promql::plan::Plan;
use engine::promql::scan::{PromQuestion, PromScan, Wanted};
use engine::promql::series::is_present;
use engine::promql::value::Value;
use engine::promql::work::Work;
use futures_lite::future::block_on;
use proptest::prelude::*;
use store::Store;

const BASE: i64 = 1_700_000_040;
const PERIOD: i64 = 60;
const NOW: i64 = BASE + 10_000_000;

/// Host and thread, to the samples of each: slot and value.
type History = BTreeMap<(u8, u8), BTreeMap<i64, f64>>;
/// By the labels that are left: step and value.
type Found = BTreeMap<String, Vec<(usize, f64)>>;

#[derive(Clone, Copy, Debug)]
struct Range {
    start: i64,
    step: i64,
    steps: usize,
}

fn metrics() -> Arc<Metrics> {
    let metric = Metric { name: "m".into(), frequency: PERIOD, aggregation: Aggregation::None };
    Metrics::new(vec![metric]).expect("the metric is valid")
}

fn name(host: u8, thread: u8) -> String {
    format!("h{host}/{thread}")
}

/// What the engine answers.
fn ask(history: &History, cores: usize, text: &str, range: Range) -> Found {
    let metrics = metrics();
    let mut store = Store::new(&metrics, cores, 100_000_000);
    for (&(host, thread), samples) in history {
        let line = |(slot, value): (&i64, &f64)| {
            format!(
                "m,hostname=h{host},type=hwthread,type-id={thread} value={value} {}\n",
                BASE + slot * PERIOD
            )
        };
        store
            .write("c", &samples.iter().map(line).collect::<String>(), NOW)
            .result
            .expect("the lines are good");
    }
    let Range { start, step, steps } = range;
    let (start_ms, step_ms) = (start * 1000, step * 1000);
    let grid = Grid { start_ms, step_ms, steps };
    let plan = Plan::parse(text, &metrics, grid, grid.end_ms()).expect("the question is good");
    let question =
        Arc::new(PromQuestion { leaves: plan.leaves, wanted: Wanted::Values, values_max: u64::MAX });
    let answers = store.shards.iter().map(|shard| {
        let mut scan = PromScan::new(Arc::clone(&question));
        (0..1_000_000).find_map(|_| scan.step(shard)).expect("a scan ends").expect("it is small")
    });
    let mut work = Work::new(u64::MAX);
    let leaves = block_on(gather(answers.collect(), &mut work)).expect("it is small");
    let value = block_on(evaluate(&plan.expression, grid, leaves, &mut work));
    let Value::Vector(series) = value.expect("it can be computed") else { panic!("series are expected") };
    let series = series.into_iter().map(|series| {
        assert_eq!((series.first_ms, series.period_ms, series.values.len()), (start_ms, step_ms, steps));
        let name = format!("{}/{}", series.labels.get(Label::Host), series.labels.get(Label::Id));
        (name, series.values.into_iter().enumerate().filter(|(_, value)| is_present(*value)).collect())
    });
    series.collect()
}

/// The last value in the five periods up to a time.
fn latest(samples: &BTreeMap<i64, f64>, time: i64) -> Option<f64> {
    within(samples, time, 5 * PERIOD).last().map(|&(_, value)| value)
}

fn plain(history: &History, range: Range) -> Found {
    let mut found = Found::new();
    for (&(host, thread), samples) in history {
        for step in 0..range.steps {
            if let Some(value) = latest(samples, range.start + range.step * step as i64) {
                found.entry(name(host, thread)).or_default().push((step, value));
            }
        }
    }
    found
}

fn sums_by_host(history: &History, range: Range) -> Found {
    by_host(history, range, |values| values.iter().sum())
}

fn by_host(history: &History, range: Range, combine: impl Fn(&[f64]) -> f64) -> Found {
    let mut found = Found::new();
    for host in history.keys().map(|key| key.0).collect::<std::collections::BTreeSet<_>>() {
        for step in 0..range.steps {
            let time = range.start + range.step * step as i64;
            let values = history.iter().filter(|(key, _)| key.0 == host);
            let values: Vec<f64> = values.filter_map(|(_, samples)| latest(samples, time)).collect();
            if !values.is_empty() {
                found.entry(format!("h{host}/")).or_default().push((step, combine(&values)));
            }
        }
    }
    found
}

/// Samples in `[time − range, time]`, with their times.
fn within(samples: &BTreeMap<i64, f64>, time: i64, range: i64) -> Vec<(i64, f64)> {
    let times = samples.iter().map(|(slot, value)| (BASE + slot * PERIOD, *value));
    times.filter(|&(at, _)| at >= time - range && at <= time).collect()
}

/// What a function makes of them.
fn over_time(function: &str, samples: &[(i64, f64)]) -> Option<f64> {
    let values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
    let (&last, sum) = (values.last()?, values.iter().sum::<f64>());
    Some(match function {
        "avg_over_time" => sum / values.len() as f64,
        "min_over_time" => values.iter().copied().fold(last, f64::min),
        "max_over_time" => values.iter().copied().fold(last, f64::max),
        "sum_over_time" => sum,
        "count_over_time" => values.len() as f64,
        _ => last,
    })
}

/// The increase of a counter as Prometheus 2.42 has it, written another way than the engine's: resets are added to what follows them,
/// then the straight line through the ends is drawn out to the range, or to where it is zero, or half a distance beyond the samples.
fn increase(samples: &[(i64, f64)], time: i64, range: i64) -> Option<f64> {
    let (&(first, low), &(last, _)) = (samples.first()?, samples.last()?);
    // Seconds since 1970 leave too few bits for a fraction of a second.
    let (first, last) = (first - time, last - time);
    if samples.len() < 2 {
        return None;
    }
    let mut lift = 0.0;
    for pair in samples.windows(2) {
        if pair[1].1 < pair[0].1 {
            lift += pair[0].1;
        }
    }
    let high = samples.last()?.1 + lift;
    let (span, distance) = ((last - first) as f64, (last - first) as f64 / (samples.len() - 1) as f64);
    let slope = (high - low) / span;
    let mut before = (first + range) as f64;
    if slope > 0.0 && low >= 0.0 {
        before = before.min(span * (low / (high - low)));
    }
    let reach = |gap: f64| if gap >= distance * 1.1 { distance / 2.0 } else { gap };
    Some(slope * (span + reach(before) + reach(-last as f64)))
}

fn of_ranges(history: &History, function: &str, length: i64, offset: i64, range: Range) -> Found {
    let mut found = Found::new();
    for (&(host, thread), samples) in history {
        for step in 0..range.steps {
            let time = range.start + range.step * step as i64 - offset;
            let window = within(samples, time, length);
            let value = match function {
                "increase" => increase(&window, time, length),
                "rate" => increase(&window, time, length).map(|increase| increase / length as f64),
                _ => over_time(function, &window),
            };
            if let Some(value) = value {
                found.entry(name(host, thread)).or_default().push((step, value));
            }
        }
    }
    found
}

/// Equal but for the rounding of another order of operations.
fn is_close(left: &Found, right: &Found) -> bool {
    let is_near = |a: &(usize, f64), b: &(usize, f64)| {
        a.0 == b.0 && (a.1 - b.1).abs() <= 1e-9 * (1.0 + a.1.abs().max(b.1.abs()))
    };
    left.keys().eq(right.keys())
        && left.values().zip(right.values()).all(|(left, right)| {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| is_near(a, b))
        })
}

fn histories() -> impl Strategy<Value = History> {
    // Whole numbers: their sums do not depend on the order.
    let samples = proptest::collection::btree_map(0i64..700, (-1000i32..1000).prop_map(f64::from), 1..60);
    proptest::collection::btree_map((0u8..5, 0u8..3), samples, 1..8)
}

fn ranges() -> impl Strategy<Value = Range> {
    (-2000i64..45_000, 1i64..2000, 1usize..60).prop_map(|(start, step, steps)| Range {
        start: BASE + start,
        step,
        steps,
    })
}

#[test]
fn a_long_series_is_read_in_pieces() {
    let samples = (0..70_000).map(|slot| (slot, (slot % 977) as f64)).collect();
    let history = History::from([((0, 0), samples)]);
    let range = Range { start: BASE + 30_000, step: 43_210, steps: 98 };
    assert_eq!(ask(&history, 1, "m", range), plain(&history, range));
    let last = Range { start: BASE + 69_999 * PERIOD, step: 1, steps: 1 };
    let counted = Found::from([(name(0, 0), vec![(0, 70_000.0)])]);
    assert_eq!(ask(&history, 1, "count_over_time(m[100d])", last), counted);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn plain_selectors_and_sums(history in histories(), range in ranges(), cores in 1usize..4) {
        prop_assert_eq!(ask(&history, cores, "m", range), plain(&history, range));
        prop_assert_eq!(ask(&history, cores, "sum by (host) (m)", range), sums_by_host(&history, range));
        // The same, computed by the asking core.
        prop_assert_eq!(ask(&history, cores, "sum by (host) (m + 0)", range), sums_by_host(&history, range));
    }

    #[test]
    fn aggregations(history in histories(), range in ranges(), cores in 1usize..4) {
        let of = |combine: fn(&[f64]) -> f64| by_host(&history, range, combine);
        let ask = |text: &str| ask(&history, cores, text, range);
        prop_assert_eq!(ask("min by (host) (m)"), of(|values| values.iter().copied().fold(f64::INFINITY, f64::min)));
        prop_assert_eq!(ask("max by (host) (m)"), of(|values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)));
        prop_assert_eq!(ask("count without (id, scope, cluster) (m)"), of(|values| values.len() as f64));
        prop_assert!(is_close(&ask("avg by (host) (m)"), &of(|values| values.iter().sum::<f64>() / values.len() as f64)));
    }

    #[test]
    fn functions_over_ranges(
        history in histories(),
        range in ranges(),
        cores in 1usize..4,
        function in proptest::sample::select(vec!["avg_over_time", "min_over_time", "max_over_time", "sum_over_time",
            "count_over_time", "last_over_time", "rate", "increase"]),
        is_raw in any::<bool>(),
        length in 1i64..5000,
        // The parser takes no offset of nothing.
        offset in 1i64..5000,
    ) {
        // A parameter that is not known at once makes the asking core do it.
        let text = if is_raw && function == "max_over_time" {
            format!("quantile_over_time(scalar(vector(1)), m[{length}s] offset {offset}s)")
        } else {
            format!("{function}(m[{length}s] offset {offset}s)")
        };
        let found = ask(&history, cores, &text, range);
        let expected = of_ranges(&history, function, length, offset, range);
        prop_assert!(is_close(&found, &expected), "{function}[{length}s] offset {offset}s: {found:?} {expected:?}");
    }

    #[test]
    fn matchers(history in histories(), range in ranges(), cores in 1usize..4, host in 0u8..5) {
        let all = plain(&history, range);
        let only = |f: &dyn Fn(&str) -> bool| all.clone().into_iter().filter(|(name, _)| f(name)).collect::<Found>();
        let this = format!("h{host}/");
        let ask = |text: String| ask(&history, cores, &text, range);
        prop_assert_eq!(ask(format!("m{{host=\"h{host}\",cluster=\"c\"}}")), only(&|name| name.starts_with(&this)));
        prop_assert_eq!(ask(format!("m{{hostname!=\"h{host}\"}}")), only(&|name| !name.starts_with(&this)));
        prop_assert_eq!(ask(format!("m{{host=~\"h[0-{host}]\"}}")), only(&|name| name.as_bytes()[1] <= b'0' + host));
        prop_assert_eq!(ask("m{id!~\"1|2\",scope=\"hwthread\"}".to_owned()), only(&|name| name.ends_with("/0")));
        prop_assert_eq!(ask("m{scope=\"node\"}".to_owned()), Found::new());
    }
}
