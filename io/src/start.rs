//! One core's parts put together: log, connections, upkeep, pump.
//!
//! [`boot`](crate::boot) starts one of these a core, on its thread.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::durable::checkpoint::{Checkpoints, Inherited};
use engine::durable::commit::{CommitOptions, WalSync};
use engine::durable::load::LoadedCore;
use engine::durable::rounds::RoundOptions;
use engine::durable::segments::SegmentOptions;
use engine::memory::cap::INTERVALS;
use engine::pump::acknowledge;
use engine::pump::cap::{self, CapOptions};
use engine::pump::mesh::CoreEnds;
use engine::pump::retention::{Retention, RetentionOptions};
use engine::pump::stop::Stopping;
use engine::pump::turn::Pump;
use engine::pump::upkeep::{Upkeep, UpkeepOptions};
use engine::series::directory::{Directory, HostPublisher};

use crate::api::Api;
use crate::api::influx::InfluxOptions;
use crate::backend::Backend;
use crate::cleanup;
use crate::core::held::Held;
use crate::core::pump::CorePace;
use crate::core::retention::AskedBackend;
use crate::core::{Core, CoreBounds, DaemonCore};
use crate::durable::RealPlatform;
use crate::early::Early;
use crate::front::{self, Front, HttpDoor, LinesDoor};
use crate::listen::nats::feed::{self, Feed};
use crate::listen::tls::Tls;
use crate::metrics::daemon::DaemonMetrics;
use crate::runtime::{self, Listener, StopFlag};
use crate::settings::{MetricStore, Settings};
use crate::systemd::Pulses;
use crate::ui::Pages;

/// Time between two looks at what upkeep, retention and the cap on memory have to do.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Time from a failed checkpoint to the next attempt; doubled by every further failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// Bound of that time.
const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(300);

/// What all cores share.
#[derive(Clone)]
pub(crate) struct AllCores {
    pub(crate) settings: Arc<Settings>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) seed: u64,
    pub(crate) tls: Option<Tls>,
    pub(crate) stop: StopFlag,
    pub(crate) stopping: Arc<Stopping>,
    pub(crate) inherited: Arc<Inherited>,
    pub(crate) backend: Option<Arc<Backend>>,
    pub(crate) metrics: Arc<DaemonMetrics>,
    pub(crate) held: Held,
    pub(crate) pulses: Pulses,
}

/// The listening sockets of one core.
pub(crate) struct CoreListeners {
    pub(crate) http: Listener,
    pub(crate) tcp: Option<Listener>,
}

/// What a core is started with.
pub(crate) struct CoreStart {
    pub(crate) shared: AllCores,
    pub(crate) ends: CoreEnds<DaemonCore>,
    pub(crate) listeners: CoreListeners,
    pub(crate) loaded: LoadedCore,
    pub(crate) hosts: HostPublisher,
    /// Its end of the NATS bridge.
    pub(crate) feed: Option<Feed>,
}

impl CoreStart {
    /// One core from its start to its end; the first one has been answering `early`.
    ///
    /// # Errors
    /// Its log cannot be begun or closed.
    pub(crate) async fn run(self, early: Option<Early>) -> io::Result<()> {
        let Self { shared, ends, listeners, loaded, hosts, feed } = self;
        let AllCores {
            settings,
            directory,
            seed,
            tls,
            stop,
            stopping,
            inherited,
            backend,
            metrics,
            held,
            pulses,
        } = shared;
        let store = &settings.metric_store;
        let cores = ends.cores();
        let (core, incoming) = DaemonCore::core(
            ends,
            Arc::clone(&settings.metrics),
            directory,
            seed,
            CoreBounds {
                query_values_max: store.query_values_max,
                full_range: store.full_range,
                series_max: store.series_max as usize,
                held,
            },
        );
        let segments = SegmentOptions::new(
            store.wal.directory.clone(),
            u16::try_from(core.index).map_err(io::Error::other)?,
            u16::try_from(cores).map_err(io::Error::other)?,
        );
        let mut commit = CommitOptions { sync: store.wal.sync, ..CommitOptions::default() };
        if loaded.has_records {
            if commit.sync == WalSync::Off {
                tracing::warn!(
                    "core {}: wal.sync is off, but the log of an earlier run holds samples: as with none, the log is written until a start finds it empty",
                    core.index
                );
            }
            commit = commit.beside_records();
        }
        let journal = acknowledge::start(&core, RealPlatform, segments, commit).await?;
        let front = match &early {
            Some(early) => early.front.clone(),
            None => Front::new(&settings, cores, tls, &stop),
        };
        let connections = Rc::clone(&front.connections);
        let loading = Arc::clone(&metrics.loading);
        let pages = Pages::new(settings.main.ui, settings.dev);
        let influx = InfluxOptions {
            field_metrics: settings.main.influx_fields,
            retention_seconds: store.retention_seconds(),
        };
        let browsers = Rc::clone(&front.browsers);
        let api = Api::new(Rc::clone(&core), browsers, front.access.clone(), influx, metrics);
        let labels = &settings.main.remote_write;
        let api = api.with_remote_write(labels.labels.clone(), labels.cluster.as_deref().unwrap_or_default());
        let api = Rc::new(api.with_pages(pages));
        let http = HttpDoor::new(&front, Rc::clone(&api), Some(&core), &settings, &stop);
        let lines = LinesDoor::new(&front, &core, &settings);
        front::welcome(&core, Rc::clone(&http), Rc::clone(&lines));
        if let Some(early) = early {
            early.hand_over(api, &loading).await;
            tracing::info!("{cores} cores are running");
        }
        // The other cores accept nothing before.
        while !loading.is_over() {
            runtime::next_tick().await;
        }
        http.accept(listeners.http, &stop);
        if let Some(listener) = listeners.tcp {
            lines.accept(listener, &stop);
        }
        core.sources.add(move |metrics| front.measure(metrics));
        let fed = feed::start(&core, feed, connections.deadline());
        let has_logs = !loaded.segments.is_empty() || !loaded.reference_logs.is_empty();
        let checkpoints = Checkpoints::new(
            RealPlatform,
            journal.queue(),
            store.checkpoints.directory.clone(),
            store.checkpoints.file_format.into(),
            inherited,
            loaded.reference_logs,
        );
        if core.index == 0 {
            start_daemon_tasks(&core, store, AskedBackend { backend, stop: stop.clone() }, &stopping);
        }
        let upkeep = Upkeep {
            core: Rc::clone(&core),
            platform: RealPlatform,
            checkpoints,
            options: upkeep_options(store, has_logs),
        };
        let drained = async move {
            connections.drained().await;
            fed.over().await;
        };
        runtime::spawn("upkeep", upkeep.run(drained, Arc::clone(&stopping)));
        let pace = CorePace::new(&core, pulses.of(core.index));
        let pump = Pump::new(core, incoming, loaded.shard, journal, hosts);
        let journal = pump.run(stopping, pace).await;
        journal.close().await.map_err(|error| io::Error::other(error.to_string()))
    }
}

/// Starts what one core does for all: retention, and the cap on memory.
fn start_daemon_tasks(core: &Rc<Core>, store: &MetricStore, sparing: AskedBackend, stopping: &Arc<Stopping>) {
    if store.memory_cap_bytes > 0 {
        let options = CapOptions {
            look_interval: LOOK_INTERVAL,
            intervals: INTERVALS,
            cap_bytes: store.memory_cap_bytes,
            retention_seconds: store.retention_seconds(),
        };
        let (core, stopping) = (Rc::clone(core), Arc::clone(stopping));
        runtime::spawn("memory cap", cap::run(core, RealPlatform, options, stopping));
    }
    let options = RetentionOptions {
        look_interval: LOOK_INTERVAL,
        rounds: RoundOptions::of(store.wal.directory.clone(), store.retention_in_memory),
        archive: cleanup::archive_options(store),
    };
    let (core, stopping) = (Rc::clone(core), Arc::clone(stopping));
    let retention = Retention { core, platform: RealPlatform, options, sparing, stopping };
    runtime::spawn("retention", retention.run());
}

fn upkeep_options(store: &MetricStore, has_logs: bool) -> UpkeepOptions {
    UpkeepOptions {
        look_interval: LOOK_INTERVAL,
        // Retention frees only what is in snapshots, which must not wait for much longer than that.
        checkpoint_interval: store.checkpoint_interval.min(store.retention_in_memory / 2),
        retry_interval: RETRY_INTERVAL,
        retry_interval_max: RETRY_INTERVAL_MAX,
        log_bytes_max: store.checkpoints.wal_bytes_max,
        has_logs,
        cleanup: cleanup::options(store),
    }
}
