//! The messages of panics, as lines of the log.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::thread;

use super::output::flush;
use super::{LAST_LINES_TIMEOUT, critical};

/// Sends the messages of panics where all events go. The library's own message is written on the spot, which may take for ever.
pub(super) fn tell_from_now_on() {
    panic::set_hook(Box::new(tell));
}

fn tell(panic: &PanicHookInfo<'_>) {
    let text = panic.payload_as_str().unwrap_or("panic without text");
    let thread = thread::current();
    let (name, place) = (thread.name().unwrap_or("?"), panic.location().map(ToString::to_string));
    critical!("thread {name} panicked at {}: {text}", place.as_deref().unwrap_or("?"));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        backtrace.to_string().lines().for_each(|line| critical!("backtrace: {line}"));
    }
    flush(LAST_LINES_TIMEOUT);
}
