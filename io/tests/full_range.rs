//! `metric-store.full-range`: every result covers the range asked for (SPEC section 4).
//!
//! What it comes to for any data is held against the naive model in `engine/tests/query_model.rs`; here is the way from the
//! configuration to the answer.

mod daemon;

use daemon::Daemon;
use serde_json::json;

/// A minute of 2023.
const MINUTE: i64 = 1_700_000_040;

fn start() -> Daemon {
    let daemon = Daemon::start_with(|config| config["metric-store"]["full-range"] = json!(true));
    // One host begins two minutes later than the other and has a gap.
    let sample = |host: &str, minute: i64| {
        format!("cpu_load,cluster=c,hostname={host} value={minute} {}\n", MINUTE + 60 * minute)
    };
    let body: String =
        [("h0", 0), ("h0", 1), ("h1", 2), ("h1", 4)].map(|(host, minute)| sample(host, minute)).concat();
    assert_eq!(daemon.request("POST", "/api/write", body).status, 200);
    daemon
}

fn ask(daemon: &Daemon, hosts: &[&str], from: i64, to: i64) -> (u16, String) {
    let queries: Vec<_> = hosts.iter().map(|host| json!({"metric": "cpu_load", "host": host})).collect();
    let request = json!({"cluster": "c", "from": from, "to": to, "queries": queries});
    let answer = daemon.request("GET", "/api/query", request.to_string());
    (answer.status, answer.text())
}

#[test]
fn series_that_begin_and_end_at_different_times_line_up() {
    let daemon = start();
    let (from, to) = (MINUTE - 61, MINUTE + 300);
    let result = |data: &str, statistics: &str| {
        format!(r#"[{{"data":[{data}],"from":{from},"to":{to},"resolution":60,{statistics}}}]"#)
    };
    // The times asked for are a second before the minutes: each value is that of the slot its time lies in.
    let h0 = result("null,0.000,1.000,null,null,null,null", r#""avg":0.50,"min":0.00,"max":1.00"#);
    let h1 = result("null,null,null,2.000,null,4.000,null", r#""avg":3.00,"min":2.00,"max":4.00"#);
    let expected = format!("{{\"results\":[{h0},{h1},[]]}}\n");
    assert_eq!(ask(&daemon, &["h0", "h1", "h2"], from, to), (200, expected));
}

#[test]
fn a_range_without_any_value_is_null_and_an_absurd_one_is_refused() {
    let daemon = start();
    let (from, to) = (MINUTE + 6000, MINUTE + 6150);
    let expected = format!(
        r#"{{"results":[[{{"data":[null,null,null],"from":{from},"to":{to},"resolution":60,"avg":null,"min":null,"max":null}}]]}}"#
    );
    assert_eq!(ask(&daemon, &["h0"], from, to), (200, expected + "\n"));
    let empty = format!(
        r#"{{"results":[[{{"from":{from},"to":{from},"resolution":60,"avg":null,"min":null,"max":null}}]]}}"#
    );
    assert_eq!(ask(&daemon, &["h0"], from, from), (200, empty + "\n"));
    assert_eq!(ask(&daemon, &["h0"], 0, 1_000_000_000_000_000_000).0, 400);
    assert_eq!(ask(&daemon, &["h0"], i64::MIN, i64::MAX).0, 400);
}

/// Statistics alone, of any range, take no room for what is missing.
#[test]
fn statistics_of_an_absurd_range() {
    let daemon = start();
    let query = |resolution: i64| {
        json!({"cluster": "c", "from": 0, "to": 1_000_000_000_000_000_000_i64, "with-data": false,
            "queries": [{"metric": "cpu_load", "host": "h0", "resolution": resolution}]})
        .to_string()
    };
    let native = daemon.request("GET", "/api/query", query(0));
    let result = &native.json()["results"][0][0];
    assert_eq!((&result["avg"], &result["max"]), (&json!(0.5), &json!(1.0)));
    let resampled = daemon.request("GET", "/api/query", query(600));
    assert!(
        resampled.json()["results"][0][0]["error"].as_str().is_some_and(|error| error.contains("full-range"))
    );
}
