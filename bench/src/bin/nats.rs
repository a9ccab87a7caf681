//! What a line costs over NATS and JetStream, against HTTP: a daemon and a broker for each in turn, the same lines, CPU time of
//! the daemon alone. Options are those of `load`; `--repeat` rounds, of which the medians are printed.
//!
//! Plain NATS has no way to wait for a slow receiver, so the daemon may hold everything that is sent.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use bench::{
    body::Body,
    daemon::Daemon,
    http::Connection,
    interrupt,
    options::{Extent, Options, Target},
    procfs::{Usage, thread_cpu},
    report, run, sender,
    site::{CLUSTER, Site},
    timeline::{Timeline, now_seconds},
    verify::{self, Sent},
};
use serde_json::{Value, json};
use tools::nats::{broker::Broker, client::Client};

/// Between two looks whether everything is stored.
const LOOK: Duration = Duration::from_millis(20);
/// Longest time until it is.
const STORED_MAX: Duration = Duration::from_secs(120);
const SUBJECT: &str = "lines";
const STREAM: &str = "LINES";
/// As much as `nats.max-held-bytes` takes.
const HELD_BYTES: u64 = 2 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Http,
    Nats,
    JetStream,
}

/// What one run came to.
#[derive(Clone, Copy, Debug)]
struct Figures {
    lines_per_cpu_second: f64,
    lines_per_second: f64,
    /// Part of the CPU time that the bridge's thread took.
    bridge_share: f64,
}

fn main() -> ExitCode {
    let options = Options::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    report::exit_code(measure(&options))
}

fn measure(options: &Options) -> Result<(), Box<dyn Error>> {
    interrupt::install()?;
    let site = Site::new(&options.site);
    let mut runs: BTreeMap<Way, Vec<Figures>> = BTreeMap::new();
    for repeat in 0..options.repeat {
        for way in [Way::Http, Way::Nats, Way::JetStream] {
            let figures = run_once(options, &site, way, options.seed.wrapping_add(repeat.into()))?;
            println!(
                "{way:?}: {:.2} M lines per CPU-second, {:.2} M lines/s, bridge {:.0} % of the CPU",
                figures.lines_per_cpu_second / 1e6,
                figures.lines_per_second / 1e6,
                figures.bridge_share * 100.0
            );
            runs.entry(way).or_default().push(figures);
        }
    }
    let median = |way: Way| {
        let mut values: Vec<f64> = runs[&way].iter().map(|run| run.lines_per_cpu_second).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let http = median(Way::Http);
    for way in [Way::Http, Way::Nats, Way::JetStream] {
        let value = median(way);
        println!("median {way:?}: {:.2} M lines per CPU-second, {:.2} of HTTP", value / 1e6, value / http);
    }
    Ok(())
}

fn run_once(options: &Options, site: &Site, way: Way, seed: u64) -> Result<Figures, Box<dyn Error>> {
    let Target::Start { binary, store_json, scratch_parent, .. } = &options.target else {
        return Err("nats starts the daemon itself: --addr makes no sense".into());
    };
    let Extent::Intervals(intervals) = options.extent else {
        return Err("nats sends --intervals: --duration makes no sense".into());
    };
    let directory = tempfile::tempdir()?;
    let port = free_addr()?.port();
    let jet_stream = Broker::jet_stream(directory.path());
    let _broker = Broker::start(directory.path(), port, &jet_stream)?;
    let mut client = Client::connect(port)?;
    if way == Way::JetStream {
        client.create_stream(STREAM, &[SUBJECT])?;
    }
    let binary = fs::canonicalize(binary)?;
    let addr = free_addr()?;
    let daemon = Daemon::launch(scratch_parent.as_deref(), addr, None, |scratch| {
        let path = scratch.join("config.json");
        let metrics = site.metrics_json(options.interval_seconds);
        let config = config(scratch, addr, port, way, &metrics, store_json);
        fs::write(&path, config.to_string()).expect("a new directory is writable");
        let mut command = Command::new(binary);
        command.arg("-config").arg(path).args(["-loglevel", "warn"]);
        Ok(command)
    })?;
    let timeline = Timeline::ending_at(now_seconds(), options.interval_seconds, intervals);
    let rounds = vec![u64::from(intervals); site.hosts() as usize];
    let sent = Sent { site, timeline, rounds: &rounds, seed };
    let lines = f64::from(site.hosts()) * f64::from(site.lines_per_host()) * f64::from(intervals);
    let figures = if way == Way::Http {
        let write_target = sender::write_target();
        let target = run::Daemon { addr, write_target: &write_target, pid: daemon.pid };
        let outcome = run::run(options, site, timeline, target, seed)?;
        let phases = || [Some(&outcome.first), outcome.rest.as_ref()].into_iter().flatten();
        let cpu: Duration = phases().map(|phase| phase.server_cpu).sum();
        let wall: Duration = phases().map(|phase| phase.wall).sum();
        Figures {
            lines_per_cpu_second: lines / cpu.as_secs_f64(),
            lines_per_second: lines / wall.as_secs_f64(),
            bridge_share: 0.0,
        }
    } else {
        while way == Way::Nats && !client.is_heard(SUBJECT)? {
            thread::sleep(LOOK);
        }
        let (before, began) = (Usage::of(daemon.pid)?, Instant::now());
        publish(options, site, timeline, seed, port)?;
        wait_until_stored(addr, site, timeline, &mut client, way, began)?;
        let (wall, after) = (began.elapsed(), Usage::of(daemon.pid)?);
        let cpu = (after.cpu - before.cpu).as_secs_f64();
        Figures {
            lines_per_cpu_second: lines / cpu,
            lines_per_second: lines / wall.as_secs_f64(),
            bridge_share: bridge_cpu(daemon.pid)?.as_secs_f64() / cpu,
        }
    };
    verify::verify(addr, sent, options.verify_series)
        .map_err(|error| format!("{error}\n{}", daemon.log()))?;
    daemon.stop()?;
    Ok(figures)
}

fn config(
    scratch: &Path,
    addr: SocketAddr,
    port: u16,
    way: Way,
    metrics: &Value,
    store_json: &Value,
) -> Value {
    let mut subscription = json!({"subscribe-to": SUBJECT, "cluster-tag": CLUSTER});
    if way == Way::JetStream {
        subscription["stream"] = json!(STREAM);
        subscription["durable"] = json!("store");
    }
    let mut store = json!({"checkpoints": {"directory": scratch.join("checkpoints")}, "retention-in-memory": "48h",
        "nats-subscriptions": [subscription]});
    if let (Value::Object(store), Value::Object(more)) = (&mut store, store_json) {
        store.extend(more.clone());
    }
    let mut config = json!({"main": {"addr": addr.to_string()}, "metrics": metrics, "metric-store": store});
    // The bridge is not there when it is not measured.
    if way != Way::Http {
        config["nats"] = json!({"address": format!("nats://127.0.0.1:{port}"), "max-held-bytes": HELD_BYTES});
    }
    config
}

/// Sends all rounds of all hosts, dealt out to the connections.
fn publish(
    options: &Options,
    site: &Site,
    timeline: Timeline,
    seed: u64,
    port: u16,
) -> Result<(), Box<dyn Error>> {
    let Extent::Intervals(intervals) = options.extent else { unreachable!("checked before") };
    let send = |connection: u32| -> std::io::Result<()> {
        let mut client = Client::connect(port)?;
        let hosts = (0..site.hosts()).filter(|host| host % options.connections == connection);
        let mut bodies: Vec<Body> = hosts.map(|host| Body::new(site, host, |_| String::new())).collect();
        for round in 0..u64::from(intervals) {
            for body in &mut bodies {
                body.patch(seed, round, timeline.round_seconds(round));
                client.publish(SUBJECT, body.bytes())?;
            }
            // The broker must not take us for a flood: it is no faster than its receivers.
            client.flush()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..options.connections).map(|connection| scope.spawn(move || send(connection))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a publisher panicked"))
    })?;
    Ok(())
}

/// Waits until the last interval of every host is there; with JetStream, acknowledged.
fn wait_until_stored(
    addr: SocketAddr,
    site: &Site,
    timeline: Timeline,
    client: &mut Client,
    way: Way,
    began: Instant,
) -> Result<(), Box<dyn Error>> {
    let last = timeline.slot_seconds(timeline.slots - 1);
    let metric = site.line(site.lines_per_host() - 1).metric;
    let query =
        json!({"cluster": CLUSTER, "from": last, "to": last + timeline.interval_seconds, "with-stats": false,
        "with-padding": false, "for-all-nodes": [metric]})
        .to_string();
    let head = format!("GET /api/query HTTP/1.1\r\nHost: {addr}\r\nContent-Length: {}\r\n\r\n", query.len());
    loop {
        let is_acknowledged = way != Way::JetStream || client.consumer(STREAM, "store")?.is_done();
        if is_acknowledged {
            let answer = Connection::open(addr)?.exchange(format!("{head}{query}").as_bytes())?;
            let answer: Value = serde_json::from_slice(&answer.body)?;
            let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
            let stored = results.iter().filter(|result| result[0]["data"][0].is_number()).count();
            if stored == site.hosts() as usize {
                return Ok(());
            }
            if began.elapsed() > STORED_MAX {
                return Err(format!("only {stored} hosts have their last interval").into());
            }
        }
        if began.elapsed() > STORED_MAX {
            return Err("the broker has no acknowledgement for all messages".into());
        }
        thread::sleep(LOOK);
    }
}

/// CPU time of the bridge's thread.
fn bridge_cpu(pid: u32) -> Result<Duration, Box<dyn Error>> {
    for (thread, cpu) in thread_cpu(pid)? {
        if fs::read_to_string(format!("/proc/{pid}/task/{thread}/comm"))?.trim() == "nats" {
            return Ok(cpu);
        }
    }
    Err("the daemon has no thread for NATS".into())
}

fn free_addr() -> std::io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}
