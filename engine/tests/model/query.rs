//! Queries to the model (SPEC section 4): which series are meant, how they are combined, and the text of the answer.

use std::collections::BTreeMap;

use engine::config::Aggregation;

use super::chain::{Chain, Read};
use super::resample::resample;
use super::{Model, join};

/// A request, as a client means it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) cluster: String,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) with_stats: bool,
    pub(crate) with_data: bool,
    pub(crate) with_padding: bool,
    pub(crate) queries: Vec<Query>,
    pub(crate) for_all_nodes: Option<Vec<String>>,
    pub(crate) resample_algo: Option<String>,
    /// What the daemon is configured to; no part of the JSON.
    pub(crate) full_range: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) metric: String,
    pub(crate) host: String,
    pub(crate) kind: Option<String>,
    pub(crate) ids: Vec<String>,
    pub(crate) subkind: Option<String>,
    pub(crate) sub_ids: Vec<String>,
    pub(crate) aggregate: bool,
    pub(crate) resolution: i64,
    pub(crate) scale_by: f64,
}

/// What is answered, and how large it is.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Errors are worded `*`. Missing if it is so large that only the size was found out.
    pub(crate) text: Option<String>,
    /// Values and nulls before them.
    pub(crate) values: u128,
    /// Rows asked for.
    pub(crate) rows: u128,
}

/// One row: its text and its values.
enum Row {
    Text(String, u128),
    TooLong(u128),
}

/// No row of the model is longer, in seconds.
const ROW_SECONDS_MAX: i128 = 1_000_000;
/// Rows with more nulls before them are not written.
const NULLS_MAX: u128 = 1_000_000;
/// A window of more values is not resampled.
const RESAMPLED_WINDOW_MAX: u128 = 4_000_000;

impl Request {
    /// The JSON a client would send.
    pub(crate) fn to_json(&self) -> String {
        let queries: Vec<String> = self.queries.iter().map(Query::to_json).collect();
        let nodes = self.for_all_nodes.as_ref().map_or("null".to_owned(), |metrics| list(metrics));
        let algorithm = self.resample_algo.as_ref();
        let algorithm = algorithm.map_or(String::new(), |name| format!(r#","resample-algo":"{name}""#));
        format!(
            r#"{{"cluster":"{}","from":{},"to":{},"with-stats":{},"with-data":{},"with-padding":{},"queries":[{}],"for-all-nodes":{nodes}{algorithm}}}"#,
            self.cluster,
            self.from,
            self.to,
            self.with_stats,
            self.with_data,
            self.with_padding,
            queries.join(",")
        )
    }
}

impl Query {
    fn to_json(&self) -> String {
        let optional =
            |name: &Option<String>| name.as_ref().map_or("null".to_owned(), |name| format!("\"{name}\""));
        format!(
            r#"{{"metric":"{}","host":"{}","type":{},"type-ids":{},"subtype":{},"subtype-ids":{},"aggreg":{},"resolution":{},"scale-by":{}}}"#,
            self.metric,
            self.host,
            optional(&self.kind),
            list(&self.ids),
            optional(&self.subkind),
            list(&self.sub_ids),
            self.aggregate,
            self.resolution,
            self.scale_by
        )
    }

    /// The rows asked for: of each, the names below the host of all levels it combines.
    fn rows(&self) -> Vec<Vec<Vec<String>>> {
        let Some(kind) = &self.kind else { return vec![vec![vec![]]] };
        let mut rows = Vec::new();
        for id in &self.ids {
            let level = vec![format!("{kind}{id}")];
            match &self.subkind {
                None => rows.push(vec![level]),
                Some(subkind) => {
                    rows.extend(
                        self.sub_ids.iter().map(|sub| vec![join(&level, &format!("{subkind}{sub}"))]),
                    );
                }
            }
        }
        if self.aggregate { vec![rows.concat()] } else { rows }
    }
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("[{}]", names.join(","))
}

impl Model {
    /// The answer to a request.
    pub(crate) fn query(&self, request: &Request) -> Answered {
        let mut queries = request.queries.clone();
        let mut echoes = Vec::new();
        for metric in request.for_all_nodes.iter().flatten() {
            for host in self.children(std::slice::from_ref(&request.cluster)) {
                let query = Query { metric: metric.clone(), host, ..Query::default() };
                echoes.push(query);
            }
        }
        // By host; the metrics of a host in the order asked for.
        echoes.sort_by(|a, b| a.host.cmp(&b.host));
        queries.extend(echoes.iter().cloned());

        let mut answered = Answered { text: Some(String::new()), values: 0, rows: 0 };
        let mut results = Vec::new();
        for query in &queries {
            let mut texts = Vec::new();
            for levels in query.rows() {
                answered.rows += 1;
                match self.row(request, query, &levels) {
                    Some(Row::Text(text, values)) => {
                        texts.push(text);
                        answered.values += values;
                    }
                    Some(Row::TooLong(values)) => {
                        answered.values += values;
                        answered.text = None;
                    }
                    None => {}
                }
            }
            results.push(format!("[{}]", texts.join(",")));
        }
        let echo = |query: &Query| {
            format!(
                r#"{{"metric":"{}","host":"{}","resolution":0,"aggreg":false}}"#,
                query.metric, query.host
            )
        };
        let echoes: Vec<String> = echoes.iter().map(echo).collect();
        let echoed =
            if echoes.is_empty() { String::new() } else { format!(r#""queries":[{}],"#, echoes.join(",")) };
        answered.text = answered.text.map(|_| format!("{{{echoed}\"results\":[{}]}}\n", results.join(",")));
        answered
    }

    /// One row; `None` if there is no such data.
    fn row(&self, request: &Request, query: &Query, levels: &[Vec<String>]) -> Option<Row> {
        let error = || {
            let text = r#"{"error":"*","from":0,"to":0,"resolution":0,"avg":0.00,"min":0.00,"max":0.00}"#;
            Some(Row::Text(text.to_owned(), 0))
        };
        if request.from > request.to {
            return error();
        }
        let Some(metric) = self.metric(&query.metric) else { return error() };
        let host = vec![request.cluster.clone(), query.host.clone()];
        let levels = levels.iter().map(|level| [host.clone(), level.clone()].concat());
        let chains: Vec<&Chain> = levels.flat_map(|level| self.chains_of(&level, &query.metric)).collect();
        if chains.is_empty() {
            return None;
        }
        if chains.len() > 1 && metric.aggregation == Aggregation::None {
            return error();
        }
        let frequency = metric.frequency;
        let combine: fn(&[&Chain], i64, i64) -> Read =
            if request.full_range { combine_on_grid } else { combine };
        let Read { mut from, mut to, mut values } = combine(&chains, request.from, request.to);
        if metric.aggregation == Aggregation::Avg && chains.len() > 1 {
            let share = 1.0 / chains.len() as f64;
            values.iter_mut().for_each(|value| *value *= share);
        }
        let floor = |time: i64| i128::from(time).div_euclid(i128::from(frequency));
        let padded = request.with_padding && !request.full_range;
        let mut nulls = if padded { (floor(from) - floor(request.from)).max(0) as u128 } else { 0 };
        let mut nulls_behind = 0;
        if request.full_range {
            nulls = steps(request.from, from, frequency);
            nulls_behind = steps(request.from, request.to, frequency) - nulls - values.len() as u128;
            (from, to) = (request.from, request.to);
        }
        // What is refused as too large is measured before it is thinned out.
        let native = nulls + values.len() as u128 + nulls_behind;
        let thinned = request.full_range
            && query.resolution > frequency
            && native >= (query.resolution / frequency).max(1000) as u128;
        if thinned && native > RESAMPLED_WINDOW_MAX {
            return error();
        }
        if thinned {
            let missing = |count| std::iter::repeat_n(f64::NAN, count as usize);
            values = missing(nulls).chain(values).chain(missing(nulls_behind)).collect();
            (nulls, nulls_behind) = (0, 0);
        }
        let algorithm = request.resample_algo.as_deref().unwrap_or_default();
        let Ok(resampled) = resample(&values, frequency, query.resolution, algorithm) else { return error() };
        let resolution = if resampled.is_some() { query.resolution } else { frequency };
        let values = resampled.unwrap_or(values);

        let factor = if query.scale_by == 0.0 { 1.0 } else { query.scale_by };
        let statistics = if request.with_stats { statistics(&values) } else { [0.0; 3] };
        let [avg, min, max] = statistics.map(|value| number(value * factor, 2));
        let mut data = String::new();
        let mut size = 0;
        if request.with_data && native > 0 {
            size = native;
            if nulls.max(nulls_behind) > NULLS_MAX {
                return Some(Row::TooLong(size));
            }
            let missing = |count| std::iter::repeat_n("null".to_owned(), count as usize);
            let there = values.iter().map(|value| number(value * factor, 3));
            let all: Vec<String> = missing(nulls).chain(there).chain(missing(nulls_behind)).collect();
            data = format!("\"data\":[{}],", all.join(","));
        }
        let tail = format!(r#""from":{from},"to":{to},"resolution":{resolution}"#);
        Some(Row::Text(format!(r#"{{{data}{tail},"avg":{avg},"min":{min},"max":{max}}}"#), size))
    }

    /// The chain of a level; if it has none for the metric, those of the levels below it.
    fn chains_of(&self, level: &[String], metric: &str) -> Vec<&Chain> {
        if let Some(chain) = self.levels.get(level).and_then(|series| series.get(metric)) {
            return vec![chain];
        }
        let children = self.children(level);
        children.iter().flat_map(|name| self.chains_of(&join(level, name), metric)).collect()
    }
}

/// All children in one row: their sum where all have a slot, NaN where one has none, over the union of them all.
///
/// Children are read on one grid: it begins where the first child does, and moves on, by less than a slot, to the
/// beginning of a later one. The slots count from the first child's beginning, so they may be negative.
fn combine(chains: &[&Chain], from: i64, to: i64) -> Read {
    let frequency = i128::from(chains[0].frequency);
    let mut grid: Option<i128> = None;
    let mut rows: Vec<BTreeMap<i128, f64>> = Vec::new();
    for chain in chains {
        let begin = i128::from(chain.read(from, from).expect("a chain in the model has data").from);
        let zero = grid.unwrap_or(begin);
        let slot = (begin - zero) / frequency;
        let begin = begin.max(zero + slot * frequency);
        let mut end = i128::from(to);
        if grid.is_some() && zero < end {
            // What the children before took as the end: that of the last slot.
            end = zero;
            while end < i128::from(to).min(zero + ROW_SECONDS_MAX) {
                end += frequency;
            }
        }
        grid = Some(begin - slot * frequency);
        let begin = begin as i64;
        let read = chain.read(begin, end as i64).expect("a chain in the model has data");
        rows.push((slot..).zip(read.values).collect());
    }
    let zero = grid.expect("there is a chain");
    let slots = rows.iter().flat_map(BTreeMap::keys);
    let Some(first) = slots.clone().min() else {
        return Read { from: zero as i64, to: zero as i64, values: Vec::new() };
    };
    let last = slots.max().expect("there is a first one");
    let sum = |slot| rows.iter().fold(0.0, |sum, row| sum + row.get(&slot).unwrap_or(&f64::NAN));
    Read {
        from: (zero + first * frequency) as i64,
        to: (zero + (last + 1) * frequency) as i64,
        values: (*first..=*last).map(sum).collect(),
    }
}

/// How many of `from, from + frequency, …` are before `to`.
fn steps(from: i64, to: i64, frequency: i64) -> u128 {
    let (from, to, frequency) = (i128::from(from), i128::from(to), i128::from(frequency));
    ((to - from).max(0) + frequency - 1) as u128 / frequency as u128
}

/// All children in one row at the times `from, from + frequency, …`: from the first of these that some child has a
/// slot for to the last.
fn combine_on_grid(chains: &[&Chain], from: i64, to: i64) -> Read {
    let frequency = chains[0].frequency;
    let mut rows: Vec<BTreeMap<i64, f64>> = Vec::new();
    for chain in chains {
        let read = chain.read_on_grid(from, to).expect("a chain in the model has data");
        let times = (0..).map(|slot: i64| read.from + slot * frequency);
        rows.push(times.zip(read.values).collect());
    }
    let times = rows.iter().flat_map(BTreeMap::keys);
    let Some(&first) = times.clone().min() else { return Read { from, to: from, values: Vec::new() } };
    let last = *times.max().expect("there is a first one");
    let times: Vec<i64> =
        (0..).map(|slot| first + slot * frequency).take_while(|&time| time <= last).collect();
    let sum = |time| rows.iter().fold(0.0, |sum, row| sum + row.get(time).unwrap_or(&f64::NAN));
    Read { from: first, to: last + frequency, values: times.iter().map(sum).collect() }
}

/// Average, minimum and maximum of what is not missing.
fn statistics(values: &[f64]) -> [f64; 3] {
    let there: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    if there.is_empty() {
        return [f64::NAN; 3];
    }
    let sum = there.iter().fold(0.0, |sum, value| sum + value);
    let min = there.iter().copied().fold(f64::MAX, |min, value| if value < min { value } else { min });
    let max = there.iter().copied().fold(f64::MIN, |max, value| if value > max { value } else { max });
    [sum / there.len() as f64, min, max]
}

/// Fixed-point; what JSON has no number for is `null`.
fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "null".to_owned() }
}
