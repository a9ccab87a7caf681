//! Functions of series and numbers at one time.

use super::PromError;
use super::expression::Function;
use super::grid::Grid;
use super::histogram;
use super::labels::Labels;
use super::math::{least, most, round};
use super::output::nameless;
use super::relabel;
use super::series::{MISSING, Series, is_missing, is_present};
use super::statistics::{nan_first, nan_last};
use super::value::{Value, scalar_of, series_of, text_of};
use super::work::Work;

/// Calls a function.
///
/// # Errors
/// Arguments of another kind, and series that cannot be told apart.
pub async fn call(
    function: &Function,
    of: Vec<Value>,
    grid: Grid,
    work: &mut Work,
) -> Result<Value, PromError> {
    let mut of = of.into_iter();
    let mut next =
        || of.next().ok_or_else(|| PromError::BadData("a function has too few arguments".to_owned()));
    let seconds = |step| grid.time_ms(step) as f64 / 1000.0;
    Ok(match function {
        Function::Time => {
            work.hold(grid.steps)?;
            Value::Scalar((0..grid.steps).map(seconds).collect())
        }
        Function::Vector => Value::Vector(vec![unnamed(scalar_of(next()?)?)]),
        Function::Scalar => Value::Scalar(only_values(&series_of(next()?)?, grid, work).await?),
        Function::Absent(labels) => {
            let absent = absent(&series_of(next()?)?, grid, work).await?;
            Value::Vector(vec![Series { labels: labels.clone(), ..unnamed(absent) }])
        }
        Function::Each(function) => each(series_of(next()?)?, work, |_, value| function(value)).await?,
        Function::Timestamp => each(series_of(next()?)?, work, |step, _| seconds(step)).await?,
        Function::Round => {
            let (series, multiples) = (series_of(next()?)?, scalar_of(next()?)?);
            each(series, work, |step, value| round(value, multiples[step])).await?
        }
        Function::ClampMin => {
            let (series, bounds) = (series_of(next()?)?, scalar_of(next()?)?);
            each(series, work, |step, value| most(bounds[step], value)).await?
        }
        Function::ClampMax => {
            let (series, bounds) = (series_of(next()?)?, scalar_of(next()?)?);
            each(series, work, |step, value| least(bounds[step], value)).await?
        }
        Function::Clamp => {
            let (series, lower, upper) = (series_of(next()?)?, scalar_of(next()?)?, scalar_of(next()?)?);
            let clamp = |step: usize, value| match (lower[step], upper[step]) {
                (lower, upper) if upper < lower => MISSING,
                (lower, upper) => most(lower, least(upper, value)),
            };
            each(series, work, clamp).await?
        }
        Function::Sort | Function::SortDescending => {
            let mut series = series_of(next()?)?;
            series.retain(Series::has_values);
            // Over several steps, the order is that of the labels.
            if grid.steps == 1 {
                series.sort_by(|a, b| match function {
                    Function::Sort => nan_last(&a.values[0], &b.values[0]),
                    _ => nan_first(&b.values[0], &a.values[0]),
                });
            }
            Value::Vector(series)
        }
        Function::LabelReplace => {
            let series = series_of(next()?)?;
            let texts = [text_of(next()?)?, text_of(next()?)?, text_of(next()?)?, text_of(next()?)?];
            Value::Vector(relabel::replace(series, texts.each_ref().map(|text| &**text), work).await?)
        }
        Function::LabelJoin => {
            let (series, to, separator) = (series_of(next()?)?, text_of(next()?)?, text_of(next()?)?);
            let from = of.map(text_of).collect::<Result<Vec<_>, _>>()?;
            let from: Vec<&str> = from.iter().map(|text| &**text).collect();
            Value::Vector(relabel::join(series, &to, &separator, &from, work).await?)
        }
        Function::HistogramQuantile => {
            let (phi, series) = (scalar_of(next()?)?, series_of(next()?)?);
            Value::Vector(histogram::quantile(&phi, series, work).await?)
        }
    })
}

fn unnamed(values: Vec<f64>) -> Series {
    Series { labels: Labels::default(), first_ms: 0, period_ms: 0, values }
}

/// A function of step and value; the series lose their names.
async fn each(
    mut series: Vec<Series>,
    work: &mut Work,
    function: impl Fn(usize, f64) -> f64,
) -> Result<Value, PromError> {
    for series in &mut series {
        work.series(series.values.len()).await;
        for (step, value) in series.values.iter_mut().enumerate().filter(|(_, value)| is_present(**value)) {
            *value = function(step, *value);
        }
    }
    Ok(Value::Vector(nameless(series, work).await?))
}

/// The value of the only series; NaN where there is none, or several.
async fn only_values(series: &[Series], grid: Grid, work: &mut Work) -> Result<Vec<f64>, PromError> {
    work.hold(grid.steps)?;
    let mut values = vec![MISSING; grid.steps];
    for series in series {
        work.series(grid.steps).await;
        for (value, &more) in values.iter_mut().zip(&series.values).filter(|(_, more)| is_present(**more)) {
            *value = if is_missing(*value) { more } else { f64::NAN };
        }
    }
    values.iter_mut().filter(|value| is_missing(**value)).for_each(|value| *value = f64::NAN);
    Ok(values)
}

/// 1 where no series has a value.
async fn absent(series: &[Series], grid: Grid, work: &mut Work) -> Result<Vec<f64>, PromError> {
    work.hold(grid.steps)?;
    let mut values = vec![1.0; grid.steps];
    for series in series {
        work.series(grid.steps).await;
        for (value, _) in values.iter_mut().zip(&series.values).filter(|(_, found)| is_present(**found)) {
            *value = MISSING;
        }
    }
    Ok(values)
}
