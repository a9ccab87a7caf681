//! The owners' parts of an answer put together, on the asking core.

use std::collections::BTreeMap;

use super::PromError;
use super::scan::PromAnswer;
use super::series::Series;
use super::work::Work;
use crate::limits;

/// The series of every leaf, from the answers of all cores, in the order of their labels.
///
/// # Errors
/// All cores together have too many series or points, or series that cannot be told apart.
pub async fn gather(answers: Vec<PromAnswer>, work: &mut Work) -> Result<Vec<Vec<Series>>, PromError> {
    let mut answers = answers.into_iter();
    let Some(mut all) = answers.next() else { return Ok(Vec::new()) };
    for answer in answers {
        for (series, more) in all.series.iter_mut().zip(answer.series) {
            work.series(more.len()).await;
            series.extend(more);
        }
        for (groups, more) in all.groups.iter_mut().zip(answer.groups) {
            groups.join(more, work).await;
        }
    }
    let (mut leaves, mut points) = (Vec::new(), 0);
    for (mut series, groups) in all.series.into_iter().zip(all.groups) {
        series.extend(groups.into_series(work).await);
        points += series.iter().map(|series| series.values.len()).sum::<usize>();
        if points > limits::PROMQL_POINTS_MAX {
            return Err(PromError::too_large(limits::PROMQL_POINTS_MAX as u64, "points"));
        }
        if series.len() > limits::PROMQL_SERIES_MAX {
            return Err(PromError::too_large(limits::PROMQL_SERIES_MAX as u64, "series"));
        }
        leaves.push(sorted(series, work).await?);
    }
    Ok(leaves)
}

/// In the order of their labels.
///
/// # Errors
/// Two have the same.
pub async fn sorted(series: Vec<Series>, work: &mut Work) -> Result<Vec<Series>, PromError> {
    let mut sorted = BTreeMap::new();
    for mut series in series {
        work.series(0).await;
        let labels = std::mem::take(&mut series.labels);
        if sorted.contains_key(&labels) {
            return Err(PromError::same_labels(&labels));
        }
        sorted.insert(labels, series);
    }
    Ok(sorted.into_iter().map(|(labels, series)| Series { labels, ..series }).collect())
}
