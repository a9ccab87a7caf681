//! What the reference answered to thousands of requests, asked of the engine without a socket (SPEC sections 1 to 4).
//!
//! The same vectors, and the same freedoms, as in the daemon's own conformance test; here a difference shows within a
//! second, and the clock stands still. Free are only the wording of errors, the order of for-all-nodes results and the
//! order of lines in the debug dump.

mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::config::{Aggregation, Metrics};
use engine::limits;
use engine::query::resample::{Algorithm, Resampling};
use serde_json::{Value, json};
use store::{Answer, Store, metric};

/// The minute that stands for "now" in the vectors.
const MINUTE: i64 = 1_795_000_020;
/// The clock while the steps of a scenario run.
const NOW: i64 = MINUTE + 7;
/// The daemon that recorded the vectors kept samples for two days.
const RETENTION_SECONDS: i64 = 48 * 3600;
/// How many differences are printed, and how much of each step.
const SHOWN_MAX: usize = 5;
const SHOWN_CHARS_MAX: usize = 600;

#[test]
fn handwritten_scenarios() {
    for cores in [1, 3] {
        replay(include_str!("../../io/tests/vectors/handwritten.json"), cores);
    }
}

#[test]
fn random_scenarios() {
    for cores in [1, 3] {
        replay(include_str!("../../io/tests/vectors/random.json"), cores);
    }
}

#[test]
fn reads_across_borders_of_buffers() {
    for cores in [1, 3] {
        replay(&unpacked(include_bytes!("../../io/tests/vectors/borders.json.zst")), cores);
    }
}

#[test]
fn resampled_series_with_gaps() {
    for cores in [1, 3] {
        replay(&unpacked(include_bytes!("../../io/tests/vectors/resampled.json.zst")), cores);
    }
}

/// The algorithms alone, on series with gaps; the resolutions are such that all kinds of bucket edges occur.
#[test]
fn resampling_algorithms() {
    let vectors = unpacked(include_bytes!("../../io/tests/vectors/resample.json.zst"));
    let vectors: Vec<Value> = serde_json::from_str(&vectors).expect("the vectors are JSON");
    let values = |list: &Value| -> Vec<f64> {
        let list = list.as_array().expect("a list of numbers");
        list.iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
    };
    assert_eq!(vectors.len(), 40);
    for (index, vector) in vectors.iter().enumerate() {
        let data = values(&vector["data"]);
        let integer = |name: &str| vector[name].as_i64().expect("a number of seconds");
        let (frequency, asked) = (integer("frequency"), integer("asked"));
        let algorithm = Algorithm::named(vector["algorithm"].as_str().expect("a name"));
        let resampling =
            algorithm.and_then(|algorithm| Resampling::of(data.len() as u64, frequency, asked, algorithm));
        if vector["error"] == json!(true) {
            assert!(resampling.is_err(), "vector {index}");
            continue;
        }
        let mut points = data.clone();
        let mut resolution = frequency;
        if let Some(resampling) = resampling.expect("it can be resampled") {
            resampling.apply(&data, &mut points);
            resolution = asked;
        }
        assert_eq!(resolution, integer("resolution"), "vector {index}");
        // The numbers of the file are read by a parser that may be off by their last bit.
        let same = |(got, want): (&f64, &f64)| {
            (got - want).abs() <= 1e-12 * want.abs() || (got.is_nan() && want.is_nan())
        };
        let want = values(&vector["want"]);
        assert!(points.len() == want.len() && points.iter().zip(&want).all(same), "vector {index}");
    }
}

fn unpacked(bytes: &[u8]) -> String {
    String::from_utf8(zstd::decode_all(bytes).expect("it was packed with zstd")).expect("JSON is UTF-8")
}

/// The metrics of the daemon that recorded the vectors.
fn metrics() -> Arc<Metrics> {
    use Aggregation::{Avg, None, Sum};
    Metrics::new(vec![
        metric("cpu_load", 60, None),
        metric("cpu_user", 60, Avg),
        metric("flops_any", 60, Sum),
        metric("mem_bw", 60, Sum),
        metric("acc_power", 30, Sum),
        metric("ipc", 10, Avg),
        metric("mem_used", 60, None),
        metric("clock", 1, Avg),
    ])
    .expect("the metrics are valid")
}

#[track_caller]
fn replay(vectors: &str, cores: usize) {
    let mut store = Store::new(&metrics(), cores, RETENTION_SECONDS);
    let scenarios: Vec<Value> = serde_json::from_str(vectors).expect("the vectors are JSON");
    let (mut met, mut missed) = (0, 0);
    for scenario in &scenarios {
        for (index, step) in scenario["steps"].as_array().expect("a scenario has steps").iter().enumerate() {
            let got = hide_errors(run_step(&mut store, step));
            let Some(expected) = step.get("expect") else {
                assert_eq!(
                    got["status"], 200,
                    "{} step {index}: what is not recorded works",
                    scenario["name"]
                );
                continue;
            };
            if same(&got, expected) {
                met += 1;
                continue;
            }
            missed += 1;
            if missed <= SHOWN_MAX {
                println!("-- {} step {index} {} {}", scenario["name"], step["op"], shown(&step["body"]));
                println!("   want {}", shown(expected));
                println!("   got  {}", shown(&got));
            }
        }
    }
    assert!(met + missed > 100, "the vectors are there: {met} met, {missed} missed");
    assert_eq!(missed, 0, "{cores} cores: {met} expectations met, {missed} missed");
}

/// Does what one step says and returns the answer in the form the expectations have.
fn run_step(store: &mut Store, step: &Value) -> Value {
    let body = match &step["body"] {
        Value::Null => String::new(),
        Value::String(text) => with_times(text),
        other => other.to_string(),
    };
    let parameters: BTreeMap<&str, &str> = step["params"]
        .as_str()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let operation = step["op"].as_str().unwrap_or_default();
    let answer = match operation {
        "write" => {
            let cluster = parameters.get("cluster").copied().unwrap_or_default();
            match store.write(cluster, &body, NOW).result {
                Ok(()) => Answer::ok(""),
                Err(_) => Answer::bad_request(),
            }
        }
        "query" => store.query(body.as_bytes(), limits::QUERY_VALUES_MAX),
        "free" => store.free(body.as_bytes(), parameters.get("to").and_then(|to| to.parse().ok())),
        "debug" => {
            let selector = parameters.get("selector").copied().unwrap_or_default();
            store.debug(&selector.split(':').filter(|_| !selector.is_empty()).collect::<Vec<_>>())
        }
        "health" => store.health(body.as_bytes(), NOW),
        other => panic!("unknown operation {other:?}"),
    };
    let body = match operation {
        _ if answer.status != 200 => json!("*"),
        "query" => normal_query(&answer.body),
        "debug" => {
            let dump: Result<Value, _> = serde_json::from_str(&answer.body);
            assert!(dump.is_ok(), "a dump is JSON: {}", answer.body);
            normal_debug(&answer.body)
        }
        "health" => serde_json::from_str(&answer.body).expect("an answer is JSON"),
        _ => json!(answer.body),
    };
    json!({"status": answer.status, "body": body})
}

/// Replaces every `@T+n@` by the current minute plus `n` seconds.
fn with_times(text: &str) -> String {
    let mut parts = text.split("@T");
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (offset, rest) = part.split_once('@').expect("a time mark ends with @");
        let offset: i64 = offset.parse().expect("a time mark holds an offset");
        replaced.push_str(&(MINUTE + offset).to_string());
        replaced.push_str(rest);
    }
    replaced
}

/// An answer that echoes queries has them and its results sorted by host and metric; any other stays text, so that
/// it is compared byte for byte.
fn normal_query(text: &str) -> Value {
    let mut answer: Value = serde_json::from_str(text).expect("an answer is JSON");
    let Some(queries) = answer["queries"].as_array().filter(|queries| !queries.is_empty()) else {
        return json!(text);
    };
    let results = answer["results"].as_array().expect("an answer has results");
    assert_eq!(queries.len(), results.len());
    let mut pairs: Vec<_> = queries.iter().cloned().zip(results.iter().cloned()).collect();
    let name = |query: &Value, key: &str| query[key].as_str().unwrap_or_default().to_owned();
    pairs.sort_by_key(|(query, _)| (name(query, "host"), name(query, "metric")));
    let (queries, results): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    answer["queries"] = queries.into();
    answer["results"] = results.into();
    answer
}

/// The lines of a dump without indentation and trailing comma, sorted.
fn normal_debug(text: &str) -> Value {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut lines: Vec<_> = lines.map(|line| line.trim_end_matches(',')).collect();
    lines.sort_unstable();
    json!(lines)
}

/// Error wording is free; that there is an error is not.
fn hide_errors(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(store::hide_errors(&text)),
        Value::Array(items) => items.into_iter().map(hide_errors).collect(),
        Value::Object(members) => {
            let hide = |(key, item): (String, Value)| {
                let item = if key == "error" { json!("*") } else { hide_errors(item) };
                (key, item)
            };
            members.into_iter().map(hide).collect()
        }
        other => other,
    }
}

/// Equality as JSON means it: 1 and 1.0 are the same number, the order of members does not count.
fn same(got: &Value, want: &Value) -> bool {
    match (got, want) {
        (Value::Number(got), Value::Number(want)) => got == want || got.as_f64() == want.as_f64(),
        (Value::Array(got), Value::Array(want)) => {
            got.len() == want.len() && got.iter().zip(want).all(|(got, want)| same(got, want))
        }
        (Value::Object(got), Value::Object(want)) => {
            got.len() == want.len()
                && got.iter().all(|(key, got)| want.get(key).is_some_and(|want| same(got, want)))
        }
        _ => got == want,
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(SHOWN_CHARS_MAX).collect()
}
