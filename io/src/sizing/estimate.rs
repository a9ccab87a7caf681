//! From a site to bytes, by what was measured (`docs/performance.md`, `docs/decisions/0004-compression.md`).
//!
//! After [`super::site`]; [`super::report`] prints it. All bytes are upper ends of what is usual, not averages: who
//! installs a machine by them should not have to install another.

use engine::durable::segments::SEGMENT_BYTES_DEFAULT;
use engine::limits::BUFFER_SLOTS;

use super::site::Site;

/// Memory of a sample with two decimals, or of a counter (`memory`: 1.96 and 1.56).
pub const BYTES_PER_SAMPLE_USUAL: f64 = 2.0;
/// Memory of a sample whose bits are all random (`memory`: 7.31 to 7.38).
pub const BYTES_PER_SAMPLE_WORST: f64 = 7.4;
/// Memory of a series beside its packed samples: names, keys, the last eight values (`load --hosts 600` against
/// `--hosts 200`: 197).
pub const BYTES_PER_SERIES: f64 = 200.0;
/// Memory of a core that stores nothing (`load`: 10.5 MB with two).
pub const BYTES_PER_CORE: f64 = 8e6;
/// Log of a sample, with declarations and padding (`load`: 11.2).
pub const LOG_BYTES_PER_SAMPLE: f64 = 11.2;
/// Segments a core has at least: one or two, and two recycled (`docs/durability.md`).
pub const SEGMENTS_PER_CORE: u64 = 4;
/// A value in a snapshot `.bin` (`f32`).
pub const SNAPSHOT_BYTES_PER_SAMPLE: f64 = 4.0;
/// Names and numbers of a series in each snapshot: 22 bytes, the metric's name, its part of the level's.
pub const SNAPSHOT_BYTES_PER_SERIES: f64 = 40.0;
/// A sample in the archive (`archive`: 1.72 for random walks, 2.87 for the load generator's values).
pub const ARCHIVE_BYTES_PER_SAMPLE: f64 = 2.9;

const SECONDS_PER_DAY: f64 = 86_400.0;

/// What a site needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Series.
    pub series: u64,
    /// Samples per second.
    pub samples_per_second: f64,
    /// Resident memory when values have few decimals, in bytes.
    pub memory_bytes: f64,
    /// Resident memory when every value is random to the last bit.
    pub memory_bytes_worst: f64,
    /// Log just before a checkpoint cuts it.
    pub log_bytes: f64,
    /// Snapshots just before a cleanup.
    pub checkpoints_bytes: f64,
    /// What the archive grows by in a day.
    pub archive_bytes_per_day: f64,
}

impl Estimate {
    /// That of this site.
    #[must_use]
    pub fn of(site: &Site) -> Self {
        let series = site.series() as f64;
        let rate = site.samples_per_second();
        let (retention, interval) = (site.retention.as_secs_f64(), site.checkpoint_interval.as_secs_f64());
        // Freed twice per retention, and only whole buffers.
        let samples_held = rate * 1.5 * retention + series * BUFFER_SLOTS as f64;
        let fixed = series * BYTES_PER_SERIES + site.cores as f64 * BYTES_PER_CORE;
        // Cleaned up once per retention, when the whole span is older than that.
        let seconds_on_disk = 2.0 * retention + interval;
        let snapshots = (seconds_on_disk / interval).ceil();
        Self {
            series: site.series(),
            samples_per_second: rate,
            memory_bytes: fixed + samples_held * BYTES_PER_SAMPLE_USUAL,
            memory_bytes_worst: fixed + samples_held * BYTES_PER_SAMPLE_WORST,
            log_bytes: log_bytes(site, rate * interval * LOG_BYTES_PER_SAMPLE),
            checkpoints_bytes: rate * seconds_on_disk * SNAPSHOT_BYTES_PER_SAMPLE
                + series * snapshots * SNAPSHOT_BYTES_PER_SERIES,
            archive_bytes_per_day: rate * SECONDS_PER_DAY * ARCHIVE_BYTES_PER_SAMPLE,
        }
    }
}

/// The log, of which `between_checkpoints` are samples.
fn log_bytes(site: &Site, between_checkpoints: f64) -> f64 {
    if !site.is_logged {
        return 0.0;
    }
    let bound = site.wal_bytes_max.map_or(f64::INFINITY, |bytes| bytes as f64 * site.cores as f64);
    between_checkpoints.min(bound) + (site.cores * SEGMENTS_PER_CORE * SEGMENT_BYTES_DEFAULT) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn estimate(spec: &str, change: impl Fn(&mut Site)) -> Estimate {
        let mut site = Site::parse(spec, &Settings::default_site()).expect("a site");
        change(&mut site);
        Estimate::of(&site)
    }

    const SPEC: &str = "hosts=200,threads=72,thread-metrics=10,node-metrics=20,cores=2";

    #[test]
    fn memory_is_samples_series_and_cores() {
        // 148,000 series × 1440 samples took 1.96 bytes a sample with two decimals: 0.42 GB; the estimate is for three days and
        // open buffers.
        let found = estimate(SPEC, |_| {});
        let samples = 148_000.0 * (1.5 * 2880.0 + 512.0);
        assert!((found.memory_bytes - (samples * 2.0 + 148_000.0 * 200.0 + 16e6)).abs() < 1.0);
        assert!(found.memory_bytes_worst > 3.0 * found.memory_bytes);
    }

    #[test]
    fn the_log_is_bounded_by_what_bounds_it() {
        let segments = 2.0 * 4.0 * 64.0 * 1024.0 * 1024.0;
        let usual = estimate(SPEC, |_| {});
        assert!((usual.log_bytes - segments - 148_000.0 * 720.0 * 11.2).abs() < 1.0);
        let bounded = estimate(SPEC, |site| site.wal_bytes_max = Some(100_000_000));
        assert!((bounded.log_bytes - segments - 200_000_000.0).abs() < 1.0);
        assert_eq!(estimate(SPEC, |site| site.is_logged = false).log_bytes, 0.0);
    }

    #[test]
    fn disks_hold_two_retentions_and_an_interval() {
        let found = estimate(SPEC, |_| {});
        // 108 hours in nine snapshots.
        let expected = 148_000.0 * (108.0 * 60.0 * 4.0 + 9.0 * 40.0);
        assert!((found.checkpoints_bytes - expected).abs() < 1.0, "{}", found.checkpoints_bytes);
        assert!((found.archive_bytes_per_day - 148_000.0 * 1440.0 * 2.9).abs() < 1.0);
    }
}
