//! One host's lines as bytes, prepared once; between sends only values and timestamps are overwritten in place.
//!
//! Comes after [`crate::site`] and [`crate::values`]; [`crate::sender`] sends what is here.

use std::io::Write as _;

use crate::{
    site::{CLUSTER, Site},
    values::{Round, Shape},
};

/// Width of every timestamp: seconds from 2001-09-09 to 2286-11-20 have ten digits.
pub const TIMESTAMP_BYTES: usize = 10;
/// First and last second that have exactly [`TIMESTAMP_BYTES`] digits.
pub const TIMESTAMP_SECONDS_RANGE: std::ops::RangeInclusive<i64> = 1_000_000_000..=9_999_999_999;

/// Where a line's value stands; the timestamp begins one space after it.
#[derive(Clone, Copy, Debug)]
struct Place {
    value_at: u32,
    shape: Shape,
}

/// One request: an optional prefix that is never touched (an HTTP head), then all lines of one host.
#[derive(Debug)]
pub struct Body {
    bytes: Vec<u8>,
    host: u32,
    places: Vec<Place>,
}

impl Body {
    /// The lines of `host`; values and timestamps are zeros until [`Self::patch`]. `head` makes the bytes
    /// before the lines from their length.
    #[must_use]
    pub fn new(site: &Site, host: u32, head: impl FnOnce(usize) -> String) -> Self {
        let host_name = site.host_name(host);
        let mut lines = Vec::new();
        let mut places = Vec::with_capacity(site.lines_per_host() as usize);
        for index in 0..site.lines_per_host() {
            let line = site.line(index);
            let shape = Shape::of_line(index);
            let metric = line.metric;
            write!(lines, "{metric},cluster={CLUSTER},hostname={host_name},")
                .expect("a Vec takes every write");
            match line.thread {
                Some(thread) => write!(lines, "type=hwthread,type-id={thread} value="),
                None => write!(lines, "type=node value="),
            }
            .expect("a Vec takes every write");
            places.push(Place { value_at: lines.len() as u32, shape });
            lines.resize(lines.len() + shape.width_bytes(), b'0');
            lines.push(b' ');
            lines.resize(lines.len() + TIMESTAMP_BYTES, b'0');
            lines.push(b'\n');
        }
        let mut bytes = head(lines.len()).into_bytes();
        for place in &mut places {
            place.value_at += bytes.len() as u32;
        }
        bytes.append(&mut lines);
        Self { bytes, host, places }
    }

    /// Makes this the body of `round` at `timestamp` (Unix seconds with ten digits).
    ///
    /// # Panics
    /// If the timestamp is outside [`TIMESTAMP_SECONDS_RANGE`].
    pub fn patch(&mut self, seed: u64, round: u64, timestamp: i64) {
        assert!(TIMESTAMP_SECONDS_RANGE.contains(&timestamp), "timestamp {timestamp} has not ten digits");
        let mut digits = [0u8; TIMESTAMP_BYTES];
        let mut rest = timestamp;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let values = Round::new(seed, self.host, round);
        for (line, place) in (0u32..).zip(&self.places) {
            let value_at = place.value_at as usize;
            let timestamp_at = value_at + place.shape.width_bytes() + 1;
            place.shape.write(values.units(line, place.shape), &mut self.bytes[value_at..timestamp_at - 1]);
            self.bytes[timestamp_at..timestamp_at + TIMESTAMP_BYTES].copy_from_slice(&digits);
        }
    }

    /// Everything to send: prefix and lines.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many lines it holds.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.places.len() as u64
    }

    /// The host whose lines these are.
    #[must_use]
    pub fn host(&self) -> u32 {
        self.host
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::options::SiteOptions;

    fn default_site() -> Site {
        Site::new(&SiteOptions { hosts: 200, threads: 72, thread_metrics: 10, node_metrics: 20 })
    }

    /// Splits a line of exactly the written form into series, value and timestamp.
    fn parse(line: &str) -> (&str, f64, i64) {
        let mut parts = line.split(' ');
        let series = parts.next().unwrap();
        let value = parts.next().unwrap().strip_prefix("value=").unwrap().parse().unwrap();
        let timestamp = parts.next().unwrap().parse().unwrap();
        assert_eq!(parts.next(), None);
        (series, value, timestamp)
    }

    #[test]
    fn a_host_sends_740_distinct_series_in_63_kilobytes() {
        let body = Body::new(&default_site(), 17, |_| String::new());
        let text = std::str::from_utf8(body.bytes()).unwrap();
        assert_eq!(body.lines(), 740);
        assert_eq!(text.lines().count(), 740);
        assert!((62_000..=64_500).contains(&text.len()), "{} bytes", text.len());
        let series: HashSet<&str> = text.lines().map(|line| parse(line).0).collect();
        assert_eq!(series.len(), 740);
        assert!(series.contains("flops_any,cluster=bench,hostname=f0017,type=hwthread,type-id=35"));
        assert!(series.contains("mem_used,cluster=bench,hostname=f0017,type=node"));
    }

    #[test]
    fn patching_changes_values_and_timestamps_and_nothing_else() {
        let site = default_site();
        let mut body = Body::new(&site, 3, |bytes| format!("head {bytes}\n"));
        let length = body.bytes().len();
        let mut previous: Vec<String> = Vec::new();
        for (round, timestamp) in [(0, 1_000_000_000), (1, 1_700_000_059), (2, 9_999_999_999)] {
            body.patch(42, round, timestamp);
            assert_eq!(body.bytes().len(), length);
            let text = std::str::from_utf8(body.bytes()).unwrap();
            let (head, lines) = text.split_once('\n').unwrap();
            assert_eq!(head, format!("head {}", lines.len()));
            let lines: Vec<String> = lines.lines().map(str::to_string).collect();
            let values = Round::new(42, 3, round);
            for (index, line) in (0u32..).zip(&lines) {
                let (series, value, time) = parse(line);
                let shape = Shape::of_line(index);
                assert_eq!(value, shape.number(values.units(index, shape)));
                assert_eq!(time, timestamp);
                if let Some(before) = previous.get(index as usize) {
                    assert_eq!(parse(before).0, series);
                }
            }
            let repeated = previous.iter().zip(&lines).filter(|(a, b)| parse(a).1 == parse(b).1).count();
            assert!(repeated < 10, "{repeated} of 740 values did not change");
            previous = lines;
        }
    }
}
