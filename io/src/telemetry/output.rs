//! The way of lines to stderr: a bounded queue, and a thread that empties it.
//!
//! Before it: [`telemetry`](super), and [`progress`](crate::progress), on whatever thread. A core that logs never waits for whoever
//! reads stderr: what finds the queue full is dropped, counted, and told of when stderr takes something again. Until the thread
//! runs (privileges are dropped before there is any) lines are written where they come from, while stderr takes them.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{io, mem};

use nix::poll::{PollFd, PollFlags, poll};

use super::LINE_BYTES_MAX;

/// Lines that wait for stderr, at most 4 MiB.
const QUEUE_LINES_MAX: usize = 1024;
/// How long the start waits for a stderr that takes nothing, once.
const START_PATIENCE_MS: i32 = 10_000;
/// Time between two looks at whether the queue is written.
const FLUSH_INTERVAL: Duration = Duration::from_millis(1);
/// Wipes the line on a terminal.
const WIPE: &[u8] = b"\r\x1b[K";

const _: () = assert!(QUEUE_LINES_MAX * LINE_BYTES_MAX <= 4 * 1024 * 1024);

/// What is written.
enum Output {
    /// A line of the log, with its newline.
    Line(Box<[u8]>),
    /// Progress on a terminal, which the next line of the log wipes away.
    Progress(Box<[u8]>),
    /// No more progress is shown.
    ProgressEnd,
}

static QUEUE: OnceLock<SyncSender<Output>> = OnceLock::new();
/// What stderr shows. Locked by the writing thread alone once there is one, by whoever writes before.
static SCREEN: Mutex<Screen> = Mutex::new(Screen { is_progress_shown: false, dropped_told: 0 });
/// Put into the queue. Writers: all threads. Reader: [`flush`]. Relaxed, as for the next two: they are only counted.
static QUEUED: AtomicU64 = AtomicU64::new(0);
/// Taken out of the queue and written, as far as stderr took it. Writer: the thread. Reader: [`flush`].
static WRITTEN: AtomicU64 = AtomicU64::new(0);
/// Lines that stderr did not take in time. Writers: all threads. Readers: the thread, `/metrics`.
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Nobody reads stderr: the start does not wait a second time.
static IS_STUCK: AtomicBool = AtomicBool::new(false);

/// Writes all lines from a thread of their own from now on.
///
/// # Errors
/// The system refuses a thread.
pub fn start_thread() -> io::Result<()> {
    let (sender, receiver) = sync_channel(QUEUE_LINES_MAX);
    thread::Builder::new().name("log".to_owned()).spawn(move || run(&receiver))?;
    // A second call leaves a thread that ends at once: its sender is dropped here.
    let _ = QUEUE.set(sender);
    Ok(())
}

/// Lines dropped since the start because stderr did not take them.
#[must_use]
pub fn lines_dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Waits until what was logged is written, but no longer than `timeout`: before the process ends, however it does.
pub fn flush(timeout: Duration) {
    let (queued, until) = (QUEUED.load(Ordering::Relaxed), Instant::now() + timeout);
    while WRITTEN.load(Ordering::Relaxed) < queued && Instant::now() < until {
        thread::sleep(FLUSH_INTERVAL);
    }
}

/// A line of the log, newline included.
pub(super) fn put_line(line: &[u8]) {
    put(Output::Line(line.into()));
}

/// Progress, which stays on the terminal until the next line of the log.
pub(crate) fn put_progress(text: &str) {
    put(Output::Progress(text.as_bytes().into()));
}

/// The progress that is shown is the last.
pub(crate) fn end_progress() {
    put(Output::ProgressEnd);
}

fn put(output: Output) {
    let Some(queue) = QUEUE.get() else { return put_directly(&output) };
    // Before it is in the queue, so that `flush` never misses it.
    QUEUED.fetch_add(1, Ordering::Relaxed);
    if queue.try_send(output).is_err() {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        WRITTEN.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes it here and now, if stderr takes it.
fn put_directly(output: &Output) {
    let patience_ms = if IS_STUCK.load(Ordering::Relaxed) { 0 } else { START_PATIENCE_MS };
    let stderr = io::stderr();
    let mut wanted = [PollFd::new(&stderr, PollFlags::POLLOUT)];
    // What cannot be asked for is tried.
    if matches!(poll(&mut wanted, patience_ms), Ok(0)) {
        IS_STUCK.store(true, Ordering::Relaxed);
        DROPPED.fetch_add(1, Ordering::Relaxed);
        return;
    }
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner).write(&mut stderr.lock(), output, lines_dropped());
}

/// The thread.
fn run(queue: &Receiver<Output>) {
    while let Ok(output) = queue.recv() {
        let mut screen = SCREEN.lock().unwrap_or_else(PoisonError::into_inner);
        screen.write(&mut io::stderr(), &output, lines_dropped());
        drop(screen);
        WRITTEN.fetch_add(1, Ordering::Relaxed);
    }
}

/// What stderr shows.
struct Screen {
    is_progress_shown: bool,
    /// Dropped lines that the log speaks of.
    dropped_told: u64,
}

impl Screen {
    /// One write(2) per line. A log that cannot be written must not stop the daemon.
    fn write(&mut self, stderr: &mut impl Write, output: &Output, dropped: u64) {
        match output {
            Output::Line(line) => {
                self.wipe(stderr);
                let _ = stderr.write_all(line);
            }
            Output::Progress(text) => {
                self.is_progress_shown = true;
                let _ = stderr.write_all(text);
            }
            Output::ProgressEnd => {
                if mem::take(&mut self.is_progress_shown) {
                    let _ = stderr.write_all(b"\n");
                }
            }
        }
        let untold = dropped - self.dropped_told;
        if untold > 0 {
            self.dropped_told = dropped;
            self.wipe(stderr);
            let text = format!(
                "<4>[WARNING]  {untold} lines of the log are lost: stderr did not take them in time\n"
            );
            let _ = stderr.write_all(text.as_bytes());
        }
    }

    /// A line takes the place of progress until that is shown again.
    fn wipe(&mut self, stderr: &mut impl Write) {
        if self.is_progress_shown {
            let _ = stderr.write_all(WIPE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_told_once_when_stderr_takes_something_again() {
        let mut screen = Screen { is_progress_shown: false, dropped_told: 0 };
        let mut written = Vec::new();
        let mut write = |output: Output, dropped| {
            written.clear();
            screen.write(&mut written, &output, dropped);
            String::from_utf8(written.clone()).unwrap()
        };
        let line = || Output::Line((*b"a\n").into());
        assert_eq!(write(line(), 0), "a\n");
        let told = write(line(), 7);
        assert!(told.starts_with("a\n<4>[WARNING]  7 lines") && told.ends_with('\n'), "{told}");
        assert_eq!(write(line(), 7), "a\n");
        assert!(write(line(), 8).contains(" 1 lines"));
    }

    #[test]
    fn a_line_takes_the_place_of_progress() {
        let mut screen = Screen { is_progress_shown: false, dropped_told: 0 };
        let mut written = Vec::new();
        let outputs = [
            Output::ProgressEnd,
            Output::Progress((*b"10 %").into()),
            Output::Line((*b"a\n").into()),
            Output::ProgressEnd,
            Output::Line((*b"b\n").into()),
        ];
        outputs.iter().for_each(|output| screen.write(&mut written, output, 0));
        assert_eq!(String::from_utf8(written).unwrap(), "10 %\r\x1b[Ka\n\nb\n");
    }
}
