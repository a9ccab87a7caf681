//! Reading one row: a series, or several combined into one (SPEC section 4, and section 9, 8).
//!
//! Children that begin or end at different times: the row covers the union of what they cover in the
//! range, and a slot that is missing in some child is missing in the row. Children that begin within one
//! slot of each other share the row's grid, whose times are those of the latest of them, as in the
//! reference. With `full-range` the grid is given: `from, from + frequency, …`.

use crate::config::Aggregation;
use crate::memory::chain::{Chain, Span};
use crate::memory::pool::Pool;

/// Why series cannot be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{series} series match, but the metric has no aggregation")]
pub struct NoAggregation {
    /// How many.
    pub series: usize,
}

/// The times asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first second.
    pub from: i64,
    /// The first second no more.
    pub to: i64,
    /// Whether values are those of `from, from + frequency, …` (`full-range`), not of the times of the data.
    pub on_grid: bool,
}

/// What a read of all `chains` together covers, without reading; `None` if there are none with data.
#[must_use]
pub fn span<'a>(chains: impl Iterator<Item = &'a Chain>, range: Range) -> Option<Span> {
    let mut union = Union::new(range);
    chains.for_each(|chain| {
        union.add(chain);
    });
    union.span()
}

/// The grid of a row, as it grows child by child. Slots are numbered from where the first child begins.
#[derive(Clone, Copy, Debug)]
struct Union {
    from: i64,
    to: i64,
    on_grid: bool,
    frequency: i64,
    /// The time of slot 0; none before the first child.
    slot_0: Option<i64>,
    /// The slots that some child covers; empty if none has a value in the range.
    slots: Option<(i64, i64)>,
}

/// Where a child's values lie in the row.
#[derive(Clone, Copy, Debug)]
struct Place {
    slot: i64,
    /// What to read of the child, to get exactly these values.
    from: i64,
    to: i64,
    values: usize,
}

impl Union {
    fn new(range: Range) -> Self {
        let Range { from, to, on_grid } = range;
        // No data is that late; so sums with a slot's length stay in range.
        Self { from, to: to.min(i64::MAX / 2), on_grid, frequency: 1, slot_0: None, slots: None }
    }

    /// Adds a child; `None` if it has no value in the range.
    fn add(&mut self, chain: &Chain) -> Option<Place> {
        if self.on_grid { self.add_on_grid(chain) } else { self.add_beside(chain) }
    }

    fn add_on_grid(&mut self, chain: &Chain) -> Option<Place> {
        let own = chain.span_on_grid(self.from, self.to)?;
        self.frequency = chain.frequency();
        // All children begin at times of the one grid, none of them long before the oldest data.
        let slot_0 = *self.slot_0.get_or_insert(own.from);
        self.place((own.from - slot_0) / self.frequency, own.from, self.to, own.values)
    }

    fn add_beside(&mut self, chain: &Chain) -> Option<Place> {
        let own = chain.span(self.from, self.to)?;
        self.frequency = chain.frequency();
        let slot_0 = self.slot_0.unwrap_or(own.from);
        let ahead = own.from.saturating_sub(slot_0);
        // Towards zero: a child that begins less than a slot earlier shares slot 0.
        let slot = ahead / self.frequency;
        let from = own.from.max(slot_0.saturating_add(slot * self.frequency));
        // The end of the last slot that begins in the range, as the children before see it.
        let to = match self.slot_0 {
            Some(first) if first < self.to => {
                first + (self.to - first + self.frequency - 1) / self.frequency * self.frequency
            }
            _ => self.to,
        };
        // The latest phase is the row's.
        self.slot_0 = Some(slot_0 + (from - slot_0 - slot * self.frequency));
        // Mostly the range is still what it was.
        let values =
            if (from, to) == (own.from, self.to) { own.values } else { chain.span(from, to)?.values };
        self.place(slot, from, to, values)
    }

    fn place(&mut self, slot: i64, from: i64, to: i64, values: usize) -> Option<Place> {
        if values == 0 {
            return None;
        }
        let end = slot + values as i64;
        let (first, last) = self.slots.unwrap_or((slot, end));
        self.slots = Some((first.min(slot), last.max(end)));
        Some(Place { slot, from, to, values })
    }

    fn span(&self) -> Option<Span> {
        let slot_0 = self.slot_0?;
        let Some((first, end)) = self.slots else {
            return Some(Span { from: slot_0, to: slot_0, values: 0 });
        };
        let from = slot_0 + first * self.frequency;
        Some(Span { from, to: from + (end - first) * self.frequency, values: (end - first) as usize })
    }
}

/// Room for one row, used again for the next.
#[derive(Debug, Default)]
pub struct Row {
    /// Its values.
    pub data: Vec<f64>,
    /// Where each child has its values in it.
    places: Vec<Option<Place>>,
}

impl Row {
    /// Reads the range of all `chains`, combined, into `data`; `None` if there are none with data.
    ///
    /// # Errors
    /// [`NoAggregation`] if there are several chains with data and no way to combine them.
    pub fn read<'a>(
        &mut self,
        chains: impl Iterator<Item = &'a Chain> + Clone,
        aggregation: Aggregation,
        range: Range,
        pool: &Pool,
    ) -> Result<Option<Span>, NoAggregation> {
        let Self { data, places } = self;
        data.clear();
        places.clear();
        let chains = chains.filter(|chain| !chain.is_empty());
        let mut union = Union::new(range);
        places.extend(chains.clone().map(|chain| union.add(chain)));
        let Some(span) = union.span() else { return Ok(None) };
        let count = places.len();
        if count > 1 && aggregation == Aggregation::None {
            return Err(NoAggregation { series: count });
        }
        data.resize(span.values, 0.0);
        let first_slot = union.slots.map_or(0, |(first, _)| first);
        let mut ahead = chains.clone().skip(1);
        for (chain, place) in chains.zip(places) {
            if let Some(next) = ahead.next() {
                next.prefetch(range.from, range.to, pool);
            }
            add(chain, *place, first_slot, pool, data);
        }
        if count > 1 && aggregation == Aggregation::Avg {
            let share = 1.0 / count as f64;
            data.iter_mut().for_each(|value| *value *= share);
        }
        Ok(Some(span))
    }
}

/// Adds one child; where it has no slot, the sum is missing.
fn add(chain: &Chain, place: Option<Place>, first_slot: i64, pool: &Pool, data: &mut [f64]) {
    let Some(place) = place else {
        data.fill(f64::NAN);
        return;
    };
    let start = (place.slot - first_slot) as usize;
    let end = start + place.values;
    data[..start].fill(f64::NAN);
    data[end..].fill(f64::NAN);
    chain.add(place.from, place.to, pool, &mut data[start..end]);
}
