//! `/api/v1/…`: the part of Prometheus' HTTP API that reads, for Grafana (`docs/prometheus.md`).
//!
//! The owners answer for the selectors of a question ([`engine::promql::scan`]); here the expression above them is computed and written.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use engine::limits;
use engine::promql::PromError;
use engine::promql::answer::{push_labels, push_matrix_element, push_point, push_vector_element};
use engine::promql::evaluate::{Series, Value, evaluate, gather};
use engine::promql::labels::{Label, LabelSet, Labels, exposed_name};
use engine::promql::plan::{Leaf, Plan};
use engine::promql::scan::{PromAnswer, PromQuestion, Wanted};
use engine::promql::text::parse_duration_ms;
use engine::query::request::push_json_string;
use engine::series::route::core_of;
use hyper::body::Incoming;
use hyper::header::ACCEPT_ENCODING;
use hyper::{Method, Request, StatusCode};

use super::body::ApiBody;
use super::encoding;
use super::query::{ROOM_TIMEOUT, encoded};
use super::request::whole_body;
use super::{ApiResponse, Refusal};
use crate::core::calls::Call;
use crate::core::event::{Reply, Work};
use crate::core::{Core, clock_seconds};
use crate::runtime::reactor_turn;

/// Bytes written before others get their turn.
const TURN_BYTES: usize = 128 * 1024;
/// Longest query string and form: the longest question, each byte of it as `%XX`, and some more.
const FORM_BYTES_MAX: usize = 256 * 1024;
const _: () = assert!(FORM_BYTES_MAX > 4 * limits::PROMQL_BYTES_MAX);
/// What a question takes while it is answered, as far as is known before: the most points, as numbers and as text.
const ANSWER_BYTES_EXPECTED: u64 = 32 * 1024 * 1024;
/// Series merged before others get their turn.
const TURN_SERIES: usize = 512;
/// Most selectors of one call for series or labels.
const SELECTORS_MAX: usize = 16;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `query`: at one time.
    Query,
    /// `query_range`: at many.
    QueryRange,
    /// `series`: which there are.
    Series,
    /// `labels`: the names of labels.
    Labels,
    /// `label/<name>/values`.
    LabelValues,
}

impl Endpoint {
    /// What a path behind `/api/v1/` asks.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        Some(match path {
            "query" => Self::Query,
            "query_range" => Self::QueryRange,
            "series" => Self::Series,
            "labels" => Self::Labels,
            _ => {
                label_of(path)?;
                Self::LabelValues
            }
        })
    }
}

/// The name in `label/<name>/values`.
fn label_of(path: &str) -> Option<&str> {
    path.strip_prefix("label/")?.strip_suffix("/values")
}

/// Answers any of the calls.
///
/// # Errors
/// 400 for what is no question, 422 for one that is too large or not understood here.
pub async fn prometheus(
    core: Rc<Core>,
    request: &mut Request<Incoming>,
    endpoint: Endpoint,
) -> Result<ApiResponse, Refusal> {
    let coding = encoding::negotiate(request.headers().get_all(ACCEPT_ENCODING));
    let path = request.uri().path().to_owned();
    let mut form = request.uri().query().unwrap_or_default().as_bytes().to_vec();
    if request.method() == Method::POST {
        form.push(b'&');
        form.extend_from_slice(&whole_body(&core, request).await?.0);
    }
    if form.len() > FORM_BYTES_MAX {
        return Err(Refusal::bad_request(format_args!(
            "the parameters have more than {FORM_BYTES_MAX} bytes"
        )));
    }
    let parameters = Parameters(form_urlencoded::parse(&form).collect());
    let mut lease = core.held.lease();
    lease.grow_up_to(ANSWER_BYTES_EXPECTED, ROOM_TIMEOUT).await?;
    let mut out = b"{\"status\":\"success\",\"data\":".to_vec();
    match endpoint {
        Endpoint::Query => query(&core, &parameters, &mut out).await?,
        Endpoint::QueryRange => query_range(&core, &parameters, &mut out).await?,
        Endpoint::Series => series(&core, &parameters, &mut out).await?,
        Endpoint::Labels => {
            let names: BTreeSet<&str> = Label::ALL.iter().map(|label| label.name()).collect();
            push_list(&mut out, names);
        }
        Endpoint::LabelValues => {
            let path = path.trim_end_matches('/').strip_prefix("/api/v1/").and_then(label_of);
            values(&core, path.unwrap_or_default(), &parameters, &mut out).await?;
        }
    }
    out.extend_from_slice(b"}\n");
    Ok(encoded(ApiBody::full(Bytes::from(out)).holding(lease), coding))
}

/// Those of the URL, and of a form behind them.
struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Parameters<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::bad_request(format_args!("the parameter {name} is missing")))
    }

    fn time_ms(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let wrong = |text| {
            Refusal::bad_request(format_args!(
                "{name}: {text:?} is neither seconds since 1970 nor a time of RFC 3339"
            ))
        };
        self.get(name).map(|text| time_ms(text).ok_or_else(|| wrong(text))).transpose()
    }

    /// What every `match[]` means.
    fn selectors(&self, core: &Core) -> Result<Vec<Leaf>, Refusal> {
        let texts = self.0.iter().filter(|(name, _)| name == "match[]").map(|(_, text)| text);
        if texts.clone().count() > SELECTORS_MAX {
            return Err(Refusal::bad_request(format_args!("at most {SELECTORS_MAX} match[] are taken")));
        }
        let metrics = Arc::clone(core.router.borrow().metrics());
        texts.map(|text| Plan::parse_selector(text, &metrics).map_err(|error| refusal(&error))).collect()
    }
}

/// Seconds with a fraction, or a time of RFC 3339, in milliseconds.
fn time_ms(text: &str) -> Option<i64> {
    let ms = match text.parse::<f64>() {
        Ok(seconds) => (seconds * 1000.0).round(),
        Err(_) => text.parse::<jiff::Timestamp>().ok()?.as_millisecond() as f64,
    };
    let max_ms = limits::TIME_SECONDS_MAX * 1000;
    (ms.is_finite() && ms.abs() <= max_ms as f64).then_some(ms as i64)
}

fn refusal(error: &PromError) -> Refusal {
    let status = match error {
        PromError::BadData(_) => StatusCode::BAD_REQUEST,
        PromError::Execution(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Refusal { status, message: error.to_string() }
}

async fn query(core: &Rc<Core>, parameters: &Parameters<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let plan = plan(core, parameters)?;
    let end_ms = parameters.time_ms("time")?.unwrap_or_else(|| clock_seconds() * 1000);
    let wanted = if plan.is_range {
        Wanted::Samples { end_ms }
    } else {
        Wanted::Steps { start_ms: end_ms, step_ms: 1000, steps: 1 }
    };
    let value = compute(core, &plan, wanted, end_ms, 1000).await?;
    match value {
        Value::Scalar(number) => {
            out.extend_from_slice(b"{\"resultType\":\"scalar\",\"result\":");
            push_point(out, end_ms, number);
        }
        Value::Vector(series) => {
            let (kind, push): (_, fn(&mut Vec<u8>, &Series)) =
                if plan.is_range { ("matrix", push_matrix_element) } else { ("vector", push_vector_element) };
            out.extend_from_slice(format!("{{\"resultType\":\"{kind}\",\"result\":[").as_bytes());
            push_all(out, &series, push).await;
            out.push(b']');
        }
    }
    out.push(b'}');
    Ok(())
}

async fn query_range(core: &Rc<Core>, parameters: &Parameters<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let plan = plan(core, parameters)?;
    if plan.is_range {
        return Err(Refusal::bad_request("query_range takes no range selector without a function around it"));
    }
    let time = |name: &str| -> Result<i64, Refusal> {
        parameters.needed(name)?;
        Ok(parameters.time_ms(name)?.expect("it is there"))
    };
    let (start_ms, end_ms) = (time("start")?, time("end")?);
    let text = parameters.needed("step")?;
    let step_ms = match text.parse::<f64>() {
        Ok(seconds) => Some(seconds * 1000.0).filter(|ms| (1.0..1e15).contains(ms)).map(|ms| ms as i64),
        Err(_) => parse_duration_ms(text).filter(|&ms| ms > 0),
    };
    let step_ms = step_ms
        .ok_or_else(|| Refusal::bad_request(format_args!("step: {text:?} is no duration above zero")))?;
    if end_ms < start_ms {
        return Err(Refusal::bad_request("the end is before the start"));
    }
    let steps = usize::try_from((end_ms - start_ms) / step_ms + 1).unwrap_or(usize::MAX);
    if steps > limits::PROMQL_STEPS_MAX {
        let max = limits::PROMQL_STEPS_MAX;
        return Err(Refusal::bad_request(format_args!("more than {max} steps: take a larger step")));
    }
    let wanted = Wanted::Steps { start_ms, step_ms, steps };
    let series = match compute(core, &plan, wanted, start_ms, step_ms).await? {
        Value::Vector(series) => series,
        Value::Scalar(number) => vec![Series {
            labels: Labels::default(),
            first_ms: start_ms,
            period_ms: step_ms,
            values: vec![number; steps],
        }],
    };
    out.extend_from_slice(b"{\"resultType\":\"matrix\",\"result\":[");
    push_all(out, &series, push_matrix_element).await;
    out.extend_from_slice(b"]}");
    Ok(())
}

async fn series(core: &Rc<Core>, parameters: &Parameters<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let leaves = parameters.selectors(core)?;
    if leaves.is_empty() {
        return Err(Refusal::bad_request("no match[] parameter"));
    }
    let found = labels(core, leaves, LabelSet::ALL).await?;
    out.push(b'[');
    push_all(out, &found, push_labels).await;
    out.push(b']');
    Ok(())
}

async fn values(
    core: &Rc<Core>,
    name: &str,
    parameters: &Parameters<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let mut leaves = parameters.selectors(core)?;
    let Some(label) = Label::of_name(name) else {
        push_list(out, []);
        return Ok(());
    };
    let metrics = Arc::clone(core.router.borrow().metrics());
    if leaves.is_empty() {
        let mut names = BTreeSet::new();
        match label {
            Label::Name => {
                let metrics = metrics.iter().map(|(_, metric)| exposed_name(&metric.name));
                push_list(out, metrics.collect::<BTreeSet<_>>().iter().map(|name| &**name));
                return Ok(());
            }
            Label::Cluster | Label::Host => {
                core.directory.for_each(|cluster, host| {
                    names.insert(Arc::clone(if label == Label::Cluster { cluster } else { host }));
                });
                push_list(out, names.iter().map(|name| &**name));
                return Ok(());
            }
            _ => leaves.push(Leaf::of_all(&metrics)),
        }
    }
    let found = labels(core, leaves, LabelSet::default().with(label)).await?;
    // In order, and each once: they have no other label.
    push_list(out, found.iter().map(|labels| labels.get(label)).filter(|name| !name.is_empty()));
    Ok(())
}

fn plan(core: &Core, parameters: &Parameters<'_>) -> Result<Plan, Refusal> {
    let metrics = Arc::clone(core.router.borrow().metrics());
    Plan::parse(parameters.needed("query")?, &metrics).map_err(|error| refusal(&error))
}

async fn compute(
    core: &Rc<Core>,
    plan: &Plan,
    wanted: Wanted,
    first_ms: i64,
    period_ms: i64,
) -> Result<Value, Refusal> {
    let answers = ask(core, plan.leaves.clone(), wanted).await?;
    let mut leaves = gather(answers, first_ms, period_ms).await.map_err(|error| too_large(core, &error))?;
    leaves.resize_with(plan.leaves.len(), Vec::new);
    evaluate(&plan.expression, &mut leaves).await.map_err(|error| refusal(&error))
}

/// The labels of the set that series of any of the leaves have, in order.
async fn labels(core: &Rc<Core>, leaves: Vec<Leaf>, set: LabelSet) -> Result<Vec<Labels>, Refusal> {
    let answers = ask(core, leaves, Wanted::Labels(set)).await?;
    let mut found = BTreeSet::new();
    for (index, labels) in answers.into_iter().flat_map(|answer| answer.labels).enumerate() {
        found.insert(labels);
        if found.len() > limits::PROMQL_SERIES_MAX {
            return Err(Refusal {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                message: format!("more than {} series: select fewer", limits::PROMQL_SERIES_MAX),
            });
        }
        if index % TURN_SERIES == TURN_SERIES - 1 {
            reactor_turn().await;
        }
    }
    Ok(found.into_iter().collect())
}

/// Asks the cores that may have series of the leaves.
async fn ask(core: &Rc<Core>, leaves: Vec<Leaf>, wanted: Wanted) -> Result<Vec<PromAnswer>, Refusal> {
    let cores = core.cores();
    let owners: Vec<Option<usize>> =
        leaves.iter().map(|leaf| leaf.host().map(|(cluster, host)| core_of(cluster, host, cores))).collect();
    let values_max = core.query_values_max;
    let question = Arc::new(PromQuestion { leaves, wanted, values_max });
    let call = Call::new(core);
    for owner in 0..cores {
        if owners.iter().any(|of| of.is_none_or(|of| of == owner)) {
            call.want(owner, Work::Prometheus(Arc::clone(&question))).await;
        }
    }
    let mut answers = Vec::new();
    for (_, reply) in call.replies().await {
        let Reply::Prometheus(answer) = reply else { unreachable!("questions of PromQL are answered") };
        answers.push(*answer.map_err(|error| too_large(core, &error))?);
    }
    Ok(answers)
}

/// Owners refuse nothing but what is too large.
fn too_large(core: &Core, error: &PromError) -> Refusal {
    core.counters.queries_too_large.increment();
    refusal(error)
}

/// Writes the elements of a list; others get their turn in between.
async fn push_all<T>(out: &mut Vec<u8>, elements: &[T], push: fn(&mut Vec<u8>, &T)) {
    let mut turn_end = out.len() + TURN_BYTES;
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push(out, element);
        if out.len() >= turn_end {
            turn_end = out.len() + TURN_BYTES;
            reactor_turn().await;
        }
    }
}

fn push_list<'a>(out: &mut Vec<u8>, names: impl IntoIterator<Item = &'a str>) {
    out.push(b'[');
    for (index, name) in names.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_json_string(out, name);
    }
    out.push(b']');
}
