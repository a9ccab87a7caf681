//! `memory-cap` (SPEC section 6): above it the oldest data leaves memory, and only memory.

mod daemon;

use std::fmt::Write as _;
use std::time::Duration;

use daemon::{Daemon, eventually, now};
use serde_json::{Value, json};

const HOUR: i64 = 3600;
const MINUTES: i64 = 47 * 60;
const THREADS: i64 = 150;

/// What is sent for a thread at a time: no two are alike.
fn value(thread: i64, time: i64) -> f64 {
    let mixed = ((time / 60) * 7919 + thread * 104_729) % 1_000_003;
    f64::from(mixed as i32) / 7.0
}

fn data(daemon: &Daemon, thread: i64, from: i64, to: i64) -> (i64, Vec<Value>) {
    let answer = daemon.query(&json!({
        "cluster": "c", "from": from, "to": to, "with-padding": false,
        "queries": [{"metric": "cpu_load", "host": "h", "type": "hwthread", "type-ids": [thread.to_string()]}],
    }));
    let result = &answer["results"][0][0];
    let data = result["data"].as_array().cloned().unwrap_or_default();
    (result["from"].as_i64().unwrap_or(0), data)
}

#[test]
fn the_oldest_goes_from_memory_until_it_is_below_the_cap() {
    let mut daemon = Daemon::start_with(|config| {
        config["metric-store"]["retention-in-memory"] = json!("48h");
        config["metrics"]["cpu_load"] = json!({"frequency": 60, "aggregation": null});
    });
    let newest = now() / 60 * 60;
    let oldest = newest - MINUTES * 60;
    for hour in 0..=MINUTES / 60 {
        let mut lines = String::new();
        for minute in 0..60 {
            let time = oldest + (hour * 60 + minute) * 60;
            if time > newest {
                break;
            }
            for thread in 0..THREADS {
                let value = value(thread, time);
                let _ = writeln!(
                    lines,
                    "cpu_load,cluster=c,hostname=h,type=hwthread,type-id={thread} value={value} {time}"
                );
            }
        }
        daemon.write(lines);
    }
    let to = newest + 60;
    assert_eq!(data(&daemon, 7, 0, to).0, oldest);

    // It looks at once after a start: 150 series of 2,820 values are more than 2 MB, a quarter of them less.
    daemon.restart_with(|config| config["metric-store"]["memory-cap"] = json!(0.002));
    let is_reported = || daemon.log().contains("memory-cap of 2 MB exceeded");
    assert!(eventually(Duration::from_secs(30), is_reported), "{}", daemon.log());
    assert!(!daemon.log().contains("above memory-cap"), "{}", daemon.log());
    for thread in [0, 7, THREADS - 1] {
        let (from, found) = data(&daemon, thread, 0, to);
        let age = newest - from;
        // At least the youngest quarter of the retention is left, and the oldest buffer is gone.
        assert!((12 * HOUR..=40 * HOUR).contains(&age), "thread {thread}: the oldest is {age} s old");
        assert_eq!(found.len() as i64, age / 60 + 1, "thread {thread}");
        for (minute, found) in found.iter().enumerate() {
            let sent = value(thread, from + minute as i64 * 60);
            let found = found.as_f64().unwrap_or(f64::NAN);
            assert!((found - sent).abs() <= sent * 1e-6 + 0.001, "thread {thread}: {found} is {sent}");
        }
    }

    // What left memory is in the snapshots.
    daemon.restart_with(|config| config["metric-store"]["memory-cap"] = json!(0));
    let (from, found) = data(&daemon, 7, 0, to);
    assert_eq!((from, found.len() as i64), (oldest, MINUTES + 1));
}
