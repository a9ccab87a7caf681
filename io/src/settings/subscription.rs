//! The list `metric-store.nats-subscriptions`: what to receive over NATS, and how (SPEC section 7).
//!
//! Read with the section `metric-store`; the NATS bridge subscribes accordingly.

use serde_json::Value;

use super::bounds;
use super::object::Object;
use super::problem::Problem;

const LIST: &str = "nats-subscriptions";
const KEYS: &[&str] = &["subscribe-to", "cluster-tag", "stream", "durable"];

/// One entry of `nats-subscriptions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// NATS subject, possibly with wildcards.
    pub subject: String,
    /// Cluster of lines without a cluster tag.
    pub cluster: Option<String>,
    /// None: plain NATS, which delivers at most once. Not known to the reference.
    pub jet_stream: Option<JetStream>,
}

/// Where a subscription that survives restarts is kept on the broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JetStream {
    /// The stream that holds the messages; must exist.
    pub stream: String,
    /// The consumer of it that remembers what was acknowledged; made if missing.
    pub durable: String,
}

/// Reads the list; what is wrong with it is reported to the object's findings.
pub(super) fn read_list(object: &Object<'_>) -> Vec<Subscription> {
    let Some(list) = object.list(LIST) else { return Vec::new() };
    if list.len() > bounds::SUBSCRIPTIONS_MAX {
        let expected = format!("at most {} entries", bounds::SUBSCRIPTIONS_MAX);
        let (path, found) = (object.path_of(LIST), list.len().to_string());
        object.findings().problem(Problem::OutOfRange { path, expected, found });
        return Vec::new();
    }
    let mut subscriptions: Vec<Subscription> = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let Some(subscription) = read(object, index, entry) else { continue };
        let is_taken = subscription.jet_stream.is_some()
            && subscriptions.iter().any(|other| other.jet_stream == subscription.jet_stream);
        if is_taken {
            // Each message would reach one of the two, as chance has it.
            let path = format!("{}[{index}].durable", object.path_of(LIST));
            let expected = "a consumer of its own for each subscription".to_owned();
            let found = "the stream and durable of an earlier one".to_owned();
            object.findings().problem(Problem::OutOfRange { path, expected, found });
        }
        subscriptions.push(subscription);
    }
    subscriptions
}

fn read(parent: &Object<'_>, index: usize, entry: &Value) -> Option<Subscription> {
    let path = format!("{}[{index}]", parent.path_of(LIST));
    let object = Object::new(path, entry, KEYS, parent.findings())?;
    let cluster = object.text("cluster-tag").map(str::to_owned);
    let jet_stream = read_jet_stream(&object);
    let has_value = object.value("subscribe-to").is_some_and(|value| value.as_str() != Some(""));
    let Some(subject) = object.text("subscribe-to") else {
        if !has_value {
            missing(
                &object,
                "subscribe-to",
                "write the NATS subject, as in \"subscribe-to\": \"hpc-metrics\"",
            );
        }
        return None;
    };
    if !is_subject(subject) {
        let expected =
            "a NATS subject: parts without blanks, joined by dots; * for one part, > for all at the end";
        reject(&object, "subscribe-to", expected, subject);
    }
    Some(Subscription { subject: subject.to_owned(), cluster, jet_stream })
}

fn read_jet_stream(object: &Object<'_>) -> Option<JetStream> {
    let (stream, durable) = (object.text("stream"), object.text("durable"));
    for (key, name) in [("stream", stream), ("durable", durable)] {
        if let Some(name) = name
            && !is_name(name)
        {
            reject(object, key, "a name of JetStream: letters, digits, - and _", name);
        }
    }
    match (stream, durable) {
        (Some(stream), Some(durable)) => {
            Some(JetStream { stream: stream.to_owned(), durable: durable.to_owned() })
        }
        (Some(_), None) => {
            missing(
                object,
                "durable",
                "with \"stream\", write under which name the broker remembers what was stored",
            );
            None
        }
        (None, Some(_)) => {
            missing(object, "stream", "with \"durable\", write which JetStream stream holds the messages");
            None
        }
        (None, None) => None,
    }
}

fn missing(object: &Object<'_>, key: &str, hint: &'static str) {
    object.findings().problem(Problem::Missing { path: object.path_of(key), hint });
}

fn reject(object: &Object<'_>, key: &str, expected: &str, found: &str) {
    let found = format!("{:?}", found.chars().take(bounds::QUOTE_CHARS_MAX).collect::<String>());
    let (path, expected) = (object.path_of(key), expected.to_owned());
    object.findings().problem(Problem::OutOfRange { path, expected, found });
}

/// Whether a broker takes this for a subject to subscribe to.
fn is_subject(text: &str) -> bool {
    let mut parts = text.split('.').peekable();
    while let Some(part) = parts.next() {
        let is_plain = !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control());
        if !is_plain || part == ">" && parts.peek().is_some() {
            return false;
        }
    }
    true
}

/// Whether a broker takes this for the name of a stream or consumer: it becomes a part of subjects, and a file.
fn is_name(text: &str) -> bool {
    text.len() <= bounds::JET_STREAM_NAME_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_what_a_broker_accepts() {
        for subject in ["a", "hpc-nats", "a.b.c", "a.*.c", "*", ">", "a.>", "ä.b"] {
            assert!(is_subject(subject), "{subject}");
        }
        for subject in ["", ".", "a.", ".a", "a..b", "a b", "a.>.b", ">.a", "a\r\nPUB b", "a\t"] {
            assert!(!is_subject(subject), "{subject:?}");
        }
    }

    #[test]
    fn names_of_jet_stream_hold_nothing_special() {
        assert!(is_name("METRICS") && is_name("cc-metric-store_1"));
        for name in ["", "a.b", "a*", ">", "a b", "a/b", "..", "ä"] {
            assert!(!is_name(name) || name.is_empty(), "{name:?}");
        }
        assert!(!is_name(&"a".repeat(300)));
    }
}
