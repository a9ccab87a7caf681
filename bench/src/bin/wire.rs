//! What compressed bodies, compressed answers and TLS cost the daemon: the same lines and queries, sent in each way.
//!
//! ```text
//! cargo build --release && target/release/wire
//! ```
//!
//! Everything is prepared (compressed) before the clock starts. The ways take turns, each with a daemon of its own; the table has
//! medians, and what each way costs beyond plain HTTP of the same turn. CPU is that of the daemon alone.

use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bench::body::Body;
use bench::daemon::{Daemon, Start};
use bench::http::{self, Connection};
use bench::options::SiteOptions;
use bench::procfs::thread_cpu;
use bench::report;
use bench::sender::write_target;
use bench::site::{CLUSTER, Site};
use bench::timeline::{Timeline, now_seconds};
use clap::{Arg, Command, value_parser};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

const INTERVAL_SECONDS: u32 = 60;
/// Queries of the second part, per way.
const QUERIES: u32 = 20;

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Plain,
    Gzip,
    Zstd,
    Tls,
}

const WAYS: [Way; 4] = [Way::Plain, Way::Gzip, Way::Zstd, Way::Tls];

/// What one way cost in one turn.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// Nanoseconds of the daemon's CPU per line written.
    line_ns: f64,
    /// Bytes of request bodies per line.
    line_bytes: f64,
    /// Milliseconds of the daemon's CPU per query.
    query_ms: f64,
    /// Bytes of an answer.
    answer_bytes: f64,
}

/// A connection of either kind.
trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

fn main() -> ExitCode {
    let matches = Command::new("wire")
        .about("What encodings and TLS cost the daemon")
        .arg(Arg::new("binary").long("binary").default_value("target/release/cc-metric-store"))
        .arg(number("hosts", "100"))
        .arg(number("rounds", "30"))
        .arg(number("repeat", "3"))
        .get_matches();
    let number = |name: &str| *matches.get_one::<u32>(name).expect("has a default");
    let binary = matches.get_one::<String>("binary").expect("has a default");
    report::exit_code(measure(binary, number("hosts"), number("rounds"), number("repeat")))
}

fn number(name: &'static str, default: &'static str) -> Arg {
    Arg::new(name).long(name).default_value(default).value_parser(value_parser!(u32).range(1..=10_000))
}

fn measure(binary: &str, hosts: u32, rounds: u32, repeat: u32) -> Result<(), Box<dyn Error>> {
    let site = Site::new(&SiteOptions { hosts, threads: 72, thread_metrics: 10, node_metrics: 20 });
    let timeline = Timeline::ending_at(now_seconds(), INTERVAL_SECONDS, rounds + 1);
    let mut turns: Vec<[Cost; WAYS.len()]> = Vec::new();
    for turn in 0..repeat {
        let mut costs = Vec::new();
        for way in WAYS {
            let cost =
                run(binary, &site, timeline, rounds, way).map_err(|error| format!("{way:?}: {error}"))?;
            eprintln!("turn {} {way:?}: {cost:.1?}", turn + 1);
            costs.push(cost);
        }
        turns.push(costs.try_into().expect("one cost a way"));
    }
    println!(
        "{hosts} hosts x {rounds} rounds x {} lines, medians of {repeat} turns\n",
        site.lines_per_host()
    );
    println!(
        "| way | body bytes/line | CPU ns/line | beyond plain | query: answer bytes | CPU ms | beyond plain |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (index, way) in WAYS.iter().enumerate() {
        let median = |get: &dyn Fn(&[Cost; WAYS.len()]) -> f64| {
            let mut all: Vec<f64> = turns.iter().map(get).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        println!(
            "| {way:?} | {:.1} | {:.0} | {:+.0} ns | {:.0} | {:.2} | {:+.2} ms |",
            median(&|turn| turn[index].line_bytes),
            median(&|turn| turn[index].line_ns),
            median(&|turn| turn[index].line_ns - turn[0].line_ns),
            median(&|turn| turn[index].answer_bytes),
            median(&|turn| turn[index].query_ms),
            median(&|turn| turn[index].query_ms - turn[0].query_ms),
        );
    }
    Ok(())
}

/// One daemon, one way.
fn run(binary: &str, site: &Site, timeline: Timeline, rounds: u32, way: Way) -> Result<Cost, Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let (cert_file, key_file) = (scratch.path().join("cert.pem"), scratch.path().join("key.pem"));
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    fs::write(&cert_file, cert.pem())?;
    fs::write(&key_file, signing_key.serialize_pem())?;
    let main_json = match way {
        Way::Tls => json!({"https-cert-file": cert_file, "https-key-file": key_file}),
        _ => Value::Object(Default::default()),
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&cert_file)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let daemon = Daemon::start(Start {
        binary: binary.as_ref(),
        metrics: &site.metrics_json(INTERVAL_SECONDS),
        main_json: &main_json,
        store_json: &Value::Object(Default::default()),
        scratch_parent: None,
        tcp: false,
    })?;
    let addr = daemon.addr;
    let open = || connect(addr, (way == Way::Tls).then_some(&config));

    let mut bodies: Vec<Body> =
        (0..site.hosts()).map(|host| Body::new(site, host, |_| String::new())).collect();
    // The first round registers the series and is not counted.
    let mut connections = [open()?, open()?];
    let mut bytes = 0;
    let mut cpu = Duration::ZERO;
    for round in 0..=u64::from(rounds) {
        let mut requests: [Vec<Vec<u8>>; 2] = Default::default();
        for (index, body) in bodies.iter_mut().enumerate() {
            body.patch(1, round, timeline.round_seconds(round));
            let encoded = encode(way, body.bytes())?;
            bytes += if round > 0 { encoded.len() } else { 0 };
            requests[index % 2].push(request(addr, way, encoded));
        }
        let before = cpu_of(daemon.pid)?;
        thread::scope(|scope| {
            let senders: Vec<_> = connections
                .iter_mut()
                .zip(&requests)
                .map(|(connection, requests)| scope.spawn(move || send(connection, requests)))
                .collect();
            senders.into_iter().try_for_each(|sender| sender.join().expect("a sender panicked"))
        })?;
        if round > 0 {
            cpu += cpu_of(daemon.pid)? - before;
        }
    }
    let lines = f64::from(rounds) * f64::from(site.hosts()) * f64::from(site.lines_per_host());
    let (query_ms, answer_bytes) = queries(&mut connections[0], addr, &daemon, site, timeline, way)?;
    daemon.stop()?;
    Ok(Cost {
        line_ns: cpu.as_nanos() as f64 / lines,
        line_bytes: bytes as f64 / lines,
        query_ms,
        answer_bytes,
    })
}

fn connect(
    addr: SocketAddr,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<Connection<Box<dyn Wire + Send>>, Box<dyn Error>> {
    loop {
        let socket = http::connect(addr)?;
        let mut connection = Connection::<Box<dyn Wire + Send>>::over(match tls {
            None => Box::new(socket),
            Some(config) => {
                let client = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?;
                Box::new(StreamOwned::new(client, socket))
            }
        });
        // While it starts, the daemon closes every connection with its first answer.
        if !connection.exchange(b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")?.closes {
            return Ok(connection);
        }
    }
}

/// CPU time of the daemon's threads; none of them ends meanwhile.
fn cpu_of(pid: u32) -> std::io::Result<Duration> {
    Ok(thread_cpu(pid)?.values().sum())
}

fn encode(way: Way, lines: &[u8]) -> std::io::Result<Vec<u8>> {
    match way {
        Way::Plain | Way::Tls => Ok(lines.to_vec()),
        Way::Gzip => {
            // The level of most clients.
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(lines)?;
            encoder.finish()
        }
        Way::Zstd => zstd::bulk::compress(lines, 3),
    }
}

fn request(addr: SocketAddr, way: Way, body: Vec<u8>) -> Vec<u8> {
    let coding = match way {
        Way::Plain | Way::Tls => "",
        Way::Gzip => "Content-Encoding: gzip\r\n",
        Way::Zstd => "Content-Encoding: zstd\r\n",
    };
    let (target, length) = (write_target(), body.len());
    let mut request =
        format!("POST {target} HTTP/1.1\r\nHost: {addr}\r\n{coding}Content-Length: {length}\r\n\r\n")
            .into_bytes();
    request.extend(body);
    request
}

fn send<S: Read + Write>(connection: &mut Connection<S>, requests: &[Vec<u8>]) -> Result<(), String> {
    for request in requests {
        let answer = connection.exchange(request).map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("{}: {}", answer.status, answer.body.escape_ascii()));
        }
    }
    Ok(())
}

/// All hosts' node metrics over all rounds, so that most of the cost is the answer.
fn queries<S: Read + Write>(
    connection: &mut Connection<S>,
    addr: SocketAddr,
    daemon: &Daemon,
    site: &Site,
    timeline: Timeline,
    way: Way,
) -> Result<(f64, f64), Box<dyn Error>> {
    let metric = site.line(site.first_node_line()).metric;
    let hosts: Vec<Value> = (0..site.hosts())
        .flat_map(|host| vec![json!({"metric": metric, "host": site.host_name(host)}); 10])
        .collect();
    let (from, to) = (timeline.round_seconds(0), now_seconds());
    let query = json!({"cluster": CLUSTER, "from": from, "to": to, "queries": hosts}).to_string();
    let coding = match way {
        Way::Plain | Way::Tls => "identity",
        Way::Gzip => "gzip",
        Way::Zstd => "zstd",
    };
    let length = query.len();
    let request = format!(
        "POST /api/query HTTP/1.1\r\nHost: {addr}\r\nAccept-Encoding: {coding}\r\nContent-Length: {length}\r\n\r\n{query}"
    );
    let before = cpu_of(daemon.pid)?;
    let mut answer_bytes = 0;
    for _ in 0..QUERIES {
        let answer = connection.exchange(request.as_bytes())?;
        if answer.status != 200 {
            return Err(format!("{}: {}", answer.status, answer.body.escape_ascii()).into());
        }
        answer_bytes = answer.body.len();
    }
    let cpu = cpu_of(daemon.pid)? - before;
    Ok((cpu.as_secs_f64() * 1000.0 / f64::from(QUERIES), answer_bytes as f64))
}
