//! The procedure: the daemon works, the power fails at many moments, and from one of them it goes on.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::check::{Moment, Replay, Summary, check};
use super::disk::Syncs;
use super::filesystem::Mounted;
use super::history::History;
use super::image::Image;
use super::record::{Recording, histories, record};
use crate::crash::process::Setting;

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Recordings, each on what a loss of power at a moment of the one before has left: so what a start does is a part of
    /// the next one.
    pub rounds: usize,
    /// Images of each.
    pub images: usize,
    /// How long the daemon works for each.
    pub time: Duration,
    /// Where the choices come from.
    pub seed: u64,
    /// What the disk does with syncs.
    pub syncs: Syncs,
}

/// Does all of it, with mount and images below the directory of `setting`. Returns what was found, and the last recording.
///
/// # Errors
/// FUSE cannot be mounted, or the daemon does not work on it.
pub fn run(
    setting: &Setting,
    plan: &Plan,
    mut report: impl FnMut(&str),
) -> io::Result<(Summary, Option<Recording>)> {
    let mut summary = Summary::default();
    let (mut image, mut before) = (Image::default(), histories(plan.seed));
    let mut last = None;
    for round in 0..plan.rounds {
        let seed = plan.seed.wrapping_add(round as u64);
        let directory = setting.directory.join(format!("round-{round}"));
        let mount = directory.join("mount");
        fs::create_dir_all(&mount)?;
        let recording = record_on(setting, &mount, &image, plan.time, before)?;
        report(&format!("round {round}: {}", recording.summary()));
        let moments = Moment::many(&recording, plan.images, seed);
        let setting = Setting { directory, ..setting.clone() };
        summary.add(&check(&setting, &recording, &moments, plan.syncs, &mut report)?);
        let moment = Moment::many(&recording, 1, !seed)[0];
        image = Replay::new(&recording.journal, recording.base, Syncs::Honoured).lose_power(&moment);
        before =
            recording.histories.iter().map(|history| history.after(moment.operations, moment.done)).collect();
        last = Some(recording);
    }
    Ok((summary, last))
}

fn record_on(
    setting: &Setting,
    mount: &Path,
    image: &Image,
    time: Duration,
    before: Vec<History>,
) -> io::Result<Recording> {
    let mounted = Mounted::new(mount, image)?;
    let directory = setting.directory.clone();
    let setting = Setting { data: mount.to_owned(), directory, ..setting.clone() };
    record(&setting, &mounted, time, before)
}
