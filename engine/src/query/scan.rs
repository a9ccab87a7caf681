//! Which series a query means (SPEC section 4).
//!
//! A selection is a level below a host, or a group of them. A level that has no data of its own for the
//! metric stands for all levels below it.

use super::request::Query;
use crate::config::MetricId;
use crate::memory::shard::Shard;
use crate::series::tree::{LevelId, SeriesId};

/// One row of a query's answer: the levels whose data it combines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The host, or the whole group that the query names.
    Whole,
    /// One type-id, by its index in the query.
    Type(usize),
    /// One pair of type-id and subtype-id.
    Subtype(usize, usize),
}

/// How many rows a query asks for at most.
#[must_use]
pub fn row_count(query: &Query) -> usize {
    if query.aggregate || query.type_name.is_none() {
        return 1;
    }
    let subtypes = if query.subtype.is_some() { query.subtype_ids.len() } else { 1 };
    query.type_ids.len().saturating_mul(subtypes)
}

/// The `index`-th row of a query, in the order of the answer.
#[must_use]
pub fn selection(query: &Query, index: usize) -> Selection {
    if query.aggregate || query.type_name.is_none() {
        Selection::Whole
    } else if query.subtype.is_some() {
        Selection::Subtype(index / query.subtype_ids.len(), index % query.subtype_ids.len())
    } else {
        Selection::Type(index)
    }
}

/// Appends the series that a selection combines, in name order below each named level.
pub fn find_series(
    shard: &Shard,
    host: LevelId,
    query: &Query,
    selection: Selection,
    metric: MetricId,
    found: &mut Vec<SeriesId>,
) {
    let Some(type_name) = &query.type_name else {
        below(shard, host, metric, found);
        return;
    };
    let types = match selection {
        Selection::Whole => 0..query.type_ids.len(),
        Selection::Type(index) | Selection::Subtype(index, _) => index..index + 1,
    };
    let subtypes = match selection {
        Selection::Whole | Selection::Type(_) => 0..query.subtype_ids.len(),
        Selection::Subtype(_, index) => index..index + 1,
    };
    let mut near = host;
    for type_id in &query.type_ids[types] {
        let Some(level) = shard.tree().child_near(near, host, [type_name, type_id]) else { continue };
        near = level;
        let Some(subtype) = &query.subtype else {
            below(shard, level, metric, found);
            continue;
        };
        for subtype_id in &query.subtype_ids[subtypes.clone()] {
            if let Some(level) = shard.tree().child_near(near, level, [subtype, subtype_id]) {
                near = level;
                below(shard, level, metric, found);
            }
        }
    }
}

/// The level's own series, or those of all levels below it.
fn below(shard: &Shard, level: LevelId, metric: MetricId, found: &mut Vec<SeriesId>) {
    if let Some(series) = shard.tree().series(level, metric)
        && !shard.chain(series).is_empty()
    {
        found.push(series);
        return;
    }
    for child in shard.tree().children(level) {
        below(shard, child, metric, found);
    }
}
