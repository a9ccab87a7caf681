//! The question to the cores that own hosts, and their answers.

use std::rc::Rc;
use std::sync::Arc;

use engine::promql::PromError;
use engine::promql::expression::Leaf;
use engine::promql::scan::{PromAnswer, PromQuestion, Wanted};
use engine::series::route::core_of;

use super::parameters::refusal;
use crate::api::Refusal;
use crate::core::Core;
use crate::core::calls::Call;
use crate::core::event::{Reply, Work};

/// Asks the cores that may have series of the leaves.
pub(super) async fn ask(
    core: &Rc<Core>,
    leaves: Vec<Leaf>,
    wanted: Wanted,
) -> Result<Vec<PromAnswer>, Refusal> {
    let cores = core.cores();
    let owners: Vec<Option<usize>> =
        leaves.iter().map(|leaf| leaf.host().map(|(cluster, host)| core_of(cluster, host, cores))).collect();
    let values_max = core.query_values_max;
    let question = Arc::new(PromQuestion { leaves, wanted, values_max });
    let call = Call::new(core);
    for owner in 0..cores {
        if owners.iter().any(|of| of.is_none_or(|of| of == owner)) {
            call.ask(owner, Work::Prometheus(Arc::clone(&question))).await;
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
pub(super) fn too_large(core: &Core, error: &PromError) -> Refusal {
    core.counters.queries_too_large.increment();
    refusal(error)
}
