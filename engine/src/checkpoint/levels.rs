//! The levels that an encoder has open: what was counted in each, and where it began.

use crate::limits;

/// One open level.
#[derive(Debug, Default)]
pub(super) struct OpenLevel {
    /// Where it began in the output, its name included; an empty level is cut off there.
    pub(super) begin: usize,
    /// Where its body began.
    pub(super) body: usize,
    /// Series written so far.
    pub(super) series_count: u32,
    /// Where the list of children began, once it has.
    pub(super) children: Option<usize>,
    /// Children that hold something.
    pub(super) child_count: u32,
}

impl OpenLevel {
    pub(super) fn is_empty(&self) -> bool {
        self.series_count == 0 && self.child_count == 0
    }
}

/// The way from the host's level to the one that is open.
#[derive(Debug)]
pub(super) struct OpenLevels {
    above: Vec<OpenLevel>,
    current: OpenLevel,
    series_total: u64,
}

impl OpenLevels {
    pub(super) fn new(host: OpenLevel) -> Self {
        Self { above: Vec::new(), current: host, series_total: 0 }
    }

    pub(super) fn current(&mut self) -> &mut OpenLevel {
        &mut self.current
    }

    pub(super) fn push(&mut self, level: OpenLevel) {
        assert!(
            self.above.len() < limits::SNAPSHOT_DEPTH_MAX,
            "a snapshot's level is nested too deep to be read back"
        );
        self.above.push(std::mem::replace(&mut self.current, level));
    }

    /// Back to the parent; the level that was left.
    pub(super) fn pop(&mut self) -> OpenLevel {
        let parent = self.above.pop().expect("a level of a snapshot is closed that was not opened");
        let level = std::mem::replace(&mut self.current, parent);
        if !level.is_empty() {
            self.current.child_count += 1;
        }
        level
    }

    /// Counts a series of the open level.
    pub(super) fn count_series(&mut self) {
        self.current.series_count += 1;
        self.series_total += 1;
    }

    /// The host's level and the number of series in all.
    pub(super) fn finish(self) -> (OpenLevel, u64) {
        assert!(self.above.is_empty(), "a snapshot ends while a level is open");
        (self.current, self.series_total)
    }
}

/// Names are bounded where they enter; one that is not would make the file unreadable.
pub(super) fn assert_name(name: &str) {
    assert!(name.len() <= limits::SELECTOR_PART_BYTES_MAX, "a name of {} bytes in a snapshot", name.len());
}

/// Times and frequencies likewise.
pub(super) fn assert_series(start: i64, frequency: i64, count: usize) {
    let checked = super::visit::check_series(start, frequency, count, 0);
    assert!(checked.is_ok(), "a snapshot's series could not be read back: {checked:?}");
}
