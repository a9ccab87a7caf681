//! What the reference answered to thousands of requests, asked again of this daemon (SPEC sections 1 to 4).
//!
//! The vectors are data: scenarios of steps with the expected answer. All scenarios of a file share one daemon, each
//! has a cluster of its own. Free in an answer are only the wording of errors, the order of for-all-nodes results and
//! the order of lines in the debug dump.

mod daemon;

use daemon::{Daemon, now};
use serde_json::{Value, json};

/// How many differences are printed.
const SHOWN_MAX: usize = 5;
/// How much of a step is printed, in characters.
const SHOWN_CHARS_MAX: usize = 600;

#[test]
fn handwritten_scenarios_on_all_cores() {
    replay(include_str!("vectors/handwritten.json"), &Daemon::start());
}

#[test]
fn handwritten_scenarios_on_one_core() {
    replay(include_str!("vectors/handwritten.json"), &one_core());
}

#[test]
fn random_scenarios_on_all_cores() {
    replay(include_str!("vectors/random.json"), &Daemon::start());
}

#[test]
fn random_scenarios_on_one_core() {
    replay(include_str!("vectors/random.json"), &one_core());
}

#[test]
fn reads_across_borders_of_buffers() {
    replay(&unpacked(include_bytes!("vectors/borders.json.zst")), &Daemon::start());
}

#[test]
fn resampled_series_with_gaps() {
    replay(&unpacked(include_bytes!("vectors/resampled.json.zst")), &Daemon::start());
}

/// What the three algorithms make of a series, asked for as cc-backend 1.6 does. A series that begins or ends with missing
/// values cannot be written as such, so those are left out.
#[test]
fn resampling_algorithms_of_a_request() {
    let daemon = Daemon::start();
    let vectors: Vec<Value> =
        serde_json::from_str(&unpacked(include_bytes!("vectors/resample.json.zst"))).expect("it is JSON");
    let (mut compared, mut refused) = (0, 0);
    for (index, vector) in vectors.iter().enumerate() {
        let data = vector["data"].as_array().expect("a vector has data");
        let is_error = vector["error"] == json!(true);
        if !is_error && (data[0].is_null() || data[data.len() - 1].is_null()) {
            continue;
        }
        let frequency = vector["frequency"].as_i64().expect("a frequency");
        let metric = match frequency {
            1 => "clock",
            10 => "ipc",
            30 => "acc_power",
            60 => "mem_used",
            other => panic!("no metric has the frequency {other}"),
        };
        let last = now() / 60 * 60;
        let from = last - (data.len() as i64 - 1) * frequency;
        let line = |(slot, value): (i64, &Value)| {
            format!("{metric},hostname=h{index} value={value} {}\n", from + slot * frequency)
        };
        let there = (0..).zip(data).filter(|(_, value)| !value.is_null());
        let body: String = there.map(line).collect();
        assert_eq!(daemon.request("POST", "/api/write?cluster=resample", body).status, 200);

        let mut request = json!({
            "cluster": "resample", "from": from, "to": last + 1,
            "queries": [{"metric": metric, "host": format!("h{index}"), "resolution": vector["asked"]}]
        });
        // Without a name it is as with an empty one.
        if vector["algorithm"] != json!("") || index % 8 == 0 {
            request["resample-algo"] = vector["algorithm"].clone();
        }
        let answer = daemon.request("GET", "/api/query?version=v2", request.to_string());
        assert_eq!(answer.status, 200);
        let text = answer.text();
        if is_error {
            refused += 1;
            assert!(text.starts_with(r#"{"results":[[{"error":"#), "vector {index}: {text}");
            continue;
        }
        compared += 1;
        let result = &answer.json()["results"][0][0];
        let (got, want) =
            (result["data"].as_array().expect("data"), vector["want"].as_array().expect("data"));
        // An answer has three decimals.
        let same = |(got, want): (&Value, &Value)| match (got.as_f64(), want.as_f64()) {
            (Some(got), Some(want)) => (got - want).abs() < 0.000_501,
            (got, want) => got == want,
        };
        assert_eq!((got.len(), &result["from"]), (want.len(), &json!(from)), "vector {index}");
        assert!(got.iter().zip(want).all(same), "vector {index}: want {want:?}, got {got:?}");
        assert!(text.contains(&format!(r#""resolution":{},"#, vector["resolution"])), "vector {index}");
    }
    assert!(compared >= 20 && refused == 3, "{compared} compared, {refused} refused");
}

/// An algorithm that is not known is an error in each result there would be, whether it would be needed or not.
#[test]
fn an_unknown_algorithm_is_an_error_in_each_result() {
    let daemon = Daemon::start();
    let time = now() / 60 * 60;
    let body = format!("ipc,hostname=h0 value=1 {time}\nipc,hostname=h1 value=2 {time}\n");
    assert_eq!(daemon.request("POST", "/api/write?cluster=unknown", body).status, 200);
    let ask = |algorithm: Value| {
        let query = |host: &str| json!({"metric": "ipc", "host": host});
        let request = json!({
            "cluster": "unknown", "from": time - 60, "to": time + 60, "resample-algo": algorithm,
            "queries": [query("h0"), query("h1"), query("h2")], "for-all-nodes": ["ipc"]
        });
        daemon.request("POST", "/api/query", request.to_string())
    };
    let errors = |answer: &Value| -> Vec<Vec<bool>> {
        let lists = answer["results"].as_array().expect("an answer has results");
        let is_error =
            |result: &Value| result["error"].as_str().is_some_and(|text| text.contains("resample-algo"));
        lists.iter().map(|list| list.as_array().expect("a list").iter().map(is_error).collect()).collect()
    };
    for unknown in ["nearest", "LTTB"] {
        let answer = ask(json!(unknown));
        assert_eq!(answer.status, 200);
        assert_eq!(errors(&answer.json()), [vec![true], vec![true], vec![], vec![true], vec![true]]);
    }
    for known in [json!("average"), json!(null)] {
        assert_eq!(errors(&ask(known).json()), [vec![false], vec![false], vec![], vec![false], vec![false]]);
    }
    assert_eq!(ask(json!(5)).status, 400);
}

fn unpacked(bytes: &[u8]) -> String {
    String::from_utf8(zstd::decode_all(bytes).expect("it was packed with zstd")).expect("JSON is UTF-8")
}

#[track_caller]
fn one_core() -> Daemon {
    Daemon::start_with(|config| config["metric-store"]["cores"] = json!(1))
}

#[track_caller]
fn replay(vectors: &str, daemon: &Daemon) {
    let scenarios: Vec<Value> = serde_json::from_str(vectors).expect("the vectors are JSON");
    let (mut met, mut missed) = (0, 0);
    for scenario in &scenarios {
        let minute = now() / 60 * 60;
        for (index, step) in scenario["steps"].as_array().expect("a scenario has steps").iter().enumerate() {
            let got = hide_errors(run_step(daemon, step, minute));
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
    assert_eq!(missed, 0, "{met} expectations met, {missed} missed");
}

/// Does what one step says and returns the answer in the form the expectations have.
fn run_step(daemon: &Daemon, step: &Value, minute: i64) -> Value {
    let body = match &step["body"] {
        Value::Null => String::new(),
        Value::String(text) => with_times(text, minute),
        other => other.to_string(),
    };
    let parameters = step["params"].as_str().unwrap_or_default();
    let question_mark = if parameters.is_empty() { "" } else { "?" };
    let operation = step["op"].as_str().unwrap_or_default();
    let (method, path) = match operation {
        "write" => ("POST", format!("/api/write/{question_mark}{parameters}")),
        "query" => ("GET", "/api/query/?version=v2".to_owned()),
        "free" => ("POST", format!("/api/free/{question_mark}{parameters}")),
        "debug" => ("GET", format!("/api/debug/{question_mark}{parameters}")),
        "health" => ("GET", "/api/healthcheck/".to_owned()),
        other => panic!("unknown operation {other:?}"),
    };
    let answer = daemon.request(method, &path, body);
    let body = match operation {
        _ if answer.status != 200 => json!("*"),
        "write" => json!(""),
        "query" => normal_query(&answer.text()),
        "debug" => normal_debug(&answer.text()),
        "health" => answer.json(),
        _ => json!(answer.text()),
    };
    json!({"status": answer.status, "body": body})
}

/// Replaces every `@T+n@` by the current minute plus `n` seconds.
fn with_times(text: &str, minute: i64) -> String {
    let mut parts = text.split("@T");
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (offset, rest) = part.split_once('@').expect("a time mark ends with @");
        let offset: i64 = offset.parse().expect("a time mark holds an offset");
        replaced.push_str(&(minute + offset).to_string());
        replaced.push_str(rest);
    }
    replaced
}

/// An answer that echoes queries has them and its results sorted by host and metric; any other stays text, so that
/// it is compared byte for byte.
fn normal_query(text: &str) -> Value {
    let Ok(Value::Object(mut answer)) = serde_json::from_str(text) else { return json!(text) };
    let Some(Value::Array(queries)) = answer.get("queries").filter(|echo| echo.get(0).is_some()) else {
        return json!(text);
    };
    let Some(Value::Array(results)) = answer.get("results") else { return json!(text) };
    if queries.len() != results.len() {
        return json!(text);
    }
    let mut pairs: Vec<_> = queries.iter().cloned().zip(results.iter().cloned()).collect();
    let name = |query: &Value, key: &str| query[key].as_str().unwrap_or_default().to_owned();
    pairs.sort_by_key(|(query, _)| (name(query, "host"), name(query, "metric")));
    let (queries, results): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    answer.insert("queries".to_owned(), Value::Array(queries));
    answer.insert("results".to_owned(), Value::Array(results));
    Value::Object(answer)
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
        Value::String(text) => Value::String(hide_errors_in_text(&text)),
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

fn hide_errors_in_text(text: &str) -> String {
    const KEY: &str = r#""error":""#;
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(KEY) {
        let (before, wording) = rest.split_at(at + KEY.len());
        hidden.push_str(before);
        hidden.push('*');
        let mut escaped = false;
        let end = wording.find(|character| {
            let ends = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        });
        rest = &wording[end.unwrap_or(wording.len())..];
    }
    hidden.push_str(rest);
    hidden
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

#[test]
fn the_comparison_sees_what_it_should() {
    assert_eq!(
        hide_errors_in_text(r#"[{"error":"a \"b\" c","x":1},{"error":"","y":2}]"#),
        r#"[{"error":"*","x":1},{"error":"*","y":2}]"#
    );
    assert_eq!(with_times("v 1 @T-60@\nv 2 @T+0@\n", 600), "v 1 540\nv 2 600\n");
    assert!(same(&json!({"a": [1, null]}), &json!({"a": [1.0, null]})));
    assert!(!same(&json!({"a": [1, null]}), &json!({"a": [1.5, null]})));
    assert!(!same(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
    let swapped = r#"{"queries":[{"host":"b","metric":"m"},{"host":"a","metric":"m"}],"results":[[2],[1]]}"#;
    let sorted = r#"{"queries":[{"host":"a","metric":"m"},{"host":"b","metric":"m"}],"results":[[1],[2]]}"#;
    assert_eq!(normal_query(swapped), normal_query(sorted));
    assert_eq!(normal_query("{\"results\":[]}\n"), json!("{\"results\":[]}\n"));
}
