//! Whether io_uring works here, asked before any executor starts.
//!
//! The first step of a start. glommio trap: it panics (or, on an old kernel, prints and exits) where io_uring is
//! forbidden, as container runtimes do by default, and refuses to start below 512 KiB of lockable memory. Here that
//! becomes an error that says what to set.

use std::{
    fs, io,
    panic::{self, AssertUnwindSafe},
    thread,
};

use glommio::{LocalExecutorBuilder, Placement};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::executor::panic_text;

/// Lockable memory an executor needs: glommio's own minimum.
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;
/// The kernel's switch: 0 allowed, 1 only for privileged processes and one group, 2 forbidden.
const DISABLED_PATH: &str = "/proc/sys/kernel/io_uring_disabled";
/// The thread that may panic.
const THREAD_NAME: &str = "io-uring-probe";

/// Why no executor can be started here.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// RLIMIT_MEMLOCK is too low and may not be raised.
    #[error(
        "the limit of locked memory is {limit_bytes} bytes, at least {MEMLOCK_BYTES_MIN} are needed: \
         set LimitMEMLOCK=infinity in the systemd unit, --ulimit memlock=-1 for a container, or raise `ulimit -l`"
    )]
    MemoryLock {
        /// The hard limit.
        limit_bytes: u64,
    },
    /// The system administrator has switched io_uring off.
    #[error(
        "io_uring is switched off (kernel.io_uring_disabled = {value}): set `sysctl kernel.io_uring_disabled=0`, \
         or 1 and add this process's group to kernel.io_uring_group ({detail})"
    )]
    SwitchedOff {
        /// The value of the sysctl.
        value: u32,
        /// What the attempt ended with.
        detail: String,
    },
    /// Something else forbids it.
    #[error(
        "io_uring cannot be used: {detail}. In a container, run with a seccomp profile that allows io_uring_setup, \
         io_uring_enter and io_uring_register (or --security-opt seccomp=unconfined); under systemd, add these three to \
         SystemCallFilter=; the kernel must be 5.8 or newer"
    )]
    Unusable {
        /// What the attempt ended with.
        detail: String,
    },
}

/// Raises the soft limit of lockable memory to the hard one, then starts and ends one executor as a trial. Call it
/// early, from the main thread, while no other thread can panic: the panic hook is exchanged for the time of the trial.
///
/// # Errors
/// See [`ProbeError`]; its text is meant for the administrator.
pub fn probe() -> Result<(), ProbeError> {
    raise_memory_lock()?;
    let Err(detail) = try_executor() else { return Ok(()) };
    let value = fs::read_to_string(DISABLED_PATH).ok().and_then(|text| text.trim().parse().ok());
    match value {
        Some(value) if value != 0 => Err(ProbeError::SwitchedOff { value, detail }),
        _ => Err(ProbeError::Unusable { detail }),
    }
}

/// Brings the soft limit of lockable memory up to the hard limit and checks it. All executors share it on kernels
/// before 5.12; newer ones charge the rings to the memory cgroup.
fn raise_memory_lock() -> Result<(), ProbeError> {
    // Limits that cannot be read are not a reason to refuse: the trial decides.
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_MEMLOCK) else { return Ok(()) };
    let limit_bytes = match setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    };
    if limit_bytes < MEMLOCK_BYTES_MIN {
        return Err(ProbeError::MemoryLock { limit_bytes });
    }
    Ok(())
}

/// Starts an executor and lets it end. The error is its own text.
fn try_executor() -> Result<(), String> {
    let previous = panic::take_hook();
    // The panic text comes back as the error; printed as well, it would read like a crash of the daemon.
    panic::set_hook(Box::new(|_| {}));
    let trial = thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(|| {
        panic::catch_unwind(AssertUnwindSafe(|| -> Result<(), String> {
            let executor = LocalExecutorBuilder::new(Placement::Unbound)
                .name(THREAD_NAME)
                .io_memory(64 * 1024)
                .make()
                .map_err(|error| error.to_string())?;
            executor.run(async {
                // A timer goes through the ring: creating one is not enough to know that it may be entered.
                glommio::timer::sleep(std::time::Duration::from_millis(1)).await;
            });
            Ok(())
        }))
    });
    let ended = trial.and_then(|thread| thread.join().map_err(|_| io::Error::other("the probe thread died")));
    panic::set_hook(previous);
    match ended {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(match panic_text(&*panic) {
            // The library takes every refusal for an old kernel.
            text if text.starts_with("Failed to register a probe") => "the kernel refuses it".to_owned(),
            text => text,
        }),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::testing::rerun_in_child;

    // Each in a child of its own: limits and the panic hook belong to the whole process.

    #[test]
    fn passes_where_the_other_tests_run_and_raises_the_soft_limit() {
        let child = rerun_in_child(
            "runtime::probe::tests::passes_where_the_other_tests_run_and_raises_the_soft_limit",
            || {
                let (_, hard) = getrlimit(Resource::RLIMIT_MEMLOCK).unwrap();
                setrlimit(Resource::RLIMIT_MEMLOCK, 0, hard).unwrap();
                probe().unwrap();
                assert_eq!(getrlimit(Resource::RLIMIT_MEMLOCK).unwrap(), (hard, hard));
            },
        );
        if let Some(output) = child {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    #[test]
    fn names_the_setting_when_too_little_memory_may_be_locked() {
        let child = rerun_in_child(
            "runtime::probe::tests::names_the_setting_when_too_little_memory_may_be_locked",
            || {
                setrlimit(Resource::RLIMIT_MEMLOCK, 65_536, 65_536).unwrap();
                let error = probe().unwrap_err();
                assert!(matches!(error, ProbeError::MemoryLock { limit_bytes: 65_536 }), "{error}");
                assert!(error.to_string().contains("LimitMEMLOCK="), "{error}");
            },
        );
        if let Some(output) = child {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    #[test]
    fn a_failing_executor_is_an_error_and_prints_no_panic() {
        let child = rerun_in_child(
            "runtime::probe::tests::a_failing_executor_is_an_error_and_prints_no_panic",
            || {
                // No descriptor can be opened, so no ring can be created.
                let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
                setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
                let error = probe().unwrap_err();
                setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
                assert!(error.to_string().contains("io_uring"), "{error}");
            },
        );
        if let Some(output) = child {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{stderr}");
            assert!(!stderr.contains("panicked"), "{stderr}");
        }
    }
}
