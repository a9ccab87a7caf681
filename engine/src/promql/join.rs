//! Series with series: which of two operands meet by their labels, step by step, and what becomes of each pair.

use std::collections::HashMap;

use super::PromError;
use super::expression::{Binary, Cardinality, Matching, Operator};
use super::labels::{Label, Labels};
use super::output::Output;
use super::series::{MISSING, Series, is_missing, is_present};
use super::work::Work;

/// Two operands, both series.
///
/// # Errors
/// Series that meet several, where that is not asked for; series that cannot be told apart.
pub async fn join(
    binary: &Binary,
    left: Vec<Series>,
    right: Vec<Series>,
    steps: usize,
    work: &mut Work,
) -> Result<Vec<Series>, PromError> {
    match binary.operator {
        Operator::And => filter(&binary.matching, left, &right, true, work).await,
        Operator::Unless => filter(&binary.matching, left, &right, false, work).await,
        Operator::Or => {
            let right = filter(&binary.matching, right, &left, false, work).await?;
            let mut output = Output::default();
            for series in left.into_iter().chain(right) {
                work.series(series.values.len()).await;
                output.add(series.labels, series.values)?;
            }
            Ok(output.into_series())
        }
        _ => pairs(binary, left, right, steps, work).await,
    }
}

/// Keeps values of series that meet others at the same step, or those that meet none.
async fn filter(
    matching: &Matching,
    mut series: Vec<Series>,
    others: &[Series],
    meets: bool,
    work: &mut Work,
) -> Result<Vec<Series>, PromError> {
    let mut there: HashMap<Labels, Vec<bool>> = HashMap::new();
    for other in others {
        work.series(other.values.len()).await;
        let steps = there
            .entry(other.labels.grouped(&matching.grouping))
            .or_insert_with(|| vec![false; other.values.len()]);
        for (is_there, &value) in steps.iter_mut().zip(&other.values) {
            *is_there |= is_present(value);
        }
    }
    for series in &mut series {
        work.series(series.values.len()).await;
        match there.get(&series.labels.grouped(&matching.grouping)) {
            None if meets => series.values.fill(MISSING),
            None => {}
            Some(there) => {
                for (value, _) in series.values.iter_mut().zip(there).filter(|(_, there)| **there != meets) {
                    *value = MISSING;
                }
            }
        }
    }
    series.retain(Series::has_values);
    Ok(series)
}

/// What an operator makes of all pairs.
async fn pairs(
    binary: &Binary,
    left: Vec<Series>,
    right: Vec<Series>,
    steps: usize,
    work: &mut Work,
) -> Result<Vec<Series>, PromError> {
    let Matching { grouping, cardinality, .. } = &binary.matching;
    let is_swapped = *cardinality == Cardinality::OneToMany;
    let (many, one) = if is_swapped { (right, left) } else { (left, right) };
    let mut has_many = vec![false; steps];
    for series in &many {
        work.series(steps).await;
        has_many.iter_mut().zip(&series.values).for_each(|(has, &value)| *has |= is_present(value));
    }
    let mut sides: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (place, series) in one.iter().enumerate() {
        work.series(0).await;
        sides.entry(series.labels.grouped(grouping)).or_default().push(place);
    }
    for (labels, places) in &sides {
        check_one(labels, places, &one, &has_many, work).await?;
    }
    let mut output = Output::default();
    // In one to one, the steps at which a group has found its pair.
    let mut taken: HashMap<Labels, Vec<bool>> = HashMap::new();
    for series in many {
        work.series(steps).await;
        let key = series.labels.grouped(grouping);
        let Some(places) = sides.get(&key) else { continue };
        for (index, &place) in places.iter().enumerate() {
            work.look(steps)?;
            work.spend(steps).await;
            if index > 0 {
                // The first takes the place of the operand.
                work.hold(steps)?;
            }
            let of_pair = |(&a, &b): (&f64, &f64)| {
                if is_missing(a) || is_missing(b) { MISSING } else { result(binary, a, b, is_swapped) }
            };
            let values: Vec<f64> = series.values.iter().zip(&one[place].values).map(of_pair).collect();
            if *cardinality == Cardinality::OneToOne {
                let taken = taken.entry(key.clone()).or_insert_with(|| vec![false; steps]);
                for (taken, _) in taken.iter_mut().zip(&values).filter(|(_, value)| is_present(**value)) {
                    if std::mem::replace(taken, true) {
                        let what = "several series on the left meet the same one: group_left is needed";
                        return Err(PromError::Execution(format!("{what} ({key})")));
                    }
                }
            }
            let labels = result_labels(binary, &series.labels, &one[place].labels);
            let copied = binary.matching.included.iter().map(|name| labels.named(name).len()).sum::<usize>();
            work.hold(copied / size_of::<f64>())?;
            output.add(labels, values)?;
        }
    }
    Ok(output.into_series())
}

/// Whether at most one series of a group is there at each step at which there is anything on the other side.
async fn check_one(
    labels: &Labels,
    places: &[usize],
    one: &[Series],
    has_many: &[bool],
    work: &mut Work,
) -> Result<(), PromError> {
    if places.len() < 2 {
        return Ok(());
    }
    let mut found = vec![false; has_many.len()];
    for &place in places {
        work.series(has_many.len()).await;
        for (step, _) in one[place].values.iter().enumerate().filter(|(_, value)| is_present(**value)) {
            if std::mem::replace(&mut found[step], true) && has_many[step] {
                let what = "several series have the same labels on the side that may have one only";
                return Err(PromError::Execution(format!("{what}: {labels}")));
            }
        }
    }
    Ok(())
}

/// What an operator makes of a value of the side with many and one of the other.
fn result(binary: &Binary, many: f64, one: f64, is_swapped: bool) -> f64 {
    let (left, right) = if is_swapped { (one, many) } else { (many, one) };
    let result = binary.operator.apply(left, right);
    match (binary.operator.is_comparison() && !binary.is_bool, result == 1.0) {
        (true, true) => left,
        (true, false) => MISSING,
        (false, _) => result,
    }
}

fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let Matching { grouping, cardinality, included } = &binary.matching;
    let mut labels = many.clone();
    if *cardinality == Cardinality::OneToOne {
        labels = many.grouped(grouping);
        if grouping.spares_name() {
            labels.set(Label::Name, many.get(Label::Name));
        }
    }
    if binary.operator.drops_name(binary.is_bool) {
        labels.set(Label::Name, "");
    }
    for name in included {
        labels.set_named(name, one.named(name));
    }
    labels
}
