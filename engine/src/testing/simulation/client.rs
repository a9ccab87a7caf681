//! Who writes, frees, lets time pass and troubles the disk in a simulated life.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::core::{Event, Sent, Shared};
use super::series::SeriesIndex;
use crate::durable::journal::Free;
use crate::platform::Clock;
use crate::series::route::{Batch, Sample, core_of};
use crate::testing::faults::Faults;
use crate::testing::random::Random;

/// Most samples of a usual request.
const SAMPLES_MAX: u64 = 24;
/// A sample may be so far ahead of the clock.
const FUTURE_SECONDS: i64 = 3000;

/// The client of one life.
pub(super) struct Client {
    shared: Rc<Shared>,
    random: Random,
    /// By source and owner: the series that were declared on this way.
    links: BTreeMap<(usize, usize), Vec<SeriesIndex>>,
    /// The newest time of every series.
    newest: Vec<i64>,
}

impl Client {
    pub(super) fn new(shared: Rc<Shared>, random: Random) -> Self {
        let newest = vec![0; shared.population.series.len()];
        Self { shared, random, links: BTreeMap::new(), newest }
    }

    /// Does so many things.
    pub(super) async fn run(mut self, actions: u64) {
        for _ in 0..actions {
            let pause_ns = match self.random.index(10) {
                0..4 => 0,
                4..8 => self.random.within(0..3_000_000),
                8 => self.random.within(0..60_000_000),
                _ => self.random.within(0..400_000_000),
            };
            self.shared.platform.sleep(Duration::from_nanos(pause_ns)).await;
            match self.random.index(100) {
                0..80 => {
                    let samples = if self.random.percent(4) { 400 } else { SAMPLES_MAX };
                    let samples = self.random.within(1..samples);
                    self.write(samples);
                }
                80..86 => self.free(),
                86..90 => {
                    let retention = self.shared.setting.retention_seconds as u64;
                    let seconds = self.random.one_of(&[1, 2, 60, 3600, retention / 3]);
                    self.shared.platform.advance(self.random.within(0..seconds) as i64);
                }
                _ => self.trouble(),
            }
        }
        if self.random.percent(80) {
            let faults = self.shared.platform.faults();
            let faults = Faults { error_percent: 0, capacity_bytes: u64::MAX, ..faults };
            self.shared.platform.set_faults(faults);
            self.shared.platform.sleep(Duration::from_millis(600)).await;
        }
        self.shared.is_stopping.set(true);
    }

    fn write(&mut self, samples: u64) {
        let cores = self.shared.setting.cores;
        let population = Rc::clone(&self.shared.population);
        let source = self.random.index(cores);
        // Requests of one host are the usual ones.
        let first = self.random.index(population.series.len()) / 4 * 4;
        let is_of_one_host = self.random.percent(60);
        let mut by_owner: BTreeMap<usize, (Batch, Vec<Sent>)> = BTreeMap::new();
        for _ in 0..samples {
            let series = if is_of_one_host {
                first + self.random.index(4)
            } else {
                self.random.index(population.series.len())
            };
            let owner = population.owner(series, cores);
            let (batch, sent) = by_owner.entry(owner).or_default();
            let links = self.links.entry((source, owner)).or_default();
            let link = links.iter().position(|known| *known == series).unwrap_or_else(|| {
                population.declare(series, &mut batch.declarations);
                links.push(series);
                links.len() - 1
            });
            let time = self.time(series);
            let value = self.shared.oracle.borrow_mut().unused_value();
            batch.samples.push(Sample { link: link as u32, time, value });
            sent.push((series, time, value));
        }
        for (owner, (batch, samples)) in by_owner {
            self.shared.cores.borrow()[owner].send(Event::Write { source, batch, samples });
        }
    }

    /// A time of the grid of a series: the next one, the present, one that was written before, a late one.
    fn time(&mut self, series: SeriesIndex) -> i64 {
        let known = &self.shared.population.series[series];
        let now = self.shared.platform.now_seconds();
        let late = |random: &mut Random, seconds: i64| now - random.within(0..seconds as u64) as i64;
        let time = match self.random.index(100) {
            0..55 => (self.newest[series] + known.frequency).clamp(now - 1800, now + FUTURE_SECONDS),
            55..65 => now,
            65..80 => {
                let from = late(&mut self.random, 3600);
                self.shared.oracle.borrow().any_slot(series, from).unwrap_or(now)
            }
            80..95 => late(&mut self.random, 3600),
            95..98 => late(&mut self.random, self.shared.setting.retention_seconds),
            _ => now + self.random.within(0..FUTURE_SECONDS as u64) as i64,
        };
        let time = time - (time - known.offset).rem_euclid(known.frequency);
        self.newest[series] = self.newest[series].max(time);
        time
    }

    fn free(&mut self) {
        let known = &self.shared.population.series[self.random.index(self.shared.population.series.len())];
        let names = self.random.within(2..known.path.len() as u64 + 1) as usize;
        let selector: Vec<String> = known.path[..names].iter().map(|&name| name.to_owned()).collect();
        let owner = core_of(&selector[0], &selector[1], self.shared.setting.cores);
        let before = self.random.one_of(&[60, 3600, 3 * 3600]);
        let to = self.shared.platform.now_seconds() - self.random.within(0..before) as i64;
        let free = Free { selectors: Arc::new(vec![selector]), mine: vec![0], to };
        self.shared.cores.borrow()[owner].send(Event::Free(free));
    }

    fn trouble(&mut self) {
        let mut faults = self.shared.platform.faults();
        match self.random.index(4) {
            0 => faults.error_percent = self.random.one_of(&[1, 10, 50, 100]),
            1 => {
                let room = self.random.within(0..4 * self.shared.setting.segment_bytes);
                faults.capacity_bytes = self.shared.platform.used_bytes() + room;
            }
            _ => (faults.error_percent, faults.capacity_bytes) = (0, u64::MAX),
        }
        self.shared.platform.set_faults(faults);
    }
}
