//! `histogram_quantile`, of series that `label_replace` gave the label `le`: no stored series has it.

use std::collections::HashMap;

use super::PromError;
use super::labels::{Grouping, Labels};
use super::output::Output;
use super::series::{MISSING, Series, is_present};
use super::work::Work;

/// Upper bound, and how many observations are not above it.
type Bucket = (f64, f64);

/// The φ-quantile of every histogram at every step.
///
/// # Errors
/// More work than is allowed.
pub async fn quantile(phi: &[f64], series: Vec<Series>, work: &mut Work) -> Result<Vec<Series>, PromError> {
    let histogram = Grouping::without(["le"]);
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut histograms: Vec<(Labels, Vec<(f64, usize)>)> = Vec::new();
    for (index, series) in series.iter().enumerate() {
        work.series(0).await;
        let Ok(bound) = series.labels.named("le").parse::<f64>() else { continue };
        let labels = series.labels.grouped(&histogram);
        let place = *places.entry(labels.clone()).or_insert(histograms.len());
        if place == histograms.len() {
            histograms.push((labels, Vec::new()));
        }
        histograms[place].1.push((bound, index));
    }
    let (mut output, mut buckets) = (Output::default(), Vec::new());
    for (labels, members) in histograms {
        let mut values = vec![MISSING; phi.len()];
        for (value, (step, &phi)) in values.iter_mut().zip(phi.iter().enumerate()) {
            work.spend(members.len()).await;
            buckets.clear();
            let found = members.iter().map(|&(bound, index)| (bound, series[index].values[step]));
            buckets.extend(found.filter(|&(_, count)| is_present(count)));
            if !buckets.is_empty() {
                *value = of_buckets(phi, &mut buckets);
            }
        }
        output.add(labels, values)?;
    }
    Ok(output.into_series())
}

/// On a straight line within the bucket that holds the quantile.
fn of_buckets(phi: f64, buckets: &mut Vec<Bucket>) -> f64 {
    match phi {
        _ if phi.is_nan() => return f64::NAN,
        ..0.0 => return f64::NEG_INFINITY,
        _ if phi > 1.0 => return f64::INFINITY,
        _ => {}
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        if is_same {
            kept.1 += next.1;
        }
        is_same
    });
    let mut most = f64::NEG_INFINITY;
    for (_, count) in buckets.iter_mut() {
        most = most.max(*count);
        *count = most;
    }
    let &[.., (below, _), (f64::INFINITY, all)] = &buckets[..] else { return f64::NAN };
    if all == 0.0 {
        return f64::NAN;
    }
    let rank = phi * all;
    let last = buckets.len() - 1;
    let place = buckets[..last].partition_point(|&(_, count)| count < rank);
    let (end, count) = buckets[place];
    match place {
        _ if place == last => below,
        0 if end <= 0.0 => end,
        0 => end * (rank / count),
        _ => {
            let (start, before) = buckets[place - 1];
            start + (end - start) * ((rank - before) / (count - before))
        }
    }
}
