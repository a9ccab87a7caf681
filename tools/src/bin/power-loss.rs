//! `power-loss --binary PATH --images N`: records what the daemon writes and lets the power fail at many moments.
//!
//! Needs `/dev/fuse` and the right to mount. Ends with 1 if anything that was acknowledged is missing, anything that was never
//! sent is there, or the daemon does not start. The images with which that was so stay then.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgAction, Command, value_parser};
use tools::crash::process::Setting;
use tools::power::disk::Syncs;
use tools::power::rounds::{Plan, run};

/// The command line.
struct Options {
    binary: PathBuf,
    rounds: u64,
    images: u64,
    seconds: u64,
    seed: Option<u64>,
    directory: Option<PathBuf>,
    checkpoint_interval: String,
    sync: String,
    syncs: Syncs,
}

fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("power-loss")
        .about("Records what the daemon writes, lets the power fail at many moments, and looks for samples that it lost or invented.")
        .arg(
            option("binary", "PATH", "The binary of the daemon")
                .required(true)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            option("rounds", "N", "How often the daemon works, each time on what a loss of power has left")
                .default_value("2")
                .value_parser(value_parser!(u64).range(1..)),
        )
        .arg(
            option("images", "N", "How often the power fails in each round")
                .default_value("100")
                .value_parser(value_parser!(u64).range(1..)),
        )
        .arg(
            option("seconds", "S", "How long the daemon works in each round")
                .default_value("6")
                .value_parser(value_parser!(u64).range(1..)),
        )
        .arg(
            option("seed", "S", "Repeats the choices of an earlier run; what the daemon does meanwhile it cannot repeat")
                .value_parser(value_parser!(u64)),
        )
        .arg(
            option("directory", "PATH", "Where mount and images go; must not exist yet")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            option("checkpoint-interval", "DURATION", "How often the daemon makes checkpoints")
                .default_value("1s"),
        )
        .arg(
            option("sync", "MODE", "wal.sync of the daemon; but for `always`, losses are to be found")
                .default_value("always"),
        )
        .arg(
            Arg::new("ignore-syncs")
                .long("ignore-syncs")
                .action(ArgAction::SetTrue)
                .help("The drive lies about syncs: losses are to be found"),
        )
}

impl Options {
    fn from_env() -> Self {
        let mut given = command().get_matches();
        Self {
            binary: given.remove_one("binary").unwrap_or_default(),
            rounds: given.remove_one("rounds").unwrap_or_default(),
            images: given.remove_one("images").unwrap_or_default(),
            seconds: given.remove_one("seconds").unwrap_or_default(),
            seed: given.remove_one("seed"),
            directory: given.remove_one("directory"),
            checkpoint_interval: given.remove_one("checkpoint-interval").unwrap_or_default(),
            sync: given.remove_one("sync").unwrap_or_default(),
            syncs: if given.get_flag("ignore-syncs") { Syncs::Ignored } else { Syncs::Honoured },
        }
    }
}

fn main() -> ExitCode {
    match lose_power(Options::from_env()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("power-loss: {error}");
            ExitCode::FAILURE
        }
    }
}

fn lose_power(options: Options) -> Result<ExitCode, String> {
    let seed = options.seed.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| u64::from(since.subsec_nanos()))
    });
    let fallback = || std::env::temp_dir().join(format!("power-loss-{}", std::process::id()));
    let directory = options.directory.unwrap_or_else(fallback);
    fs::create_dir(&directory).map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
    let binary = fs::canonicalize(&options.binary)
        .map_err(|error| format!("cannot find {}: {error}", options.binary.display()))?;
    println!("seed {seed}, data in {}", directory.display());
    let setting = Setting {
        binary,
        directory: directory.clone(),
        data: directory.clone(),
        sync: options.sync,
        checkpoint_interval: options.checkpoint_interval,
    };
    let plan = Plan {
        rounds: usize::try_from(options.rounds).unwrap_or(usize::MAX),
        images: usize::try_from(options.images).unwrap_or(usize::MAX),
        time: Duration::from_secs(options.seconds),
        seed,
        syncs: options.syncs,
    };
    let (summary, _) = run(&setting, &plan, |line| println!("{line}"))
        .map_err(|error| format!("seed {seed}, {}: {error}", directory.display()))?;
    println!(
        "{} images, seed {seed}: {} with a fault, of these {} that the daemon does not start on; longest start {:.1?}",
        summary.images, summary.images_failed, summary.refused, summary.start_max
    );
    println!(
        "acknowledged samples found {}, in flight {}, lost = {}, invented = {}",
        summary.findings.present,
        summary.findings.in_flight_present,
        summary.findings.lost,
        summary.findings.invented
    );
    if !summary.is_clean() {
        return Ok(ExitCode::FAILURE);
    }
    fs::remove_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}
