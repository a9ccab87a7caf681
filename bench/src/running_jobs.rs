//! The load that cc-backend 1.6 makes for its running jobs, as requests, and what their answers must hold.
//!
//! Used by the program `running-jobs`. Every few minutes cc-backend asks for the statistics of each running job, in one
//! query a job, without data (`with-data: false`): for every host of the job and every metric of the cluster one result
//! at node scope. A metric of the node is asked of the host itself; one that is measured by hardware thread is asked of all
//! threads of the host, aggregated. Its range is from the job's start to now.
//!
//! The set here: 200 jobs of 16 hosts of their own. Sixteen metrics of the node, as collectors send them for load, memory,
//! network, file systems and power, and two per hardware thread (of 16), a value a minute. A job is 1 to 24
//! hours old; so a third of them reach back behind a whole buffer of each series (512 minutes), and none behind three.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    options::SiteOptions,
    site::{CLUSTER, Site},
    timeline::Timeline,
    values::{Round, Shape},
};

/// Jobs that run.
pub const JOBS: u32 = 200;
/// Hosts of a job.
pub const HOSTS_PER_JOB: u32 = 16;
/// The site that is loaded.
pub const SITE: SiteOptions =
    SiteOptions { hosts: JOBS * HOSTS_PER_JOB, threads: 16, thread_metrics: 2, node_metrics: 16 };
/// Age of the oldest job.
pub const HOURS_MAX: u32 = 24;
/// Minutes loaded: the oldest job began a while after the first.
pub const MINUTES: u32 = HOURS_MAX * 60 + 30;

/// One running job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    number: u32,
}

impl Job {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..JOBS).map(|number| Self { number })
    }

    /// Minutes since its start: not whole hours, and neighbours in the queue differ.
    fn minutes(self) -> u64 {
        u64::from(self.number * 7 % HOURS_MAX * 60 + 60 - self.number % 30)
    }

    fn hosts(self) -> std::ops::Range<u32> {
        self.number * HOSTS_PER_JOB..(self.number + 1) * HOSTS_PER_JOB
    }

    /// Results in an answer.
    #[must_use]
    pub fn results() -> usize {
        (HOSTS_PER_JOB * (SITE.thread_metrics + SITE.node_metrics)) as usize
    }

    /// Values that an answer is made of.
    #[must_use]
    pub fn values(self) -> u64 {
        u64::from(HOSTS_PER_JOB * (SITE.thread_metrics * SITE.threads + SITE.node_metrics)) * self.minutes()
    }

    /// The request for its statistics.
    #[must_use]
    pub fn request(self, site: &Site, timeline: Timeline, addr: SocketAddr) -> Vec<u8> {
        let threads: Vec<String> = (0..SITE.threads).map(|thread| thread.to_string()).collect();
        let of_metric = |host: u32, index: u32| {
            let host = site.host_name(host);
            if index < SITE.thread_metrics {
                let metric = site.line(index * SITE.threads).metric;
                json!({"metric": metric, "host": host, "resolution": 0, "type": "hwthread", "type-ids": threads, "aggreg": true})
            } else {
                let metric = site.line(site.first_node_line() + index - SITE.thread_metrics).metric;
                json!({"metric": metric, "host": host, "resolution": 0, "aggreg": false})
            }
        };
        let metrics = 0..SITE.thread_metrics + SITE.node_metrics;
        let queries: Vec<Value> = metrics
            .flat_map(|index| self.hosts().map(move |host| (host, index)))
            .map(|(host, index)| of_metric(host, index))
            .collect();
        let body = json!({
            "cluster": CLUSTER,
            "queries": queries,
            "for-all-nodes": null,
            "from": timeline.slot_seconds(timeline.slots - self.minutes()),
            "to": timeline.slot_seconds(timeline.slots),
            "with-stats": true,
            "with-data": false,
        })
        .to_string();
        let head = format!(
            "GET /api/query?version=v2 HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }

    /// Checks an answer: how many results it has, and the average of the first of each kind.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(self, site: &Site, timeline: Timeline, seed: u64, answer: &[u8]) -> Result<(), String> {
        let answer: Value = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
        let lists = answer["results"].as_array().ok_or("no results")?;
        let results: Vec<&Value> = lists.iter().filter_map(|list| list.get(0)).collect();
        if results.len() != Self::results() {
            return Err(format!("{} results, expected {}", results.len(), Self::results()));
        }
        let first_node = (SITE.thread_metrics * HOSTS_PER_JOB) as usize;
        for (index, lines) in
            [(0, 0..SITE.threads), (first_node, site.first_node_line()..site.first_node_line() + 1)]
        {
            let count = lines.len() as f64;
            let slots = timeline.slots - self.minutes()..timeline.slots;
            let mean = |slot: u64| {
                let round = Round::new(seed, self.hosts().start, slot);
                let value = |line: u32| Shape::of_line(line).number(round.units(line, Shape::of_line(line)));
                lines.clone().map(value).sum::<f64>() / count
            };
            let expected = slots.map(mean).sum::<f64>() / self.minutes() as f64;
            let got = results[index]["avg"].as_f64();
            if !got.is_some_and(|got| (got - expected).abs() <= 0.0051) {
                return Err(format!("result {index}: an average of {got:?}, expected {expected}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_asks_for_every_host_and_metric_of_its_job() {
        let site = Site::new(&SITE);
        let timeline =
            Timeline { start_seconds: 1_700_000_000, interval_seconds: 60, slots: u64::from(MINUTES) };
        let mut oldest = 0;
        for job in Job::all() {
            let request =
                String::from_utf8(job.request(&site, timeline, "127.0.0.1:1".parse().unwrap())).unwrap();
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())));
            let body: Value = serde_json::from_str(body).unwrap();
            let queries = body["queries"].as_array().unwrap();
            let asked: std::collections::BTreeSet<_> =
                queries.iter().map(|query| (query["host"].as_str(), query["metric"].as_str())).collect();
            assert_eq!((queries.len(), asked.len()), (Job::results(), Job::results()));
            let minutes = (body["to"].as_i64().unwrap() - body["from"].as_i64().unwrap()) / 60;
            assert!((1..=i64::from(HOURS_MAX) * 60).contains(&minutes), "{minutes}");
            oldest = oldest.max(minutes);
        }
        assert!(oldest > i64::from(HOURS_MAX - 1) * 60);
    }

    #[test]
    fn a_wrong_average_is_noticed() {
        let site = Site::new(&SITE);
        let timeline =
            Timeline { start_seconds: 1_700_000_000, interval_seconds: 60, slots: u64::from(MINUTES) };
        let job = Job::all().next().unwrap();
        let results = vec![json!([{"avg": 1.0}]); Job::results()];
        let wrong = json!({"results": results}).to_string();
        assert!(job.check(&site, timeline, 1, wrong.as_bytes()).unwrap_err().contains("result 0"));
        assert!(job.check(&site, timeline, 1, b"{\"results\":[]}").unwrap_err().contains("0 results"));
    }
}
