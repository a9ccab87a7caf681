//! `crash-rounds --binary PATH --rounds N`: kills the daemon under load and looks for lost samples.
//!
//! Ends with 1 if anything that was acknowledged is missing or anything that was never sent is there. The data
//! directory stays then, with the daemon's messages in `daemon.log`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Arg, Command, value_parser};
use tools::crash::process::{Setting, directory_bytes};
use tools::crash::rounds::run;

/// The command line.
struct Options {
    binary: PathBuf,
    rounds: usize,
    seed: Option<u64>,
    directory: Option<PathBuf>,
    checkpoint_interval: String,
}

fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("crash-rounds")
        .about(
            "Kills the daemon under load, again and again, and looks for samples that it lost or invented.",
        )
        .arg(
            option("binary", "PATH", "The binary of the daemon")
                .required(true)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            option("rounds", "N", "How often it is killed")
                .default_value("100")
                .value_parser(value_parser!(usize)),
        )
        .arg(
            option("seed", "S", "Repeats the moments and values of an earlier run")
                .value_parser(value_parser!(u64)),
        )
        .arg(
            option("directory", "PATH", "Where the data goes; must not exist yet")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            option("checkpoint-interval", "DURATION", "How often the daemon makes checkpoints")
                .default_value("2s"),
        )
}

impl Options {
    fn from_env() -> Self {
        let mut given = command().get_matches();
        Self {
            binary: given.remove_one("binary").unwrap_or_default(),
            rounds: given.remove_one("rounds").unwrap_or_default(),
            seed: given.remove_one("seed"),
            directory: given.remove_one("directory"),
            checkpoint_interval: given.remove_one("checkpoint-interval").unwrap_or_default(),
        }
    }
}

fn main() -> ExitCode {
    match rounds(Options::from_env()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("crash-rounds: {error}");
            ExitCode::FAILURE
        }
    }
}

fn rounds(options: Options) -> Result<ExitCode, String> {
    let seed = options.seed.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| u64::from(since.subsec_nanos()))
    });
    let fallback = || std::env::temp_dir().join(format!("crash-rounds-{}", std::process::id()));
    let directory = options.directory.unwrap_or_else(fallback);
    fs::create_dir(&directory).map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
    let binary = fs::canonicalize(&options.binary)
        .map_err(|error| format!("cannot find {}: {error}", options.binary.display()))?;
    println!("seed {seed}, data in {}", directory.display());
    let setting = Setting {
        binary,
        directory: directory.clone(),
        data: directory.clone(),
        sync: "always".to_owned(),
        checkpoint_interval: options.checkpoint_interval,
    };
    let summary = run(&setting, options.rounds, seed, |line| println!("{line}"))
        .map_err(|error| format!("seed {seed}, {}: {error}", directory.display()))?;
    println!(
        "{} rounds, seed {seed}: {} samples acknowledged, {} batches in flight, longest start {:.1?}, {} MB of files",
        summary.rounds,
        summary.acknowledged,
        summary.batches_in_flight,
        summary.start_max,
        directory_bytes(&directory) / 1_000_000
    );
    println!("lost = {}, invented = {}", summary.findings.lost, summary.findings.invented);
    if !summary.findings.is_clean() {
        return Ok(ExitCode::FAILURE);
    }
    fs::remove_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}
