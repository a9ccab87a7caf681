//! Selectors of a question as leaves: what they mean, and for which times.

use std::time::{Duration, SystemTime};

use promql_parser::label::MatchOp;
use promql_parser::parser::{self, AtModifier, Offset};

use super::PromError;
use super::expression::{Aggregate, Leaf, LeafFunction};
use super::grid::Grid;
use super::labels::{Grouping, Label, Labels, exposed_name};
use super::matcher::Matcher;
use super::text::Question;
use crate::config::Metrics;
use crate::limits;

/// The selectors of one question.
#[derive(Debug)]
pub struct Selectors<'a> {
    metrics: &'a Metrics,
    question: &'a Question,
    /// From when to when the question asks: what `@ start()` and `@ end()` mean, in milliseconds since 1970.
    pub asked: (i64, i64),
    /// Those so far.
    pub leaves: Vec<Leaf>,
}

/// A range or step, in milliseconds.
///
/// # Errors
/// It is shorter than one, or too long.
pub fn milliseconds(duration: Duration) -> Result<i64, PromError> {
    let ms = i64::try_from(duration.as_millis()).ok();
    ms.filter(|ms| (1..=limits::TIME_SECONDS_MAX * 1000).contains(ms)).ok_or_else(|| {
        PromError::BadData("a range, step or offset is no time above zero, or too long".to_owned())
    })
}

/// The times that a selector looks at when it is computed at those of a grid.
///
/// # Errors
/// An offset or a time is too far away.
pub fn resolved(
    grid: Grid,
    asked: (i64, i64),
    at: Option<&AtModifier>,
    offset: Option<&Offset>,
) -> Result<Grid, PromError> {
    let grid = match at {
        None => grid,
        Some(AtModifier::Start) => grid.fixed(asked.0),
        Some(AtModifier::End) => grid.fixed(asked.1),
        Some(AtModifier::At(time)) => {
            let ms = |duration: Duration| i64::try_from(duration.as_millis()).ok();
            let time_ms = match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => ms(after),
                Err(before) => ms(before.duration()).map(|ms| -ms),
            };
            let time_ms = time_ms.filter(|ms| ms.abs() <= limits::TIME_SECONDS_MAX * 1000);
            grid.fixed(
                time_ms.ok_or_else(|| PromError::BadData("the time behind @ is too far away".to_owned()))?,
            )
        }
    };
    Ok(match offset {
        None => grid,
        Some(Offset::Pos(offset)) => grid.later(-milliseconds(*offset)?),
        Some(Offset::Neg(offset)) => grid.later(milliseconds(*offset)?),
    })
}

impl<'a> Selectors<'a> {
    /// None yet.
    #[must_use]
    pub fn new(metrics: &'a Metrics, question: &'a Question, asked: (i64, i64)) -> Self {
        Self { metrics, question, asked, leaves: Vec::new() }
    }

    /// What a name or string of the parsed text stands for.
    #[must_use]
    pub fn text(&self, value: &str) -> String {
        self.question.literal(value).value
    }

    /// Takes a leaf; returns its index.
    pub fn add(&mut self, leaf: Leaf) -> usize {
        self.leaves.push(leaf);
        self.leaves.len() - 1
    }

    /// Lets the owners of a leaf aggregate; returns whether they can.
    pub fn aggregate(&mut self, index: usize, aggregate: Aggregate, grouping: &Grouping) -> bool {
        let leaf = &mut self.leaves[index];
        let can = leaf.aggregate.is_none() && !matches!(leaf.function, LeafFunction::Samples(_));
        if can {
            leaf.aggregate = Some((aggregate, grouping.clone()));
        }
        can
    }

    /// A selector that is computed at the times of a grid.
    ///
    /// # Errors
    /// It means everything, or something that is not understood.
    pub fn leaf(
        &self,
        selector: &parser::VectorSelector,
        grid: Grid,
        function: LeafFunction,
    ) -> Result<Leaf, PromError> {
        if !selector.matchers.or_matchers.is_empty() {
            return Err(PromError::unsupported("or between matchers"));
        }
        let grid = resolved(grid, self.asked, selector.at.as_ref(), selector.offset.as_ref())?;
        let (mut names, mut matchers) = (Vec::new(), Vec::new());
        if let Some(name) = &selector.name {
            names.push(self.matcher(name)?);
        }
        let (mut is_impossible, mut is_for_all) = (false, names.is_empty());
        for matcher in &selector.matchers.matchers {
            let label = Label::of_name(&self.text(&matcher.name));
            if matcher.op != MatchOp::Equal {
                // All others are read before the parser.
                return Err(PromError::unsupported("this operator"));
            }
            let matcher = self.matcher(&matcher.value)?;
            is_for_all &= matcher.is_match("");
            match label {
                Some(Label::Name) => names.push(matcher),
                Some(label) => matchers.push((label, matcher)),
                // A label that no series has is empty everywhere.
                None => is_impossible |= !matcher.is_match(""),
            }
        }
        if is_for_all {
            let what = "a selector must name a metric, or a label that is not empty";
            return Err(PromError::BadData(what.to_owned()));
        }
        let is_meant = |name: &str| names.iter().all(|matcher| matcher.is_match(&exposed_name(name)));
        let metrics = self.metrics.iter().filter(|(_, metric)| !is_impossible && is_meant(&metric.name));
        Ok(Leaf { metrics: metrics.map(|(id, _)| id).collect(), matchers, grid, function, aggregate: None })
    }

    /// What a value must be: it knows the operator before it.
    fn matcher(&self, value: &str) -> Result<Matcher, PromError> {
        let literal = self.question.literal(value);
        Ok(match (literal.is_pattern, literal.is_negated) {
            (true, is_negated) => Matcher::pattern(&literal.value, is_negated)?,
            (false, false) => Matcher::Equal(literal.value.into()),
            (false, true) => Matcher::NotEqual(literal.value.into()),
        })
    }

    /// The labels that a selector gives what it does not find: those that it demands by `=`, once each.
    #[must_use]
    pub fn labels_of_absent(&self, parsed: &parser::Expr) -> Labels {
        let mut labels = Labels::default();
        let selector = match parsed {
            parser::Expr::VectorSelector(selector) => selector,
            parser::Expr::MatrixSelector(matrix) => &matrix.vs,
            _ => return labels,
        };
        let mut seen: Vec<String> = Vec::new();
        for matcher in &selector.matchers.matchers {
            let (name, value) = (self.text(&matcher.name), self.question.literal(&matcher.value));
            if name == Label::Name.name() {
                continue;
            }
            let is_kept = !value.is_pattern && !value.is_negated && !seen.contains(&name);
            labels.set_named(&name, if is_kept { &value.value } else { "" });
            if is_kept {
                seen.push(name);
            }
        }
        labels
    }
}
