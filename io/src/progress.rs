//! Shows on stderr how far long work is: on a terminal a line that changes, else a line of the log now and then.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use engine::progress::Meter;

use crate::telemetry::output::{end_progress, put_progress};

/// Work that is shown.
#[derive(Debug)]
pub struct Shown {
    began: Instant,
    /// How far it is.
    pub meter: Meter,
}

impl Shown {
    /// The clock runs from now on.
    #[must_use]
    pub fn start(what: &'static str) -> Self {
        let meter = Meter::new(what, "samples", io::stderr().is_terminal());
        Self { began: Instant::now(), meter }
    }

    /// Since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Shows it, if that is due.
    pub fn tick(&mut self) {
        if let Some(text) = self.meter.due(self.began.elapsed()) {
            self.put(&text);
        }
    }

    /// Shows it.
    pub fn show(&mut self) {
        let text = self.meter.show(self.began.elapsed());
        self.put(&text);
    }

    fn put(&self, text: &str) {
        if self.meter.is_shown_on_terminal() {
            put_progress(text);
        } else {
            tracing::info!("{text}");
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if self.meter.is_shown_on_terminal() {
            end_progress();
        }
    }
}
