//! From the command line to running cores, and down again.

use std::fs::File;
use std::io;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::durable::checkpoint::Inherited;
use engine::durable::load::{self, LoadedCore};
use engine::memory::spared::Spared;
use engine::pump::mesh::{MAILBOX_MESSAGES, mesh};
use engine::pump::stop::Stopping;
use engine::series::directory::Directory;
use nix::sys::stat::{Mode, umask};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::backend::Backend;
use crate::cleanup;
use crate::command_line::{CommandLine, print_out};
use crate::core::clock_seconds;
use crate::early::{Early, EarlyStart};
use crate::listen::nats::feed::Feed;
use crate::listen::nats::{Bridge, BridgeThread};
use crate::listen::tls::Tls;
use crate::locks::{DataLocks, LockError};
use crate::metrics::daemon::DaemonMetrics;
use crate::ports::bind_all;
use crate::privileges::Identity;
use crate::recover::{self, Loading};
use crate::runtime::{self, CoreThread, StopFlag};
use crate::settings::{Cleanup, Main, Settings, resolve};
use crate::sizing;
use crate::start::{AllCores, CoreListeners, CoreStart};
use crate::systemd::{Pulses, notify, start_watchdog};
use crate::telemetry::{self, LAST_LINES_TIMEOUT, critical, output};

/// What nobody may do with our files: the group may not write, others nothing.
const UMASK: u32 = 0o027;

/// The daemon's main function.
#[must_use]
pub fn main() -> ExitCode {
    // Whoever started us: files are for their user to write and for the group to read, see `docs/security.md`.
    umask(Mode::from_bits_truncate(UMASK));
    // A write beyond RLIMIT_FSIZE is then an error like that of a full disk, and not the end.
    if let Err(error) = signal_hook::flag::register(SIGXFSZ, Arc::default()) {
        eprintln!("SIGXFSZ cannot be caught: {error}");
    }
    let exit_code = start();
    output::flush(LAST_LINES_TIMEOUT);
    exit_code
}

/// Does what the command line asks for.
fn start() -> ExitCode {
    let command_line = match CommandLine::from_env() {
        Ok(command_line) => command_line,
        Err(code) => return code,
    };
    if telemetry::start(command_line.log_level, command_line.log_date).is_err() {
        eprintln!("logging was started twice");
    }
    command_line.notes.iter().for_each(|note| tracing::warn!("{note}"));
    match Settings::load(command_line.config.as_deref()).map_err(|error| error.to_string()).and_then(
        |mut settings| {
            settings.dev = command_line.dev;
            if command_line.check_config {
                check(&settings)
            } else if let Some(site) = &command_line.size {
                sizing::size(&settings, site).map(|text| print_out(&text)).map_err(|error| error.to_string())
            } else if command_line.cleanup_checkpoints {
                clean_up(&settings)
            } else {
                run(settings)
            }
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
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(text)?;
    settings.notes.iter().for_each(|note| tracing::warn!("{note}"));
    let tls = load_tls(&settings.main)?;
    let cpus = cpus(&settings).map_err(text)?;
    let (listeners, _lock) = acquire(&settings, cpus.len())?;
    output::start_thread().map_err(text)?;
    let (bridge, feeds) = Bridge::new(&settings, cpus.len()).map_err(|error| error.to_string())?;
    let backend = Backend::new(&settings)?;
    let settings = Arc::new(settings);
    let stop = StopFlag::new();
    let sources = bridge.iter().map(Bridge::metrics).collect();
    let loading = Arc::new(Loading::default());
    let stop_asked =
        obey(signals, tls.clone(), settings.main.stop_timeout, Arc::clone(&loading)).map_err(text)?;
    let metrics = DaemonMetrics::new(&settings, cpus.len(), Arc::clone(&loading), sources);
    let daemon = Daemon { settings, cpus, tls, metrics: Arc::new(metrics), stop: stop.clone() };
    let first = daemon.start_first(&listeners).map_err(text)?;
    let now = clock_seconds();
    let oldest = now.saturating_sub(daemon.settings.metric_store.retention_seconds());
    let spared = backend.as_ref().map_or_else(Spared::default, |backend| backend.ask_at_start(oldest));
    let loaded = recover::load(&daemon.settings, daemon.cpus.len(), now, spared, &loading)?;

    let pulses = Pulses::new(daemon.cpus.len());
    let parts = CoreParts { listeners, loaded, feeds };
    let threads = daemon.start_cores(first, parts, backend.map(Arc::new), pulses.clone()).map_err(text)?;
    let bridge = bridge.map(Bridge::start).transpose().map_err(text)?;
    start_watchdog(pulses).map_err(text)?;
    notify(&[NotifyState::Ready, NotifyState::Status("running")]);
    stop_asked.recv().map_err(|error| error.to_string())?;
    notify(&[NotifyState::Stopping, NotifyState::Status("stopping: the last checkpoint is made")]);
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

/// Obeys signals on a thread of their own; returns where it is heard that the daemon is to stop.
///
/// A stop begins when the data are loaded, with the writes that wait for that. If that takes longer than a stop may, the process ends
/// as it is: nothing that waited was acknowledged, and what is on disk is as it was.
fn obey(
    mut signals: Signals,
    tls: Option<Tls>,
    stop_timeout: Duration,
    loading: Arc<Loading>,
) -> io::Result<Receiver<()>> {
    let (stop, stop_asked) = sync_channel(1);
    let run = move || {
        for signal in signals.forever() {
            if signal == SIGHUP {
                read_again(tls.as_ref());
                continue;
            }
            tracing::info!("signal {signal}: stopping");
            // Nobody hears it twice.
            let _ = stop.try_send(());
            if loading.is_over() {
                continue;
            }
            thread::sleep(stop_timeout);
            if !loading.is_over() {
                tracing::warn!("stopped within the start: the data were not loaded within main.stop-timeout");
                output::flush(LAST_LINES_TIMEOUT);
                process::exit(0);
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(run)?;
    Ok(stop_asked)
}

/// Ports, privileges, rings and the lock on the data, in the order that works: ports may need root, everything made
/// later should be the user's.
fn acquire(settings: &Settings, cores: usize) -> Result<(Vec<CoreListeners>, DataLocks), String> {
    let probe = || runtime::probe().map_err(|error| error.to_string());
    let lock = || DataLocks::take(&settings.metric_store).map_err(|error| error.to_string());
    let Some(identity) = identity(&settings.main)? else {
        probe()?;
        let locks = lock()?;
        return Ok((bind_all(settings, cores)?, locks));
    };
    let listeners = bind_all(settings, cores)?;
    become_user(&identity, settings)?;
    probe()?;
    Ok((listeners, lock()?))
}

/// Whom `main.user` and `main.group` name.
fn identity(main: &Main) -> Result<Option<Identity>, String> {
    Identity::find(main.user.as_deref(), main.group.as_deref()).map_err(|error| error.to_string())
}

/// Drops privileges and looks at what is left.
fn become_user(identity: &Identity, settings: &Settings) -> Result<(), String> {
    let (main, store) = (&settings.main, &settings.metric_store);
    let archive = match &store.cleanup {
        Cleanup::Archive { directory } => Some(directory.as_path()),
        Cleanup::Delete => None,
    };
    identity
        .assume()
        .and_then(|()| identity.check_data(&store.checkpoints.directory, &store.wal.directory, archive))
        .map_err(|error| error.to_string())?;
    tracing::info!("running as {identity}");
    for file in [&main.https_cert_file, &main.https_key_file].into_iter().flatten() {
        if let Err(error) = File::open(file) {
            tracing::warn!(
                "{} cannot be read by {identity}, so SIGHUP will not renew the certificate: {error}",
                file.display()
            );
        }
    }
    Ok(())
}

/// The certificates, if both files are named.
fn load_tls(main: &Main) -> Result<Option<Tls>, String> {
    let (Some(cert), Some(key)) = (&main.https_cert_file, &main.https_key_file) else { return Ok(None) };
    Tls::load(cert, key).map(Some).map_err(|error| error.to_string())
}

/// SIGHUP.
fn read_again(tls: Option<&Tls>) {
    match tls.map(Tls::reload) {
        None => tracing::info!("SIGHUP: there is nothing to read again"),
        Some(Ok(())) => tracing::info!("SIGHUP: new connections get the certificate as it is now"),
        Some(Err(error)) => tracing::error!("SIGHUP: the certificate stays as it was: {error}"),
    }
}

/// `-check-config`: also what a start would look up and read, but for the data.
fn check(settings: &Settings) -> Result<(), String> {
    settings.notes.iter().for_each(|note| tracing::warn!("{note}"));
    for addr in std::iter::once(&settings.main.addr).chain(&settings.main.tcp_addr) {
        resolve(addr).map_err(|error| error.to_string())?;
    }
    identity(&settings.main)?;
    load_tls(&settings.main)?;
    Bridge::new(settings, 1).map_err(|error| error.to_string())?;
    Backend::new(settings)?;
    print_out(&format!("{:#}\n", settings.effective()));
    Ok(())
}

/// `-cleanup-checkpoints`: one round; a daemon that is running on the data is asked to do it.
fn clean_up(settings: &Settings) -> Result<(), String> {
    settings.notes.iter().for_each(|note| tracing::warn!("{note}"));
    if let Some(identity) = identity(&settings.main)? {
        become_user(&identity, settings)?;
    }
    output::start_thread().map_err(|error| error.to_string())?;
    runtime::probe().map_err(|error| error.to_string())?;
    let store = &settings.metric_store;
    let _locks = match DataLocks::take(store) {
        Ok(locks) => locks,
        Err(LockError::LogInUse { .. }) => {
            return cleanup::ask::ask(&store.wal.directory, || !DataLocks::is_held(store));
        }
        Err(error) => return Err(error.to_string()),
    };
    let spared = match Backend::new(settings)? {
        None => Spared::default(),
        Some(backend) => {
            let oldest = clock_seconds().saturating_sub(store.retention_seconds());
            let asked = backend.ask(oldest);
            asked.map_err(|error| {
                format!(
                    "nothing is archived or deleted, as cc-backend does not say which hosts to spare: {error}"
                )
            })?
        }
    };
    cleanup::once(store, spared)
}

/// The CPUs that cores are pinned to.
fn cpus(settings: &Settings) -> io::Result<Vec<usize>> {
    let usable = runtime::usable_cpus()?;
    let cores = settings.metric_store.cores.map(|cores| usize::from(cores.get()));
    let cores = cores.unwrap_or_else(|| runtime::cores_default(usable.len()));
    if cores > usable.len() {
        tracing::warn!(
            "metric-store.cores is {cores}, but only {} CPUs may be used: cores share them",
            usable.len()
        );
    }
    Ok(usable.into_iter().cycle().take(cores).collect())
}

/// By core: what each is started with.
struct CoreParts {
    listeners: Vec<CoreListeners>,
    loaded: Vec<LoadedCore>,
    /// Its end of the NATS bridge.
    feeds: Vec<Option<Feed>>,
}

/// What all parts of a start need.
struct Daemon {
    settings: Arc<Settings>,
    cpus: Vec<usize>,
    tls: Option<Tls>,
    metrics: Arc<DaemonMetrics>,
    stop: StopFlag,
}

/// The first core, which answers early and waits for what is loaded.
struct FirstCore {
    thread: CoreThread,
    start: SyncSender<CoreStart>,
}

impl Daemon {
    /// Starts the first core before anything is loaded.
    fn start_first(&self, listeners: &[CoreListeners]) -> io::Result<FirstCore> {
        let listeners = listeners.iter().map(|core| core.http.duplicate()).collect::<io::Result<_>>()?;
        let (start, receiver) = sync_channel(1);
        let early = EarlyStart {
            settings: Arc::clone(&self.settings),
            cores: self.cpus.len(),
            tls: self.tls.clone(),
            stop: self.stop.clone(),
            listeners,
            metrics: Arc::clone(&self.metrics),
            start: receiver,
        };
        let main = move || async move {
            if let Some((start, early)) = early.run().await {
                run_core(start, Some(early)).await;
            }
        };
        Ok(FirstCore { thread: runtime::start_core(0, self.cpus[0], "core-0", main)?, start })
    }

    fn start_cores(
        &self,
        first: FirstCore,
        CoreParts { listeners, loaded, feeds }: CoreParts,
        backend: Option<Arc<Backend>>,
        pulses: Pulses,
    ) -> io::Result<Vec<CoreThread>> {
        let cores_count = self.cpus.len();
        let (directory, publishers) = Directory::new(cores_count);
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let inherited = Inherited::new(cores_count, load::inherited(&loaded));
        let mut cores: Vec<_> = loaded.into_iter().zip(publishers).collect();
        // Before any core can be asked for the hosts of all.
        for (loaded, hosts) in &mut cores {
            hosts.publish(&mut loaded.shard);
        }
        let shared = AllCores {
            settings: Arc::clone(&self.settings),
            directory,
            seed,
            tls: self.tls.clone(),
            stop: self.stop.clone(),
            stopping: Stopping::new(cores_count, self.stop.flag()),
            inherited,
            backend,
            metrics: Arc::clone(&self.metrics),
            held: self.metrics.held.clone(),
            pulses,
        };
        let mut threads = vec![first.thread];
        let mesh = mesh(cores_count, MAILBOX_MESSAGES);
        // One for the process: the executor library's wakers must not be dropped on another core.
        mesh[0].leak_shared();
        let parts = mesh.into_iter().zip(listeners).zip(cores).zip(feeds).zip(&self.cpus);
        for ((((ends, listeners), (loaded, hosts)), feed), &cpu) in parts {
            let index = ends.index;
            let start = CoreStart { shared: shared.clone(), ends, listeners, loaded, hosts, feed };
            if index == 0 {
                first.start.send(start).map_err(|_| io::Error::other("core 0 has ended"))?;
                continue;
            }
            let main = move || run_core(start, None);
            threads.push(runtime::start_core(index, cpu, &format!("core-{index}"), main)?);
        }
        Ok(threads)
    }
}

/// One core; an error ends the process.
async fn run_core(start: CoreStart, early: Option<Early>) {
    let index = start.ends.index;
    if let Err(error) = start.run(early).await {
        critical!("core {index} cannot go on: {error}");
        output::flush(LAST_LINES_TIMEOUT);
        process::exit(1);
    }
}
