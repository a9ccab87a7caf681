//! How far long work is: the line to show, and when. Recovery, archive and the tools use it; what writes it to a terminal or a
//! log is theirs.

use std::time::Duration;

/// Time between two changes of the line on a terminal.
const TERMINAL_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two lines of a log.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// Work on a known number of bytes.
#[derive(Debug)]
pub struct Meter {
    what: &'static str,
    /// What is counted besides, in the plural.
    items_name: &'static str,
    is_terminal: bool,
    /// Of all files.
    pub planned_bytes: u64,
    /// Worked on.
    pub done_bytes: u64,
    /// Found in them.
    pub items: u64,
    /// When a line was shown last.
    shown: Duration,
    /// Characters of the line on the terminal.
    width: usize,
}

impl Meter {
    /// Nothing done of nothing, for a terminal or a log.
    #[must_use]
    pub fn new(what: &'static str, items_name: &'static str, is_terminal: bool) -> Self {
        let shown = Duration::ZERO;
        Self { what, items_name, is_terminal, planned_bytes: 0, done_bytes: 0, items: 0, shown, width: 0 }
    }

    /// Whether all of it is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done_bytes >= self.planned_bytes
    }

    /// What to show now, so long after the beginning, if that is due: on a terminal it replaces the line before, in a log it
    /// is a line without its end.
    pub fn due(&mut self, elapsed: Duration) -> Option<String> {
        let interval = if self.is_terminal { TERMINAL_INTERVAL } else { LOG_INTERVAL };
        (elapsed.saturating_sub(self.shown) >= interval).then(|| self.show(elapsed))
    }

    /// What to show now.
    pub fn show(&mut self, elapsed: Duration) -> String {
        self.shown = elapsed;
        let line = self.line(elapsed);
        if !self.is_terminal {
            return line;
        }
        let width = std::mem::replace(&mut self.width, line.chars().count());
        format!("\r{line:<width$}")
    }

    /// Whether the cursor stands behind a line that was shown.
    #[must_use]
    pub fn is_shown_on_terminal(&self) -> bool {
        self.width > 0
    }

    /// Percent, rate and time left.
    #[must_use]
    pub fn line(&self, elapsed: Duration) -> String {
        let Self { what, items_name, planned_bytes, done_bytes, items, .. } = *self;
        let percent = done_bytes.saturating_mul(100).checked_div(planned_bytes).unwrap_or(100).min(100);
        let seconds = elapsed.as_secs_f64().max(1e-3);
        let (rate, items_rate) = (done_bytes as f64 / seconds, items as f64 / seconds);
        let left = planned_bytes.saturating_sub(done_bytes) as f64 / rate;
        let left = if left.is_finite() { format!("{left:.0} s left") } else { "no time known".to_owned() };
        format!(
            "{what}: {percent} % of {} MB, {items} {items_name}, {:.1} MB/s, {items_rate:.0} {items_name}/s, {left}",
            planned_bytes / 1_000_000,
            rate / 1e6,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(is_terminal: bool, done_bytes: u64, planned_bytes: u64, items: u64) -> Meter {
        Meter { planned_bytes, done_bytes, items, ..Meter::new("archive", "samples", is_terminal) }
    }

    #[test]
    fn the_line_says_percent_rate_and_time_left() {
        assert_eq!(
            meter(false, 25_000_000, 100_000_000, 6_000_000).line(Duration::from_secs(10)),
            "archive: 25 % of 100 MB, 6000000 samples, 2.5 MB/s, 600000 samples/s, 30 s left"
        );
        assert_eq!(
            meter(false, 0, 100, 0).line(Duration::ZERO),
            "archive: 0 % of 0 MB, 0 samples, 0.0 MB/s, 0 samples/s, no time known"
        );
        assert!(meter(false, 100, 100, 7).line(Duration::from_secs(1)).starts_with("archive: 100 %"));
    }

    #[test]
    fn a_terminal_has_one_line_which_wipes_the_longer_one_before() {
        let mut meter = meter(true, 0, 100_000_000, 0);
        let long = meter.show(Duration::ZERO);
        meter.done_bytes = meter.planned_bytes;
        let short = meter.show(Duration::from_secs(1));
        assert!(long.starts_with('\r') && short.starts_with('\r'));
        assert!(short.len() >= long.len(), "{short:?}");
        assert!(meter.is_shown_on_terminal());
        assert_eq!(meter.due(Duration::from_millis(1100)), None);
        assert!(meter.due(Duration::from_millis(1200)).is_some());
    }

    #[test]
    fn a_log_has_a_line_now_and_then() {
        let mut meter = meter(false, 1, 100, 0);
        let shown: Vec<u64> = (0..20).filter(|&at| meter.due(Duration::from_secs(at)).is_some()).collect();
        assert_eq!(shown, [5, 10, 15]);
        assert!(!meter.is_shown_on_terminal());
    }
}
