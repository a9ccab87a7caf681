//! The rows of a query's answer (SPEC section 4), byte for byte those of the reference.

use super::aggregate;
use super::number::{push_integer, push_statistic, push_values};
use super::request::{Query, QueryRequest, push_json_string};
use super::resample::{Algorithm, ResampleError, Resampling};
use super::scan::{self, Selection};
use super::statistics::Statistics;
use super::text::Text;
use crate::config::{Aggregation, Metric, MetricId};
use crate::limits::{self, RESAMPLE_WINDOW_MAX};
use crate::memory::chain::Span;
use crate::memory::shard::Shard;
use crate::series::tree::{LevelId, SeriesId};

/// Room for the work of one row, used again for the next.
#[derive(Debug, Default)]
pub struct Scratch {
    series: Vec<SeriesId>,
    row: aggregate::Row,
    resampled: Vec<f64>,
    values: u64,
    read: u64,
}

impl Scratch {
    /// Series of the row that was looked at last.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Values of the row that was written last, those padded and those read: what [`count_values`] says.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.values
    }

    /// What making the row that was written last cost, in values read: those of all series that it combines.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read
    }
}

/// One row that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct RowRequest<'a> {
    /// The whole request.
    pub request: &'a QueryRequest,
    /// The query of it.
    pub query: &'a Query,
    /// The row of that.
    pub selection: Selection,
    /// The host's level; none if the host holds no data.
    pub host: Option<LevelId>,
}

/// The values that one row would answer: those padded and those read. Reads nothing.
#[must_use]
pub fn count_values(shard: &Shard, row: RowRequest<'_>, scratch: &mut Scratch) -> u64 {
    let RowRequest { request, query, selection, host } = row;
    scratch.series.clear();
    let Some(host) = host else { return 0 };
    if !request.with_data {
        return 1;
    }
    let Some(id) = shard.metrics().find(query.metric.as_bytes()) else { return 1 };
    let metric = shard.metrics().get(id);
    scan::find_series(shard, host, query, selection, id, &mut scratch.series);
    // What will be an error has no values, however long the range.
    let error =
        request.from > request.to || (scratch.series.len() > 1 && metric.aggregation == Aggregation::None);
    if error {
        return 1;
    }
    let chains = scratch.series.iter().map(|&series| shard.chain(series));
    let Some(span) = aggregate::span(chains, request.range()) else { return 1 };
    let nulls = Nulls::around(request, span, metric.frequency);
    let values = nulls.with(span);
    let resampled = if request.full_range { values } else { span.values as u64 };
    if resampling(request, query, metric.frequency, resampled).is_err() {
        return 1;
    }
    values.saturating_add(1)
}

/// How the values of a row become fewer; `None` if they are answered as they are.
///
/// Padding comes on top of what is resampled; the nulls of a full range are part of it.
fn resampling(
    request: &QueryRequest,
    query: &Query,
    frequency: i64,
    values: u64,
) -> Result<Option<Resampling>, ResampleError> {
    let algorithm = Algorithm::named(&request.resample_algorithm)?;
    let resampling = Resampling::of(values, frequency, query.resolution, algorithm)?;
    if request.full_range && resampling.is_some() && values > RESAMPLE_WINDOW_MAX {
        return Err(ResampleError::Window { values });
    }
    Ok(resampling)
}

/// What is answered around the values read.
#[derive(Clone, Copy, Debug, Default)]
struct Nulls {
    before: u64,
    behind: u64,
}

impl Nulls {
    /// Those of a row: what `full-range` demands, or the padding.
    fn around(request: &QueryRequest, span: Span, frequency: i64) -> Self {
        if request.full_range {
            let all = steps(request.from, request.to, frequency);
            let before = if span.values == 0 { 0 } else { steps(request.from, span.from, frequency) };
            return Self { before, behind: all.saturating_sub(before).saturating_sub(span.values as u64) };
        }
        if !(request.with_padding && request.with_data) {
            return Self::default();
        }
        let slots = span.from.div_euclid(frequency).saturating_sub(request.from.div_euclid(frequency));
        Self { before: u64::try_from(slots).unwrap_or(0), behind: 0 }
    }

    /// How many values there are with these.
    fn with(self, span: Span) -> u64 {
        self.before.saturating_add(span.values as u64).saturating_add(self.behind)
    }
}

/// How many of the times `from, from + frequency, …` are before `to`.
fn steps(from: i64, to: i64, frequency: i64) -> u64 {
    if from < to { to.abs_diff(from).div_ceil(frequency.unsigned_abs()) } else { 0 }
}

/// Writes one row behind `separator`; nothing if the host or the metric has no data. Returns whether a row
/// was written.
pub fn push_row(
    shard: &Shard,
    row: RowRequest<'_>,
    separator: &[u8],
    scratch: &mut Scratch,
    text: &mut Text,
) -> bool {
    let RowRequest { request, query, selection, host } = row;
    let row = Row { request, query, separator };
    (scratch.values, scratch.read) = (1, 1);
    if request.from > request.to {
        row.push_error("from is after to", text);
        return true;
    }
    let Some(id) = shard.metrics().find(query.metric.as_bytes()) else {
        row.push_error(&format!("metric {:?} is not configured", query.metric), text);
        return true;
    };
    let Some(host) = host else { return false };
    scratch.series.clear();
    scan::find_series(shard, host, query, selection, id, &mut scratch.series);
    scratch.read = scratch.series.len() as u64 * limits::QUERY_SERIES_READ_VALUES;
    row.push_metric(shard, id, scratch, text)
}

struct Row<'a> {
    request: &'a QueryRequest,
    query: &'a Query,
    separator: &'a [u8],
}

impl Row<'_> {
    fn push_metric(&self, shard: &Shard, id: MetricId, scratch: &mut Scratch, text: &mut Text) -> bool {
        let Metric { frequency, aggregation, .. } = *shard.metrics().get(id);
        let chains = scratch.series.iter().map(|&series| shard.chain(series));
        let mut span = match scratch.row.read(chains, aggregation, self.request.range(), shard.pool()) {
            Ok(Some(span)) => span,
            Ok(None) => return false,
            Err(error) => {
                self.push_error(&error.to_string(), text);
                return true;
            }
        };
        scratch.read += (span.values as u64).saturating_mul(scratch.series.len() as u64);
        let mut nulls = Nulls::around(self.request, span, frequency);
        let values = nulls.with(span);
        let resampled = if self.request.full_range { values } else { span.values as u64 };
        let resampling = match resampling(self.request, self.query, frequency, resampled) {
            Ok(resampling) => resampling,
            Err(error) => {
                self.push_error(&error.to_string(), text);
                return true;
            }
        };
        if self.request.with_data {
            scratch.values += values;
        }
        if self.request.full_range {
            (span.from, span.to) = (self.request.from, self.request.to);
        }
        let (data, resolution) = if let Some(resampling) = resampling {
            if self.request.full_range {
                scratch.row.data.splice(..0, std::iter::repeat_n(f64::NAN, nulls.before as usize));
                scratch.row.data.resize(values as usize, f64::NAN);
                nulls = Nulls::default();
            }
            resampling.apply(&scratch.row.data, &mut scratch.resampled);
            (&mut scratch.resampled, self.query.resolution)
        } else {
            (&mut scratch.row.data, frequency)
        };
        let mut statistics = if self.request.with_stats {
            Statistics::to_print(data, self.query.scale_by)
        } else {
            Statistics::ZERO
        };
        if self.query.scale_by != 0.0 && self.query.scale_by != 1.0 {
            statistics.scale(self.query.scale_by);
            data.iter_mut().for_each(|value| *value *= self.query.scale_by);
        }

        text.bytes_mut().extend_from_slice(self.separator);
        text.bytes_mut().push(b'{');
        if self.request.with_data && (nulls.before > 0 || nulls.behind > 0 || !data.is_empty()) {
            text.bytes_mut().extend_from_slice(b"\"data\":[");
            text.push_nulls(nulls.before);
            if !data.is_empty() {
                push_values(text.bytes_mut(), data);
                text.bytes_mut().push(b',');
            }
            text.push_nulls(nulls.behind);
            text.drop_last_comma();
            text.bytes_mut().extend_from_slice(b"],");
        }
        push_tail(text.bytes_mut(), span.from, span.to, resolution, statistics);
        true
    }

    fn push_error(&self, message: &str, text: &mut Text) {
        let out = text.bytes_mut();
        out.extend_from_slice(self.separator);
        out.extend_from_slice(b"{\"error\":");
        push_json_string(out, message);
        out.push(b',');
        push_tail(out, 0, 0, 0, Statistics::ZERO);
    }
}

fn push_tail(out: &mut Vec<u8>, from: i64, to: i64, resolution: i64, statistics: Statistics) {
    out.extend_from_slice(b"\"from\":");
    push_integer(out, from);
    out.extend_from_slice(b",\"to\":");
    push_integer(out, to);
    out.extend_from_slice(b",\"resolution\":");
    push_integer(out, resolution);
    for (name, value) in [("avg", statistics.avg), ("min", statistics.min), ("max", statistics.max)] {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        push_statistic(out, value);
    }
    out.push(b'}');
}
