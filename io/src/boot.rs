//! From the command line to running cores, and down again.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{self, ExitCode};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::durable::checkpoint::Inherited;
use engine::durable::load::LoadedCore;
use engine::durable::segments::SegmentOptions;
use engine::series::directory::{Directory, HostPublisher};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::api::Api;
use crate::cleanup;
use crate::command_line::CommandLine;
use crate::core::checkpoint::Checkpoints;
use crate::core::memory_cap::{self, CheckpointsWanted};
use crate::core::mesh::{CoreEnds, mesh};
use crate::core::{
    Core, Stopping, clock_seconds, journal, pump,
    upkeep::{self, CheckpointsDue, Sources},
};
use crate::durable::RealPlatform;
use crate::listen::connections::{ConnectionLimits, ConnectionTable};
use crate::listen::http::{self, HttpLimits};
use crate::listen::nats::feed::{self, Feed};
use crate::listen::nats::{Bridge, BridgeThread};
use crate::listen::tcp;
use crate::recover;
use crate::runtime::{self, CoreThread, Listener, StopFlag};
use crate::settings::{Cleanup, Settings, resolve};
use crate::telemetry::{self, critical};

/// From the first to the last byte of a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the start waits for a port that is in use.
const BIND_TIMEOUT: Duration = Duration::from_secs(2);
/// Time between two attempts.
const BIND_INTERVAL: Duration = Duration::from_millis(20);
/// How long connections may take to end once the daemon stops.
const STOP_TIMEOUT: Duration = Duration::from_millis(1000);

/// The daemon's main function.
#[must_use]
pub fn main() -> ExitCode {
    let command_line = match CommandLine::from_env() {
        Ok(command_line) => command_line,
        Err(code) => return code,
    };
    if telemetry::start(command_line.log_level, command_line.log_date).is_err() {
        eprintln!("logging was started twice");
    }
    command_line.notes.iter().for_each(|note| tracing::warn!("{note}"));
    match Settings::load(command_line.config.as_deref()).map_err(|error| error.to_string()).and_then(
        |settings| {
            if command_line.cleanup_checkpoints { clean_up(&settings) } else { run(settings) }
        },
    ) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.lines().for_each(|line| critical!("{line}"));
            ExitCode::FAILURE
        }
    }
}

/// Starts the daemon, waits for a signal, stops it.
fn run(settings: Settings) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(text)?;
    settings.notes.iter().for_each(|note| tracing::warn!("{note}"));
    warn_unfinished(&settings);
    runtime::probe().map_err(|error| error.to_string())?;
    let cpus = cpus(&settings).map_err(text)?;
    let _lock = lock(&settings.metric_store.wal.directory)?;
    let listeners = bind_all(&settings, cpus.len())?;
    let (bridge, feeds) = Bridge::new(&settings, cpus.len()).map_err(|error| error.to_string())?;
    let loaded = recover::load(&settings, cpus.len(), clock_seconds())?;

    let stop = StopFlag::new();
    let threads = start_cores(&Arc::new(settings), &cpus, listeners, loaded, feeds, &stop).map_err(text)?;
    let bridge = bridge.map(Bridge::start).transpose().map_err(text)?;
    notify("READY=1");
    for signal in signals.forever() {
        if signal == SIGHUP {
            tracing::info!("SIGHUP: there is nothing to read again");
            continue;
        }
        tracing::info!("signal {signal}: stopping");
        break;
    }
    notify("STOPPING=1");
    let since = Instant::now();
    stop.set();
    bridge.iter().for_each(BridgeThread::stop);
    for thread in threads {
        thread.join().map_err(|error| error.to_string())?;
    }
    if let Some(bridge) = bridge {
        bridge.join();
    }
    tracing::info!("stopped after {} ms", since.elapsed().as_millis());
    Ok(())
}

/// `-cleanup-checkpoints`: one round, on data that no daemon is running on.
fn clean_up(settings: &Settings) -> Result<(), String> {
    settings.notes.iter().for_each(|note| tracing::warn!("{note}"));
    runtime::probe().map_err(|error| error.to_string())?;
    let _lock = lock(&settings.metric_store.wal.directory)?;
    cleanup::once(&settings.metric_store)
}

/// Tells systemd, if it started us.
fn notify(state: &str) {
    let state = [sd_notify::NotifyState::Custom(state)];
    if let Err(error) = sd_notify::notify(&state) {
        tracing::warn!("cannot tell systemd: {error}");
    }
}

/// What is configured, but not built yet, must not be taken for granted.
fn warn_unfinished(settings: &Settings) {
    let main = &settings.main;
    if main.jwt_public_key.is_some() {
        critical!(
            "jwt-public-key is set, but this version does not check tokens yet: whoever reaches the port may read and write"
        );
    }
    if main.https_cert_file.is_some() && main.https_key_file.is_some() {
        critical!("https-cert-file is set, but this version does not speak TLS yet: serving plain HTTP");
    }
    if main.user.is_some() || main.group.is_some() {
        critical!("user or group is set, but this version does not change them yet");
    }
    if let Cleanup::Archive { .. } = settings.metric_store.cleanup {
        critical!("{}", cleanup::ARCHIVE_NOT_BUILT);
    }
}

/// The CPUs that cores are pinned to.
fn cpus(settings: &Settings) -> io::Result<Vec<usize>> {
    let usable = runtime::usable_cpus()?;
    let cores = settings.metric_store.cores.map_or(usable.len(), |cores| usize::from(cores.get()));
    if cores > usable.len() {
        tracing::warn!(
            "metric-store.cores is {cores}, but only {} CPUs may be used: cores share them",
            usable.len()
        );
    }
    Ok(usable.into_iter().cycle().take(cores).collect())
}

/// Takes the lock that keeps a second instance off the same data.
///
/// It lies in the log's directory: the reference would take a file among the checkpoints for a cluster.
fn lock(directory: &Path) -> Result<File, String> {
    let path = directory.join("lock");
    let failed = |error: io::Error| format!("cannot create {}: {error}", path.display());
    fs::create_dir_all(directory).map_err(failed)?;
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(format!("{} is locked: another instance is running on this directory", path.display()))
        }
        Err(TryLockError::Error(error)) => Err(format!("cannot lock {}: {error}", path.display())),
    }
}

/// The listening sockets of one core.
struct CoreListeners {
    http: Listener,
    tcp: Option<Listener>,
}

fn bind_all(settings: &Settings, cores: usize) -> Result<Vec<CoreListeners>, String> {
    let http = bind(&settings.main.addr, cores)?;
    tracing::info!("HTTP on {}", http[0].local_addr());
    let mut tcp: Vec<Option<Listener>> = match &settings.main.tcp_addr {
        None => (0..cores).map(|_| None).collect(),
        Some(addr) => bind(addr, cores)?.into_iter().map(Some).collect(),
    };
    if let Some(listener) = &tcp[0] {
        tracing::info!("line protocol over TCP on {}", listener.local_addr());
    }
    Ok(http.into_iter().zip(tcp.drain(..)).map(|(http, tcp)| CoreListeners { http, tcp }).collect())
}

/// One listener a core, all on the first of the address's alternatives that works.
///
/// The sockets of a daemon that was just killed linger until the kernel has taken its rings down, so a port in use is an
/// error only after [`BIND_TIMEOUT`].
fn bind(addr: &str, cores: usize) -> Result<Vec<Listener>, String> {
    let alternatives = resolve(addr).map_err(|error| error.to_string())?;
    let until = Instant::now() + BIND_TIMEOUT;
    loop {
        let (mut failure, mut is_in_use) = (format!("{addr} names no address"), false);
        for &alternative in &alternatives {
            match bind_alternative(alternative, cores) {
                Ok(listeners) => return Ok(listeners),
                Err(error) => {
                    is_in_use |= error.kind() == io::ErrorKind::AddrInUse;
                    failure = error.to_string();
                }
            }
        }
        if !is_in_use || Instant::now() >= until {
            return Err(failure);
        }
        thread::sleep(BIND_INTERVAL);
    }
}

fn bind_alternative(addr: SocketAddr, cores: usize) -> io::Result<Vec<Listener>> {
    Listener::probe(addr)?;
    let first = Listener::bind(addr)?;
    let addr = first.local_addr();
    let rest = (1..cores).map(|_| Listener::bind(addr));
    std::iter::once(Ok(first)).chain(rest).collect()
}

fn start_cores(
    settings: &Arc<Settings>,
    cpus: &[usize],
    listeners: Vec<CoreListeners>,
    loaded: Vec<LoadedCore>,
    feeds: Vec<Option<Feed>>,
    stop: &StopFlag,
) -> io::Result<Vec<CoreThread>> {
    let stopping = Stopping::new(cpus.len());
    let (directory, publishers) = Directory::new(cpus.len());
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let inherited = Inherited::new(cpus.len(), loaded[0].segments.clone());
    let wanted = CheckpointsWanted::new(cpus.len());
    let mut threads = Vec::new();
    let mut cores: Vec<_> = loaded.into_iter().zip(publishers).collect();
    // Before any core can be asked for the hosts of all.
    for (loaded, hosts) in &mut cores {
        hosts.publish(&mut loaded.shard);
    }
    let parts = mesh(cpus.len()).into_iter().zip(listeners).zip(cores).zip(feeds).zip(cpus);
    for ((((ends, listeners), (loaded, hosts)), feed), &cpu) in parts {
        let (settings, stop) = (Arc::clone(settings), stop.clone());
        let (stopping, inherited, directory) =
            (Arc::clone(&stopping), Arc::clone(&inherited), Arc::clone(&directory));
        let wanted = wanted.clone();
        let index = ends.index;
        let start = CoreStart {
            settings,
            ends,
            listeners,
            loaded,
            feed,
            directory,
            hosts,
            seed,
            stop,
            stopping,
            inherited,
            wanted,
        };
        let main = move || async move {
            if let Err(error) = start.run().await {
                critical!("core {index} cannot go on: {error}");
                process::exit(1);
            }
        };
        threads.push(runtime::start_core(index, cpu, &format!("core-{index}"), main)?);
    }
    tracing::info!("{} cores are running", cpus.len());
    Ok(threads)
}

/// What a core is started with.
struct CoreStart {
    settings: Arc<Settings>,
    ends: CoreEnds,
    listeners: CoreListeners,
    loaded: LoadedCore,
    feed: Option<Feed>,
    directory: Arc<Directory>,
    hosts: HostPublisher,
    seed: u64,
    stop: StopFlag,
    stopping: Arc<Stopping>,
    inherited: Arc<Inherited>,
    wanted: CheckpointsWanted,
}

impl CoreStart {
    /// One core from its start to its end.
    async fn run(self) -> io::Result<()> {
        let Self {
            settings,
            ends,
            listeners,
            loaded,
            feed,
            directory,
            hosts,
            seed,
            stop,
            stopping,
            inherited,
            wanted,
        } = self;
        let store = &settings.metric_store;
        let cores = ends.cores();
        let (core, incoming) = Core::new(
            ends,
            Arc::clone(&settings.metrics),
            directory,
            seed,
            store.query_values_max,
            store.series_max as usize,
        );
        let segments = SegmentOptions::new(
            store.wal.directory.clone(),
            u16::try_from(core.index).map_err(io::Error::other)?,
            u16::try_from(cores).map_err(io::Error::other)?,
        );
        let journal = journal::start(&core, segments, store.wal.sync).await?;
        let limits = ConnectionLimits {
            connections_max: (settings.main.connections_max as usize).div_ceil(cores),
            idle_timeout: settings.main.idle_timeout,
            stop_timeout: STOP_TIMEOUT,
        };
        let connections = ConnectionTable::start(limits, stop.clone());
        serve_http(listeners.http, &core, &connections, &settings, &stop);
        if let Some(listener) = listeners.tcp {
            serve_tcp(listener, &core, &connections, &settings, &stop);
        }
        let fed = feed::start(&core, feed);
        let has_logs = !loaded.segments.is_empty() || !loaded.reference_logs.is_empty();
        let checkpoints = Checkpoints::new(
            RealPlatform,
            journal.queue(),
            store.checkpoints.directory.clone(),
            store.checkpoints.file_format.into(),
            inherited,
            loaded.reference_logs,
        );
        if core.index == 0 && store.memory_cap_bytes > 0 {
            let (core, store) = (Rc::clone(&core), store.clone());
            let (wanted, stop) = (wanted.clone(), stop.clone());
            runtime::spawn("memory cap", async move {
                memory_cap::run(core, &store, wanted, stop).await;
            });
        }
        {
            let sources = Sources { connections, fed };
            let (core, stopping, store) = (Rc::clone(&core), Arc::clone(&stopping), store.clone());
            runtime::spawn("upkeep", async move {
                let due = CheckpointsDue { at_once: has_logs, wanted };
                upkeep::run(core, checkpoints, &store, due, sources, stop, stopping).await;
            });
        }
        let journal = pump::run(core, incoming, loaded.shard, journal, hosts, stopping).await;
        journal.close().await.map_err(|error| io::Error::other(error.to_string()))
    }
}

fn serve_http(
    listener: Listener,
    core: &Rc<Core>,
    connections: &Rc<ConnectionTable>,
    settings: &Settings,
    stop: &StopFlag,
) {
    let api = Rc::new(Api::new(Rc::clone(core)));
    let limits = Rc::new(HttpLimits {
        header_bytes_max: settings.main.header_bytes_max as usize,
        idle_timeout: settings.main.idle_timeout,
        header_timeout: HEADER_TIMEOUT,
    });
    let (connections, stop_accepting) = (Rc::clone(connections), stop.clone());
    let stop = stop.clone();
    let on_connection = move |stream: runtime::Stream, _| {
        let Some(connection) = connections.register(&stream) else { return };
        let (api, limits, stop) = (Rc::clone(&api), Rc::clone(&limits), stop.clone());
        runtime::spawn("http connection", async move {
            http::serve(stream, api, &limits, connection, stop).await;
        });
    };
    listener.accept_loop(on_connection, stop_accepting);
}

fn serve_tcp(
    listener: Listener,
    core: &Rc<Core>,
    connections: &Rc<ConnectionTable>,
    settings: &Settings,
    stop: &StopFlag,
) {
    let cluster: Rc<str> = settings.main.tcp_cluster.as_deref().unwrap_or_default().into();
    let (core, connections) = (Rc::clone(core), Rc::clone(connections));
    let on_connection = move |stream: runtime::Stream, _| {
        let Some(connection) = connections.register(&stream) else {
            return tcp::reset(&stream, "too many connections");
        };
        let (core, cluster) = (Rc::clone(&core), Rc::clone(&cluster));
        runtime::spawn("tcp connection", tcp::serve(stream, core, cluster, connection));
    };
    listener.accept_loop(on_connection, stop.clone());
}
