//! Questions in PromQL, for Grafana and other clients of Prometheus; `docs/prometheus.md` says what is understood.
//!
//! In the order of a question: [`text`] makes it harmless, [`plan`] reads it and cuts it into leaves (selectors, with the function and
//! the aggregation right above them), which every owner answers for its hosts ([`scan`], with [`window`], in steps between which ingest
//! runs), and the expression on top, which the asking core computes ([`evaluate`]) and writes ([`answer`]). Series are known by
//! [`labels`], and chosen by [`matcher`]; lists of them are made by [`listing`].

pub mod answer;
pub mod evaluate;
pub mod labels;
pub mod listing;
pub mod matcher;
pub mod plan;
pub mod scan;
pub mod text;
pub mod window;

#[cfg(test)]
mod tests;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromError {
    /// The question itself is wrong.
    #[error("{0}")]
    BadData(String),
    /// It is a question, but not one that is answered here.
    #[error("{0}")]
    Execution(String),
}

impl PromError {
    /// Something that PromQL has and this does not.
    pub(crate) fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::Execution(format!("{what} is not supported; see docs/prometheus.md"))
    }

    /// An answer beyond a bound.
    pub(crate) fn too_large(max: u64, what: &str) -> Self {
        Self::Execution(format!(
            "more than {max} {what}: select fewer series, a shorter range, or larger steps"
        ))
    }
}
