//! When retention and cleanup are due, and whether the clock can be trusted for them (SPEC section 6).
//!
//! Retention comes twice per retention, cleanup once. The time of the last cleanup is kept beside the log, so that a daemon that is
//! restarted more often than that cleans up nevertheless. Both free or delete what is old by the clock: after a jump of more than
//! an hour they wait until the next round shows the same time.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::platform::{Archiving, Clock, write_atomically};

/// The file with the time of the last cleanup, in seconds since 1970.
pub const LAST_CLEANUP: &str = "last-cleanup";
/// A jump of the clock by more is one.
const JUMP_SECONDS: i64 = 3600;
/// Shortest time between two rounds of cleanup, so that a round of nothing does not follow the other.
const CLEANUP_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Longest content of the file.
const LAST_CLEANUP_BYTES_MAX: u64 = 64;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueRound {
    /// now − retention, in seconds.
    pub oldest: i64,
    /// Buffers are to be freed.
    pub retention: bool,
    /// Snapshots are to be archived or deleted.
    pub cleanup: bool,
}

/// When what is due.
#[derive(Clone, Debug)]
pub struct RoundOptions {
    /// Directory of the log: there the time of the last cleanup is kept.
    pub directory: PathBuf,
    /// How long samples are kept, in seconds.
    pub retention_seconds: i64,
    /// Time between two rounds of retention.
    pub free_interval: Duration,
    /// Time between two rounds of cleanup.
    pub cleanup_interval: Duration,
}

impl RoundOptions {
    /// Those of a daemon that keeps samples for so long.
    #[must_use]
    pub fn of(directory: PathBuf, retention: Duration) -> Self {
        Self {
            directory,
            retention_seconds: i64::try_from(retention.as_secs()).unwrap_or(i64::MAX),
            free_interval: retention / 2,
            cleanup_interval: retention.max(CLEANUP_INTERVAL_MIN),
        }
    }
}

/// The rounds of one daemon.
#[derive(Debug)]
pub struct Rounds<P> {
    platform: P,
    options: RoundOptions,
    retention_due_ns: u64,
    cleanup_due_ns: u64,
    clock: ClockTrust,
}

impl<P: Clock + Archiving> Rounds<P> {
    /// Rounds of a daemon that starts now.
    pub async fn start(platform: P, options: RoundOptions) -> Self {
        let (now, now_ns) = (platform.now_seconds(), platform.now_ns());
        let found = read_last_cleanup(&platform, &options.directory.join(LAST_CLEANUP)).await;
        // The clock may have been ahead.
        let last = found.filter(|last| *last <= now);
        let rounds = Self {
            retention_due_ns: now_ns.saturating_add(nanos(options.free_interval)),
            cleanup_due_ns: {
                let since = last.map_or(0, |last| u64::try_from(now.saturating_sub(last)).unwrap_or(0));
                let left = options.cleanup_interval.saturating_sub(Duration::from_secs(since));
                now_ns.saturating_add(nanos(left))
            },
            clock: ClockTrust::new(now, now_ns, last, options.retention_seconds),
            platform,
            options,
        };
        if last.is_none() {
            rounds.keep_time(now).await;
        }
        rounds
    }

    /// What is due now, if anything is. After a jump of the clock nothing is until the next round.
    pub fn due(&mut self) -> Option<DueRound> {
        let (now, now_ns) = (self.platform.now_seconds(), self.platform.now_ns());
        let round = DueRound {
            oldest: self.oldest(),
            retention: now_ns >= self.retention_due_ns,
            cleanup: now_ns >= self.cleanup_due_ns,
        };
        if !round.retention && !round.cleanup {
            return None;
        }
        if round.retention {
            self.retention_due_ns = now_ns.saturating_add(nanos(self.options.free_interval));
        }
        if round.cleanup {
            // Until it is done.
            self.cleanup_due_ns =
                now_ns.saturating_add(nanos(self.options.free_interval.max(CLEANUP_INTERVAL_MIN)));
        }
        match self.clock.look(now, now_ns) {
            Ok(()) => Some(round),
            Err(jump_seconds) => {
                tracing::warn!(
                    "the clock has jumped by {jump_seconds} s: nothing is freed, archived or deleted for its age before the next round shows the same time"
                );
                None
            }
        }
    }

    /// now − retention, in seconds.
    pub fn oldest(&self) -> i64 {
        self.platform.now_seconds().saturating_sub(self.options.retention_seconds)
    }

    /// Directory of the log.
    pub fn directory(&self) -> &Path {
        &self.options.directory
    }

    /// Cleanup was done.
    pub async fn cleaned(&mut self) {
        self.cleanup_due_ns = self.platform.now_ns().saturating_add(nanos(self.options.cleanup_interval));
        self.keep_time(self.platform.now_seconds()).await;
    }

    async fn keep_time(&self, now: i64) {
        let text = format!("{now}\n").into_bytes();
        if let Err(error) =
            write_atomically(&self.platform, &self.options.directory, LAST_CLEANUP, text).await
        {
            tracing::warn!("the time of the last cleanup cannot be kept: {error}");
        }
    }
}

async fn read_last_cleanup(platform: &impl Archiving, path: &Path) -> Option<i64> {
    match platform.read_file(path, LAST_CLEANUP_BYTES_MAX).await {
        Ok(bytes) => std::str::from_utf8(&bytes).ok()?.trim().parse().ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!("the time of the last cleanup is not known: {error}");
            None
        }
    }
}

/// Whether the wall's clock has gone on as the clock that only grows.
#[derive(Debug)]
struct ClockTrust {
    /// What the wall's clock showed at the zero of the other.
    zero_seconds: i64,
    /// The same after a jump that was seen once.
    jumped_zero_seconds: Option<i64>,
}

impl ClockTrust {
    /// A daemon starts whose last cleanup was then. A clock that has moved on so far that everything on disk is out of
    /// retention has jumped, unless the daemon was away for as long, which the next round shows.
    fn new(now: i64, now_ns: u64, last_cleanup: Option<i64>, retention: i64) -> Self {
        let grown = grown_seconds(now_ns);
        let usual_max = retention.saturating_add(retention.max(JUMP_SECONDS));
        let last = last_cleanup.filter(|last| now.saturating_sub(*last) > usual_max);
        Self { zero_seconds: last.unwrap_or(now).saturating_sub(grown), jumped_zero_seconds: None }
    }

    /// # Errors
    /// The clock has jumped by so many seconds, which was not seen before.
    fn look(&mut self, now: i64, now_ns: u64) -> Result<(), i64> {
        let zero = now.saturating_sub(grown_seconds(now_ns));
        let is_near = |other: i64| zero.saturating_sub(other).saturating_abs() <= JUMP_SECONDS;
        if is_near(self.zero_seconds) || self.jumped_zero_seconds.is_some_and(is_near) {
            (self.zero_seconds, self.jumped_zero_seconds) = (zero, None);
            return Ok(());
        }
        self.jumped_zero_seconds = Some(zero);
        Err(zero.saturating_sub(self.zero_seconds))
    }
}

fn grown_seconds(now_ns: u64) -> i64 {
    i64::try_from(now_ns / 1_000_000_000).unwrap_or(i64::MAX)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_700_000_000;
    const DAY: i64 = 24 * 3600;

    fn at(seconds: i64) -> u64 {
        seconds as u64 * 1_000_000_000
    }

    #[test]
    fn a_jump_is_believed_when_it_is_seen_twice() {
        let mut clock = ClockTrust::new(T, at(5), None, DAY);
        assert_eq!(clock.look(T + 100, at(105)), Ok(()));
        // NTP moves it a little.
        assert_eq!(clock.look(T + 2000, at(205)), Ok(()));
        // Ahead for seconds, then right again.
        assert_eq!(clock.look(T + 100 * DAY, at(305)), Err(100 * DAY - 2100));
        assert_eq!(clock.look(T + 2200, at(405)), Ok(()));
        // Ahead, and stays so; then back, which is a jump as well.
        assert!(clock.look(T + 100 * DAY, at(505)).is_err());
        assert_eq!(clock.look(T + 100 * DAY + 60, at(565)), Ok(()));
        assert!(clock.look(T + 2400, at(605)).is_err());
        // Another one each time.
        assert!(clock.look(T + 50 * DAY, at(705)).is_err());
        assert_eq!(clock.look(T + 50 * DAY + 1, at(706)), Ok(()));
    }

    #[test]
    fn after_a_long_downtime_the_clock_at_the_start_must_be_seen_twice() {
        let mut clock = ClockTrust::new(T, at(5), Some(T - 2 * DAY + 1), DAY);
        assert_eq!(clock.look(T + 1, at(6)), Ok(()));
        let mut clock = ClockTrust::new(T, at(5), Some(T - 400 * DAY), DAY);
        assert!(clock.look(T + 1, at(6)).is_err());
        assert_eq!(clock.look(T + 2, at(7)), Ok(()));
    }
}
