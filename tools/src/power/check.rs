//! Losses of power at many positions of a recording, and what the daemon makes of each.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use engine::testing::random::Random;

use super::disk::{Disk, PowerLoss, Syncs};
use super::history::{History, SLOTS_REWRITTEN};
use super::image::Image;
use super::journal::Operation;
use super::names::NameOrder;
use super::record::Recording;
use crate::crash::ledger::Findings;
use crate::crash::process::{Process, Setting};
use crate::crash::rounds::{look, time_of};

/// Shares of what is not synced that are kept, in percent.
const PERCENT_KEPT: [u64; 5] = [0, 10, 50, 90, 100];

/// A moment at which the power fails.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Operations that have begun.
    pub operations: usize,
    /// Operations that have ended: the same, or one less.
    pub done: usize,
    /// What is lost.
    pub loss: PowerLoss,
    /// With how many cores the daemon starts afterwards.
    pub cores: usize,
}

impl Moment {
    /// Half of all moments are right before, within or right after an operation on names or a sync of a file, of which there
    /// are few among the writes of the log.
    fn random(recording: &Recording, borders: &[usize], random: &mut Random) -> Self {
        let (base, end) = (recording.base as u64, recording.journal.len() as u64);
        let operations = if borders.is_empty() || random.percent(50) {
            random.within(base + 1..end + 1) as usize
        } else {
            (random.one_of(borders) + random.index(2)).max(recording.base + 1)
        };
        let operations = operations.min(recording.journal.len());
        let loss = PowerLoss {
            percent_kept: random.one_of(&PERCENT_KEPT),
            order: random.one_of(&[NameOrder::Directories, NameOrder::Files]),
            seed: random.next_u64(),
        };
        let done = operations.saturating_sub(usize::from(random.percent(50)));
        Self { operations, done, loss, cores: 1 + random.index(2) }
    }

    /// So many moments, in the order of the journal.
    #[must_use]
    pub fn many(recording: &Recording, count: usize, seed: u64) -> Vec<Self> {
        let journal = &recording.journal;
        let is_border = |operation: &Operation| {
            operation.is_of_names() || matches!(operation, Operation::SyncFile { .. })
        };
        let borders: Vec<_> = (recording.base..journal.len()).filter(|&at| is_border(&journal[at])).collect();
        let mut random = Random::new(seed);
        let mut moments: Vec<_> =
            (0..count).map(|_| Self::random(recording, &borders, &mut random)).collect();
        moments.sort_by_key(|moment| moment.done);
        moments
    }
}

/// What the images showed.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Images on which the daemon was started.
    pub images: usize,
    /// Those with which something was wrong.
    pub images_failed: usize,
    /// Images on which it did not start or did not answer.
    pub refused: usize,
    /// Longest start.
    pub start_max: Duration,
    /// What was found, added up.
    pub findings: Findings,
}

impl Summary {
    /// Adds that of other images.
    pub fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.images_failed += other.images_failed;
        self.refused += other.refused;
        self.start_max = self.start_max.max(other.start_max);
        self.findings.add(other.findings);
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.images_failed == 0
    }
}

/// A disk on which a journal is done again.
#[derive(Debug)]
pub struct Replay<'a> {
    journal: &'a [Operation],
    disk: Disk,
    done: usize,
}

impl<'a> Replay<'a> {
    /// Begins behind the first `base` operations, which are durable whatever the disk does with syncs.
    #[must_use]
    pub fn new(journal: &'a [Operation], base: usize, syncs: Syncs) -> Self {
        let mut disk = Disk::new(Syncs::Honoured);
        journal[..base].iter().for_each(|operation| disk.apply(operation));
        disk.set_syncs(syncs);
        Self { journal, disk, done: base }
    }

    /// What is on the medium after a loss of power, not before the one asked for last.
    pub fn lose_power(&mut self, moment: &Moment) -> Image {
        let done = moment.done.max(self.done);
        self.journal[self.done..done].iter().for_each(|operation| self.disk.apply(operation));
        self.done = done;
        match self.journal.get(done..moment.operations).and_then(<[Operation]>::first) {
            Some(operation) => {
                let mut disk = self.disk.clone();
                disk.begin(operation);
                disk.lose_power(moment.loss)
            }
            None => self.disk.lose_power(moment.loss),
        }
    }
}

/// Starts the daemon after each of these losses of power, which are in order, and looks at everything. `report` gets a line for
/// each image with which something is wrong; such images stay below the directory of `setting`.
///
/// # Errors
/// An image cannot be made or removed. What the daemon does wrong is no error but in the summary.
pub fn check(
    setting: &Setting,
    recording: &Recording,
    moments: &[Moment],
    syncs: Syncs,
    mut report: impl FnMut(&str),
) -> io::Result<Summary> {
    let mut summary = Summary::default();
    let mut replay = Replay::new(&recording.journal, recording.base, syncs);
    for (number, moment) in moments.iter().enumerate() {
        let image = replay.lose_power(moment);
        let directory = setting.directory.join(format!("image-{number}"));
        let failed = match start_and_look(setting, recording, moment, &image, &directory, &mut summary)? {
            Ok(found) => {
                summary.findings.add(found);
                (!found.is_clean()).then(|| format!("lost {}, invented {}", found.lost, found.invented))
            }
            Err(error) => {
                summary.refused += 1;
                Some(error.to_string())
            }
        };
        summary.images += 1;
        if let Some(text) = failed {
            summary.images_failed += 1;
            // As it was before the daemon was started.
            let untouched = setting.directory.join(format!("image-{number}-untouched"));
            fs::create_dir(&untouched)?;
            image.write_to(&untouched)?;
            report(&format!("{}: {text}; {moment:?}", untouched.display()));
        } else {
            fs::remove_dir_all(&directory)?;
        }
    }
    Ok(summary)
}

/// Starts the daemon on the image. The outer error is one of the files, the inner one of the daemon.
fn start_and_look(
    setting: &Setting,
    recording: &Recording,
    moment: &Moment,
    image: &Image,
    directory: &Path,
    summary: &mut Summary,
) -> io::Result<io::Result<Findings>> {
    fs::create_dir(directory)?;
    image.write_to(directory)?;
    let (directory, data): (PathBuf, PathBuf) = (directory.to_owned(), directory.to_owned());
    let setting = Setting { directory, data, ..setting.clone() };
    let since = Instant::now();
    let started = setting.start(moment.cores);
    summary.start_max = summary.start_max.max(since.elapsed());
    Ok(started.and_then(|process| findings(&process, &recording.histories, moment)))
}

/// Asks for everything that was sent.
fn findings(process: &Process, histories: &[History], moment: &Moment) -> io::Result<Findings> {
    let (operations, done) = (moment.operations, moment.done);
    let ledgers: Vec<_> = histories.iter().map(|history| history.ledger(operations, done)).collect();
    let mut findings = look(process, &ledgers, &vec![0; ledgers.len()])?;
    for history in histories {
        let host = history.rewritten_host();
        let (from, mut values) = process.values(&host, time_of(0), time_of(SLOTS_REWRITTEN))?;
        let missing = usize::try_from(from - time_of(0)).unwrap_or(0);
        values.splice(0..0, std::iter::repeat_n(None, missing));
        findings.add(history.check_rewritten(operations, done, &values));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_in_order_and_within_the_journal() {
        let mut journal = vec![Operation::SetLength { inode: 2, length: 1 }; 5];
        journal[3] = Operation::SyncFile { inode: 2 };
        let moments = Moment::many(&Recording { base: 3, journal, histories: Vec::new() }, 500, 3);
        assert!(moments.is_sorted_by_key(|moment| moment.done));
        assert!(moments.iter().all(|moment| moment.operations <= 5 && moment.operations - moment.done <= 1));
        for (operations, done) in [(4, 3), (4, 4), (5, 4), (5, 5)] {
            assert!(moments.iter().any(|moment| (moment.operations, moment.done) == (operations, done)));
        }
    }
}
