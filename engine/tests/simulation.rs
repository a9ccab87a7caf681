//! The deterministic simulator over some thousand seeds: nothing acknowledged is lost, nothing is invented.
//!
//! `SIM_SEED=… cargo test -p engine --test simulation` runs one seed and prints what the disk was asked for; `simulate` in
//! the tools runs them for hours. What is simulated is in `engine/src/testing/`.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use engine::testing::simulation::{Failure, Summary, run};

/// Seeds of a usual run.
const SEEDS: u64 = 5000;

fn seeds() -> u64 {
    std::env::var("SIM_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap())
}

/// Runs seeds on all CPUs; the failure with the smallest seed, and what happened in the others.
fn run_all(seeds: u64) -> (Summary, Option<Box<Failure>>) {
    let next = AtomicU64::new(0);
    let work = || {
        let (mut sum, mut failure) = (Summary::default(), None);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds || failure.is_some() {
                return (sum, failure);
            }
            match run(seed, false) {
                Ok(summary) => sum.add(&summary),
                Err(found) => failure = Some(found),
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let (mut sum, mut failures) = (Summary::default(), Vec::new());
        for worker in workers {
            let (more, failure) = worker.join().unwrap();
            sum.add(&more);
            failures.extend(failure);
        }
        (sum, failures.into_iter().min_by_key(|failure| failure.seed))
    })
}

#[test]
fn what_is_acknowledged_survives_and_nothing_else_appears() {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        match run(seed.parse().unwrap(), true) {
            Ok(summary) => println!("seed {seed}: {summary:?}"),
            Err(failure) => panic!("{}\n{failure}", failure.trace),
        }
        return;
    }
    let since = Instant::now();
    let (sum, failure) = run_all(seeds());
    println!("{} seeds in {:.1?}: {sum:#?}", seeds(), since.elapsed());
    if let Some(failure) = failure {
        panic!(
            "{failure}\nagain: SIM_SEED={} cargo test -p engine --test simulation -- --nocapture",
            failure.seed
        );
    }
    // The simulator must try what it is there for.
    for (count, what) in [
        (sum.kills, "kills"),
        (sum.power_losses, "power losses"),
        (sum.crashes_at_start, "crashes at a start"),
        (sum.failed_starts, "failed starts"),
        (sum.clean_stops, "clean stops"),
        (sum.frees, "frees"),
        (sum.checkpoints, "checkpoints"),
        (sum.failed_checkpoints, "failed checkpoints"),
        (sum.log_failures, "failures of a log"),
        (sum.refused, "refused samples"),
        (sum.retentions, "passes of retention"),
        (sum.listed, "hosts looked for"),
        (sum.reliefs, "passes of the memory cap"),
        (sum.damaged_files, "damaged files"),
        (sum.failed_reads, "failed reads"),
        (sum.cluster_frees, "frees of a cluster"),
    ] {
        assert!(count >= seeds() / 50, "only {count} {what}");
    }
    assert!(sum.looked_for >= 50 * seeds(), "only {} samples were looked for", sum.looked_for);
}

#[test]
fn a_seed_is_a_history() {
    for seed in [3, 5] {
        let (first, second) = (run(seed, true), run(seed, true));
        match (first, second) {
            (Ok(first), Ok(second)) => assert_eq!(first, second),
            (Err(first), Err(second)) => assert_eq!(first.trace, second.trace),
            other => panic!("{other:?}"),
        }
    }
}
