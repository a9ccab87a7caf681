//! The heartbeat of an executor: one task per core that fires every 5 ms.
//!
//! glommio trap: it can park with runnable tasks. If the preempt timer fires before the first task of a turn has run (the
//! thread was descheduled), the turn ends, nothing seems to be left to do, and the executor sleeps until its ring reports
//! something. The ticker's timer is such an event, so the stall ends within a tick. But the ticker may itself be one of
//! the runnable tasks, and then no timer of its own is armed: hence the guards, tasks that do nothing but keep a later
//! timer pending. Never remove any of them.
//!
//! Besides, the tick sets the coarse clock, so that stamping a connection costs no system call, and wakes whoever
//! looks at something that other threads change.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::{sleep, spawn};

/// Milliseconds between two ticks.
pub const TICK_MS: u64 = 5;

/// How far ahead the guards keep a timer pending. The thread must have been descheduled for longer than the longest, and
/// then once more within microseconds, for all of them to be runnable when the executor parks.
const GUARD_INTERVALS: [Duration; 2] = [Duration::from_millis(31), Duration::from_millis(499)];

thread_local! {
    /// Milliseconds since the process's epoch at the last tick; 0 on threads that have no ticker.
    static NOW_MS: Cell<u64> = const { Cell::new(0) };
    /// How many ticks this thread has seen.
    static TICKS: Cell<u64> = const { Cell::new(0) };
    /// Who is woken at the next tick.
    static WAITING: RefCell<Vec<Waker>> = const { RefCell::new(Vec::new()) };
}

/// Monotonic milliseconds since (about) the start of the process: of the last tick on a core, exact on any other
/// thread. Never 0, never backwards on one thread; the threads share their zero.
#[must_use]
pub fn now_ms() -> u64 {
    match NOW_MS.get() {
        0 => exact_ms(),
        now => now,
    }
}

/// Resolves at the next tick of this core, at most about [`TICK_MS`] from now. Cheaper than a timer of one's own for
/// everything that looks at something periodically. On a thread without executor it never resolves.
pub fn next_tick() -> NextTick {
    NextTick { seen: TICKS.get(), registered: None }
}

/// The future of [`next_tick`].
#[derive(Debug)]
pub struct NextTick {
    seen: u64,
    registered: Option<Waker>,
}

impl Future for NextTick {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if TICKS.get() != self.seen {
            return Poll::Ready(());
        }
        // A task that is polled often between two ticks must not fill the list.
        if !self.registered.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            let waker = context.waker().clone();
            WAITING.with_borrow_mut(|waiting| waiting.push(waker.clone()));
            self.registered = Some(waker);
        }
        Poll::Pending
    }
}

/// Starts ticker and guards on this executor. The first tick is within the call: the clock is set when it returns.
pub(super) fn start() {
    spawn("ticker", async {
        loop {
            tick();
            sleep(Duration::from_millis(TICK_MS)).await;
        }
    });
    for interval in GUARD_INTERVALS {
        spawn("ticker guard", async move {
            loop {
                sleep(interval).await;
            }
        });
    }
}

/// Sets the clock and wakes who waits for a tick.
fn tick() {
    NOW_MS.set(exact_ms());
    TICKS.set(TICKS.get() + 1);
    // The list is taken out first: a wake may run code that registers again.
    let mut woken = WAITING.take();
    for waker in woken.drain(..) {
        waker.wake();
    }
    // Keep the larger allocation of the two.
    WAITING.with_borrow_mut(|waiting| {
        if waiting.is_empty() {
            *waiting = woken;
        }
    });
}

/// Milliseconds since the first call in this process, plus one.
fn exact_ms() -> u64 {
    now_ns() / 1_000_000 + 1
}

/// Monotonic nanoseconds since (about) the start of the process, exact on every thread.
#[must_use]
pub fn now_ns() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    u64::try_from(EPOCH.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;
    use crate::runtime::testing::on_core;

    #[test]
    fn the_clock_follows_real_time_while_a_core_runs() {
        let (coarse, real) = on_core(async || {
            let (start_ms, start) = (now_ms(), Instant::now());
            while now_ms() < start_ms + 100 {
                next_tick().await;
            }
            (now_ms() - start_ms, start.elapsed())
        });
        assert!(coarse >= 100);
        assert!(real >= Duration::from_millis(90), "{real:?}");
        assert!(real < Duration::from_secs(2), "{real:?}");
    }

    #[test]
    fn every_waiter_is_woken_and_none_is_registered_twice() {
        let (done, waiting) = on_core(async || {
            let done = Rc::new(Cell::new(0));
            for _ in 0..10 {
                let done = done.clone();
                spawn("waiter", async move {
                    let mut tick = next_tick();
                    futures_lite::future::poll_once(&mut tick).await;
                    futures_lite::future::poll_once(&mut tick).await;
                    tick.await;
                    done.set(done.get() + 1);
                });
            }
            let waiting = WAITING.with_borrow(Vec::len);
            next_tick().await;
            next_tick().await;
            (done.get(), waiting)
        });
        assert_eq!(done, 10);
        assert!(waiting <= 10, "{waiting}");
    }
}
