//! The expression above the selectors, computed by the asking core; other tasks of that core get their turn in between.

use super::PromError;
use super::aggregate::Groups;
use super::call::call;
use super::expression::{Expression, OverTime, Source};
use super::gather::sorted;
use super::grid::Grid;
use super::join::join;
use super::operator::with_scalar;
use super::output::{Output, nameless};
use super::over_time::{RangeFunction, over_time};
use super::ranking::{count_values, rank};
use super::series::{MISSING, Series, is_present};
use super::value::{Value, scalar_of, series_of};
use super::window::{Ranged, Samples};
use super::work::Work;

/// Computes an expression at the times of a grid; each leaf is used once. Over several steps, series come in the order of their labels; at
/// one, as functions such as `sort` leave them.
///
/// # Errors
/// Series that cannot be told apart, and answers beyond a bound.
pub async fn evaluate(
    expression: &Expression,
    grid: Grid,
    leaves: Vec<Vec<Series>>,
    work: &mut Work,
) -> Result<Value, PromError> {
    let mut evaluation = Evaluation { leaves, work };
    let value = evaluation.compute(expression, grid).await?;
    let Value::Vector(mut series) = value else { return Ok(value) };
    series.retain(Series::has_values);
    if grid.steps != 1 {
        series = sorted(series, evaluation.work).await?;
    }
    for series in &mut series {
        (series.first_ms, series.period_ms) = (grid.start_ms, grid.step_ms);
    }
    Ok(Value::Vector(series))
}

struct Evaluation<'a> {
    leaves: Vec<Vec<Series>>,
    work: &'a mut Work,
}

impl Evaluation<'_> {
    fn leaf(&mut self, index: usize) -> Vec<Series> {
        self.leaves.get_mut(index).map(std::mem::take).unwrap_or_default()
    }

    async fn compute(&mut self, expression: &Expression, grid: Grid) -> Result<Value, PromError> {
        Ok(match expression {
            Expression::Number(number) => {
                self.work.hold(grid.steps)?;
                Value::Scalar(vec![*number; grid.steps])
            }
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Leaf(index) => Value::Vector(self.leaf(*index)),
            Expression::Negative(of) => match Box::pin(self.compute(of, grid)).await? {
                Value::Scalar(numbers) => Value::Scalar(numbers.into_iter().map(|number| -number).collect()),
                value => Value::Vector(self.negative(series_of(value)?).await?),
            },
            Expression::Aggregate(aggregate, grouping, of) => {
                let series = series_of(Box::pin(self.compute(of, grid)).await?)?;
                let mut groups = Groups::new(Some((*aggregate, grouping.clone())));
                for series in &series {
                    self.work.series(series.values.len()).await;
                    groups.add(&series.labels, &series.values);
                }
                let series = groups.into_series(self.work).await;
                Value::Vector(sorted(series, self.work).await?)
            }
            Expression::Ranking(ranking, grouping, operands) => {
                let [parameter, of] = &**operands;
                let parameters = scalar_of(Box::pin(self.compute(parameter, grid)).await?)?;
                let series = series_of(Box::pin(self.compute(of, grid)).await?)?;
                Value::Vector(rank(*ranking, grouping, series, &parameters, self.work).await?)
            }
            Expression::CountValues(label, grouping, of) => {
                let series = series_of(Box::pin(self.compute(of, grid)).await?)?;
                Value::Vector(count_values(label, grouping, series, self.work).await?)
            }
            Expression::Binary(binary) => {
                let [left, right] = &binary.operands;
                let left = Box::pin(self.compute(left, grid)).await?;
                let right = Box::pin(self.compute(right, grid)).await?;
                let (operator, is_bool) = (binary.operator, binary.is_bool);
                match (left, right) {
                    (Value::Scalar(mut left), Value::Scalar(right)) => {
                        left.iter_mut()
                            .zip(right)
                            .for_each(|(left, right)| *left = operator.apply(*left, right));
                        Value::Scalar(left)
                    }
                    (Value::Vector(series), Value::Scalar(numbers)) => Value::Vector(
                        with_scalar(operator, is_bool, series, &numbers, false, self.work).await?,
                    ),
                    (Value::Scalar(numbers), Value::Vector(series)) => Value::Vector(
                        with_scalar(operator, is_bool, series, &numbers, true, self.work).await?,
                    ),
                    (left, right) => {
                        let (left, right) = (series_of(left)?, series_of(right)?);
                        Value::Vector(join(binary, left, right, grid.steps, self.work).await?)
                    }
                }
            }
            Expression::Call(function, of) => {
                let mut values = Vec::with_capacity(of.len());
                for argument in of {
                    values.push(Box::pin(self.compute(argument, grid)).await?);
                }
                call(function, values, grid, self.work).await?
            }
            Expression::OverTime(over_time) => Value::Vector(self.over_time(over_time, grid).await?),
            Expression::Samples(source) => Value::Samples(Box::pin(self.source(source)).await?),
        })
    }

    async fn negative(&mut self, mut series: Vec<Series>) -> Result<Vec<Series>, PromError> {
        for series in &mut series {
            self.work.series(series.values.len()).await;
            series.values.iter_mut().filter(|value| is_present(**value)).for_each(|value| *value = -*value);
        }
        nameless(series, self.work).await
    }

    /// The samples of a range, each series with its own times.
    async fn source(&mut self, source: &Source) -> Result<Vec<Series>, PromError> {
        let (expression, grid) = match source {
            Source::Leaf(index) => return Ok(self.leaf(*index)),
            Source::Subquery(expression, grid) => (expression, grid),
        };
        let mut series = series_of(Box::pin(self.compute(expression, *grid)).await?)?;
        series.retain(Series::has_values);
        for series in &mut series {
            (series.first_ms, series.period_ms) = (grid.start_ms, grid.step_ms);
        }
        Ok(series)
    }

    async fn over_time(&mut self, what: &OverTime, grid: Grid) -> Result<Vec<Series>, PromError> {
        let OverTime { function, parameters, source, ends, range_ms } = what;
        let mut columns = Vec::with_capacity(parameters.len());
        for parameter in parameters {
            columns.push(scalar_of(Box::pin(self.compute(parameter, grid)).await?)?);
        }
        if *function == RangeFunction::PredictLinear {
            // It looks ahead from the time of the step; the range may end elsewhere.
            for column in &mut columns {
                let ahead = |step| (grid.time_ms(step) - ends.time_ms(step)) as f64 / 1000.0;
                column.iter_mut().enumerate().for_each(|(step, seconds)| *seconds += ahead(step));
            }
        }
        let found = Box::pin(self.source(source)).await?;
        let (mut output, mut scratch) = (Output::default(), Vec::new());
        for Series { mut labels, first_ms, period_ms, values } in found {
            self.work.series(0).await;
            self.work.hold(ends.steps)?;
            let samples = Samples { first_ms, period_ms, values: &values };
            let mut computed = vec![MISSING; ends.steps];
            for (step, value) in computed.iter_mut().enumerate() {
                let end_ms = ends.time_ms(step);
                samples.collect(end_ms, *range_ms, &mut scratch);
                self.work.look(samples.window(end_ms, *range_ms).len() + 1)?;
                self.work.spend(scratch.len() + 1).await;
                let parameter = |index: usize| columns.get(index).map_or(f64::NAN, |column| column[step]);
                let parameters = [parameter(0), parameter(1)];
                if !scratch.is_empty() {
                    function.check(parameters)?;
                }
                let range = Ranged { samples: &scratch, end_ms, range_ms: *range_ms };
                *value = over_time(*function, parameters, &range);
            }
            if *function != RangeFunction::Last {
                labels.set(super::labels::Label::Name, "");
            }
            output.add(labels, computed)?;
        }
        Ok(output.into_series())
    }
}
