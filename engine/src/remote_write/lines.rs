//! A time series as lines: which of its labels are metric, cluster, host and level.

use std::collections::HashMap;
use std::io::Write;

use super::message::TimeSeries;
use crate::config::Metrics;
use crate::promql::labels::exposed_name;

/// Which labels name cluster and host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelNames {
    /// The label of the cluster.
    pub cluster: String,
    /// The labels of the host: the first that a series has.
    pub hosts: Vec<String>,
    /// Whether `:9100` at the end of a host is a part of its name.
    pub keeps_port: bool,
}

impl Default for LabelNames {
    /// What senders use: the label that Prometheus gives to everything it scrapes comes last.
    fn default() -> Self {
        let hosts = ["hostname", "host", "instance"].map(str::to_owned).to_vec();
        Self { cluster: "cluster".to_owned(), hosts, keeps_port: false }
    }
}

/// Samples that became no lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Their metric is not configured.
    pub unconfigured: u64,
    /// They are no number that can be stored: markers that a series ended, NaN, infinity.
    pub valueless: u64,
    /// A line cannot name their series: control characters, a backslash at the end, more than two levels.
    pub unnameable: u64,
}

/// Writes series as lines.
#[derive(Clone, Debug)]
pub struct LineWriter {
    names: LabelNames,
    /// Names of metrics as PromQL has them, with those of the configuration.
    metrics: HashMap<Box<str>, Box<str>>,
}

/// The labels of a series that count.
#[derive(Debug, Default)]
struct Place<'a> {
    cluster: &'a str,
    host: &'a str,
    /// Type and type-id of the levels below the host.
    below: [[&'a str; 2]; 2],
}

impl LineWriter {
    /// For series of these metrics.
    #[must_use]
    pub fn new(names: LabelNames, metrics: &Metrics) -> Self {
        let mut by_name = HashMap::new();
        for (_, metric) in metrics.iter() {
            by_name.entry(exposed_name(&metric.name).into()).or_insert_with(|| metric.name.as_ref().into());
        }
        // A name that is configured just so comes first.
        by_name.extend(
            metrics.iter().map(|(_, metric)| (metric.name.as_ref().into(), metric.name.as_ref().into())),
        );
        Self { names, metrics: by_name }
    }

    /// Appends a line for each sample, its time in seconds.
    pub fn push_series(&self, series: &TimeSeries<'_>, lines: &mut Vec<u8>, skipped: &mut Skipped) {
        let samples = series.samples.len() as u64;
        let label = |name: &str| {
            let found = series.labels.iter().find(|(of, _)| *of == name);
            found.map_or("", |(_, value)| *value)
        };
        let Some(metric) = self.metrics.get(label("__name__")) else {
            skipped.unconfigured += samples;
            return;
        };
        let Some(place) = self.place(label) else {
            skipped.unnameable += samples;
            return;
        };
        let mut key = Vec::with_capacity(128);
        push_escaped(metric, b", ", &mut key);
        let [kind, subkind] = place.below;
        let tags = [
            (",cluster=", place.cluster),
            (",hostname=", place.host),
            (",type=", kind[0]),
            (",type-id=", kind[1]),
            (",stype=", subkind[0]),
            (",stype-id=", subkind[1]),
        ];
        for (name, value) in tags.into_iter().filter(|(_, value)| !value.is_empty()) {
            key.extend_from_slice(name.as_bytes());
            push_escaped(value, b",= ", &mut key);
        }
        for sample in &series.samples {
            if !sample.value.is_finite() {
                skipped.valueless += 1;
                continue;
            }
            lines.extend_from_slice(&key);
            let (value, seconds) = (sample.value, sample.timestamp_ms.div_euclid(1000));
            // Very large and very small numbers are hundreds of letters long without an exponent.
            let written = if value == 0.0 || (1e-6..1e15).contains(&value.abs()) {
                writeln!(lines, " value={value} {seconds}")
            } else {
                writeln!(lines, " value={value:e} {seconds}")
            };
            written.expect("memory takes it");
        }
    }

    /// Where a series belongs; `None` if no line can say it.
    fn place<'a>(&self, label: impl Fn(&str) -> &'a str) -> Option<Place<'a>> {
        let either =
            |one: &str, other: &str| Some(label(one)).filter(|id| !id.is_empty()).unwrap_or(label(other));
        let mut place = Place { cluster: label(&self.names.cluster), ..Place::default() };
        place.host =
            self.names.hosts.iter().map(|name| label(name)).find(|host| !host.is_empty()).unwrap_or("");
        if !self.names.keeps_port {
            place.host = without_port(place.host);
        }
        let (scope, id, parent) = (label("scope"), label("id"), label("parent"));
        if !label("type").is_empty() {
            let level = [label("type"), either("type_id", "type-id")];
            place.below = [level, [label("stype"), either("stype_id", "stype-id")]];
        } else if !matches!(scope, "" | "node") {
            // The labels that questions in PromQL are answered with.
            place.below =
                if parent.is_empty() { [[scope, id], [""; 2]] } else { [[parent, ""], [scope, id]] };
            if parent.contains('/') {
                return None;
            }
        }
        let texts = place.below.iter().flatten().chain([&place.cluster, &place.host]);
        let is_nameable = |text: &str| !text.ends_with('\\') && !text.chars().any(char::is_control);
        let is_good = texts.copied().all(is_nameable);
        is_good.then_some(place)
    }
}

/// `host:9100`, `[::1]:9100` → the host.
fn without_port(name: &str) -> &str {
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((address, behind)) = name.strip_prefix('[').and_then(|rest| rest.split_once(']'))
        && (behind.is_empty() || behind.strip_prefix(':').is_some_and(is_port))
    {
        return address;
    }
    match name.split_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => name,
    }
}

/// Appends text with a backslash before each of these letters.
fn push_escaped(text: &str, special: &[u8], out: &mut Vec<u8>) {
    for &byte in text.as_bytes() {
        if special.contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}
