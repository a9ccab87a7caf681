//! Prints what each stage of the ingest path costs per line, and the whole path as a multiple of the limit.
//!
//! `cargo run --release -p bench --bin stages [-- ROUNDS]`. Each round measures every stage once, in turn; ratios are
//! taken within a round, so that a busy machine falls on both sides.

use std::process::ExitCode;

use bench::{
    options::SiteOptions,
    spread::Spread,
    stages::{Stage, Stages},
    timeline::now_seconds,
};

/// What the whole path may cost, in limits.
const GOAL: f64 = 2.5;
const ROUNDS_DEFAULT: usize = 9;

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).map_or(Ok(ROUNDS_DEFAULT), |text| text.parse());
    let Some(rounds) = rounds.ok().filter(|rounds| (1..=1000).contains(rounds)) else {
        eprintln!("usage: stages [ROUNDS], from 1 to 1000; {ROUNDS_DEFAULT} unless given");
        return ExitCode::FAILURE;
    };
    let site = SiteOptions { hosts: 200, threads: 72, thread_metrics: 10, node_metrics: 20 };
    let mut stages = Stages::new(&site, 20, now_seconds());
    println!("{rounds} rounds of 20 intervals × {} lines, ns per line\n", stages.lines_per_interval());
    let mut ns: Vec<Vec<f64>> = vec![Vec::new(); Stage::ALL.len()];
    for _ in 0..rounds {
        for (stage, ns) in Stage::ALL.into_iter().zip(&mut ns) {
            ns.push(stages.pass(stage).ns_per_line());
        }
    }
    println!("{:<26}{:>10}{:>10}{:>10}{:>14}", "stage", "median", "min", "max", "in limits");
    let limit = ns.last().expect("the limit is a stage").clone();
    let ratio = |ns: &[f64]| Spread::of(ns.iter().zip(&limit).map(|(ns, limit)| ns / limit));
    for (stage, ns) in Stage::ALL.into_iter().zip(&ns) {
        let spread = Spread::of(ns.iter().copied());
        println!(
            "{:<26}{:>10.1}{:>10.1}{:>10.1}{:>14.2}",
            stage.name(),
            spread.median,
            spread.min,
            spread.max,
            ratio(ns).median
        );
    }
    let whole = ratio(&ns[Stage::ALL.len() - 2]);
    println!(
        "\nwhole path / limit: {:.2} (from {:.2} to {:.2}); goal at most {GOAL}: {}",
        whole.median,
        whole.min,
        whole.max,
        if whole.median <= GOAL { "reached" } else { "not reached" }
    );
    ExitCode::SUCCESS
}
