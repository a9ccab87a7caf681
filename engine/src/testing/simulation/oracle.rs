//! What must be there after a start, what may be, and what must not.
//!
//! Of every slot the writes are remembered in the order in which the owning core applied them. After a start the slot
//! holds the last one that was acknowledged or a later one; or nothing, if none was. Values are exact or, out of a snapshot,
//! rounded to `f32`; each is used once, so a value tells which write it is.

use std::collections::BTreeMap;
use std::ops::Range;

use super::series::{Population, SeriesIndex};
use crate::durable::commit::WalSync;
use crate::memory::shard::Shard;

/// One sample that was handed to its core.
#[derive(Clone, Debug)]
struct Write {
    value: f64,
    /// How much time had gone by for the clock of the wall, in seconds, not counting that it was set back.
    at_seconds: i64,
    /// Grows from write to write.
    order: u64,
    /// When it was acknowledged; nanoseconds.
    acknowledged_ns: Option<u64>,
    /// It was acknowledged, and promised to survive the loss of power as well.
    is_safe: bool,
    /// A complete checkpoint holds it.
    is_in_snapshot: bool,
    /// A free may have taken it, or a failed sync: nothing is promised any more, even if it is acknowledged later.
    is_freed: bool,
}

/// Names a write: series, time, order.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteName(SeriesIndex, i64, u64);

/// All writes of a history.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    slots: BTreeMap<(SeriesIndex, i64), Vec<Write>>,
    order: u64,
    values: u64,
}

impl Oracle {
    /// A value for the next sample: no other has it. It is not an `f32`, so rounding shows.
    pub(super) fn unused_value(&mut self) -> f64 {
        self.values += 1;
        self.values as f64 + 0.1
    }

    /// A core is about to apply a sample.
    pub(super) fn applied(
        &mut self,
        series: SeriesIndex,
        time: i64,
        value: f64,
        at_seconds: i64,
    ) -> WriteName {
        self.order += 1;
        let write = Write {
            value,
            at_seconds,
            order: self.order,
            acknowledged_ns: None,
            is_safe: false,
            is_in_snapshot: false,
            is_freed: false,
        };
        self.slots.entry((series, time)).or_default().push(write);
        WriteName(series, time, self.order)
    }

    /// It was acknowledged.
    pub(super) fn acknowledged(
        &mut self,
        WriteName(series, time, order): WriteName,
        now_ns: u64,
        sync: WalSync,
    ) {
        let writes = self.slots.get_mut(&(series, time));
        if let Some(write) = writes.and_then(|writes| writes.iter_mut().find(|write| write.order == order))
            && !write.is_freed
        {
            write.acknowledged_ns = Some(now_ns);
            write.is_safe = sync == WalSync::Always;
        }
    }

    /// A slot that was written before.
    pub(super) fn any_slot(&self, series: SeriesIndex, from: i64) -> Option<i64> {
        self.slots
            .range((series, from)..)
            .next()
            .filter(|((found, _), _)| *found == series)
            .map(|((_, time), _)| *time)
    }

    /// Everything before `to` at or below a path may be gone from now on, as far as it was applied before now. It may also
    /// come back: the record of a free goes with its segment, and an older snapshot stays.
    pub(super) fn freed(&mut self, population: &Population, path: &[String], to: i64) {
        for ((series, time), writes) in &mut self.slots {
            let below = &population.series[*series].path;
            if *time < to && path.len() <= below.len() && path.iter().zip(below).all(|(a, b)| a == b) {
                for write in writes {
                    (write.acknowledged_ns, write.is_safe, write.is_freed) = (None, false, true);
                }
            }
        }
    }

    /// The number of the last write: what a checkpoint that begins now will cover.
    pub(super) fn order(&self) -> u64 {
        self.order
    }

    /// A checkpoint of a core that began at `order` is complete.
    pub(super) fn checkpointed(&mut self, order: u64, is_owned: impl Fn(SeriesIndex) -> bool) {
        for ((series, _), writes) in &mut self.slots {
            if is_owned(*series) {
                for write in writes.iter_mut().filter(|write| write.order <= order) {
                    write.is_in_snapshot = true;
                }
            }
        }
    }

    /// What was acknowledged between these times by a core whose log never failed has been synced. What an earlier life
    /// acknowledged may be in the page cache alone.
    pub(super) fn synced(&mut self, times_ns: Range<u64>, is_owned: impl Fn(SeriesIndex) -> bool) {
        for ((series, _), writes) in &mut self.slots {
            if is_owned(*series) {
                for write in writes {
                    write.is_safe |= write.acknowledged_ns.is_some_and(|at_ns| times_ns.contains(&at_ns));
                }
            }
        }
    }

    /// A sync of a core's log failed, so the kernel may have forgotten what it still shows: nothing is promised any more of what was
    /// sent to it so far, unless every write was synced before it was acknowledged.
    pub(super) fn doubt(&mut self, is_owned: impl Fn(SeriesIndex) -> bool) {
        for ((series, _), writes) in &mut self.slots {
            if is_owned(*series) {
                for write in writes {
                    (write.acknowledged_ns, write.is_safe, write.is_freed) = (None, false, true);
                }
            }
        }
    }

    /// The clock was set back, and samples from this time on are in the future: their snapshot may be named after a time so much
    /// older that no load reads it when they are present.
    pub(super) fn doubt_future(&mut self, from: i64) {
        for ((_, time), writes) in &mut self.slots {
            if *time >= from {
                for write in writes {
                    (write.acknowledged_ns, write.is_safe, write.is_freed) = (None, false, true);
                }
            }
        }
    }

    /// The power has failed: what was not safe is not promised any more.
    pub(super) fn lose_power(&mut self) {
        let is_lost = |write: &&mut Write| !write.is_safe && !write.is_in_snapshot;
        for write in self.slots.values_mut().flatten().filter(is_lost) {
            write.acknowledged_ns = None;
        }
    }

    /// Looks at what was loaded; `oldest` is now − retention, and so is `written_since` of the time that has gone by. Returns
    /// how many samples had to be there.
    ///
    /// # Errors
    /// What is missing, or was never sent.
    pub(super) fn check<'a>(
        &self,
        population: &Population,
        shards: impl IntoIterator<Item = &'a Shard>,
        oldest: i64,
        written_since: i64,
    ) -> Result<u64, String> {
        let mut found = BTreeMap::new();
        for shard in shards {
            population.samples_of(
                shard,
                &mut |series, time, value| match found.insert((series, time), value) {
                    None => Ok(()),
                    Some(other) => {
                        Err(format!("{} holds {other} and {value}", name(population, series, time)))
                    }
                },
            )?;
        }
        let mut looked_for = 0;
        for (&(series, time), writes) in &self.slots {
            let promised = writes
                .iter()
                .rposition(|write| write.acknowledged_ns.is_some() && write.at_seconds >= written_since);
            let value = found.remove(&(series, time));
            let history = || {
                let writes = writes.iter().map(|write| {
                    let mark = if write.acknowledged_ns.is_some() { "!" } else { "" };
                    format!("#{} {}{mark}", write.order, write.value)
                });
                format!(
                    "{} (writes in order, ! acknowledged: {})",
                    name(population, series, time),
                    writes.collect::<Vec<_>>().join(", ")
                )
            };
            match (value, promised) {
                (None, Some(_)) if time >= oldest => return Err(format!("missing: {}", history())),
                (None, _) => {}
                (Some(value), _) => {
                    let first = promised.unwrap_or(0);
                    let index = writes.iter().rposition(|write| is_same(write.value, value));
                    match index {
                        None => return Err(format!("{value} was never sent: {}", history())),
                        // Older than the retention, nothing is promised any more.
                        Some(index) if index < first && time >= oldest => {
                            return Err(format!("{value} has come back: {}", history()));
                        }
                        Some(_) => {}
                    }
                }
            }
            looked_for += u64::from(promised.is_some() && time >= oldest);
        }
        match found.first_key_value() {
            None => Ok(looked_for),
            Some((&(series, time), value)) => {
                Err(format!("{value} was never sent: {}", name(population, series, time)))
            }
        }
    }
}

fn is_same(sent: f64, found: f64) -> bool {
    sent == found || f64::from(sent as f32) == found
}

fn name(population: &Population, series: SeriesIndex, time: i64) -> String {
    let known = &population.series[series];
    format!("{} {} at {time}", known.path.join("/"), known.metric)
}
