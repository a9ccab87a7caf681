//! Functions of the samples in a range. Each treats gaps, resets and rounding as Prometheus 2.42 does.

use super::PromError;
use super::rate::{extrapolated, instant, regression};
use super::series::MISSING;
use super::statistics::{Compensated, larger, quantile, smaller};
use super::window::Ranged;

/// A function of the samples in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum RangeFunction {
    Rate,
    Increase,
    Delta,
    InstantRate,
    InstantDelta,
    Derivative,
    PredictLinear,
    HoltWinters,
    Changes,
    Resets,
    Average,
    Minimum,
    Maximum,
    Sum,
    Count,
    Last,
    Present,
    Quantile,
    Deviation,
    Variance,
}

impl RangeFunction {
    /// The function of this name over a range.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "rate" => Self::Rate,
            "increase" => Self::Increase,
            "delta" => Self::Delta,
            "irate" => Self::InstantRate,
            "idelta" => Self::InstantDelta,
            "deriv" => Self::Derivative,
            "predict_linear" => Self::PredictLinear,
            "holt_winters" | "double_exponential_smoothing" => Self::HoltWinters,
            "changes" => Self::Changes,
            "resets" => Self::Resets,
            "avg_over_time" => Self::Average,
            "min_over_time" => Self::Minimum,
            "max_over_time" => Self::Maximum,
            "sum_over_time" => Self::Sum,
            "count_over_time" => Self::Count,
            "last_over_time" => Self::Last,
            "present_over_time" => Self::Present,
            "quantile_over_time" => Self::Quantile,
            "stddev_over_time" => Self::Deviation,
            "stdvar_over_time" => Self::Variance,
            _ => return None,
        })
    }

    /// Whether it can be computed with these parameters.
    ///
    /// # Errors
    /// A factor out of its range.
    pub fn check(self, parameters: [f64; 2]) -> Result<(), PromError> {
        if self != Self::HoltWinters || parameters.iter().all(|&factor| factor > 0.0 && factor < 1.0) {
            return Ok(());
        }
        Err(PromError::Execution("smoothing and trend factor must be between 0 and 1".to_owned()))
    }
}

/// The value of a function; [`MISSING`] if it needs more samples.
#[must_use]
pub fn over_time(function: RangeFunction, parameters: [f64; 2], range: &Ranged<'_>) -> f64 {
    let values = range.values();
    let Some(last) = values.clone().next_back() else { return MISSING };
    let count = range.samples.len() as f64;
    match function {
        RangeFunction::Last => last,
        RangeFunction::Present => 1.0,
        RangeFunction::Count => count,
        RangeFunction::Sum => Compensated::of(values).total(),
        RangeFunction::Average => average(values),
        RangeFunction::Minimum => values.reduce(smaller).unwrap_or(MISSING),
        RangeFunction::Maximum => values.reduce(larger).unwrap_or(MISSING),
        RangeFunction::Quantile => quantile(parameters[0], &mut values.collect::<Vec<_>>()),
        RangeFunction::Variance => variance(values),
        RangeFunction::Deviation => variance(values).sqrt(),
        RangeFunction::Changes => {
            count_pairs(range, |before, now| now != before && !(now.is_nan() && before.is_nan()))
        }
        RangeFunction::Resets => count_pairs(range, |before, now| now < before),
        _ if range.samples.len() < 2 => MISSING,
        RangeFunction::Rate => extrapolated(range, true) / (range.range_ms as f64 / 1000.0),
        RangeFunction::Increase => extrapolated(range, true),
        RangeFunction::Delta => extrapolated(range, false),
        RangeFunction::InstantRate => instant(range, true),
        RangeFunction::InstantDelta => instant(range, false),
        RangeFunction::Derivative => regression(range, range.samples[0].0).0,
        RangeFunction::PredictLinear => {
            let (slope, intercept) = regression(range, range.end_ms);
            slope * parameters[0] + intercept
        }
        RangeFunction::HoltWinters => holt_winters(values, parameters),
    }
}

fn count_pairs(range: &Ranged<'_>, is_meant: impl Fn(f64, f64) -> bool) -> f64 {
    range.samples.windows(2).filter(|pair| is_meant(pair[0].1, pair[1].1)).count() as f64
}

/// The mean, of which no sum is larger than the values.
fn average(values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut count) = (Compensated::default(), 0.0);
    for value in values {
        count += 1.0;
        let so_far = mean.sum;
        let stays_infinite = so_far.is_infinite()
            && if value.is_infinite() { (so_far > 0.0) == (value > 0.0) } else { !value.is_nan() };
        if !stays_infinite {
            mean.add(value / count - so_far / count);
        }
    }
    mean.total()
}

/// The mean of the squared distances from the mean.
fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut mean, mut squares, mut count) = (Compensated::default(), Compensated::default(), 0.0);
    for value in values {
        count += 1.0;
        let distance = value - mean.exact();
        mean.add(distance / count);
        squares.add(distance * (value - mean.exact()));
    }
    squares.exact() / count
}

/// Smoothed value and trend: the factors of both stand in the parameters.
fn holt_winters(mut values: impl Iterator<Item = f64> + Clone, [smoothing, trending]: [f64; 2]) -> f64 {
    let mut ahead = values.clone().skip(1);
    let (Some(mut smoothed), Some(second)) = (values.next(), ahead.next()) else { return MISSING };
    let (mut before, mut trend) = (0.0, second - smoothed);
    for (index, value) in values.enumerate() {
        if index > 0 {
            trend = trending * (smoothed - before) + (1.0 - trending) * trend;
        }
        let next = smoothing * value + (1.0 - smoothing) * (smoothed + trend);
        (before, smoothed) = (smoothed, next);
    }
    smoothed
}
