//! The walk over whole lines: each becomes a sample for its owner, a skipped line, or an error.
//!
//! A line seen before costs a comparison of its key with the expected one (or a hash), the parse of a
//! number, and mostly a comparison of its timestamp with the one before. Nothing is allocated for it.

use memchr::memchr;

use super::error::{Fault, LineError};
use super::frame::{Framer, OpenQuote, Overlong};
use super::key::{self, UnsafeName};
use super::stream_start::{Begun, StreamStart};
use super::timestamp::TimeUnit;
use super::{timestamp, value};
use crate::config::MetricId;
use crate::limits;
use crate::series::route::{ContextId, Router, Sample};
use crate::series::table::{Absent, Target};

mod fields;
mod outcome;
mod shape;
mod skip;

pub use outcome::{Counts, Outbox};
use skip::{blank, check_length, check_name, field_fault, skip_line};

/// What becomes of a stream after a bad line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadLine {
    /// The request ends with an error; lines before the bad one are kept (HTTP).
    Stop,
    /// The line is counted and skipped (a TCP stream).
    Skip,
}

/// What the lines of a client may mean beside what SPEC section 2 says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// What its timestamps count.
    pub time_unit: TimeUnit,
    /// Every number among the fields of a line is a sample: of the metric `<measurement>_<field>`, or `<measurement>` if the
    /// field is called `value`. Strings and booleans are passed over.
    pub field_metrics: bool,
    /// Samples older than this, in seconds, are dropped here; `None`: only late ones are, by the owner of their series.
    pub retention_seconds: Option<i64>,
}

/// What holds for all lines of a stream.
#[derive(Clone, Copy, Debug)]
struct Rules {
    bad_line: BadLine,
    dialect: Dialect,
}

/// The state of one stream of lines: a request body, a connection, a message.
#[derive(Debug)]
pub struct LineStream {
    start: StreamStart,
    framer: Framer,
    rules: Rules,
    /// The rest of an overlong line is being dropped (only with [`BadLine::Skip`]).
    overlong: bool,
    progress: Progress,
    /// What the lines came to; the caller may take it at any time.
    pub counts: Counts,
}

/// How far a stream is.
#[derive(Debug, Default)]
struct Progress {
    /// Lines finished so far.
    lines: u64,
    /// Some line was line protocol: from then on, lines of metrics that are not configured are not looked at.
    is_proven: bool,
}

enum StreamError {
    Overlong { rest_bytes: usize },
    Line(LineError),
}

impl From<Overlong> for StreamError {
    fn from(overlong: Overlong) -> Self {
        Self::Overlong { rest_bytes: overlong.rest_bytes }
    }
}

impl From<LineError> for StreamError {
    fn from(error: LineError) -> Self {
        Self::Line(error)
    }
}

impl LineStream {
    /// A stream at its beginning.
    #[must_use]
    pub fn new(bad_line: BadLine) -> Self {
        Self::of_dialect(bad_line, Dialect::default())
    }

    /// A stream at its beginning, of a client that speaks this dialect.
    #[must_use]
    pub fn of_dialect(bad_line: BadLine, dialect: Dialect) -> Self {
        let rules = Rules { bad_line, dialect };
        Self {
            start: StreamStart::default(),
            framer: Framer::default(),
            rules,
            overlong: false,
            progress: Progress::default(),
            counts: Counts::default(),
        }
    }

    /// Takes the next bytes; samples of the lines that end in them go to `outbox`.
    ///
    /// `now` is the time of receipt in seconds.
    ///
    /// # Errors
    /// The first bad line, with [`BadLine::Stop`]; the samples before it are in the outbox.
    pub fn push(
        &mut self,
        router: &mut Router,
        cluster_default: &str,
        now: i64,
        chunk: &[u8],
        outbox: &mut Outbox,
    ) -> Result<(), LineError> {
        if self.start.is_over() {
            return self.push_text(router, cluster_default, now, chunk, outbox);
        }
        self.start
            .push(chunk)
            .map_or(Ok(()), |begun| self.begin(router, cluster_default, now, &begun, outbox))
    }

    #[inline(never)]
    fn begin(
        &mut self,
        router: &mut Router,
        cluster_default: &str,
        now: i64,
        begun: &Begun<'_>,
        outbox: &mut Outbox,
    ) -> Result<(), LineError> {
        if let Some(fault) = begun.fault {
            let error = LineError::new(1, b"", 0, fault);
            if self.rules.bad_line == BadLine::Stop {
                return Err(error);
            }
            // What takes the place of lines is counted as it comes.
            self.counts.bad += 1;
            self.counts.first_bad.get_or_insert(error);
        }
        for text in [begun.first.as_slice(), begun.rest].into_iter().filter(|text| !text.is_empty()) {
            self.push_text(router, cluster_default, now, text, outbox)?;
        }
        Ok(())
    }

    fn push_text(
        &mut self,
        router: &mut Router,
        cluster_default: &str,
        now: i64,
        mut chunk: &[u8],
        outbox: &mut Outbox,
    ) -> Result<(), LineError> {
        let context = router.context(cluster_default);
        loop {
            if self.overlong {
                let Some(newline) = memchr::memchr(b'\n', chunk) else { return Ok(()) };
                chunk = &chunk[newline + 1..];
                self.overlong = false;
                self.progress.lines += 1;
            }
            let mut walk =
                Walk::new(router, context, now, outbox, self.rules, &mut self.progress, &mut self.counts);
            let pushed = self.framer.push(chunk, |region, open_quote| Ok(walk.region(region, open_quote)?));
            let rest_bytes = match pushed {
                Ok(()) => {
                    self.progress.is_proven |= self.counts.samples > 0;
                    return Ok(());
                }
                Err(StreamError::Line(error)) => return Err(error),
                Err(StreamError::Overlong { rest_bytes }) => rest_bytes,
            };
            let error = LineError::new(self.progress.lines + 1, b"", 0, Fault::TooLong);
            if self.rules.bad_line == BadLine::Stop {
                return Err(error);
            }
            self.counts.bad += 1;
            self.counts.first_bad.get_or_insert(error);
            self.overlong = true;
            chunk = &chunk[chunk.len() - rest_bytes..];
        }
    }

    /// The stream is over; a last line without a newline counts.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(
        &mut self,
        router: &mut Router,
        cluster_default: &str,
        now: i64,
        outbox: &mut Outbox,
    ) -> Result<(), LineError> {
        if let Some(begun) = self.start.end() {
            self.begin(router, cluster_default, now, &begun, outbox)?;
        }
        let context = router.context(cluster_default);
        let mut walk =
            Walk::new(router, context, now, outbox, self.rules, &mut self.progress, &mut self.counts);
        self.framer.finish(|region, open_quote| walk.region(region, open_quote))
    }
}

/// The key of the line behind this one, if both are written plainly; else something that is looked for in vain.
fn key_behind(line: &[u8]) -> Option<&[u8]> {
    let text = &line[memchr(b'\n', line)? + 1..];
    Some(&text[..memchr(b' ', text)?])
}

/// One walk over whole lines.
struct Walk<'a> {
    router: &'a mut Router,
    context: ContextId,
    now: i64,
    outbox: &'a mut Outbox,
    rules: Rules,
    progress: &'a mut Progress,
    counts: &'a mut Counts,
    /// Samples are dropped before this time, and more than `span_seconds` behind it.
    oldest: i64,
    span_seconds: u64,
    /// The last timestamp with the newline behind it, as it stood in its line; mostly the next one is
    /// the same.
    stamp: [u8; STAMP_BYTES],
    stamp_seconds: i64,
}

/// Ten digits of seconds and a newline.
const STAMP_BYTES: usize = 11;

/// Where the samples of a new key go, or why its lines are dropped.
enum Found {
    Target(Target),
    Unsafe(UnsafeName),
    /// There are too many keys.
    BeyondLimit,
}

impl<'a> Walk<'a> {
    fn new(
        router: &'a mut Router,
        context: ContextId,
        now: i64,
        outbox: &'a mut Outbox,
        rules: Rules,
        progress: &'a mut Progress,
        counts: &'a mut Counts,
    ) -> Self {
        let retention = rules.dialect.retention_seconds;
        // Without one, no time is too old.
        let oldest = retention.map_or(-limits::TIME_SECONDS_MAX, |seconds| now.saturating_sub(seconds));
        let span_seconds = now.saturating_add(limits::FUTURE_SECONDS_MAX).saturating_sub(oldest);
        let span_seconds = u64::try_from(span_seconds).unwrap_or(0);
        let (stamp, stamp_seconds) = ([0; STAMP_BYTES], 0);
        Self {
            router,
            context,
            now,
            outbox,
            rules,
            progress,
            counts,
            oldest,
            span_seconds,
            stamp,
            stamp_seconds,
        }
    }

    /// Decodes `region`, which ends with a newline; returns how much of it was taken.
    fn region(&mut self, region: &[u8], open_quote: OpenQuote) -> Result<usize, LineError> {
        if self.rules.dialect.field_metrics {
            self.lines::<true>(region, open_quote)
        } else {
            self.lines::<false>(region, open_quote)
        }
    }

    /// As [`Self::region`]; compiled twice, so that the common dialect pays nothing for the other.
    fn lines<const FIELDS: bool>(
        &mut self,
        region: &[u8],
        open_quote: OpenQuote,
    ) -> Result<usize, LineError> {
        let mut at = 0;
        while at < region.len() {
            let rest = &region[at..];
            let predicted =
                if FIELDS { None } else { self.router.contexts[self.context.index()].table.predict(rest) };
            let line = if let Some((target, value_at)) = predicted {
                self.value_and_time(rest, value_at).map(|(value, time, end)| {
                    self.sample(target, time, value);
                    end
                })
            } else {
                let read = if FIELDS {
                    self.line_of_fields(rest, open_quote)
                } else {
                    self.unexpected(rest, open_quote)
                };
                match read {
                    Ok(None) => return Ok(at),
                    Ok(Some(end)) => Ok(end),
                    Err(fault) => Err(fault),
                }
            };
            match line {
                Ok(end) => at += end,
                Err((offset, fault)) => {
                    let error = |line| LineError::new(line, rest, offset, fault);
                    if self.rules.bad_line == BadLine::Stop {
                        return Err(error(self.progress.lines + 1));
                    }
                    let Some(end) = skip_line(rest, open_quote) else { return Ok(at) };
                    self.counts.bad += 1;
                    if self.counts.first_bad.is_none() {
                        self.counts.first_bad = Some(error(self.progress.lines + 1));
                    }
                    at += end;
                }
            }
            self.progress.lines += 1;
        }
        Ok(at)
    }

    /// A line that was not predicted: empty, a comment, skipped, out of order, or new.
    ///
    /// Returns where the next line begins; `None` if this one goes on behind the region.
    #[inline(never)]
    fn unexpected(&mut self, rest: &[u8], open_quote: OpenQuote) -> Result<Option<usize>, (usize, Fault)> {
        let indent = rest.iter().take_while(|&&byte| byte == b' ').count();
        let text = &rest[indent..];
        let behind_indent = |(offset, fault)| (indent + offset, fault);
        if let Some(length) = blank(text) {
            if !self.is_proven() {
                shape::check_comment(&text[..length]).map_err(behind_indent)?;
            }
            return Ok(Some(indent + length));
        }
        if text.first() == Some(&b',') {
            return Err((indent, Fault::MeasurementMissing));
        }
        let name_length = key::measurement_length(text);
        let Some(metric) = self.router.metrics.find(&key::measurement(&text[..name_length])) else {
            check_name(&text[..name_length]).map_err(behind_indent)?;
            let Some(end) = skip_line(text, open_quote) else { return Ok(None) };
            check_length(indent + end)?;
            if !self.is_proven() {
                shape::check(&text[..end]).map_err(behind_indent)?;
                self.progress.is_proven = true;
            }
            self.counts.unconfigured += 1;
            return Ok(Some(indent + end));
        };
        let length = key::key_length(text);
        let raw = &text[..length];
        let found = match self.router.contexts[self.context.index()].table.find(raw) {
            Ok(target) => Found::Target(target),
            Err(absent) => {
                // Where one key is new the next one mostly is: its place in the table comes nearer meanwhile.
                if let Some(key) = key_behind(&text[length..]) {
                    self.router.contexts[self.context.index()].table.prefetch(key);
                }
                self.declare(raw, absent, metric).map_err(behind_indent)?
            }
        };
        match found {
            Found::Target(target) => {
                let (value, time, end) = self.fields(text, length).map_err(behind_indent)?;
                self.sample(target, time, value);
                Ok(Some(indent + end))
            }
            refused => {
                // A value of Graphite, which names no host, is not a line that forgot it.
                let (_, _, end) = self.fields(text, length).map_err(behind_indent)?;
                if let Found::Unsafe(name) = refused {
                    self.counts.unsafe_names += 1;
                    self.counts.first_unsafe.get_or_insert(name);
                } else {
                    self.counts.beyond_limit += 1;
                }
                Ok(Some(indent + end))
            }
        }
    }

    /// Whether the stream is known to be line protocol.
    fn is_proven(&self) -> bool {
        self.progress.is_proven || self.counts.samples > 0
    }

    /// Reads a key seen for the first time.
    fn declare(&mut self, raw: &[u8], absent: Absent, metric: MetricId) -> Result<Found, (usize, Fault)> {
        let context = self.context.index();
        // Taken out for as long as the router declares.
        let cluster = std::mem::take(&mut self.router.contexts[context].cluster);
        let found = self.declare_in(&cluster, raw, absent, metric);
        self.router.contexts[context].cluster = cluster;
        found
    }

    fn declare_in(
        &mut self,
        cluster_default: &str,
        raw: &[u8],
        absent: Absent,
        metric: MetricId,
    ) -> Result<Found, (usize, Fault)> {
        let key = key::parse(raw, cluster_default)?;
        // Names that were declared just before are good.
        if !self.router.is_recent(&key.cluster, &key.host)
            && let Err(name) = key.check_names()
        {
            return Ok(Found::Unsafe(name));
        }
        if self.router.is_full() {
            return Ok(Found::BeyondLimit);
        }
        let below = [&key.scope, &key.subscope].into_iter().flatten();
        let below = below.map(|scope| [&*scope.kind, &*scope.id]);
        let target = self.router.declare(&key.cluster, &key.host, below, metric);
        self.router.contexts[self.context.index()].table.insert(absent, raw, target);
        Ok(Found::Target(target))
    }

    /// Reads `value=… [timestamp]` behind a key of `length` bytes.
    ///
    /// Returns value, time, and where the next line begins; or the offset of the fault.
    #[inline]
    fn fields(&mut self, line: &[u8], length: usize) -> Result<(f64, i64, usize), (usize, Fault)> {
        const FIELD: &[u8] = b"value=";
        let mut at = length;
        while line.get(at) == Some(&b' ') {
            at += 1;
        }
        if line.len() < at + FIELD.len() || line[at..at + FIELD.len()] != *FIELD {
            return Err((at, field_fault(&line[at..])));
        }
        self.value_and_time(line, at + FIELD.len())
    }

    /// Reads what stands behind `value=`, which ends at `at`.
    #[inline]
    fn value_and_time(&mut self, line: &[u8], mut at: usize) -> Result<(f64, i64, usize), (usize, Fault)> {
        let (value, value_length) = value::parse(&line[at..]).map_err(|fault| (at, fault))?;
        at += value_length;
        let (time, end) = self.time(line, at)?;
        Ok((value, time, end))
    }

    /// Reads what stands behind the last field, which ends at `at`.
    ///
    /// Returns time, and where the next line begins; or the offset of the fault.
    // On the way of every line: with two callers, the compiler would make it a call.
    #[inline(always)]
    fn time(&mut self, line: &[u8], mut at: usize) -> Result<(i64, usize), (usize, Fault)> {
        while line.get(at) == Some(&b' ') {
            at += 1;
        }
        let text = &line[at..];
        if text.len() >= STAMP_BYTES && text[..STAMP_BYTES] == self.stamp {
            return Ok((self.stamp_seconds, at + STAMP_BYTES));
        }
        if text.first() == Some(&b',') {
            return Err((at, Fault::FieldSecond));
        }
        let parsed = timestamp::parse_in(text, self.rules.dialect.time_unit).map_err(|fault| (at, fault))?;
        let (time, time_length) = parsed.unwrap_or((self.now, 0));
        at += time_length;
        let stamp_end = at;
        while line.get(at) == Some(&b' ') {
            at += 1;
        }
        let end = match &line[at..] {
            [b'\n', ..] => at + 1,
            [b'\r', b'\n', ..] => at + 2,
            // Only the last line of a stream, which gets its newline here, may end with a lone CR.
            _ if time_length == 0 || at == stamp_end => return Err((stamp_end, Fault::TimestampSyntax)),
            _ => return Err((at, Fault::TextAfterTimestamp)),
        };
        if time_length == STAMP_BYTES - 1 && end == stamp_end + 1 {
            self.stamp.copy_from_slice(&text[..STAMP_BYTES]);
            self.stamp_seconds = time;
        }
        check_length(end)?;
        Ok((time, end))
    }

    #[inline]
    fn sample(&mut self, target: Target, time: i64, value: f64) {
        if time.wrapping_sub(self.oldest) as u64 > self.span_seconds {
            return self.outside(time);
        }
        self.counts.samples += 1;
        self.outbox.samples[usize::from(target.core)].push(Sample { link: target.link, time, value });
    }

    /// A sample is dropped for its time.
    #[cold]
    #[inline(never)]
    fn outside(&mut self, time: i64) {
        if time < self.oldest {
            self.counts.too_old += 1;
        } else {
            self.counts.future += 1;
        }
    }
}

#[cfg(test)]
mod tests;
