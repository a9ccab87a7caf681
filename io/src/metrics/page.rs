//! The page: what the cores have handed over, by family. Sums over all cores, unless a single core is what to look at.

use engine::durations::DurationCounts;

use super::core_metrics::CoreMetrics;
use super::counters::{Call, Rejected, STATUS_CLASSES};
use super::text::{Kind, Text};

/// A number of a core.
type Of = fn(&CoreMetrics) -> u64;

/// Writes the families of all cores.
pub fn write(cores: &[CoreMetrics], text: &mut Text) {
    lines(cores, text);
    requests(cores, text);
    connections(cores, text);
    store(cores, text);
    by_core(cores, text);
}

fn sum(cores: &[CoreMetrics], of: impl Fn(&CoreMetrics) -> u64) -> u64 {
    cores.iter().map(of).sum()
}

fn durations(cores: &[CoreMetrics], of: impl Fn(&CoreMetrics) -> &DurationCounts) -> DurationCounts {
    let mut sum = DurationCounts::default();
    cores.iter().for_each(|core| sum.add(of(core)));
    sum
}

fn lines(cores: &[CoreMetrics], text: &mut Text) {
    text.single(
        "cc_metric_store_lines_total",
        Kind::Counter,
        "Lines of line protocol that came, whatever became of them.",
        sum(cores, |core| core.lines),
    );
    text.single(
        "cc_metric_store_lines_unconfigured_total",
        Kind::Counter,
        "Lines skipped because their metric is not configured.",
        sum(cores, |core| core.unconfigured),
    );
    text.single(
        "cc_metric_store_samples_without_value_total",
        Kind::Counter,
        "Samples of Prometheus' remote_write passed over because they are no number: the end of a series, NaN, infinity.",
        sum(cores, |core| core.valueless),
    );
    let help = "Lines, or the samples they became, that are not stored, by reason.";
    let mut family = text.family("cc_metric_store_lines_rejected_total", Kind::Counter, help);
    for why in Rejected::ALL {
        family.value(&[("reason", why.name())], sum(cores, |core| core.rejected[why as usize]));
    }
}

fn requests(cores: &[CoreMetrics], text: &mut Text) {
    let help = "HTTP requests, by call and class of their status.";
    let mut family = text.family("cc_metric_store_http_requests_total", Kind::Counter, help);
    for call in Call::ALL {
        for (class, class_name) in STATUS_CLASSES.into_iter().enumerate() {
            let labels = [("call", call.name()), ("status", class_name)];
            family.value(&labels, sum(cores, |core| core.requests[call as usize][class]));
        }
    }
    let help = "How long queries took, from head to answer.";
    text.family("cc_metric_store_query_duration_seconds", Kind::Histogram, help)
        .durations(&durations(cores, |core| &core.queries));
    let help =
        "How long HTTP writes took, from head to answer; the time in which the client sends is part of it.";
    text.family("cc_metric_store_write_duration_seconds", Kind::Histogram, help)
        .durations(&durations(cores, |core| &core.writes));
    text.single(
        "cc_metric_store_queries_too_large_total",
        Kind::Counter,
        "Queries refused because of metric-store.query-limit.",
        sum(cores, |core| core.queries_too_large),
    );
    text.single(
        "cc_metric_store_bodies_too_large_total",
        Kind::Counter,
        "Requests refused because their body is larger than their call takes.",
        sum(cores, |core| core.bodies_too_large),
    );
}

fn connections(cores: &[CoreMetrics], text: &mut Text) {
    let counter = |text: &mut Text, name, help, of: Of| {
        text.single(name, Kind::Counter, help, sum(cores, of));
    };
    text.single(
        "cc_metric_store_connections_open",
        Kind::Gauge,
        "Open connections, HTTP and raw TCP.",
        sum(cores, |core| core.connections.open),
    );
    counter(
        text,
        "cc_metric_store_connections_moved_total",
        "New connections sent to the core that owns the host of their first line.",
        |core| core.connections.moved,
    );
    counter(
        text,
        "cc_metric_store_connections_refused_total",
        "Connections closed at once because of main.max-connections.",
        |core| core.connections.refused,
    );
    let help = "Connections closed because the client kept us waiting, by how.";
    let mut family = text.family("cc_metric_store_connections_swept_total", Kind::Counter, help);
    let slow = |core: &CoreMetrics| core.connections.slow_heads + core.connections.slow_bodies;
    family.value(&[("reason", "idle")], sum(cores, |core| core.connections.swept.saturating_sub(slow(core))));
    family.value(&[("reason", "slow_head")], sum(cores, |core| core.connections.slow_heads));
    family.value(&[("reason", "slow_body")], sum(cores, |core| core.connections.slow_bodies));
    counter(
        text,
        "cc_metric_store_oversized_heads_total",
        "Requests refused because of main.max-header-bytes.",
        |core| core.connections.oversized_heads,
    );
    counter(
        text,
        "cc_metric_store_unauthorized_total",
        "Calls and raw TCP streams refused for want of a valid token.",
        |core| core.connections.unauthorized,
    );
    counter(
        text,
        "cc_metric_store_tls_handshakes_failed_total",
        "TLS handshakes that came to nothing.",
        |core| core.connections.handshakes_failed,
    );
    counter(
        text,
        "cc_metric_store_tls_handshakes_refused_total",
        "Connections closed because too many TLS handshakes were under way.",
        |core| core.connections.handshakes_refused,
    );
}

fn store(cores: &[CoreMetrics], text: &mut Text) {
    let help = "Memory of the store, by what it is for.";
    let mut family = text.family("cc_metric_store_memory_bytes", Kind::Gauge, help);
    let kinds: [(&str, Of); 7] = [
        ("values", |core| core.memory.pages_used),
        ("values_free", |core| core.memory.pages.saturating_sub(core.memory.pages_used)),
        ("page_tables", |core| core.memory.page_tables),
        ("series", |core| core.memory.series),
        ("older_buffers", |core| core.memory.older_buffers),
        ("names", |core| core.names_bytes),
        ("keys", |core| core.keys_bytes),
    ];
    for (kind, of) in kinds {
        family.value(&[("kind", kind)], sum(cores, of));
    }
    let help = "How long successful syncs of the log took, all cores.";
    text.family("cc_metric_store_log_sync_duration_seconds", Kind::Histogram, help)
        .durations(&durations(cores, |core| &core.log_syncs));
}

/// Name, kind, help, value.
type ByCore = (&'static str, Kind, &'static str, fn(&CoreMetrics) -> f64);

const BY_CORE: [ByCore; 22] = [
    ("cc_metric_store_samples_stored_total", Kind::Counter, "Samples stored.", |core| core.stored as f64),
    ("cc_metric_store_series", Kind::Gauge, "Series, also those without data.", |core| core.series as f64),
    ("cc_metric_store_hosts", Kind::Gauge, "Hosts that hold data.", |core| core.hosts as f64),
    (
        "cc_metric_store_core_cpu_seconds_total",
        Kind::Counter,
        "CPU time of the core's thread: its rate is the core's busy share.",
        |core| core.cpu.as_secs_f64(),
    ),
    ("cc_metric_store_core_turns_total", Kind::Counter, "Turns of the core's pump.", |core| {
        core.turns as f64
    }),
    ("cc_metric_store_core_messages_total", Kind::Counter, "Messages the core's pump took.", |core| {
        core.messages as f64
    }),
    (
        "cc_metric_store_core_mailbox_messages",
        Kind::Gauge,
        "Messages that wait in the core's mailboxes.",
        |core| core.mailbox_messages as f64,
    ),
    (
        "cc_metric_store_core_mailbox_full_total",
        Kind::Counter,
        "How often a connection of the core waited because another core's mailbox was full.",
        |core| core.mailbox_full as f64,
    ),
    (
        "cc_metric_store_core_jobs",
        Kind::Gauge,
        "Queries, frees and the like under way in the core's pump.",
        |core| core.jobs as f64,
    ),
    (
        "cc_metric_store_log_up",
        Kind::Gauge,
        "1 while the core's log takes writes, 0 while they are refused.",
        |core| f64::from(u8::from(core.log_is_running)),
    ),
    (
        "cc_metric_store_log_failures_total",
        Kind::Counter,
        "How often the core's log stopped because of an error.",
        |core| core.log.failures as f64,
    ),
    ("cc_metric_store_log_written_bytes_total", Kind::Counter, "Bytes written to the log.", |core| {
        core.log.bytes as f64
    }),
    (
        "cc_metric_store_log_commits_total",
        Kind::Counter,
        "Groups of blocks that became durable together.",
        |core| core.log.commits as f64,
    ),
    ("cc_metric_store_log_blocks_total", Kind::Counter, "Blocks in these groups.", |core| {
        core.log.blocks as f64
    }),
    ("cc_metric_store_log_sync_failures_total", Kind::Counter, "Syncs of the log that failed.", |core| {
        core.log.sync_failures as f64
    }),
    ("cc_metric_store_log_segments_total", Kind::Counter, "Segments of the log that were begun.", |core| {
        core.log.segments as f64
    }),
    (
        "cc_metric_store_log_sealed_bytes",
        Kind::Gauge,
        "Finished segments of the log that no checkpoint has covered yet.",
        |core| core.log_sealed_bytes as f64,
    ),
    ("cc_metric_store_log_sync_slowest_seconds", Kind::Gauge, "The slowest sync since the start.", |core| {
        core.log.sync_ns_max as f64 / 1e9
    }),
    ("cc_metric_store_checkpoints_total", Kind::Counter, "Complete checkpoints.", |core| {
        core.checkpoints as f64
    }),
    (
        "cc_metric_store_checkpoints_failed_total",
        Kind::Counter,
        "Checkpoints that are not complete; the log is kept.",
        |core| core.checkpoints_failed as f64,
    ),
    (
        "cc_metric_store_checkpoint_duration_seconds",
        Kind::Gauge,
        "How long the core's last checkpoint took.",
        |core| core.checkpoint_took.as_secs_f64(),
    ),
    (
        "cc_metric_store_checkpoint_age_seconds",
        Kind::Gauge,
        "Time since the core's last complete checkpoint, or since its start.",
        |core| core.checkpoint_age.as_secs_f64(),
    ),
];

fn by_core(cores: &[CoreMetrics], text: &mut Text) {
    for (name, kind, help, of) in BY_CORE {
        let mut family = text.family(name, kind, help);
        for core in cores {
            family.value(&[("core", &core.core.to_string())], of(core));
        }
    }
}
