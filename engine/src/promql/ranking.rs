//! Aggregations that need all series of a group at once: the largest ones, quantiles, deviations, and how often values occur.

use std::collections::HashMap;

use super::PromError;
use super::expression::Ranking;
use super::labels::{Grouping, Labels};
use super::number::shortest;
use super::output::Output;
use super::series::{MISSING, Series, is_present};
use super::statistics::{nan_first, nan_last, quantile};
use super::work::Work;

/// The groups in the order of their first series: labels, and the places of the series.
async fn groups(series: &[Series], grouping: &Grouping, work: &mut Work) -> Vec<(Labels, Vec<usize>)> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Vec<usize>)> = Vec::new();
    for (index, series) in series.iter().enumerate() {
        work.series(0).await;
        let labels = series.labels.grouped(grouping);
        let place = *places.entry(labels.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push((labels, Vec::new()));
        }
        groups[place].1.push(index);
    }
    groups
}

/// One of these aggregations; its parameter is a number a step.
///
/// # Errors
/// A number that says how many series are wanted, and is none.
pub async fn rank(
    ranking: Ranking,
    grouping: &Grouping,
    mut series: Vec<Series>,
    parameters: &[f64],
    work: &mut Work,
) -> Result<Vec<Series>, PromError> {
    let groups = groups(&series, grouping, work).await;
    if matches!(ranking, Ranking::Largest | Ranking::Smallest) {
        // As an i64 it must be sayable.
        if let Some(wanted) = parameters.iter().find(|wanted| !(-9.2e18..9.2e18).contains(*wanted)) {
            return Err(PromError::Execution(format!("{wanted} is no number of series")));
        }
        let mut order = Vec::with_capacity(series.len());
        for (_, places) in groups {
            order.extend(keep_extremes(ranking, &mut series, places, parameters, work).await);
        }
        let mut series: Vec<Option<Series>> = series.into_iter().map(Some).collect();
        let series = order.into_iter().filter_map(|place| series[place].take());
        return Ok(series.filter(Series::has_values).collect());
    }
    let (mut output, mut present) = (Output::default(), Vec::new());
    for (labels, places) in groups {
        let mut values = vec![MISSING; parameters.len()];
        for (step, value) in values.iter_mut().enumerate() {
            work.spend(places.len()).await;
            present.clear();
            let found = places.iter().map(|&place| series[place].values[step]);
            present.extend(found.filter(|&value| is_present(value)));
            *value = match ranking {
                _ if present.is_empty() => MISSING,
                Ranking::Quantile => quantile(parameters[step], &mut present),
                Ranking::Deviation => variance(&present).sqrt(),
                _ => variance(&present),
            };
        }
        output.add(labels, values)?;
    }
    Ok(output.into_series())
}

/// The mean of the squared distances from the mean; of one value 0, also if it is none.
fn variance(values: &[f64]) -> f64 {
    let [first, others @ ..] = values else { return MISSING };
    let (mut mean, mut squares, mut count) = (*first, 0.0, 1.0);
    for &value in others {
        count += 1.0;
        let distance = value - mean;
        mean += distance / count;
        squares += distance * (value - mean);
    }
    squares / count
}

/// Takes from every step of a group all values but the largest, or smallest; returns its series in the order of the last step.
async fn keep_extremes(
    ranking: Ranking,
    series: &mut [Series],
    mut places: Vec<usize>,
    parameters: &[f64],
    work: &mut Work,
) -> Vec<usize> {
    // NaN comes last.
    let before = |a: f64, b: f64| match ranking {
        Ranking::Largest => nan_first(&b, &a),
        _ => nan_last(&a, &b),
    };
    let mut present: Vec<(f64, usize)> = Vec::with_capacity(places.len());
    for (step, &wanted) in parameters.iter().enumerate() {
        work.spend(2 * places.len()).await;
        present.clear();
        let found = places.iter().map(|&place| (series[place].values[step], place));
        present.extend(found.filter(|&(value, _)| is_present(value)));
        if present.is_empty() {
            continue;
        }
        let kept = (wanted as i64).clamp(0, present.len() as i64) as usize;
        present.sort_by(|a, b| before(a.0, b.0).then(a.1.cmp(&b.1)));
        for &(_, place) in &present[kept..] {
            series[place].values[step] = MISSING;
        }
    }
    // Those without a value at the last step go away, or are sorted by their labels.
    let last: HashMap<usize, usize> =
        present.iter().enumerate().map(|(rank, &(_, place))| (place, rank)).collect();
    places.sort_by_key(|place| last.get(place).copied().unwrap_or(usize::MAX));
    places
}

/// How many series have each value, which becomes a label.
///
/// # Errors
/// More values than an answer may have points.
pub async fn count_values(
    label: &str,
    grouping: &Grouping,
    series: Vec<Series>,
    work: &mut Work,
) -> Result<Vec<Series>, PromError> {
    let mut grouping = grouping.clone();
    grouping.keep(label);
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut counts: Vec<Series> = Vec::new();
    for Series { mut labels, values, .. } in series {
        let mut before = None;
        for (step, &value) in values.iter().enumerate().filter(|(_, value)| is_present(**value)) {
            let bits = if value.is_nan() { f64::NAN } else { value }.to_bits();
            let place = match before {
                Some((known, place)) if known == bits => place,
                _ => {
                    work.series(0).await;
                    labels.set_named(label, &shortest(value));
                    let labels = labels.grouped(&grouping);
                    match places.get(&labels) {
                        Some(&place) => place,
                        None => {
                            work.hold(values.len())?;
                            work.series(values.len()).await;
                            let place = counts.len();
                            places.insert(labels.clone(), place);
                            let values = vec![MISSING; values.len()];
                            counts.push(Series { labels, first_ms: 0, period_ms: 0, values });
                            place
                        }
                    }
                }
            };
            before = Some((bits, place));
            let count = &mut counts[place].values[step];
            *count = if is_present(*count) { *count + 1.0 } else { 1.0 };
        }
    }
    Ok(counts)
}
