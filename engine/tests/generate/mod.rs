//! Made-up histories and requests, for the store and the model alike.
//!
//! A small site: two clusters, three hosts, some levels below them, metrics of all aggregations with frequencies of
//! one second to a minute, one of them odd. Samples come in runs, in order, with jitter, twice, with gaps shorter and
//! longer than a buffer, and late.

#![allow(dead_code, reason = "every test file uses another part of the generators")]

use engine::config::Aggregation;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::FileFailurePersistence;

use crate::model::query::{Query, Request};
use crate::model::site::{BASE, METRICS};

/// Levels a series can be at, below its host: type, type-id, stype, stype-id.
const LEVELS: [[&str; 4]; 9] = [
    ["", "", "", ""],
    ["node", "", "", ""],
    ["socket", "0", "", ""],
    ["socket", "1", "", ""],
    ["hwthread", "0", "", ""],
    ["hwthread", "1", "", ""],
    ["hwthread", "10", "", ""],
    ["socket", "0", "memctrl", "0"],
    ["socket", "0", "memctrl", "1"],
];
pub(crate) const CLUSTERS: [&str; 2] = ["c0", "c1"];
const HOSTS: [&str; 3] = ["h0", "h1", "h2"];

/// So many cases unless `PROPTEST_CASES` says otherwise; failures go to a file beside the tests.
pub(crate) fn settings(cases: u32, regressions: &'static str) -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    config.failure_persistence = Some(Box::new(FileFailurePersistence::Direct(regressions)));
    config
}

/// One sample and how its line is written.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) path: Vec<String>,
    pub(crate) metric: &'static str,
    pub(crate) time: i64,
    pub(crate) value: f64,
    pub(crate) line: String,
}

/// Samples of one series, about one per interval.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    cluster: &'static str,
    host: &'static str,
    level: [&'static str; 4],
    metric: (&'static str, i64, Aggregation),
    /// Where it begins, in slots from [`BASE`], and so many seconds later.
    slot: i64,
    phase: i64,
    count: i64,
    /// Slots from one sample to the next; 0 writes the same one again.
    step: i64,
    /// Samples are up to so many seconds late.
    jitter: i64,
    gaps: Gaps,
    seed: u32,
}

/// Which samples of a run are missing: of so many in a row all or none, so often.
#[derive(Clone, Copy, Debug)]
struct Gaps {
    row: i64,
    per_mille: i64,
}

const NO_GAPS: Gaps = Gaps { row: 1, per_mille: 0 };

/// What happens to a store.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// One request with all of these samples; whether its lines name their cluster.
    Write {
        runs: Vec<Run>,
        tagged: bool,
    },
    Free {
        selectors: Vec<Vec<String>>,
        to: i64,
    },
}

impl Run {
    pub(crate) fn cluster(&self) -> &'static str {
        self.cluster
    }

    /// The samples in the order of their lines.
    pub(crate) fn samples(&self, tagged: bool) -> Vec<Sample> {
        let (name, frequency, _) = self.metric;
        let [kind, id, subkind, sub_id] = self.level;
        let mut path = vec![self.cluster.to_owned(), self.host.to_owned()];
        let mut key = name.to_owned();
        if tagged {
            key += &format!(",cluster={}", self.cluster);
        }
        key += &format!(",hostname={}", self.host);
        for (tag, value) in [("type", kind), ("type-id", id), ("stype", subkind), ("stype-id", sub_id)] {
            if !value.is_empty() {
                key += &format!(",{tag}={value}");
            }
        }
        for (kind, id) in [(kind, id), (subkind, sub_id)] {
            if !kind.is_empty() && kind != "node" {
                path.push(format!("{kind}{id}"));
            }
        }
        let sample = |index: i64| {
            let random =
                (i64::from(self.seed) + index).wrapping_mul(6_364_136_223_846_793_005).rotate_left(23);
            let jitter = if self.jitter > 0 { random.rem_euclid(self.jitter + 1) } else { 0 };
            let time = BASE + (self.slot + index * self.step) * frequency + self.phase + jitter;
            let value = (random.rotate_left(17).rem_euclid(2_000_003) - 1_000_000) as f64 / 1000.0;
            let line = format!("{key} value={value} {time}\n");
            Sample { path: path.clone(), metric: name, time, value, line }
        };
        let is_there = |index: &i64| {
            let random =
                (i64::from(self.seed) ^ index.div_euclid(self.gaps.row)).wrapping_mul(0x2545_F491_4F6C_DD1D);
            (random >> 33).rem_euclid(1000) >= self.gaps.per_mille
        };
        (0..self.count).filter(is_there).map(sample).collect()
    }
}

fn run() -> impl Strategy<Value = Run> {
    let count = prop_oneof![10 => 1..30i64, 2 => 30..200i64, 2 => 490..540i64, 2 => 1000..1300i64];
    let slot = prop_oneof![8 => 0..40i64, 3 => -600..600i64, 1 => -3000..3000i64];
    let step = prop_oneof![10 => Just(1i64), 2 => Just(2), 1 => Just(0), 1 => Just(-1), 1 => 3..700i64];
    let place = (select(&CLUSTERS[..]), select(&HOSTS[..]), select(&LEVELS[..]), select(&METRICS[..]));
    let jitter = prop_oneof![Just(0i64), 0..8i64, 0..70i64];
    let gaps = prop_oneof![2 => Just(NO_GAPS), 1 => gaps()];
    (place, slot, 0..60i64, count, step, jitter, gaps, any::<u32>()).prop_map(
        |((cluster, host, level, metric), slot, phase, count, step, jitter, gaps, seed)| {
            // Long jumps come a few at a time, or the model would walk for ever.
            let count = if step.abs() > 2 { count.min(12) } else { count };
            Run { cluster, host, level, metric, slot, phase, count, step, jitter, gaps, seed }
        },
    )
}

/// From one missing sample in two hundred, as real nodes have them, to hardly any that is there; alone or in rows.
fn gaps() -> impl Strategy<Value = Gaps> {
    let per_mille = select(vec![5i64, 20, 100, 330, 700, 970]);
    (prop_oneof![3 => Just(1i64), 1 => 2..9i64, 1 => 30..200i64], per_mille)
        .prop_map(|(row, per_mille)| Gaps { row, per_mille })
}

/// A series long enough to be resampled, mostly with gaps, of one level or several, and requests that resample it.
pub(crate) fn resampled_history_and_requests() -> impl Strategy<Value = (Vec<Event>, Vec<Request>)> {
    let gaps = prop_oneof![1 => Just(NO_GAPS), 6 => gaps()];
    let count = prop_oneof![3 => 1000..1300i64, 2 => 1300..2700i64, 1 => 990..1010i64];
    let algorithm = select(vec!["", "lttb", "lttb", "average", "simple", "nearest"]);
    let request = (-40..60i64, 0..60i64, 900..2700i64, 0..60i64, 2..1400i64, algorithm, any::<[bool; 3]>());
    (siblings(), gaps, count, vec(request, 1..6)).prop_map(|(mut runs, gaps, count, requests)| {
        for run in &mut runs {
            (run.count, run.gaps, run.step) = (count, gaps, 1);
        }
        let Run { cluster, host, slot, phase, metric: (metric, frequency, _), .. } = runs[0];
        let request = |(slots, seconds, span, span_seconds, step, algorithm, switches): (
            i64,
            _,
            _,
            _,
            i64,
            &str,
            _,
        )| {
            let [with_data, full_range, large] = switches;
            let from = BASE + (slot + slots) * frequency + phase + seconds;
            let resolution = frequency * if large { step } else { 2 + step % 30 };
            let query = Query { metric: metric.into(), host: host.into(), resolution, ..Query::default() };
            Request {
                cluster: cluster.into(),
                from,
                to: from + span * frequency + span_seconds,
                with_stats: true,
                // Most, as statistics alone hide much.
                with_data: with_data || step % 3 > 0,
                with_padding: with_data,
                queries: vec![query],
                for_all_nodes: None,
                resample_algo: Some(algorithm.into()),
                full_range,
            }
        };
        let requests = requests.into_iter().map(request).collect();
        (vec![Event::Write { runs, tagged: false }], requests)
    })
}

impl Event {
    fn runs(&self) -> &[Run] {
        match self {
            Self::Write { runs, .. } => runs,
            Self::Free { .. } => &[],
        }
    }
}

/// One metric at several levels of one host, from about the same time on: what is combined in answers.
fn siblings() -> impl Strategy<Value = Vec<Run>> {
    (run(), vec((select(&LEVELS[..]), -3..3i64, 0..60i64, -5..5i64), 0..6)).prop_map(|(first, others)| {
        let other = |(level, slot, phase, count): (_, i64, i64, i64)| Run {
            level,
            slot: first.slot + slot,
            phase,
            count: (first.count + count).max(1),
            ..first.clone()
        };
        let others: Vec<Run> = others.into_iter().map(other).collect();
        [vec![first], others].concat()
    })
}

/// A path that may or may not hold data.
pub(crate) fn selector() -> impl Strategy<Value = Vec<String>> {
    let names: [&[&str]; 9] = [
        &[],
        &["c0"],
        &["c1"],
        &["c0", "h0"],
        &["c0", "h1"],
        &["c1", "h0"],
        &["c0", "h0", "socket0"],
        &["c0", "h0", "socket0", "memctrl1"],
        &["c0", "nope"],
    ];
    select(names.to_vec()).prop_map(|names| names.iter().map(|name| (*name).to_owned()).collect())
}

/// Up to so many writes and frees.
pub(crate) fn history(events_max: usize) -> impl Strategy<Value = Vec<Event>> {
    let to = prop_oneof![4 => -1000..40_000i64, 1 => Just(-BASE), 1 => Just(i64::MAX - BASE)];
    let event = prop_oneof![
        8 => (siblings(), any::<bool>()).prop_map(|(runs, tagged)| Event::Write { runs, tagged }),
        1 => (vec(selector(), 0..3), to).prop_map(|(selectors, to)| Event::Free { selectors, to: BASE + to }),
    ];
    vec(event, 1..=events_max)
}

/// Any time, mostly near the samples.
pub(crate) fn time() -> impl Strategy<Value = i64> {
    let absurd = [i64::MIN, i64::MIN + 1, -1, 0, 1, 1_000_000_000_000_000_000, i64::MAX - 1, i64::MAX];
    prop_oneof![
        8 => (-200..3000i64).prop_map(|offset| BASE + offset),
        6 => (-60..700i64, 0..60i64).prop_map(|(slots, seconds)| BASE + slots * 60 + seconds),
        2 => (-200_000..200_000i64).prop_map(|offset| BASE + offset),
        1 => select(absurd.to_vec()),
        1 => any::<i64>(),
    ]
}

fn range() -> impl Strategy<Value = (i64, i64)> {
    let span = prop_oneof![0..200i64, 0..50_000i64];
    prop_oneof![
        6 => (time(), span).prop_map(|(from, span)| (from, from.saturating_add(span))),
        1 => (time(), time()),
    ]
}

fn names(choice: &'static [&'static str], most: usize) -> impl Strategy<Value = Vec<String>> {
    vec(select(choice), 0..=most).prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn query() -> impl Strategy<Value = Query> {
    let metric = select(vec!["s60", "a60", "n60", "s10", "a7", "s1", "n1", "nope"]);
    let host = select(vec!["h0", "h0", "h1", "h2", "h3"]);
    let kind = prop_oneof![
        3 => Just(None),
        3 => select(vec!["socket", "hwthread", "core"]).prop_map(Some),
    ];
    let subkind = prop_oneof![3 => Just(None), 1 => select(vec!["memctrl", "x"]).prop_map(Some)];
    let resolution = prop_oneof![
        4 => Just(0i64),
        3 => select(vec![2i64, 7, 14, 20, 30, 60, 70, 120, 300, 600, 660, 6000, 36_000, i64::MAX, -60]),
    ];
    let scale = prop_oneof![3 => Just(0.0), 2 => select(vec![1.0, 0.5, -2.0, 1e-3, 1e308])];
    let ids = names(&["0", "1", "10", "2"], 4);
    let sub_ids = names(&["0", "1", "2"], 3);
    (metric, host, kind, ids, subkind, sub_ids, any::<bool>(), resolution, scale).prop_map(
        |(metric, host, kind, ids, subkind, sub_ids, aggregate, resolution, scale_by)| Query {
            metric: metric.to_owned(),
            host: host.to_owned(),
            kind: kind.map(str::to_owned),
            ids,
            subkind: subkind.map(str::to_owned),
            sub_ids,
            aggregate,
            resolution,
            scale_by,
        },
    )
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    let nodes = prop_oneof![3 => Just(None), 1 => names(&["s60", "n60", "a7", "nope"], 3).prop_map(Some)];
    let cluster = select(vec!["c0", "c0", "c0", "c1", "c2"]);
    let switch = || proptest::bool::weighted(0.8);
    let algorithm =
        prop_oneof![4 => Just(None), 2 => select(vec!["", "lttb", "average", "simple", "x"]).prop_map(Some)];
    let full_range = proptest::bool::weighted(0.3);
    let switches = (switch(), switch(), switch(), full_range);
    (cluster, range(), switches, vec(query(), 0..5), nodes, algorithm).prop_map(
        |(
            cluster,
            (from, to),
            (with_stats, with_data, with_padding, full_range),
            queries,
            for_all_nodes,
            algorithm,
        )| {
            Request {
                cluster: cluster.to_owned(),
                from,
                to,
                with_stats,
                with_data,
                with_padding,
                queries,
                for_all_nodes,
                resample_algo: algorithm.map(str::to_owned),
                full_range,
            }
        },
    )
}

/// A history, and requests that mostly ask for what is in it.
pub(crate) fn history_and_requests(
    events_max: usize,
    requests: usize,
) -> impl Strategy<Value = (Vec<Event>, Vec<Request>)> {
    let aimed = (request(), proptest::option::weighted(0.8, any::<Index>()));
    (history(events_max), vec(aimed, requests)).prop_map(|(events, requests)| {
        let runs: Vec<&Run> = events.iter().flat_map(Event::runs).collect();
        let aim = |(mut request, target): (Request, Option<Index>)| {
            if let (Some(target), false) = (target, runs.is_empty()) {
                aim_at(&mut request, runs[target.index(runs.len())]);
            }
            request
        };
        let requests = requests.into_iter().map(aim).collect();
        (events, requests)
    })
}

/// Turns most of a request to one run: its host, its metric, its time, multiples of its frequency.
fn aim_at(request: &mut Request, run: &Run) {
    let (metric, frequency, _) = run.metric;
    run.cluster.clone_into(&mut request.cluster);
    if (BASE - 3000..BASE + 3000).contains(&request.from) && request.to >= request.from {
        let (mut offset, mut span) = (request.from - BASE, request.to - request.from);
        // Every other range is about where the run begins, half of these a few slots long.
        if offset % 2 == 0 {
            span = if offset % 4 == 0 { span % (3 * frequency) } else { span };
            offset = offset.rem_euclid(6 * frequency);
        }
        request.from = BASE + (run.slot - 3) * frequency + run.phase + offset;
        request.to = request.from.saturating_add(span);
    }
    for (index, query) in request.queries.iter_mut().enumerate() {
        if index % 3 < 2 {
            run.host.clone_into(&mut query.host);
            metric.clone_into(&mut query.metric);
            if (2..=30).contains(&query.resolution) {
                query.resolution *= frequency;
            }
        }
    }
}
