//! Operators between two numbers, and between series and a number.

use super::PromError;
use super::expression::Operator;
use super::output::nameless;
use super::series::{MISSING, Series, is_present};
use super::work::Work;

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

    /// Whether the result is no longer called as the metric. `atan2` keeps the name, as Prometheus 2.42 does.
    #[must_use]
    pub fn drops_name(self, is_bool: bool) -> bool {
        is_bool || !(self.is_comparison() || self == Self::Atan2)
    }

    /// The result for two numbers; a comparison is 0 or 1.
    #[must_use]
    pub fn apply(self, a: f64, b: f64) -> f64 {
        let bool = |is: bool| f64::from(u8::from(is));
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Modulo => a % b,
            Self::Power => a.powf(b),
            Self::Atan2 => a.atan2(b),
            Self::Equal => bool(a == b),
            Self::NotEqual => bool(a != b),
            Self::Greater => bool(a > b),
            Self::Less => bool(a < b),
            Self::GreaterOrEqual => bool(a >= b),
            Self::LessOrEqual => bool(a <= b),
            Self::And | Self::Or | Self::Unless => MISSING,
        }
    }
}

/// Series with a number a step, which stands on the left if `swapped`. A comparison without `bool` keeps the series' values.
///
/// # Errors
/// Series that only their names told apart.
pub async fn with_scalar(
    operator: Operator,
    is_bool: bool,
    mut series: Vec<Series>,
    numbers: &[f64],
    swapped: bool,
    work: &mut Work,
) -> Result<Vec<Series>, PromError> {
    let passes = operator.is_comparison() && !is_bool;
    for series in &mut series {
        work.series(series.values.len()).await;
        for (value, &number) in series.values.iter_mut().zip(numbers).filter(|(value, _)| is_present(**value))
        {
            let (a, b) = if swapped { (number, *value) } else { (*value, number) };
            let result = operator.apply(a, b);
            *value = match (passes, result == 1.0) {
                (true, true) => *value,
                (true, false) => MISSING,
                (false, _) => result,
            };
        }
    }
    if !operator.drops_name(is_bool) {
        series.retain(Series::has_values);
        return Ok(series);
    }
    nameless(series, work).await
}
