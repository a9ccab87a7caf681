//! How far a round of the archive is, for `-cleanup-checkpoints`.

use std::cell::RefCell;

use engine::durable::archive::Progress;

use crate::progress::Shown;

/// Shown on stderr, for `-cleanup-checkpoints`.
#[derive(Debug)]
pub struct ShownProgress(RefCell<Shown>);

impl ShownProgress {
    /// The clock runs from now on.
    #[must_use]
    pub fn start() -> Self {
        Self(RefCell::new(Shown::start("archive")))
    }
}

impl Progress for ShownProgress {
    fn planned(&self, bytes: u64) {
        let mut shown = self.0.borrow_mut();
        shown.meter.planned_bytes = bytes;
        if bytes > 0 {
            shown.show();
        }
    }

    fn archived(&self, bytes: u64, rows: u64) {
        let mut shown = self.0.borrow_mut();
        shown.meter.done_bytes += bytes;
        shown.meter.items += rows;
        if shown.meter.is_done() { shown.show() } else { shown.tick() }
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}
