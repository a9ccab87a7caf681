//! Log lines for systemd: `tracing` events written to stderr with priority prefixes (SPEC section 7).
//!
//! Started right after the command line is read; everything after it only names events. A line is
//! `<4>[WARNING]  2026/01/31 12:00:00 message key=value`, the date only with `-logdate`.
//! Spans are not recorded: nothing here follows a request across cores. After it: [`output`], which never makes a core wait.

pub mod output;
mod panics;

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::time::Duration;

use jiff::Zoned;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::command_line::LogLevel;

/// Longest line. Not more than `PIPE_BUF`, so that a line reaches a pipe in one piece whoever else writes.
pub const LINE_BYTES_MAX: usize = 4096;
const CUT_MARK: &str = "…";
/// Longest escape of one character, `\u{10ffff}`.
const ESCAPE_BYTES_MAX: usize = 10;

/// The `tracing` target that makes an error a critical one; see [`critical!`](crate::telemetry::critical).
pub const CRITICAL_TARGET: &str = "critical";

/// Logs what stops the daemon or loses data, above `error!`; takes what `tracing::error!` takes.
macro_rules! critical {
    ($($argument:tt)+) => {
        ::tracing::error!(target: $crate::telemetry::CRITICAL_TARGET, $($argument)+)
    };
}
pub(crate) use critical;

/// How long a process that ends waits for its last lines to be taken.
pub const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends all events of this process, and the messages of panics, to stderr from now on.
///
/// # Errors
/// When it was called before.
pub fn start(level: LogLevel, with_date: bool) -> Result<(), SetGlobalDefaultError> {
    tracing::subscriber::set_global_default(Logger::new(level, with_date, output::put_line))?;
    panics::tell_from_now_on();
    Ok(())
}

/// Aborts the process after its last lines are out.
pub(crate) fn abort() -> ! {
    output::flush(LAST_LINES_TIMEOUT);
    std::process::abort();
}

/// Makes lines of events and hands each, newline included, to `sink`.
struct Logger<S> {
    level: LogLevel,
    with_date: bool,
    sink: S,
}

impl<S: Fn(&[u8]) + Send + Sync + 'static> Logger<S> {
    fn new(level: LogLevel, with_date: bool, sink: S) -> Self {
        Self { level, with_date, sink }
    }
}

/// The level of an event, and none for what is finer than debug.
fn level_of(metadata: &Metadata<'_>) -> Option<LogLevel> {
    // The client of NATS speaks of every message; the bridge says what matters, and why an attempt failed is for debugging.
    if metadata.target().starts_with("async_nats") {
        let is_told = *metadata.level() <= Level::INFO || metadata.target().ends_with("::connector");
        return is_told.then_some(LogLevel::Debug).filter(|_| *metadata.level() <= Level::DEBUG);
    }
    match *metadata.level() {
        Level::ERROR if metadata.target() == CRITICAL_TARGET => Some(LogLevel::Crit),
        Level::ERROR => Some(LogLevel::Err),
        Level::WARN => Some(LogLevel::Warn),
        Level::INFO => Some(LogLevel::Info),
        Level::DEBUG => Some(LogLevel::Debug),
        Level::TRACE => None,
    }
}

/// What a line of this level begins with: syslog priority and name, padded to one width.
fn prefix(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "<7>[DEBUG]    ",
        LogLevel::Info => "<6>[INFO]     ",
        LogLevel::Warn => "<4>[WARNING]  ",
        LogLevel::Err => "<3>[ERROR]    ",
        LogLevel::Crit => "<2>[CRITICAL] ",
    }
}

impl<S: Fn(&[u8]) + Send + Sync + 'static> Subscriber for Logger<S> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && level_of(metadata).is_some_and(|level| level >= self.level)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.level {
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Err | LogLevel::Crit => LevelFilter::ERROR,
        })
    }

    fn event(&self, event: &Event<'_>) {
        let Some(level) = level_of(event.metadata()) else { return };
        let mut line = Line { text: String::with_capacity(256), is_cut: false };
        line.text.push_str(prefix(level));
        if self.with_date {
            // Local time in the form of the reference.
            let now = Zoned::now().strftime("%Y/%m/%d %H:%M:%S ");
            write!(line, "{now}").expect("a Line takes everything");
        }
        // The message first, wherever the call names it.
        event.record(&mut MessageOnly(&mut line));
        event.record(&mut FieldsOnly(&mut line));
        (self.sink)(line.finish().as_bytes());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        // Never asked for: spans are not enabled. Any id but zero is valid.
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A line being made: of bounded length, and one line whatever is written to it. Control characters are
/// escaped, so that bytes from the network can neither forge a line nor speak to a terminal.
struct Line {
    text: String,
    is_cut: bool,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.text.len() + ESCAPE_BYTES_MAX + CUT_MARK.len() + 1 > LINE_BYTES_MAX {
                self.is_cut = true;
                return Ok(());
            }
            match character {
                _ if character.is_control() => self.text.extend(character.escape_default()),
                // Separators of lines and paragraphs.
                '\u{2028}' | '\u{2029}' => self.text.extend(character.escape_default()),
                _ => self.text.push(character),
            }
        }
        Ok(())
    }
}

impl Line {
    fn finish(mut self) -> String {
        if self.is_cut {
            self.text.push_str(CUT_MARK);
        }
        self.text.push('\n');
        self.text
    }
}

struct MessageOnly<'a>(&'a mut Line);

impl Visit for MessageOnly<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // A failing Debug of foreign code loses its value, not the line.
            let _ = write!(self.0, "{value:?}");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

struct FieldsOnly<'a>(&'a mut Line);

impl Visit for FieldsOnly<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "message" {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &value.to_string());
    }
}

/// Time between two warnings of one kind that input or peers can cause.
pub const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// Lets one event through per interval and counts the others: one limiter for each kind of warning.
/// Belongs to one thread; each core has its own.
#[derive(Debug)]
pub struct RateLimit {
    interval_ms: u64,
    /// The earliest time the next one may pass.
    next_ms: Cell<u64>,
    suppressed: Cell<u64>,
}

impl RateLimit {
    /// At most one event per `interval`.
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        let interval_ms = interval.as_millis();
        let interval_ms = if interval_ms > u64::MAX as u128 { u64::MAX } else { interval_ms as u64 };
        Self { interval_ms, next_ms: Cell::new(0), suppressed: Cell::new(0) }
    }

    /// Whether an event may pass at `now_ms`, a monotonic time in milliseconds: the number of events held
    /// back since the last that passed, or none if this one is held back, too.
    #[must_use]
    pub fn allow(&self, now_ms: u64) -> Option<u64> {
        if now_ms < self.next_ms.get() {
            self.suppressed.set(self.suppressed.get().saturating_add(1));
            return None;
        }
        self.next_ms.set(now_ms.saturating_add(self.interval_ms));
        Some(self.suppressed.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// The lines that `log` writes at this level.
    fn lines(level: LogLevel, with_date: bool, log: impl FnOnce()) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let logger = Logger::new(level, with_date, move |line: &[u8]| {
            sink.lock().unwrap().push(String::from_utf8(line.to_vec()).unwrap());
        });
        tracing::subscriber::with_default(logger, log);
        let lines = lines.lock().unwrap();
        lines.clone()
    }

    fn one_of_each() {
        tracing::trace!("finest");
        tracing::debug!("a");
        tracing::info!("b");
        tracing::warn!("c");
        tracing::error!("d");
        critical!("e");
    }

    #[test]
    fn each_level_has_its_prefix_and_hides_those_below() {
        let all = [
            "<7>[DEBUG]    a\n",
            "<6>[INFO]     b\n",
            "<4>[WARNING]  c\n",
            "<3>[ERROR]    d\n",
            "<2>[CRITICAL] e\n",
        ];
        let levels = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Err, LogLevel::Crit];
        for (index, level) in levels.into_iter().enumerate() {
            assert_eq!(lines(level, false, one_of_each), all[index..], "{level:?}");
        }
    }

    #[test]
    fn the_client_of_nats_is_heard_when_debugging_alone() {
        let log = || {
            tracing::error!(target: "async_nats::connector", "a");
            tracing::debug!(target: "async_nats::connector", "b");
            tracing::debug!(target: "async_nats", "received MESSAGE");
            tracing::info!(target: "async_nats", "c");
        };
        assert_eq!(lines(LogLevel::Info, false, log), [""; 0]);
        let told: String = lines(LogLevel::Debug, false, log).concat();
        assert_eq!(told, "<7>[DEBUG]    a\n<7>[DEBUG]    b\n<7>[DEBUG]    c\n");
    }

    #[test]
    fn fields_follow_the_message() {
        let error = std::io::Error::other("disk\nfull");
        let written = lines(LogLevel::Debug, false, || {
            tracing::warn!(host = "f0201", lines = 3, ratio = 0.5, "rejected {}", 7);
            tracing::warn!(error = &error as &dyn std::error::Error, path = %"/tmp/x", "failed");
            critical!(core = 1, "stopped");
        });
        let expected = [
            "<4>[WARNING]  rejected 7 host=\"f0201\" lines=3 ratio=0.5\n",
            "<4>[WARNING]  failed error=\"disk\\nfull\" path=/tmp/x\n",
            "<2>[CRITICAL] stopped core=1\n",
        ];
        assert_eq!(written, expected);
    }

    #[test]
    fn a_message_cannot_forge_a_line() {
        let text = "one\n<0>[EMERG] two\r\x1b[31m\0\u{85}\u{2028}ä";
        let written = lines(LogLevel::Debug, false, || tracing::info!("{text}"));
        let expected = "<6>[INFO]     one\\n<0>[EMERG] two\\r\\u{1b}[31m\\u{0}\\u{85}\\u{2028}ä\n".to_owned();
        assert_eq!(written, [expected]);
    }

    #[test]
    fn a_line_has_a_longest_length() {
        for text in ["x".repeat(100_000), "\u{1b}".repeat(100_000), "ä".repeat(100_000)] {
            let written = lines(LogLevel::Debug, false, || tracing::info!("{text}"));
            assert!(written[0].len() <= LINE_BYTES_MAX, "{}", written[0].len());
            assert!(written[0].len() > LINE_BYTES_MAX - 32, "{}", written[0].len());
            assert!(written[0].ends_with("…\n"));
        }
    }

    #[test]
    fn the_date_stands_between_prefix_and_message() {
        let written = lines(LogLevel::Debug, true, || tracing::info!("b"));
        let rest = written[0].strip_prefix("<6>[INFO]     ").unwrap();
        let shape: String = rest.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(shape, "9999/99/99 99:99:99 b\n");
    }

    #[test]
    fn the_limit_lets_one_pass_per_interval_and_counts_the_rest() {
        let limit = RateLimit::new(Duration::from_secs(10));
        let at: Vec<_> = [0, 1, 9_999, 10_000, 10_001, 35_000, 35_000, 45_000]
            .map(|now_ms| limit.allow(now_ms))
            .into_iter()
            .collect();
        assert_eq!(at, [Some(0), None, None, Some(2), None, Some(1), None, Some(1)]);
    }

    #[test]
    fn an_endless_interval_lets_one_pass() {
        let limit = RateLimit::new(Duration::MAX);
        assert_eq!(limit.allow(5), Some(0));
        assert_eq!(limit.allow(u64::MAX - 1), None);
    }
}
