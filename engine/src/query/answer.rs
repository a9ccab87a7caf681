//! The rows of a query's answer (SPEC section 4), byte for byte those of the reference.

use super::aggregate;
use super::number::{push_integer, push_statistic, push_values};
use super::request::{Query, QueryRequest, push_json_string};
use super::resample::{self, Outcome};
use super::scan::{self, Selection};
use super::statistics::Statistics;
use super::text::Text;
use crate::config::{Aggregation, Metric, MetricId};
use crate::memory::shard::Shard;
use crate::series::tree::{LevelId, SeriesId};

/// Room for the work of one row, used again for the next.
#[derive(Debug, Default)]
pub struct Scratch {
    series: Vec<SeriesId>,
    row: aggregate::Row,
    resampled: Vec<f64>,
    values: u64,
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
    let error = request.from > request.to
        || (scratch.series.len() > 1 && metric.aggregation == Aggregation::None)
        || resample::check_resolution(metric.frequency, query.resolution).is_err();
    if error {
        return 1;
    }
    let chains = scratch.series.iter().map(|&series| shard.chain(series));
    let Some(span) = aggregate::span(chains, request.from, request.to) else { return 1 };
    1 + span.values as u64 + padding(request, span.from, metric.frequency)
}

/// How many nulls come before data that begins at `from`.
fn padding(request: &QueryRequest, from: i64, frequency: i64) -> u64 {
    if !(request.with_padding && request.with_data) {
        return 0;
    }
    let slots = from.div_euclid(frequency).saturating_sub(request.from.div_euclid(frequency));
    u64::try_from(slots).unwrap_or(0)
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
    scratch.values = 1;
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
        let (from, to) = (self.request.from, self.request.to);
        let span = match scratch.row.read(chains, aggregation, from, to, shard.pool()) {
            Ok(Some(span)) => span,
            Ok(None) => return false,
            Err(error) => {
                self.push_error(&error.to_string(), text);
                return true;
            }
        };
        let (data, resolution) = match resample::resample(
            &scratch.row.data,
            frequency,
            self.query.resolution,
            &mut scratch.resampled,
        ) {
            Ok(Outcome::Native) => (&mut scratch.row.data, frequency),
            Ok(Outcome::Resampled) => (&mut scratch.resampled, self.query.resolution),
            Err(error) => {
                self.push_error(&error.to_string(), text);
                return true;
            }
        };
        let padding = padding(self.request, span.from, frequency);
        if self.request.with_data {
            scratch.values += span.values as u64 + padding;
        }
        let mut statistics = if self.request.with_stats { Statistics::of(data) } else { Statistics::ZERO };
        if self.query.scale_by != 0.0 && self.query.scale_by != 1.0 {
            statistics.scale(self.query.scale_by);
            data.iter_mut().for_each(|value| *value *= self.query.scale_by);
        }

        text.bytes_mut().extend_from_slice(self.separator);
        text.bytes_mut().push(b'{');
        if self.request.with_data && padding + data.len() as u64 > 0 {
            text.bytes_mut().extend_from_slice(b"\"data\":[");
            text.push_nulls(padding);
            if data.is_empty() {
                text.drop_last_comma();
            } else {
                push_values(text.bytes_mut(), data);
            }
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
