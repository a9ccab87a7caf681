//! A question, understood: what its selectors ask of owners, and what is computed with the answers.

use super::grid::Grid;
use super::labels::{Grouping, Label, Labels};
use super::matcher::Matcher;
use super::over_time::RangeFunction;
use crate::config::{MetricId, Metrics};

/// How series become one, by owners already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `count`
    Count,
    /// `group`
    Group,
}

/// What needs all series of a group at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    /// `topk`
    Largest,
    /// `bottomk`
    Smallest,
    /// `quantile`
    Quantile,
    /// `stddev`
    Deviation,
    /// `stdvar`
    Variance,
}

/// What stands between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    And,
    Or,
    Unless,
}

/// What a selector's owners compute at every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LeafFunction {
    /// The last value, if it is no older than the look-back.
    Latest,
    /// The time of that value.
    Timestamp,
    /// A function of the samples in a range of so many milliseconds, with its parameters.
    OverTime(RangeFunction, [f64; 2], i64),
    /// The samples themselves, from so many milliseconds before the first time to the last one.
    Samples(i64),
}

impl LeafFunction {
    /// Whether the series are still called as the metric.
    #[must_use]
    pub fn keeps_name(self) -> bool {
        matches!(self, Self::Latest | Self::Samples(_) | Self::OverTime(RangeFunction::Last, ..))
    }
}

/// One selector, and what its owners can do with it before they answer.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The metrics that it means, in order.
    pub metrics: Vec<MetricId>,
    /// What the other labels must be.
    pub matchers: Vec<(Label, Matcher)>,
    /// The times that it is computed for, `offset` and `@` included.
    pub grid: Grid,
    /// What is computed at every step.
    pub function: LeafFunction,
    /// An aggregation of all its series, by these labels.
    pub aggregate: Option<(Aggregate, Grouping)>,
}

impl Leaf {
    /// All series there are.
    #[must_use]
    pub fn of_all(metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.iter().map(|(id, _)| id).collect(),
            matchers: Vec::new(),
            grid: Grid::instant(0),
            function: LeafFunction::Latest,
            aggregate: None,
        }
    }

    /// Cluster and host, if it names one of each: then its owner alone need be asked.
    #[must_use]
    pub fn host(&self) -> Option<(&str, &str)> {
        let exact = |wanted: Label| {
            self.matchers.iter().find_map(|(label, matcher)| match matcher {
                Matcher::Equal(value) if *label == wanted => Some(&**value),
                _ => None,
            })
        };
        Some((exact(Label::Cluster)?, exact(Label::Host)?))
    }
}

/// Which side of a match may have several series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// None.
    #[default]
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

/// Which series of two operands meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    /// The labels that must be the same.
    pub grouping: Grouping,
    /// Whether a series may meet several.
    pub cardinality: Cardinality,
    /// Labels that `group_left` or `group_right` take from the other side.
    pub included: Vec<Box<str>>,
}

/// Two operands.
#[derive(Clone, Debug)]
pub struct Binary {
    /// Between them.
    pub operator: Operator,
    /// Both.
    pub operands: [Expression; 2],
    /// Whether a comparison answers 0 or 1 instead of letting pass.
    pub is_bool: bool,
    /// Of series with series.
    pub matching: Matching,
}

/// Functions of numbers or series at one time.
#[derive(Clone, Debug)]
pub enum Function {
    /// Of each value by itself: `abs`, `hour`, …
    Each(fn(f64) -> f64),
    /// `round`, of values and a number
    Round,
    /// `clamp`, of values and two numbers
    Clamp,
    /// `clamp_min`
    ClampMin,
    /// `clamp_max`
    ClampMax,
    /// `absent`, and the labels of its answer
    Absent(Labels),
    /// `sort`
    Sort,
    /// `sort_desc`
    SortDescending,
    /// `scalar`
    Scalar,
    /// `vector`
    Vector,
    /// `time`
    Time,
    /// `timestamp` of anything but a selector
    Timestamp,
    /// `label_replace`
    LabelReplace,
    /// `label_join`
    LabelJoin,
    /// `histogram_quantile`
    HistogramQuantile,
}

/// Where the samples of a range come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The leaf of this index.
    Leaf(usize),
    /// An expression, computed at these times.
    Subquery(Box<Expression>, Grid),
}

/// A function of ranges that the asking core computes.
#[derive(Clone, Debug)]
pub struct OverTime {
    /// Which.
    pub function: RangeFunction,
    /// Its parameters, numbers.
    pub parameters: Vec<Expression>,
    /// The samples.
    pub source: Source,
    /// The ends of the ranges.
    pub ends: Grid,
    /// How long they are.
    pub range_ms: i64,
}

/// What the asking core computes.
#[derive(Clone, Debug)]
pub enum Expression {
    /// A number.
    Number(f64),
    /// A string.
    Text(Box<str>),
    /// The leaf of this index.
    Leaf(usize),
    /// `-…`
    Negative(Box<Expression>),
    /// An aggregation that needs one series at a time.
    Aggregate(Aggregate, Grouping, Box<Expression>),
    /// One that needs all of a group: with its parameter.
    Ranking(Ranking, Grouping, Box<[Expression; 2]>),
    /// `count_values`, and the label that tells the value.
    CountValues(Box<str>, Grouping, Box<Expression>),
    /// Two operands.
    Binary(Box<Binary>),
    /// A function.
    Call(Function, Vec<Expression>),
    /// A function of ranges.
    OverTime(Box<OverTime>),
    /// A range, which stands alone.
    Samples(Source),
}

impl Expression {
    /// Its number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}
