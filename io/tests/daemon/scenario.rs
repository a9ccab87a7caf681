//! Recorded scenarios for tests of restarts: their writes, frees and queries, and answers in a form to compare.

use serde_json::{Value, json};

use super::Daemon;

/// Sends one write, query or free as recorded; the answer's status and text. Other steps are left out.
#[track_caller]
pub(crate) fn send(daemon: &Daemon, step: &Value, minute: i64) -> Option<(u16, String)> {
    let parameters = step["params"].as_str().unwrap_or_default();
    let (method, path) = match step["op"].as_str() {
        Some("write") => ("POST", format!("/api/write/?{parameters}")),
        Some("free") => ("POST", format!("/api/free/?{parameters}")),
        Some("query") => ("GET", "/api/query/?version=v2".to_owned()),
        _ => return None,
    };
    let answer = daemon.request(method, &path, body(step, minute));
    Some((answer.status, answer.text()))
}

/// The body of a step; every `@T+n@` becomes the minute plus `n` seconds.
pub(crate) fn body(step: &Value, minute: i64) -> String {
    let Some(text) = step["body"].as_str() else { return step["body"].to_string() };
    let mut parts = text.split("@T");
    let mut body = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (offset, rest) = part.split_once('@').expect("a time mark ends with @");
        let offset: i64 = offset.parse().expect("a time mark holds an offset");
        body.push_str(&(minute + offset).to_string());
        body.push_str(rest);
    }
    body
}

/// An answer to a query with its results in the order of hosts and metrics, which for-all-nodes leaves open.
pub(crate) fn sorted(text: &str) -> Value {
    let Ok(mut answer) = serde_json::from_str::<Value>(text) else { return json!(text) };
    let (Some(queries), Some(results)) = (answer["queries"].as_array(), answer["results"].as_array()) else {
        return answer;
    };
    let mut pairs: Vec<_> = queries.iter().cloned().zip(results.iter().cloned()).collect();
    pairs.sort_by_key(|(query, _)| query.to_string());
    let (queries, results): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    answer["queries"] = json!(queries);
    answer["results"] = json!(results);
    answer
}
