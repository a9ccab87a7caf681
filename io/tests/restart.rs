//! A restart changes no answer (SPEC section 9, fault 2): the recorded scenarios, asked before and after.

mod daemon;

use std::fs;
use std::path::Path;

use daemon::scenario::{body, send, sorted};
use daemon::{Daemon, now};
use engine::checkpoint::file_name::parse;
use engine::checkpoint::{SnapshotSeries, decode_as};
use serde_json::{Value, json};

/// What an f32 may be off by, relative to the largest number of the answer: sums are over values of that size.
const TOLERANCE: f64 = 1e-6;
/// Answers have three decimals, statistics two.
const ROUNDING: f64 = 0.011;

const VECTORS: [&str; 2] = [include_str!("vectors/handwritten.json"), include_str!("vectors/random.json")];

/// A query that was answered, and how.
struct Asked {
    what: String,
    query: String,
    answer: Value,
}

/// Sends all writes and frees, then all queries that come behind the last of them, or all if there are none.
#[track_caller]
fn fill(daemon: &Daemon) -> Vec<Asked> {
    let minute = now() / 60 * 60;
    let mut asked = Vec::new();
    for vectors in VECTORS {
        let scenarios: Vec<Value> = serde_json::from_str(vectors).expect("the vectors are JSON");
        for scenario in &scenarios {
            let steps = scenario["steps"].as_array().expect("a scenario has steps");
            let is_query = |step: &&Value| step["op"] == "query";
            steps.iter().filter(|step| !is_query(step)).for_each(|step| {
                send(daemon, step, minute);
            });
            for step in steps.iter().filter(is_query) {
                asked.push((format!("{}", scenario["name"]), body(step, minute)));
            }
        }
    }
    asked.into_iter().map(|(what, query)| Asked { answer: ask(daemon, &query), what, query }).collect()
}

#[track_caller]
fn ask(daemon: &Daemon, query: &str) -> Value {
    let answer = daemon.request("GET", "/api/query/?version=v2", query);
    let mut body = sorted(&answer.text());
    if let Some(members) = body.as_object_mut() {
        let asked: Value = serde_json::from_str(query).unwrap_or_default();
        let queries = asked["queries"].as_array().into_iter().flatten();
        let is_resampled = queries.into_iter().any(|query| query["resolution"].as_i64().unwrap_or(0) > 0);
        members.insert("is_resampled".to_owned(), json!(is_resampled));
    }
    json!({"status": answer.status, "body": body})
}

#[track_caller]
fn assert_same(daemon: &Daemon, asked: &[Asked], same: impl Fn(&Value, &Value) -> bool) {
    let data = asked.iter().filter(|asked| asked.answer["body"].to_string().contains("\"data\":["));
    assert!(data.count() > 100, "most queries find data");
    let mut missed = 0;
    for Asked { what, query, answer } in asked {
        let after = ask(daemon, query);
        if !same(answer, &after) {
            missed += 1;
            if missed <= 5 {
                println!("-- {what} {query}\n   before {answer}\n   after  {after}");
            }
        }
    }
    assert_eq!(missed, 0, "of {} answers", asked.len());
}

fn start(cores: usize) -> Daemon {
    Daemon::start_with(|config| {
        config["metric-store"]["retention-in-memory"] = json!("87600h");
        config["metric-store"]["cores"] = json!(cores);
    })
}

#[test]
fn answers_after_a_kill_are_the_same() {
    let mut daemon = start(2);
    let asked = fill(&daemon);
    daemon.kill();
    daemon.restart();
    assert_same(&daemon, &asked, |before, after| before == after);
    // And again with another number of cores, by when all of it may be in snapshots.
    daemon.kill();
    daemon.restart_with(|config| config["metric-store"]["cores"] = json!(1));
    assert_same(&daemon, &asked, within_f32);
}

#[test]
fn answers_after_a_stop_are_the_same_without_the_log() {
    for cores in [1, 2] {
        let mut daemon = start(cores);
        let asked = fill(&daemon);
        daemon.stop();
        fs::remove_dir_all(daemon.wal()).expect("the log can be removed");
        assert_only_snapshots(&daemon.checkpoints());
        daemon.restart();
        assert_same(&daemon, &asked, within_f32);
        daemon.stop();
        daemon.restart_with(|config| config["metric-store"]["cores"] = json!(3 - cores));
        assert_same(&daemon, &asked, within_f32);
    }
}

#[test]
fn answers_after_a_stop_with_json_snapshots_are_the_same() {
    let mut daemon = Daemon::start_with(|config| {
        config["metric-store"]["retention-in-memory"] = json!("87600h");
        config["metric-store"]["checkpoints"]["file-format"] = json!("json");
    });
    let asked = fill(&daemon);
    daemon.stop();
    assert_only_snapshots(&daemon.checkpoints());
    daemon.restart();
    assert_same(&daemon, &asked, within_f32);
}

/// Every file below the root is a whole snapshot in the directory of a host.
#[track_caller]
fn assert_only_snapshots(root: &Path) {
    let mut snapshots = 0;
    for cluster in fs::read_dir(root).expect("there are checkpoints") {
        for host in fs::read_dir(cluster.expect("is readable").path()).expect("clusters are directories") {
            for file in fs::read_dir(host.expect("is readable").path()).expect("hosts are directories") {
                let path = file.expect("is readable").path();
                let name = path.file_name().and_then(|name| name.to_str()).expect("names are text");
                let (_, kind) = parse(name).unwrap_or_else(|| panic!("{} is no snapshot", path.display()));
                let mut series = 0;
                decode_as(kind, &fs::read(&path).expect("is readable"), &mut |_: SnapshotSeries<'_>| {
                    series += 1;
                })
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                assert!(series > 0, "{} is empty", path.display());
                snapshots += 1;
            }
        }
    }
    assert!(snapshots > 100, "{snapshots} snapshots");
}

/// The same structure and the same times; values within what an f32 may be off by.
///
/// Two values have no bound: what is beyond an f32 is infinite in a snapshot, and shown as null; and among points of
/// nearly the same weight, resampling takes another one.
fn within_f32(before: &Value, after: &Value) -> bool {
    let largest = largest(before);
    let is_resampled = before["body"]["is_resampled"] == true;
    let is_free = is_resampled || largest > f64::from(f32::MAX);
    let tolerance = if is_free { f64::INFINITY } else { largest * TOLERANCE + ROUNDING };
    near("", before, after, tolerance)
}

fn near(key: &str, before: &Value, after: &Value, tolerance: f64) -> bool {
    match (before, after) {
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|(before, after)| near(key, before, after, tolerance))
        }
        (Value::Object(before), Value::Object(after)) => {
            before.len() == after.len()
                && before.iter().all(|(key, value)| {
                    after.get(key).is_some_and(|after| near(key, value, after, tolerance))
                })
        }
        (Value::Number(before), Value::Number(after)) if ["data", "avg", "min", "max"].contains(&key) => {
            let (before, after) = (before.as_f64().unwrap_or(f64::NAN), after.as_f64().unwrap_or(f64::NAN));
            (before - after).abs() <= tolerance
        }
        (Value::Number(_), Value::Null) if ["data", "avg", "min", "max"].contains(&key) => {
            tolerance == f64::INFINITY
        }
        _ => before == after,
    }
}

fn largest(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().unwrap_or(0.0).abs(),
        Value::Array(items) => items.iter().map(largest).fold(0.0, f64::max),
        // Times are large numbers as well, but no values.
        Value::Object(members) => members
            .iter()
            .filter(|(key, _)| !["from", "to", "resolution", "status", "queries"].contains(&key.as_str()))
            .map(|(_, item)| largest(item))
            .fold(0.0, f64::max),
        _ => 0.0,
    }
}

#[test]
fn the_comparison_sees_what_it_should() {
    let answer = |value: f64, from: i64| json!({"results": [[{"data": [value, null], "from": from}]]});
    assert!(within_f32(&answer(1e9, 60), &answer(1e9 + 100.0, 60)));
    assert!(!within_f32(&answer(1e9, 60), &answer(1e9 + 10_000.0, 60)));
    assert!(!within_f32(&answer(1e9, 60), &answer(1e9, 61)));
    assert!(!within_f32(&answer(1e9, 60), &json!({"results": [[{"data": [null, null], "from": 60}]]})));
}
