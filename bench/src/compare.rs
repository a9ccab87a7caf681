//! The same bytes to several servers in turn, round after round, and the table of ratios.
//!
//! Used by the program `compare`. Servers never run at the same time; within a round each gets the same lines with
//! the same timestamps, and the one that begins changes from round to round. Ratios are taken within a round, so that
//! whatever else the machine does falls on both sides; the table shows their median and extremes.

use std::{error::Error, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    figures::RunFigures,
    options::Options,
    peer::Peer,
    run, session,
    site::Site,
    spread::Spread,
    timeline::{Timeline, now_seconds},
    verify::Sent,
};

/// What is compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The load; its target is not used.
    pub load: Options,
    /// The servers; ratios are those of the first to each other one.
    pub peers: Vec<Peer>,
    /// How often.
    pub rounds: u32,
    /// Where data directories are made.
    pub scratch_parent: Option<PathBuf>,
}

/// Runs of one server, by round.
#[derive(Clone, Debug)]
pub struct Runs {
    /// The server's name.
    pub name: String,
    /// One a round.
    pub runs: Vec<RunFigures>,
}

impl Comparison {
    /// Runs all rounds; `told` is called after each run.
    ///
    /// # Errors
    /// When a server cannot be started, refuses lines, or does not hold what it acknowledged.
    pub fn run(&self, mut told: impl FnMut(&str, &RunFigures)) -> Result<Vec<Runs>, Box<dyn Error>> {
        let site = Site::new(&self.load.site);
        let mut all: Vec<Runs> =
            self.peers.iter().map(|peer| Runs { name: peer.name.clone(), runs: Vec::new() }).collect();
        for round in 0..self.rounds as usize {
            let seed = self.load.seed.wrapping_add(round as u64);
            let timeline = Timeline::ending_at(now_seconds(), self.load.interval_seconds, self.load.slots());
            for turn in 0..self.peers.len() {
                let index = (turn + round) % self.peers.len();
                let peer = &self.peers[index];
                let figures = self
                    .run_one(peer, &site, timeline, seed)
                    .map_err(|error| format!("{}: {error}", peer.name))?;
                told(&peer.name, &figures);
                all[index].runs.push(figures);
            }
        }
        Ok(all)
    }

    fn run_one(
        &self,
        peer: &Peer,
        site: &Site,
        timeline: Timeline,
        seed: u64,
    ) -> Result<RunFigures, Box<dyn Error>> {
        let daemon = peer.start(site, self.scratch_parent.as_deref())?;
        let write_target = peer.write_target();
        let target = run::Daemon { addr: daemon.addr, write_target: &write_target, pid: daemon.pid };
        let outcome = run::run(&self.load, site, timeline, target, seed)?;
        let with_log = |error: Box<dyn Error>| format!("{error}\nits log ends:\n{}", daemon.log());
        let mut figures = session::figures(seed, &outcome).map_err(with_log)?;
        let sent = Sent { site, timeline, rounds: &outcome.rounds, seed };
        let held = peer.check(daemon.addr, sent, self.load.verify_series).map_err(with_log)?;
        figures.verified_values = held as f64;
        figures.stop_seconds = Some(daemon.stop()?.as_secs_f64());
        Ok(figures)
    }
}

/// Lines per second of server CPU over a whole run; infinite if it used none that could be measured.
fn per_cpu_second(run: &RunFigures) -> f64 {
    run.total.lines / run.total.server_cpu_seconds
}

/// The table: medians of each server, and how much better the first one is.
///
/// # Panics
/// Without servers or rounds.
#[must_use]
pub fn table(all: &[Runs]) -> String {
    let mut text = format!(
        "{:<22}{:>12}{:>16}{:>16}{:>10}   {:<24}{}\n",
        "medians", "lines/s", "lines/CPU-s", "without 1st", "RSS, MB", "CPU ratio", "RSS ratio"
    );
    let ours = &all[0];
    for theirs in all {
        let median = |figure: &dyn Fn(&RunFigures) -> f64| Spread::of(theirs.runs.iter().map(figure)).median;
        let rest = |run: &RunFigures| {
            run.rest.as_ref().map_or(f64::NAN, |rest| rest.lines / rest.server_cpu_seconds)
        };
        let ratio = |figure: &dyn Fn(&RunFigures) -> f64| {
            let spread = Spread::of(ours.runs.iter().zip(&theirs.runs).map(|(a, b)| figure(a) / figure(b)));
            format!("{:.2} ({:.2}..{:.2})", spread.median, spread.min, spread.max)
        };
        text.push_str(&format!(
            "{:<22}{:>12.0}{:>16.0}{:>16.0}{:>10.1}   {:<24}{}\n",
            theirs.name,
            median(&|run| run.total.lines_per_second),
            median(&per_cpu_second),
            median(&rest),
            median(&|run| run.rss_bytes / 1e6),
            ratio(&per_cpu_second),
            ratio(&|run| run.rss_bytes),
        ));
    }
    text.push_str(&format!(
        "CPU ratio: lines per server CPU-second of {} divided by theirs, within a round: median (min..max).\n\
         RSS ratio: resident memory at the end of a run, likewise.\n",
        ours.name
    ));
    text
}

/// All figures.
#[must_use]
pub fn json(all: &[Runs]) -> Value {
    all.iter().map(|runs| (runs.name.clone(), json!(runs.runs))).collect::<serde_json::Map<_, _>>().into()
}
