//! What of a chain is in no snapshot yet, as runs of slots (SPEC sections 5 and 6).
//!
//! A snapshot holds one run a series: a first time and values at the series' frequency. Buffers whose slots
//! follow each other on one grid share a run; a gap or a shift of the grid begins the next, which goes into
//! a snapshot of its own. So what is loaded again stands at the times where it was.

use super::buffer::{BufferView, Unsaved};
use super::chain::Chain;
use super::pool::Pool;

/// Consecutive slots to be saved.
#[derive(Clone, Debug)]
pub struct UnsavedRun<'a> {
    /// The time that stands for the first slot, in seconds.
    pub start: i64,
    /// The slots in order, as they lie in the buffers.
    slots: Vec<(BufferView<'a>, Unsaved)>,
}

impl UnsavedRun<'_> {
    /// How many slots.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.iter().map(|(_, slots)| slots.slots().len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts the values of the slots into `values`, in place of what is there.
    pub fn read(&self, values: &mut Vec<f64>, pool: &Pool) {
        values.clear();
        values.resize(self.len(), 0.0);
        let mut rest = &mut values[..];
        for (buffer, slots) in &self.slots {
            let slots = slots.slots();
            let (part, behind) = rest.split_at_mut(slots.len());
            buffer.read(slots.start, part, pool);
            rest = behind;
        }
    }
}

/// Slots of one buffer that were handed to a snapshot, in case the snapshot fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedOver {
    buffer_start: i64,
    slots: Unsaved,
}

impl Chain {
    /// Whether a snapshot would hold something new.
    #[must_use]
    pub fn has_unsaved(&self) -> bool {
        self.buffers().any(|buffer| !buffer.unsaved().is_empty())
    }

    /// Whether a buffer that ends before `to` (seconds) has slots that no snapshot holds.
    #[must_use]
    pub fn has_unsaved_before(&self, to: i64) -> bool {
        let frequency = self.frequency();
        self.buffers().any(|buffer| buffer.end(frequency) < to && !buffer.unsaved().is_empty())
    }

    /// The runs that no snapshot holds, oldest first.
    #[must_use]
    pub fn unsaved_runs(&self) -> Vec<UnsavedRun<'_>> {
        let frequency = self.frequency();
        let mut runs: Vec<UnsavedRun<'_>> = Vec::new();
        let mut next_start = None;
        for buffer in self.buffers().filter(|buffer| !buffer.unsaved().is_empty()) {
            let slots = buffer.unsaved().slots();
            let start = buffer.first_write(frequency) + slots.start as i64 * frequency;
            let part = (buffer, buffer.unsaved());
            match runs.last_mut() {
                Some(run) if next_start == Some(start) => run.slots.push(part),
                _ => runs.push(UnsavedRun { start, slots: vec![part] }),
            }
            next_start = Some(start + slots.len() as i64 * frequency);
        }
        runs
    }

    /// Takes everything as saved; remembers in `handed_over` what was not.
    pub fn hand_over(&mut self, mut handed_over: impl FnMut(HandedOver)) {
        self.for_each_unsaved_mut(|buffer_start, _, unsaved| {
            if !unsaved.is_empty() {
                handed_over(HandedOver { buffer_start, slots: std::mem::take(unsaved) });
            }
        });
    }

    /// The snapshot failed: what was handed over is unsaved again, as far as it is still there.
    pub fn take_back(&mut self, handed_over: HandedOver) {
        let frequency = self.frequency();
        let start = handed_over.buffer_start;
        self.for_each_unsaved_mut(|buffer_start, buffer_slots, unsaved| {
            // The buffer may have been extended towards the past meanwhile.
            let shift = usize::try_from((start - buffer_start).div_euclid(frequency)).unwrap_or(usize::MAX);
            let slots = handed_over.slots.slots();
            let to = shift.saturating_add(slots.end).min(buffer_slots);
            let from = shift.saturating_add(slots.start);
            if from < to {
                unsaved.join(Unsaved::new(from, to));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_700_000_040;

    fn write(chain: &mut Chain, pool: &mut Pool, slots: impl IntoIterator<Item = i64>) {
        for slot in slots {
            chain.write(T + 60 * slot, slot as f64, 0, pool);
        }
    }

    fn runs(chain: &Chain, pool: &Pool) -> Vec<(i64, Vec<f64>)> {
        let read = |run: UnsavedRun<'_>| {
            let mut values = Vec::new();
            run.read(&mut values, pool);
            ((run.start - T) / 60, values)
        };
        chain.unsaved_runs().into_iter().map(read).collect()
    }

    #[test]
    fn buffers_on_one_grid_share_a_run() {
        let (mut chain, mut pool) = (Chain::new(60), Pool::default());
        write(&mut chain, &mut pool, 0..1200);
        assert_eq!(runs(&chain, &pool), [(0, (0..1200).map(f64::from).collect())]);
        write(&mut chain, &mut pool, [5000]);
        assert_eq!(runs(&chain, &pool).len(), 2);
        assert_eq!(runs(&chain, &pool)[1], (5000, vec![5000.0]));
    }

    #[test]
    fn what_was_handed_over_is_not_saved_twice() {
        let (mut chain, mut pool) = (Chain::new(60), Pool::default());
        write(&mut chain, &mut pool, 0..600);
        chain.hand_over(|_| {});
        assert!(!chain.has_unsaved());
        write(&mut chain, &mut pool, 600..610);
        assert_eq!(runs(&chain, &pool), [(600, (600..610).map(f64::from).collect())]);
        // A late sample in a saved buffer, whatever its time.
        chain.hand_over(|_| {});
        write(&mut chain, &mut pool, [3]);
        assert_eq!(runs(&chain, &pool), [(3, vec![3.0])]);
    }

    #[test]
    fn a_failed_snapshot_gives_back_what_it_took() {
        let (mut chain, mut pool) = (Chain::new(60), Pool::default());
        write(&mut chain, &mut pool, 100..700);
        let before = runs(&chain, &pool);
        let mut taken = Vec::new();
        chain.hand_over(|handed_over| taken.push(handed_over));
        taken.iter().for_each(|&handed_over| chain.take_back(handed_over));
        assert_eq!(runs(&chain, &pool), before);

        // Also when the buffer was extended towards the past in between, and written to.
        let mut chain = Chain::new(60);
        write(&mut chain, &mut pool, 100..110);
        taken.clear();
        chain.hand_over(|handed_over| taken.push(handed_over));
        write(&mut chain, &mut pool, [97, 110]);
        taken.iter().for_each(|&handed_over| chain.take_back(handed_over));
        let saved = runs(&chain, &pool);
        assert_eq!(saved.len(), 1);
        assert_eq!((saved[0].0, saved[0].1.len()), (97, 14));
    }
}
