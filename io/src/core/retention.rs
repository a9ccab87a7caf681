//! The archive while the daemon runs: one task of the daemon, on the first core (SPEC section 6).
//!
//! Beside the cores' own [`upkeep`](super::upkeep), which removes the directories that the archive leaves empty.

use std::time::{Duration, Instant};

use crate::cleanup::{self, progress::UntilStop};
use crate::runtime::{StopFlag, sleep};
use crate::settings::MetricStore;

/// Time between two looks at what is due.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Archives once per retention until the daemon stops. What takes long runs on the core's blocking thread, in slices.
pub async fn run(store: &MetricStore, stop: StopFlag) {
    // At least a second, so that a round of nothing does not follow the other.
    let interval = store.retention_in_memory.max(Duration::from_secs(1));
    let mut due = Instant::now() + interval;
    while !stop.is_set() {
        sleep(LOOK_INTERVAL).await;
        if Instant::now() >= due {
            due = Instant::now() + interval;
            let outcome = cleanup::archive(store, |_, _| true, &UntilStop(stop.clone())).await;
            cleanup::report("archive", &outcome);
        }
    }
}
