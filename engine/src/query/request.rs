//! The JSON body of a query, and the echo of its parts in the answer (SPEC section 4).
//!
//! Before: the body of an HTTP request. After: selectors, one per result. The bodies of the smaller calls are siblings
//! below: [`parse_selectors`] of a free, [`HealthRequest`] of a health check.
//!
//! What is accepted is what the reference's decoder accepts: fields in any order and any letter case, the last of
//! duplicates, `null` for "as if absent", unknown fields, anything behind the first JSON value. A wrong type is an error.

mod echo;
mod free;
mod health;
mod json;

pub use echo::{push_json_string, push_query_echo};
pub use free::parse_selectors;
pub use health::HealthRequest;
pub use json::RequestError;

use super::aggregate::Range;
use json::Reader;

/// A whole query: a time range of one cluster and what is wanted of it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRequest {
    /// The cluster all parts ask about.
    pub cluster: String,
    /// First second wanted. Any number: the range is checked where it is read.
    pub from: i64,
    /// First second no longer wanted. Any number.
    pub to: i64,
    /// Whether the answer has statistics; on by default.
    pub with_stats: bool,
    /// Whether the answer has the data; on by default.
    pub with_data: bool,
    /// Whether data that begins late is padded with nulls; on by default.
    pub with_padding: bool,
    /// The parts; `results` of the answer has one list for each, in this order.
    pub queries: Vec<Query>,
    /// Metrics to be asked of every host, appended to `queries` by a later stage. An empty list is a list.
    pub for_all_nodes: Option<Vec<String>>,
    /// The name of the algorithm that makes fewer points of many; empty is the default. Any name: it is checked where
    /// rows are made.
    pub resample_algorithm: String,
    /// Whether every row covers the whole range. Not the client's choice: the daemon sets it after parsing.
    pub full_range: bool,
}

/// One part of a query: a metric of a host, or of some of the levels below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// The metric.
    pub metric: String,
    /// The host.
    pub host: String,
    /// First half of the names of the levels below the host: `hwthread`. None asks for the host itself.
    pub type_name: Option<String>,
    /// Second halves: `0`, `1`, ….
    pub type_ids: Vec<String>,
    /// As `type_name`, one level further down.
    pub subtype: Option<String>,
    /// As `type_ids`, one level further down.
    pub subtype_ids: Vec<String>,
    /// One result over all of the above instead of one for each.
    pub aggregate: bool,
    /// Seconds per point wanted; 0 is native. Any number: it is checked against the metric.
    pub resolution: i64,
    /// Factor of data and statistics; 0 is none. Finite.
    pub scale_by: f64,
}

impl Default for QueryRequest {
    fn default() -> Self {
        Self {
            cluster: String::new(),
            from: 0,
            to: 0,
            with_stats: true,
            with_data: true,
            with_padding: true,
            queries: Vec::new(),
            for_all_nodes: None,
            resample_algorithm: String::new(),
            full_range: false,
        }
    }
}

impl QueryRequest {
    /// Reads the body of a query; a body of `null` or `{}` is a query for nothing.
    ///
    /// # Errors
    /// [`RequestError`]: not JSON, a field of a wrong type, or a number that does not fit.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut request = Self::default();
        let mut reader = Reader::new(body);
        let mut fields = reader.object("the request")?;
        while let Some(key) = reader.next_key(&mut fields)? {
            match &*key {
                "cluster" => reader.update_string("cluster", &mut request.cluster)?,
                "from" => reader.update_integer("from", &mut request.from)?,
                "to" => reader.update_integer("to", &mut request.to)?,
                "with-stats" => reader.update_bool("with-stats", &mut request.with_stats)?,
                "with-data" => reader.update_bool("with-data", &mut request.with_data)?,
                "with-padding" => reader.update_bool("with-padding", &mut request.with_padding)?,
                "queries" => {
                    request.queries = reader.list("queries", Query::read)?.unwrap_or_default();
                }
                "for-all-nodes" => request.for_all_nodes = reader.string_list("for-all-nodes")?,
                "resample-algo" => reader.update_string("resample-algo", &mut request.resample_algorithm)?,
                _ => reader.skip_value()?,
            }
        }
        Ok(request)
    }

    /// The times that every row is asked for.
    pub(super) fn range(&self) -> Range {
        Range { from: self.from, to: self.to, on_grid: self.full_range }
    }
}

impl Query {
    fn read(reader: &mut Reader<'_>) -> Result<Self, RequestError> {
        let mut query = Self::default();
        let mut fields = reader.object("queries[]")?;
        while let Some(key) = reader.next_key(&mut fields)? {
            match &*key {
                "metric" => reader.update_string("queries[].metric", &mut query.metric)?,
                "host" => reader.update_string("queries[].host", &mut query.host)?,
                "type" => query.type_name = reader.optional_string("queries[].type")?,
                "type-ids" => query.type_ids = reader.string_list("queries[].type-ids")?.unwrap_or_default(),
                "subtype" => query.subtype = reader.optional_string("queries[].subtype")?,
                "subtype-ids" => {
                    query.subtype_ids = reader.string_list("queries[].subtype-ids")?.unwrap_or_default();
                }
                "aggreg" => reader.update_bool("queries[].aggreg", &mut query.aggregate)?,
                "resolution" => reader.update_integer("queries[].resolution", &mut query.resolution)?,
                "scale-by" => query.scale_by = reader.optional_float("queries[].scale-by")?.unwrap_or(0.0),
                _ => reader.skip_value()?,
            }
        }
        Ok(query)
    }
}

#[cfg(test)]
mod tests;
