//! What a user sees of the configuration: files that load, and errors that name the key.

use std::fs;
use std::num::NonZeroU16;
use std::path::Path;
use std::time::Duration;

use engine::config::Aggregation;
use serde_json::{Value, json};

use engine::durable::commit::WalSync;

use super::*;

mod files;

/// 32 bytes.
const KEY: &str = "M9SE1Q0uPPvg5nFv6sDDL7BSj+KTwBxpXhqLrbQrJbk=";
const HOUR: Duration = Duration::from_secs(3600);

fn load(value: &Value) -> Result<Settings, String> {
    load_text(&value.to_string())
}

fn load_text(text: &str) -> Result<Settings, String> {
    Settings::from_json(text.as_bytes(), Path::new("config.json")).map_err(|error| error.to_string())
}

/// The smallest valid configuration.
fn minimal() -> Value {
    json!({"metrics": {"cpu_load": {"frequency": 60}}, "metric-store": {"retention-in-memory": "48h"}})
}

/// The smallest valid configuration with one value changed; `pointer` is a JSON pointer whose last part
/// may be new.
fn with(pointer: &str, value: Value) -> Value {
    let mut config = minimal();
    let mut place = &mut config;
    for part in pointer.trim_start_matches('/').split('/') {
        if place.is_null() {
            *place = json!({});
        }
        place = &mut place[part];
    }
    *place = value;
    config
}

fn example(name: &str) -> std::path::PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../configs")).join(name)
}

#[test]
fn memory_cap_may_be_a_part_of_a_gigabyte() {
    for (cap, bytes) in
        [(json!(0.25), 250_000_000), (json!(0), 0), (json!(1e-9), 1), (json!(3), 3_000_000_000)]
    {
        let settings = load(&with("/metric-store/memory-cap", cap)).unwrap();
        assert_eq!(settings.metric_store.memory_cap_bytes, bytes);
    }
}

#[test]
fn the_smallest_file_means_the_documented_defaults() {
    let settings = load(&minimal()).unwrap();
    assert_eq!(settings.main, Main::new("0.0.0.0:8082"));
    assert_eq!(settings.main.idle_timeout, Duration::from_secs(120));
    assert_eq!((settings.main.connections_max, settings.main.header_bytes_max), (10_000, 65_536));
    let store = &settings.metric_store;
    assert_eq!((store.retention_in_memory, store.checkpoint_interval), (48 * HOUR, 12 * HOUR));
    assert_eq!(store.checkpoints.directory, Path::new("./var/checkpoints"));
    assert_eq!(store.checkpoints.file_format, FileFormat::Wal);
    assert_eq!(store.wal, Wal { directory: "./var/wal".into(), sync: WalSync::Always });
    assert_eq!((store.memory_cap_bytes, store.query_values_max, store.cores), (0, 200_000_000, None));
    assert_eq!((store.series_max, store.full_range), (0, false));
    assert_eq!(store.cleanup, Cleanup::Delete);
    assert!(settings.nats.is_none() && settings.notes.is_empty());
    assert_eq!(settings.source.as_deref(), Some(Path::new("config.json")));
}

#[test]
fn a_complete_file_is_kept_completely() {
    let settings = load(&json!({
        "main": {
            "addr": ":443", "https-cert-file": "/c.pem", "https-key-file": "/k.pem", "user": "cc", "group": "hpc",
            "backend-url": "https://cc", "backend-token": "t0ken", "jwt-public-key": KEY, "jwt-require-exp": true,
            "debug": {"dump-to-file": "/d", "gops": true}, "tcp-addr": "[::1]:8083", "tcp-cluster": "fritz",
            "idle-timeout": "1m30s", "max-connections": 7, "max-header-bytes": 8192
        },
        "metrics": {
            "a": {"frequency": 10, "aggregation": "sum"}, "b": {"frequency": 20, "aggregation": "avg"},
            "c": {"frequency": 30, "aggregation": null}, "d": {"frequency": 40, "aggregation": ""}
        },
        "metric-store": {
            "checkpoints": {"file-format": "json", "directory": "/data/cp", "max-wal-size": 1024},
            "checkpoint-interval": "1h", "memory-cap": 100, "retention-in-memory": "36h", "num-workers": 4,
            "cleanup": {"mode": "archive", "directory": "/data/archive"},
            "nats-subscriptions": [{"subscribe-to": "s", "cluster-tag": "alex"}, {"subscribe-to": "t.>", "stream": "S", "durable": "D"}],
            "debug": {"gops": false}, "cores": 2, "wal": {"directory": "/fast/wal", "sync": "interval:1s"},
            "query-limit": 1000,
            "full-range": true,
            "max-series": 2000
        },
        "nats": {"address": "nats://n:4222", "username": "u", "password": "p4ss", "creds-file-path": "/creds", "ca-file-path": "/ca", "max-held-bytes": 2097152}
    }))
    .unwrap();
    let main = &settings.main;
    assert_eq!(main.addr, ":443");
    assert_eq!(main.https_cert_file.as_deref(), Some(Path::new("/c.pem")));
    assert_eq!(main.https_key_file.as_deref(), Some(Path::new("/k.pem")));
    assert_eq!((main.user.as_deref(), main.group.as_deref()), (Some("cc"), Some("hpc")));
    assert_eq!(main.backend_url.as_deref(), Some("https://cc"));
    assert_eq!(main.backend_token.as_ref().map(Secret::reveal), Some("t0ken"));
    assert_eq!(main.jwt_public_key.as_ref().map(JwtKey::to_base64).as_deref(), Some(KEY));
    assert!(main.jwt_require_exp);
    assert_eq!(main.debug, DebugOptions { dump_to_file: Some("/d".into()), gops: true });
    assert_eq!((main.tcp_addr.as_deref(), main.tcp_cluster.as_deref()), (Some("[::1]:8083"), Some("fritz")));
    assert_eq!((main.idle_timeout.as_secs(), main.connections_max, main.header_bytes_max), (90, 7, 8192));
    let metrics: Vec<_> = settings
        .metrics
        .iter()
        .map(|(_, metric)| (&*metric.name, metric.frequency, metric.aggregation))
        .collect();
    let expected = [
        ("a", 10, Aggregation::Sum),
        ("b", 20, Aggregation::Avg),
        ("c", 30, Aggregation::None),
        ("d", 40, Aggregation::None),
    ];
    assert_eq!(metrics, expected);
    let store = &settings.metric_store;
    assert_eq!((store.retention_in_memory, store.checkpoint_interval), (36 * HOUR, HOUR));
    let directory = "/data/cp".into();
    let file_format = FileFormat::Json;
    assert_eq!(store.checkpoints, Checkpoints { file_format, directory, wal_bytes_max: Some(1024) });
    assert_eq!(store.cleanup, Cleanup::Archive { directory: "/data/archive".into() });
    assert_eq!((store.memory_cap_bytes, store.num_workers), (100_000_000_000, 4));
    let subscriptions: Vec<_> =
        store.nats_subscriptions.iter().map(|entry| (&*entry.subject, entry.cluster.as_deref())).collect();
    assert_eq!(subscriptions, [("s", Some("alex")), ("t.>", None)]);
    let jet_stream = JetStream { stream: "S".to_owned(), durable: "D".to_owned() };
    assert_eq!(store.nats_subscriptions[1].jet_stream, Some(jet_stream));
    assert_eq!((store.cores, store.query_values_max), (NonZeroU16::new(2), 1000));
    assert_eq!((store.series_max, store.full_range), (2000, true));
    assert_eq!(store.wal, Wal { directory: "/fast/wal".into(), sync: WalSync::Interval(HOUR / 3600) });
    let nats = settings.nats.as_ref().unwrap();
    assert_eq!((&*nats.address, nats.username.as_ref().map(Secret::reveal)), ("nats://n:4222", Some("u")));
    assert_eq!(nats.password.as_ref().map(Secret::reveal), Some("p4ss"));
    assert_eq!(nats.creds_file_path.as_deref(), Some(Path::new("/creds")));
    assert_eq!(nats.ca_file_path.as_deref(), Some(Path::new("/ca")));
    assert_eq!(nats.held_bytes_max, 2_097_152);
    let printed = format!("{settings:?}");
    assert!(!printed.contains("p4ss") && !printed.contains("t0ken"), "{printed}");
}

#[test]
fn the_effective_configuration_says_the_same_in_full() {
    for text in [
        minimal().to_string(),
        fs::read_to_string(example("config.json")).unwrap(),
        json!({
            "main": {"addr": ":1", "user": "cc", "jwt-public-key": KEY, "idle-timeout": "1m30s", "tcp-addr": ":2",
                "stop-timeout": "5s", "max-held-bytes": 200000000, "allowed-hosts": ["a.example", "*.b.example", "*"]},
            "metrics": {"a": {"frequency": 10, "aggregation": "sum"}, "b": {"frequency": 1, "aggregation": "avg"}},
            "metric-store": {
                "retention-in-memory": "1h30m1s", "checkpoint-interval": "90m", "memory-cap": 0.25, "cores": 2,
                "cleanup": {"mode": "archive", "directory": "/a"}, "max-series": 7, "query-limit": 5,
                "full-range": true,
                "wal": {"sync": "interval:1500us", "directory": "/w"}, "num-workers": -1,
                "checkpoints": {"file-format": "json", "directory": "/c", "max-wal-size": 5},
                "nats-subscriptions": [{"subscribe-to": "s"}, {"subscribe-to": "t", "cluster-tag": "c"}]
            },
            "nats": {"address": "nats://n", "creds-file-path": "/x"}
        })
        .to_string(),
    ] {
        let settings = load_text(&text).unwrap();
        let again = load(&settings.effective()).unwrap();
        assert_eq!(again.main, settings.main);
        assert_eq!(again.metric_store, settings.metric_store);
        // But for secrets, which are not shown.
        let nats = |settings: &Settings| {
            settings.nats.clone().map(|nats| Nats { username: None, password: None, ..nats })
        };
        assert_eq!(nats(&again), nats(&settings));
        let metrics = |settings: &Settings| {
            settings.metrics.iter().map(|(_, metric)| metric.clone()).collect::<Vec<_>>()
        };
        assert_eq!(metrics(&again), metrics(&settings));
        assert!(again.notes.is_empty(), "{:?}", again.notes);
    }
    let secrets = with("/main/backend-token", json!("s3cret"));
    assert!(!load(&secrets).unwrap().effective().to_string().contains("s3cret"));
    for nats in [
        json!({"address": "nats://n", "username": "s3cret", "password": "s3cret"}),
        json!({"address": "nats://u:s3cret@n:1, tls://s3cret@m"}),
    ] {
        let shown = load(&with("/nats", nats)).unwrap().effective()["nats"].clone();
        assert!(!shown.to_string().contains("s3cret"), "{shown}");
        assert!(load(&with("/nats", shown)).is_ok());
    }
}

#[test]
fn sections_nobody_knows_are_passed_over_with_a_note() {
    for (key, value) in [
        ("fleet", json!({"anything": [1, 2]})),
        ("fleet-file", json!("/nowhere.json")),
        ("archive2", json!("text")),
        ("x", Value::Null),
    ] {
        let settings = load(&with(&format!("/{key}"), value)).unwrap();
        let expected = format!("a section is passed over: unknown key {key:?}, known keys: main, ");
        assert!(settings.notes.iter().any(|note| note.starts_with(&expected)), "{:?}", settings.notes);
        assert!(settings.effective().get(key).is_none());
    }
    let mut many = minimal();
    for number in 0..1000 {
        many[format!("section {number}")] = json!({});
    }
    assert!(load(&many).unwrap().notes.len() <= 20);
    let meant = load(&with("/metrcs", json!({}))).unwrap();
    assert!(meant.notes.iter().any(|note| note.contains("did you mean \"metrics\"?")), "{:?}", meant.notes);
    // What was meant is named where it is missing.
    let error = load(&json!({"metrics": {}, "metric_store": {"retention-in-memory": "1h"}, "fleet": {}}))
        .unwrap_err();
    assert!(error.contains("retention-in-memory: missing"), "{error}");
    assert!(error.contains("unknown key \"metric_store\"") && !error.contains("fleet"), "{error}");
}

#[test]
fn what_the_reference_accepts_is_accepted() {
    for (pointer, value) in [
        ("/main", Value::Null),
        ("/nats", Value::Null),
        ("/main/addr", json!("")),
        ("/main/Addr", json!("localhost:8082")),
        ("/main/https-cert-file", Value::Null),
        ("/main/user", json!("")),
        ("/main/debug", Value::Null),
        ("/main/debug", json!({})),
        ("/metrics/cpu_load/aggregation", Value::Null),
        ("/metrics", json!({})),
        ("/metric-store/memory-cap", json!(0)),
        ("/metric-store/num-workers", json!(-1)),
        ("/metric-store/checkpoints", Value::Null),
        ("/metric-store/checkpoints", json!({"interval": "12h", "directory": "./cp"})),
        ("/metric-store/checkpoints", json!({"file-format": "", "max-wal-size": -1})),
        ("/metric-store/checkpoint-interval", json!("")),
        ("/metric-store/cleanup", Value::Null),
        ("/metric-store/cleanup", json!({"mode": "delete", "interval": "48h", "directory": ""})),
        ("/metric-store/nats-subscriptions", Value::Null),
        ("/metric-store/nats-subscriptions", json!([])),
        ("/nats", json!({"address": "nats://a:1,nats://b:2", "password": ""})),
    ] {
        let config = with(pointer, value);
        if let Err(error) = load(&config) {
            panic!("{config}: {error}");
        }
    }
    let early = load(&with("/metric-store/checkpoints/interval", json!("3h"))).unwrap();
    assert_eq!(early.metric_store.checkpoint_interval, 3 * HOUR);
    assert_eq!(load(&with("/main/ADDR", json!(":1"))).unwrap().main.addr, ":1", "keys match as in Go");
}

#[test]
fn odd_but_accepted_settings_leave_a_note() {
    for (pointer, value, expected) in [
        ("/main/https-cert-file", json!("/c.pem"), "https-key-file"),
        ("/metrics", json!({}), "metrics"),
        ("/nats", json!({"username": "u"}), "nats: no address"),
    ] {
        let settings = load(&with(pointer, value)).unwrap();
        assert!(
            settings.notes.iter().any(|note| note.contains(expected)),
            "{expected}: {:?}",
            settings.notes
        );
        assert!(settings.nats.is_none());
    }
}

#[test]
fn the_query_limit_may_stand_in_either_section() {
    let limit = |config: &Value| load(config).unwrap().metric_store.query_values_max;
    let mut both = with("/main/query-limit", json!(5));
    assert_eq!(limit(&both), 5);
    both["metric-store"]["query-limit"] = json!(7);
    assert_eq!(limit(&both), 7);
}

#[test]
fn errors_name_the_key_and_what_to_do() {
    for (pointer, value, expected) in [
        // Unknown keys.
        ("/main/adr", json!("x"), "main: unknown key \"adr\", known keys: addr, https-cert-file"),
        ("/main/adr", json!("x"), "did you mean \"addr\"?"),
        ("/main/api-allowed-ips", json!([]), "main: unknown key \"api-allowed-ips\""),
        ("/main/debug/gopz", json!(true), "main.debug: unknown key \"gopz\""),
        ("/metric-store/checkpoints/fomat", json!("wal"), "metric-store.checkpoints: unknown key \"fomat\""),
        ("/metric-store/checkpoints/fomat", json!("wal"), "did you mean \"file-format\"?"),
        ("/metric-store/retention_in_memory", json!("1h"), "did you mean \"retention-in-memory\"?"),
        ("/metric-store/cleanup/x", json!(1), "metric-store.cleanup: unknown key \"x\""),
        ("/metric-store/wal/dir", json!("x"), "metric-store.wal: unknown key \"dir\""),
        (
            "/metric-store/nats-subscriptions",
            json!([{"subscribe-to": "a", "cluster": "c"}]),
            "metric-store.nats-subscriptions[0]: unknown key \"cluster\"",
        ),
        (
            "/metric-store/nats-subscriptions",
            json!([{"subscribe-to": "a", "stream": "S"}]),
            "metric-store.nats-subscriptions[0].durable",
        ),
        (
            "/metric-store/nats-subscriptions",
            json!([{"subscribe-to": "a", "durable": "D"}]),
            "metric-store.nats-subscriptions[0].stream",
        ),
        (
            "/metric-store/nats-subscriptions",
            json!([{"subscribe-to": "a", "stream": "S", "durable": "a.b"}]),
            "found \"a.b\"",
        ),
        (
            "/metric-store/nats-subscriptions",
            json!([{"subscribe-to": "a", "stream": "S", "durable": "D"}, {"subscribe-to": "b", "stream": "S", "durable": "D"}]),
            "metric-store.nats-subscriptions[1].durable: expected a consumer of its own",
        ),
        (
            "/metric-store/nats-subscriptions",
            json!([{"subscribe-to": "a b"}]),
            "subscribe-to: expected a NATS subject",
        ),
        ("/metrics/cpu_load/freq", json!(1), "metrics.cpu_load: unknown key \"freq\""),
        ("/nats/max-held-bytes", json!(1000), "nats.max-held-bytes: expected a number from 1048576"),
        ("/nats/adress", json!("x"), "nats: unknown key \"adress\""),
        // Wrong types.
        ("/main", json!([]), "main: expected an object, found a list"),
        ("/main/addr", json!(8082), "main.addr: expected a text, found the number 8082"),
        ("/main/debug/gops", json!("yes"), "main.debug.gops: expected true or false, found the text \"yes\""),
        ("/metrics", json!([]), "metrics: expected an object"),
        ("/metrics/cpu_load", json!(60), "metrics.cpu_load: expected an object, found the number 60"),
        ("/metrics/cpu_load/frequency", json!("60"), "metrics.cpu_load.frequency: expected a whole number"),
        ("/metrics/cpu_load/frequency", json!(1.5), "expected a whole number, found the number 1.5"),
        ("/metric-store", json!("x"), "metric-store: expected an object"),
        ("/metric-store/retention-in-memory", json!(48), "metric-store.retention-in-memory: expected a text"),
        ("/metric-store/memory-cap", json!("1"), "metric-store.memory-cap: expected a number"),
        ("/metric-store/num-workers", json!(1.5), "metric-store.num-workers: expected a whole number"),
        ("/metric-store/nats-subscriptions", json!({}), "metric-store.nats-subscriptions: expected a list"),
        (
            "/metric-store/nats-subscriptions",
            json!([{"subscribe-to": 1}]),
            "metric-store.nats-subscriptions[0].subscribe-to: expected a text, found the number 1",
        ),
        (
            "/metric-store/nats-subscriptions",
            json!(["a"]),
            "metric-store.nats-subscriptions[0]: expected an object",
        ),
        ("/nats", json!("nats://x"), "nats: expected an object, found the text \"nats://x\""),
        ("/metrics-file", json!(5), "metrics-file: expected a text"),
        // Wrong values.
        ("/main/addr", json!("8082"), "main.addr: \"8082\" has no port"),
        ("/main/tcp-addr", json!("::1:8083"), "main.tcp-addr: \"::1:8083\" cannot be read"),
        (
            "/main/jwt-public-key",
            json!("a2V5"),
            "main.jwt-public-key: expected 32 bytes of an Ed25519 public key in base64, found 3 bytes",
        ),
        ("/main/jwt-public-key", json!("-"), "found no base64"),
        ("/main/idle-timeout", json!("0"), "main.idle-timeout: expected a duration of at least 1s"),
        ("/main/idle-timeout", json!("2 min"), "main.idle-timeout: \"2 min\" is not a duration"),
        ("/main/stop-timeout", json!("0"), "main.stop-timeout: expected a duration of at least 1s"),
        ("/main/max-held-bytes", json!(1), "main.max-held-bytes: expected a number from 134217728"),
        ("/main/allowed-hosts", json!(["a.example:8082"]), "main.allowed-hosts: expected at most 256 names"),
        ("/main/allowed-hosts", json!(["http://a.example"]), "main.allowed-hosts: expected"),
        ("/main/allowed-hosts", json!(["a.*"]), "main.allowed-hosts: expected"),
        ("/main/allowed-hosts", json!(["*a"]), "main.allowed-hosts: expected"),
        ("/main/allowed-hosts", json!([""]), "main.allowed-hosts: expected"),
        ("/main/allowed-hosts", json!([7]), "main.allowed-hosts: expected"),
        ("/main/allowed-hosts", json!(vec!["a"; 257]), "257 names"),
        ("/main/max-connections", json!(0), "main.max-connections: expected a number from 1 to"),
        ("/main/max-header-bytes", json!(100), "main.max-header-bytes: expected a number from 8192"),
        ("/metrics/cpu_load/frequency", json!(0), "metrics.cpu_load.frequency: expected a number from 1 to"),
        (
            "/metrics/cpu_load/frequency",
            json!(-60),
            "metrics.cpu_load.frequency: expected a number from 1 to",
        ),
        ("/metrics/cpu_load/frequency", json!(u64::MAX), "metrics.cpu_load.frequency: expected a number"),
        ("/metrics/cpu_load/frequency", Value::Null, "metrics.cpu_load.frequency: missing"),
        (
            "/metrics/cpu_load/aggregation",
            json!("max"),
            "metrics.cpu_load.aggregation: unknown value \"max\", known values: sum, avg",
        ),
        ("/metrics", json!({"": {"frequency": 1}}), "metrics: metric name \"\""),
        (
            "/metric-store/checkpoints/file-format",
            json!("avro"),
            "metric-store.checkpoints.file-format: unknown value \"avro\", known values: wal, json",
        ),
        (
            "/metric-store/checkpoint-interval",
            json!("12"),
            "metric-store.checkpoint-interval: \"12\" is not a duration",
        ),
        (
            "/metric-store/checkpoint-interval",
            json!("0s"),
            "metric-store.checkpoint-interval: expected a duration",
        ),
        (
            "/metric-store/checkpoints/interval",
            json!("1d"),
            "metric-store.checkpoints.interval: \"1d\" is not a duration: \"d\" is no unit",
        ),
        (
            "/metric-store/retention-in-memory",
            json!("-48h"),
            "metric-store.retention-in-memory: \"-48h\" is not a duration: it is negative",
        ),
        ("/metric-store/retention-in-memory", Value::Null, "metric-store.retention-in-memory: missing"),
        ("/metric-store/retention-in-memory", json!(""), "metric-store.retention-in-memory: missing"),
        ("/metric-store", Value::Null, "metric-store.retention-in-memory: missing"),
        ("/metrics", Value::Null, "metrics: missing"),
        ("/metric-store/memory-cap", json!(-1), "metric-store.memory-cap: expected a number from 0"),
        ("/metric-store/cleanup/mode", json!("archve"), "did you mean \"archive\"?"),
        ("/metric-store/cleanup/mode", json!("archive"), "metric-store.cleanup.directory: missing"),
        (
            "/metric-store/cleanup/interval",
            json!("x"),
            "metric-store.cleanup.interval: \"x\" is not a duration",
        ),
        (
            "/metric-store/nats-subscriptions",
            json!([{"cluster-tag": "c"}]),
            "metric-store.nats-subscriptions[0].subscribe-to: missing",
        ),
        ("/metric-store/cores", json!(0), "metric-store.cores: expected a number from 1 to 1024"),
        ("/metric-store/max-series", json!(-1), "metric-store.max-series: expected a number from 0"),
        ("/metric-store/query-limit", json!(0), "metric-store.query-limit: expected a number from 1"),
        ("/metric-store/wal/sync", json!("sometimes"), "metric-store.wal.sync: expected \"always\""),
        (
            "/metric-store/wal/directory",
            json!("./var/checkpoints/wal"),
            "metric-store.wal.directory: expected a directory outside checkpoints.directory",
        ),
    ] {
        let config = with(pointer, value);
        let error = load(&config).expect_err(expected);
        assert!(error.contains(expected), "{config}: expected {expected:?} in: {error}");
        assert_eq!(error.lines().count(), 2, "one problem, one line: {error}");
    }
}

#[test]
fn a_wrong_password_is_not_quoted() {
    let error = load(&with("/nats/password", json!(31_337))).unwrap_err();
    assert!(error.contains("nats.password") && !error.contains("31337"), "{error}");
}

#[test]
fn all_problems_are_reported_at_once() {
    let mut config = with("/main/adr", json!("x"));
    config["metrics"]["cpu_load"]["frequency"] = json!(0);
    config["metric-store"]["memory-cap"] = json!("x");
    config["nats"] = json!({"user": "x"});
    let error = load(&config).unwrap_err();
    for expected in
        ["config.json", "\"adr\"", "metrics.cpu_load.frequency", "metric-store.memory-cap", "\"user\""]
    {
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn broken_json_is_named_with_line_and_column() {
    for (text, expected) in [
        ("{\n  \"main\": {,}\n}", "line 2, column 12"),
        ("", "line 1, column 0"),
        ("{\"main\": {}", "line 1"),
        ("{} trailing", "line 1, column 4: trailing characters"),
        (&"[".repeat(100_000), "recursion limit"),
        ("[]", "expected an object"),
        ("null", "expected an object"),
    ] {
        let error = load_text(text).unwrap_err();
        assert!(error.contains(expected) && error.contains("config.json"), "{error}");
    }
    let error = Settings::from_json(b"{\"a\": \"\xff\"}", Path::new("c")).unwrap_err();
    assert!(matches!(error, SettingsError::Syntax { line: 1, .. }), "{error:?}");
}

#[test]
fn the_examples_load_without_a_note() {
    for name in ["config.json", "minimal.json"] {
        let settings = Settings::load(Some(&example(name))).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(settings.notes.is_empty(), "{name}: {:?}", settings.notes);
        assert_eq!(settings.metric_store.retention_in_memory, 48 * HOUR, "{name}");
    }
}

#[test]
fn without_a_file_the_sample_site_starts_for_this_machine_only() {
    let site = Settings::default_site();
    assert_eq!(resolve(&site.main.addr).unwrap(), ["127.0.0.1:8082".parse().unwrap()]);
    assert_eq!(site.metric_store, load(&minimal()).unwrap().metric_store, "48h, everything under ./var");
    assert!(site.nats.is_none() && site.source.is_none());
    // The complete example shows the same metrics.
    let shown = Settings::load(Some(&example("config.json"))).unwrap();
    let all =
        |settings: &Settings| settings.metrics.iter().map(|(_, metric)| metric.clone()).collect::<Vec<_>>();
    assert_eq!(all(&site), all(&shown));
    for name in ["cpu_load", "flops_any", "mem_bw", "acc_power", "ib_recv", "net_bw"] {
        assert!(site.metrics.find(name.as_bytes()).is_some(), "{name}");
    }
}
