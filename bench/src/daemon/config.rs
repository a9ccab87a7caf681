//! The configuration of a daemon that is started: what the load needs, and what the command line adds.
//!
//! Used by [`Daemon::start`](super::Daemon::start) alone.

use std::{net::SocketAddr, path::Path};

use serde_json::{Value, json};

use super::Start;

/// The configuration (SPEC section 7): the load's metrics, nothing freed or archived meanwhile.
pub(super) fn config(
    start: &Start<'_>,
    scratch: &Path,
    addr: SocketAddr,
    tcp_addr: Option<SocketAddr>,
) -> Value {
    let mut main = json!({"addr": addr.to_string()});
    if let Some(tcp_addr) = tcp_addr {
        main["tcp-addr"] = json!(tcp_addr.to_string());
    }
    let mut store = json!({
        "checkpoints": {"file-format": "wal", "directory": scratch.join("checkpoints")},
        "memory-cap": 0,
        "retention-in-memory": "48h",
        "cleanup": {"mode": "delete", "directory": scratch.join("archive")},
    });
    merge(&mut main, start.main_json);
    merge(&mut store, start.store_json);
    json!({"main": main, "metrics": start.metrics, "metric-store": store})
}

/// Puts `over` on top of `base`: objects key by key, anything else replaces.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_json_goes_on_top_of_the_generated_configuration() {
        let start = Start {
            binary: Path::new("x"),
            metrics: &json!({"ipc": {"frequency": 60, "aggregation": "avg"}}),
            main_json: &json!({"user": "nobody"}),
            store_json: &json!({"memory-cap": 64, "checkpoints": {"file-format": "json"}, "cores": 1}),
            scratch_parent: None,
            tcp: true,
        };
        let [addr, tcp_addr] = ["127.0.0.1:1", "127.0.0.1:2"].map(|addr| addr.parse().unwrap());
        let config = config(&start, Path::new("/scratch"), addr, Some(tcp_addr));
        assert_eq!(config["main"]["addr"], addr.to_string());
        assert_eq!(config["main"]["tcp-addr"], tcp_addr.to_string());
        assert_eq!(config["main"]["user"], "nobody");
        let store = &config["metric-store"];
        assert_eq!(store["memory-cap"], 64);
        assert_eq!(store["cores"], 1);
        assert_eq!(store["retention-in-memory"], "48h");
        let checkpoints = json!({"file-format": "json", "directory": "/scratch/checkpoints"});
        assert_eq!(store["checkpoints"], checkpoints);
        assert_eq!(config["metrics"]["ipc"]["frequency"], 60);
    }
}
