//! The procedure: start, load, kill at a random moment, start with another number of cores, look at everything.

use std::fmt::Write as _;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::ledger::{Fate, Findings, Ledger};
use super::process::{Process, Setting, Writer};

/// Connections that write at the same time.
const WRITERS: usize = 4;
/// Hosts of each.
const HOSTS: usize = 8;
/// The time of slot 0: within the ten years of retention for long.
const TIME_OF_SLOT_0: i64 = 1_750_000_000;
/// Earliest and latest kill after the start of the load.
const KILL_AFTER_MS: (u64, u64) = (200, 3000);
/// Every so many rounds everything is looked at, else what the last two rounds wrote.
const WHOLE_EVERY: usize = 10;

/// What all rounds together did and found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// Rounds made.
    pub rounds: usize,
    /// Samples acknowledged.
    pub acknowledged: u64,
    /// Batches under way at a kill.
    pub batches_in_flight: u64,
    /// Longest start, recovery included.
    pub start_max: Duration,
    /// What the looks found, added up: a sample is looked at several times.
    pub findings: Findings,
}

/// Random numbers (xorshift64*) that a seed repeats.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % bound
    }
}

/// Runs so many rounds over one data directory; `report` gets a line for each.
///
/// # Errors
/// The daemon does not start, does not answer, or refuses a write. Losses are no error but in the summary.
pub fn run(setting: &Setting, rounds: usize, seed: u64, mut report: impl FnMut(&str)) -> io::Result<Summary> {
    let mut random = Random(seed.max(1));
    let mut ledgers: Vec<_> = (0..WRITERS).map(|writer| Ledger::new(seed, writer)).collect();
    let mut summary = Summary::default();
    let mut recent = [vec![0; WRITERS], vec![0; WRITERS]];
    let mut process = start(setting, 1, &mut summary)?;
    for round in 0..rounds {
        let (earliest, latest) = KILL_AFTER_MS;
        let kill_after = Duration::from_millis(earliest + random.below(latest - earliest));
        let began: Vec<_> = ledgers.iter().map(Ledger::next).collect();
        load(&mut process, &mut ledgers, kill_after)?;
        let batches: u64 = ledgers.iter().zip(&began).map(|(ledger, began)| ledger.next() - began).sum();
        process = start(setting, 1 + (round + 1) % 2, &mut summary)?;
        let is_whole = (round + 1) % WHOLE_EVERY == 0 || round + 1 == rounds;
        let since = if is_whole { &vec![0; WRITERS] } else { &recent[0] };
        let found = look(&process, &ledgers, since)?;
        summary.findings.add(found);
        report(&format!(
            "round {}: {batches} batches in {kill_after:?}; {} samples there, lost {}, invented {}",
            round + 1,
            found.present,
            found.lost,
            found.invented
        ));
        recent = [std::mem::take(&mut recent[1]), began];
        summary.rounds += 1;
    }
    for ledger in &ledgers {
        summary.acknowledged += ledger.acknowledged() * HOSTS as u64;
        summary.batches_in_flight += ledger.next() - ledger.acknowledged();
    }
    Ok(summary)
}

fn start(setting: &Setting, cores: usize, summary: &mut Summary) -> io::Result<Process> {
    let since = Instant::now();
    let process = setting.start(cores)?;
    summary.start_max = summary.start_max.max(since.elapsed());
    Ok(process)
}

/// Writes from all connections, and kills the daemon meanwhile.
fn load(process: &mut Process, ledgers: &mut [Ledger], kill_after: Duration) -> io::Result<()> {
    let port = process.port();
    thread::scope(|scope| {
        let writers: Vec<_> = ledgers
            .iter_mut()
            .enumerate()
            .map(|(writer, ledger)| scope.spawn(move || write_until_killed(port, writer, ledger)))
            .collect();
        // The moment is random on purpose: there is no event to wait for.
        thread::sleep(kill_after);
        process.kill();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn write_until_killed(port: u16, writer: usize, ledger: &mut Ledger) -> io::Result<()> {
    // A connection may fail because the daemon is killed already: nothing was sent then.
    let Ok(mut connection) = Writer::connect(port) else { return Ok(()) };
    let mut lines = String::new();
    loop {
        let batch = ledger.next();
        batch_lines(&mut lines, ledger, writer, batch);
        match connection.post(&lines) {
            Ok(200) => ledger.push(Fate::Acknowledged),
            Ok(status) => return Err(io::Error::other(format!("a write was answered with {status}"))),
            Err(_) => {
                ledger.push(Fate::InFlight);
                return Ok(());
            }
        }
    }
}

/// The samples of a batch, one for each host of a writer.
pub fn batch_lines(lines: &mut String, ledger: &Ledger, writer: usize, batch: u64) {
    lines.clear();
    let time = time_of(Ledger::slot(batch));
    for host in 0..HOSTS {
        let (name, value) = (host_name(writer, host), ledger.value(host, batch));
        // A string takes everything.
        let _ = writeln!(lines, "clock,cluster=crash,hostname={name} value={value} {time}");
    }
}

/// Reads every series from the given batches on and compares.
///
/// # Errors
/// The daemon does not answer.
pub fn look(process: &Process, ledgers: &[Ledger], since: &[u64]) -> io::Result<Findings> {
    let mut findings = Findings::default();
    for (writer, (ledger, &since)) in ledgers.iter().zip(since).enumerate() {
        // Batches go forth and back within eight slots.
        let first = since / 8 * 8;
        for host in 0..HOSTS {
            let end = time_of(ledger.slots_end() + 64);
            let (from, mut values) = process.values(&host_name(writer, host), time_of(first), end)?;
            // An answer may begin later than asked for: then nothing is stored before.
            let missing = usize::try_from(from - time_of(first)).unwrap_or(0);
            values.splice(0..0, std::iter::repeat_n(None, missing));
            findings.add(ledger.check(host, first, &values));
        }
    }
    Ok(findings)
}

fn host_name(writer: usize, host: usize) -> String {
    format!("w{writer}h{host}")
}

/// The time of a slot, in seconds since 1970.
#[must_use]
pub fn time_of(slot: u64) -> i64 {
    TIME_OF_SLOT_0 + i64::try_from(slot).unwrap_or(i64::MAX / 2)
}
