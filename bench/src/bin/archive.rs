//! What a sample costs in the archive, beside a zstd'd `.bin` of the same samples, and how long it takes to write.
//!
//! Snapshots of hosts as the load of `load` makes them (72 threads × 10 metrics and 20 of the node), merged host by host.
//!
//! usage: `archive [--hosts N] [--points N] [--snapshots N] [--all]`; `--all` compares encodings.

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use bench::report;
use bench::values::{Round, Shape};
use clap::{Arg, ArgAction};
use engine::archive::schema::{TimestampEncoding, properties, properties_with};
use engine::archive::{ArchiveWriter, HostRows};
use engine::checkpoint::{Kind, SnapshotEncoder, SnapshotSink};
use parquet::basic::Encoding;
use parquet::file::properties::WriterProperties;

const THREADS: u32 = 72;
const THREAD_METRICS: u32 = 10;
const NODE_METRICS: u32 = 20;
const START: i64 = 1_700_000_000;
const INTERVAL_SECONDS: i64 = 60;
/// What the snapshots are compressed with for comparison, and the archive.
const ZSTD_LEVEL: i32 = 3;

/// The value kinds: as the load sends them, and random walks of two decimals, as gauges of machines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Values {
    Load,
    Walk,
}

/// One snapshot of a host.
fn snapshot(values: Values, host: u32, snapshot: u32, points: u32) -> Vec<u8> {
    let first = snapshot * points;
    let start = START + i64::from(first) * INTERVAL_SECONDS;
    let mut encoder = SnapshotEncoder::new(start, start + i64::from(points) * INTERVAL_SECONDS);
    let write = |encoder: &mut SnapshotEncoder, metric: &str, line: u32| {
        let shape = Shape::of_line(line);
        let mut level = 5000 + line % 977;
        let value = |point: u32| {
            let units = Round::new(1, host, u64::from(first + point)).units(line, shape);
            match values {
                Values::Load => shape.number(units),
                Values::Walk => {
                    level = (level + units % 41).saturating_sub(20);
                    f64::from(level) / 100.0
                }
            }
        };
        encoder.series(metric, INTERVAL_SECONDS, start, (0..points).map(value).collect::<Vec<_>>());
    };
    for metric in 0..NODE_METRICS {
        write(&mut encoder, &format!("node_metric_{metric:02}"), THREADS * THREAD_METRICS + metric);
    }
    for thread in 0..THREADS {
        encoder.open_level(&format!("hwthread{thread}"));
        for metric in 0..THREAD_METRICS {
            write(&mut encoder, &format!("thread_metric_{metric}"), metric * THREADS + thread);
        }
        encoder.close_level();
    }
    encoder.finish().0
}

/// Writes the archive of all hosts: its bytes, rows, and the longest single step in nanoseconds.
fn archive(hosts: &[Vec<Vec<u8>>], properties: WriterProperties) -> Result<(u64, u64, u128), Box<dyn Error>> {
    let mut writer = ArchiveWriter::with_properties("bench", properties)?;
    let (mut bytes, mut step_ns_max) = (0, 0);
    for (index, snapshots) in hosts.iter().enumerate() {
        let mut rows = HostRows::default();
        for snapshot in snapshots {
            rows.add(Kind::Binary, snapshot)?;
        }
        writer.begin_host(&format!("f{index:04}"), rows);
        let mut is_more = true;
        while is_more {
            let since = Instant::now();
            is_more = writer.write_rows()?;
            bytes += writer.take_bytes()?.len() as u64;
            step_ns_max = step_ns_max.max(since.elapsed().as_nanos());
        }
    }
    let rows = writer.rows_written();
    bytes += writer.finish()?.len() as u64;
    Ok((bytes, rows, step_ns_max))
}

fn main() -> ExitCode {
    let number = |name: &'static str, default: &'static str| {
        Arg::new(name).long(name).default_value(default).value_parser(clap::value_parser!(u32).range(1..))
    };
    let matches = clap::Command::new("archive")
        .about("Bytes and nanoseconds of a sample in the archive, beside a compressed snapshot.")
        .args([number("hosts", "20"), number("points", "720"), number("snapshots", "4")])
        .arg(Arg::new("all").long("all").action(ArgAction::SetTrue))
        .get_matches();
    let number = |name: &str| *matches.get_one::<u32>(name).expect("it has a default");
    report::exit_code(run(number("hosts"), number("points"), number("snapshots"), matches.get_flag("all")))
}

fn run(hosts: u32, points: u32, snapshots: u32, all: bool) -> Result<(), Box<dyn Error>> {
    println!(
        "{hosts} hosts × {} series × {snapshots} snapshots of {points} points",
        THREADS * THREAD_METRICS + NODE_METRICS
    );
    println!("| values | file | bytes a sample | ns a sample | longest step, ms |");
    println!("|---|---|--:|--:|--:|");
    for values in [Values::Load, Values::Walk] {
        let hosts: Vec<Vec<Vec<u8>>> = (0..hosts)
            .map(|host| (0..snapshots).map(|index| snapshot(values, host, index, points)).collect())
            .collect();
        let (_, rows, _) = archive(&hosts, properties()?)?;
        let since = Instant::now();
        let mut compressed = 0;
        for snapshot in hosts.iter().flatten() {
            compressed += zstd::bulk::compress(snapshot, ZSTD_LEVEL)?.len() as u64;
        }
        let row = |file: &str, bytes: u64, ns: u128, step_ns: u128| {
            let (bytes, ns) = (bytes as f64 / rows as f64, ns as f64 / rows as f64);
            println!("| {values:?} | {file} | {bytes:.3} | {ns:.0} | {:.0} |", step_ns as f64 / 1e6);
        };
        row("snapshots, zstd 3", compressed, since.elapsed().as_nanos(), 0);
        let measure = |file: &str, properties| -> Result<(), Box<dyn Error>> {
            let since = Instant::now();
            let (bytes, _, step_ns) = archive(&hosts, properties)?;
            row(file, bytes, since.elapsed().as_nanos(), step_ns);
            Ok(())
        };
        measure("archive", properties()?)?;
        if !all {
            continue;
        }
        for time in [TimestampEncoding::Delta, TimestampEncoding::Dictionary] {
            for value in [Encoding::PLAIN, Encoding::BYTE_STREAM_SPLIT] {
                for level in [1, 3, 9] {
                    let name = format!("time {time:?}, value {value}, zstd {level}");
                    measure(&name, properties_with(time, value, level)?)?;
                }
            }
        }
    }
    Ok(())
}
