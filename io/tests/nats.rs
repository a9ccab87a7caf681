//! Line protocol over NATS, from a real `nats-server`: plain subscriptions, what becomes of them when the broker comes and
//! goes, who may connect.

mod broker;
mod daemon;

use std::time::Duration;

use broker::{Place, log_says};
use daemon::prometheus::Page;
use daemon::{Daemon, eventually};
use serde_json::{Value, json};

const TIME: i64 = 1_700_000_040;
const SOON: Duration = Duration::from_secs(20);

#[track_caller]
fn assert_stored(daemon: &Daemon, cluster: &str, host: &str, values: &Value) {
    let end = TIME + 60 * 1000;
    let mut got = Value::Null;
    let is_stored = eventually(SOON, || {
        got = daemon.data(cluster, host, "cpu_load", TIME, end);
        got == *values
    });
    assert!(is_stored, "{cluster} {host}: {got} instead of {values}");
}

fn line(host: &str, value: i64) -> String {
    format!("cpu_load,hostname={host} value={value} {}\n", TIME + 60 * value)
}

#[test]
fn what_is_published_is_stored_each_subject_with_its_own_default_cluster() {
    let place = Place::new("");
    let daemon = place.daemon(json!([
        {"subscribe-to": "a", "cluster-tag": "fritz"},
        {"subscribe-to": "b.*.lines", "cluster-tag": "alex"},
        {"subscribe-to": "c.>"},
    ]));
    let mut client = place.heard_client(&["a", "b.x.lines", "c.x.y"]);
    // Taken in turns, so that whoever mixes them up does it here.
    for value in 0..50 {
        client.publish("a", line("h", value).as_bytes()).unwrap();
        client.publish(&format!("b.{value}.lines"), line("h", value + 100).as_bytes()).unwrap();
        client
            .publish(
                "c.x.y",
                format!("cpu_load,cluster=woody,hostname=h value={value} {}", TIME + 60 * value).as_bytes(),
            )
            .unwrap();
        client.publish("b.other", line("h", 500).as_bytes()).unwrap();
    }
    // Without a cluster and a default there is no place for it.
    client.publish("c.x", line("nowhere", 1).as_bytes()).unwrap();
    client.flush().unwrap();
    let values = |from: i64| json!((from..from + 50).map(|value| value as f64).collect::<Vec<_>>());
    assert_stored(&daemon, "fritz", "h", &values(0));
    assert_stored(&daemon, "woody", "h", &values(0));
    let alex = daemon.data("alex", "h", "cpu_load", TIME, TIME + 60 * 1000);
    assert!(
        eventually(SOON, || daemon.data("alex", "h", "cpu_load", TIME + 6000, TIME + 60 * 1000)
            == values(100)),
        "{alex}"
    );
    assert!(log_says(&daemon, "1 lines rejected"), "{}", daemon.log());
}

#[test]
fn a_bad_line_costs_itself_and_nothing_behind_it() {
    let place = Place::new("");
    let daemon = place.daemon(json!([{"subscribe-to": "m", "cluster-tag": "c"}]));
    let mut client = place.heard_client(&["m"]);
    let bad_lines = [
        "cpu_load,hostname=h value=NaN 1\n",
        "cpu_load,hostname=h value=x\n",
        "cpu_load,hostname=h\n",
        "cpu_load,hostname=h value=1 soon\n",
        "cpu_load,hostname=h value=\"text\"\n",
        "cpu_load,hostname=h value=true\n",
        "cpu_load,hostname=h value=\"unclosed\n",
    ];
    let bad: String = bad_lines.iter().map(|bad| format!("{}{bad}{}", line("h", 0), line("h", 1))).collect();
    client.publish("m", bad.as_bytes()).unwrap();
    // Larger than the pieces in which it is decoded.
    let long = format!("{}{}{}", "cpu_load,hostname=x value=y\n".repeat(10_000), "#".repeat(200_000), "\n");
    client.publish("m", format!("{long}{}", line("h", 3)).as_bytes()).unwrap();
    client.publish("m", b"").unwrap();
    client.publish("m", b"\xff\x00,=\n").unwrap();
    client.publish("m", line("h", 2).as_bytes()).unwrap();
    client.flush().unwrap();
    assert_stored(&daemon, "c", "h", &json!([0.0, 1.0, 2.0, 3.0]));
    let warning = "NATS: message on m: 7 bad lines skipped, the first: line 2, ";
    assert!(log_says(&daemon, warning), "{}", daemon.log());
    assert_eq!(daemon.log().matches("bad lines skipped").count(), 1, "not one a message: {}", daemon.log());
    let rejected = || {
        let page = Page::parse(&daemon.request("GET", "/metrics", "").text());
        page.value("cc_metric_store_lines_rejected_total{reason=\"bad_line\"}")
    };
    assert!(eventually(SOON, || rejected() >= 10_007.0), "{}", rejected());
}

#[test]
fn messages_of_any_size_are_stored_whole() {
    let place = Place::new("max_payload: 8MB");
    let daemon = place.daemon(json!([{"subscribe-to": "m", "cluster-tag": "c"}]));
    let mut client = place.heard_client(&["m"]);
    let hosts = 60_000;
    let body: String = (0..hosts).map(|host| line(&format!("h{host}"), 3)).collect();
    assert!(body.len() > 2 << 20);
    client.publish("m", body.as_bytes()).unwrap();
    client.flush().unwrap();
    for host in [0, 1, hosts / 2, hosts - 1] {
        let host = format!("h{host}");
        assert!(
            eventually(SOON, || daemon.data("c", &host, "cpu_load", TIME + 180, TIME + 240) == json!([3.0])),
            "{host}"
        );
    }
}

#[test]
fn a_daemon_may_be_there_before_its_broker_and_stays_when_that_goes() {
    let mut place = Place::without_broker();
    let daemon = place.daemon(json!([{"subscribe-to": "m", "cluster-tag": "c"}]));
    daemon.assert_answers();
    assert!(log_says(&daemon, "NATS: no connection to nats://127.0.0.1:"), "{}", daemon.log());
    for round in 0..3 {
        place.start_broker("");
        assert!(
            eventually(SOON, || daemon.log().matches("NATS: connected").count() == round + 1),
            "{}",
            daemon.log()
        );
        // The subscription follows the connection on the same line to the broker.
        let host = format!("h{round}");
        let mut client = place.client();
        let is_stored = eventually(SOON, || {
            client.publish("m", line(&host, 0).as_bytes()).unwrap();
            client.flush().unwrap();
            daemon.data("c", &host, "cpu_load", TIME, TIME + 60) == json!([0.0])
        });
        assert!(is_stored, "round {round}");
        place.kill_broker();
        daemon.assert_answers();
        let lost = "the connection to nats://127.0.0.1:";
        assert!(eventually(SOON, || daemon.log().matches(lost).count() == round + 1), "{}", daemon.log());
    }
    // One line for each change, however many attempts there were.
    let log = daemon.log();
    assert!(log.matches("NATS: no connection").count() <= 4, "{log}");
    assert!(!log.contains("async_nats"), "{log}");
}

#[test]
fn a_wrong_password_is_told_and_tried_again_until_it_is_right() {
    let mut place = Place::new("authorization { user: u, password: other }");
    let daemon = place.daemon_with(
        json!([{"subscribe-to": "m", "cluster-tag": "c"}]),
        json!({"username": "u", "password": "s3cret"}),
    );
    assert!(log_says(&daemon, "authorization violation"), "{}", daemon.log());
    daemon.assert_answers();
    place.start_broker("authorization { user: u, password: s3cret }");
    assert!(log_says(&daemon, "NATS: connected"), "{}", daemon.log());
    let mut client = place.client_as(r#"{"user":"u","pass":"s3cret","verbose":false}"#);
    assert!(eventually(SOON, || {
        client.publish("m", line("h", 0).as_bytes()).unwrap();
        client.flush().unwrap();
        daemon.data("c", "h", "cpu_load", TIME, TIME + 60) == json!([0.0])
    }));
    assert!(!daemon.log().contains("s3cret"), "{}", daemon.log());
}

#[test]
fn users_and_tokens_in_a_url_are_percent_encoded() {
    for (rules, user, options) in [
        (r#"user: u, password: "p@ss/1""#, "u:p%40ss%2F1", r#"{"user":"u","pass":"p@ss/1","verbose":false}"#),
        (
            r#"user: "u:x", password: plain"#,
            "u%3Ax:plain",
            r#"{"user":"u:x","pass":"plain","verbose":false}"#,
        ),
        (r#"user: u, password: plain"#, "u:plain", r#"{"user":"u","pass":"plain","verbose":false}"#),
        (r#"token: "s3cr:t""#, "s3cr%3At", r#"{"auth_token":"s3cr:t","verbose":false}"#),
    ] {
        let place = Place::new(&format!("authorization {{ {rules} }}"));
        let address = format!("nats://{user}@127.0.0.1:{}", place.port());
        let daemon = place
            .daemon_with(json!([{"subscribe-to": "m", "cluster-tag": "c"}]), json!({"address": address}));
        assert!(log_says(&daemon, "NATS: connected"), "{rules}: {}", daemon.log());
        let mut client = place.client_as(options);
        assert!(eventually(SOON, || {
            client.publish("m", line("h", 0).as_bytes()).unwrap();
            client.flush().unwrap();
            daemon.data("c", "h", "cpu_load", TIME, TIME + 60) == json!([0.0])
        }));
        assert!(!daemon.log().contains(user.split(':').next_back().unwrap()), "{}", daemon.log());
    }
}

#[test]
fn a_broker_may_ask_for_credentials_and_tls() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker/data");
    let operator = std::fs::read_to_string(format!("{data}/operator.conf")).unwrap();
    let tls = format!("tls {{ cert_file: \"{data}/server.pem\", key_file: \"{data}/server.key\" }}");
    let place = Place::new(&format!("{operator}\n{tls}"));
    let nats = |change: Value| {
        let mut nats = json!({"address": format!("tls://127.0.0.1:{}", place.port()),
            "creds-file-path": format!("{data}/user.creds"), "ca-file-path": format!("{data}/ca.pem")});
        nats.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        nats
    };
    let list = json!([{"subscribe-to": "m", "cluster-tag": "c"}]);
    let daemon = place.daemon_with(list.clone(), nats(json!({})));
    assert!(log_says(&daemon, "NATS: connected"), "{}", daemon.log());
    // A second daemon sends what the first receives: the plain client speaks no TLS. So it is enough that both are let in, and
    // that nobody is without credentials or with another authority.
    let stranger = place.daemon_with(list.clone(), nats(json!({"creds-file-path": null})));
    assert!(log_says(&stranger, "NATS: no connection to tls://"), "{}", stranger.log());
    let distrustful = place.daemon_with(list, nats(json!({"ca-file-path": null})));
    assert!(log_says(&distrustful, "NATS: no connection to tls://"), "{}", distrustful.log());
    for daemon in [stranger, distrustful] {
        assert!(!daemon.log().contains("NATS: connected"), "{}", daemon.log());
    }
}

#[test]
fn an_nkey_is_an_identity_too() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker/data");
    let public = std::fs::read_to_string(format!("{data}/user.nkey.public")).unwrap();
    let place = Place::new(&format!("authorization {{ users: [ {{ nkey: {} }} ] }}", public.trim()));
    let seed = json!({"nkey-seed-file": format!("{data}/user.nkey.seed")});
    let daemon = place.daemon_with(json!([{"subscribe-to": "m"}]), seed);
    assert!(log_says(&daemon, "NATS: connected"), "{}", daemon.log());
}

#[test]
fn what_cannot_work_ends_the_start_and_names_the_key() {
    let directory = tempfile::tempdir().unwrap();
    for (nats, expected) in [
        (json!({"address": "http://x"}), "nats.address: \"http://x\" is not the address"),
        (
            json!({"address": "nats://x", "creds-file-path": "/nowhere"}),
            "nats.creds-file-path: cannot use \"/nowhere\"",
        ),
    ] {
        let mut config = daemon::default_config(directory.path(), daemon::free_port());
        config["nats"] = nats;
        let path = daemon::write_config(directory.path(), &config);
        let finished = daemon::run(&["-config", path.to_str().unwrap()], directory.path());
        assert_eq!(finished.code, Some(1), "{}", finished.stderr);
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
}

#[test]
fn what_was_handed_over_before_a_stop_is_in_snapshots() {
    const MESSAGES: usize = 6;
    let place = Place::new("max_payload: 8MB");
    let mut daemon = place.daemon(json!([{"subscribe-to": "m", "cluster-tag": "c"}]));
    // Nothing but the last checkpoint can keep it.
    daemon.restart_with(|config| {
        config["metric-store"]["wal"] = json!({"sync": "off"});
        config["metric-store"]["cores"] = json!(1);
    });
    let mut client = place.heard_client(&["m"]);
    // New series are the most expensive lines: the core has not stored them all when it is asked to stop.
    for message in 0..MESSAGES {
        let threads =
            (0..80_000).map(|thread| line(&format!("h{message},type=hwthread,type-id={thread}"), 1));
        let body: String = threads.chain([line(&format!("h{message}"), 0)]).collect();
        client.publish("m", body.as_bytes()).unwrap();
    }
    client.flush().unwrap();
    daemon.stop();
    let log = daemon.log();
    // One more asked whether there is a subscriber.
    assert!(log.contains(&format!("NATS: {} messages received, 0 lost", MESSAGES + 1)), "{log}");
    daemon.restart_with(|_| {});
    for message in 0..MESSAGES {
        assert_stored(&daemon, "c", &format!("h{message}"), &json!([0.0]));
    }
}

#[test]
fn messages_beyond_the_buffer_are_lost_counted_and_warned_of() {
    let place = Place::new("");
    let mut daemon = place
        .daemon_with(json!([{"subscribe-to": "m", "cluster-tag": "c"}]), json!({"max-held-bytes": 1 << 20}));
    let mut client = place.heard_client(&["m"]);
    let messages = 60;
    for message in 0..messages {
        let mut body: String = line(&format!("h{message}"), 0);
        // New series are the most expensive lines.
        body.extend((0..6000).map(|thread| line(&format!("h{message},type=hwthread,type-id={thread}"), 1)));
        client.publish("m", body.as_bytes()).unwrap();
    }
    client.flush().unwrap();
    assert!(log_says(&daemon, "NATS: slow consumer"), "{}", daemon.log());
    let found = || {
        let is_there = |message: &i32| {
            daemon.data("c", &format!("h{message}"), "cpu_load", TIME, TIME + 60) == json!([0.0])
        };
        (0..messages).filter(is_there).count()
    };
    let mut last = found();
    assert!(eventually(SOON, || {
        let now = found();
        now == std::mem::replace(&mut last, now)
    }));
    daemon.stop();
    let log = daemon.log();
    let summary = log.lines().find(|line| line.contains("messages received")).unwrap();
    let numbers: Vec<usize> = summary.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(numbers[1] > 0, "{summary}");
    // What the buffer is for: the process did not take what it could not store.
    daemon.restart_with(|_| {});
    let found = (0..messages)
        .filter(|message| {
            daemon.data("c", &format!("h{message}"), "cpu_load", TIME, TIME + 60) == json!([0.0])
        })
        .count();
    assert_eq!(found + numbers[1], messages as usize, "every one is stored or counted as lost: {summary}");
}
