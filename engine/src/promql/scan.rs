//! The owner's side of a question: finds the series of its hosts, reads them, and computes what stands right above the selectors.
//!
//! It works in steps, each bounded by levels looked at or slots read; the answer is bounded in series and points.

use std::sync::Arc;

use super::PromError;
use super::aggregate::Groups;
use super::expression::{Leaf, LeafFunction};
use super::labels::{Label, Labels, exposed_name};
use super::listing::{ListQuestion, ListScan, Listing};
use super::over_time::over_time;
use super::reading::Reading;
use super::series::{MISSING, Series, is_present};
use super::window::{Ranged, Samples};
use crate::config::MetricId;
use crate::limits;
use crate::memory::shard::Shard;
use crate::series::tree::{LevelId, ROOT, SeriesId};

/// What owners are asked.
#[derive(Clone, Debug)]
pub struct PromQuestion {
    /// For each, its series are wanted.
    pub leaves: Vec<Leaf>,
    /// What of them.
    pub wanted: Wanted,
    /// Most slots that may be read; and most that functions over ranges may look at.
    pub values_max: u64,
}

/// What is wanted of the series of leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// What the function of each leaf makes of them, at the times of its grid.
    Values,
    /// A list of them; their values do not matter.
    List(ListQuestion),
}

/// What one core answers.
#[derive(Debug, Default)]
pub struct PromAnswer {
    /// For each leaf that is not aggregated, its series.
    pub series: Vec<Vec<Series>>,
    /// For each leaf that is, its groups; for the others, none.
    pub groups: Vec<Groups>,
    /// The list, if one is wanted.
    pub listing: Listing,
}

/// A question being answered by its core.
#[derive(Debug)]
pub struct PromScan {
    question: Arc<PromQuestion>,
    leaf: usize,
    /// Levels still to be looked at, the next one last.
    levels: Vec<LevelId>,
    /// Series still to be read.
    found: Vec<(SeriesId, MetricId, Labels)>,
    reading: Option<Reading>,
    /// Slots read, and slots looked at.
    values: u64,
    looked_at: u64,
    points: usize,
    /// The last series of this leaf that had values, as it is answered.
    previous: Option<Labels>,
    /// The samples of a range.
    scratch: Vec<(i64, f64)>,
    answer: PromAnswer,
    /// Instead of all this, if a list is wanted.
    list: Option<ListScan>,
}

impl PromScan {
    /// A question not yet looked at.
    #[must_use]
    pub fn new(question: Arc<PromQuestion>) -> Self {
        let answer = PromAnswer {
            series: question.leaves.iter().map(|_| Vec::new()).collect(),
            groups: question.leaves.iter().map(|leaf| Groups::new(leaf.aggregate.clone())).collect(),
            listing: Listing::default(),
        };
        let list = match &question.wanted {
            Wanted::List(wanted) => Some(ListScan::new(wanted.clone(), &question.leaves)),
            _ => None,
        };
        Self {
            question,
            leaf: 0,
            levels: vec![ROOT],
            found: Vec::new(),
            reading: None,
            values: 0,
            looked_at: 0,
            points: 0,
            previous: None,
            scratch: Vec::new(),
            answer,
            list,
        }
    }

    /// Does a small part of the work; the answer when that was the last.
    pub fn step(&mut self, shard: &Shard) -> Option<Result<PromAnswer, PromError>> {
        let question = Arc::clone(&self.question);
        if let Some(list) = &mut self.list {
            let listing = list.step(shard, &question.leaves).transpose()?;
            return Some(listing.map(|listing| PromAnswer { listing, ..PromAnswer::default() }));
        }
        let Some(leaf) = question.leaves.get(self.leaf) else {
            return Some(Ok(std::mem::take(&mut self.answer)));
        };
        let done = if let Some(reading) = self.reading.take() {
            self.go_on(shard, leaf, reading)
        } else if let Some((series, metric, labels)) = self.found.pop() {
            self.begin(shard, leaf, series, metric, labels)
        } else if self.levels.is_empty() {
            self.leaf += 1;
            self.levels.push(ROOT);
            self.previous = None;
            Ok(())
        } else {
            self.find(shard, leaf)
        };
        done.err().map(Err)
    }

    /// Looks at some levels.
    fn find(&mut self, shard: &Shard, leaf: &Leaf) -> Result<(), PromError> {
        let matches = |label: Label, value: &str| {
            leaf.matchers.iter().filter(|(of, _)| *of == label).all(|(_, matcher)| matcher.is_match(value))
        };
        let has_patterns = leaf.matchers.iter().any(|(_, matcher)| matcher.is_pattern());
        let level_cost = if has_patterns { limits::PROMQL_LEVELS_PER_PATTERN } else { 1 };
        let mut left = limits::PROMQL_LEVELS_PER_STEP;
        while left > 0 {
            left = left.saturating_sub(level_cost);
            let Some(level) = self.levels.pop() else { return Ok(()) };
            let tree = shard.tree();
            let path = tree.path(level);
            let is_meant = match path[..] {
                [] => true,
                [cluster] => matches(Label::Cluster, cluster),
                [_, host] => matches(Label::Host, host),
                _ => true,
            };
            if !is_meant {
                continue;
            }
            let first = self.levels.len();
            self.levels.extend(tree.children(level));
            self.levels[first..].reverse();
            if path.len() < 2 {
                continue;
            }
            let labels = Labels::of_level(&path);
            if [Label::Scope, Label::Id, Label::Parent]
                .iter()
                .any(|&label| !matches(label, labels.get(label)))
            {
                continue;
            }
            for &(metric, series) in tree.level(level).series() {
                if shard.chain(series).is_empty() || leaf.metrics.binary_search(&metric).is_err() {
                    continue;
                }
                left = left.saturating_sub(1);
                let mut labels = labels.clone();
                labels.set(Label::Name, &exposed_name(&shard.metrics().get(metric).name));
                self.found.push((series, metric, labels));
            }
        }
        Ok(())
    }

    /// Begins to read a series, at the times of its newest buffer's grid.
    fn begin(
        &mut self,
        shard: &Shard,
        leaf: &Leaf,
        series: SeriesId,
        metric: MetricId,
        labels: Labels,
    ) -> Result<(), PromError> {
        let frequency = shard.metrics().get(metric).frequency;
        let period_ms = frequency * 1000;
        let range_ms = match leaf.function {
            LeafFunction::Latest | LeafFunction::Timestamp => limits::PROMQL_LOOK_BACK_SLOTS * period_ms,
            LeafFunction::OverTime(_, _, range_ms) | LeafFunction::Samples(range_ms) => range_ms,
        };
        if leaf.grid.steps == 0 {
            return Ok(());
        }
        let from = (leaf.grid.start_ms - range_ms).div_euclid(1000);
        let to = leaf.grid.end_ms().div_euclid(1000) + 1;
        let chain = shard.chain(series);
        let Some(newest) = chain.newest() else { return Ok(()) };
        let phase = newest.first_write(frequency);
        let from = phase + (from - phase).div_euclid(frequency) * frequency;
        let Some(span) = chain.span(from, to).filter(|span| span.values > 0) else { return Ok(()) };
        self.values = self.values.saturating_add(span.values as u64);
        if self.values > self.question.values_max {
            return Err(PromError::too_large(self.question.values_max, "values (query-limit)"));
        }
        if span.values > limits::PROMQL_SERIES_SLOTS_MAX {
            return Err(PromError::too_large(limits::PROMQL_SERIES_SLOTS_MAX as u64, "slots of a series"));
        }
        let mut reading = Reading {
            series,
            labels,
            slots_wanted: span.values,
            first_ms: span.from * 1000,
            period_ms,
            range_ms,
            slots: Vec::with_capacity(span.values),
            steps: Vec::new(),
        };
        reading.read_piece(shard);
        self.reading = Some(reading);
        Ok(())
    }

    /// Does the next part of a series.
    fn go_on(&mut self, shard: &Shard, leaf: &Leaf, mut reading: Reading) -> Result<(), PromError> {
        if reading.slots.len() < reading.slots_wanted {
            reading.read_piece(shard);
            self.reading = Some(reading);
            return Ok(());
        }
        match leaf.function {
            LeafFunction::Samples(_) => self.take_samples(leaf, reading),
            _ => self.compute(leaf, reading),
        }
    }

    /// The samples of a range as they are.
    fn take_samples(&mut self, leaf: &Leaf, reading: Reading) -> Result<(), PromError> {
        let Reading { labels, first_ms, period_ms, range_ms, mut slots, .. } = reading;
        let samples = Samples { first_ms, period_ms, values: &slots };
        let (start_ms, end_ms) = (leaf.grid.start_ms, leaf.grid.end_ms());
        let window = samples.window(end_ms, end_ms - start_ms + range_ms);
        slots.truncate(window.end);
        slots.drain(..window.start);
        let first_ms = first_ms + window.start as i64 * period_ms;
        let series = Series { labels, first_ms, period_ms, values: slots };
        if !series.has_values() {
            return Ok(());
        }
        self.count_points(series.values.len(), true)?;
        self.answer.series[self.leaf].push(series);
        Ok(())
    }

    /// Computes some steps of a series.
    fn compute(&mut self, leaf: &Leaf, mut reading: Reading) -> Result<(), PromError> {
        // At one time again and again, the first is all of them.
        let steps = if leaf.grid.step_ms == 0 { leaf.grid.steps.min(1) } else { leaf.grid.steps };
        let mut slots_left = limits::PROMQL_SLOTS_PER_STEP;
        if reading.steps.is_empty() {
            reading.steps.reserve_exact(leaf.grid.steps);
        }
        while reading.steps.len() < steps && slots_left > 0 {
            let time_ms = leaf.grid.time_ms(reading.steps.len());
            let (value, looked_at) = self.value(leaf, &reading, time_ms)?;
            slots_left = slots_left.saturating_sub(looked_at);
            self.looked_at = self.looked_at.saturating_add(looked_at as u64);
            if self.looked_at > self.question.values_max {
                let what = "values in the ranges of all steps (query-limit)";
                return Err(PromError::too_large(self.question.values_max, what));
            }
            reading.steps.push(value);
        }
        if reading.steps.len() < steps {
            self.reading = Some(reading);
            return Ok(());
        }
        let Reading { mut labels, steps: mut values, .. } = reading;
        values.resize(leaf.grid.steps, values.first().copied().unwrap_or(MISSING));
        if !values.iter().any(|&value| is_present(value)) {
            return Ok(());
        }
        if !leaf.function.keeps_name() {
            labels.set(Label::Name, "");
        }
        // Those that only their names told apart are of one level, so that they come one after the other.
        if self.previous.as_ref() == Some(&labels) {
            return Err(PromError::same_labels(&labels));
        }
        if leaf.aggregate.is_some() {
            let is_new = self.answer.groups[self.leaf].add(&labels, &values);
            self.previous = Some(labels);
            return self.count_points(if is_new { values.len() } else { 0 }, false);
        }
        self.count_points(values.len(), true)?;
        self.previous = Some(labels.clone());
        self.answer.series[self.leaf].push(Series { labels, first_ms: 0, period_ms: 0, values });
        Ok(())
    }

    /// What a leaf's function makes of a series at a time, and how many slots that took.
    fn value(&mut self, leaf: &Leaf, reading: &Reading, time_ms: i64) -> Result<(f64, usize), PromError> {
        let Reading { first_ms, period_ms, range_ms, slots, .. } = reading;
        let samples = Samples { first_ms: *first_ms, period_ms: *period_ms, values: slots };
        Ok(match leaf.function {
            LeafFunction::OverTime(function, parameters, _) => {
                samples.collect(time_ms, *range_ms, &mut self.scratch);
                let range = Ranged { samples: &self.scratch, end_ms: time_ms, range_ms: *range_ms };
                if !self.scratch.is_empty() {
                    function.check(parameters)?;
                }
                (over_time(function, parameters, &range), samples.window(time_ms, *range_ms).len() + 1)
            }
            LeafFunction::Timestamp => {
                let latest = samples.latest(time_ms, *range_ms);
                (latest.map_or(MISSING, |(sample_ms, _)| sample_ms as f64 / 1000.0), 1)
            }
            LeafFunction::Latest | LeafFunction::Samples(_) => {
                (samples.latest(time_ms, *range_ms).map_or(MISSING, |(_, value)| value), 1)
            }
        })
    }

    /// Counts a series that is about to be answered.
    fn count_points(&mut self, points: usize, is_series: bool) -> Result<(), PromError> {
        self.points += points;
        if self.points > limits::PROMQL_POINTS_MAX {
            return Err(PromError::too_large(limits::PROMQL_POINTS_MAX as u64, "points"));
        }
        if is_series && self.answer.series[self.leaf].len() >= limits::PROMQL_SERIES_MAX {
            return Err(PromError::too_large(limits::PROMQL_SERIES_MAX as u64, "series"));
        }
        Ok(())
    }
}
