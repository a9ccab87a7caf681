//! CPU time and memory of a process, from `/proc`.
//!
//! [`crate::run`] reads it before and after every phase.

use std::{collections::BTreeMap, fs, io, time::Duration};

/// What one look at a process shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// User plus system time of all its threads, ended ones included, in steps of the clock tick (10 ms).
    pub cpu: Duration,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Largest resident memory so far.
    pub rss_peak_bytes: u64,
}

impl Usage {
    /// The usage of process `pid` now.
    ///
    /// # Errors
    /// When there is no such process, or its files are not as proc(5) describes them.
    pub fn of(pid: u32) -> io::Result<Self> {
        Self::read(&format!("/proc/{pid}"))
    }

    /// The usage of this process now.
    ///
    /// # Errors
    /// When `/proc` is not there or not as proc(5) describes it.
    pub fn of_self() -> io::Result<Self> {
        Self::read("/proc/self")
    }

    fn read(directory: &str) -> io::Result<Self> {
        let bad = |file: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{directory}/{file} is not as expected"))
        };
        let stat = fs::read_to_string(format!("{directory}/stat"))?;
        let status = fs::read_to_string(format!("{directory}/status"))?;
        let ticks = cpu_ticks(&stat).ok_or_else(|| bad("stat"))?;
        Ok(Self {
            cpu: Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64),
            rss_bytes: status_bytes(&status, "VmRSS:").ok_or_else(|| bad("status"))?,
            rss_peak_bytes: status_bytes(&status, "VmHWM:").ok_or_else(|| bad("status"))?,
        })
    }
}

/// CPU time of every thread of a process that runs now, exact to what the scheduler has accounted.
///
/// # Errors
/// When there is no such process, or the kernel keeps no `schedstat`.
pub fn thread_cpu(pid: u32) -> io::Result<BTreeMap<u32, Duration>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let entry = entry?;
        let Some(thread) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A thread may end between listing and reading.
        let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
        let nanoseconds = text.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
        let nanoseconds =
            nanoseconds.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "bad schedstat"))?;
        threads.insert(thread, Duration::from_nanos(nanoseconds));
    }
    if threads.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no thread has a readable schedstat"));
    }
    Ok(threads)
}

/// utime + stime of a `stat` file, in clock ticks. The command name may hold spaces and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    // Fields 14 and 15 of proc(5); the first one after the name is field 3.
    let mut fields = after_name.split_ascii_whitespace().skip(14 - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// A line such as `VmRSS:    1234 kB` of a `status` file, in bytes.
fn status_bytes(status: &str, label: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(label))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn reads_the_right_fields_whatever_the_name() {
        for name in ["daemon", "a b", "x) R 1 (y", ")"] {
            let stat = format!("77 ({name}) S 1 77 77 0 -1 4194304 900 0 3 0 123 45 6 7 20 0 5 0 999 1 2");
            assert_eq!(cpu_ticks(&stat), Some(123 + 45), "{name}");
        }
        for bad in ["", "77 (x", "77 (x) S 1 2", "77 (x) S 1 77 77 0 -1 4194304 900 0 3 0 a b"] {
            assert_eq!(cpu_ticks(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn reads_memory_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t       4 kB\n";
        assert_eq!(status_bytes(status, "VmRSS:"), Some(4096));
        assert_eq!(status_bytes(status, "VmHWM:"), Some(2 << 20));
        assert_eq!(status_bytes("VmRSS:\t4 MB\n", "VmRSS:"), None);
        assert_eq!(status_bytes("", "VmRSS:"), None);
    }

    #[test]
    fn own_usage_grows_with_work_and_memory() {
        let before = Usage::of_self().unwrap();
        let block = vec![1u8; 64 << 20];
        let began = Instant::now();
        let mut sum = 0u64;
        while began.elapsed() < Duration::from_millis(100) {
            sum = block.iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        }
        let after = Usage::of_self().unwrap();
        assert!(thread_cpu(std::process::id()).unwrap().values().any(|cpu| !cpu.is_zero()));
        assert!(after.cpu > before.cpu, "{before:?} {after:?} {sum}");
        assert!(after.rss_peak_bytes >= before.rss_bytes + (60 << 20), "{before:?} {after:?}");
        assert!(Usage::of(u32::MAX).is_err() && thread_cpu(u32::MAX).is_err());
    }
}
