//! Which CPUs this process may use, and how many of them it takes.
//!
//! The first question of a start: executors are pinned to the first CPUs found here, to half of them unless
//! `metric-store.cores` says otherwise. glommio trap: its `CpuSet::online()` reads the machine's CPUs and ignores affinity
//! and cgroup cpusets, so an executor would be pinned to a CPU that the process may not use. The kernel's own view of the allowed set — what
//! `sched_getaffinity` answers — is in `/proc/self/status`, and reading it needs no unsafe code.

use std::{fs, io};

/// Where the kernel lists the allowed CPUs of the main thread.
const STATUS_PATH: &str = "/proc/self/status";
/// The line of [`STATUS_PATH`] with the list.
const ALLOWED_KEY: &str = "Cpus_allowed_list:";
/// No machine has a CPU number beyond this; it bounds what a range in the list can make us allocate.
const CPU_NUMBER_MAX: usize = 65_535;
/// Most executors that are started without being asked for: what they take is beyond any site.
const CORES_DEFAULT_MAX: usize = 16;

/// How many executors are started on so many CPUs if nothing says how many.
///
/// Half of them: one takes millions of lines a second, and the network, the disk and whoever else is on the machine want
/// theirs (docs/decisions/0007-half-of-the-cpus.md).
#[must_use]
pub fn cores_default(cpus: usize) -> usize {
    cpus.div_ceil(2).clamp(1, CORES_DEFAULT_MAX)
}

/// The CPUs this process may run on, never empty. Affinity (`taskset`, `CPUAffinity=`) and cgroup cpusets are
/// respected; a CPU time quota is not a restriction of the set and does not show here.
///
/// Ascending, but first one of each physical core, then those that share a core with one before.
///
/// # Errors
/// `/proc` is not mounted, or its list is not understood.
pub fn usable_cpus() -> io::Result<Vec<usize>> {
    let status = fs::read_to_string(STATUS_PATH)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read {STATUS_PATH}: {error}")))?;
    let cpus = allowed_cpus(&status).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{STATUS_PATH} has no usable {ALLOWED_KEY} line"))
    })?;
    Ok(physical_first(&cpus, siblings))
}

/// The CPUs that share a physical core with this one, itself among them; `None` where `/sys` does not say.
fn siblings(cpu: usize) -> Option<Vec<usize>> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    parse_list(fs::read_to_string(path).ok()?.trim())
}

/// The same CPUs, those last that share a core with one before.
fn physical_first(cpus: &[usize], siblings: impl Fn(usize) -> Option<Vec<usize>>) -> Vec<usize> {
    let is_first = |cpu: &usize| {
        let siblings = siblings(*cpu).unwrap_or_default();
        !siblings.iter().any(|sibling| sibling < cpu && cpus.binary_search(sibling).is_ok())
    };
    let (mut first, others): (Vec<_>, Vec<_>) = cpus.iter().partition(|cpu| is_first(cpu));
    first.extend(others);
    first
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
    fn hyperthreads_come_last() {
        let pairs = |cpu: usize| Some(vec![cpu & !1, cpu | 1]);
        assert_eq!(physical_first(&[0, 1, 2, 3, 5, 6], pairs), [0, 2, 5, 6, 1, 3]);
        let halves = |cpu: usize| Some(vec![cpu % 4, cpu % 4 + 4]);
        assert_eq!(physical_first(&[0, 1, 2, 3, 4, 5, 6, 7], halves), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(physical_first(&[2, 5, 6], halves), [2, 5, 6]);
        assert_eq!(physical_first(&[2, 3, 6], halves), [2, 3, 6]);
        assert_eq!(physical_first(&[4, 7], |_| None), [4, 7]);
    }

    #[test]
    fn without_being_asked_half_of_the_cpus_are_taken() {
        assert_eq!([1, 2, 3, 4, 8, 31, 32, 256].map(cores_default), [1, 1, 2, 2, 4, 16, 16, 16]);
    }

    #[test]
    fn counts_as_many_cpus_as_the_standard_library() {
        // available_parallelism uses sched_getaffinity, but also lowers its answer to a CPU time quota.
        let count = std::thread::available_parallelism().unwrap().get();
        assert!(usable_cpus().unwrap().len() >= count);
    }
}
