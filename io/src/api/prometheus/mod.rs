//! `/api/v1/…`: Prometheus' HTTP API, for Grafana, promtool and Prometheus' own `remote_write` (`docs/prometheus.md`).
//!
//! One file a concern: [`parameters`] reads what is asked, [`query`] computes questions, [`listing`] lists series and labels,
//! [`metadata`] tells of metrics, [`status`] of the daemon, [`write`] takes samples; [`text`] is the answer being written.

pub mod listing;
pub mod metadata;
pub mod owners;
pub mod parameters;
pub mod query;
pub mod status;
pub mod text;
pub mod write;

use std::rc::Rc;

use hyper::body::Incoming;
use hyper::header::ACCEPT_ENCODING;
use hyper::{Method, Request};

use self::parameters::Parameters;
use self::text::AnswerText;
use super::query::{ROOM_TIMEOUT, encoded};
use super::{ApiResponse, Refusal, encoding};
use crate::core::Core;
use crate::metrics::daemon::DaemonMetrics;

/// What a question takes while it is answered, as far as is known before: the most points, as numbers and as text.
const ANSWER_BYTES_EXPECTED: u64 = 32 * 1024 * 1024;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `query`: at one time.
    Query,
    /// `query_range`: at many.
    QueryRange,
    /// `query_exemplars`: none are kept.
    QueryExemplars,
    /// `format_query`: whether a question is one.
    FormatQuery,
    /// `series`: which there are.
    Series,
    /// `labels`: the names of labels.
    Labels,
    /// `label/<name>/values`.
    LabelValues,
    /// `metadata`: the metrics of the configuration.
    Metadata,
    /// What Prometheus has and this daemon has none of: rules, alerts, targets.
    Absent(Absent),
    /// `status/…`: about the daemon.
    Status(Status),
}

/// Lists that are always empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// `rules`
    Rules,
    /// `alerts`
    Alerts,
    /// `alertmanagers`
    Alertmanagers,
    /// `targets`
    Targets,
    /// `targets/metadata`
    TargetsMetadata,
}

/// What is asked about the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `status/buildinfo`: a version, by which clients choose what they ask.
    BuildInfo,
    /// `status/runtimeinfo`
    RuntimeInfo,
    /// `status/config`
    Config,
    /// `status/flags`
    Flags,
    /// `status/tsdb`: how many series there are.
    Tsdb,
}

impl Endpoint {
    /// What a path behind `/api/v1/` asks.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        Some(match path {
            "query" => Self::Query,
            "query_range" => Self::QueryRange,
            "query_exemplars" => Self::QueryExemplars,
            "format_query" => Self::FormatQuery,
            "series" => Self::Series,
            "labels" => Self::Labels,
            "metadata" => Self::Metadata,
            "rules" => Self::Absent(Absent::Rules),
            "alerts" => Self::Absent(Absent::Alerts),
            "alertmanagers" => Self::Absent(Absent::Alertmanagers),
            "targets" => Self::Absent(Absent::Targets),
            "targets/metadata" => Self::Absent(Absent::TargetsMetadata),
            "status/buildinfo" => Self::Status(Status::BuildInfo),
            "status/runtimeinfo" => Self::Status(Status::RuntimeInfo),
            "status/config" => Self::Status(Status::Config),
            "status/flags" => Self::Status(Status::Flags),
            "status/tsdb" => Self::Status(Status::Tsdb),
            _ => {
                label_of(path)?;
                Self::LabelValues
            }
        })
    }

    /// Whether the owners of series are asked, who may answer much.
    fn reads_series(self) -> bool {
        matches!(self, Self::Query | Self::QueryRange | Self::Series | Self::Labels | Self::LabelValues)
    }

    /// The methods that are described; HEAD and OPTIONS are answered as well.
    #[must_use]
    pub fn methods(self) -> &'static [Method] {
        match self {
            Self::Metadata | Self::Absent(_) | Self::Status(_) => &[Method::GET],
            _ => &[Method::GET, Method::POST],
        }
    }
}

/// The name in `label/<name>/values`, as it stands in the path.
fn label_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("label/")?.strip_suffix("/values")?;
    (!name.contains('/')).then_some(name)
}

/// Answers any of the calls.
///
/// # Errors
/// 400 for what is no question, 422 for one that is too large or not understood here, 503 if all bodies and answers together hold too much.
pub async fn prometheus(
    core: Rc<Core>,
    request: &mut Request<Incoming>,
    endpoint: Endpoint,
    daemon: &DaemonMetrics,
) -> Result<ApiResponse, Refusal> {
    let coding = encoding::negotiate(request.headers().get_all(ACCEPT_ENCODING));
    let path = request.uri().path().to_owned();
    let (parameters, mut lease) = Parameters::read(&core, request).await?;
    if endpoint.reads_series() {
        lease.grow_up_to(ANSWER_BYTES_EXPECTED, ROOM_TIMEOUT).await?;
    }
    let mut out = AnswerText::new(lease);
    match endpoint {
        Endpoint::Query => query::query(&core, &parameters, &mut out).await?,
        Endpoint::QueryRange => query::query_range(&core, &parameters, &mut out).await?,
        Endpoint::QueryExemplars => query::exemplars(&core, &parameters, &mut out)?,
        Endpoint::FormatQuery => query::format(&core, &parameters, &mut out)?,
        Endpoint::Series => listing::series(&core, &parameters, &mut out).await?,
        Endpoint::Labels => listing::names(&core, &parameters, &mut out).await?,
        Endpoint::LabelValues => {
            let name = path.trim_end_matches('/').strip_prefix("/api/v1/").and_then(label_of);
            listing::values(&core, name.unwrap_or_default(), &parameters, &mut out).await?;
        }
        Endpoint::Metadata => metadata::metadata(&core, &parameters, &mut out)?,
        Endpoint::Absent(absent) => status::absent(absent, &parameters, &mut out)?,
        Endpoint::Status(what) => status::status(&core, what, daemon, &mut out).await,
    }
    Ok(encoded(out.into_body(), coding))
}
