//! Draws the distribution of latencies at fixed rates, and throughput over connections and cores, as SVG.
//!
//! `cargo build --release && target/release/plots --directory docs/plots`. Latencies count from the moment a request was
//! due (no coordinated omission). Every run reads back what it sent.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bench::{
    interrupt,
    options::Options,
    pace,
    plot::{Axis, Plot, Series},
    report,
    session::{self, Session},
    site::Site,
};
use clap::{Arg, Command, value_parser};

/// Lines per second; the third is a large site's.
const RATES: [u32; 4] = [100_000, 300_000, 786_000, 2_000_000];
const CONNECTIONS: [u32; 5] = [1, 2, 4, 8, 16];
const CORES: [u32; 2] = [1, 2];

fn main() -> ExitCode {
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("PATH").help(help).value_parser(value_parser!(PathBuf))
    };
    let matches = Command::new("plots")
        .about("Measures and draws latency at fixed rates and throughput over connections and cores")
        .arg(path("binary", "the daemon").default_value("target/release/cc-metric-store"))
        .arg(path("directory", "where the plots are written").required(true))
        .arg(
            Arg::new("seconds")
                .long("seconds")
                .value_name("N")
                .default_value("10")
                .help("how long each rate is kept")
                .value_parser(value_parser!(u32).range(1..=3600)),
        )
        .get_matches();
    let binary = matches.get_one::<PathBuf>("binary").expect("has a default");
    let directory = matches.get_one::<PathBuf>("directory").expect("required");
    let seconds = *matches.get_one::<u32>("seconds").expect("has a default");
    report::exit_code(plots(binary, directory, seconds))
}

fn plots(binary: &Path, directory: &Path, seconds: u32) -> Result<(), Box<dyn Error>> {
    interrupt::install()?;
    pace::sleep_precisely();
    fs::create_dir_all(directory).map_err(|error| format!("making {}: {error}", directory.display()))?;
    let write = |name: &str, plot: &Plot| {
        let path = directory.join(name);
        fs::write(&path, plot.svg()).map_err(|error| format!("writing {}: {error}", path.display()))
    };
    write("latency.svg", &latency(binary, seconds)?)?;
    let (per_second, per_cpu_second) = throughput(binary)?;
    write("throughput.svg", &per_second)?;
    write("throughput-per-cpu.svg", &per_cpu_second)?;
    println!("\nwrote latency.svg, throughput.svg, throughput-per-cpu.svg to {}", directory.display());
    Ok(())
}

/// One run of the usual site with these arguments more.
fn measure(binary: &Path, arguments: &[&str]) -> Result<Session, Box<dyn Error>> {
    let binary = binary.display().to_string();
    let all = ["plots", "--binary", &binary].into_iter().chain(arguments.iter().copied());
    let options = Options::parse(all)?;
    session::run_once(&options, &Site::new(&options.site), options.seed)
}

/// Latency over percentile, a line a rate.
fn latency(binary: &Path, seconds: u32) -> Result<Plot, Box<dyn Error>> {
    println!("{:<16}{:>10}{:>10}{:>10}{:>10}   latency, ms", "lines/s", "p50", "p99", "p99.9", "max");
    let mut series = Vec::new();
    for rate in RATES {
        let (rate_text, seconds) = (rate.to_string(), seconds.to_string());
        let run = measure(binary, &["--rate", &rate_text, "--duration", &seconds])?;
        let ms = |quantile: f64| run.latency_ns.value_at_quantile(quantile) as f64 / 1e6;
        let max = run.latency_ns.max() as f64 / 1e6;
        println!("{rate:<16}{:>10.3}{:>10.3}{:>10.3}{max:>10.3}", ms(0.5), ms(0.99), ms(0.999));
        // From the fastest to the one in so many; x is 1 / (1 − quantile).
        let steps = (0..).map(|step| 10f64.powf(f64::from(step) * 0.05));
        let points = steps.take_while(|one_in| *one_in <= run.latency_ns.len() as f64);
        let points = points.map(|one_in| (one_in, ms(1.0 - 1.0 / one_in))).collect();
        series.push(Series { name: format!("{} lines/s", thousands(rate)), points });
    }
    let all = || series.iter().flat_map(|series: &Series| &series.points);
    let low = all().map(|point| point.1).fold(f64::INFINITY, f64::min).max(1e-3);
    let high = all().map(|point| point.1).fold(low, f64::max);
    let ticks = ["0", "90 %", "99 %", "99.9 %", "99.99 %"];
    let ticks = ticks.iter().enumerate().map(|(power, text)| (10f64.powi(power as i32), (*text).to_string()));
    Ok(Plot {
        title: "Latency of a request of 740 lines, from the moment it was due".into(),
        x: Axis { label: "percentile".into(), ticks: ticks.collect(), logarithmic: true },
        y: Axis::decades("milliseconds", low, high),
        series,
    })
}

/// Lines per second and per server CPU-second over connections, a line a number of cores.
fn throughput(binary: &Path) -> Result<(Plot, Plot), Box<dyn Error>> {
    println!("\n{:<8}{:>14}{:>14}{:>16}", "cores", "connections", "lines/s", "lines/CPU-s");
    let (mut seconds, mut cpu_seconds) = (Vec::new(), Vec::new());
    for cores in CORES {
        let (mut per_second, mut per_cpu_second) = (Vec::new(), Vec::new());
        for connections in CONNECTIONS {
            let (cores, connections_text) = (cores.to_string(), connections.to_string());
            let run = measure(binary, &["--cores", &cores, "--connections", &connections_text])?.figures;
            let total = &run.total;
            let by_cpu = total.lines / total.server_cpu_seconds;
            println!("{cores:<8}{connections:>14}{:>14.0}{by_cpu:>16.0}", total.lines_per_second);
            per_second.push((f64::from(connections), total.lines_per_second / 1e6));
            per_cpu_second.push((f64::from(connections), by_cpu / 1e6));
        }
        let name = if cores == 1 { "1 core".into() } else { format!("{cores} cores") };
        seconds.push(Series { name: name.clone(), points: per_second });
        cpu_seconds.push(Series { name, points: per_cpu_second });
    }
    let plot = |title: &str, y: &str, series: Vec<Series>| {
        let high = series.iter().flat_map(|series| &series.points).map(|point| point.1).fold(0.0, f64::max);
        let ticks = CONNECTIONS.map(|connections| (f64::from(connections), connections.to_string()));
        Plot {
            title: title.into(),
            x: Axis { label: "connections".into(), ticks: ticks.into(), logarithmic: true },
            y: Axis::from_zero(y, high),
            series,
        }
    };
    Ok((
        plot("Throughput, 20 intervals, first included", "million lines/s", seconds),
        plot("Throughput per CPU time of the daemon", "million lines per CPU-second", cpu_seconds),
    ))
}

/// `786000` → `786 k`, `2000000` → `2 M`.
fn thousands(number: u32) -> String {
    if number.is_multiple_of(1_000_000) {
        format!("{} M", number / 1_000_000)
    } else {
        format!("{} k", number / 1000)
    }
}
