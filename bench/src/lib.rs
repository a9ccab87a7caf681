//! The load generator: what a site's collectors send, as fast as the daemon takes it, measured and checked.
//!
//! It drives any daemon that keeps the reference's command line and HTTP API. The defaults are the load that
//! every figure of this project is measured with: 200 hosts, 740 lines (63 KB) per host and interval,
//! one request per host and interval, 20 intervals, 4 connections.
//!
//! ```text
//! # our daemon in a scratch directory, one POST per host and interval
//! cargo build --release && cargo run --release -p bench --bin load
//!
//! # the same as raw line protocol over TCP; medians of five runs, all figures to a file
//! cargo run --release -p bench --bin load -- --transport tcp --repeat 5 --json load.json
//!
//! # a soak: saturating load from 8 connections for 10 minutes, a line every 10 s
//! cargo run --release -p bench --bin load -- --connections 8 --duration 600
//!
//! # a large site's arrival rate; latencies count from the moment each request was due
//! cargo run --release -p bench --bin load -- --rate 786000 --duration 60
//!
//! # another daemon; `memory-cap` 0 makes the reference free everything
//! cargo run --release -p bench --bin load -- --binary /opt/reference --store-json '{"memory-cap": 64}'
//!
//! # a daemon that already runs, with the metrics that --print-config prints in its configuration
//! cargo run --release -p bench --bin load -- --addr 127.0.0.1:8082 --pid 4711
//! ```
//!
//! What the figures mean:
//!
//! - *Server CPU* is user plus system time of all threads of the daemon, from `/proc/PID/stat`, in steps of
//!   10 ms. Kernel time for the daemon's sockets that runs in softirqs is charged to whoever was interrupted,
//!   as in every such measurement.
//! - *Latency* is the time from the first byte of a request to the end of its answer. Over TCP there
//!   is no answer per request: it is the time a body takes to be written, which is where back-pressure shows.
//!   With `--rate` both count from the moment the request was due, so a stall is charged to every request it
//!   delayed; without, the load is a closed loop and a stall is charged to one request per connection.
//! - The first interval, in which the daemon sees every series for the first time, is a phase of its own. No
//!   connection begins the second phase before all have ended the first (over TCP: were acknowledged).
//! - Nothing is believed that was not read back: after each run a sample of series with all their
//!   intervals, and the last interval of every host's node metrics, are queried and compared with what was sent.
//!
//! Beside `load`, built on the same parts and each one command that prints its table (docs/performance.md):
//!
//! - `stages` ([`stages`], and the criterion bench `ingest`): every stage of the ingest path in the engine, and an honest limit;
//! - `compare` ([`compare`], [`peer`]): the same bytes to this daemon, VictoriaMetrics, InfluxDB and other stores;
//! - `queries` ([`query_set`]): round trips over a day of minutes, and what the largest query does to ingest;
//! - `running-jobs` ([`running_jobs`]): the statistics that cc-backend 1.6 asks for, 200 jobs of 16 hosts, eight at once;
//! - `checkpoint` ([`steady`]): what a checkpoint of every series does to ingest;
//! - `scaling` ([`scaling`], [`probe`]): one core against two, and a message-cost model for more;
//! - `nats`: the load over HTTP, NATS and JetStream, per CPU time of the daemon;
//! - `restart`: a start after a kill, until everything is answered;
//! - `memory`: resident bytes of a point, and what freeing gives back;
//! - `archive`: bytes and time of a sample in the archive, beside a compressed snapshot;
//! - `wire`: what compressed bodies, compressed answers and TLS cost;
//! - `plots` ([`plot`]): latency at fixed rates and throughput over connections and cores, as SVG.
//!
//! Modules in the order of a run: [`options`] → [`daemon`] → [`timeline`], [`site`], [`values`], [`body`] →
//! [`session`], [`run`], [`worker`] with [`sender`], [`http`], [`pace`], [`procfs`] → [`verify`] → [`figures`], [`report`].

pub mod body;
pub mod compare;
pub mod daemon;
pub mod figures;
pub mod http;
pub mod interrupt;
pub mod options;
pub mod pace;
pub mod peer;
pub mod plot;
pub mod probe;
pub mod procfs;
pub mod query_set;
pub mod report;
pub mod run;
pub mod running_jobs;
pub mod scaling;
pub mod sender;
pub mod session;
pub mod site;
pub mod spread;
pub mod stages;
pub mod steady;
pub mod timeline;
pub mod values;
pub mod verify;
pub mod worker;
