//! Reads back what was sent: a bench that does not read what it wrote proves nothing.
//!
//! Comes after [`crate::run`]. What a slot must hold is computed again from [`crate::values`] and
//! [`crate::timeline`]; nothing was kept while sending.

use std::{io, net::SocketAddr};

use serde_json::{Value, json};

use crate::{
    http::Connection,
    site::{CLUSTER, Site},
    timeline::Timeline,
    values::{Round, Shape, mix},
};

/// Most queries in one request.
const QUERIES_PER_REQUEST_MAX: usize = 200;
/// Most values asked for in one request.
const VALUES_PER_REQUEST_MAX: usize = 200_000;
/// Answers have three decimals, what was sent has two: a difference this large is a wrong value.
const DIFFERENCE_MAX: f64 = 0.0005;

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The site.
    pub site: &'a Site,
    /// The times.
    pub timeline: Timeline,
    /// Rounds sent, by host.
    pub rounds: &'a [u64],
    /// The seed of the values.
    pub seed: u64,
}

/// How much was found to be as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Series.
    pub series: u64,
    /// Values.
    pub values: u64,
}

/// Why the daemon's answers do not prove that it holds what was sent.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No answer.
    #[error("querying: {0}")]
    Io(#[from] io::Error),
    /// An answer that is none.
    #[error("the query was answered with {status}: {text}")]
    Refused {
        /// The status code.
        status: u16,
        /// The beginning of the answer.
        text: String,
    },
    /// A result that is not what was sent.
    #[error("read back {series}: {what}")]
    Wrong {
        /// Host, metric and thread.
        series: String,
        /// What is wrong.
        what: String,
    },
    /// Nothing was sent.
    #[error("nothing was sent that could be read back")]
    Nothing,
}

/// One series and the slots of it to read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Check {
    host: u32,
    line: u32,
    first_slot: u64,
    slots: u64,
}

/// Queries `series` random series with all their intervals and the last interval of every host's node metrics.
///
/// # Errors
/// See [`VerifyError`]; the first wrong value ends it.
pub fn verify(addr: SocketAddr, sent: Sent<'_>, series: u32) -> Result<Verified, VerifyError> {
    let mut checks = sent.random_checks(series);
    checks.extend(sent.last_interval_checks());
    if checks.is_empty() {
        return Err(VerifyError::Nothing);
    }
    let mut connection = Connection::open(addr)?;
    let mut verified = Verified::default();
    for batch in batches(&checks) {
        let request = request(addr, &sent.query(batch).to_string());
        let response = connection.exchange(request.as_bytes())?;
        if response.closes {
            connection = Connection::open(addr)?;
        }
        let answer = if response.status == 200 { serde_json::from_slice(&response.body).ok() } else { None };
        let Some(answer) = answer else {
            let text = response.body[..response.body.len().min(200)].escape_ascii().to_string();
            return Err(VerifyError::Refused { status: response.status, text });
        };
        verified.values += sent.compare_all(batch, &answer)?;
        verified.series += batch.len() as u64;
    }
    Ok(verified)
}

/// Splits checks into requests: of one range each, since a request has one, and of bounded size.
fn batches(checks: &[Check]) -> impl Iterator<Item = &[Check]> {
    checks.chunk_by(|a, b| (a.first_slot, a.slots) == (b.first_slot, b.slots)).flat_map(|same| {
        let fitting = VALUES_PER_REQUEST_MAX / same[0].slots.max(1) as usize;
        same.chunks(fitting.clamp(1, QUERIES_PER_REQUEST_MAX))
    })
}

fn request(addr: SocketAddr, body: &str) -> String {
    format!(
        "GET /api/query?version=v2 HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl Sent<'_> {
    /// Slots of a host that were written.
    fn slots(&self, host: u32) -> u64 {
        self.rounds[host as usize].min(self.timeline.slots)
    }

    /// `count` random series, sorted by how many intervals they have.
    fn random_checks(&self, count: u32) -> Vec<Check> {
        let mut checks: Vec<Check> = (0..u64::from(count))
            .map(|draw| {
                let random = mix(mix(self.seed ^ 0xc4ec) ^ draw);
                let host = (random >> 32) as u32 % self.site.hosts();
                let line = random as u32 % self.site.lines_per_host();
                Check { host, line, first_slot: 0, slots: self.slots(host) }
            })
            .filter(|check| check.slots > 0)
            .collect();
        checks.sort_by_key(|check| check.slots);
        checks
    }

    /// Every host's node metrics in the interval it sent last, sorted by that interval.
    fn last_interval_checks(&self) -> Vec<Check> {
        let mut hosts: Vec<(u64, u32)> = (0..self.site.hosts())
            .filter_map(|host| Some((self.rounds[host as usize].checked_sub(1)? % self.timeline.slots, host)))
            .collect();
        hosts.sort_unstable();
        let lines = self.site.first_node_line()..self.site.lines_per_host();
        hosts
            .into_iter()
            .flat_map(|(slot, host)| {
                lines.clone().map(move |line| Check { host, line, first_slot: slot, slots: 1 })
            })
            .collect()
    }

    /// The query (SPEC section 4) for checks of one range.
    fn query(&self, batch: &[Check]) -> Value {
        let range = batch[0];
        let queries: Vec<Value> = batch
            .iter()
            .map(|check| {
                let line = self.site.line(check.line);
                let mut query = json!({"metric": line.metric, "host": self.site.host_name(check.host)});
                if let Some(thread) = line.thread {
                    query["type"] = json!("hwthread");
                    query["type-ids"] = json!([thread.to_string()]);
                }
                query
            })
            .collect();
        json!({
            "cluster": CLUSTER,
            "from": self.timeline.slot_seconds(range.first_slot),
            "to": self.timeline.slot_seconds(range.first_slot + range.slots),
            "with-stats": false,
            "with-padding": false,
            "queries": queries,
        })
    }

    /// Compares an answer with what was sent; how many values are right.
    fn compare_all(&self, batch: &[Check], answer: &Value) -> Result<u64, VerifyError> {
        let results = answer["results"].as_array().map_or(&[][..], Vec::as_slice);
        let mut values = 0;
        for (index, check) in batch.iter().enumerate() {
            let result = results.get(index).unwrap_or(&Value::Null);
            values += self.compare(*check, result).map_err(|what| {
                let line = self.site.line(check.line);
                let thread = line.thread.map_or_else(String::new, |thread| format!(" hwthread {thread}"));
                let host = self.site.host_name(check.host);
                VerifyError::Wrong { series: format!("{host} {}{thread}", line.metric), what }
            })?;
        }
        Ok(values)
    }

    fn compare(&self, check: Check, result: &Value) -> Result<u64, String> {
        let [result] = result.as_array().map_or(&[][..], Vec::as_slice) else {
            return Err(format!("expected one result, got {result}"));
        };
        if let Some(error) = result.get("error") {
            return Err(format!("the daemon says {error}"));
        }
        let from = self.timeline.slot_seconds(check.first_slot);
        if result["from"] != json!(from) {
            return Err(format!("data begins at {}, not at {from}", result["from"]));
        }
        let data = result["data"].as_array().map_or(&[][..], Vec::as_slice);
        let shape = Shape::of_line(check.line);
        let rounds = self
            .timeline
            .last_rounds(self.rounds[check.host as usize])
            .skip(check.first_slot as usize)
            .take(check.slots as usize);
        let mut values = 0;
        for (slot, round) in (check.first_slot..).zip(rounds) {
            let expected = shape.number(Round::new(self.seed, check.host, round).units(check.line, shape));
            let got = data.get(values).unwrap_or(&Value::Null);
            if !got.as_f64().is_some_and(|got| (got - expected).abs() < DIFFERENCE_MAX) {
                let time = self.timeline.slot_seconds(slot);
                return Err(format!(
                    "at {time} (interval {slot}, round {round}) {expected} was sent, got {got}"
                ));
            }
            values += 1;
        }
        if data.len() != values {
            return Err(format!("{values} values were sent, got {}", data.len()));
        }
        Ok(values as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SiteOptions;

    fn site() -> Site {
        Site::new(&SiteOptions { hosts: 3, threads: 4, thread_metrics: 2, node_metrics: 2 })
    }

    const TIMELINE: Timeline = Timeline { start_seconds: 1_700_000_000, interval_seconds: 60, slots: 5 };

    /// The right answer to a batch.
    fn answer(sent: &Sent<'_>, batch: &[Check]) -> Value {
        let results: Vec<Value> = batch
            .iter()
            .map(|check| {
                let shape = Shape::of_line(check.line);
                let rounds: Vec<u64> = TIMELINE.last_rounds(sent.rounds[check.host as usize]).collect();
                let data: Vec<f64> = (check.first_slot..check.first_slot + check.slots)
                    .map(|slot| {
                        let round = rounds[slot as usize];
                        shape.number(Round::new(sent.seed, check.host, round).units(check.line, shape))
                    })
                    .collect();
                json!([{"data": data, "from": TIMELINE.slot_seconds(check.first_slot)}])
            })
            .collect();
        json!({"results": results})
    }

    #[test]
    fn right_answers_pass_and_every_kind_of_wrong_one_is_noticed() {
        let site = site();
        // The second host has overwritten its first two slots, the third has not sent its last.
        let sent = Sent { site: &site, timeline: TIMELINE, rounds: &[5, 7, 4], seed: 9 };
        for host in 0..3 {
            let batch = [Check { host, line: 5, first_slot: 0, slots: sent.slots(host) }];
            let right = answer(&sent, &batch);
            let values = sent.compare_all(&batch, &right).unwrap();
            assert_eq!(values, [5, 5, 4][host as usize]);
            let wrong = |change: &dyn Fn(&mut Value)| {
                let mut answer = right.clone();
                change(&mut answer["results"][0]);
                sent.compare_all(&batch, &answer).unwrap_err().to_string()
            };
            let error = wrong(&|result| {
                let value = result[0]["data"][3].as_f64().unwrap();
                result[0]["data"][3] = json!(value + 0.01);
            });
            assert!(error.contains("interval 3"), "{error}");
            wrong(&|result| result[0]["data"][0] = Value::Null);
            wrong(&|result| {
                result[0]["data"].as_array_mut().unwrap().pop();
            });
            wrong(&|result| result[0]["data"].as_array_mut().unwrap().push(json!(1)));
            wrong(&|result| result[0]["from"] = json!(TIMELINE.start_seconds + 60));
            wrong(&|result| result[0]["error"] = json!("no"));
            wrong(&|result| *result = json!([]));
            wrong(&|result| *result = Value::Null);
        }
    }

    #[test]
    fn another_seed_another_host_or_an_older_round_does_not_pass() {
        let site = site();
        let sent = Sent { site: &site, timeline: TIMELINE, rounds: &[6, 6, 6], seed: 9 };
        let batch = [Check { host: 1, line: 5, first_slot: 0, slots: 5 }];
        for other in [
            Sent { seed: 10, ..sent },
            Sent { rounds: &[5, 5, 5], ..sent },
            Sent { rounds: &[11, 11, 11], ..sent },
        ] {
            assert!(sent.compare_all(&batch, &answer(&other, &batch)).is_err(), "{other:?}");
        }
        let other_host = [Check { host: 2, ..batch[0] }];
        assert!(sent.compare_all(&batch, &answer(&sent, &other_host)).is_err());
    }

    #[test]
    fn every_host_is_asked_for_its_last_interval_and_batches_have_one_range() {
        let site = site();
        let sent = Sent { site: &site, timeline: TIMELINE, rounds: &[5, 6, 0], seed: 9 };
        let last = sent.last_interval_checks();
        let asked: Vec<_> = last.iter().map(|check| (check.host, check.line, check.first_slot)).collect();
        assert_eq!(asked, [(1, 8, 0), (1, 9, 0), (0, 8, 4), (0, 9, 4)]);
        let mut checks = sent.random_checks(1000);
        assert!(checks.iter().all(|check| check.host != 2 && check.slots == 5));
        let distinct: std::collections::HashSet<_> = checks.iter().map(|c| (c.host, c.line)).collect();
        assert_eq!(distinct.len(), 2 * 10);
        checks.extend(last);
        let batched: Vec<Check> = batches(&checks).flatten().copied().collect();
        assert_eq!(batched, checks);
        for batch in batches(&checks) {
            assert!(batch.len() <= QUERIES_PER_REQUEST_MAX);
            assert!(batch.iter().all(|c| (c.first_slot, c.slots) == (batch[0].first_slot, batch[0].slots)));
        }
    }
}
