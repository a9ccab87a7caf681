//! Who writes, frees, lets time pass and troubles the disk in a simulated life.
//!
//! Every request is a task of the core that its connection is on, and goes to the pumps as those of the daemon do.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::core::{Core, Shared};
use super::life::{LOG, ROOT_DIRECTORY};
use super::series::{HOSTS, SeriesIndex};
use crate::durable::journal::Free;
use crate::platform::Clock;
use crate::pump::call::Call;
use crate::pump::event::{Reply, Request, Work};
use crate::series::declare::Declarations;
use crate::series::route::{Batch, Sample, core_of};
use crate::sync::flag::Flag;
use crate::testing::faults::Faults;
use crate::testing::random::Random;

/// Most samples of a usual request.
const SAMPLES_MAX: u64 = 24;
/// A sample may be so far ahead of the clock.
pub(super) const FUTURE_SECONDS: i64 = 3000;

/// A sample that is sent: series, time, value.
type Sent = (SeriesIndex, i64, f64);

/// What the requests of one life share.
struct Traffic {
    shared: Rc<Shared>,
    cores: Vec<Rc<Core>>,
    /// By source and owner: the series that were declared on this way.
    links: RefCell<BTreeMap<(usize, usize), Vec<SeriesIndex>>>,
    hosts: RefCell<BTreeMap<HostName, HostTraffic>>,
}

/// Cluster and name.
type HostName = [&'static str; 2];

/// What is sent about one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct HostTraffic {
    writes_begun: u64,
    /// Those whose end is not known.
    writes_open: u64,
    /// Frees of all that it holds.
    frees_begun: u64,
    frees_open: u64,
}

/// The client of one life.
pub(super) struct Client {
    shared: Rc<Shared>,
    traffic: Rc<Traffic>,
    stop: Arc<Flag>,
    random: Random,
    /// The newest time of every series.
    newest: Vec<i64>,
}

impl Client {
    pub(super) fn new(shared: Rc<Shared>, cores: Vec<Rc<Core>>, stop: Arc<Flag>, random: Random) -> Self {
        let newest = vec![0; shared.population.series.len()];
        let traffic = Traffic {
            shared: Rc::clone(&shared),
            cores,
            links: RefCell::default(),
            hosts: RefCell::default(),
        };
        Self { shared, traffic: Rc::new(traffic), stop, random, newest }
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
                    let seconds = self.random.within(0..seconds) as i64;
                    // Mostly time goes by; now and then somebody sets the clock.
                    let advance = match self.random.index(12) {
                        0 => -seconds,
                        1 => -10 * seconds,
                        2 => 10 * seconds,
                        _ => seconds,
                    };
                    self.shared.platform.advance(advance);
                    if advance < 0 {
                        let now = self.shared.platform.now_seconds();
                        self.shared.oracle.borrow_mut().doubt_future(now + FUTURE_SECONDS);
                    }
                }
                _ => self.trouble(),
            }
        }
        if self.random.percent(80) {
            for path in [LOG, ROOT_DIRECTORY] {
                let disk = self.shared.platform.disk();
                let faults = disk.faults_at(Path::new(path));
                disk.set_faults_at(
                    Path::new(path),
                    Faults { error_percent: 0, read_error_percent: 0, capacity_bytes: u64::MAX, ..faults },
                );
            }
            self.shared.platform.sleep(Duration::from_millis(600)).await;
        }
        self.stop.raise();
    }

    /// A request of a connection to some core.
    fn connection<F: Future<Output = ()> + 'static>(
        &mut self,
        request: impl FnOnce(Rc<Traffic>, usize) -> F,
    ) {
        let source = self.random.index(self.traffic.cores.len());
        let (shared, traffic) = (Rc::clone(&self.shared), Rc::clone(&self.traffic));
        let request = request(traffic, source);
        let under_way = move |shared: &Shared, change: isize| {
            let requests = &shared.under_way[source];
            requests.set(requests.get().strict_add_signed(change));
        };
        under_way(&shared, 1);
        let platform = self.shared.platform.of_core(source);
        platform.spawn("connection", async move {
            request.await;
            under_way(&shared, -1);
        });
    }

    fn write(&mut self, samples: u64) {
        let cores = self.shared.setting.cores;
        let population = Rc::clone(&self.shared.population);
        // Requests of one host are the usual ones.
        let first = self.random.index(population.series.len()) / 4 * 4;
        let is_of_one_host = self.random.percent(60);
        let mut by_owner: BTreeMap<usize, Vec<Sent>> = BTreeMap::new();
        for _ in 0..samples {
            let series = if is_of_one_host {
                first + self.random.index(4)
            } else {
                self.random.index(population.series.len())
            };
            let time = self.time(series);
            let value = self.shared.oracle.borrow_mut().unused_value();
            self.shared.sent.borrow_mut().insert(value.to_bits(), series);
            by_owner.entry(population.owner(series, cores)).or_default().push((series, time, value));
        }
        // A connection that breaks has sent its samples, and waits for nothing.
        let breaks = self.random.percent(5);
        self.connection(|traffic, source| async move { traffic.write(source, by_owner, breaks).await });
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
        if self.random.percent(15) {
            return self.free_cluster();
        }
        let is_all = self.random.percent(25);
        let names = if is_all { 2 } else { self.random.within(2..known.path.len() as u64 + 1) as usize };
        let selector: Vec<String> = known.path[..names].iter().map(|&name| name.to_owned()).collect();
        let host = [known.path[0], known.path[1]];
        let before = self.random.one_of(&[60, 3600, 3 * 3600]);
        let now = self.shared.platform.now_seconds();
        let to = if is_all { now + 1_000_000 } else { now - self.random.within(0..before) as i64 };
        let free = Free { selectors: Arc::new(vec![selector]), mine: vec![0], to };
        self.connection(|traffic, source| async move { traffic.free(source, host, free, is_all).await });
    }

    /// Frees what is old of a whole cluster, which every core has hosts of.
    fn free_cluster(&mut self) {
        let known = &self.shared.population.series[self.random.index(self.shared.population.series.len())];
        let to = self.shared.platform.now_seconds() - self.random.within(0..3 * 3600) as i64;
        let free = Free { selectors: Arc::new(vec![vec![known.path[0].to_owned()]]), mine: vec![0], to };
        self.shared.summary.borrow_mut().cluster_frees += 1;
        self.connection(|traffic, source| async move { traffic.free_everywhere(source, free).await });
    }

    /// Something happens to the disk that holds the log or to that which holds the snapshots, which may be the same.
    fn trouble(&mut self) {
        let path = Path::new(self.random.one_of(&[LOG, ROOT_DIRECTORY]));
        let disk = self.shared.platform.disk().clone();
        let mut faults = disk.faults_at(path);
        match self.random.index(5) {
            0 => faults.error_percent = self.random.one_of(&[1, 10, 50, 100]),
            1 => faults.read_error_percent = self.random.one_of(&[10, 100]),
            2 => {
                let room = self.random.within(0..4 * self.shared.setting.segment_bytes);
                faults.capacity_bytes = disk.used_bytes_at(path) + room;
            }
            _ => {
                (faults.error_percent, faults.read_error_percent, faults.capacity_bytes) = (0, 0, u64::MAX);
            }
        }
        disk.set_faults_at(path, faults);
    }
}

impl Traffic {
    /// Sends samples to their owners and waits for the answers.
    async fn write(&self, source: usize, by_owner: BTreeMap<usize, Vec<Sent>>, breaks: bool) {
        let hosts = self.hosts(&by_owner);
        let before: BTreeMap<HostName, HostTraffic> =
            hosts.iter().map(|&host| (host, self.traffic(host))).collect();
        for &host in &hosts {
            self.change(host, |traffic| {
                (traffic.writes_begun, traffic.writes_open) =
                    (traffic.writes_begun + 1, traffic.writes_open + 1);
            });
        }
        let (core, shared) = (&self.cores[source], &self.shared);
        let call = Call::new(core);
        for (&owner, samples) in &by_owner {
            core.outgoing.room(owner).await;
            call.request_now(owner, Request::Write(self.batch(source, owner, samples)));
        }
        if breaks {
            return;
        }
        for (owner, reply) in call.replies().await {
            let samples = &by_owner[&owner];
            match reply {
                Reply::Written(applied, list) => {
                    core.put_spare_list(list);
                    shared.summary.borrow_mut().acknowledged += samples.len() as u64;
                    for (_, _, value) in samples {
                        let write = shared.applied.borrow_mut().remove(&value.to_bits());
                        let write = write.expect("what is acknowledged was applied");
                        let sync = shared.setting.commit.sync;
                        shared.oracle.borrow_mut().acknowledged(write, shared.platform.now_ns(), sync);
                    }
                    if applied.stored == samples.len() as u64 {
                        self.look_for_hosts(owner, samples, &before);
                    }
                }
                _ => shared.summary.borrow_mut().refused += samples.len() as u64,
            }
        }
        for host in hosts {
            self.change(host, |traffic| traffic.writes_open -= 1);
        }
    }

    fn traffic(&self, host: HostName) -> HostTraffic {
        self.hosts.borrow().get(&host).copied().unwrap_or_default()
    }

    fn change(&self, host: HostName, change: impl FnOnce(&mut HostTraffic)) {
        change(self.hosts.borrow_mut().entry(host).or_default());
    }

    fn hosts(&self, by_owner: &BTreeMap<usize, Vec<Sent>>) -> Vec<HostName> {
        let of = |series: SeriesIndex| {
            let path = &self.shared.population.series[series].path;
            [path[0], path[1]]
        };
        let all = by_owner.values().flatten().map(|&(series, ..)| of(series));
        HOSTS.into_iter().filter(|host| all.clone().any(|found| found == *host)).collect()
    }

    /// A batch as a router makes it: with the names of series that are new on this way.
    fn batch(&self, source: usize, owner: usize, samples: &[Sent]) -> Batch {
        let mut links = self.links.borrow_mut();
        let links = links.entry((source, owner)).or_default();
        let mut batch =
            Batch { declarations: Declarations::default(), samples: self.cores[source].spare_list() };
        for &(series, time, value) in samples {
            let link = links.iter().position(|known| *known == series).unwrap_or_else(|| {
                self.shared.population.declare(series, &mut batch.declarations);
                links.push(series);
                links.len() - 1
            });
            batch.samples.push(Sample { link: link as u32, time, value });
        }
        batch
    }

    /// Whoever was told that a sample is stored finds its host, unless it was freed as a whole meanwhile. Nothing else frees
    /// samples of the future.
    fn look_for_hosts(&self, owner: usize, samples: &[Sent], before: &BTreeMap<HostName, HostTraffic>) {
        // A free may have been asked for before the clock was set back.
        let now = self.shared.platform.latest_seconds();
        for &(series, ..) in samples.iter().filter(|(_, time, _)| *time > now) {
            let path = &self.shared.population.series[series].path;
            let (before, after) = (before[&[path[0], path[1]]], self.traffic([path[0], path[1]]));
            if before.frees_open > 0 || before.frees_begun != after.frees_begun {
                continue;
            }
            self.shared.summary.borrow_mut().listed += 1;
            if !self.is_listed(owner, path[0], path[1]) {
                self.fail(format!("{} was told to be stored, and is in no directory", path.join("/")));
            }
        }
    }

    fn is_listed(&self, owner: usize, cluster: &str, host: &str) -> bool {
        let hosts = self.shared.directory.hosts(owner, cluster, usize::MAX - 1).unwrap_or_default();
        hosts.iter().any(|name| **name == *host)
    }

    /// Frees and waits for the answer. A host that was freed as a whole and not written to meanwhile is in no directory then.
    async fn free(&self, source: usize, host: HostName, free: Free, is_all: bool) {
        let owner = core_of(host[0], host[1], self.cores.len());
        let before = self.traffic(host);
        if is_all {
            self.change(host, |traffic| {
                (traffic.frees_begun, traffic.frees_open) = (traffic.frees_begun + 1, traffic.frees_open + 1);
            });
        }
        let call = Call::new(&self.cores[source]);
        call.want(owner, Work::Free(free)).await;
        let is_freed = matches!(call.replies().await.pop(), Some((_, Reply::Freed(_))));
        self.shared.free_over(source, call.id());
        if is_freed {
            self.shared.summary.borrow_mut().frees += 1;
            let after = self.traffic(host);
            let is_quiet = before.writes_open == 0 && before.writes_begun == after.writes_begun;
            if is_all && is_quiet && self.is_listed(owner, host[0], host[1]) {
                self.fail(format!("{} was told to be freed, and is in the directory", host.join("/")));
            }
        }
        if is_all {
            self.change(host, |traffic| traffic.frees_open -= 1);
        }
    }

    /// The same of all cores.
    async fn free_everywhere(&self, source: usize, free: Free) {
        let call = Call::new(&self.cores[source]);
        for owner in 0..self.cores.len() {
            call.want(owner, Work::Free(free.clone())).await;
        }
        call.replies().await;
        self.shared.free_over(source, call.id());
    }

    fn fail(&self, what: String) {
        self.shared.failure.borrow_mut().get_or_insert(what);
    }
}
