//! `checkpoint-export --wal DIR --to DIR`: the daemon's log as files of the reference, so that the data directory of a
//! daemon that did not stop cleanly can be taken back to it. Reads the log, never changes it, replaces no file.

use std::fs;
use std::io;
use std::path::{self, Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use engine::checkpoint::Kind;
use engine::checkpoint::file_name::{REFERENCE_LOG, parse, snapshot_name};
use engine::limits::TIME_SECONDS_MAX;
use engine::memory::shard::Shard;
use engine::series::tree::LevelId;
use tools::export::host_files::{self, HostCounts, LeftOut};
use tools::export::load::{file_bytes, load};
use tools::export::log_directory::LogDirectory;
use tools::export::metrics_config::read_metrics;
use tools::export::retention::parse_seconds;
use tools::export::write_new::{create_directory, write_new};
use tools::progress::Shown;

/// Exit codes besides success.
const DAMAGED: u8 = 1;
const NOT_EXPORTED: u8 = 2;

fn main() -> ExitCode {
    match run(&command().get_matches()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(NOT_EXPORTED)
        }
    }
}

fn command() -> Command {
    let path = |name: &'static str| {
        Arg::new(name).long(name).value_name("DIR").required(true).value_parser(value_parser!(PathBuf))
    };
    Command::new("checkpoint-export")
        .about("Writes what is in the daemon's log as snapshots of the reference; the log is not changed.")
        .after_help(
            "Stop the daemon first. Then move the log away, or its next start loads it once more.\n\
             Exit code 0: everything was exported. 1: a segment is torn or damaged, or a host could not be written; \
             everything else was exported. 2: nothing was.",
        )
        .arg(path("wal").help("Directory of the log (metric-store.wal.directory)"))
        .arg(path("to").help("Directory of the checkpoints (metric-store.checkpoints.directory), or a new one"))
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .default_value("config.json")
                .value_parser(value_parser!(PathBuf))
                .help("The daemon's configuration: other metrics than its are left out"),
        )
        .arg(
            Arg::new("retention")
                .long("retention")
                .value_name("DURATION")
                .value_parser(parse_seconds)
                .help("Leave out what is older, as in 48h [default: nothing]"),
        )
        .arg(
            Arg::new("as-log")
                .long("as-log")
                .action(ArgAction::SetTrue)
                .help("Write one current.wal per host instead of snapshots"),
        )
}

/// A path of the command line; clap has seen to it that it is there.
fn path_of<'a>(options: &'a ArgMatches, name: &str) -> &'a Path {
    options.get_one::<PathBuf>(name).map_or(Path::new(""), PathBuf::as_path)
}

fn run(options: &ArgMatches) -> Result<ExitCode, String> {
    let (wal, to) = (path_of(options, "wal"), path_of(options, "to"));
    let metrics = read_metrics(path_of(options, "config")).map_err(|error| error.to_string())?;
    let log = LogDirectory::open(wal).map_err(|error| error.to_string())?;
    keep_apart(wal, to)?;
    let now = clock_seconds();
    let oldest = options.get_one::<i64>("retention").map_or(i64::MIN, |seconds| now - seconds);

    let log_bytes = log.segments().iter().map(|segment| file_bytes(&segment.path)).sum();
    let mut shown = Shown::start("loading", "samples", log_bytes);
    let loaded = load(log.segments(), metrics, oldest, |bytes, samples| shown.add(bytes, samples));
    drop(shown);
    loaded.damaged.iter().for_each(|segment| eprintln!("error: {segment}"));
    let mut failed = !loaded.damaged.is_empty();
    let (mut hosts, mut total) = (0, HostCounts::default());
    for level in loaded.shard.hosts() {
        let export = HostExport { shard: &loaded.shard, level, to, now };
        let exported = if options.get_flag("as-log") { export.log() } else { export.snapshots() };
        let names = export.names();
        match exported {
            Ok((files, left_out)) => {
                let counts = host_files::count(&loaded.shard, level);
                hosts += 1;
                total.series += counts.series;
                total.samples += counts.samples;
                println!("{names}: {} series, {} samples in {files}", counts.series, counts.samples);
                if let Some(LeftOut { samples, why }) = left_out {
                    failed = true;
                    eprintln!("error: {names}: {samples} of them were left out: {why}");
                }
            }
            Err(error) => {
                failed = true;
                eprintln!("error: {names}: {error}");
            }
        }
    }
    println!(
        "total: {} segments, {} damaged; {hosts} hosts, {} series, {} samples",
        log.segments().len(),
        loaded.damaged.len(),
        total.series,
        total.samples
    );
    if loaded.recovered.too_old > 0 {
        eprintln!("{} samples were left out: they are older than the retention", loaded.recovered.too_old);
    }
    if loaded.unconfigured > 0 {
        eprintln!("{} samples were left out: their metrics are not configured", loaded.unconfigured);
    }
    Ok(if failed { ExitCode::from(DAMAGED) } else { ExitCode::SUCCESS })
}

/// Refuses to write into the log's directory, or to make a cluster of it.
fn keep_apart(wal: &Path, to: &Path) -> Result<(), String> {
    let failed = |path: &Path, error: io::Error| format!("cannot find {}: {error}", path.display());
    // What does not exist yet has no links to follow.
    let absolute = path::absolute(to).map_err(|error| failed(to, error))?;
    let existing = absolute.ancestors().find(|path| path.exists()).unwrap_or(&absolute);
    let mut to_is = existing.canonicalize().map_err(|error| failed(existing, error))?;
    to_is.extend(absolute.strip_prefix(existing).iter());
    let wal_is = wal.canonicalize().map_err(|error| failed(wal, error))?;
    if to_is.starts_with(&wal_is) || wal_is.starts_with(&to_is) {
        let (wal, to) = (wal.display(), to.display());
        return Err(format!("one of {wal} and {to} lies in the other: name another directory with --to"));
    }
    Ok(())
}

/// One host on its way into files.
struct HostExport<'a> {
    shard: &'a Shard,
    level: LevelId,
    to: &'a Path,
    now: i64,
}

/// The names of the files, and what could not be written into them.
type Exported = Result<(String, Option<LeftOut>), String>;

impl HostExport<'_> {
    /// Cluster and host, which is also the directory.
    fn names(&self) -> String {
        self.shard.tree().path(self.level).join("/")
    }

    fn snapshots(&self) -> Exported {
        if let Some(time) = host_files::impossible_time(self.shard, self.level) {
            return Err(format!(
                "a sample's time is {time} s, which no snapshot can hold; export with --as-log"
            ));
        }
        let directory = self.directory()?;
        let names = file_names(&directory)?;
        let runs = self.shard.snapshots_needed(self.level);
        let mut written = Vec::new();
        let first = first_from(names.iter().map(String::as_str), runs, self.now);
        for (run, from) in (0..runs).zip(first..) {
            let name = snapshot_name(from, Kind::Binary);
            let bytes = host_files::snapshot(self.shard, self.level, run, from, self.now.max(from));
            write(&directory.join(&name), &bytes)?;
            written.push(name);
        }
        Ok((written.join(", "), None))
    }

    fn log(&self) -> Exported {
        let path = self.directory()?.join(REFERENCE_LOG);
        if path.exists() {
            return Err(format!(
                "{} exists and was not touched; export without --as-log, or move it away if its samples are not needed",
                path.display()
            ));
        }
        let (bytes, left_out) = host_files::reference_log(self.shard, self.level);
        write(&path, &bytes)?;
        Ok((REFERENCE_LOG.to_owned(), left_out))
    }

    fn directory(&self) -> Result<PathBuf, String> {
        let directory =
            self.shard.tree().path(self.level).iter().fold(self.to.to_owned(), |path, name| path.join(name));
        create_directory(&directory)
            .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
        Ok(directory)
    }
}

/// Where the snapshots of a host begin: behind every one there is, since later ones replace samples of earlier ones, and
/// close to now, since all but one of those that begin before the retention are passed over.
fn first_from<'a>(names: impl IntoIterator<Item = &'a str>, runs: usize, now: i64) -> i64 {
    let runs = i64::try_from(runs).unwrap_or(0);
    // Later ones are no snapshots that anybody could read.
    let possible = ..TIME_SECONDS_MAX - runs;
    let taken =
        names.into_iter().filter_map(parse).map(|(from, _)| from).filter(|from| possible.contains(from));
    taken.max().map_or(now - runs, |newest| (newest + 1).max(now - runs))
}

fn file_names(directory: &Path) -> Result<Vec<String>, String> {
    let failed = |error: io::Error| format!("cannot read {}: {error}", directory.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    write_new(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn clock_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
