//! Series as they are computed: those that come to the same labels become one, if they are not there at the same time.

use std::collections::HashMap;

use super::PromError;
use super::labels::{Label, Labels};
use super::series::{Series, is_missing, is_present};
use super::work::Work;

/// Series so far, in the order in which they came.
#[derive(Debug, Default)]
pub struct Output {
    places: HashMap<Labels, usize>,
    series: Vec<Series>,
}

impl Output {
    /// Adds a series.
    ///
    /// # Errors
    /// Another one of the same labels has a value at the same step.
    pub fn add(&mut self, labels: Labels, values: Vec<f64>) -> Result<(), PromError> {
        let series = Series { labels, first_ms: 0, period_ms: 0, values };
        if !series.has_values() {
            return Ok(());
        }
        let Some(&place) = self.places.get(&series.labels) else {
            self.places.insert(series.labels.clone(), self.series.len());
            self.series.push(series);
            return Ok(());
        };
        for (value, &more) in self.series[place].values.iter_mut().zip(&series.values) {
            if is_missing(more) {
                continue;
            }
            if is_present(*value) {
                return Err(PromError::same_labels(&series.labels));
            }
            *value = more;
        }
        Ok(())
    }

    /// All of them.
    #[must_use]
    pub fn into_series(self) -> Vec<Series> {
        self.series
    }
}

/// Other values have another name, that is none.
///
/// # Errors
/// Series that only their names told apart.
pub async fn nameless(series: Vec<Series>, work: &mut Work) -> Result<Vec<Series>, PromError> {
    if series.iter().all(|series| series.labels.get(Label::Name).is_empty()) {
        return Ok(series);
    }
    let mut output = Output::default();
    for mut series in series {
        work.series(series.values.len()).await;
        series.labels.set(Label::Name, "");
        output.add(series.labels, series.values)?;
    }
    Ok(output.into_series())
}
