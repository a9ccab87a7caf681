//! Reading one row: a series, or several combined into one (SPEC section 4, and section 9, 8).
//!
//! Children that begin or end at different times: the row covers the union of what they cover in the
//! range, and a slot that is missing in some child is missing in the row.

use crate::config::Aggregation;
use crate::memory::chain::{Chain, Run, Span};

/// Why series cannot be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{series} series match, but the metric has no aggregation")]
pub struct NoAggregation {
    /// How many.
    pub series: usize,
}

/// What a read of all `chains` together covers, without reading; `None` if there are none with data.
#[must_use]
pub fn span<'a>(chains: impl Iterator<Item = &'a Chain> + Clone, from: i64, to: i64) -> Option<Span> {
    let spans = chains.clone().filter_map(|chain| chain.span(from, to));
    let with_values = spans.clone().filter(|span| span.values > 0);
    let Some(from) = with_values.clone().map(|span| span.from).min() else {
        // No child has a value in the range: nothing, at the time where the first one begins.
        return spans.min_by_key(|span| span.from);
    };
    let frequency = chains.clone().next()?.frequency();
    let values = with_values.map(|span| offset(span.from, from, frequency) + span.values).max()?;
    Some(Span { from, to: from + values as i64 * frequency, values })
}

/// Reads `[from, to)` of all `chains`, combined, into `data`; `None` if there are none with data.
///
/// # Errors
/// [`NoAggregation`] if there are several chains with data and no way to combine them.
pub fn read<'a>(
    chains: impl Iterator<Item = &'a Chain> + Clone,
    aggregation: Aggregation,
    from: i64,
    to: i64,
    data: &mut Vec<f64>,
) -> Result<Option<Span>, NoAggregation> {
    data.clear();
    let chains = chains.filter(|chain| !chain.is_empty());
    let count = chains.clone().count();
    let Some(union) = span(chains.clone(), from, to) else { return Ok(None) };
    if count > 1 && aggregation == Aggregation::None {
        return Err(NoAggregation { series: count });
    }
    data.resize(union.values, 0.0);
    for chain in chains {
        add(chain, from, to, union, data);
    }
    if count > 1 && aggregation == Aggregation::Avg {
        let share = 1.0 / count as f64;
        data.iter_mut().for_each(|value| *value *= share);
    }
    Ok(Some(union))
}

/// Adds one child; where it has no slot, the sum is missing.
fn add(chain: &Chain, from: i64, to: i64, union: Span, data: &mut [f64]) {
    let Some(span) = chain.span(from, to).filter(|span| span.values > 0) else {
        data.fill(f64::NAN);
        return;
    };
    let start = offset(span.from, union.from, chain.frequency());
    data[..start].fill(f64::NAN);
    let mut at = start;
    chain.read(from, to, |run| {
        let slots = &mut data[at..at + run.len()];
        match run {
            Run::Missing(_) => slots.fill(f64::NAN),
            Run::Stored(values) => slots.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
        }
        at += run.len();
    });
    data[at..].fill(f64::NAN);
}

/// Slots between two times.
fn offset(time: i64, from: i64, frequency: i64) -> usize {
    ((time - from) / frequency) as usize
}
