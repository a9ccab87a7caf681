//! The asking core's side: the owners' parts put together, and the expression above the selectors computed.
//!
//! Other tasks of that core get their turn every so many points.

use std::collections::{BTreeMap, HashMap};

use futures_lite::future::yield_now;

use super::PromError;
use super::labels::{Label, LabelSet, Labels};
use super::plan::{Aggregate, Expression, Operator};
use super::scan::PromAnswer;
use crate::limits;

/// A series of an answer; a value that is missing is NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What it is called.
    pub labels: Labels,
    /// Time of its first value, in milliseconds since 1970.
    pub first_ms: i64,
    /// Between two values.
    pub period_ms: i64,
    /// Its values.
    pub values: Vec<f64>,
}

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number, the same at every step.
    Scalar(f64),
    /// Series, each with a value a step.
    Vector(Vec<Series>),
}

/// How much may be done before others get their turn.
#[derive(Debug)]
struct Turn {
    left: usize,
}

impl Turn {
    fn new() -> Self {
        Self { left: limits::PROMQL_POINTS_PER_TURN }
    }

    /// Counts a series of so many values; what is done for its labels weighs as much as some.
    async fn spend(&mut self, values: usize) {
        const LABELS: usize = 64;
        self.left = self.left.saturating_sub(values + LABELS);
        if self.left == 0 {
            *self = Self::new();
            yield_now().await;
        }
    }
}

/// Series on their way to become fewer.
#[derive(Debug, Default)]
pub struct Groups {
    aggregate: Option<(Aggregate, LabelSet)>,
    groups: HashMap<Labels, Group>,
}

#[derive(Debug)]
struct Group {
    /// Sum, least or largest.
    values: Vec<f64>,
    counts: Vec<u32>,
}

impl Groups {
    /// No series yet.
    #[must_use]
    pub fn new(aggregate: Option<(Aggregate, LabelSet)>) -> Self {
        Self { aggregate, groups: HashMap::new() }
    }

    /// Adds a series; returns whether it is the first of its group.
    pub fn add(&mut self, labels: &Labels, values: &[f64]) -> bool {
        let Some((aggregate, keep)) = self.aggregate else { return false };
        let before = self.groups.len();
        let group = self.groups.entry(labels.only(keep)).or_insert_with(|| Group::new(values.len()));
        for (index, &value) in values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            group.add(aggregate, index, value, 1);
        }
        self.groups.len() > before
    }

    /// Adds the groups of another core.
    async fn join(&mut self, other: Self, turn: &mut Turn) {
        let Some((aggregate, _)) = self.aggregate else { return };
        for (labels, theirs) in other.groups {
            turn.spend(theirs.values.len()).await;
            let group = self.groups.entry(labels).or_insert_with(|| Group::new(theirs.values.len()));
            for (index, (&value, &count)) in theirs.values.iter().zip(&theirs.counts).enumerate() {
                if count > 0 {
                    group.add(aggregate, index, value, count);
                }
            }
        }
    }

    /// A series a group.
    async fn into_series(self, first_ms: i64, period_ms: i64, turn: &mut Turn) -> Vec<Series> {
        let Some((aggregate, _)) = self.aggregate else { return Vec::new() };
        let finish = |value: f64, count: u32| match (aggregate, count) {
            (_, 0) => f64::NAN,
            (Aggregate::Avg, _) => value / f64::from(count),
            (Aggregate::Count, _) => f64::from(count),
            _ => value,
        };
        let mut series = Vec::with_capacity(self.groups.len());
        for (labels, Group { mut values, counts }) in self.groups {
            turn.spend(values.len()).await;
            for (value, &count) in values.iter_mut().zip(&counts) {
                *value = finish(*value, count);
            }
            series.push(Series { labels, first_ms, period_ms, values });
        }
        series
    }
}

impl Group {
    fn new(steps: usize) -> Self {
        Self { values: vec![0.0; steps], counts: vec![0; steps] }
    }

    fn add(&mut self, aggregate: Aggregate, index: usize, value: f64, count: u32) {
        let (sum, counted) = (&mut self.values[index], &mut self.counts[index]);
        *sum = match aggregate {
            Aggregate::Min if *counted > 0 => sum.min(value),
            Aggregate::Max if *counted > 0 => sum.max(value),
            Aggregate::Min | Aggregate::Max => value,
            Aggregate::Sum | Aggregate::Avg | Aggregate::Count => *sum + value,
        };
        *counted += count;
    }
}

/// The series of every leaf, from the answers of all cores; steps begin at `first_ms`.
///
/// # Errors
/// All cores together have too many series or points.
pub async fn gather(
    answers: Vec<PromAnswer>,
    first_ms: i64,
    period_ms: i64,
) -> Result<Vec<Vec<Series>>, PromError> {
    let mut turn = Turn::new();
    let mut answers = answers.into_iter();
    let Some(mut all) = answers.next() else { return Ok(Vec::new()) };
    for answer in answers {
        for (series, more) in all.series.iter_mut().zip(answer.series) {
            turn.spend(more.len()).await;
            series.extend(more);
        }
        for (groups, more) in all.groups.iter_mut().zip(answer.groups) {
            groups.join(more, &mut turn).await;
        }
    }
    let (mut leaves, mut points) = (Vec::new(), 0);
    for (mut series, groups) in all.series.into_iter().zip(all.groups) {
        series.extend(groups.into_series(first_ms, period_ms, &mut turn).await);
        points += series.iter().map(|series| series.values.len()).sum::<usize>();
        if points > limits::PROMQL_POINTS_MAX {
            return Err(PromError::too_large(limits::PROMQL_POINTS_MAX as u64, "points"));
        }
        if series.len() > limits::PROMQL_SERIES_MAX {
            return Err(PromError::too_large(limits::PROMQL_SERIES_MAX as u64, "series"));
        }
        leaves.push(series);
    }
    Ok(leaves)
}

/// Computes an expression; each leaf is used once. Series come in the order of their labels.
///
/// # Errors
/// Series that cannot be told apart.
pub async fn evaluate(expression: &Expression, leaves: &mut [Vec<Series>]) -> Result<Value, PromError> {
    let mut turn = Turn::new();
    let value = compute(expression, leaves, &mut turn).await?;
    let Value::Vector(series) = value else { return Ok(value) };
    let mut sorted = BTreeMap::new();
    for mut series in series {
        turn.spend(series.values.len()).await;
        if series.values.iter().all(|value| value.is_nan()) {
            continue;
        }
        let labels = std::mem::take(&mut series.labels);
        if sorted.contains_key(&labels) {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            return Err(PromError::Execution(format!("several series are called {{{}}}", labels.join(","))));
        }
        sorted.insert(labels, series);
    }
    let series = sorted.into_iter().map(|(labels, series)| Series { labels, ..series });
    Ok(Value::Vector(series.collect()))
}

async fn compute(
    expression: &Expression,
    leaves: &mut [Vec<Series>],
    turn: &mut Turn,
) -> Result<Value, PromError> {
    Ok(match expression {
        Expression::Number(number) => Value::Scalar(*number),
        Expression::Leaf(index) => Value::Vector(std::mem::take(&mut leaves[*index])),
        Expression::Negative(of) => match Box::pin(compute(of, leaves, turn)).await? {
            Value::Scalar(number) => Value::Scalar(-number),
            Value::Vector(series) => Value::Vector(nameless(series, |value| -value, turn).await),
        },
        Expression::Aggregate(aggregate, keep, of) => {
            let Value::Vector(series) = Box::pin(compute(of, leaves, turn)).await? else {
                return Err(PromError::BadData("an aggregation needs series, not a number".to_owned()));
            };
            let times = series.first().map_or((0, 1), |series| (series.first_ms, series.period_ms));
            let mut groups = Groups::new(Some((*aggregate, *keep)));
            for series in &series {
                turn.spend(series.values.len()).await;
                groups.add(&series.labels, &series.values);
            }
            Value::Vector(groups.into_series(times.0, times.1, turn).await)
        }
        Expression::Binary { operator, operands, is_bool } => {
            let [left, right] = &**operands;
            let left = Box::pin(compute(left, leaves, turn)).await?;
            let right = Box::pin(compute(right, leaves, turn)).await?;
            binary(*operator, *is_bool, left, right, turn).await?
        }
    })
}

async fn binary(
    operator: Operator,
    is_bool: bool,
    left: Value,
    right: Value,
    turn: &mut Turn,
) -> Result<Value, PromError> {
    let passes = operator.is_comparison() && !is_bool;
    Ok(match (left, right) {
        (Value::Scalar(_), Value::Scalar(_)) if passes => {
            return Err(PromError::BadData("comparisons of numbers need bool".to_owned()));
        }
        (Value::Scalar(a), Value::Scalar(b)) => Value::Scalar(apply(operator, a, b)),
        (Value::Vector(mut series), Value::Scalar(number)) if passes => {
            keep_if(&mut series, |value| apply(operator, value, number), turn).await;
            Value::Vector(series)
        }
        (Value::Scalar(number), Value::Vector(mut series)) if passes => {
            keep_if(&mut series, |value| apply(operator, number, value), turn).await;
            Value::Vector(series)
        }
        (Value::Vector(series), Value::Scalar(number)) => {
            Value::Vector(nameless(series, |value| apply(operator, value, number), turn).await)
        }
        (Value::Scalar(number), Value::Vector(series)) => {
            Value::Vector(nameless(series, |value| apply(operator, number, value), turn).await)
        }
        (Value::Vector(left), Value::Vector(right)) => {
            Value::Vector(pairwise(operator, passes, left, &right, turn).await?)
        }
    })
}

/// Pairs of series that have the same labels but for the name.
async fn pairwise(
    operator: Operator,
    passes: bool,
    left: Vec<Series>,
    right: &[Series],
    turn: &mut Turn,
) -> Result<Vec<Series>, PromError> {
    let unnamed = LabelSet::ALL.without(Label::Name);
    let ambiguous =
        || PromError::Execution("several series have the same labels but for their names".to_owned());
    let mut by_labels: HashMap<Labels, (&Series, bool)> = HashMap::with_capacity(right.len());
    for series in right {
        turn.spend(0).await;
        if by_labels.insert(series.labels.only(unnamed), (series, false)).is_some() {
            return Err(ambiguous());
        }
    }
    let mut result = Vec::new();
    for mut series in left {
        turn.spend(series.values.len()).await;
        let labels = series.labels.only(unnamed);
        let Some((other, is_used)) = by_labels.get_mut(&labels) else { continue };
        if std::mem::replace(is_used, true) {
            return Err(ambiguous());
        }
        for (value, &other) in series.values.iter_mut().zip(&other.values) {
            let found =
                if value.is_nan() || other.is_nan() { f64::NAN } else { apply(operator, *value, other) };
            *value = match (passes, found == 1.0) {
                (true, true) => *value,
                (true, false) => f64::NAN,
                (false, _) => found,
            };
        }
        if !passes {
            series.labels = labels;
        }
        result.push(series);
    }
    Ok(result)
}

/// Other values have another name, that is none.
async fn nameless(mut series: Vec<Series>, f: impl Fn(f64) -> f64, turn: &mut Turn) -> Vec<Series> {
    for series in &mut series {
        turn.spend(series.values.len()).await;
        series.labels.set(Label::Name, "");
        for value in series.values.iter_mut().filter(|value| !value.is_nan()) {
            *value = f(*value);
        }
    }
    series
}

async fn keep_if(series: &mut [Series], passes: impl Fn(f64) -> f64, turn: &mut Turn) {
    for series in series {
        turn.spend(series.values.len()).await;
        for value in series.values.iter_mut().filter(|value| passes(**value) != 1.0) {
            *value = f64::NAN;
        }
    }
}

fn apply(operator: Operator, a: f64, b: f64) -> f64 {
    let bool = |is: bool| f64::from(u8::from(is));
    match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Modulo => a % b,
        Operator::Power => a.powf(b),
        Operator::Equal => bool(a == b),
        Operator::NotEqual => bool(a != b),
        Operator::Greater => bool(a > b),
        Operator::Less => bool(a < b),
        Operator::GreaterOrEqual => bool(a >= b),
        Operator::LessOrEqual => bool(a <= b),
    }
}
