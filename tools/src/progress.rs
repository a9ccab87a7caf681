//! Shows on stderr how far a tool is: on a terminal a line that changes, else a line now and then.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use engine::progress::Meter;

/// Work that is shown.
#[derive(Debug)]
pub struct Shown {
    began: Instant,
    meter: Meter,
}

impl Shown {
    /// Work on so many bytes begins; `items_name` is what is counted besides, in the plural.
    #[must_use]
    pub fn start(what: &'static str, items_name: &'static str, planned_bytes: u64) -> Self {
        let mut meter = Meter::new(what, items_name, io::stderr().is_terminal());
        meter.planned_bytes = planned_bytes;
        Self { began: Instant::now(), meter }
    }

    /// So much more is done.
    pub fn add(&mut self, bytes: u64, items: u64) {
        self.meter.done_bytes += bytes;
        self.meter.items += items;
        let Some(text) = self.meter.due(self.began.elapsed()) else { return };
        let end = if self.meter.is_shown_on_terminal() { "" } else { "\n" };
        let mut stderr = io::stderr();
        // Nobody looks at what cannot be written to.
        let _ = write!(stderr, "{text}{end}").and_then(|()| stderr.flush());
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if self.meter.is_shown_on_terminal() {
            let _ = writeln!(io::stderr());
        }
    }
}
