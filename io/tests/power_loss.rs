//! The real daemon loses its power at some moments: `tools/src/power/` is the procedure; `docs/testing.md` says how to try many.

mod daemon;

use std::time::{Duration, Instant};

use tools::crash::process::Setting;
use tools::power::check::{Moment, check};
use tools::power::disk::Syncs;
use tools::power::filesystem::Mounted;
use tools::power::image::Image;
use tools::power::rounds::{Plan, run};

/// The daemon works, and goes on from a loss of power.
const ROUNDS: usize = 2;
/// How often the power fails in each round.
const IMAGES: usize = 12;
/// How long the daemon works in each round.
const TIME: Duration = Duration::from_secs(3);
/// How many percent a drive keeps that lies about syncs.
const PERCENT_KEPT_BY_A_LIE: [u64; 3] = [0, 30, 60];

#[test]
fn nothing_acknowledged_is_lost_with_the_power() {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    if let Err(error) = Mounted::new(directory.path(), &Image::default()) {
        println!("skipped: losses of power need a file system of our own, and {error}");
        return;
    }
    let seed = daemon::random::Random::from_environment().next();
    let setting = Setting {
        binary: daemon::BINARY.into(),
        directory: directory.path().to_owned(),
        data: directory.path().to_owned(),
        sync: "always".to_owned(),
        checkpoint_interval: "1s".to_owned(),
    };
    let report = |line: &str| println!("{line}");

    let since = Instant::now();
    let plan = Plan { rounds: ROUNDS, images: IMAGES, time: TIME, seed, syncs: Syncs::Honoured };
    let (summary, recording) = run(&setting, &plan, report).expect("the daemon works on FUSE");
    let recording = recording.expect("there was a round");
    println!("{summary:?} in {:.1?}", since.elapsed());
    assert!(summary.is_clean(), "seed {seed}: {summary:?}");
    assert_eq!(summary.images, ROUNDS * IMAGES);
    assert!(summary.findings.present > 1000, "there was load: {summary:?}");

    // That a loss would be noticed: if the drive lies, some of what was acknowledged is gone.
    let mut moment = Moment::many(&recording, 1, seed)[0];
    (moment.operations, moment.done) = (recording.journal.len(), recording.journal.len());
    let moments = PERCENT_KEPT_BY_A_LIE.map(|percent_kept| {
        moment.loss.percent_kept = percent_kept;
        moment
    });
    let summary = check(&setting, &recording, &moments, Syncs::Ignored, |_| {}).expect("images can be made");
    println!("with a drive that lies: {summary:?}");
    assert_eq!(summary.images_failed, moments.len(), "{summary:?}");
    assert!(summary.findings.lost > 0, "{summary:?}");
}
