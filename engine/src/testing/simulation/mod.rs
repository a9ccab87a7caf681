//! One simulated history: lives of the daemon's cores over one disk, each ended by a crash or a stop, and after each the
//! question whether everything acknowledged is there ([`oracle`]).
//!
//! A seed is a history. A life ([`life`]) loads what the disk holds, starts one to three cores ([`core`]) and lets a client
//! ([`client`]) write, free, and trouble the disk, until the machine stops at some step of the disk or the client is done.

mod client;
mod core;
mod life;
mod oracle;
mod series;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::disk::SimDisk;
use super::random::Random;
use life::World;

/// What a history held; sums over several tell whether the simulator tries what it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Steps of the disk.
    pub steps: u64,
    /// Lives.
    pub lives: u64,
    /// Lives ended by a kill of the process.
    pub kills: u64,
    /// Lives ended by the loss of power.
    pub power_losses: u64,
    /// Lives that ended before all was loaded and all cores had begun.
    pub crashes_at_start: u64,
    /// Starts that failed because the disk did.
    pub failed_starts: u64,
    /// Lives ended by a stop, after which snapshots held everything.
    pub clean_stops: u64,
    /// Samples acknowledged.
    pub acknowledged: u64,
    /// Samples refused.
    pub refused: u64,
    /// Frees recorded.
    pub frees: u64,
    /// Checkpoints that were complete.
    pub checkpoints: u64,
    /// Checkpoints that failed.
    pub failed_checkpoints: u64,
    /// How often a log stopped because of the disk.
    pub log_failures: u64,
    /// Samples looked for after a start.
    pub looked_for: u64,
    /// Hosts looked for in the directory when a write was acknowledged.
    pub listed: u64,
    /// Passes of retention, of all cores.
    pub retentions: u64,
    /// Passes of the memory cap that freed something, of all cores.
    pub reliefs: u64,
    /// Files that were damaged between two lives.
    pub damaged_files: u64,
    /// Reads that failed.
    pub failed_reads: u64,
    /// Frees of whole clusters.
    pub cluster_frees: u64,
}

impl Summary {
    /// Adds those of another history.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.steps, other.steps),
            (&mut self.lives, other.lives),
            (&mut self.kills, other.kills),
            (&mut self.power_losses, other.power_losses),
            (&mut self.crashes_at_start, other.crashes_at_start),
            (&mut self.failed_starts, other.failed_starts),
            (&mut self.clean_stops, other.clean_stops),
            (&mut self.acknowledged, other.acknowledged),
            (&mut self.refused, other.refused),
            (&mut self.frees, other.frees),
            (&mut self.checkpoints, other.checkpoints),
            (&mut self.failed_checkpoints, other.failed_checkpoints),
            (&mut self.log_failures, other.log_failures),
            (&mut self.looked_for, other.looked_for),
            (&mut self.listed, other.listed),
            (&mut self.retentions, other.retentions),
            (&mut self.reliefs, other.reliefs),
            (&mut self.damaged_files, other.damaged_files),
            (&mut self.failed_reads, other.failed_reads),
            (&mut self.cluster_frees, other.cluster_frees),
        ];
        for (sum, more) in pairs {
            *sum += more;
        }
    }
}

/// A history in which something was lost or invented.
#[derive(Clone, Debug, thiserror::Error)]
#[error("seed {seed}, life {life}, step {step}: {what}")]
pub struct Failure {
    /// The history: the same seed gives the same one.
    pub seed: u64,
    /// The life after or in which it was noticed, from 1 on.
    pub life: u64,
    /// Steps of the disk until then.
    pub step: u64,
    /// What is wrong.
    pub what: String,
    /// What the disk was asked for, if that was to be remembered.
    pub trace: String,
}

/// Runs the history of a seed.
///
/// # Errors
/// [`Failure`]: something acknowledged is missing, something was never sent, the code panicked or waits for ever.
pub fn run(seed: u64, is_traced: bool) -> Result<Summary, Box<Failure>> {
    let mut random = Random::new(seed);
    let disk = SimDisk::new(random.fork(), is_traced);
    let mut world = World::new(disk.clone(), random);
    let result = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
        Err(format!("panic: {text}"))
    });
    match result {
        Ok(()) => Ok(Summary { steps: disk.steps(), failed_reads: disk.failed_reads(), ..world.summary() }),
        Err(what) => {
            let (life, step) = (world.summary().lives, disk.steps());
            Err(Box::new(Failure { seed, life, step, what, trace: disk.trace() }))
        }
    }
}
