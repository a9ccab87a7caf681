//! One core's parts put together: log, connections, upkeep, pump.
//!
//! [`boot`](crate::boot) starts one of these a core, on its thread.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use engine::durable::checkpoint::Inherited;
use engine::durable::load::LoadedCore;
use engine::durable::segments::SegmentOptions;
use engine::series::directory::{Directory, HostPublisher};

use crate::api::Api;
use crate::api::influx::InfluxOptions;
use crate::backend::Backend;
use crate::core::checkpoint::Checkpoints;
use crate::core::held::Held;
use crate::core::memory_cap::{self, CheckpointsWanted};
use crate::core::mesh::CoreEnds;
use crate::core::{
    Core, CoreBounds, Stopping, journal, pump,
    retention::{CleanupOrders, Retention},
    upkeep::{self, CheckpointsDue, Sources},
};
use crate::durable::RealPlatform;
use crate::early::Early;
use crate::front::{self, Front, HttpDoor, LinesDoor};
use crate::listen::nats::feed::{self, Feed};
use crate::listen::tls::Tls;
use crate::metrics::daemon::DaemonMetrics;
use crate::runtime::{self, Listener, StopFlag};
use crate::settings::Settings;
use crate::systemd::Pulses;
use crate::ui::Pages;

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
    pub(crate) wanted: CheckpointsWanted,
    pub(crate) orders: CleanupOrders,
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
    pub(crate) ends: CoreEnds,
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
            wanted,
            orders,
            backend,
            metrics,
            held,
            pulses,
        } = shared;
        let store = &settings.metric_store;
        let cores = ends.cores();
        let (core, incoming) = Core::new(
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
        let journal = journal::start(&core, segments, store.wal.sync).await?;
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
        if core.index == 0 && store.memory_cap_bytes > 0 {
            let (core, store) = (Rc::clone(&core), store.clone());
            let (wanted, stop) = (wanted.clone(), stop.clone());
            runtime::spawn("memory cap", async move {
                memory_cap::run(core, &store, wanted, stop).await;
            });
        }
        if core.index == 0 {
            let (core, store) = (Rc::clone(&core), store.clone());
            let (orders, stop) = (orders.clone(), stop.clone());
            runtime::spawn("retention", Retention { core, store, backend, orders, stop }.run());
        }
        {
            let sources = Sources { connections, fed };
            let (core, stopping, store) = (Rc::clone(&core), Arc::clone(&stopping), store.clone());
            runtime::spawn("upkeep", async move {
                let due = CheckpointsDue { at_once: has_logs, wanted, cleanup: orders };
                upkeep::run(core, checkpoints, &store, due, sources, stop, stopping).await;
            });
        }
        let pulse = pulses.of(core.index);
        let journal = pump::run(core, incoming, loaded.shard, journal, hosts, stopping, pulse).await;
        journal.close().await.map_err(|error| io::Error::other(error.to_string()))
    }
}
