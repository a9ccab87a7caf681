//! A strict reader of Prometheus' text format 0.0.4, for tests: what a scraper would only guess at, fails here.

use std::collections::{BTreeMap, BTreeSet};

/// A page of metrics.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Kind by name of the family.
    pub(crate) families: BTreeMap<String, String>,
    /// Value by name and labels, as they stand on the page.
    samples: BTreeMap<String, f64>,
}

impl Page {
    /// Reads a page.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line has an end");
        let mut page = Self::default();
        let (mut helped, mut family) = (String::new(), String::new());
        let mut with_values = BTreeSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("HELP has a text");
                assert!(help.len() > 5 && help.ends_with('.'), "{line}");
                assert!(!page.families.contains_key(name), "{name} comes twice");
                helped = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("TYPE has a kind");
                assert_eq!(name, helped, "HELP comes before TYPE");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                check_name(name, kind);
                page.families.insert(name.to_owned(), kind.to_owned());
                family = name.to_owned();
            } else {
                let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
                let name = check_series(series);
                let suffix = name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line}: astray"));
                let is_histogram = page.families[&family] == "histogram";
                let suffixes: &[&str] = if is_histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
                assert!(suffixes.contains(&suffix), "{line} in {family}");
                let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}: no number"));
                assert!(page.families[&family] == "gauge" || value >= 0.0, "{line}");
                assert!(page.samples.insert(series.to_owned(), value).is_none(), "{series} comes twice");
                with_values.insert(family.clone());
            }
        }
        let all: BTreeSet<String> = page.families.keys().cloned().collect();
        assert_eq!(with_values, all, "every family has values");
        page.check_histograms(text);
        page
    }

    /// The value of a name with its labels, as on the page.
    #[track_caller]
    pub(crate) fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("{series} is not there"))
    }

    /// The sum over all labels of a family.
    #[track_caller]
    pub(crate) fn sum(&self, name: &str) -> f64 {
        assert!(self.families.contains_key(name), "{name} is not there");
        let of_family = |series: &&String| series.split('{').next() == Some(name);
        self.samples.iter().filter(|(series, _)| of_family(series)).map(|(_, value)| value).sum()
    }

    fn check_histograms(&self, text: &str) {
        for name in self.families.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            let prefix = format!("{name}_bucket{{le=\"");
            let buckets: Vec<(f64, f64)> = text
                .lines()
                .filter_map(|line| line.strip_prefix(&prefix))
                .map(|rest| rest.split_once("\"} ").expect("one label"))
                .map(|(bound, count)| (bound.parse().expect("a bound"), count.parse().expect("a count")))
                .collect();
            assert!(buckets.len() > 5 && buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{buckets:?}");
            let (bound, count) = *buckets.last().expect("not empty");
            assert!(bound.is_infinite() && count == self.value(&format!("{name}_count")), "{name}");
            assert!((self.value(&format!("{name}_sum")) > 0.0) == (count > 0.0), "{name}");
        }
    }
}

fn check_name(name: &str, kind: &str) {
    assert!(name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()), "{name}");
    assert!(name.starts_with("cc_metric_store_") || name.starts_with("process_"), "{name}");
    assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
    if kind == "histogram" {
        assert!(name.ends_with("_seconds"), "{name} has no unit");
    }
}

/// Looks at a name and its labels; returns the name.
fn check_series(series: &str) -> &str {
    let Some((name, labels)) = series.split_once('{') else { return series };
    let mut rest = labels.strip_suffix('}').unwrap_or_else(|| panic!("{series}: no end"));
    let mut seen = BTreeSet::new();
    while !rest.is_empty() {
        let (label, text) = rest.split_once("=\"").unwrap_or_else(|| panic!("{series}: {rest}"));
        assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{series}");
        assert!(seen.insert(label), "{series}: twice");
        let end = text.find('"').unwrap_or_else(|| panic!("{series}: no quote"));
        assert!(!text[..end].contains('\\'), "no value of ours needs escapes: {series}");
        rest = text[end + 1..].strip_prefix(',').unwrap_or(&text[end + 1..]);
    }
    assert!(!seen.is_empty(), "{series}: braces without labels");
    name
}
