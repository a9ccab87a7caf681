//! `query`, `query_range`: questions in PromQL; and what is asked about questions.
//!
//! The owners answer for the selectors of a question ([`engine::promql::scan`]); here the expression above them is computed and written.

use std::rc::Rc;
use std::sync::Arc;

use engine::limits;
use engine::promql::PromError;
use engine::promql::answer::{push_matrix_element, push_point, push_vector_element};
use engine::promql::evaluate::{Series, Value, evaluate, gather};
use engine::promql::labels::Labels;
use engine::promql::plan::Plan;
use engine::promql::scan::Wanted;
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
    let plan = plan(core, parameters)?;
    parameters.duration_ms("timeout")?;
    let entries_max = parameters.entries_max()?;
    let end_ms = parameters.time_ms("time")?.unwrap_or_else(|| clock_seconds() * 1000);
    let wanted = if plan.is_range {
        Wanted::Samples { end_ms }
    } else {
        Wanted::Steps { start_ms: end_ms, step_ms: 1000, steps: 1 }
    };
    let value = compute(core, &plan, wanted, end_ms, 1000).await?;
    match value {
        Value::Scalar(number) => {
            out.push("{\"resultType\":\"scalar\",\"result\":");
            push_point(&mut out.open, end_ms, number);
        }
        Value::Vector(series) => {
            let (kind, push): (_, fn(&mut Vec<u8>, &Series)) =
                if plan.is_range { ("matrix", push_matrix_element) } else { ("vector", push_vector_element) };
            out.push(&format!("{{\"resultType\":\"{kind}\",\"result\":"));
            out.push_list(series, entries_max, push).await;
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
    let plan = plan(core, parameters)?;
    if plan.is_range {
        return Err(Refusal::bad_request("query_range takes no range selector without a function around it"));
    }
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
    match Plan::parse(text, &metrics) {
        Err(error @ PromError::BadData(_)) => Err(refusal(&error)),
        _ => Ok(text),
    }
}

fn plan(core: &Core, parameters: &Parameters) -> Result<Plan, Refusal> {
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
