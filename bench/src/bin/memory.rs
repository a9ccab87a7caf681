//! What a point costs in memory: a day of minutes of many series in a shard, kind by kind.
//!
//! Each kind is fed to a shard in a process of its own, which prints how much its resident memory grew by each point, what of that
//! the shard accounts for, what a sample took to store, and what stays resident when all is freed.
//!
//! usage: `memory [--series N] [--points N] [--settle-seconds N] [KIND …]`; with the features `jemalloc` or `mimalloc` under that allocator.

use std::error::Error;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::procfs::Usage;
use bench::report;
use bench::values::mix;
use clap::{Arg, ArgAction};
use engine::config::{Aggregation, Metric, MetricId, Metrics};
use engine::memory::shard::Shard;
use engine::series::declare::Declarations;
use engine::series::route::{Batch, Sample};
use engine::series::tree::ROOT;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Series of a host: 72 threads × 10 metrics, and 20 of its own.
const THREADS: u32 = 72;
const THREAD_METRICS: u32 = 10;
const HOST_METRICS: u32 = 20;
const HOST_SERIES: u32 = THREADS * THREAD_METRICS + HOST_METRICS;

const START: i64 = 1_700_000_000;
const INTERVAL_SECONDS: i64 = 60;

#[derive(Debug)]
struct Arguments {
    series: u32,
    points: u32,
    /// How long allocators get to give memory back.
    settle: Duration,
    kinds: Vec<Kind>,
    /// Feed the one kind in this process.
    here: bool,
}

impl Arguments {
    fn parse() -> Self {
        let number = clap::value_parser!(u32).range(1..);
        let kinds: Vec<&str> = Kind::ALL.map(Kind::name).into();
        let command = clap::Command::new("memory")
            .about("Resident memory of a day of minutes, by kind of values.")
            .arg(Arg::new("series").long("series").default_value("148000").value_parser(number))
            .arg(Arg::new("points").long("points").default_value("1440").value_parser(number))
            .arg(
                Arg::new("settle")
                    .long("settle-seconds")
                    .default_value("0")
                    .value_parser(clap::value_parser!(u32)),
            )
            .arg(Arg::new("here").long("here").hide(true).action(ArgAction::SetTrue))
            .arg(Arg::new("kinds").num_args(..).value_parser(kinds));
        let matches = command.get_matches();
        let number = |name: &str| *matches.get_one::<u32>(name).expect("it has a default");
        let is_asked = |kind: &Kind| match matches.get_many::<String>("kinds") {
            Some(mut names) => names.any(|name| name == kind.name()),
            None => true,
        };
        Self {
            series: number("series"),
            points: number("points"),
            settle: Duration::from_secs(number("settle").into()),
            kinds: Kind::ALL.into_iter().filter(is_asked).collect(),
            here: matches.get_flag("here"),
        }
    }
}

/// What the values of a series are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Random, below 100, two decimals.
    TwoDecimals,
    /// Always the same.
    Constant,
    /// Sums of random increments below 2,000.
    Counter,
    /// Random in all 52 bits.
    Entropy,
    /// As the load generator sends them: gauges and integers of several lengths.
    Site,
}

impl Kind {
    const ALL: [Self; 5] = [Self::TwoDecimals, Self::Constant, Self::Counter, Self::Entropy, Self::Site];

    fn name(self) -> &'static str {
        match self {
            Self::TwoDecimals => "two-decimals",
            Self::Constant => "constant",
            Self::Counter => "counter",
            Self::Entropy => "entropy",
            Self::Site => "site",
        }
    }

    fn value(self, series: u32, point: u32, total: &mut f64) -> f64 {
        let random = mix(u64::from(series) << 32 | u64::from(point));
        match self {
            Self::TwoDecimals => (random % 10_000) as f64 / 100.0,
            Self::Constant => f64::from(series) / 100.0,
            Self::Counter => {
                *total += (random % 2000) as f64;
                *total
            }
            Self::Entropy => 100.0 * ((random >> 11) as f64 / (1u64 << 53) as f64),
            Self::Site => {
                let shape = bench::values::Shape::of_line(series % HOST_SERIES);
                shape.number(bench::values::Round::new(1, series, point.into()).units(0, shape))
            }
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = if arguments.here { feed(&arguments) } else { feed_all(&arguments) };
    report::exit_code(result)
}

/// One process per kind.
fn feed_all(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    println!("{} series × {} points", arguments.series, arguments.points);
    println!("| kind | RSS bytes a point | accounted | ns a sample | RSS at the end | when freed |");
    println!("|---|--:|--:|--:|--:|--:|");
    for kind in &arguments.kinds {
        let status = Command::new(std::env::current_exe()?)
            .args(["--here", "--series", &arguments.series.to_string()])
            .args(["--points", &arguments.points.to_string()])
            .args(["--settle-seconds", &arguments.settle.as_secs().to_string(), kind.name()])
            .status()?;
        if !status.success() {
            return Err(format!("{}: {status}", kind.name()).into());
        }
    }
    Ok(())
}

fn metrics() -> Result<Arc<Metrics>, Box<dyn Error>> {
    let names = (0..THREAD_METRICS + HOST_METRICS).map(|metric| {
        let name = format!("metric_{metric}");
        Metric { name: name.into(), frequency: INTERVAL_SECONDS, aggregation: Aggregation::Sum }
    });
    Ok(Metrics::new(names.collect())?)
}

/// The batch that declares the series of a host; later ones have samples only.
fn declare(host: u32) -> Batch {
    let mut batch = Batch::default();
    for line in 0..HOST_SERIES {
        let host = format!("host{host:04}");
        let mut path = vec![["cluster", ""], [&host, ""]];
        let thread;
        let metric = match line.checked_sub(HOST_METRICS) {
            None => THREAD_METRICS + line,
            Some(line) => {
                thread = (line / THREAD_METRICS).to_string();
                path.push(["hwthread", &thread]);
                line % THREAD_METRICS
            }
        };
        batch.declarations.push(path, MetricId(metric as u16));
    }
    batch
}

fn feed(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let kind = *arguments.kinds.first().ok_or("no kind")?;
    let hosts = arguments.series / HOST_SERIES;
    let series = hosts * HOST_SERIES;
    let points = u64::from(series) * u64::from(arguments.points);
    let mut totals = if kind == Kind::Counter { vec![1e9; series as usize] } else { Vec::new() };
    let mut samples: Vec<Sample> = Vec::with_capacity(HOST_SERIES as usize);
    let rss = || Usage::of_self().map(|usage| usage.rss_bytes);
    let before = rss()?;

    let mut shard = Shard::new(metrics()?, 1, 48 * 3600);
    for host in 0..hosts {
        shard.apply(0, &declare(host), START, None);
    }
    let mut stored = 0;
    let mut spent = Duration::ZERO;
    for point in 0..arguments.points {
        let time = START + i64::from(point) * INTERVAL_SECONDS;
        for host in 0..hosts {
            samples.clear();
            for link in host * HOST_SERIES..(host + 1) * HOST_SERIES {
                let mut total = 0.0;
                let value = kind.value(link, point, totals.get_mut(link as usize).unwrap_or(&mut total));
                samples.push(Sample { link, time, value });
            }
            let batch =
                Batch { declarations: Declarations::default(), samples: std::mem::take(&mut samples) };
            let begin = Instant::now();
            stored += shard.apply(0, &batch, time, None).stored;
            spent += begin.elapsed();
            samples = batch.samples;
        }
    }
    if stored != points {
        return Err(format!("{stored} of {points} samples stored").into());
    }
    settle(arguments.settle);
    let end = rss()?;
    let accounted = shard.memory_bytes().total();
    shard.free_before(ROOT, i64::MAX);
    settle(arguments.settle);
    let freed = rss()?;
    let per_point = |bytes: u64| bytes as f64 / points as f64;
    println!(
        "| {} | {:.3} | {:.3} | {:.1} | {} MiB | {} MiB |",
        kind.name(),
        per_point(end - before),
        per_point(accounted),
        spent.as_nanos() as f64 / points as f64,
        end >> 20,
        freed >> 20,
    );
    Ok(())
}

/// Some allocators give memory back only after a while, and only while they are used.
fn settle(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        for size in 0..64 {
            std::hint::black_box(vec![0u8; 1 << (4 + size % 16)]);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
