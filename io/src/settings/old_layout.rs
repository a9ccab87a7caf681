//! The layout before version 1.5, put into the present one.
//!
//! Between the JSON of the file and its [sections](super::sections): what was at the top level moves into the sections
//! `main`, `metric-store` and `nats`, value by value. The readers of the sections check the values afterwards.

use serde_json::{Map, Value, json};

use super::object::{Findings, Object};
use super::problem::Problem;
use super::secret::without_user;

/// Keys that only the old layout has at its top level.
const OLD_KEYS: &[&str] = &[
    "archive",
    "checkpoints",
    "debug",
    "http-api",
    "http-api-address",
    "jwt-public-key",
    "retention-in-memory",
];
/// Keys that only the new one has.
const NEW_KEYS: &[&str] =
    &["main", "main-file", "metrics-file", "metric-store", "metric-store-file", "nats-file"];
/// Everything at the top level of an old file.
const KEYS: &[&str] = &[
    "metrics",
    "checkpoints",
    "archive",
    "http-api",
    "http-api-address",
    "retention-in-memory",
    "nats",
    "jwt-public-key",
    "debug",
];
const CHECKPOINTS_KEYS: &[&str] = &["interval", "directory", "restore", "file-format"];
const ARCHIVE_KEYS: &[&str] = &["interval", "directory", "delete-instead"];
const HTTP_KEYS: &[&str] = &["address", "https-cert-file", "https-key-file"];
const NATS_KEYS: &[&str] = &["address", "username", "password", "creds-file-path", "subscriptions"];
/// Keys whose value no log line may show.
const SECRETS: &[&str] = &["username", "password"];
const HIDDEN: &str = "(as in the old file)";

/// What a file's top level is.
pub(super) enum Layout {
    /// As since version 1.5.
    New,
    /// An old one, put into the new form.
    Old(Value),
}

/// Tells the layouts apart and puts an old one into the new form; notes say so, with the new form as JSON.
///
/// # Errors
/// Keys of both layouts in one file.
pub(super) fn modernize(
    root: &Value,
    map: &Map<String, Value>,
    findings: &Findings,
) -> Result<Layout, Problem> {
    let is_in = |keys: &[&'static str]| {
        let found = |name: &&&str| map.keys().any(|key| key.eq_ignore_ascii_case(name));
        keys.iter().filter(found).copied().collect::<Vec<&'static str>>()
    };
    let nats = map.iter().find(|(key, _)| key.eq_ignore_ascii_case("nats")).map(|(_, value)| value);
    let (mut old, mut new) = (is_in(OLD_KEYS), is_in(NEW_KEYS));
    match nats {
        Some(Value::Array(_)) => old.push("nats"),
        Some(Value::Object(_)) => new.push("nats"),
        _ => {}
    }
    if old.is_empty() {
        return Ok(Layout::New);
    }
    if !new.is_empty() {
        return Err(Problem::MixedLayouts { old: old.join(", "), new: new.join(", ") });
    }
    let Some(object) = Object::new(String::new(), root, KEYS, findings) else { return Ok(Layout::New) };
    let config = convert(&object);
    let shown = serde_json::to_string_pretty(&without_secrets(&config)).expect("a Value can be written");
    findings.note(
        "the configuration has the layout before version 1.5; it is read as the following one, which should replace it:",
    );
    // A line of the log each: longer ones are cut.
    shown.lines().for_each(|line| findings.note(line));
    Ok(Layout::Old(config))
}

/// The new form of an old file.
fn convert(old: &Object<'_>) -> Value {
    let (mut main, mut store) = (Map::new(), Map::new());
    let mut config = Map::new();
    put(&mut config, "metrics", old.value("metrics"));
    put(&mut main, "addr", old.value("http-api-address"));
    if let Some(http) = old.object("http-api", HTTP_KEYS) {
        put(&mut main, "addr", http.value("address"));
        put(&mut main, "https-cert-file", http.value("https-cert-file"));
        put(&mut main, "https-key-file", http.value("https-key-file"));
    }
    put(&mut main, "jwt-public-key", old.value("jwt-public-key"));
    put(&mut main, "debug", old.value("debug"));
    put(&mut store, "retention-in-memory", old.value("retention-in-memory"));
    if let Some(checkpoints) = old.object("checkpoints", CHECKPOINTS_KEYS) {
        put(&mut store, "checkpoint-interval", checkpoints.value("interval"));
        let mut now = Map::new();
        put(&mut now, "directory", checkpoints.value("directory"));
        // JSON was the default then: who goes back can read what we write.
        let format = checkpoints.value("file-format").cloned().unwrap_or_else(|| json!("json"));
        if format == json!("avro") {
            old.findings().note(
                "checkpoints.file-format is \"avro\": such files are not read or written; snapshots will be binary",
            );
            now.insert("file-format".to_owned(), json!("wal"));
        } else {
            now.insert("file-format".to_owned(), format);
        }
        store.insert("checkpoints".to_owned(), Value::Object(now));
        if checkpoints
            .value("restore")
            .is_some_and(|restore| Some(restore) != old.value("retention-in-memory"))
        {
            old.findings()
                .note("checkpoints.restore has no effect: what retention-in-memory asks for is restored");
        }
    }
    if let Some(archive) = old.object("archive", ARCHIVE_KEYS) {
        let deletes = archive.boolean("delete-instead").unwrap_or(false);
        let mut now = Map::new();
        now.insert("mode".to_owned(), json!(if deletes { "delete" } else { "archive" }));
        put(&mut now, "directory", archive.value("directory"));
        store.insert("cleanup".to_owned(), Value::Object(now));
    }
    convert_nats(old, &mut config, &mut store);
    config.insert("main".to_owned(), Value::Object(main));
    config.insert("metric-store".to_owned(), Value::Object(store));
    Value::Object(config)
}

/// A list of servers with subscriptions each → one server, and the subscriptions in the section `metric-store`.
fn convert_nats(old: &Object<'_>, config: &mut Map<String, Value>, store: &mut Map<String, Value>) {
    let Some(servers) = old.list("nats") else { return };
    let mut server: Option<Map<String, Value>> = None;
    let mut subscriptions = Vec::new();
    for (index, entry) in servers.iter().enumerate() {
        let path = format!("nats[{index}]");
        let Some(entry) = Object::new(path.clone(), entry, NATS_KEYS, old.findings()) else { continue };
        let mut now = Map::new();
        for key in ["address", "username", "password", "creds-file-path"] {
            put(&mut now, key, entry.value(key));
        }
        if server.as_ref().is_some_and(|first| *first != now) {
            let expected = "the same server and account as nats[0]: the present layout has one".to_owned();
            old.findings().problem(Problem::OutOfRange { path, expected, found: "another".to_owned() });
            continue;
        }
        server = Some(now);
        subscriptions.extend(entry.list("subscriptions").into_iter().flatten().cloned());
    }
    if let Some(server) = server {
        config.insert("nats".to_owned(), Value::Object(server));
        store.insert("nats-subscriptions".to_owned(), Value::Array(subscriptions));
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<&Value>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.clone());
    }
}

/// The same with hidden secrets.
fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let shown = map.iter().map(|(key, value)| {
                let shown = match value.as_str() {
                    Some(_) if SECRETS.contains(&key.as_str()) => json!(HIDDEN),
                    // It may hold a password, too.
                    Some(urls) if key == "address" => json!(without_user(urls)),
                    _ => without_secrets(value),
                };
                (key.clone(), shown)
            });
            Value::Object(shown.collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(without_secrets).collect()),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests;
