//! Random questions in PromQL over random samples: what the real Prometheus answers is right.
//!
//! Samples are on whole minutes, and the metrics have a slot a minute, so that both look back five minutes. `TEST_SEED=N` repeats a run,
//! `PROMQL_QUESTIONS=N` asks more.

mod daemon;
mod oracle;

use std::fmt::Write as _;

use daemon::random::Random;
use daemon::{Daemon, now};
use oracle::answers::{difference, order};
use oracle::questions::Questions;
use oracle::{Oracle, Sample};
use serde_json::{Value, json};

/// Questions at least.
const QUESTIONS: usize = 600;
/// Minutes of samples.
const MINUTES: i64 = 180;
const METRICS: [&str; 3] = ["gauge_a", "gauge_b", "counter_a"];

/// Both, with the same samples from this time on.
struct Pair {
    daemon: Daemon,
    oracle: Oracle,
    base: i64,
}

/// Labels as Prometheus writes them, and tags of a line.
fn series(cluster: usize, host: usize, level: usize) -> (String, String) {
    let host = format!("h{host}");
    let (labels, tags) = match level {
        0 => ("scope=\"node\"".to_owned(), "type=node".to_owned()),
        4 => (
            "scope=\"dimm1\",parent=\"socket0\"".to_owned(),
            "type=socket,type-id=0,stype=dimm,stype-id=1".to_owned(),
        ),
        _ => (
            format!("scope=\"hwthread\",id=\"{}\"", level - 1),
            format!("type=hwthread,type-id={}", level - 1),
        ),
    };
    (
        format!("cluster=\"c{cluster}\",host=\"{host}\",{labels}"),
        format!("cluster=c{cluster},hostname={host},{tags}"),
    )
}

/// Values of a series by minute: a gauge that wanders, or a counter that begins again now and then; with gaps, short and long.
fn values(random: &mut Random, is_counter: bool) -> Vec<(i64, f64)> {
    let (mut value, mut minute, mut found) =
        (random.below(4000) as f64 / 8.0, random.below(20) as i64, Vec::new());
    let last = MINUTES - random.below(30) as i64;
    let (gap, is_flat) = ([0, 3, 10][random.below(3)], random.below(8) == 0);
    while minute < last {
        found.push((minute, value));
        minute += 1;
        if random.below(100) < gap {
            minute += [1, 2, 4, 5, 6, 25][random.below(6)];
        }
        // Eighths: no sum of them is rounded.
        value = match (is_counter, random.below(25)) {
            _ if is_flat => value,
            (true, 0) => random.below(80) as f64 / 8.0,
            (true, _) => value + random.below(800) as f64 / 8.0,
            (false, 0) => 0.0,
            (false, _) => value + (random.below(800) as f64 - 400.0) / 8.0,
        };
    }
    found
}

impl Pair {
    fn new(random: &mut Random) -> Self {
        let base = (now() - (MINUTES + 30) * 60) / 60 * 60;
        let daemon = Daemon::start_with(|config| {
            config["metric-store"]["cores"] = json!(2);
            config["main"]["query-limit"] = json!(10_000_000);
            for metric in METRICS {
                config["metrics"][metric] = json!({"frequency": 60, "aggregation": "sum"});
            }
        });
        let (mut lines, mut samples) = (Vec::new(), Vec::<Sample>::new());
        for metric in METRICS {
            for host in 0..4 {
                for level in 0..5 {
                    if random.below(10) < 2 {
                        continue;
                    }
                    let (labels, tags) = series(host % 2, host, level);
                    // No two series have the same value, of which topk might keep either.
                    let own = (samples.len() % 8191) as f64 / 8192.0 / 8.0;
                    for (minute, value) in values(random, metric.starts_with("counter")) {
                        let value = value + own;
                        let time = base + minute * 60;
                        samples.push((format!("{metric}{{{labels}}}"), time, value));
                        lines.push((time, format!("{metric},{tags} value={value} {time}\n")));
                    }
                }
            }
        }
        lines.sort_by_key(|(time, _)| *time);
        daemon.write(lines.iter().map(|(_, line)| line.as_str()).collect::<String>());
        Self { daemon, oracle: Oracle::start(&samples), base }
    }

    /// Asks both; returns what differs, and whether it was a success.
    fn compare(&self, path: &str, form: &str) -> (Option<String>, Value) {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let ours = self.daemon.request_with("POST", path, &headers, form).json();
        let theirs = self.oracle.ask(path, form).json();
        let found = difference(&ours, &theirs).map(|what| {
            let short = |value: &Value| value.to_string().chars().take(1500).collect::<String>();
            format!("{what}\n  ours:   {}\n  theirs: {}", short(&ours), short(&theirs))
        });
        (found, theirs)
    }
}

fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "%{byte:02X}");
        all
    })
}

#[test]
fn prometheus_answers_the_same() {
    let mut random = Random::from_environment();
    let pair = Pair::new(&mut random);
    let wanted =
        std::env::var("PROMQL_QUESTIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(QUESTIONS);
    let (mut wrong, mut answered, mut filled) = (Vec::new(), 0, 0);
    for index in 0..wanted {
        let times = (pair.base, pair.base + MINUTES * 60);
        let mut questions = Questions { random: &mut random, metrics: &METRICS, times };
        let is_range = index % 8 == 7;
        let text = if is_range { questions.range_question() } else { questions.question() };
        let time = questions.time();
        let step = [7, 30, 60, 60, 300, 450][questions.random.below(6)];
        let steps = i64::try_from(questions.random.below(40)).expect("it is small");
        let query = format!("query={}", encode(&text));
        let (path, form) = if is_range || index % 3 == 0 {
            ("/api/v1/query", format!("{query}&time={time}"))
        } else {
            let start = time - step * steps / 2;
            ("/api/v1/query_range", format!("{query}&start={start}&end={}&step={step}", start + step * steps))
        };
        let (found, theirs) = pair.compare(path, &form);
        answered += usize::from(theirs["status"] == "success");
        filled += usize::from(theirs["data"]["result"].as_array().is_some_and(|list| !list.is_empty()));
        if let Some(found) = found {
            let times = form.split_once('&').map_or("", |(_, times)| times);
            wrong.push(format!("{path} {text}\n  {times}\n  {found}"));
        }
    }
    println!(
        "{wanted} questions, {answered} of them answered, {filled} with series, {} otherwise than here",
        wrong.len()
    );
    let first: Vec<&str> = wrong.iter().take(20).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} of {wanted} differ:\n{}", wrong.len(), first.join("\n\n"));
    // Questions that nothing answers show nothing.
    assert!(answered > wanted / 2 && filled > wanted / 3, "{answered} answered, {filled} with series");
}

#[test]
fn sorted_answers_come_in_order() {
    let mut random = Random::from_environment();
    let pair = Pair::new(&mut random);
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    for text in [
        "sort(gauge_a)",
        "sort_desc(gauge_a)",
        "topk(5, gauge_a)",
        "bottomk(5, gauge_b)",
        "sort(-(gauge_a > 0))",
    ] {
        let form = format!("query={}&time={}", encode(text), pair.base + MINUTES * 30);
        let ours = pair.daemon.request_with("POST", "/api/v1/query", &headers, &form).json();
        let theirs = pair.oracle.ask("/api/v1/query", &form).json();
        assert_eq!(order(&ours), order(&theirs), "{text}");
        assert!(order(&ours).len() > 3, "{text}: {ours}");
    }
}
