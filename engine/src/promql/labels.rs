//! What a series is called in PromQL: its name, cluster, host and level as labels.

use std::borrow::Cow;

use crate::archive::scope::Scope;
use crate::limits;

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

/// The labels that an aggregation or a match keeps, or leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    known: LabelSet,
    others: Vec<Box<str>>,
    is_without: bool,
    lists_name: bool,
}

impl Grouping {
    /// `by` or `on` these names.
    pub fn by<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut grouping = Self::default();
        for name in names {
            match Label::of_name(name) {
                Some(label) => {
                    grouping.known = grouping.known.with(label);
                    grouping.lists_name |= label == Label::Name;
                }
                None => grouping.others.push(name.into()),
            }
        }
        grouping
    }

    /// `without` or `ignoring` these names; the metric's name is left out as well.
    pub fn without<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let listed = Self::by(names);
        let known = LabelSet(LabelSet::ALL.0 & !listed.known.0).without(Label::Name);
        Self { known, others: listed.others, is_without: true, lists_name: listed.lists_name }
    }

    /// Whether it lists what is left out, and the metric's name is not in the list.
    #[must_use]
    pub fn spares_name(&self) -> bool {
        self.is_without && !self.lists_name
    }

    /// Keeps one more, if it lists what is kept.
    pub fn keep(&mut self, name: &str) {
        let listed = Self::by([name]);
        if !self.is_without {
            self.known = LabelSet(self.known.0 | listed.known.0);
            self.others.extend(listed.others);
        }
    }

    fn keeps_other(&self, name: &str) -> bool {
        self.others.iter().any(|other| **other == *name) != self.is_without
    }
}

/// The labels of one series; an empty one is as good as none.
///
/// Sorted as Prometheus sorts: by name and value of the first label that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels {
    known: [Box<str>; Label::ALL.len()],
    /// Those that a question made up, in order.
    others: Vec<(Box<str>, Box<str>)>,
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
        &self.known[label as usize]
    }

    /// Gives a label a value.
    pub fn set(&mut self, label: Label, value: &str) {
        self.known[label as usize] = value.into();
    }

    /// The value of the label of this name; empty if there is none.
    #[must_use]
    pub fn named(&self, name: &str) -> &str {
        match Label::of_name(name) {
            Some(label) => self.get(label),
            None => self.others.iter().find(|(other, _)| **other == *name).map_or("", |(_, value)| value),
        }
    }

    /// Gives the label of this name a value; an empty one takes it away.
    pub fn set_named(&mut self, name: &str, value: &str) {
        let Some(label) = Label::of_name(name) else {
            let place = self.others.binary_search_by(|(other, _)| (**other).cmp(name));
            match (place, value) {
                (Ok(place), "") => drop(self.others.remove(place)),
                (Ok(place), _) => self.others[place].1 = value.into(),
                (Err(_), "") => {}
                (Err(place), _) => self.others.insert(place, (name.into(), value.into())),
            }
            return;
        };
        self.set(label, value);
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

    /// Those that a grouping keeps.
    #[must_use]
    pub fn grouped(&self, grouping: &Grouping) -> Self {
        let mut labels = self.only(grouping.known);
        let kept = self.others.iter().filter(|(name, _)| grouping.keeps_other(name));
        labels.others = kept.cloned().collect();
        labels
    }

    /// Those that are not empty, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let known = Label::ALL.into_iter().map(|label| (label.name(), self.get(label)));
        let mut known = known.filter(|(_, value)| !value.is_empty()).peekable();
        let mut others = self.others.iter().map(|(name, value)| (&**name, &**value)).peekable();
        std::iter::from_fn(move || match (known.peek(), others.peek()) {
            (Some(a), Some(b)) if b.0 < a.0 => others.next(),
            (Some(_), _) => known.next(),
            (None, _) => others.next(),
        })
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

/// Whether a label may be called so.
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    let is_good =
        |(at, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit());
    (1..=limits::PROMQL_LABEL_NAME_BYTES_MAX).contains(&name.len()) && name.char_indices().all(is_good)
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
