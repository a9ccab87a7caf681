//! Busy polling for a peer that asks again at once.
//!
//! Before it: the [`Stream`](super::Stream) of the peer, that found nothing to read after an answer. After it: the same, when there
//! is something, or when it has been long enough.
//!
//! A core that sleeps is woken through its ring, and where its CPU is a virtual one, through the hypervisor: with both
//! sides 50 µs and more, as long as a small query takes. A program that asks one query after the other would wait for that
//! every time. So if the last request came within [`SOON`] of the answer before, the next one is waited for by reading the
//! socket again and again.
//!
//! Others of the core pay little for it: their tasks run between two reads, the rings are looked at before the first, one
//! connection of a core polls at a time, and who does not come back soon is not waited for again.

use std::{
    cell::Cell,
    task::Context,
    time::{Duration, Instant},
};

use super::wake_after_turn;

/// How soon after an answer the next request must come, and how long it is polled for.
const SOON: Duration = Duration::from_micros(200);

thread_local! {
    /// Whether a connection of this core polls.
    static POLLS: Cell<bool> = const { Cell::new(false) };
}

/// What a connection knows of its peer's pace.
#[derive(Debug, Default)]
pub(super) struct BusyPoll {
    /// When the last answer was sent, until something is read.
    answered: Option<Instant>,
    /// The last request came soon.
    is_quick: bool,
    polling: Option<Polling>,
}

impl BusyPoll {
    /// An answer was sent; from now on the next request is waited for.
    pub(super) fn answered(&mut self) {
        self.answered = Some(Instant::now());
        self.polling = if self.is_quick { Polling::begin() } else { None };
    }

    /// Whether the socket is to be read without asking the ring.
    pub(super) fn is_on(&self) -> bool {
        self.polling.is_some()
    }

    /// Nothing was there. Whether the task will be woken to read again; otherwise the ring must tell it.
    pub(super) fn goes_on(&mut self, context: &Context<'_>) -> bool {
        let (Some(polling), Some(answered)) = (&mut self.polling, self.answered) else { return false };
        if !polling.has_looked {
            polling.has_looked = true;
            wake_after_turn(context.waker());
            return true;
        }
        if answered.elapsed() < SOON {
            context.waker().wake_by_ref();
            return true;
        }
        (self.polling, self.is_quick) = (None, false);
        false
    }

    /// Something was read.
    pub(super) fn received(&mut self) {
        // Only the first bytes of a request say something of the peer's pace.
        if let Some(answered) = self.answered.take() {
            (self.polling, self.is_quick) = (None, answered.elapsed() < SOON);
        }
    }
}

/// The right to poll, of one connection of a core.
#[derive(Debug)]
struct Polling {
    /// Everybody else of the core had a turn, and the rings were looked at.
    has_looked: bool,
}

impl Polling {
    fn begin() -> Option<Self> {
        (!POLLS.replace(true)).then_some(Self { has_looked: false })
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        POLLS.set(false);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// A connection whose peer has come back at once.
    fn quick() -> BusyPoll {
        let mut poll = BusyPoll::default();
        // Quick enough even for a machine that does something else meanwhile: one of many attempts.
        while !poll.is_quick {
            poll.answered();
            assert!(!poll.is_on(), "nothing is known of the peer yet");
            poll.received();
        }
        poll
    }

    #[test]
    fn who_came_back_at_once_is_polled_for_until_it_is_late() {
        let context = Context::from_waker(Waker::noop());
        let mut poll = quick();
        poll.answered();
        assert!(poll.is_on() && poll.goes_on(&context));
        let began = Instant::now();
        while poll.goes_on(&context) {
            assert!(began.elapsed() < Duration::from_secs(10), "polls for ever");
        }
        assert!(!poll.is_on());
        poll.received();
        poll.answered();
        assert!(!poll.is_on(), "it came late");
    }

    #[test]
    fn the_rest_of_a_request_says_nothing_of_the_pace() {
        let mut poll = quick();
        poll.received();
        assert!(poll.is_quick);
    }

    #[test]
    fn one_connection_of_a_core_polls_at_a_time() {
        let (mut first, mut second) = (quick(), quick());
        first.answered();
        second.answered();
        assert!(first.is_on() && !second.is_on());
        first.received();
        second.answered();
        assert!(second.is_on());
        drop(second);
        first.is_quick = true;
        first.answered();
        assert!(first.is_on(), "a connection that ended keeps nobody from polling");
    }
}
