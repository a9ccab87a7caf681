//! Questions in PromQL, for Grafana and other clients of Prometheus; `docs/prometheus.md` says what is understood.
//!
//! In the order of a question: [`text`] makes it harmless for the foreign parser, and [`plan`] turns that parser's tree into an
//! [`expression`] and leaves (selectors, with the function and the aggregation right above them, for the times of a [`grid`]). Every
//! owner answers the leaves for its hosts ([`scan`], in steps between which ingest runs). The asking core puts the parts together
//! ([`gather`]), computes the expression ([`evaluate`], which calls what is named like its operations) and writes it ([`answer`]).
//! Series are known by [`labels`] and chosen by [`matcher`]; lists of them are made by [`listing`]; functions of ranges ([`over_time`]) are the same on both sides.

pub mod aggregate;
pub mod alternatives;
pub mod answer;
pub mod call;
pub mod dates;
pub mod evaluate;
pub mod expression;
pub mod gather;
pub mod grid;
pub mod histogram;
pub mod join;
pub mod labels;
pub mod listing;
pub mod matcher;
pub mod math;
pub mod number;
pub mod operator;
pub mod output;
pub mod over_time;
pub mod plan;
pub mod ranking;
pub mod rate;
pub mod reading;
pub mod relabel;
pub mod scan;
pub mod selector;
pub mod series;
pub mod statistics;
pub mod text;
pub mod value;
pub mod vocabulary;
pub mod window;
pub mod work;

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

    /// Series that cannot be told apart.
    pub(crate) fn same_labels(labels: &labels::Labels) -> Self {
        Self::Execution(format!("several series have the labels {labels} at the same time"))
    }

    /// An answer beyond a bound.
    pub(crate) fn too_large(max: u64, what: &str) -> Self {
        Self::Execution(format!(
            "more than {max} {what}: select fewer series, a shorter range, or larger steps"
        ))
    }
}
