//! Series on their way to become fewer: sums and the like, which owners begin and the asking core completes.

use std::collections::HashMap;

use super::expression::Aggregate;
use super::labels::{Grouping, Labels};
use super::series::{MISSING, Series, is_present};
use super::statistics::{larger, smaller};
use super::work::Work;

/// What is known of each group so far.
#[derive(Debug, Default)]
pub struct Groups {
    aggregate: Option<(Aggregate, Grouping)>,
    groups: HashMap<Labels, Group>,
}

#[derive(Debug)]
struct Group {
    /// Sum, least or largest.
    values: Vec<f64>,
    counts: Vec<u32>,
}

impl Groups {
    /// No series yet.
    #[must_use]
    pub fn new(aggregate: Option<(Aggregate, Grouping)>) -> Self {
        Self { aggregate, groups: HashMap::new() }
    }

    /// Adds a series; returns whether it is the first of its group.
    pub fn add(&mut self, labels: &Labels, values: &[f64]) -> bool {
        let Some((aggregate, grouping)) = &self.aggregate else { return false };
        let before = self.groups.len();
        let group = self.groups.entry(labels.grouped(grouping)).or_insert_with(|| Group::new(values.len()));
        for (index, &value) in values.iter().enumerate().filter(|(_, value)| is_present(**value)) {
            group.add(*aggregate, index, value, 1);
        }
        self.groups.len() > before
    }

    /// Adds the groups of another core.
    pub async fn join(&mut self, other: Self, work: &mut Work) {
        let Some((aggregate, _)) = self.aggregate else { return };
        for (labels, theirs) in other.groups {
            work.series(theirs.values.len()).await;
            let group = self.groups.entry(labels).or_insert_with(|| Group::new(theirs.values.len()));
            for (index, (&value, &count)) in theirs.values.iter().zip(&theirs.counts).enumerate() {
                if count > 0 {
                    group.add(aggregate, index, value, count);
                }
            }
        }
    }

    /// A series a group.
    pub async fn into_series(self, work: &mut Work) -> Vec<Series> {
        let Some((aggregate, _)) = self.aggregate else { return Vec::new() };
        let finish = |value: f64, count: u32| match (aggregate, count) {
            (_, 0) => MISSING,
            (Aggregate::Avg, _) => value / f64::from(count),
            (Aggregate::Count, _) => f64::from(count),
            (Aggregate::Group, _) => 1.0,
            _ => value,
        };
        let mut series = Vec::with_capacity(self.groups.len());
        for (labels, Group { mut values, counts }) in self.groups {
            work.series(values.len()).await;
            for (value, &count) in values.iter_mut().zip(&counts) {
                *value = finish(*value, count);
            }
            series.push(Series { labels, first_ms: 0, period_ms: 0, values });
        }
        series
    }
}

impl Group {
    fn new(steps: usize) -> Self {
        Self { values: vec![0.0; steps], counts: vec![0; steps] }
    }

    fn add(&mut self, aggregate: Aggregate, index: usize, value: f64, count: u32) {
        let (sum, counted) = (&mut self.values[index], &mut self.counts[index]);
        *sum = match aggregate {
            Aggregate::Min if *counted > 0 => smaller(*sum, value),
            Aggregate::Max if *counted > 0 => larger(*sum, value),
            Aggregate::Min | Aggregate::Max => value,
            Aggregate::Sum | Aggregate::Avg => *sum + value,
            Aggregate::Count | Aggregate::Group => 0.0,
        };
        *counted += count;
    }
}
