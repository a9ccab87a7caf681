//! The words of PromQL, and what they mean here.

use promql_parser::parser::token::{self, TokenId};

use super::dates;
use super::expression::{Aggregate, Function, Operator, Ranking};
use super::math;

/// How an aggregation is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// One series after the other.
    Simple(Aggregate),
    /// Of all series of a group at once.
    Ranking(Ranking),
    /// `count_values`
    CountValues,
}

/// What stands between two operands.
#[must_use]
pub fn operator(id: TokenId) -> Option<Operator> {
    Some(match id {
        token::T_ADD => Operator::Add,
        token::T_SUB => Operator::Subtract,
        token::T_MUL => Operator::Multiply,
        token::T_DIV => Operator::Divide,
        token::T_MOD => Operator::Modulo,
        token::T_POW => Operator::Power,
        token::T_ATAN2 => Operator::Atan2,
        token::T_EQLC => Operator::Equal,
        token::T_NEQ => Operator::NotEqual,
        token::T_GTR => Operator::Greater,
        token::T_LSS => Operator::Less,
        token::T_GTE => Operator::GreaterOrEqual,
        token::T_LTE => Operator::LessOrEqual,
        token::T_LAND => Operator::And,
        token::T_LOR => Operator::Or,
        token::T_LUNLESS => Operator::Unless,
        _ => return None,
    })
}

/// How series become fewer.
#[must_use]
pub fn aggregation(id: TokenId) -> Option<Aggregation> {
    Some(match id {
        token::T_SUM => Aggregation::Simple(Aggregate::Sum),
        token::T_AVG => Aggregation::Simple(Aggregate::Avg),
        token::T_MIN => Aggregation::Simple(Aggregate::Min),
        token::T_MAX => Aggregation::Simple(Aggregate::Max),
        token::T_COUNT => Aggregation::Simple(Aggregate::Count),
        token::T_GROUP => Aggregation::Simple(Aggregate::Group),
        token::T_TOPK => Aggregation::Ranking(Ranking::Largest),
        token::T_BOTTOMK => Aggregation::Ranking(Ranking::Smallest),
        token::T_QUANTILE => Aggregation::Ranking(Ranking::Quantile),
        token::T_STDDEV => Aggregation::Ranking(Ranking::Deviation),
        token::T_STDVAR => Aggregation::Ranking(Ranking::Variance),
        token::T_COUNT_VALUES => Aggregation::CountValues,
        _ => return None,
    })
}

/// A function of values that are there; `absent` and functions of ranges are none.
#[must_use]
pub fn function(name: &str) -> Option<Function> {
    if let Some(each) = math::of_name(name).or_else(|| dates::part_of_name(name)) {
        return Some(Function::Each(each));
    }
    Some(match name {
        "round" => Function::Round,
        "clamp" => Function::Clamp,
        "clamp_min" => Function::ClampMin,
        "clamp_max" => Function::ClampMax,
        "sort" => Function::Sort,
        "sort_desc" => Function::SortDescending,
        "scalar" => Function::Scalar,
        "vector" => Function::Vector,
        "time" => Function::Time,
        "timestamp" => Function::Timestamp,
        "label_replace" => Function::LabelReplace,
        "label_join" => Function::LabelJoin,
        "histogram_quantile" => Function::HistogramQuantile,
        _ => return None,
    })
}
