//! The load generator's program: options in, table and JSON out, exit code 1 on any error. See the crate `bench`.

use std::{error::Error, fs, process::ExitCode};

use bench::{figures::RunFigures, interrupt, options::Options, pace, report, session, site::Site};

fn main() -> ExitCode {
    let options = Options::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    report::exit_code(load(&options))
}

/// All runs, and their report.
fn load(options: &Options) -> Result<(), Box<dyn Error>> {
    let site = Site::new(&options.site);
    if options.print_config {
        println!("{:#}", site.metrics_json(options.interval_seconds));
        return Ok(());
    }
    interrupt::install()?;
    pace::sleep_precisely();
    println!("{}", report::headline(options));
    let mut runs = Vec::new();
    for index in 0..options.repeat {
        let run = session::run_once(options, &site, options.seed.wrapping_add(index.into()))?.figures;
        let title = format!("run {} of {}, seed {}", index + 1, options.repeat, run.seed);
        println!("\n{}", report::table(&title, &run));
        runs.push(run);
    }
    if runs.len() > 1 {
        let title = format!("medians of {} runs", runs.len());
        println!("\n{}", report::table(&title, &RunFigures::median(&runs)));
    }
    if let Some(path) = &options.json {
        let text = format!("{:#}\n", report::json(options, &runs));
        fs::write(path, text).map_err(|error| format!("writing {}: {error}", path.display()))?;
    }
    Ok(())
}
