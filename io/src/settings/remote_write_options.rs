//! The object `main.remote-write`: what the labels of Prometheus' `remote_write` are here. Not known to the reference.

use engine::remote_write::lines::LabelNames;

use super::object::Object;
use super::problem::Problem;

const KEYS: &[&str] = &["cluster", "cluster-label", "host-labels", "keep-port"];

/// The object `remote-write`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteWriteOptions {
    /// The cluster of series without a label for it; `?cluster=` in the URL comes before.
    pub cluster: Option<String>,
    /// Which labels are cluster and host.
    pub labels: LabelNames,
}

impl RemoteWriteOptions {
    /// Reads `remote-write` of a section.
    pub(super) fn read(section: &Object<'_>) -> Self {
        let mut options = Self::default();
        let Some(object) = section.object("remote-write", KEYS) else { return options };
        options.cluster = object.text("cluster").map(str::to_owned);
        let labels = &mut options.labels;
        if let Some(name) = object.text("cluster-label") {
            labels.cluster = name.to_owned();
        }
        if let Some(names) = object.list("host-labels") {
            let texts =
                names.iter().map(|name| name.as_str().filter(|name| !name.is_empty()).map(str::to_owned));
            match texts.collect::<Option<Vec<_>>>() {
                Some(hosts) if !hosts.is_empty() => labels.hosts = hosts,
                _ => object.findings().problem(Problem::OutOfRange {
                    path: object.path_of("host-labels"),
                    expected: "one name of a label or more".to_owned(),
                    found: serde_json::Value::from(names.clone()).to_string(),
                }),
            }
        }
        labels.keeps_port = object.boolean("keep-port").unwrap_or(false);
        options
    }
}
