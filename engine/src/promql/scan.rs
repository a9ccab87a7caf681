//! The owner's side of a question: finds the series of its hosts, reads them, and computes what stands right above the selectors.
//!
//! It works in steps, each bounded by levels looked at or slots read; the answer is bounded in series and points.

use std::sync::Arc;

use super::PromError;
use super::evaluate::{Groups, Series};
use super::labels::{Label, LabelSet, Labels, exposed_name};
use super::listing::{ListQuestion, ListScan, Listing};
use super::plan::Leaf;
use super::window::{Function, Samples};
use crate::config::MetricId;
use crate::limits;
use crate::memory::chain::Run;
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
    /// Values at `start_ms, start_ms + step_ms, …`.
    Steps {
        /// The first, in milliseconds since 1970.
        start_ms: i64,
        /// Between two of them.
        step_ms: i64,
        /// How many; at most [`limits::PROMQL_STEPS_MAX`].
        steps: usize,
    },
    /// The samples of the leaf's range before this time, in milliseconds since 1970.
    Samples {
        /// The time.
        end_ms: i64,
    },
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
    answer: PromAnswer,
    /// Instead of all this, if a list is wanted.
    list: Option<ListScan>,
}

/// A series that is being read, and then computed.
#[derive(Debug)]
struct Reading {
    series: SeriesId,
    labels: Labels,
    /// How many slots are to be read.
    slots_wanted: usize,
    first_ms: i64,
    period_ms: i64,
    range_ms: i64,
    slots: Vec<f64>,
    steps: Vec<f64>,
}

impl Reading {
    /// Reads some more slots. What has been freed meanwhile is missing.
    fn read_piece(&mut self, shard: &Shard) {
        let (chain, frequency) = (shard.chain(self.series), self.period_ms / 1000);
        let end = self.slots_wanted.min(self.slots.len() + limits::PROMQL_SLOTS_PER_STEP);
        let time_of = |slot: usize| self.first_ms / 1000 + slot as i64 * frequency;
        let (from, to) = (time_of(self.slots.len()), time_of(end));
        if let Some(span) = chain.span(from, to).filter(|span| span.from < to) {
            // To stay on the grid, by whole slots.
            let freed = (span.from - from + frequency - 1) / frequency;
            self.slots.resize((self.slots.len() + freed as usize).min(end), f64::NAN);
            let slots = &mut self.slots;
            chain.read(from + freed * frequency, to, shard.pool(), |run| match run {
                Run::Missing(count) => slots.extend(std::iter::repeat_n(f64::NAN, count)),
                Run::Stored(values) => slots.extend_from_slice(values),
            });
        }
        self.slots.resize(end, f64::NAN);
    }
}

impl PromScan {
    /// A question not yet looked at.
    #[must_use]
    pub fn new(question: Arc<PromQuestion>) -> Self {
        let answer = PromAnswer {
            series: question.leaves.iter().map(|_| Vec::new()).collect(),
            groups: question.leaves.iter().map(|leaf| Groups::new(leaf.aggregate)).collect(),
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
        let range_ms = leaf.range_ms.unwrap_or(limits::PROMQL_LOOK_BACK_SLOTS * period_ms);
        let (first_ms, last_ms) = match self.question.wanted {
            Wanted::Steps { start_ms, step_ms, steps } => {
                (start_ms, start_ms + step_ms * (steps.max(1) - 1) as i64)
            }
            Wanted::Samples { end_ms } => (end_ms, end_ms),
            Wanted::List(_) => unreachable!("what is listed is not read"),
        };
        let from = (first_ms - leaf.offset_ms - range_ms).div_euclid(1000);
        let to = (last_ms - leaf.offset_ms).div_euclid(1000) + 1;
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
        match self.question.wanted {
            Wanted::Samples { end_ms } => self.take_samples(leaf, reading, end_ms),
            _ => self.compute(leaf, reading),
        }
    }

    /// The samples of a range as they are.
    fn take_samples(&mut self, leaf: &Leaf, reading: Reading, end_ms: i64) -> Result<(), PromError> {
        let Reading { labels, first_ms, period_ms, range_ms, mut slots, .. } = reading;
        let samples = Samples { first_ms, period_ms, values: &slots };
        let window = samples.window(end_ms - leaf.offset_ms, range_ms);
        slots.truncate(window.end);
        slots.drain(..window.start);
        let first_ms = first_ms + window.start as i64 * period_ms + leaf.offset_ms;
        self.count_points(slots.len(), true)?;
        self.answer.series[self.leaf].push(Series { labels, first_ms, period_ms, values: slots });
        Ok(())
    }

    /// Computes some steps of a series.
    fn compute(&mut self, leaf: &Leaf, mut reading: Reading) -> Result<(), PromError> {
        let Wanted::Steps { start_ms, step_ms, steps } = self.question.wanted else {
            unreachable!("only steps are computed")
        };
        let samples =
            Samples { first_ms: reading.first_ms, period_ms: reading.period_ms, values: &reading.slots };
        let mut slots_left = limits::PROMQL_SLOTS_PER_STEP;
        if reading.steps.is_empty() {
            reading.steps.reserve_exact(steps);
        }
        while reading.steps.len() < steps && slots_left > 0 {
            let time_ms = start_ms + reading.steps.len() as i64 * step_ms - leaf.offset_ms;
            let window = samples.window(time_ms, reading.range_ms);
            let looked_at = if leaf.range_ms.is_some() { window.len() + 1 } else { 1 };
            slots_left = slots_left.saturating_sub(looked_at);
            self.looked_at = self.looked_at.saturating_add(looked_at as u64);
            if self.looked_at > self.question.values_max {
                let what = "values in the ranges of all steps (query-limit)";
                return Err(PromError::too_large(self.question.values_max, what));
            }
            reading.steps.push(samples.at(leaf.function, time_ms, reading.range_ms));
        }
        if reading.steps.len() < steps {
            self.reading = Some(reading);
            return Ok(());
        }
        let Reading { mut labels, steps: values, .. } = reading;
        if values.iter().all(|value| value.is_nan()) {
            return Ok(());
        }
        if leaf.function != Function::Latest {
            labels = labels.only(LabelSet::ALL.without(Label::Name));
        }
        if leaf.aggregate.is_some() {
            let is_new = self.answer.groups[self.leaf].add(&labels, &values);
            return self.count_points(if is_new { values.len() } else { 0 }, false);
        }
        self.count_points(values.len(), true)?;
        self.answer.series[self.leaf].push(Series { labels, first_ms: start_ms, period_ms: step_ms, values });
        Ok(())
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
