//! What a configuration comes to, defaults included, as a file that would say it in full: for `-check-config`.
//!
//! After everything has been read and checked. Secrets are not shown.

use std::time::Duration;

use engine::config::Aggregation;
use engine::durable::commit::WalSync;
use serde_json::{Map, Value, json};

use super::secret::without_user;
use super::{Cleanup, DebugOptions, FileFormat, Main, MetricStore, Nats, Secret, Settings};

/// Stands where a secret is.
const HIDDEN: &str = "(not shown)";

impl Settings {
    /// The configuration in full. Loading it gives the same settings, but for the secrets.
    #[must_use]
    pub fn effective(&self) -> Value {
        let metrics: Map<String, Value> = self
            .metrics
            .iter()
            .map(|(_, metric)| {
                let aggregation = match metric.aggregation {
                    Aggregation::Sum => json!("sum"),
                    Aggregation::Avg => json!("avg"),
                    Aggregation::None => Value::Null,
                };
                let value = json!({"frequency": metric.frequency, "aggregation": aggregation});
                (metric.name.to_string(), value)
            })
            .collect();
        let mut config = json!({
            "main": main(&self.main), "metrics": metrics, "metric-store": store(&self.metric_store),
        });
        if let Some(server) = &self.nats {
            config["nats"] = nats(server);
        }
        config
    }
}

fn main(main: &Main) -> Value {
    json!({
        "addr": main.addr,
        "https-cert-file": main.https_cert_file,
        "https-key-file": main.https_key_file,
        "user": main.user,
        "group": main.group,
        "backend-url": main.backend_url.as_deref().map(without_user),
        "backend-token": hidden(main.backend_token.as_ref()),
        "jwt-public-key": main.jwt_public_key.as_ref().map(super::JwtKey::to_base64),
        "jwt-require-exp": main.jwt_require_exp,
        "debug": debug(&main.debug),
        "tcp-addr": main.tcp_addr,
        "tcp-cluster": main.tcp_cluster,
        "idle-timeout": duration(main.idle_timeout),
        "stop-timeout": duration(main.stop_timeout),
        "max-connections": main.connections_max,
        "max-header-bytes": main.header_bytes_max,
        "max-held-bytes": main.held_bytes_max,
        "allowed-hosts": main.allowed_hosts,
        "min-body-rate": main.body_bytes_per_second_min,
        "influx-fields": main.influx_fields,
        "remote-write": {
            "cluster": main.remote_write.cluster,
            "cluster-label": main.remote_write.labels.cluster,
            "host-labels": main.remote_write.labels.hosts,
            "keep-port": main.remote_write.labels.keeps_port,
        },
        "ui": main.ui,
    })
}

fn store(store: &MetricStore) -> Value {
    let format = match store.checkpoints.file_format {
        FileFormat::Wal => "wal",
        FileFormat::Json => "json",
    };
    let cleanup = match &store.cleanup {
        Cleanup::Delete => json!({"mode": "delete"}),
        Cleanup::Archive { directory } => json!({"mode": "archive", "directory": directory}),
    };
    let subscriptions: Vec<Value> = store
        .nats_subscriptions
        .iter()
        .map(|entry| {
            let jet_stream = entry.jet_stream.as_ref();
            json!({
                "subscribe-to": entry.subject,
                "cluster-tag": entry.cluster,
                "stream": jet_stream.map(|jet_stream| &jet_stream.stream),
                "durable": jet_stream.map(|jet_stream| &jet_stream.durable),
            })
        })
        .collect();
    let sync = match store.wal.sync {
        WalSync::Always => "always".to_owned(),
        WalSync::Interval(interval) => format!("interval:{}", duration(interval)),
        WalSync::None => "none".to_owned(),
        WalSync::Off => "off".to_owned(),
    };
    json!({
        "checkpoints": {
            "file-format": format,
            "directory": store.checkpoints.directory,
            "max-wal-size": store.checkpoints.wal_bytes_max,
        },
        "checkpoint-interval": duration(store.checkpoint_interval),
        "memory-cap": store.memory_cap_bytes as f64 / super::bounds::GB_BYTES,
        "retention-in-memory": duration(store.retention_in_memory),
        "num-workers": store.num_workers,
        "cleanup": cleanup,
        "nats-subscriptions": subscriptions,
        "debug": debug(&store.debug),
        "cores": store.cores,
        "wal": {"directory": store.wal.directory, "sync": sync},
        "query-limit": store.query_values_max,
        "full-range": store.full_range,
        "max-series": store.series_max,
    })
}

fn nats(nats: &Nats) -> Value {
    json!({
        "address": without_user(&nats.address),
        "username": hidden(nats.username.as_ref()),
        "password": hidden(nats.password.as_ref()),
        "creds-file-path": nats.creds_file_path,
        "nkey-seed-file": nats.nkey_seed_file,
    })
}

fn debug(debug: &DebugOptions) -> Value {
    json!({"dump-to-file": debug.dump_to_file, "gops": debug.gops})
}

fn hidden(secret: Option<&Secret>) -> Value {
    secret.map_or(Value::Null, |_| json!(HIDDEN))
}

/// In the largest unit that gives a whole number.
fn duration(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_nanos()) {
        (seconds, 0) if seconds > 0 && seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, 0) if seconds > 0 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        (seconds, 0) => format!("{seconds}s"),
        (_, nanoseconds) if nanoseconds % 1_000_000 == 0 => format!("{}ms", duration.as_millis()),
        _ => format!("{}ns", duration.as_nanos()),
    }
}
