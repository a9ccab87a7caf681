//! `-cleanup-checkpoints` beside a running daemon: asks it for the round and waits for its answer.

use std::fs;
use std::io;
use std::path::Path;
use std::process;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use engine::durable::request::{CLEANUP_ANSWER, CLEANUP_WANTED, read_answer};

/// Time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// A daemon that runs takes a request in this time; one that is loading later.
const TAKE_TIMEOUT: Duration = Duration::from_secs(60);

/// Asks the daemon that holds the lock on this directory of the log, and waits; `is_over` tells whether it has ended.
///
/// # Errors
/// What the daemon says, or that it does not answer.
pub fn ask(directory: &Path, is_over: impl Fn() -> bool) -> Result<(), String> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let word = format!("{}-{}", process::id(), since_epoch.as_nanos());
    let (wanted, answer) = (directory.join(CLEANUP_WANTED), directory.join(CLEANUP_ANSWER));
    let temporary = directory.join(format!("{CLEANUP_WANTED}.{}.tmp", process::id()));
    fs::write(&temporary, &word)
        .and_then(|()| fs::rename(&temporary, &wanted))
        .map_err(|error| format!("cannot ask the running daemon by {}: {error}", wanted.display()))?;
    tracing::info!("a daemon is running on this directory: it was asked for the round");
    let began = Instant::now();
    loop {
        thread::sleep(LOOK_INTERVAL);
        match fs::read_to_string(&answer).map(|text| read_answer(&text, &word)) {
            Ok(Some(result)) => {
                return result.map_err(|why| format!("cleanup is not complete: {why}"));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(format!("cannot read {}: {error}", answer.display()));
            }
            Ok(None) | Err(_) => {}
        }
        let is_mine = || fs::read_to_string(&wanted).is_ok_and(|text| text == word);
        if is_over() {
            if is_mine() {
                let _ = fs::remove_file(&wanted);
            }
            return Err("the daemon that was asked for the round has ended: try again".to_owned());
        }
        if began.elapsed() >= TAKE_TIMEOUT && is_mine() {
            let _ = fs::remove_file(&wanted);
            return Err(format!(
                "another instance is running on this directory, and did not take {} within {} s",
                wanted.display(),
                TAKE_TIMEOUT.as_secs()
            ));
        }
    }
}
