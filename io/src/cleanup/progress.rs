//! How far a round of the archive is: on a terminal a line that changes, else a line of the log now and then.

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use engine::durable::archive::Progress;

use crate::runtime::StopFlag;

/// Time between two changes of the line on a terminal.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two lines of the log.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Shown on stderr, for `-cleanup-checkpoints`.
#[derive(Debug)]
pub struct ShownProgress {
    is_terminal: bool,
    began: Instant,
    shown: Cell<Instant>,
    planned_bytes: Cell<u64>,
    archived_bytes: Cell<u64>,
    rows: Cell<u64>,
    /// The line on the terminal, to be wiped.
    line: RefCell<String>,
}

impl ShownProgress {
    /// The clock runs from now on.
    #[must_use]
    pub fn start() -> Self {
        let now = Instant::now();
        Self {
            is_terminal: io::stderr().is_terminal(),
            began: now,
            shown: now.into(),
            planned_bytes: Cell::default(),
            archived_bytes: Cell::default(),
            rows: Cell::default(),
            line: RefCell::default(),
        }
    }

    fn show(&self) {
        let line =
            line(self.began.elapsed(), self.archived_bytes.get(), self.planned_bytes.get(), self.rows.get());
        if self.is_terminal {
            let width = self.line.borrow().len();
            // A terminal that cannot be written to has nobody who looks at it.
            let _ = write!(io::stderr(), "\r{line:<width$}").and_then(|()| io::stderr().flush());
            self.line.replace(line);
        } else {
            tracing::info!("{line}");
        }
    }
}

impl Progress for ShownProgress {
    fn planned(&self, bytes: u64) {
        self.planned_bytes.set(bytes);
        if bytes > 0 {
            self.show();
        }
    }

    fn archived(&self, bytes: u64, rows: u64) {
        self.archived_bytes.set(self.archived_bytes.get() + bytes);
        self.rows.set(self.rows.get() + rows);
        let interval = if self.is_terminal { TERMINAL_INTERVAL } else { LOG_INTERVAL };
        let is_done = self.archived_bytes.get() >= self.planned_bytes.get();
        if is_done || self.shown.get().elapsed() >= interval {
            self.shown.set(Instant::now());
            self.show();
        }
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Drop for ShownProgress {
    fn drop(&mut self) {
        if self.is_terminal && !self.line.borrow().is_empty() {
            let _ = writeln!(io::stderr());
        }
    }
}

/// Percent, rate and time left.
fn line(elapsed: Duration, archived_bytes: u64, planned_bytes: u64, rows: u64) -> String {
    let percent = archived_bytes.saturating_mul(100).checked_div(planned_bytes).unwrap_or(100);
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let (rate, rows_rate) = (archived_bytes as f64 / seconds, rows as f64 / seconds);
    let left = planned_bytes.saturating_sub(archived_bytes) as f64 / rate;
    let left = if left.is_finite() { format!("{left:.0} s left") } else { "no time known".to_owned() };
    format!(
        "archive: {percent} % of {} MB, {rows} samples, {:.1} MB/s, {rows_rate:.0} samples/s, {left}",
        planned_bytes / 1_000_000,
        rate / 1e6,
    )
}

/// Not shown; ends with the daemon.
#[derive(Debug)]
pub struct UntilStop(pub StopFlag);

impl Progress for UntilStop {
    fn planned(&self, _bytes: u64) {}

    fn archived(&self, _bytes: u64, _rows: u64) {}

    fn is_cancelled(&self) -> bool {
        self.0.is_set()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_percent_rate_and_time_left() {
        assert_eq!(
            line(Duration::from_secs(10), 25_000_000, 100_000_000, 6_000_000),
            "archive: 25 % of 100 MB, 6000000 samples, 2.5 MB/s, 600000 samples/s, 30 s left"
        );
        assert_eq!(
            line(Duration::ZERO, 0, 100, 0),
            "archive: 0 % of 0 MB, 0 samples, 0.0 MB/s, 0 samples/s, no time known"
        );
        assert!(line(Duration::from_secs(1), 100, 100, 7).starts_with("archive: 100 %"));
    }
}
