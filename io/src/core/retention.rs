//! Which hosts the engine's [retention](engine::pump::retention) spares: those that the [`backend`](crate::backend) names.

use std::sync::Arc;
use std::sync::mpsc::{TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use engine::memory::spared::Spared;
use engine::pump::retention::SparesHosts;

use crate::backend::Backend;
use crate::runtime::{StopFlag, sleep};

/// Time between two looks at whether the backend has answered.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Asks a backend, if there is one.
#[derive(Debug)]
pub struct AskedBackend {
    /// Whom to ask.
    pub backend: Option<Arc<Backend>>,
    /// When to wait no longer.
    pub stop: StopFlag,
}

impl SparesHosts for AskedBackend {
    async fn spared(&self, oldest: i64) -> Option<Arc<Spared>> {
        let Some(backend) = &self.backend else { return Some(Arc::default()) };
        let (backend, (sender, answer)) = (Arc::clone(backend), sync_channel(1));
        let ask = move || {
            // Nobody waits for it when the daemon stops.
            let _ = sender.send(backend.ask(oldest));
        };
        let why = match thread::Builder::new().name("backend".to_owned()).spawn(ask) {
            Err(error) => error.to_string(),
            Ok(_) => loop {
                match answer.try_recv() {
                    Ok(Ok(spared)) => return Some(Arc::new(spared)),
                    Ok(Err(error)) => break error.to_string(),
                    Err(TryRecvError::Disconnected) => break "the asking thread panicked".to_owned(),
                    Err(TryRecvError::Empty) if self.stop.is_set() => return None,
                    Err(TryRecvError::Empty) => sleep(LOOK_INTERVAL).await,
                }
            },
        };
        tracing::warn!(
            "nothing is freed or removed this time, as cc-backend does not say which hosts to spare: {why}"
        );
        None
    }
}
