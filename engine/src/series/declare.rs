//! Declarations: the names of new series on their way from the core that reads their lines to their owners.
//!
//! After the decoder has taken a key apart; before the owner's tree takes the names. A batch has one text for all.

use crate::config::MetricId;
use crate::limits;

/// Names of series, in the order of the sender's numbers for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declarations {
    /// All names, one behind the other.
    text: String,
    items: Vec<Item>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    metric: MetricId,
    names: u8,
    /// Where each name ends in the text; the first begins at `from`.
    from: u32,
    ends: [u32; limits::LOG_PATH_NAMES_MAX],
}

/// The names of one series.
#[derive(Clone, Copy, Debug)]
pub struct Declared<'a> {
    /// The metric.
    pub metric: MetricId,
    text: &'a str,
    item: &'a Item,
}

impl<'a> Declared<'a> {
    /// Cluster, host, and one or two levels below it.
    pub fn path(self) -> impl DoubleEndedIterator<Item = &'a str> + Clone {
        let Item { names, from, ends, .. } = *self.item;
        (0..usize::from(names)).map(move |index| {
            let from = if index == 0 { from } else { ends[index - 1] };
            &self.text[from as usize..ends[index] as usize]
        })
    }
}

impl Declarations {
    /// Adds a series; each name of its path comes in two parts.
    ///
    /// # Panics
    /// With more than [`limits::LOG_PATH_NAMES_MAX`] names, or 4 GB of them.
    pub fn push<'a>(&mut self, path: impl IntoIterator<Item = [&'a str; 2]>, metric: MetricId) {
        let place = |text: &str| u32::try_from(text.len()).expect("a batch of names is below 4 GB");
        let from = place(&self.text);
        let (mut names, mut ends) = (0, [0; limits::LOG_PATH_NAMES_MAX]);
        for parts in path {
            parts.into_iter().filter(|part| !part.is_empty()).for_each(|part| self.text.push_str(part));
            ends[usize::from(names)] = place(&self.text);
            names += 1;
        }
        self.items.push(Item { metric, names, from, ends });
    }

    /// The names of one series.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Declared<'_>> {
        let item = self.items.get(index)?;
        Some(Declared { metric: item.metric, text: &self.text, item })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Declared<'_>> {
        self.items.iter().map(|item| Declared { metric: item.metric, text: &self.text, item })
    }

    /// How many series are declared.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_whole() {
        let mut declarations = Declarations::default();
        assert!(declarations.is_empty());
        declarations.push([["c", ""], ["h", ""]], MetricId(3));
        declarations.push([["c", ""], ["h2", ""], ["hwthread", "35"], ["", ""]], MetricId(4));
        let paths: Vec<Vec<&str>> = declarations.iter().map(|declared| declared.path().collect()).collect();
        assert_eq!(paths, [&["c", "h"][..], &["c", "h2", "hwthread35", ""]]);
        let second = declarations.get(1).unwrap();
        assert_eq!((second.metric, second.path().next_back()), (MetricId(4), Some("")));
        assert!(declarations.get(2).is_none());
        assert_eq!(declarations.len(), 2);
    }
}
