//! From the text of a question to leaves, which owners answer, and the expression on top of them.
//!
//! The foreign parser's tree ends here: what it knows and this does not is refused by name.

use promql_parser::parser::{self, LabelModifier, VectorMatchCardinality};

use super::PromError;
use super::dates;
use super::expression::{
    Aggregate, Binary, Cardinality, Expression, Function, Leaf, LeafFunction, Matching, OverTime, Source,
};
use super::grid::Grid;
use super::labels::{Grouping, is_label_name};
use super::over_time::RangeFunction;
use super::selector::{Selectors, milliseconds, resolved};
use super::text::Question;
use super::vocabulary::{Aggregation, aggregation, function, operator};
use crate::config::Metrics;
use crate::limits;

/// What a question comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number.
    Scalar,
    /// Series with a value at each time.
    Vector,
    /// The samples of a range.
    Samples,
    /// A string.
    Text,
}

/// A question, understood.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is asked of owners.
    pub leaves: Vec<Leaf>,
    /// What is done with it.
    pub expression: Expression,
    /// The times that it is asked for.
    pub grid: Grid,
    /// What it comes to.
    pub kind: Kind,
}

impl Plan {
    /// Reads a question that is asked for the times of a grid; `@ end()` means another time where the last step is before the end.
    ///
    /// # Errors
    /// [`PromError::BadData`] if it is not PromQL, [`PromError::Execution`] if it is more than is understood.
    pub fn parse(text: &str, metrics: &Metrics, grid: Grid, end_ms: i64) -> Result<Self, PromError> {
        let question = Question::new(text)?;
        let parsed = parse(&question)?;
        let mut planner = Planner { selectors: Selectors::new(metrics, &question, (grid.start_ms, end_ms)) };
        let inner = unwrapped(&parsed);
        let expression = match inner {
            parser::Expr::MatrixSelector(_) | parser::Expr::Subquery(_) => {
                Expression::Samples(planner.source(inner, grid)?.source)
            }
            _ => planner.expression(inner, grid)?,
        };
        let kind = match inner.value_type() {
            parser::value::ValueType::Scalar => Kind::Scalar,
            parser::value::ValueType::Vector => Kind::Vector,
            parser::value::ValueType::Matrix => Kind::Samples,
            parser::value::ValueType::String => Kind::Text,
        };
        Ok(Self { leaves: planner.selectors.leaves, expression, grid, kind })
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
        Selectors::new(metrics, &question, (0, 0)).leaf(selector, Grid::instant(0), LeafFunction::Latest)
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

fn unwrapped(mut parsed: &parser::Expr) -> &parser::Expr {
    while let parser::Expr::Paren(paren) = parsed {
        parsed = &paren.expr;
    }
    parsed
}

/// A range: its samples, where it ends at each step, and how long it is.
struct Range {
    source: Source,
    ends: Grid,
    range_ms: i64,
}

struct Planner<'a> {
    selectors: Selectors<'a>,
}

impl Planner<'_> {
    fn expression(&mut self, parsed: &parser::Expr, grid: Grid) -> Result<Expression, PromError> {
        use parser::Expr;
        match parsed {
            Expr::NumberLiteral(number) => Ok(Expression::Number(number.val)),
            Expr::StringLiteral(string) => Ok(Expression::Text(self.selectors.text(&string.val).into())),
            Expr::Paren(paren) => self.expression(&paren.expr, grid),
            Expr::Unary(unary) => Ok(match self.expression(&unary.expr, grid)? {
                Expression::Number(number) => Expression::Number(-number),
                of => Expression::Negative(Box::new(of)),
            }),
            Expr::VectorSelector(selector) => {
                let leaf = self.selectors.leaf(selector, grid, LeafFunction::Latest)?;
                Ok(Expression::Leaf(self.selectors.add(leaf)))
            }
            Expr::Call(call) => self.call(call, grid),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, grid),
            Expr::Binary(binary) => self.binary(binary, grid),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => {
                Err(PromError::BadData("a range needs a function around it".to_owned()))
            }
            Expr::Extension(_) => Err(PromError::unsupported("this expression")),
        }
    }

    fn expressions<'b>(
        &mut self,
        parsed: impl IntoIterator<Item = &'b parser::Expr>,
        grid: Grid,
    ) -> Result<Vec<Expression>, PromError> {
        parsed.into_iter().map(|parsed| self.expression(parsed, grid)).collect()
    }

    fn call(&mut self, call: &parser::Call, grid: Grid) -> Result<Expression, PromError> {
        let name = call.func.name;
        let arguments: Vec<&parser::Expr> =
            call.args.args.iter().map(|argument| unwrapped(argument)).collect();
        if let Some(function) = RangeFunction::of_name(name) {
            return self.over_time(function, &arguments, grid);
        }
        if name == "absent_over_time" {
            return self.absent_over_time(&arguments, grid);
        }
        if let (Some(part), []) = (dates::part_of_name(name), &arguments[..]) {
            let now = Expression::Call(Function::Time, Vec::new());
            return Ok(Expression::Call(
                Function::Each(part),
                vec![Expression::Call(Function::Vector, vec![now])],
            ));
        }
        if let ("timestamp", [parser::Expr::VectorSelector(selector)]) = (name, &arguments[..]) {
            let leaf = self.selectors.leaf(selector, grid, LeafFunction::Timestamp)?;
            return Ok(Expression::Leaf(self.selectors.add(leaf)));
        }
        let mut of = self.expressions(arguments.iter().copied(), grid)?;
        let function = match (name, &of[..]) {
            ("pi", _) => return Ok(Expression::Number(std::f64::consts::PI)),
            ("absent", _) => {
                // Of a selector, its owners need not say more than that there is something.
                if let [Expression::Leaf(index)] = of[..] {
                    self.selectors.aggregate(index, Aggregate::Group, &Grouping::default());
                }
                Function::Absent(self.selectors.labels_of_absent(arguments[0]))
            }
            ("round", [_]) => {
                of.push(Expression::Number(1.0));
                Function::Round
            }
            _ => function(name).ok_or_else(|| PromError::unsupported(format_args!("the function {name}")))?,
        };
        Ok(Expression::Call(function, of))
    }

    /// The range that an argument is.
    fn source(&mut self, parsed: &parser::Expr, grid: Grid) -> Result<Range, PromError> {
        match parsed {
            parser::Expr::MatrixSelector(matrix) => {
                let range_ms = milliseconds(matrix.range)?;
                let leaf = self.selectors.leaf(&matrix.vs, grid, LeafFunction::Samples(range_ms))?;
                let ends = leaf.grid;
                Ok(Range { source: Source::Leaf(self.selectors.add(leaf)), ends, range_ms })
            }
            parser::Expr::Subquery(subquery) => {
                let range_ms = milliseconds(subquery.range)?;
                let step_ms = subquery.step.map_or(Ok(limits::PROMQL_SUBQUERY_STEP_MS), milliseconds)?;
                let ends =
                    resolved(grid, self.selectors.asked, subquery.at.as_ref(), subquery.offset.as_ref())?;
                let inner = if grid.steps == 0 { grid } else { ends.of_subquery(range_ms, step_ms) };
                if inner.steps > limits::PROMQL_SUBQUERY_STEPS_MAX {
                    return Err(PromError::too_large(
                        limits::PROMQL_SUBQUERY_STEPS_MAX as u64,
                        "steps of a subquery",
                    ));
                }
                let expression = self.expression(&subquery.expr, inner)?;
                Ok(Range { source: Source::Subquery(Box::new(expression), inner), ends, range_ms })
            }
            _ => Err(PromError::BadData("a range is expected".to_owned())),
        }
    }

    fn over_time(
        &mut self,
        function: RangeFunction,
        arguments: &[&parser::Expr],
        grid: Grid,
    ) -> Result<Expression, PromError> {
        let is_range = |parsed: &&parser::Expr| {
            matches!(parsed, parser::Expr::MatrixSelector(_) | parser::Expr::Subquery(_))
        };
        let place = arguments.iter().position(is_range);
        let place = place.ok_or_else(|| PromError::BadData("a range is expected".to_owned()))?;
        let others = arguments.iter().enumerate().filter(|(index, _)| *index != place).map(|(_, of)| *of);
        let parameters = self.expressions(others, grid)?;
        let Range { source, ends, range_ms } = self.source(arguments[place], grid)?;
        if let Source::Leaf(index) = source {
            let mut numbers = [f64::NAN; 2];
            let are_known = parameters
                .iter()
                .zip(&mut numbers)
                .all(|(parameter, number)| parameter.number().map(|known| *number = known).is_some());
            // It looks ahead from the time of the step, not from that of the range.
            let is_ahead = function == RangeFunction::PredictLinear;
            numbers[0] += if is_ahead { (grid.start_ms - ends.start_ms) as f64 / 1000.0 } else { 0.0 };
            if are_known && !(is_ahead && ends.step_ms != grid.step_ms) {
                self.selectors.leaves[index].function = LeafFunction::OverTime(function, numbers, range_ms);
                return Ok(Expression::Leaf(index));
            }
        }
        Ok(Expression::OverTime(Box::new(OverTime { function, parameters, source, ends, range_ms })))
    }

    fn absent_over_time(&mut self, arguments: &[&parser::Expr], grid: Grid) -> Result<Expression, PromError> {
        let labels = self.selectors.labels_of_absent(arguments[0]);
        // The names stay, so that series need not differ otherwise.
        let of = self.over_time(RangeFunction::Last, arguments, grid)?;
        if let Expression::Leaf(index) = of {
            self.selectors.aggregate(index, Aggregate::Group, &Grouping::default());
        }
        Ok(Expression::Call(Function::Absent(labels), vec![of]))
    }

    fn names(&self, labels: &promql_parser::label::Labels) -> Vec<String> {
        labels.labels.iter().map(|name| self.selectors.text(name)).collect()
    }

    fn grouping(&self, modifier: &LabelModifier) -> Grouping {
        let names = self.names(modifier.labels());
        let names = names.iter().map(String::as_str);
        if modifier.is_include() { Grouping::by(names) } else { Grouping::without(names) }
    }

    fn aggregate(&mut self, parsed: &parser::AggregateExpr, grid: Grid) -> Result<Expression, PromError> {
        let grouping = parsed.modifier.as_ref().map_or(Grouping::default(), |labels| self.grouping(labels));
        let parameter = parsed.param.as_ref().map(|parsed| self.expression(parsed, grid)).transpose()?;
        let of = self.expression(&parsed.expr, grid)?;
        let unknown = || PromError::unsupported(format_args!("the aggregation {}", parsed.op));
        let aggregate = match aggregation(parsed.op.id()).ok_or_else(unknown)? {
            Aggregation::Simple(aggregate) => aggregate,
            Aggregation::Ranking(ranking) => {
                let parameter = parameter.unwrap_or(Expression::Number(f64::NAN));
                return Ok(Expression::Ranking(ranking, grouping, Box::new([parameter, of])));
            }
            Aggregation::CountValues => {
                let Some(Expression::Text(label)) = parameter else {
                    return Err(PromError::BadData("count_values needs the name of a label".to_owned()));
                };
                if !is_label_name(&label) {
                    return Err(PromError::Execution(format!("{label:?} is no name of a label")));
                }
                return Ok(Expression::CountValues(label, grouping, Box::new(of)));
            }
        };
        // Right above a leaf, its owners aggregate.
        if let Expression::Leaf(index) = of
            && self.selectors.aggregate(index, aggregate, &grouping)
        {
            return Ok(of);
        }
        Ok(Expression::Aggregate(aggregate, grouping, Box::new(of)))
    }

    fn binary(&mut self, parsed: &parser::BinaryExpr, grid: Grid) -> Result<Expression, PromError> {
        let unknown = || PromError::unsupported(format_args!("the operator {}", parsed.op));
        let operator = operator(parsed.op.id()).ok_or_else(unknown)?;
        let mut is_bool = false;
        let mut matching = Matching {
            grouping: Grouping::without([]),
            cardinality: Cardinality::OneToOne,
            included: Vec::new(),
        };
        if let Some(modifier) = &parsed.modifier {
            if modifier.fill_values != parser::VectorMatchFillValues::default() {
                return Err(PromError::unsupported("fill"));
            }
            is_bool = modifier.return_bool;
            if let Some(labels) = &modifier.matching {
                matching.grouping = self.grouping(labels);
            }
            let (cardinality, labels) = match &modifier.card {
                VectorMatchCardinality::ManyToOne(labels) => (Cardinality::ManyToOne, Some(labels)),
                VectorMatchCardinality::OneToMany(labels) => (Cardinality::OneToMany, Some(labels)),
                _ => (Cardinality::OneToOne, None),
            };
            matching.cardinality = cardinality;
            matching.included = labels
                .map_or(Vec::new(), |labels| self.names(labels))
                .into_iter()
                .map(String::into)
                .collect();
        }
        let operands = [self.expression(&parsed.lhs, grid)?, self.expression(&parsed.rhs, grid)?];
        if let [Expression::Number(a), Expression::Number(b)] = operands {
            return Ok(Expression::Number(operator.apply(a, b)));
        }
        Ok(Expression::Binary(Box::new(Binary { operator, operands, is_bool, matching })))
    }
}
