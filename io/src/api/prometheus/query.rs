//! `query`, `query_range`: questions in PromQL; and what is asked about questions.
//!
//! The owners answer for the selectors of a question ([`engine::promql::scan`]); here the expression above them is computed and written.

use std::rc::Rc;
use std::sync::Arc;

use engine::limits;
use engine::promql::PromError;
use engine::promql::answer::{push_matrix_element, push_point, push_text, push_vector_element};
use engine::promql::evaluate::evaluate;
use engine::promql::gather::gather;
use engine::promql::grid::Grid;
use engine::promql::labels::Labels;
use engine::promql::plan::{Kind, Plan};
use engine::promql::scan::Wanted;
use engine::promql::series::Series;
use engine::promql::value::Value;
use engine::promql::work::Work as PromWork;
use engine::query::request::push_json_string;

use super::owners::{ask, too_large};
use super::parameters::{Parameters, refusal};
use super::text::AnswerText;
use crate::api::Refusal;
use crate::core::{Core, clock_seconds};

/// Answers `query`.
pub(super) async fn query(
    core: &Rc<Core>,
    parameters: &Parameters,
    out: &mut AnswerText,
) -> Result<(), Refusal> {
    parameters.duration_ms("timeout")?;
    let entries_max = parameters.entries_max()?;
    let time_ms = parameters.time_ms("time")?.unwrap_or_else(|| clock_seconds() * 1000);
    let plan = plan(core, parameters, Grid::instant(time_ms), time_ms)?;
    let begin = |out: &mut AnswerText, kind: &str| {
        out.push(&format!("{{\"resultType\":\"{kind}\",\"result\":"));
    };
    match compute(core, plan).await? {
        Value::Scalar(numbers) => {
            begin(out, "scalar");
            push_point(&mut out.open, time_ms, numbers.first().copied().unwrap_or(f64::NAN));
        }
        Value::Text(text) => {
            begin(out, "string");
            push_text(&mut out.open, time_ms, &text);
        }
        Value::Vector(series) => {
            begin(out, "vector");
            out.push_list(series, entries_max, push_vector_element).await;
        }
        Value::Samples(series) => {
            begin(out, "matrix");
            out.push_list(series, entries_max, push_matrix_element).await;
        }
    }
    out.push("}");
    Ok(())
}

/// Answers `query_range`.
pub(super) async fn query_range(
    core: &Rc<Core>,
    parameters: &Parameters,
    out: &mut AnswerText,
) -> Result<(), Refusal> {
    parameters.duration_ms("timeout")?;
    let entries_max = parameters.entries_max()?;
    let (start_ms, end_ms) = (parameters.needed_time_ms("start")?, parameters.needed_time_ms("end")?);
    let text = parameters.needed("step")?;
    let step_ms = parameters.duration_ms("step")?.filter(|&ms| ms > 0);
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
    let plan = plan(core, parameters, Grid { start_ms, step_ms, steps }, end_ms)?;
    if matches!(plan.kind, Kind::Samples | Kind::Text) {
        return Err(Refusal::bad_request("query_range takes series or a number, no range and no string"));
    }
    let series = match compute(core, plan).await? {
        Value::Vector(series) | Value::Samples(series) => series,
        Value::Scalar(values) => {
            vec![Series { labels: Labels::default(), first_ms: start_ms, period_ms: step_ms, values }]
        }
        Value::Text(_) => Vec::new(),
    };
    out.push("{\"resultType\":\"matrix\",\"result\":");
    out.push_list(series, entries_max, push_matrix_element).await;
    out.push("}");
    Ok(())
}

/// Answers `query_exemplars`: samples of this daemon have none.
pub(super) fn exemplars(core: &Core, parameters: &Parameters, out: &mut AnswerText) -> Result<(), Refusal> {
    if let (Some(start), Some(end)) = (parameters.time_ms("start")?, parameters.time_ms("end")?)
        && end < start
    {
        return Err(Refusal::bad_request("the end is before the start"));
    }
    check(core, parameters)?;
    out.push("[]");
    Ok(())
}

/// Answers `format_query`: the question as it is, if it is one.
pub(super) fn format(core: &Core, parameters: &Parameters, out: &mut AnswerText) -> Result<(), Refusal> {
    let text = check(core, parameters)?;
    push_json_string(&mut out.open, text.trim());
    Ok(())
}

/// The text of the question, if it is one, here or for Prometheus.
fn check<'a>(core: &Core, parameters: &'a Parameters) -> Result<&'a str, Refusal> {
    let text = parameters.needed("query")?;
    let metrics = Arc::clone(core.router.borrow().metrics());
    match Plan::parse(text, &metrics, Grid::instant(0), 0) {
        Err(error @ PromError::BadData(_)) => Err(refusal(&error)),
        _ => Ok(text),
    }
}

fn plan(core: &Core, parameters: &Parameters, grid: Grid, end_ms: i64) -> Result<Plan, Refusal> {
    let metrics = Arc::clone(core.router.borrow().metrics());
    Plan::parse(parameters.needed("query")?, &metrics, grid, end_ms).map_err(|error| refusal(&error))
}

async fn compute(core: &Rc<Core>, plan: Plan) -> Result<Value, Refusal> {
    let Plan { leaves, expression, grid, .. } = plan;
    let answers = ask(core, leaves, Wanted::Values).await?;
    let mut work = PromWork::new(core.query_values_max);
    let leaves = gather(answers, &mut work).await.map_err(|error| too_large(core, &error))?;
    evaluate(&expression, grid, leaves, &mut work).await.map_err(|error| refusal(&error))
}
