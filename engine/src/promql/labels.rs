//! What a series is called in PromQL: its name, cluster, host and level as labels.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::archive::scope::Scope;

/// A label that series have. The order is that of their names: answers are sorted by it, as in Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// `__name__`: the metric.
    Name,
    /// `cluster`.
    Cluster,
    /// `host`; `hostname` in questions means the same.
    Host,
    /// `id`: which of the levels of this scope.
    Id,
    /// `parent`: the levels between the host and the series' own, if there are any, joined by slashes.
    Parent,
    /// `scope`: `node`, `hwthread`, …, as in the archive (SPEC section 6).
    Scope,
}

impl Label {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Name, Self::Cluster, Self::Host, Self::Id, Self::Parent, Self::Scope];

    /// Its name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Name => "__name__",
            Self::Cluster => "cluster",
            Self::Host => "host",
            Self::Scope => "scope",
            Self::Id => "id",
            Self::Parent => "parent",
        }
    }

    /// The label that a question calls so.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        if name == "hostname" {
            return Some(Self::Host);
        }
        Self::ALL.into_iter().find(|label| label.name() == name)
    }
}

/// Some of the labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelSet(u8);

impl LabelSet {
    /// All of them.
    pub const ALL: Self = Self((1 << Label::ALL.len()) - 1);

    /// With this one.
    #[must_use]
    pub fn with(self, label: Label) -> Self {
        Self(self.0 | (1 << label as u8))
    }

    /// Without this one.
    #[must_use]
    pub fn without(self, label: Label) -> Self {
        Self(self.0 & !(1 << label as u8))
    }

    /// Whether this one is in it.
    #[must_use]
    pub fn has(self, label: Label) -> bool {
        self.0 & (1 << label as u8) != 0
    }
}

/// The labels of one series; an empty one is as good as none.
///
/// Sorted as Prometheus sorts: by name and value of the first label that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels([Box<str>; Label::ALL.len()]);

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Labels {
    /// Those of a level: its names from the cluster down. The metric's name is still empty.
    #[must_use]
    pub fn of_level(path: &[&str]) -> Self {
        let mut labels = Self::default();
        let [cluster, host, below @ ..] = path else { return labels };
        let scope = Scope::of(below);
        labels.set(Label::Cluster, cluster);
        labels.set(Label::Host, host);
        labels.set(Label::Scope, scope.scope);
        labels.set(Label::Id, scope.id);
        if let [parents @ .., _] = below
            && !parents.is_empty()
        {
            labels.set(Label::Parent, &parents.join("/"));
        }
        labels
    }

    /// The value of a label; empty if there is none.
    #[must_use]
    pub fn get(&self, label: Label) -> &str {
        &self.0[label as usize]
    }

    /// Gives a label a value.
    pub fn set(&mut self, label: Label, value: &str) {
        self.0[label as usize] = value.into();
    }

    /// Only those of the set.
    #[must_use]
    pub fn only(&self, set: LabelSet) -> Self {
        let mut labels = Self::default();
        for label in Label::ALL.into_iter().filter(|&label| set.has(label)) {
            labels.set(label, self.get(label));
        }
        labels
    }

    /// Those that are not empty, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        Label::ALL
            .into_iter()
            .map(|label| (label.name(), self.get(label)))
            .filter(|(_, value)| !value.is_empty())
    }
}

/// The name of a metric as PromQL can write it: every other character becomes `_`.
#[must_use]
pub fn exposed_name(name: &str) -> Cow<'_, str> {
    let is_good = |at: usize, c: char| {
        c == '_' || c == ':' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit())
    };
    if name.char_indices().all(|(at, c)| is_good(at, c)) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.char_indices().map(|(at, c)| if is_good(at, c) { c } else { '_' }).collect())
}
