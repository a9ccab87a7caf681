//! `/metrics`: a strict reader understands it, its counters agree with what was sent, and documents name what it has.

mod daemon;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use daemon::http::Client;
use daemon::prometheus::Page;
use daemon::{Daemon, eventually, free_port, now};
use serde_json::json;

#[track_caller]
fn metrics(daemon: &Daemon) -> Page {
    let answer = daemon.request("GET", "/metrics", "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    Page::parse(&answer.text())
}

fn lines(count: i64, metric: &str, first_time: i64) -> String {
    let line = |index: i64| {
        format!(
            "{metric},cluster=c,hostname=h{} value={index} {}\n",
            index % 10,
            first_time + index / 10 * 60
        )
    };
    (0..count).map(line).collect()
}

#[test]
fn counters_agree_with_what_was_sent() {
    let tcp_port = free_port();
    let daemon = Daemon::start_with(|config| {
        config["metric-store"]["cores"] = json!(2);
        config["main"]["tcp-addr"] = json!(format!("127.0.0.1:{tcp_port}"));
    });
    let recent = now() - 7200;
    let before = metrics(&daemon);
    assert_eq!(before.value("cc_metric_store_ready"), 1.0);

    daemon.write(lines(1000, "cpu_load", recent));
    // 7 that are skipped, 2 without a name, 1 ahead of the clock, 4 too old.
    let mut mixed = lines(7, "nobody_configured_this", recent);
    mixed += "cpu_load,cluster=..,hostname=h value=1\ncpu_load,cluster=c value=1\n";
    mixed += &format!("cpu_load,cluster=c,hostname=h value=1 {}\n", now() + 86400);
    mixed += &lines(4, "cpu_load", now() - 30 * 86400);
    daemon.write(mixed);
    // A bad line ends its request: 2 before it are stored, the one behind it is not read.
    const BAD: &str = "mem_bw,cluster=c,hostname=h value=much\n";
    let bad = format!("{}{BAD}{}", lines(2, "mem_used", recent), lines(1, "mem_used", recent));
    assert_eq!(daemon.request("POST", "/api/write", bad).status, 400);
    // On a stream bad lines are skipped.
    let mut client = Client::connect(tcp_port);
    client.send(format!("{0}{BAD}{BAD}{BAD}{0}", lines(5, "mem_bw", recent)).as_bytes()).unwrap();
    client.finish_sending().unwrap();
    assert_eq!(client.read_to_close().unwrap(), b"");
    daemon.data("c", "h0", "cpu_load", recent, recent + 60);
    assert_eq!(daemon.request("GET", "/api/query", "no query").status, 400);
    assert_eq!(daemon.request("GET", "/nowhere", "").status, 404);

    let after = metrics(&daemon);
    let grown = |series: &str| after.value(series) - before.value(series);
    assert_eq!(grown("cc_metric_store_lines_total"), f64::from(1000 + 14 + 3 + 13));
    assert_eq!(grown("cc_metric_store_lines_unconfigured_total"), 7.0);
    let rejected = [
        ("bad_line", 4.0),
        ("unsafe_name", 2.0),
        ("future", 1.0),
        ("too_old", 4.0),
        ("beyond_max_series", 0.0),
        ("not_written", 0.0),
    ];
    for (reason, count) in rejected {
        let series = format!("cc_metric_store_lines_rejected_total{{reason=\"{reason}\"}}");
        assert_eq!(grown(&series), count, "{reason}");
    }
    assert_eq!(after.sum("cc_metric_store_samples_stored_total"), f64::from(1000 + 2 + 10));
    assert!(after.value("cc_metric_store_samples_stored_total{core=\"0\"}") > 0.0, "both cores own hosts");
    assert!(after.value("cc_metric_store_samples_stored_total{core=\"1\"}") > 0.0, "both cores own hosts");
    let requests = [
        ("call=\"write\",status=\"2xx\"", 2.0),
        ("call=\"write\",status=\"4xx\"", 1.0),
        ("call=\"query\",status=\"2xx\"", 1.0),
        ("call=\"query\",status=\"4xx\"", 1.0),
        ("call=\"other\",status=\"4xx\"", 1.0),
        ("call=\"metrics\",status=\"2xx\"", 1.0),
    ];
    for (labels, count) in requests {
        assert_eq!(grown(&format!("cc_metric_store_http_requests_total{{{labels}}}")), count, "{labels}");
    }
    assert_eq!(grown("cc_metric_store_query_duration_seconds_count"), 2.0);
    assert_eq!(grown("cc_metric_store_write_duration_seconds_count"), 3.0);
    // Ten hosts with cpu_load, two with mem_used, five with mem_bw; and of `h`, which has no data, the two series whose lines
    // were rejected for their value or time.
    assert_eq!((after.sum("cc_metric_store_series"), after.sum("cc_metric_store_hosts")), (19.0, 10.0));
    for name in [
        "cc_metric_store_log_written_bytes_total",
        "cc_metric_store_log_commits_total",
        "cc_metric_store_core_cpu_seconds_total",
        "cc_metric_store_core_turns_total",
        "cc_metric_store_core_messages_total",
    ] {
        assert!(after.sum(name) > before.sum(name), "{name}");
    }
    assert_eq!(after.sum("cc_metric_store_log_up"), 2.0);
    assert!(after.value("cc_metric_store_log_sync_duration_seconds_count") > 0.0);
    assert!(after.value("cc_metric_store_memory_bytes{kind=\"values\"}") > 0.0);
    assert!(after.value("cc_metric_store_connections_open") >= 1.0, "the one that asks");
    assert!(after.value("process_resident_memory_bytes") > 1e6);
    assert!(after.value("process_open_fds") > 5.0);
    let started = after.value("process_start_time_seconds");
    assert!((now() as f64 - 60.0..=now() as f64 + 1.0).contains(&started), "{started}");
}

#[test]
fn checkpoints_and_a_log_that_refuses_are_seen() {
    let daemon = Daemon::start_with(|config| {
        config["metric-store"]["cores"] = json!(1);
        config["metric-store"]["checkpoint-interval"] = json!("1s");
        config["metric-store"]["max-series"] = json!(3);
    });
    daemon.write(lines(5, "cpu_load", now() - 3600));
    assert_eq!(
        metrics(&daemon).value("cc_metric_store_lines_rejected_total{reason=\"beyond_max_series\"}"),
        2.0
    );
    let is_complete = || metrics(&daemon).value("cc_metric_store_checkpoints_total{core=\"0\"}") >= 1.0;
    assert!(eventually(Duration::from_secs(20), is_complete));
    let page = metrics(&daemon);
    assert!(page.value("cc_metric_store_checkpoint_duration_seconds{core=\"0\"}") > 0.0);
    assert!(page.value("cc_metric_store_checkpoint_age_seconds{core=\"0\"}") < 10.0);
    // A file where the checkpoints belong.
    fs::remove_dir_all(daemon.checkpoints()).unwrap();
    fs::write(daemon.checkpoints(), "").unwrap();
    let has_failed = || {
        daemon.write(lines(3, "cpu_load", now() - 1800));
        metrics(&daemon).value("cc_metric_store_checkpoints_failed_total{core=\"0\"}") >= 1.0
    };
    assert!(eventually(Duration::from_secs(20), has_failed));
}

/// The names of our metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|character: char| character != '_' && !character.is_ascii_lowercase())
        .filter(|word| word.starts_with("cc_metric_store_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn documents_name_what_there_is() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations");
    let read = |name: &str| {
        fs::read_to_string(directory.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    // There need not be a broker.
    let page = metrics(&Daemon::start_with(|config| {
        config["nats"] = json!({"address": "nats://127.0.0.1:1"});
        config["metric-store"]["nats-subscriptions"] = json!([{"subscribe-to": "hpc", "cluster-tag": "c"}]);
    }));
    assert_eq!(page.value("cc_metric_store_nats_connected"), 0.0);
    let there: BTreeSet<String> = page.families.keys().cloned().collect();
    assert!(there.len() > 50, "{}", there.len());
    assert_eq!(names(&read("metrics.md")), there, "docs/operations/metrics.md names exactly what there is");
    for file in ["alerts.yml", "dashboard.json"] {
        let used = names(&read(file));
        assert!(used.len() > 10, "{file}: {used:?}");
        for name in &used {
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .any(|family| page.families.get(family).is_some_and(|kind| kind == "histogram"));
            assert!(of_histogram || there.contains(name), "{file} uses {name}, which nobody has");
        }
    }
    serde_json::from_str::<serde_json::Value>(&read("dashboard.json")).expect("the dashboard is JSON");
}
