//! A chain against the model's chain: any order of writes, frees and reads (SPEC section 1; late samples: section 9, 6).

mod generate;
mod model;

use std::collections::{BTreeMap, BTreeSet};

use engine::limits::BUFFER_SLOTS;
use engine::memory::chain::{Chain, Run, Span, Written};
use engine::memory::pool::Pool;
use generate::{settings, time};
use model::chain as naive;
use model::site::BASE;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chain_model.proptest-regressions");
/// Older late samples are refused; well within what the histories reach back to.
const RETENTION_SECONDS: i64 = 60_000;

/// What happens to a chain; times in slots and seconds behind the newest time written.
#[derive(Clone, Debug)]
enum Event {
    /// So many samples, one per slot.
    InOrder {
        count: i64,
        jitter: i64,
    },
    /// One sample behind a gap.
    Skip {
        slots: i64,
        seconds: i64,
    },
    /// One sample that comes late; 0 slots writes the newest again.
    Late {
        slots: i64,
        seconds: i64,
    },
    /// One sample about as old as the retention allows.
    Oldest {
        seconds: i64,
    },
    /// Late samples that follow each other.
    LateRun {
        slots: i64,
        count: i64,
    },
    /// The newest slots again, from so far back on: those that are packed, and those that are not yet.
    Again {
        slots: i64,
    },
    /// Everything goes into a snapshot, which may fail after one more sample.
    Save {
        fails: bool,
    },
    Free {
        slots: i64,
    },
    /// Frees up to about where one of the buffers ends.
    FreeBuffer {
        index: usize,
        seconds: i64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let count = prop_oneof![6 => 1..20i64, 1 => 500..530i64];
    let back = || prop_oneof![3 => 0..20i64, 2 => 0..600i64, 2 => 0..3000i64];
    prop_oneof![
        5 => (count, 0..70i64).prop_map(|(count, jitter)| Event::InOrder { count, jitter }),
        3 => (prop_oneof![0..20i64, 0..1500i64], 0..60i64).prop_map(|(slots, seconds)| Event::Skip { slots, seconds }),
        6 => (back(), 0..60i64).prop_map(|(slots, seconds)| Event::Late { slots, seconds }),
        2 => (back(), 1..40i64).prop_map(|(slots, count)| Event::LateRun { slots, count }),
        1 => (-1..=1i64).prop_map(|seconds| Event::Oldest { seconds }),
        2 => (1..20i64).prop_map(|slots| Event::Again { slots }),
        2 => any::<bool>().prop_map(|fails| Event::Save { fails }),
        1 => back().prop_map(|slots| Event::Free { slots }),
        1 => (0..4usize, -1..=1i64).prop_map(|(index, seconds)| Event::FreeBuffer { index, seconds }),
    ]
}

/// Both chains, side by side.
struct Pair {
    real: Chain,
    naive: naive::Chain,
    pool: Pool,
    newest: i64,
    /// The middles of the slots written since the last snapshot.
    unsaved: BTreeSet<i64>,
    written: u64,
    value: f64,
}

impl Pair {
    fn new(frequency: i64) -> Self {
        let (real, naive) = (Chain::new(frequency), naive::Chain::new(frequency));
        let unsaved = BTreeSet::new();
        Self { real, naive, pool: Pool::default(), newest: BASE, unsaved, written: 0, value: 0.0 }
    }

    /// Writes to both; a stored sample can be read at its slot right away.
    fn write(&mut self, time: i64) -> Result<(), TestCaseError> {
        self.written += 1;
        self.value = nth_value(self.written);
        let oldest = self.newest - RETENTION_SECONDS;
        let was_empty = self.real.is_empty();
        let stored = self.real.write(time, self.value, oldest, &mut self.pool) == Written::Stored;
        prop_assert_eq!(stored, self.naive.write(time, self.value, oldest));
        prop_assert!(
            stored || (time < oldest && !was_empty),
            "only samples before the retention are refused"
        );
        if stored {
            let (index, slot) = self.naive.place(time).expect("it was stored");
            let frequency = self.naive.frequency;
            let middle = self.naive.buffers[index].first_write(frequency) + slot as i64 * frequency;
            self.unsaved.insert(middle);
            prop_assert!((middle - time).abs() <= frequency, "a sample stays within a slot of its time");
            prop_assert_eq!(bits(&values(&self.real, &self.pool, middle, middle + 1)), bits(&[self.value]));
        }
        self.newest = self.newest.max(time);
        Ok(())
    }

    fn free(&mut self, to: i64) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.real.free_before(to, &mut self.pool), self.naive.free_before(to));
        // A late sample may put a missing slot where one was that is gone: that is nothing to be saved.
        let stored = self.stored();
        self.unsaved.retain(|time| stored.contains_key(time));
        Ok(())
    }

    fn apply(&mut self, event: &Event) -> Result<(), TestCaseError> {
        let frequency = self.real.frequency();
        match *event {
            Event::InOrder { count, jitter } => {
                let start = self.newest;
                for index in 1..=count {
                    self.write(start + index * frequency + (index * 7919) % (jitter + 1))?;
                }
            }
            Event::Skip { slots, seconds } => self.write(self.newest + slots * frequency + seconds)?,
            Event::Late { slots, seconds } => self.write(self.newest - slots * frequency - seconds)?,
            Event::Oldest { seconds } => self.write(self.newest - RETENTION_SECONDS + seconds)?,
            Event::LateRun { slots, count } => {
                let start = self.newest - slots * frequency;
                for index in 0..count {
                    self.write(start + index * frequency)?;
                }
            }
            Event::Again { slots } => {
                let newest = self.newest;
                for slot in (0..slots).rev() {
                    self.write(newest - slot * frequency)?;
                }
            }
            Event::Save { fails } => {
                let mut handed_over = Vec::new();
                self.real.hand_over(|slots| handed_over.push(slots));
                prop_assert!(!self.real.has_unsaved());
                let before = std::mem::take(&mut self.unsaved);
                if fails {
                    self.write(self.newest + frequency)?;
                    handed_over.into_iter().for_each(|slots| self.real.take_back(slots));
                    self.unsaved.extend(before);
                }
            }
            Event::Free { slots } => self.free(self.newest - slots * frequency)?,
            Event::FreeBuffer { index, seconds } => {
                if let Some(buffer) = self.naive.buffers.get(index) {
                    self.free(buffer.end(frequency) + seconds)?;
                }
            }
        }
        self.check_buffers()?;
        self.check_unsaved()
    }

    /// The model's slots by their times.
    fn stored(&self) -> BTreeMap<i64, u64> {
        let frequency = self.naive.frequency;
        let slots = self.naive.buffers.iter().flat_map(|buffer| {
            let times = (0..).map(|slot: i64| buffer.first_write(frequency) + slot * frequency);
            times.zip(bits(&buffer.values))
        });
        slots.collect()
    }

    /// The runs for a snapshot hold what was written since the last one, and the values of today.
    fn check_unsaved(&self) -> Result<(), TestCaseError> {
        let frequency = self.real.frequency();
        let mut found = BTreeMap::new();
        let mut values = Vec::new();
        for run in self.real.unsaved_runs() {
            run.read(&mut values, &self.pool);
            found.extend(
                (0..)
                    .zip(bits(&values))
                    .map(|(slot, value): (i64, u64)| (run.start + slot * frequency, value)),
            );
        }
        let stored = self.stored();
        for (time, value) in &found {
            prop_assert_eq!(stored.get(time), Some(value), "a run has another value at {}", time);
        }
        for time in self.unsaved.iter().filter(|time| stored.contains_key(time)) {
            prop_assert!(found.contains_key(time), "what was written at {} is in no run", time);
        }
        Ok(())
    }

    fn check_buffers(&self) -> Result<(), TestCaseError> {
        let real: Vec<(i64, Vec<u64>)> =
            self.real.buffers().map(|buffer| (buffer.start(), bits(&buffer.values(&self.pool)))).collect();
        let naive: Vec<(i64, Vec<u64>)> =
            self.naive.buffers.iter().map(|buffer| (buffer.start, bits(&buffer.values))).collect();
        prop_assert_eq!(real, naive);
        Ok(())
    }

    /// What is read at a time is what some buffer has in the slot of that time, and nothing if none has one.
    ///
    /// The model could share a mistake here with what it is held against, and did: both read on in the next buffer with its
    /// slot 0 whatever the time, as both were written from one sentence, and no recorded answer there was came to
    /// slot 1. So this is said without a walk from buffer to buffer, of the list of buffers alone.
    fn check_times(&self, read: &naive::Read) -> Result<(), TestCaseError> {
        let frequency = self.naive.frequency;
        for (index, value) in read.values.iter().enumerate() {
            let time = read.from + index as i64 * frequency;
            let at = |buffer: &naive::Buffer| {
                let slot = usize::try_from((time - buffer.start).div_euclid(frequency)).ok()?;
                (slot < BUFFER_SLOTS).then(|| buffer.values.get(slot).copied().unwrap_or(f64::NAN))
            };
            let there: Vec<f64> = self.naive.buffers.iter().filter_map(at).collect();
            let found = bits(&there).contains(&bits(&[*value])[0]) || (there.is_empty() && value.is_nan());
            prop_assert!(found, "at {} there is {:?}, not {}", time, there, value);
        }
        Ok(())
    }

    fn check_read(&self, from: i64, to: i64) -> Result<(), TestCaseError> {
        let mut found = Vec::new();
        let span = self.real.read(from, to, &self.pool, |run| match run {
            Run::Missing(count) => found.resize(found.len() + count, f64::NAN),
            Run::Stored(values) => found.extend_from_slice(values),
        });
        let naive = self.naive.read(from, to);
        let expected =
            naive.as_ref().map(|read| Span { from: read.from, to: read.to, values: read.values.len() });
        prop_assert_eq!(span, expected, "read of {} to {}", from, to);
        prop_assert_eq!(self.real.span(from, to), span);
        prop_assert_eq!(bits(&found), naive.as_ref().map_or(Vec::new(), |read| bits(&read.values)));
        if let Some(read) = &naive {
            self.check_times(read)?;
        }
        self.check_read_on_grid(from, to)
    }

    /// As [`Self::check_read`], of the times `from, from + frequency, …` alone.
    fn check_read_on_grid(&self, from: i64, to: i64) -> Result<(), TestCaseError> {
        let span = self.real.span_on_grid(from, to);
        let naive = self.naive.read_on_grid(from, to);
        let expected =
            naive.as_ref().map(|read| Span { from: read.from, to: read.to, values: read.values.len() });
        prop_assert_eq!(span, expected, "read of {} to {} on its grid", from, to);
        let (Some(span), Some(read)) = (span, naive) else { return Ok(()) };
        let mut sums = vec![0.0; span.values];
        self.real.add(span.from, to, &self.pool, &mut sums);
        prop_assert_eq!(bits(&sums), bits(&read.values.iter().map(|value| 0.0 + value).collect::<Vec<_>>()));
        self.check_times(&read)
    }
}

/// Values of all kinds, each for a while: packing must not show.
fn nth_value(n: u64) -> f64 {
    let random =
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11;
    match n / 90 % 7 {
        0 => n as f64 * 1500.0 + (random % 1000) as f64,
        1 | 2 => (random % 10_000) as f64 / 100.0,
        3 => random as f64 / 3e10,
        4 => f64::from(random as f32),
        5 => 42.17,
        _ => [-0.0, 1e300, f64::INFINITY, 5e-324, 0.25, -7.0, f64::NAN][n as usize % 7],
    }
}

/// NaN equals NaN in these.
fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| if value.is_nan() { u64::MAX } else { value.to_bits() }).collect()
}

fn values(chain: &Chain, pool: &Pool, from: i64, to: i64) -> Vec<f64> {
    let mut found = Vec::new();
    chain.read(from, to, pool, |run| match run {
        Run::Missing(count) => found.resize(found.len() + count, f64::NAN),
        Run::Stored(values) => found.extend_from_slice(values),
    });
    found
}

proptest! {
    #![proptest_config(settings(2000, REGRESSIONS))]

    #[test]
    fn any_history_reads_as_the_model_does(
        frequency in select(vec![1i64, 10, 60, 7]),
        events in vec(event(), 1..14),
        ranges in vec((time(), time()), 4),
        near in vec((-1700..20i64, 0..60i64, -3..1200i64, 0..60i64), 12),
    ) {
        let mut pair = Pair::new(frequency);
        for event in &events {
            pair.apply(event)?;
        }
        for (from, to) in ranges {
            pair.check_read(from, to)?;
        }
        for (slots, seconds, span_slots, span_seconds) in near {
            let from = pair.newest + slots * frequency + seconds;
            pair.check_read(from, from + span_slots * frequency + span_seconds)?;
        }
        // Around every border between buffers.
        for buffer in pair.naive.buffers.clone() {
            for border in [buffer.start, buffer.end(frequency)] {
                for from in [border - 515 * frequency - 1, border - frequency, border - 1, border] {
                    for to in [border, border + 1, border + 2 * frequency] {
                        pair.check_read(from, to)?;
                    }
                }
            }
        }
    }

    #[test]
    fn reading_never_panics(
        frequency in select(vec![1i64, 7, 60, 2_592_000]),
        times in vec(prop_oneof![time(), -99_999_999_999..99_999_999_999i64], 1..6),
        from: i64,
        to: i64,
    ) {
        let mut chain = Chain::new(frequency);
        let mut pool = Pool::default();
        for time in times {
            chain.write(time.clamp(-99_999_999_999, 99_999_999_999), 1.0, i64::MIN, &mut pool);
        }
        for (from, to) in [(from, to), (i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (from, from), (0, to)] {
            if let Some(span) = chain.span(from, to) {
                prop_assert!(span.from >= from);
                prop_assert_eq!(span.to - span.from, span.values as i64 * frequency);
            }
        }
    }
}
