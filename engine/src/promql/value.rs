//! What an expression comes to.

use super::PromError;
use super::series::Series;

/// What an expression comes to at the times of its grid.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number a step.
    Scalar(Vec<f64>),
    /// Series, each with a value a step.
    Vector(Vec<Series>),
    /// Series with the samples of a range, at their own times.
    Samples(Vec<Series>),
    /// A string.
    Text(Box<str>),
}

/// The series of a value that must be some.
///
/// # Errors
/// It is something else.
pub fn series_of(value: Value) -> Result<Vec<Series>, PromError> {
    match value {
        Value::Vector(series) => Ok(series),
        _ => Err(PromError::BadData("series are expected, not a number, a string or a range".to_owned())),
    }
}

/// The numbers of a value that must be some.
///
/// # Errors
/// It is something else.
pub fn scalar_of(value: Value) -> Result<Vec<f64>, PromError> {
    match value {
        Value::Scalar(numbers) => Ok(numbers),
        _ => Err(PromError::BadData("a number is expected, not series or a string".to_owned())),
    }
}

/// The string of a value that must be one.
///
/// # Errors
/// It is something else.
pub fn text_of(value: Value) -> Result<Box<str>, PromError> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(PromError::BadData("a string is expected".to_owned())),
    }
}
