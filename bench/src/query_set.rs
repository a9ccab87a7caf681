//! The queries of DESIGN's table as requests, and what their answers must hold.
//!
//! Used by the program `queries`, which measures their round trips. The data is that of a [`Site`] of 200 hosts with one
//! metric per hardware thread and five of the node, a value a minute for 31 hours; values are those of
//! [`crate::values`].

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    options::SiteOptions,
    site::{CLUSTER, Site},
    timeline::Timeline,
    values::{Round, Shape},
};

/// The site that is loaded.
pub const SITE: SiteOptions = SiteOptions { hosts: 200, threads: 72, thread_metrics: 1, node_metrics: 5 };
/// Minutes loaded: 31 hours.
pub const MINUTES: u32 = 31 * 60;
const DAY: u64 = 24 * 60;
/// Hosts of the largest query: 32 × 72 are the first 2,300 series or more.
const MANY_HOSTS: u32 = 32;

/// One query of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// One series over a day.
    OneSeries,
    /// The 72 threads of one host over a day.
    AllThreads,
    /// Their sum.
    Aggregate,
    /// Five metrics of the node of 20 hosts over an hour.
    ManySmall,
    /// Statistics alone of the sums of 200 hosts over a day.
    Statistics,
    /// 2,304 series over 31 hours.
    ManySeries,
}

impl Query {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::OneSeries,
        Self::AllThreads,
        Self::Aggregate,
        Self::ManySmall,
        Self::Statistics,
        Self::ManySeries,
    ];

    /// Its line in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OneSeries => "one series, 24 h",
            Self::AllThreads => "72 series, 24 h",
            Self::Aggregate => "sum of 72, 24 h",
            Self::ManySmall => "20 hosts × 5 metrics, 1 h",
            Self::Statistics => "statistics of 200 sums, 24 h",
            Self::ManySeries => "2,304 series, 31 h",
        }
    }

    /// What the reference takes (DESIGN), in milliseconds.
    #[must_use]
    pub fn reference_ms(self) -> Option<f64> {
        match self {
            Self::OneSeries => Some(0.64),
            Self::AllThreads => Some(12.0),
            Self::Aggregate => Some(0.86),
            Self::ManySmall => Some(1.2),
            Self::Statistics => Some(73.0),
            Self::ManySeries => None,
        }
    }

    /// The longest median round trip that reaches the goal, in milliseconds: a fifth of the reference's, a second for
    /// the largest.
    #[must_use]
    pub fn goal_ms(self) -> f64 {
        self.reference_ms().map_or(1000.0, |reference| reference / 5.0)
    }

    /// Hosts asked for.
    fn hosts(self) -> u32 {
        match self {
            Self::OneSeries | Self::AllThreads | Self::Aggregate => 1,
            Self::ManySmall => 20,
            Self::Statistics => SITE.hosts,
            Self::ManySeries => MANY_HOSTS,
        }
    }

    /// Minutes asked for, up to the last one loaded.
    fn minutes(self) -> u64 {
        match self {
            Self::ManySmall => 60,
            Self::ManySeries => u64::from(MINUTES),
            _ => DAY,
        }
    }

    /// Results in an answer.
    #[must_use]
    pub fn results(self) -> usize {
        match self {
            Self::OneSeries | Self::Aggregate => 1,
            Self::AllThreads => 72,
            Self::ManySmall => 100,
            Self::Statistics => SITE.hosts as usize,
            Self::ManySeries => 72 * MANY_HOSTS as usize,
        }
    }

    /// Values in an answer.
    #[must_use]
    pub fn values(self) -> usize {
        if self == Self::Statistics { 0 } else { self.results() * self.minutes() as usize }
    }

    /// The request. `first_host` moves it to other hosts where only some are asked for.
    #[must_use]
    pub fn request(self, site: &Site, timeline: Timeline, addr: SocketAddr, first_host: u32) -> Vec<u8> {
        let threads: Vec<String> = (0..SITE.threads).map(|thread| thread.to_string()).collect();
        let metric = site.line(0).metric;
        let hosts = (first_host..first_host + self.hosts()).map(|host| site.host_name(host % SITE.hosts));
        let queries: Vec<Value> = hosts
            .flat_map(|host| match self {
                Self::OneSeries => {
                    vec![json!({"metric": metric, "host": host, "type": "hwthread", "type-ids": ["35"]})]
                }
                Self::AllThreads | Self::ManySeries => {
                    vec![json!({"metric": metric, "host": host, "type": "hwthread", "type-ids": threads})]
                }
                Self::Aggregate | Self::Statistics => vec![json!({"metric": metric, "host": host})],
                Self::ManySmall => (site.first_node_line()..site.lines_per_host())
                    .map(|line| json!({"metric": site.line(line).metric, "host": host}))
                    .collect(),
            })
            .collect();
        let first_slot = timeline.slots - self.minutes();
        let body = json!({
            "cluster": CLUSTER,
            "from": timeline.slot_seconds(first_slot),
            "to": timeline.slot_seconds(timeline.slots),
            "with-data": self != Self::Statistics,
            "queries": queries,
        })
        .to_string();
        let head = format!(
            "GET /api/query?version=v2 HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }

    /// Checks an answer: how many results and values it has, and the values of its first result.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(
        self,
        site: &Site,
        timeline: Timeline,
        seed: u64,
        first_host: u32,
        answer: &[u8],
    ) -> Result<(), String> {
        let answer: Value = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
        let lists = answer["results"].as_array().ok_or("no results")?;
        let results: Vec<&Value> = lists.iter().filter_map(Value::as_array).flatten().collect();
        if results.len() != self.results() {
            return Err(format!("{} results, expected {}", results.len(), self.results()));
        }
        let values: usize = results.iter().filter_map(|result| result["data"].as_array()).map(Vec::len).sum();
        if values != self.values() {
            return Err(format!("{values} values, expected {}", self.values()));
        }
        let first_slot = timeline.slots - self.minutes();
        let sent = |slot: u64| self.first_result(site, seed, first_host % SITE.hosts, slot);
        if self == Self::Statistics {
            let sum: f64 = (first_slot..timeline.slots).map(sent).sum();
            let (expected, got) = (sum / self.minutes() as f64, results[0]["avg"].as_f64());
            return match got {
                Some(got) if (got - expected).abs() <= 0.0051 => Ok(()),
                _ => Err(format!("an average of {got:?}, expected {expected}")),
            };
        }
        let data = results[0]["data"].as_array().map_or(&[][..], Vec::as_slice);
        for (slot, got) in (first_slot..timeline.slots).zip(data) {
            let expected = sent(slot);
            if !got.as_f64().is_some_and(|got| (got - expected).abs() < 0.0011) {
                return Err(format!("{got} at minute {slot}, expected {expected}"));
            }
        }
        Ok(())
    }

    /// What the first result holds in a slot.
    fn first_result(self, site: &Site, seed: u64, host: u32, slot: u64) -> f64 {
        let round = Round::new(seed, host, slot);
        let value = |line: u32| {
            let shape = Shape::of_line(line);
            shape.number(round.units(line, shape))
        };
        match self {
            Self::OneSeries => value(35),
            Self::AllThreads | Self::ManySeries => value(0),
            Self::Aggregate | Self::Statistics => (0..SITE.threads).map(value).sum(),
            Self::ManySmall => value(site.first_node_line()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_noticed() {
        let site = Site::new(&SITE);
        let timeline = Timeline { start_seconds: 1_700_000_000, interval_seconds: 60, slots: 1860 };
        let query = Query::OneSeries;
        let data: Vec<f64> = (420..1860).map(|slot| query.first_result(&site, 5, 3, slot)).collect();
        let answer = |data: &[f64]| json!({"results": [[{"data": data}]]}).to_string();
        let check = |answer: String| query.check(&site, timeline, 5, 3, answer.as_bytes());
        assert_eq!(check(answer(&data)), Ok(()));
        assert!(check(answer(&data[1..])).unwrap_err().contains("1439 values"));
        let mut wrong = data.clone();
        wrong[7] += 0.01;
        assert!(check(answer(&wrong)).unwrap_err().contains("minute 427"));
        assert!(check(json!({"results": [[]]}).to_string()).unwrap_err().contains("0 results"));
        assert!(check("{".into()).is_err());
        let other_seed = query.check(&site, timeline, 6, 3, answer(&data).as_bytes());
        assert!(other_seed.is_err());
    }

    #[test]
    fn requests_ask_for_what_their_names_say() {
        let site = Site::new(&SITE);
        let timeline = Timeline { start_seconds: 1_700_000_000, interval_seconds: 60, slots: 1860 };
        for query in Query::ALL {
            let request = query.request(&site, timeline, "127.0.0.1:1".parse().unwrap(), 190);
            let text = String::from_utf8(request).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())));
            let body: Value = serde_json::from_str(body).unwrap();
            let minutes = (body["to"].as_i64().unwrap() - body["from"].as_i64().unwrap()) / 60;
            assert_eq!(minutes, query.minutes() as i64);
            let count: usize = body["queries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|query| query["type-ids"].as_array().map_or(1, Vec::len))
                .sum();
            assert_eq!(count, query.results(), "{query:?}");
        }
        assert_eq!(Query::ManySeries.values(), 2304 * 1860);
    }
}
