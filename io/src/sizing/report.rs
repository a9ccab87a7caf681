//! An estimate as text, for a terminal.
//!
//! The last step of `-size`. `docs/operations/sizing.md` has the same figures; a test compares them.

use std::fmt::Write as _;

use super::estimate::{self, Estimate};
use super::site::{Rate, Site};

/// The text of `-size`.
#[must_use]
pub fn text(site: &Site, estimate: &Estimate) -> String {
    let mut text = format!(
        "{} hosts with {} threads; {} of a thread, {} of a host\n{} cores, retention-in-memory {}, checkpoint-interval {}\n\n",
        thousands(site.hosts),
        thousands(site.threads),
        metrics(site.per_thread),
        metrics(site.per_host),
        site.cores,
        hours(site.retention.as_secs_f64()),
        hours(site.checkpoint_interval.as_secs_f64()),
    );
    let log = if site.is_logged {
        format!("{} bytes a sample, cut by every checkpoint", estimate::LOG_BYTES_PER_SAMPLE)
    } else {
        "wal.sync is off".to_owned()
    };
    let rows = [
        ("series", thousands(estimate.series), String::new()),
        ("samples per second", thousands(estimate.samples_per_second.round() as u64), String::new()),
        (
            "memory",
            bytes(estimate.memory_bytes),
            format!(
                "{:.1} bytes a sample: counters, values with two decimals",
                estimate::BYTES_PER_SAMPLE_USUAL
            ),
        ),
        (
            "memory at worst",
            bytes(estimate.memory_bytes_worst),
            format!("{:.1} bytes a sample: values random to the last bit", estimate::BYTES_PER_SAMPLE_WORST),
        ),
        ("log", bytes(estimate.log_bytes), log),
        (
            "checkpoints",
            bytes(estimate.checkpoints_bytes),
            format!("{} bytes a sample, up to twice the retention", estimate::SNAPSHOT_BYTES_PER_SAMPLE),
        ),
        (
            "archive per day",
            bytes(estimate.archive_bytes_per_day),
            "with cleanup.mode archive; nothing deletes it".to_owned(),
        ),
    ];
    for (name, figure, note) in rows {
        let line = format!("{name:<20}{figure:>16}  {note}");
        writeln!(text, "{}", line.trim_end()).expect("writing to a String cannot fail");
    }
    text
}

/// `12 metrics every 60 s`; an average where they differ.
fn metrics(rate: Rate) -> String {
    let count = thousands(rate.metrics);
    if rate.metrics == 0 {
        return "none".to_owned();
    }
    let seconds = rate.metrics as f64 / rate.samples_per_second;
    format!("{count} metrics every {} s", (seconds * 10.0).round() / 10.0)
}

fn hours(seconds: f64) -> String {
    if seconds < 3600.0 { format!("{seconds} s") } else { format!("{} h", (seconds / 360.0).round() / 10.0) }
}

/// With a comma between thousands.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Decimal units, as disks and `memory-cap` have them.
fn bytes(bytes: f64) -> String {
    match bytes {
        bytes if bytes >= 1e15 => format!("{:.1} PB", bytes / 1e15),
        bytes if bytes >= 1e12 => format!("{:.1} TB", bytes / 1e12),
        bytes if bytes >= 1e9 => format!("{:.1} GB", bytes / 1e9),
        bytes => format!("{:.0} MB", bytes / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (7_900_000, "7,900,000")] {
            assert_eq!(thousands(number), expected);
        }
        for (number, expected) in [(0.0, "0 MB"), (5.4e7, "54 MB"), (1.96e9, "2.0 GB"), (3e12, "3.0 TB")] {
            assert_eq!(bytes(number), expected);
        }
        assert_eq!(
            (hours(90.0), hours(5400.0), hours(172_800.0)),
            ("90 s".into(), "1.5 h".into(), "48 h".into())
        );
    }
}
