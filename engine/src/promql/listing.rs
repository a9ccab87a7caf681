//! The owner's side of a list: which series, label names or values its hosts have. No sample is read.
//!
//! It works in steps like [`scan`](super::scan), and leaves out whole clusters and hosts as soon as they can add nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use super::PromError;
use super::expression::Leaf;
use super::labels::{Label, LabelSet, Labels, exposed_name};
use crate::archive::scope::Scope;
use crate::config::MetricId;
use crate::limits;
use crate::memory::shard::Shard;
use crate::series::tree::{LevelId, ROOT};

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// All labels of each series.
    Series,
    /// The names of the labels that series have.
    Names,
    /// The values of one label.
    Values(Label),
}

/// A list that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuestion {
    /// What is listed.
    pub listed: Listed,
    /// Series count that have a slot within these times, in seconds since 1970; `None`: at any time.
    pub times: Option<Range<i64>>,
    /// The first so many entries are wanted, and one more if there is one.
    pub entries_max: usize,
    /// Most bytes of memory that the entries may take.
    pub bytes_max: u64,
}

/// A list, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Series, if these are listed.
    pub series: BTreeSet<Labels>,
    /// Else names or values.
    pub texts: BTreeSet<Box<str>>,
    /// What the entries take, about.
    pub bytes: u64,
}

impl Listing {
    /// What an entry takes beside its text.
    const ENTRY_BYTES: u64 = 48;

    /// What is said of a list that is too large.
    #[must_use]
    pub fn too_large(bytes_max: u64) -> String {
        format!("the list takes more than {bytes_max} bytes (query-limit): select less, or give a limit")
    }

    fn bytes_of_series(labels: &Labels) -> u64 {
        let texts: usize = labels.iter().map(|(_, value)| value.len().next_multiple_of(16)).sum();
        Self::ENTRY_BYTES + (size_of::<Labels>() + texts) as u64
    }

    fn bytes_of_text(text: &str) -> u64 {
        Self::ENTRY_BYTES + text.len().next_multiple_of(16) as u64
    }

    fn add_series(&mut self, labels: Labels) {
        let bytes = Self::bytes_of_series(&labels);
        if self.series.insert(labels) {
            self.bytes += bytes;
        }
    }

    fn add_text(&mut self, text: &str) {
        if !text.is_empty() && !self.texts.contains(text) {
            self.bytes += Self::bytes_of_text(text);
            self.texts.insert(text.into());
        }
    }

    /// Leaves only the first entries.
    fn truncate(&mut self, entries_max: usize) {
        while self.series.len() > entries_max {
            self.bytes -= self.series.pop_last().map_or(0, |last| Self::bytes_of_series(&last));
        }
        while self.texts.len() > entries_max {
            self.bytes -= self.texts.pop_last().map_or(0, |last| Self::bytes_of_text(&last));
        }
    }
}

/// A list being made by its core.
#[derive(Debug)]
pub struct ListScan {
    question: ListQuestion,
    leaf: usize,
    /// Levels still to be looked at, the next one last.
    levels: Vec<LevelId>,
    /// How many of them are not of this cluster, and of this host.
    cluster_begin: usize,
    host_begin: usize,
    /// Metrics of the leaf whose names are not listed yet, if names of metrics are.
    metrics: Vec<MetricId>,
    /// Names that are listed, if names of labels are.
    names: LabelSet,
    listing: Listing,
}

/// A level below which series may be.
struct Place<'a> {
    cluster: &'a str,
    host: &'a str,
    scope: Scope<'a>,
    parent: Cow<'a, str>,
}

impl<'a> Place<'a> {
    /// `None` for what is no host's.
    fn of(path: &[&'a str]) -> Option<Self> {
        let [cluster, host, below @ ..] = path else { return None };
        let parent = match below {
            [] | [_] => Cow::Borrowed(""),
            [parent, _] => Cow::Borrowed(*parent),
            [parents @ .., _] => Cow::Owned(parents.join("/")),
        };
        Some(Self { cluster, host, scope: Scope::of(below), parent })
    }

    /// The value of a label other than the name.
    fn get(&self, label: Label) -> &str {
        match label {
            Label::Name => "",
            Label::Cluster => self.cluster,
            Label::Host => self.host,
            Label::Scope => self.scope.scope,
            Label::Id => self.scope.id,
            Label::Parent => &self.parent,
        }
    }
}

impl ListScan {
    /// A list without entries yet.
    #[must_use]
    pub fn new(question: ListQuestion, leaves: &[Leaf]) -> Self {
        let metrics = leaves.first().map_or(Vec::new(), |leaf| leaf.metrics.clone());
        Self {
            question,
            leaf: 0,
            levels: vec![ROOT],
            cluster_begin: 0,
            host_begin: 0,
            metrics,
            names: LabelSet::default(),
            listing: Listing::default(),
        }
    }

    /// Does a small part of the work; the list when that was the last.
    ///
    /// # Errors
    /// More bytes than are allowed.
    pub fn step(&mut self, shard: &Shard, leaves: &[Leaf]) -> Result<Option<Listing>, PromError> {
        let Some(leaf) = leaves.get(self.leaf) else { return Ok(Some(std::mem::take(&mut self.listing))) };
        if self.levels.is_empty() || leaf.metrics.is_empty() {
            self.leaf += 1;
            self.levels = vec![ROOT];
            self.metrics = leaves.get(self.leaf).map_or(Vec::new(), |leaf| leaf.metrics.clone());
            return Ok(None);
        }
        let has_patterns = leaf.matchers.iter().any(|(_, matcher)| matcher.is_pattern());
        let level_cost = if has_patterns { limits::PROMQL_LEVELS_PER_PATTERN } else { 1 };
        let mut left = limits::PROMQL_LEVELS_PER_STEP;
        while left > 0
            && let Some(level) = self.levels.pop()
        {
            left = left.saturating_sub(level_cost + self.look_at(shard, leaf, level));
        }
        self.listing.truncate(self.question.entries_max.saturating_add(1));
        let bytes_max = self.question.bytes_max;
        if self.listing.bytes > bytes_max {
            return Err(PromError::Execution(Listing::too_large(bytes_max)));
        }
        Ok(None)
    }

    /// Lists what is at a level, and notes the levels below; returns how many series were looked at.
    fn look_at(&mut self, shard: &Shard, leaf: &Leaf, level: LevelId) -> usize {
        let matches = |label: Label, value: &str| {
            leaf.matchers.iter().filter(|(of, _)| *of == label).all(|(_, matcher)| matcher.is_match(value))
        };
        let tree = shard.tree();
        let path = tree.path(level);
        let is_meant = match path[..] {
            [cluster] => {
                self.cluster_begin = self.levels.len();
                matches(Label::Cluster, cluster)
            }
            [_, host] => {
                self.host_begin = self.levels.len();
                matches(Label::Host, host)
            }
            _ => true,
        };
        if !is_meant {
            return 0;
        }
        let first = self.levels.len();
        self.levels.extend(tree.children(level));
        self.levels[first..].reverse();
        let Some(place) = Place::of(&path) else { return 0 };
        if [Label::Scope, Label::Id, Label::Parent].iter().any(|&label| !matches(label, place.get(label))) {
            return 0;
        }
        self.list_series(shard, leaf, level, &place)
    }

    /// Lists the series of a level; returns how many were looked at.
    fn list_series(&mut self, shard: &Shard, leaf: &Leaf, level: LevelId, place: &Place<'_>) -> usize {
        let listed = self.question.listed;
        let labels = || Label::ALL.into_iter().filter(|&label| !place.get(label).is_empty());
        let adds_nothing = match listed {
            Listed::Series | Listed::Values(Label::Name) => false,
            Listed::Names => self.names.has(Label::Name) && labels().all(|label| self.names.has(label)),
            Listed::Values(label) => {
                let value = place.get(label);
                value.is_empty() || self.listing.texts.contains(value)
            }
        };
        if adds_nothing {
            return 0;
        }
        let mut looked_at = 0;
        for &(metric, series) in shard.tree().level(level).series() {
            let wanted = if listed == Listed::Values(Label::Name) { &self.metrics } else { &leaf.metrics };
            let Ok(index) = wanted.binary_search(&metric) else { continue };
            looked_at += 1;
            let chain = shard.chain(series);
            let is_there = match &self.question.times {
                None => !chain.is_empty(),
                Some(times) => chain.span(times.start, times.end).is_some_and(|span| span.values > 0),
            };
            if !is_there {
                continue;
            }
            let name = exposed_name(&shard.metrics().get(metric).name);
            match listed {
                Listed::Series => {
                    let mut labels = Labels::default();
                    labels.set(Label::Name, &name);
                    Label::ALL.iter().skip(1).for_each(|&label| labels.set(label, place.get(label)));
                    self.listing.add_series(labels);
                    continue;
                }
                Listed::Values(Label::Name) => {
                    self.listing.add_text(&name);
                    self.metrics.remove(index);
                    if self.metrics.is_empty() {
                        self.levels.clear();
                        break;
                    }
                    continue;
                }
                Listed::Values(label) => {
                    self.listing.add_text(place.get(label));
                    match label {
                        Label::Cluster => self.levels.truncate(self.cluster_begin),
                        Label::Host => self.levels.truncate(self.host_begin),
                        _ => {}
                    }
                }
                Listed::Names => {
                    for label in labels().chain([Label::Name]) {
                        self.names = self.names.with(label);
                        self.listing.add_text(label.name());
                    }
                    if self.names == LabelSet::ALL {
                        self.levels.clear();
                    }
                }
            }
            // All series of a level say the same.
            break;
        }
        looked_at
    }
}
