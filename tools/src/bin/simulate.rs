//! `simulate`: the deterministic simulator for longer than a test may take, or one seed of it with all its steps.
//!
//! Ends with 1 if a seed fails, which it prints. The simulator itself is `engine::testing::simulation`.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use engine::testing::simulation::{Summary, run};

/// Time between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

fn command() -> Command {
    let number = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).value_parser(value_parser!(u64))
    };
    Command::new("simulate")
        .about("Runs log, checkpoints and recovery on a simulated machine that fails, and looks for lost samples.")
        .arg(number("from", "SEED", "The first seed").default_value("0"))
        .arg(number("count", "N", "How many seeds; without it, and without --seconds, no end"))
        .arg(number("seconds", "S", "For how long"))
        .arg(number("seed", "SEED", "This seed alone").conflicts_with_all(["from", "count", "seconds"]))
        .arg(
            Arg::new("trace")
                .long("trace")
                .action(ArgAction::SetTrue)
                .help("With --seed: prints what the disk was asked for, step by step"),
        )
        .arg(
            Arg::new("keep-going")
                .long("keep-going")
                .action(ArgAction::SetTrue)
                .help("Does not end at the first seed that fails"),
        )
}

fn main() -> ExitCode {
    let given = command().get_matches();
    // A panic is a finding, which is printed with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    match given.get_one::<u64>("seed") {
        Some(&seed) => one(seed, given.get_flag("trace")),
        None => many(&given),
    }
}

fn one(seed: u64, is_traced: bool) -> ExitCode {
    match run(seed, is_traced) {
        Ok(summary) => {
            println!("seed {seed} is sound: {summary:?}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            print!("{}", failure.trace);
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn many(given: &ArgMatches) -> ExitCode {
    let number = |name: &str| given.get_one::<u64>(name).copied();
    let (from, count, seconds) = (number("from").unwrap_or(0), number("count"), number("seconds"));
    let end = count.map_or(u64::MAX, |count| from.saturating_add(count));
    let since = Instant::now();
    let is_over = || seconds.is_some_and(|seconds| since.elapsed().as_secs() >= seconds);
    let (next, failed, keeps_going) = (AtomicU64::new(from), AtomicU64::new(0), given.get_flag("keep-going"));
    let is_ended = AtomicBool::new(false);
    let sum = Mutex::new(Summary::default());
    let work = || {
        while !is_over() && !is_ended.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            match run(seed, false) {
                Ok(summary) => sum.lock().expect("nobody panics with it").add(&summary),
                Err(failure) => {
                    println!("{failure}");
                    failed.fetch_add(1, Ordering::Relaxed);
                    is_ended.fetch_or(!keeps_going, Ordering::Relaxed);
                }
            }
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut shown = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::sleep(Duration::from_millis(20));
            if shown.elapsed() >= PROGRESS_INTERVAL {
                shown = Instant::now();
                println!("{} seeds, next {}", seeds(&next, from, end), next.load(Ordering::Relaxed));
            }
        }
    });
    let failed = failed.into_inner();
    let sum = sum.into_inner().expect("nobody panics with it");
    println!("{} seeds in {:.1?}, {failed} failed: {sum:?}", seeds(&next, from, end), since.elapsed());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How many seeds were begun.
fn seeds(next: &AtomicU64, from: u64, end: u64) -> u64 {
    next.load(Ordering::Relaxed).min(end) - from
}
