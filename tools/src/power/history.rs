//! What one client has sent, and where in the journal: what must be there after a loss of power follows from that.
//!
//! Each batch has one sample of each of some hosts, in a slot of its own ([`Ledger`]), and one sample in one of few slots that
//! are written again and again: in those an older value must never come back.

use std::fmt::Write as _;

use crate::crash::ledger::{Fate, Findings, Ledger};
use crate::crash::rounds::{batch_lines, time_of};

/// Slots of the series that is written again and again.
pub const SLOTS_REWRITTEN: u64 = 8;
/// What is added to the number of a batch, so that a value is no whole number.
const FRACTION: f64 = 0.125;

/// What is known of a batch.
#[derive(Clone, Copy, Debug)]
struct Batch {
    /// Operations before it was sent.
    sent_at: usize,
    /// Operations before its answer of 200 was read.
    acknowledged_at: Option<usize>,
}

/// Everything one client has sent.
#[derive(Clone, Debug)]
pub struct History {
    seed: u64,
    writer: usize,
    ledger: Ledger,
    batches: Vec<Batch>,
}

impl History {
    /// Nothing sent yet.
    #[must_use]
    pub fn new(seed: u64, writer: usize) -> Self {
        Self { seed, writer, ledger: Ledger::new(seed, writer), batches: Vec::new() }
    }

    /// What is known when the power has failed after so many operations, `done` of which have ended, for a new journal.
    #[must_use]
    pub fn after(&self, operations: usize, done: usize) -> Self {
        let is_acknowledged = |fate| (fate == Fate::Acknowledged).then_some(0);
        let fates = self.fates(operations, done);
        let batches =
            fates.map(|fate| Batch { sent_at: 0, acknowledged_at: is_acknowledged(fate) }).collect();
        Self { batches, ..Self::new(self.seed, self.writer) }
    }

    /// The host whose slots are written again and again.
    #[must_use]
    pub fn rewritten_host(&self) -> String {
        format!("w{}again", self.writer)
    }

    /// The lines of the next batch.
    pub fn next_lines(&self, lines: &mut String) {
        let batch = self.batches.len() as u64;
        batch_lines(lines, &self.ledger, self.writer, batch);
        let (host, time) = (self.rewritten_host(), time_of(batch % SLOTS_REWRITTEN));
        // A string takes everything.
        let _ =
            writeln!(lines, "clock,cluster=crash,hostname={host} value={} {time}", rewritten_value(batch));
    }

    /// Remembers what became of the next batch.
    pub fn push(&mut self, sent_at: usize, acknowledged_at: Option<usize>) {
        self.batches.push(Batch { sent_at, acknowledged_at });
    }

    /// How many batches were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.batches.iter().filter(|batch| batch.acknowledged_at.is_some()).count()
    }

    /// What was sent before so many operations, and what was acknowledged before so many.
    fn fates(&self, sent_before: usize, done: usize) -> impl Iterator<Item = Fate> + '_ {
        self.batches.iter().take_while(move |batch| batch.sent_at < sent_before).map(move |batch| match batch
            .acknowledged_at
        {
            Some(acknowledged_at) if acknowledged_at <= done => Fate::Acknowledged,
            _ => Fate::InFlight,
        })
    }

    /// What must and may be there of the slots that are written once, if the power fails after so many operations, `done` of
    /// which have ended.
    #[must_use]
    pub fn ledger(&self, operations: usize, done: usize) -> Ledger {
        let mut ledger = Ledger::new(self.seed, self.writer);
        self.fates(operations, done).for_each(|fate| ledger.push(fate));
        ledger
    }

    /// Compares what the daemon answered for the slots that are written again and again.
    #[must_use]
    pub fn check_rewritten(&self, operations: usize, done: usize, answered: &[Option<f64>]) -> Findings {
        let mut findings = Findings::default();
        let fates: Vec<_> = self.fates(operations, done).collect();
        for slot in 0..SLOTS_REWRITTEN {
            let of_slot = || (slot..fates.len() as u64).step_by(SLOTS_REWRITTEN as usize);
            let last = of_slot().filter(|&batch| fates[batch as usize] == Fate::Acknowledged).last();
            let got = answered.get(slot as usize).copied().flatten();
            let batch = got.and_then(|got| of_slot().find(|&batch| rewritten_value(batch) == got));
            match (last, got, batch) {
                (_, Some(_), None) => findings.invented += 1,
                (None, _, Some(_)) => findings.in_flight_present += 1,
                (Some(last), _, Some(batch)) if batch >= last => findings.present += 1,
                (Some(_), ..) => findings.lost += 1,
                (None, None, _) => {}
            }
        }
        findings
    }
}

/// A value that an f32 holds exactly.
fn rewritten_value(batch: u64) -> f64 {
    batch as f64 + FRACTION
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two operations a batch; the last one is not acknowledged.
    fn history() -> History {
        let mut history = History::new(7, 1);
        (0..20).for_each(|batch| history.push(2 * batch, Some(2 * batch + 2)));
        history.push(40, None);
        history
    }

    #[test]
    fn what_counts_follows_from_the_position() {
        let history = history();
        let fates = |operations, done| history.ledger(operations, done);
        assert_eq!((fates(0, 0).next(), fates(0, 0).acknowledged()), (0, 0));
        assert_eq!((fates(4, 4).next(), fates(4, 4).acknowledged()), (2, 2));
        assert_eq!((fates(4, 3).next(), fates(4, 3).acknowledged()), (2, 1), "one under way");
        assert_eq!((fates(5, 5).next(), fates(5, 5).acknowledged()), (3, 2));
        assert_eq!((fates(99, 99).next(), fates(99, 99).acknowledged()), (21, 20));
    }

    #[test]
    fn a_loss_of_power_settles_what_was_acknowledged() {
        let after = history().after(5, 5);
        let ledger = after.ledger(1, 0);
        assert_eq!((ledger.next(), ledger.acknowledged()), (3, 2));
    }

    #[test]
    fn an_older_value_must_not_come_back() {
        let history = history();
        let check = |slot: usize, value: Option<f64>| {
            // The last that was acknowledged of each slot.
            let last = |slot: u64| rewritten_value(if slot < 4 { 16 + slot } else { 8 + slot });
            let mut answered: Vec<_> = (0..SLOTS_REWRITTEN).map(|slot| Some(last(slot))).collect();
            answered[slot] = value;
            let found = history.check_rewritten(99, 99, &answered);
            (found.present, found.lost, found.invented)
        };
        assert_eq!(check(0, Some(rewritten_value(16))), (8, 0, 0));
        assert_eq!(check(0, Some(rewritten_value(8))), (7, 1, 0));
        assert_eq!(check(0, None), (7, 1, 0));
        assert_eq!(check(4, Some(rewritten_value(20))), (8, 0, 0), "may be there");
        assert_eq!(check(4, Some(rewritten_value(28))), (7, 0, 1), "was never sent");
        assert_eq!(check(4, Some(rewritten_value(13))), (7, 0, 1), "belongs to another slot");
        let nothing = history.check_rewritten(0, 0, &[]);
        assert!(nothing.is_clean());
    }
}
