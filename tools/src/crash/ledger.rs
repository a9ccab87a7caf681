//! What one writer has sent: which values must be there, which may, and which must not.
//!
//! A writer sends batches, one tick each, with one sample for each of its hosts. A tick stands for a time, a tick and a
//! host for a value, so nothing but the fate of each batch has to be remembered.

/// What is known of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answered with 200: must be there.
    Acknowledged,
    /// Under way when the daemon was killed: each sample may be there.
    InFlight,
}

/// How often something was found, and what is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Acknowledged samples that are there.
    pub present: u64,
    /// Samples in flight that are there.
    pub in_flight_present: u64,
    /// Acknowledged samples that are missing or have another value.
    pub lost: u64,
    /// Values that nobody sent.
    pub invented: u64,
}

impl Findings {
    /// Adds those of another query.
    pub fn add(&mut self, other: Self) {
        self.present += other.present;
        self.in_flight_present += other.in_flight_present;
        self.lost += other.lost;
        self.invented += other.invented;
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.invented == 0
    }
}

/// Everything one writer has sent so far.
#[derive(Clone, Debug)]
pub struct Ledger {
    seed: u64,
    writer: usize,
    fates: Vec<Fate>,
}

/// Ticks go forth and back within so many: some samples of nearly every batch are late.
const SHUFFLE: u64 = 5;

impl Ledger {
    /// Nothing sent yet.
    #[must_use]
    pub fn new(seed: u64, writer: usize) -> Self {
        Self { seed, writer, fates: Vec::new() }
    }

    /// Number of the next batch.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.fates.len() as u64
    }

    /// How many batches were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.fates.iter().filter(|&&fate| fate == Fate::Acknowledged).count() as u64
    }

    /// Remembers what became of the next batch.
    pub fn push(&mut self, fate: Fate) {
        self.fates.push(fate);
    }

    /// The slot of a batch, or, since going forth and back is symmetric, the batch of a slot.
    #[must_use]
    pub fn slot(batch: u64) -> u64 {
        batch ^ SHUFFLE
    }

    /// Slots from here on hold nothing of this ledger.
    #[must_use]
    pub fn slots_end(&self) -> u64 {
        self.next() + SHUFFLE + 1
    }

    /// The value of a batch's sample of a host: not representable in an f32, with few enough digits to survive the
    /// three decimals of an answer.
    #[must_use]
    pub fn value(&self, host: usize, batch: u64) -> f64 {
        let mut hash = self.seed ^ (self.writer as u64) << 48 ^ (host as u64) << 40 ^ batch;
        for _ in 0..2 {
            hash = (hash ^ hash >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        // 2²⁴ and above an f32 has no fractions left.
        f64::from(1 << 24) + (hash >> 40) as f64 + 0.125
    }

    /// Compares what the daemon answered for the slots from `first` on with what was sent.
    #[must_use]
    pub fn check(&self, host: usize, first: u64, answered: &[Option<f64>]) -> Findings {
        let mut findings = Findings::default();
        let end = self.slots_end().max(first + answered.len() as u64);
        for slot in first..end {
            let batch = Self::slot(slot);
            let got = answered.get((slot - first) as usize).copied().flatten();
            let fate = usize::try_from(batch).ok().and_then(|batch| self.fates.get(batch));
            let is_right = got.is_some_and(|got| is_stored_form(got, self.value(host, batch)));
            match (fate, got) {
                (Some(Fate::Acknowledged), _) if is_right => findings.present += 1,
                (Some(Fate::Acknowledged), _) => findings.lost += 1,
                (Some(Fate::InFlight), Some(_)) if is_right => findings.in_flight_present += 1,
                (_, Some(_)) => findings.invented += 1,
                (_, None) => {}
            }
        }
        findings
    }
}

/// A value comes back exactly, or as the f32 that a snapshot holds.
fn is_stored_form(got: f64, sent: f64) -> bool {
    // Snapshots hold f32 by their format (SPEC section 5).
    let snapshot = f64::from(sent as f32);
    got == sent || got == snapshot
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Ledger {
        let mut ledger = Ledger::new(7, 1);
        (0..16).for_each(|_| ledger.push(Fate::Acknowledged));
        ledger.push(Fate::InFlight);
        ledger
    }

    fn answer(ledger: &Ledger) -> Vec<Option<f64>> {
        (0..24)
            .map(|slot| {
                Some(Ledger::slot(slot)).filter(|&batch| batch < 16).map(|batch| ledger.value(3, batch))
            })
            .collect()
    }

    #[test]
    fn what_was_acknowledged_must_be_there() {
        let ledger = sent();
        let whole = answer(&ledger);
        assert_eq!(ledger.check(3, 0, &whole), Findings { present: 16, ..Findings::default() });
        let rounded: Vec<_> = whole.iter().map(|value| value.map(|value| f64::from(value as f32))).collect();
        assert_eq!(ledger.check(3, 0, &rounded).present, 16);
        for slot in 0..16 {
            let mut damaged = whole.clone();
            damaged[slot] = None;
            assert_eq!(ledger.check(3, 0, &damaged).lost, 1);
            damaged[slot] = Some(1.0);
            assert_eq!(ledger.check(3, 0, &damaged).lost, 1);
        }
        assert_eq!(ledger.check(3, 0, &whole[..10]).lost, 6);
        assert_eq!(ledger.check(3, 0, &[]).lost, 16);
    }

    #[test]
    fn what_was_in_flight_may_be_there_and_nothing_else() {
        let ledger = sent();
        let mut more = answer(&ledger);
        let slot = Ledger::slot(16) as usize;
        more[slot] = Some(ledger.value(3, 16));
        assert_eq!(ledger.check(3, 0, &more).in_flight_present, 1);
        more[slot] = Some(5.0);
        assert_eq!(ledger.check(3, 0, &more).invented, 1);
        more[slot] = None;
        more[23] = Some(5.0);
        assert_eq!(ledger.check(3, 0, &more).invented, 1);
    }
}
