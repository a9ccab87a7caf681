//! What the reference answered after it had loaded these files, as far as that can be told without a daemon: the samples
//! of the answer, in order, are those of the files.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::file_name::{REFERENCE_LOG, select};
use super::super::{SnapshotSeries, decode_as};
use crate::reference_log::{self, End, LogSample};

const FIXTURES: &str = include_str!("../../../tests/golden/snapshot/fixtures.json");
const YEARS_10_SECONDS: i64 = 87_600 * 3600;
const NOW: i64 = 1_800_000_000;

/// Slot → value of the series (path below the host, metric).
type Host = BTreeMap<(Vec<String>, String), BTreeMap<i64, f32>>;

fn base64(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut buffer) = (Vec::new(), 0, 0u32);
    for digit in text.bytes().filter(|&byte| byte != b'=') {
        buffer = buffer << 6 | digits.iter().position(|&known| known == digit).unwrap() as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
        }
    }
    bytes
}

/// Samples per configured frequency; those of the fixtures are 1 s (`clock`) and 60 s.
fn frequency(metric: &str) -> i64 {
    if metric == "clock" { 1 } else { 60 }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|&name| name.to_owned()).collect()
}

/// What the files of a host's directory hold; later files replace samples of earlier ones.
fn load(files: &BTreeMap<String, Vec<u8>>) -> Host {
    let mut host = Host::new();
    for file in select(files.keys().map(String::as_str), NOW, YEARS_10_SECONDS) {
        let result = decode_as(file.kind, &files[file.name], &mut |series: SnapshotSeries<'_>| {
            let slots = host.entry((owned(series.path), series.metric.to_owned())).or_default();
            for (index, value) in series.values.enumerate().filter(|(_, value)| !value.is_nan()) {
                slots.insert(series.start + index as i64 * series.frequency, value);
            }
        });
        assert_eq!(result.map(|header| header.from), Ok(file.from));
    }
    if let Some(log) = files.get(REFERENCE_LOG) {
        reference_log::read(log, &mut |sample: LogSample<'_>| {
            let slots = host.entry((owned(sample.path), sample.metric.to_owned())).or_default();
            let frequency = frequency(sample.metric);
            let first = slots.keys().next().copied().unwrap_or(sample.time) - frequency / 2;
            let slot = first + frequency / 2 + (sample.time - first) / frequency * frequency;
            slots.insert(slot, sample.value);
        });
    }
    host
}

/// The samples of a level; without any of its own, the sums of those below where no child misses one.
fn level(host: &Host, path: &[String], metric: &str) -> BTreeMap<i64, f32> {
    if let Some(slots) = host.get(&(path.to_vec(), metric.to_owned())) {
        return slots.clone();
    }
    let below: Vec<_> = host
        .iter()
        .filter(|(key, _)| key.1 == metric && key.0.starts_with(path))
        .map(|(_, slots)| slots)
        .collect();
    let Some((first, others)) = below.split_first() else {
        return BTreeMap::new();
    };
    let sums = first.iter().filter_map(|(time, value)| {
        others
            .iter()
            .try_fold(*value, |sum, slots| slots.get(time).map(|value| sum + value))
            .map(|sum| (*time, sum))
    });
    sums.collect()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// The expected samples of one result row, missing ones left out.
fn answered(row: &Value) -> Vec<f64> {
    row.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

fn check(hosts: &BTreeMap<(String, String), Host>, step: &Value, name: &str) -> usize {
    let body = &step["body"];
    let cluster = body["cluster"].as_str().unwrap();
    let mut queries: Vec<_> = body["queries"].as_array().unwrap().clone();
    for metric in strings(&body["for-all-nodes"]) {
        let known = hosts.keys().filter(|(known, _)| known == cluster);
        queries.extend(known.map(|(_, host)| serde_json::json!({"metric": metric, "host": host})));
    }
    let results = step["expect"]["data"].as_array().unwrap();
    assert_eq!(results.len(), queries.len(), "{name}");
    let (from, to) = (body["from"].as_i64().unwrap(), body["to"].as_i64().unwrap());
    let mut checked = 0;
    for (query, rows) in queries.iter().zip(results) {
        let host = &hosts[&(cluster.to_owned(), query["host"].as_str().unwrap().to_owned())];
        let metric = query["metric"].as_str().unwrap();
        let paths: Vec<Vec<String>> = match query["type"].as_str() {
            None => vec![vec![]],
            Some(kind) => {
                strings(&query["type-ids"]).into_iter().map(|id| vec![format!("{kind}{id}")]).collect()
            }
        };
        for (index, path) in paths.iter().enumerate() {
            let found = level(host, path, metric);
            let found: Vec<_> = found.range(from..to).map(|(_, value)| f64::from(*value)).collect();
            let expected = rows.get(index).map(answered).unwrap_or_default();
            let same = found.len() == expected.len()
                && found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() <= 0.0005);
            assert!(same, "{name}: {query}: {found:?} instead of {expected:?}");
            checked += expected.len();
        }
    }
    checked
}

#[test]
fn the_files_hold_what_the_reference_answered() {
    let scenarios: Vec<Value> = serde_json::from_str(FIXTURES).unwrap();
    let mut checked = 0;
    for scenario in &scenarios {
        let name = scenario["name"].as_str().unwrap();
        let mut directories: BTreeMap<(String, String), BTreeMap<String, Vec<u8>>> = BTreeMap::new();
        for (path, content) in scenario["files"].as_object().unwrap() {
            let parts: Vec<_> = path.splitn(3, '/').collect();
            let files = directories.entry((parts[0].to_owned(), parts[1].to_owned())).or_default();
            files.insert(parts[2].to_owned(), base64(content.as_str().unwrap()));
        }
        let hosts = directories.into_iter().map(|(host, files)| (host, load(&files))).collect();
        // Behind the first write a daemon is needed.
        let steps = scenario["steps"].as_array().unwrap().iter();
        for step in steps.take_while(|step| step["op"] == "query") {
            checked += check(&hosts, step, name);
        }
    }
    assert!(checked > 450, "only {checked} samples were compared");
}

#[test]
fn damaged_logs_of_the_fixtures_end_where_they_are_damaged() {
    let scenarios: Vec<Value> = serde_json::from_str(FIXTURES).unwrap();
    let mut damaged = 0;
    for scenario in &scenarios {
        let name = scenario["name"].as_str().unwrap();
        let Some(log) = scenario["files"]["fx/h1/current.wal"].as_str() else { continue };
        let end = reference_log::read(&base64(log), &mut |_: LogSample<'_>| ()).end;
        let as_named = match name {
            name if name.starts_with("log cut header only") => end == End::Clean,
            name if name.starts_with("log cut") => matches!(end, End::Torn { .. }),
            name if name.starts_with("log with") => matches!(end, End::Corrupt { .. }),
            _ => end == End::Clean,
        };
        assert!(as_named, "{name}: {end:?}");
        damaged += usize::from(end != End::Clean);
    }
    assert!(damaged >= 7, "{damaged} damaged logs");
}
