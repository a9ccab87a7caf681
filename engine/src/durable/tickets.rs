//! Which appended blocks are acknowledged and which were lost: the bookkeeping behind a ticket.

use std::collections::VecDeque;

/// Failures remembered one by one. A ticket older than these that nobody has asked for until now counts as lost.
const FAILURES_MAX: usize = 64;

/// The number of an appended block: 1 for the first of this queue, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Waits,
    Acknowledged,
    Lost,
}

/// All blocks of a queue.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    appended: u64,
    /// Everything up to here is decided.
    acknowledged: u64,
    /// Everything up to here that was acknowledged is also durable.
    synced: u64,
    /// (last acknowledged, last lost) of every failure.
    lost: VecDeque<(u64, u64)>,
    forgotten: u64,
}

impl Tickets {
    pub(super) fn append(&mut self) -> Ticket {
        self.appended += 1;
        Ticket(self.appended)
    }

    /// The last one of all.
    pub(super) fn appended(&self) -> Ticket {
        Ticket(self.appended)
    }

    pub(super) fn acknowledged(&self) -> Ticket {
        Ticket(self.acknowledged)
    }

    pub(super) fn synced(&self) -> Ticket {
        Ticket(self.synced)
    }

    pub(super) fn acknowledge(&mut self, up_to: Ticket) {
        debug_assert!(up_to.0 <= self.appended && up_to.0 >= self.acknowledged);
        self.acknowledged = up_to.0;
    }

    pub(super) fn sync(&mut self, up_to: Ticket) {
        self.synced = up_to.0;
    }

    /// Everything appended and not acknowledged is lost; returns the last of these, if there are any.
    pub(super) fn lose(&mut self) -> Option<Ticket> {
        if self.acknowledged == self.appended {
            return None;
        }
        if self.lost.len() == FAILURES_MAX
            && let Some((_, last)) = self.lost.pop_front()
        {
            self.forgotten = last;
        }
        self.lost.push_back((self.acknowledged, self.appended));
        self.acknowledged = self.appended;
        Some(Ticket(self.appended))
    }

    pub(super) fn fate(&self, Ticket(ticket): Ticket) -> Fate {
        if ticket > self.acknowledged {
            Fate::Waits
        } else if ticket <= self.forgotten
            || self.lost.iter().any(|(before, last)| (before + 1..=*last).contains(&ticket))
        {
            Fate::Lost
        } else {
            Fate::Acknowledged
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_stays_lost_when_later_blocks_are_acknowledged() {
        let mut tickets = Tickets::default();
        let first = tickets.append();
        let second = tickets.append();
        tickets.acknowledge(first);
        assert_eq!(tickets.fate(second), Fate::Waits);
        assert_eq!(tickets.lose(), Some(second));
        let third = tickets.append();
        tickets.acknowledge(third);
        assert_eq!(
            [first, second, third].map(|ticket| tickets.fate(ticket)),
            [Fate::Acknowledged, Fate::Lost, Fate::Acknowledged]
        );
        assert_eq!(tickets.lose(), None);
    }

    #[test]
    fn what_is_forgotten_counts_as_lost() {
        let mut tickets = Tickets::default();
        for _ in 0..200 {
            tickets.append();
            assert!(tickets.lose().is_some());
        }
        assert!(tickets.lost.len() <= FAILURES_MAX);
        for ticket in 1..=200 {
            assert_eq!(tickets.fate(Ticket(ticket)), Fate::Lost, "{ticket}");
        }
        assert_eq!(tickets.fate(Ticket(201)), Fate::Waits);
    }
}
