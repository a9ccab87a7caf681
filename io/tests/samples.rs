//! What becomes of a sample that was accepted over HTTP: its second, its host, its cluster (SPEC sections 2 and 9).

mod daemon;

use daemon::{Daemon, now};
use serde_json::{Value, json};

/// The last full minute.
fn minute() -> i64 {
    now() / 60 * 60
}

/// The values of a series that are not null, with their times.
#[track_caller]
fn points(daemon: &Daemon, cluster: &str, host: &str, metric: &str, from: i64, to: i64) -> Vec<(i64, f64)> {
    let query = json!({"cluster": cluster, "from": from, "to": to, "with-padding": false,
        "queries": [{"metric": metric, "host": host}]});
    let result = &daemon.query(&query)["results"][0][0];
    let Some(start) = result["from"].as_i64() else { return Vec::new() };
    let step = result["resolution"].as_i64().expect("a result has a resolution");
    let data = result["data"].as_array().cloned().unwrap_or_default();
    let times = (0..).map(|index| start + index * step);
    times.zip(data).filter_map(|(time, value)| Some((time, value.as_f64()?))).collect()
}

#[test]
fn every_unit_of_time_lands_in_its_second() {
    let daemon = Daemon::start();
    let second = now() - 100;
    let stamps = [
        ("s", second.to_string()),
        ("ms", format!("{second}999")),
        ("us", format!("{second}999999")),
        ("ns", format!("{second}999999999")),
    ];
    for (host, stamp) in &stamps {
        daemon.write(format!("clock,cluster=c,hostname={host} value=7 {stamp}\n"));
        let found = points(&daemon, "c", host, "clock", second - 50, second + 50);
        assert_eq!(found, [(second, 7.0)], "{host}: {stamp}");
    }
}

#[test]
fn a_line_without_a_time_is_stored_now_whatever_the_line_before_says() {
    let daemon = Daemon::start();
    let before = now();
    daemon.write(format!(
        "clock,cluster=c,hostname=old value=1 {}\nclock,cluster=c,hostname=new value=2\n",
        before - 500
    ));
    let after = now();
    assert_eq!(points(&daemon, "c", "old", "clock", before - 1000, after + 1), [(before - 500, 1.0)]);
    let found = points(&daemon, "c", "new", "clock", before - 1000, after + 1000);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].1, 2.0);
    assert!((before..=after).contains(&found[0].0), "{found:?} is not in {before}..={after}");
}

#[test]
fn a_sample_of_the_far_future_is_rejected_and_the_batch_kept() {
    let daemon = Daemon::start();
    let minute = minute();
    daemon.write(format!(
        "cpu_load,cluster=c,hostname=h value=1 {minute}\n\
         cpu_load,cluster=c,hostname=h value=2 {}\n\
         cpu_load,cluster=c,hostname=h value=3 {}\n\
         cpu_load,cluster=c,hostname=only-future value=4 {}\n",
        minute + 2 * 3600,
        minute + 60,
        minute + 30 * 24 * 3600
    ));
    let found = points(&daemon, "c", "h", "cpu_load", minute, minute + 4 * 3600);
    assert_eq!(found, [(minute, 1.0), (minute + 60, 3.0)], "the series is not blocked");
    assert_eq!(points(&daemon, "c", "only-future", "cpu_load", 0, minute + 60 * 24 * 3600), []);
    assert!(daemon.logs("<4>"), "a warning is logged: {}", daemon.log());
}

#[test]
fn series_beyond_the_limit_are_dropped_with_a_warning_and_the_batch_kept() {
    let mut daemon = Daemon::start_with(|config| {
        config["metric-store"]["max-series"] = json!(3);
        config["metric-store"]["cores"] = json!(2);
    });
    let minute = minute();
    let line = |host: u32, time| format!("cpu_load,cluster=c,hostname=h{host} value={host} {time}\n");
    let stored = |daemon: &Daemon| {
        let found =
            |host: &u32| !points(daemon, "c", &format!("h{host}"), "cpu_load", 0, minute + 60).is_empty();
        (0..6).filter(found).collect::<Vec<u32>>()
    };
    daemon.write(line(0, minute - 60) + &line(1, minute - 60));
    daemon.write((0..6).map(|host| line(host, minute)).collect::<String>());
    let kept = stored(&daemon);
    assert_eq!((kept.len(), &kept[..2]), (3, &[0, 1][..]), "the first series, and one more");
    assert_eq!(points(&daemon, "c", "h1", "cpu_load", 0, minute + 60), [(minute - 60, 1.0), (minute, 1.0)]);
    let log = daemon.log();
    assert!(log.contains("<4>") && log.contains("max-series is 3"), "the warning names the limit: {log}");

    // What was accepted comes back, and counts.
    daemon.restart();
    assert_eq!(stored(&daemon), kept);
    daemon.write((0..6).map(|host| line(host, minute)).collect::<String>());
    assert_eq!(stored(&daemon), kept);
}

#[test]
fn late_samples_are_accepted_anywhere_within_retention() {
    let daemon = Daemon::start();
    let minute = minute();
    let times = [minute - 60, minute - 3 * 3600, minute - 40 * 3600, minute - 120, minute - 3 * 3600 + 60];
    for (value, time) in times.iter().enumerate() {
        daemon.write(format!("cpu_load,cluster=c,hostname=h value={value} {time}\n"));
    }
    let mut expected: Vec<_> =
        times.iter().zip(0u8..).map(|(time, value)| (*time, f64::from(value))).collect();
    expected.sort_by_key(|(time, _)| *time);
    assert_eq!(points(&daemon, "c", "h", "cpu_load", minute - 47 * 3600, minute + 60), expected);
}

#[test]
fn hosts_and_clusters_do_not_mix() {
    let daemon = Daemon::start();
    let minute = minute();
    let mut lines = String::new();
    for (cluster, base) in [("one", 0), ("two", 1000)] {
        for host in 0..100 {
            lines += &format!("cpu_load,cluster={cluster},hostname=h{host} value={} {minute}\n", base + host);
        }
    }
    daemon.write(lines);
    for (cluster, base) in [("one", 0), ("two", 1000)] {
        let query =
            json!({"cluster": cluster, "from": minute, "to": minute + 60, "for-all-nodes": ["cpu_load"]});
        let answer = daemon.query(&query);
        let queries = answer["queries"].as_array().expect("for-all-nodes echoes its queries");
        assert_eq!(queries.len(), 100, "every host of {cluster} on every core");
        for (query, result) in queries.iter().zip(answer["results"].as_array().unwrap()) {
            let host: i64 = query["host"].as_str().unwrap()[1..].parse().unwrap();
            assert_eq!(result[0]["data"].to_string(), json!([(base + host) as f64]).to_string(), "{query}");
        }
    }
}

#[test]
fn a_line_without_cluster_goes_to_the_default_of_its_request() {
    let daemon = Daemon::start();
    let minute = minute();
    let body = |value: i64| {
        format!(
            "cpu_load,cluster=other,hostname=h value=99 {minute}\n\
             cpu_load,hostname=h value={value} {minute}\n"
        )
    };
    let clusters = [
        ("my%20cluster", "my cluster"),
        ("plus+sign", "plus sign"),
        ("%C3%A4", "\u{e4}"),
        ("plain", "plain"),
    ];
    for ((encoded, cluster), value) in clusters.into_iter().zip(1i64..) {
        let answer = daemon.request("POST", &format!("/api/write/?x=1&cluster={encoded}"), body(value));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let found = points(&daemon, cluster, "h", "cpu_load", minute, minute + 60);
        assert_eq!(found, [(minute, value as f64)], "{encoded}");
    }
    assert_eq!(points(&daemon, "other", "h", "cpu_load", minute, minute + 60), [(minute, 99.0)]);
}

#[test]
fn a_line_without_host_does_not_take_that_of_the_line_before() {
    let daemon = Daemon::start();
    let minute = minute();
    let body =
        format!("cpu_load,cluster=c,hostname=h value=1 {minute}\ncpu_load,cluster=c value=2 {minute}\n");
    let answer = daemon.request("POST", "/api/write", body);
    assert!([200, 400].contains(&answer.status), "{}", answer.text());
    assert_eq!(points(&daemon, "c", "h", "cpu_load", minute, minute + 60), [(minute, 1.0)]);
}

#[test]
fn names_that_would_be_dangerous_paths_are_rejected_and_the_batch_kept() {
    let daemon = Daemon::start();
    let minute = minute();
    let names = [".", "..", "a/../b", "/etc", "a\\\\b", "x..y"];
    let mut body = String::new();
    for name in names {
        body += &format!("cpu_load,cluster=c,hostname={name} value=1 {minute}\n");
        body += &format!("cpu_load,cluster={name},hostname=h value=1 {minute}\n");
    }
    body += &format!("cpu_load,cluster=c,hostname=good value=5 {minute}\n");
    daemon.write(body);
    assert_eq!(points(&daemon, "c", "good", "cpu_load", minute, minute + 60), [(minute, 5.0)]);
    let tree = daemon.request("GET", "/api/debug", "").json();
    let text = tree.to_string();
    assert!(text.contains("good"));
    for name in ["\"..\"", "\".\"", "a/../b", "/etc", "x..y"] {
        assert!(!text.contains(name), "{name} became a level: {text}");
    }
}

#[test]
fn the_alias_host_and_any_order_of_tags_name_the_same_series() {
    let daemon = Daemon::start();
    let minute = minute();
    daemon.write(format!(
        "cpu_load,cluster=c,host=h value=1 {}\n\
         cpu_load,hostname=h,unit=x,cluster=c value=2 {}\n\
         cpu_load,type=node,hostname=h,cluster=c value=3e0 {minute}\n",
        minute - 120,
        minute - 60
    ));
    let found = points(&daemon, "c", "h", "cpu_load", minute - 120, minute + 60);
    assert_eq!(found, [(minute - 120, 1.0), (minute - 60, 2.0), (minute, 3.0)]);
}

#[test]
fn a_body_far_larger_than_any_buffer_is_stored_to_its_last_line() {
    let daemon = Daemon::start();
    let minute = minute();
    let filler =
        "event,cluster=c,hostname=h,type=node event=\"something that nobody configured happened\" 1\n";
    let mut body = filler.repeat(100_000);
    body += &format!("cpu_load,cluster=c,hostname=last value=42 {minute}");
    daemon.write(body);
    let data: Value = daemon.data("c", "last", "cpu_load", minute, minute + 60);
    assert_eq!(data, json!([42.0]));
}
