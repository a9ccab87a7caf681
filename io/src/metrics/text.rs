//! Prometheus' text format, version 0.0.4: families with their help, kind and values.
//!
//! Written here and not by a crate, see `docs/decisions/0001-libraries.md`.

use std::fmt::{Display, Write as _};

use engine::durations::{BOUNDS_NS, DurationCounts};

/// The media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sums that only grow while the process lives; the name ends in `_total`.
    Counter,
    /// What is so now.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

/// A page while it is written.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Begins a family; its values follow at once. A name is begun once.
    ///
    /// # Panics
    /// Debug builds: if the name breaks Prometheus' conventions.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> Family<'_> {
        debug_assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
        debug_assert!(name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()), "{name}");
        debug_assert!(!help.contains(['\n', '\\']), "{name}");
        let kind_name = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.push(format_args!("# HELP {name} {help}\n# TYPE {name} {kind_name}\n"));
        Family { text: self, name }
    }

    /// Begins a family with one value and no labels.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &'static str, value: impl Display) {
        self.family(name, kind, help).value(&[], value);
    }

    /// The page.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("a String takes everything");
    }

    fn line(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        self.0.push_str(suffix);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.push(format_args!("{}{label}=\"", if index == 0 { '{' } else { ',' }));
            for character in text.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    _ => self.0.push(character),
                }
            }
            self.0.push('"');
        }
        self.push(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }
}

/// A family whose values are written.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut Text,
    name: &'static str,
}

impl Family<'_> {
    /// One value, with its labels and their texts.
    pub fn value(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.text.line(self.name, "", labels, value);
    }

    /// One histogram without labels, in seconds.
    pub fn durations(&mut self, counts: &DurationCounts) {
        let mut sum = 0;
        for (bound_ns, count) in BOUNDS_NS.iter().zip(counts.buckets) {
            sum += count;
            let bound = (*bound_ns as f64 / 1e9).to_string();
            self.text.line(self.name, "_bucket", &[("le", &bound)], sum);
        }
        self.text.line(self.name, "_bucket", &[("le", "+Inf")], counts.count());
        self.text.line(self.name, "_sum", &[], counts.sum_ns as f64 / 1e9);
        self.text.line(self.name, "_count", &[], counts.count());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::durations::Durations;

    use super::*;

    #[test]
    fn a_family_is_help_type_and_values() {
        let mut text = Text::default();
        let mut family = text.family("lines_total", Kind::Counter, "Lines.");
        family.value(&[], 7);
        family.value(&[("core", "0"), ("why", "a\"b\\c\nd")], u64::MAX);
        text.single("age_seconds", Kind::Gauge, "Age.", 0.25);
        assert_eq!(
            text.into_string(),
            "# HELP lines_total Lines.\n# TYPE lines_total counter\nlines_total 7\n\
             lines_total{core=\"0\",why=\"a\\\"b\\\\c\\nd\"} 18446744073709551615\n\
             # HELP age_seconds Age.\n# TYPE age_seconds gauge\nage_seconds 0.25\n"
        );
    }

    #[test]
    fn buckets_of_a_histogram_are_sums_up_to_all() {
        let durations = Durations::default();
        for millis in [1, 1, 3, 60_000] {
            durations.count(Duration::from_millis(millis));
        }
        let mut text = Text::default();
        text.family("sync_seconds", Kind::Histogram, "Syncs.").durations(&durations.get());
        let text = text.into_string();
        for line in [
            "sync_seconds_bucket{le=\"0.0005\"} 0",
            "sync_seconds_bucket{le=\"0.001\"} 2",
            "sync_seconds_bucket{le=\"0.005\"} 3",
            "sync_seconds_bucket{le=\"10\"} 3",
            "sync_seconds_bucket{le=\"+Inf\"} 4",
            "sync_seconds_sum 60.005",
            "sync_seconds_count 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
