//! How long a start takes after a kill, with everything in the log: sends the load, kills the daemon, and starts it again
//! on a copy of its log, `--repeat` times. Options are those of `load`.
//!
//! `restart --hosts 20 --intervals 1440 --repeat 5` is a day of minutes of 20 hosts, 21.3 million samples.

use std::{
    error::Error,
    fs, io,
    path::Path,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use bench::{
    daemon::{Daemon, Start},
    http::Connection,
    interrupt,
    options::{Options, Target},
    procfs::Usage,
    report,
    run::{self, line_addr},
    sender::{self, Transport},
    site::Site,
    timeline::{Timeline, now_seconds},
    verify::{self, Sent},
};

/// How often the port is tried.
const LOOK: Duration = Duration::from_millis(2);
/// Longest start.
const START_MAX: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let options = Options::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    report::exit_code(measure(&options))
}

fn measure(options: &Options) -> Result<(), Box<dyn Error>> {
    let Target::Start { binary, main_json, store_json, scratch_parent } = &options.target else {
        return Err("restart starts the daemon itself: --addr makes no sense".into());
    };
    interrupt::install()?;
    let site = Site::new(&options.site);
    let metrics = site.metrics_json(options.interval_seconds);
    let mut daemon = Daemon::start(Start {
        binary,
        metrics: &metrics,
        main_json,
        store_json,
        scratch_parent: scratch_parent.as_deref(),
        tcp: options.transport == Transport::Tcp,
    })?;
    println!("{}", report::headline(options));
    let timeline = Timeline::ending_at(now_seconds(), options.interval_seconds, options.slots());
    let (addr, write_target) =
        (line_addr(options.transport, daemon.addr, daemon.tcp_addr), sender::write_target());
    let target = run::Daemon { addr, write_target: &write_target, pid: daemon.pid };
    let outcome = run::run(options, &site, timeline, target, options.seed)?;
    let lines = outcome.first.lines + outcome.rest.as_ref().map_or(0, |rest| rest.lines);
    daemon.kill()?;
    let (log, saved) = (daemon.directory().join("wal"), daemon.directory().join("saved"));
    let log_bytes = copy(&log, &saved)?;
    println!("{lines} samples, {:.1} bytes of log each", log_bytes as f64 / lines as f64);
    let sent = Sent { site: &site, timeline, rounds: &outcome.rounds, seed: options.seed };
    let mut seconds = Vec::new();
    for _ in 0..options.repeat {
        fs::remove_dir_all(&log)?;
        // None if it was never made.
        let _ = fs::remove_dir_all(daemon.directory().join("checkpoints"));
        copy(&saved, &log)?;
        let began = Instant::now();
        daemon.start_again()?;
        wait_for_answer(&daemon, began)?;
        let took = began.elapsed().as_secs_f64();
        let usage = Usage::of(daemon.pid)?;
        let verified = verify::verify(daemon.addr, sent, options.verify_series)?;
        println!(
            "answers after {took:.3} s, {:.2} CPU-seconds, {} MB; {} values of {} series are as sent",
            usage.cpu.as_secs_f64(),
            usage.rss_bytes / 1_000_000,
            verified.values,
            verified.series
        );
        seconds.push(took);
        daemon.kill()?;
    }
    seconds.sort_by(f64::total_cmp);
    println!("median {:.3} s", seconds[seconds.len() / 2]);
    Ok(())
}

/// Waits until a request is answered: the daemon listens before it has loaded its data.
fn wait_for_answer(daemon: &Daemon, began: Instant) -> io::Result<()> {
    let request = format!("GET /api/query HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", daemon.addr);
    loop {
        let answer =
            Connection::open(daemon.addr).and_then(|mut connection| connection.exchange(request.as_bytes()));
        match answer {
            // Not yet.
            Ok(answer) if answer.status == 503 && began.elapsed() < START_MAX => {}
            // An empty query is refused, which is an answer.
            Ok(_) => return Ok(()),
            Err(error) if began.elapsed() > START_MAX => return Err(error),
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// Copies the files of a directory into another, which is made; returns their bytes.
fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    fs::create_dir_all(to)?;
    let mut bytes = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let copied = to.join(entry.file_name());
        bytes += fs::copy(entry.path(), &copied)?;
        // So that the start does not wait for these bytes to be written.
        fs::File::open(copied)?.sync_all()?;
    }
    Ok(bytes)
}
