//! Which CPUs this process may use.
//!
//! The first question of a start: one executor is pinned to each CPU found here (unless `metric-store.cores` says
//! fewer). glommio trap: its `CpuSet::online()` reads the machine's CPUs and ignores affinity and cgroup cpusets, so an
//! executor would be pinned to a CPU that the process may not use. The kernel's own view of the allowed set — what
//! `sched_getaffinity` answers — is in `/proc/self/status`, and reading it needs no unsafe code.

use std::{fs, io};

/// Where the kernel lists the allowed CPUs of the main thread.
const STATUS_PATH: &str = "/proc/self/status";
/// The line of [`STATUS_PATH`] with the list.
const ALLOWED_KEY: &str = "Cpus_allowed_list:";
/// No machine has a CPU number beyond this; it bounds what a range in the list can make us allocate.
const CPU_NUMBER_MAX: usize = 65_535;

/// The CPUs this process may run on, ascending, never empty. Affinity (`taskset`, `CPUAffinity=`) and cgroup cpusets are
/// respected; a CPU time quota is not a restriction of the set and does not show here.
///
/// # Errors
/// `/proc` is not mounted, or its list is not understood.
pub fn usable_cpus() -> io::Result<Vec<usize>> {
    let status = fs::read_to_string(STATUS_PATH)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read {STATUS_PATH}: {error}")))?;
    allowed_cpus(&status).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{STATUS_PATH} has no usable {ALLOWED_KEY} line"))
    })
}

/// The list of the `Cpus_allowed_list` line of a status file.
fn allowed_cpus(status: &str) -> Option<Vec<usize>> {
    let list = status.lines().find_map(|line| line.strip_prefix(ALLOWED_KEY))?;
    parse_list(list.trim())
}

/// Parses the kernel's list format: `0-3,8,10-11`. `None` if it is empty or malformed.
fn parse_list(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (first.parse().ok()?, last.parse().ok()?),
            None => {
                let cpu: usize = part.parse().ok()?;
                (cpu, cpu)
            }
        };
        if first > last || last > CPU_NUMBER_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_list_format() {
        assert_eq!(parse_list("0"), Some(vec![0]));
        assert_eq!(parse_list("0-3"), Some(vec![0, 1, 2, 3]));
        assert_eq!(parse_list("8,0-2,10-11"), Some(vec![0, 1, 2, 8, 10, 11]));
    }

    #[test]
    fn refuses_what_the_kernel_never_writes() {
        for list in ["", "-", "1-", "3-1", "a", "0,,1", "0-4294967295", "99999999999999999999"] {
            assert_eq!(parse_list(list), None, "{list:?}");
        }
    }

    #[test]
    fn finds_the_line_in_a_status_file() {
        let status = "Name:\tcc\nCpus_allowed:\t5\nCpus_allowed_list:\t0,2\nMems_allowed:\t1\n";
        assert_eq!(allowed_cpus(status), Some(vec![0, 2]));
        assert_eq!(allowed_cpus("Name:\tcc\n"), None);
    }

    #[test]
    fn counts_as_many_cpus_as_the_standard_library() {
        // available_parallelism uses sched_getaffinity, but also lowers its answer to a CPU time quota.
        let count = std::thread::available_parallelism().unwrap().get();
        assert!(usable_cpus().unwrap().len() >= count);
    }
}
