//! From the text of a question to leaves, which owners answer, and the expression on top of them.
//!
//! The foreign parser's tree ends here: what it knows and this does not is refused by name.

use std::time::Duration;

use promql_parser::label::MatchOp;
use promql_parser::parser::token;
use promql_parser::parser::{self, LabelModifier, Offset, VectorMatchCardinality};

use super::PromError;
use super::labels::{Label, LabelSet, exposed_name};
use super::matcher::Matcher;
use super::text::Question;
use super::window::Function;
use crate::config::{MetricId, Metrics};
use crate::limits;

/// How series become one.
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
}

impl Leaf {
    /// All series there are.
    #[must_use]
    pub fn of_all(metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.iter().map(|(id, _)| id).collect(),
            matchers: Vec::new(),
            function: Function::Latest,
            range_ms: None,
            offset_ms: 0,
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
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
}

impl Operator {
    /// Whether it lets series pass, or not.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Greater
                | Self::Less
                | Self::GreaterOrEqual
                | Self::LessOrEqual
        )
    }
}

/// One selector, and what its owners can do with it before they answer.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The metrics that it means, in order.
    pub metrics: Vec<MetricId>,
    /// What the other labels must be.
    pub matchers: Vec<(Label, Matcher)>,
    /// What is computed at every step.
    pub function: Function,
    /// Over how many milliseconds; `None`: the look-back of each metric.
    pub range_ms: Option<i64>,
    /// By how much the selector looks back, or ahead.
    pub offset_ms: i64,
    /// An aggregation of all its series, by these labels.
    pub aggregate: Option<(Aggregate, LabelSet)>,
}

/// What the asking core computes.
#[derive(Clone, Debug)]
pub enum Expression {
    /// A number.
    Number(f64),
    /// The leaf of this index.
    Leaf(usize),
    /// `-…`
    Negative(Box<Expression>),
    /// An aggregation by labels.
    Aggregate(Aggregate, LabelSet, Box<Expression>),
    /// Two operands; `bool`: a comparison is 0 or 1.
    Binary {
        /// Between them.
        operator: Operator,
        /// Both.
        operands: Box<[Expression; 2]>,
        /// Whether a comparison answers 0 or 1 instead of letting pass.
        is_bool: bool,
    },
}

/// A question, understood.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is asked of owners.
    pub leaves: Vec<Leaf>,
    /// What is done with it.
    pub expression: Expression,
    /// The only leaf stands for its samples themselves: `metric[5m]`.
    pub is_range: bool,
}

impl Plan {
    /// Reads a question.
    ///
    /// # Errors
    /// [`PromError::BadData`] if it is not PromQL, [`PromError::Execution`] if it is more than is understood.
    pub fn parse(text: &str, metrics: &Metrics) -> Result<Self, PromError> {
        let question = Question::new(text)?;
        let parsed = parse(&question)?;
        let mut planner = Planner { metrics, question: &question, leaves: Vec::new() };
        let mut inner = &parsed;
        while let parser::Expr::Paren(paren) = inner {
            inner = &paren.expr;
        }
        let is_range = matches!(inner, parser::Expr::MatrixSelector(_));
        let expression = if let parser::Expr::MatrixSelector(matrix) = inner {
            planner.leaf(&matrix.vs, Function::Latest, Some(matrix.range))?
        } else {
            planner.expression(inner)?
        };
        Ok(Self { leaves: planner.leaves, expression, is_range })
    }

    /// Reads a selector alone, as in `match[]`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_selector(text: &str, metrics: &Metrics) -> Result<Leaf, PromError> {
        let question = Question::new(text)?;
        let parsed = parse(&question)?;
        let parser::Expr::VectorSelector(selector) = &parsed else {
            let quoted: String = text.chars().take(limits::ERROR_QUOTE_BYTES_MAX).collect();
            return Err(PromError::BadData(format!("a selector is expected, not {quoted}")));
        };
        let mut planner = Planner { metrics, question: &question, leaves: Vec::new() };
        planner.leaf(selector, Function::Latest, None)?;
        Ok(planner.leaves.pop().expect("made above"))
    }
}

/// The foreign parser's tree.
fn parse(question: &Question) -> Result<parser::Expr, PromError> {
    // A belt beside the braces of `text`: a panic would end the process. The parser keeps no state.
    std::panic::catch_unwind(|| parser::parse(&question.text))
        .map_err(|_| PromError::BadData(PARSER_FAILED.to_owned()))?
        .map_err(PromError::BadData)
}

/// What is said of a question that breaks the parser.
pub(super) const PARSER_FAILED: &str = "the question cannot be read";

fn milliseconds(duration: Duration) -> Option<i64> {
    i64::try_from(duration.as_millis()).ok().filter(|&ms| ms <= limits::TIME_SECONDS_MAX * 1000)
}

struct Planner<'a> {
    metrics: &'a Metrics,
    question: &'a Question,
    leaves: Vec<Leaf>,
}

impl Planner<'_> {
    fn expression(&mut self, parsed: &parser::Expr) -> Result<Expression, PromError> {
        use parser::Expr;
        match parsed {
            Expr::NumberLiteral(number) => Ok(Expression::Number(number.val)),
            Expr::Paren(paren) => self.expression(&paren.expr),
            Expr::Unary(unary) => Ok(Expression::Negative(Box::new(self.expression(&unary.expr)?))),
            Expr::VectorSelector(selector) => self.leaf(selector, Function::Latest, None),
            Expr::Call(call) => self.call(call),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
            Expr::MatrixSelector(_) => {
                Err(PromError::BadData("a range selector needs a function around it".to_owned()))
            }
            Expr::Subquery(_) => Err(PromError::unsupported("a subquery")),
            Expr::StringLiteral(_) => Err(PromError::unsupported("a string")),
            Expr::Extension(_) => Err(PromError::unsupported("this expression")),
        }
    }

    fn label(&self, name: &str) -> Option<Label> {
        Label::of_name(&self.question.literal(name).value)
    }

    fn call(&mut self, call: &parser::Call) -> Result<Expression, PromError> {
        let name = call.func.name;
        let function = Function::of_name(name)
            .ok_or_else(|| PromError::unsupported(format_args!("the function {name}")))?;
        match call.args.args.iter().map(|argument| &**argument).collect::<Vec<_>>()[..] {
            [parser::Expr::MatrixSelector(matrix)] => self.leaf(&matrix.vs, function, Some(matrix.range)),
            _ => Err(PromError::unsupported(format_args!("{name} of anything but a range selector"))),
        }
    }

    fn aggregate(&mut self, parsed: &parser::AggregateExpr) -> Result<Expression, PromError> {
        let aggregate = match parsed.op.id() {
            token::T_SUM => Aggregate::Sum,
            token::T_AVG => Aggregate::Avg,
            token::T_MIN => Aggregate::Min,
            token::T_MAX => Aggregate::Max,
            token::T_COUNT => Aggregate::Count,
            _ => return Err(PromError::unsupported(format_args!("the aggregation {}", parsed.op))),
        };
        let labels = match &parsed.modifier {
            None => LabelSet::default(),
            Some(LabelModifier::Include(names)) => {
                let labels = names.labels.iter().filter_map(|name| self.label(name));
                labels.fold(LabelSet::default(), LabelSet::with)
            }
            Some(LabelModifier::Exclude(names)) => {
                let labels = names.labels.iter().filter_map(|name| self.label(name));
                labels.fold(LabelSet::ALL.without(Label::Name), LabelSet::without)
            }
        };
        let of = self.expression(&parsed.expr)?;
        // Right above a leaf, its owners aggregate.
        if let Expression::Leaf(index) = of
            && self.leaves[index].aggregate.is_none()
        {
            self.leaves[index].aggregate = Some((aggregate, labels));
            return Ok(of);
        }
        Ok(Expression::Aggregate(aggregate, labels, Box::new(of)))
    }

    fn binary(&mut self, parsed: &parser::BinaryExpr) -> Result<Expression, PromError> {
        let operator = match parsed.op.id() {
            token::T_ADD => Operator::Add,
            token::T_SUB => Operator::Subtract,
            token::T_MUL => Operator::Multiply,
            token::T_DIV => Operator::Divide,
            token::T_MOD => Operator::Modulo,
            token::T_POW => Operator::Power,
            token::T_EQLC => Operator::Equal,
            token::T_NEQ => Operator::NotEqual,
            token::T_GTR => Operator::Greater,
            token::T_LSS => Operator::Less,
            token::T_GTE => Operator::GreaterOrEqual,
            token::T_LTE => Operator::LessOrEqual,
            _ => return Err(PromError::unsupported(format_args!("the operator {}", parsed.op))),
        };
        let mut is_bool = false;
        if let Some(modifier) = &parsed.modifier {
            if modifier.matching.is_some()
                || modifier.card != VectorMatchCardinality::OneToOne
                || modifier.fill_values != parser::VectorMatchFillValues::default()
            {
                return Err(PromError::unsupported("on, ignoring, group_left, group_right or fill"));
            }
            is_bool = modifier.return_bool;
        }
        let operands = Box::new([self.expression(&parsed.lhs)?, self.expression(&parsed.rhs)?]);
        Ok(Expression::Binary { operator, operands, is_bool })
    }

    fn leaf(
        &mut self,
        selector: &parser::VectorSelector,
        function: Function,
        range: Option<Duration>,
    ) -> Result<Expression, PromError> {
        if selector.at.is_some() {
            return Err(PromError::unsupported("@"));
        }
        if !selector.matchers.or_matchers.is_empty() {
            return Err(PromError::unsupported("or between matchers"));
        }
        let out_of_range = || PromError::BadData("a range or offset is too long".to_owned());
        let range_ms = range.map(|range| milliseconds(range).filter(|&ms| ms > 0).ok_or_else(out_of_range));
        let offset_ms = match &selector.offset {
            None => 0,
            Some(Offset::Pos(offset)) => milliseconds(*offset).ok_or_else(out_of_range)?,
            Some(Offset::Neg(offset)) => -milliseconds(*offset).ok_or_else(out_of_range)?,
        };
        let (mut names, mut matchers) = (Vec::new(), Vec::new());
        if let Some(name) = &selector.name {
            names.push(self.matcher(name)?);
        }
        let (mut is_impossible, mut is_for_all) = (false, names.is_empty());
        for matcher in &selector.matchers.matchers {
            let label = self.label(&matcher.name);
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
        self.leaves.push(Leaf {
            metrics: metrics.map(|(id, _)| id).collect(),
            matchers,
            function,
            range_ms: range_ms.transpose()?,
            offset_ms,
            aggregate: None,
        });
        Ok(Expression::Leaf(self.leaves.len() - 1))
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
}
