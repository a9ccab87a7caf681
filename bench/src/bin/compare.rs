//! Side by side: this daemon, VictoriaMetrics, InfluxDB and other stores, the same bytes to each.
//!
//! `cargo build --release && target/release/compare`. Needs the Debian packages `victoria-metrics` and `influxdb`
//! (`--without` leaves a server out). See [`bench::compare`].

use std::{error::Error, fs, path::PathBuf, process::ExitCode};

use bench::{
    compare::{self, Comparison},
    interrupt,
    options::{Extent, Options},
    peer::{Kind, Peer},
    report,
};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;

/// What the daemon shall do better than VictoriaMetrics, per server CPU-second.
const GOAL: f64 = 8.0;

fn main() -> ExitCode {
    report::exit_code(run(&command().get_matches()))
}

fn command() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("N")
            .default_value(default)
            .help(help)
            .value_parser(value_parser!(u32).range(1..=10_000))
    };
    let path = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PATH")
            .default_value(default)
            .help(help)
            .value_parser(value_parser!(PathBuf))
    };
    Command::new("compare")
        .about("Feeds the same lines to several servers in turn and compares what it costs them")
        .arg(path("binary", "target/release/cc-metric-store", "this daemon"))
        .arg(path("victoria-metrics", "victoria-metrics", "VictoriaMetrics, single node"))
        .arg(path("influxdb", "influxd", "InfluxDB 1.x"))
        .arg(
            Arg::new("other")
                .long("other")
                .value_name("PATH")
                .action(ArgAction::Append)
                .help("another store with the reference's command line; may be repeated")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("without")
                .long("without")
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("a server to leave out")
                .value_parser(["victoria-metrics", "influxdb"]),
        )
        .arg(number("rounds", "5", "rounds"))
        .arg(number("hosts", "200", "hosts; 740 lines each"))
        .arg(number("intervals", "20", "intervals"))
        .arg(number("connections", "4", "connections"))
        .arg(
            Arg::new("scratch-parent")
                .long("scratch-parent")
                .value_name("DIR")
                .help("where data directories are made")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .value_name("FILE")
                .help("write all figures here")
                .value_parser(value_parser!(PathBuf)),
        )
}

fn run(matches: &ArgMatches) -> Result<(), Box<dyn Error>> {
    let number = |name: &str| *matches.get_one::<u32>(name).expect("has a default");
    let mut load = Options::parse(["compare"])?;
    load.site.hosts = number("hosts");
    load.extent = Extent::Intervals(number("intervals"));
    load.connections = number("connections").min(load.site.hosts);
    let rounds = number("rounds");
    let peers = peers(matches);
    let scratch_parent = matches.get_one::<PathBuf>("scratch-parent").cloned();
    interrupt::install()?;
    println!("{}, {rounds} rounds\n", report::headline(&load));
    let all = Comparison { load, peers, rounds, scratch_parent }.run(|name, run| {
        println!(
            "{name:<22} {:>9.3} s  server CPU {:>6.2} s  RSS {:>7.1} MB  {} points found",
            run.total.wall_seconds,
            run.total.server_cpu_seconds,
            run.rss_bytes / 1e6,
            run.verified_values
        );
    })?;
    println!("\n{}goal: at least {GOAL} times VictoriaMetrics per server CPU-second", compare::table(&all));
    if let Some(path) = matches.get_one::<PathBuf>("json") {
        fs::write(path, format!("{:#}\n", compare::json(&all)))
            .map_err(|error| format!("writing {}: {error}", path.display()))?;
    }
    Ok(())
}

/// The servers, ours first.
fn peers(matches: &ArgMatches) -> Vec<Peer> {
    let path = |name: &str| matches.get_one::<PathBuf>(name).expect("has a default").clone();
    let without: Vec<&String> = matches.get_many("without").unwrap_or_default().collect();
    let mut peers = vec![Peer {
        name: "cc-metric-store".into(),
        kind: Kind::Store,
        binary: path("binary"),
        store_json: json!({}),
    }];
    for (name, kind) in [("victoria-metrics", Kind::VictoriaMetrics), ("influxdb", Kind::InfluxDb)] {
        if !without.iter().any(|left| *left == name) {
            peers.push(Peer { name: name.into(), kind, binary: path(name), store_json: json!({}) });
        }
    }
    for binary in matches.get_many::<PathBuf>("other").unwrap_or_default() {
        // With a cap of 0 the reference frees everything it holds.
        let store_json = json!({"memory-cap": 64});
        let name = binary.file_name().unwrap_or(binary.as_os_str()).display().to_string();
        peers.push(Peer {
            name: format!("other: {name}"),
            kind: Kind::Store,
            binary: binary.clone(),
            store_json,
        });
    }
    peers
}
