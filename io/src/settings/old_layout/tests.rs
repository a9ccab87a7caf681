//! Files of version 1.3 and 1.4 as a site has them.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::settings::{Cleanup, FileFormat, Secret, Settings};

const HOUR: Duration = Duration::from_secs(3600);

fn load(value: &Value) -> Result<Settings, String> {
    Settings::from_json(value.to_string().as_bytes(), Path::new("config.json"))
        .map_err(|error| error.to_string())
}

/// Everything that version 1.3 knows.
fn old() -> Value {
    json!({
        "metrics": {"cpu_load": {"frequency": 60, "aggregation": null}, "flops_any": {"frequency": 60, "aggregation": "sum"}},
        "checkpoints": {"interval": "6h", "directory": "./var/cp", "restore": "48h"},
        "archive": {"interval": "50h", "directory": "./var/archive"},
        "http-api": {"address": "localhost:9082", "https-cert-file": "/c.pem", "https-key-file": "/k.pem"},
        "retention-in-memory": "36h",
        "nats": [
            {"address": "nats://n:4222", "username": "u", "password": "p4ss", "creds-file-path": "/creds",
             "subscriptions": [{"subscribe-to": "s", "cluster-tag": "fritz"}, {"subscribe-to": "t"}]}
        ],
        "jwt-public-key": "M9SE1Q0uPPvg5nFv6sDDL7BSj+KTwBxpXhqLrbQrJbk=",
        "debug": {"dump-to-file": "", "gops": true}
    })
}

#[test]
fn an_old_file_means_what_it_meant() {
    let settings = load(&old()).unwrap();
    assert_eq!(settings.main.addr, "localhost:9082");
    assert_eq!(settings.main.https_cert_file.as_deref(), Some(Path::new("/c.pem")));
    assert_eq!(settings.main.https_key_file.as_deref(), Some(Path::new("/k.pem")));
    assert!(settings.main.jwt_public_key.is_some() && settings.main.debug.gops);
    assert!(settings.metrics.find(b"flops_any").is_some());
    let store = &settings.metric_store;
    assert_eq!((store.retention_in_memory, store.checkpoint_interval), (36 * HOUR, 6 * HOUR));
    assert_eq!(store.checkpoints.directory, Path::new("./var/cp"));
    assert_eq!(store.checkpoints.file_format, FileFormat::Json);
    assert_eq!(store.cleanup, Cleanup::Archive { directory: "./var/archive".into() });
    let subscriptions: Vec<_> =
        store.nats_subscriptions.iter().map(|entry| (&*entry.subject, entry.cluster.as_deref())).collect();
    assert_eq!(subscriptions, [("s", Some("fritz")), ("t", None)]);
    let nats = settings.nats.as_ref().unwrap();
    assert_eq!((&*nats.address, nats.username.as_ref().map(Secret::reveal)), ("nats://n:4222", Some("u")));
    assert_eq!(nats.password.as_ref().map(Secret::reveal), Some("p4ss"));
    assert_eq!(nats.creds_file_path.as_deref(), Some(Path::new("/creds")));
}

#[test]
fn the_notes_are_the_new_form_and_mean_the_same() {
    let settings = load(&old()).unwrap();
    let told = settings.notes.iter().any(|note| note.contains("before version 1.5"));
    assert!(
        told && settings.notes.iter().any(|note| note.contains("checkpoints.restore")),
        "{:?}",
        settings.notes
    );
    let begin = settings.notes.iter().position(|note| note == "{").expect("JSON begins");
    let shown = settings.notes[begin..].join("\n");
    assert!(!shown.contains("p4ss"), "{shown}");
    let mut new: Value = serde_json::from_str(&shown).expect("it is JSON");
    new["nats"]["username"] = json!("u");
    new["nats"]["password"] = json!("p4ss");
    let again = load(&new).unwrap();
    assert!(again.notes.is_empty(), "{:?}", again.notes);
    assert_eq!((&again.main, &again.metric_store), (&settings.main, &settings.metric_store));
    assert_eq!(again.nats, settings.nats);
}

#[test]
fn parts_may_be_missing_and_keys_of_any_case() {
    let small = json!({
        "metrics": {"cpu_load": {"frequency": 60}}, "Retention-In-Memory": "48h", "nats": null,
        "http-api-address": ":9082", "archive": {"interval": "1h", "directory": "./a", "delete-instead": true},
        "checkpoints": {"interval": "12h", "directory": "./cp", "file-format": "avro"}
    });
    let settings = load(&small).unwrap();
    assert_eq!((settings.main.addr.as_str(), settings.nats.is_none()), (":9082", true));
    assert_eq!(settings.metric_store.cleanup, Cleanup::Delete);
    assert_eq!(settings.metric_store.checkpoints.file_format, FileFormat::Wal);
    assert!(settings.notes.iter().any(|note| note.contains("avro")), "{:?}", settings.notes);
}

#[test]
fn what_is_wrong_with_an_old_file_is_named() {
    let changed = old();
    let error_of = |pointer: &str, value: Value| {
        let mut config = changed.clone();
        *config.pointer_mut(pointer).expect("it is there") = value;
        load(&config).expect_err(pointer)
    };
    let error = error_of("/retention-in-memory", json!(48));
    assert!(error.contains("retention-in-memory: expected a text"), "{error}");
    let error = error_of("/checkpoints/interval", json!("12"));
    assert!(error.contains("checkpoint-interval: \"12\" is not a duration"), "{error}");
    let error = error_of("/nats/0/subscriptions", json!([{"cluster-tag": "c"}]));
    assert!(error.contains("nats-subscriptions[0].subscribe-to: missing"), "{error}");
    let error = error_of("/http-api", json!([]));
    assert!(error.contains("http-api: expected an object"), "{error}");

    let mut changed = old();
    changed["chekpoints"] = json!({});
    let error = load(&changed).unwrap_err();
    assert!(error.contains("unknown key \"chekpoints\"") && error.contains("\"checkpoints\"?"), "{error}");
    let mut changed = old();
    changed["checkpoints"]["intervall"] = json!("1h");
    let error = load(&changed).unwrap_err();
    assert!(error.contains("checkpoints: unknown key \"intervall\""), "{error}");
    let mut changed = old();
    let mut second = changed["nats"][0].clone();
    changed["nats"].as_array_mut().unwrap().push(second.clone());
    assert_eq!(load(&changed).unwrap().metric_store.nats_subscriptions.len(), 4, "the same server twice");
    second["address"] = json!("nats://other");
    changed["nats"].as_array_mut().unwrap().push(second);
    let error = load(&changed).unwrap_err();
    assert!(error.contains("nats[2]: expected the same server"), "{error}");
}

#[test]
fn keys_of_both_layouts_are_refused_together() {
    for (key, value) in [
        ("main", json!({"addr": ":1"})),
        ("metric-store", json!({"retention-in-memory": "48h"})),
        ("metrics-file", json!("m.json")),
        ("Main-File", json!("main.json")),
    ] {
        let mut config = old();
        config[key] = value;
        let error = load(&config).unwrap_err();
        assert!(
            error.contains("both layouts")
                && error.contains(&key.to_lowercase())
                && error.contains("checkpoints"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 2, "and nothing else: {error}");
    }
    let error = load(&json!({"retention-in-memory": "1h", "nats": {"address": "nats://x"}})).unwrap_err();
    assert!(error.contains("both layouts"), "{error}");
    let error = load(&json!({"main": {}, "nats": [{"address": "nats://x"}]})).unwrap_err();
    assert!(error.contains("both layouts"), "{error}");
}
