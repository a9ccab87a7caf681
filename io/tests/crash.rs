//! Ten rounds of `crash-rounds`: kill -9 at random moments under load, checkpoints every two seconds, one and two cores
//! in turn. `tools/src/crash/` is the procedure; `docs/testing.md` says how to run more.

mod daemon;

use tools::crash::process::Setting;
use tools::crash::rounds::run;

const ROUNDS: usize = 10;

#[test]
fn nothing_acknowledged_is_lost_in_ten_kills() {
    let seed = daemon::random::Random::from_environment().next();
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let setting = Setting {
        binary: daemon::BINARY.into(),
        directory: directory.path().to_owned(),
        data: directory.path().to_owned(),
        sync: "always".to_owned(),
        checkpoint_interval: "2s".to_owned(),
    };
    let summary =
        run(&setting, ROUNDS, seed, |line| println!("{line}")).expect("the daemon starts and answers");
    println!("{summary:?}");
    assert!(summary.findings.is_clean(), "{:?}", summary.findings);
    assert_eq!(summary.rounds, ROUNDS);
    assert!(summary.acknowledged > 1000, "there was load: {}", summary.acknowledged);
    assert!(summary.findings.present >= summary.acknowledged, "the last look is at everything");
}
