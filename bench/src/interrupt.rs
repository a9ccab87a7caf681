//! What must not outlive the load generator: the daemon it started and the scratch directory.
//!
//! A panic unwinds through [`crate::daemon::Daemon`], which cleans up when dropped. A signal does not unwind:
//! this module keeps note of the one daemon that runs and cleans up when SIGINT, SIGTERM or SIGHUP arrives.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// What a signal has to clean up; there is one daemon at a time.
#[derive(Debug)]
pub struct Kept {
    /// The daemon, from before it can run until it has been waited for: later its id may be another's.
    pub process: Option<Pid>,
    /// Its scratch directory.
    pub directory: Option<PathBuf>,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { process: None, directory: None });

/// The note, locked: while the guard lives no signal is acted upon. Hold it while starting, waiting and removing.
pub fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on a signal kills the noted daemon, removes its directory and ends this process with 128 + signal.
///
/// # Errors
/// When no handler or thread can be installed.
pub fn install() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        let Some(signal) = signals.forever().next() else { return };
        // Held until the end, so that nobody else waits for the process or starts another.
        let mut kept = kept();
        if let Some(process) = kept.process.take() {
            // It may have ended already; waiting makes sure that it writes nothing more into the directory.
            let _ = kill_process(process, Signal::KILL);
            let _ = waitpid(Some(process), WaitOptions::empty());
        }
        if let Some(directory) = kept.directory.take() {
            // Nobody is left to tell.
            let _ = fs::remove_dir_all(directory);
        }
        eprintln!("interrupted by signal {signal}");
        std::process::exit(128 + signal);
    })?;
    Ok(())
}
