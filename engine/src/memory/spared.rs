//! The hosts that retention spares, because jobs on them began before it (SPEC section 6, Retention).
//!
//! Before: the answer of cc-backend, or the list of the last one. After: retention, cleanup and loading, which all leave the
//! data of these hosts alone, however old it is.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::limits;

/// Hosts by cluster, as JSON: Go writes an empty list or map as `null`.
type Clusters = Option<BTreeMap<String, Option<BTreeSet<String>>>>;

/// What cc-backend answers.
#[derive(Deserialize)]
struct UsedNodes {
    #[serde(rename = "usedNodes")]
    clusters: Clusters,
}

/// Hosts by cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spared(BTreeMap<String, BTreeSet<String>>);

/// Why an answer is not a list of hosts.
#[derive(Debug, thiserror::Error)]
pub enum SparedError {
    /// It is too long to be read.
    #[error("the answer has {bytes} bytes, more than {}", limits::SPARED_BYTES_MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is something else.
    #[error("the answer is not of the form {{\"usedNodes\":{{\"cluster\":[\"host\",…]}}}}: {0}")]
    Json(#[from] serde_json::Error),
}

impl Spared {
    /// Reads `{"usedNodes":{"cluster":["host",…]}}`, as cc-backend sends it, or the bare map within. A `null` is a list or map
    /// without entries.
    ///
    /// # Errors
    /// [`SparedError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SparedError> {
        if bytes.len() > limits::SPARED_BYTES_MAX {
            return Err(SparedError::TooLong { bytes: bytes.len() });
        }
        // First which form it is, so that an error is about that form.
        let keys: Option<BTreeMap<String, IgnoredAny>> = serde_json::from_slice(bytes)?;
        let clusters: Clusters = if keys.is_some_and(|keys| keys.contains_key("usedNodes")) {
            serde_json::from_slice::<UsedNodes>(bytes)?.clusters
        } else {
            serde_json::from_slice(bytes)?
        };
        let clusters = clusters.unwrap_or_default().into_iter();
        Ok(Self(clusters.map(|(cluster, hosts)| (cluster, hosts.unwrap_or_default())).collect()))
    }

    /// What [`decode`](Self::decode) reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // In the form that is unambiguous whatever a cluster is called.
        let answer = BTreeMap::from([("usedNodes", &self.0)]);
        serde_json::to_vec(&answer).expect("names can be written")
    }

    /// Whether a host is spared.
    #[must_use]
    pub fn contains(&self, cluster: &str, host: &str) -> bool {
        self.0.get(cluster).is_some_and(|hosts| hosts.contains(host))
    }

    /// Whether a host of this cluster is.
    #[must_use]
    pub fn concerns(&self, cluster: &str) -> bool {
        self.0.get(cluster).is_some_and(|hosts| !hosts.is_empty())
    }

    /// How many hosts are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_is_written() {
        let spared = Spared::decode(br#"{"fritz":["f1","f2","f1"],"alex":[],"woody":null}"#).unwrap();
        assert_eq!(spared.count(), 2);
        assert!(spared.contains("fritz", "f2") && !spared.contains("fritz", "f3"));
        assert!(!spared.contains("alex", "f1") && !spared.contains("none", "f1"));
        assert!(spared.concerns("fritz") && !spared.concerns("alex"));
        assert_eq!(Spared::decode(&spared.encode()).unwrap(), spared);
        assert_eq!(Spared::decode(b"{}").unwrap(), Spared::default());
        assert_eq!(Spared::decode(b"null").unwrap(), Spared::default());
    }

    #[test]
    fn the_answer_of_cc_backend_is_the_same_list_in_a_wrapper() {
        for (wrapped, bare) in [
            (r#"{"usedNodes":{"fritz":["f1","f2"],"alex":null}}"#, r#"{"fritz":["f1","f2"],"alex":null}"#),
            (r#"{"usedNodes":{}}"#, "{}"),
            (r#"{"usedNodes":null}"#, "null"),
            (r#"{"total":7,"usedNodes":{"c":["h"]},"note":"later versions may add keys"}"#, r#"{"c":["h"]}"#),
            // As Go writes it: HTML is escaped, a newline ends it.
            ("{\"usedNodes\":{\"a\\u0026b\":[\"h\"]}}\n", "{\"a&b\":[\"h\"]}"),
        ] {
            let wrapped = Spared::decode(wrapped.as_bytes()).unwrap();
            assert_eq!(wrapped, Spared::decode(bare.as_bytes()).unwrap(), "{bare}");
            assert_eq!(Spared::decode(&wrapped.encode()).unwrap(), wrapped);
        }
        let strange = Spared::decode(br#"{"usedNodes":{"usedNodes":["h"]}}"#).unwrap();
        assert!(strange.contains("usedNodes", "h"));
        assert_eq!(Spared::decode(&strange.encode()).unwrap(), strange);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "",
            "[]",
            "{",
            "\"x\"",
            "{\"c\":\"h\"}",
            "{\"c\":[1]}",
            "<html>",
            "{} {}",
            "{\"usedNodes\":[\"h\"]}",
            "{\"usedNodes\":{\"c\":\"h\"}}",
            "{\"usedNodes\":{\"c\":[1]}}",
            "{\"usedNodes\":\"\"}",
            "{\"usedNodes\":{},\"usedNodes\":{}}",
            "[{\"c\":[\"h\"]}]",
            // As cc-backend says what is wrong.
            "{\"error\":\"token is expired\",\"status\":\"Unauthorized\"}",
        ] {
            assert!(matches!(Spared::decode(text.as_bytes()), Err(SparedError::Json(_))), "{text}");
        }
        let long = vec![b' '; limits::SPARED_BYTES_MAX + 1];
        assert!(matches!(Spared::decode(&long), Err(SparedError::TooLong { .. })));
    }
}
