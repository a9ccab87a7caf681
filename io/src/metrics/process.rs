//! What the system says of this process and of the calling thread.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use nix::time::{ClockId, clock_gettime};

use super::text::{Kind, Text};

/// CPU time of the calling thread.
#[must_use]
pub fn thread_cpu() -> Duration {
    cpu(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn cpu(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Into::into)
}

/// Writes what the system says; what it does not say is left out.
pub(super) fn write(text: &mut Text, started_seconds: f64) {
    text.single(
        "process_start_time_seconds",
        Kind::Gauge,
        "Start time of the process since the Unix epoch.",
        started_seconds,
    );
    text.single(
        "process_cpu_seconds_total",
        Kind::Counter,
        "CPU time of the process, of user and system.",
        cpu(ClockId::CLOCK_PROCESS_CPUTIME_ID).as_secs_f64(),
    );
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| -> Option<u64> {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim_start_matches(':').trim_end_matches("kB").trim().parse().ok()
    };
    if let Some(kibibytes) = field("VmRSS") {
        let help = "Resident memory of the process.";
        text.single("process_resident_memory_bytes", Kind::Gauge, help, kibibytes * 1024);
    }
    if let Some(kibibytes) = field("VmSize") {
        let help = "Address space of the process.";
        text.single("process_virtual_memory_bytes", Kind::Gauge, help, kibibytes * 1024);
    }
    if let Some(threads) = field("Threads") {
        text.single("process_threads", Kind::Gauge, "Threads of the process.", threads);
    }
    if let Some(files) = open_files() {
        text.single("process_open_fds", Kind::Gauge, "Open file descriptors.", files);
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        text.single("process_max_fds", Kind::Gauge, "Most file descriptors that may be open.", soft);
    }
}

/// Linux 6.2 and later has it as the size of the directory; before, they are counted.
fn open_files() -> Option<u64> {
    const DIRECTORY: &str = "/proc/self/fd";
    match fs::metadata(DIRECTORY).ok()?.len() {
        0 => Some(fs::read_dir(DIRECTORY).ok()?.count() as u64),
        files => Some(files),
    }
}
