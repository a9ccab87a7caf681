//! Turns of the executor's rings, for tasks that have work for many turns.
//!
//! glommio trap: as long as any task is runnable, completions of file I/O and timers are seen when the preempt timer fires,
//! not when it is a task's turn again. A sample that is to be written, made durable and acknowledged needs several such
//! looks. So a task that would be runnable all the time waits for one here: when every task waits for something, the executor
//! looks at all rings, and a timer that is over already keeps it from sleeping.

use std::{
    cell::RefCell,
    future::poll_fn,
    task::{Poll, Waker},
    time::Duration,
};

use super::{executor::sleep, spawn};

/// Just long enough not to be over when it is first looked at, so that the rings are; over when they are, so that nothing
/// sleeps for it.
const SHORTEST_TIMER: Duration = Duration::from_nanos(500);

#[derive(Debug, Default)]
struct Turns {
    /// Who is woken after the next look.
    waiting: Vec<Waker>,
    /// The task of this core that makes the looks; `None` on threads without executor.
    task: Option<Waker>,
}

thread_local! {
    static TURNS: RefCell<Turns> = RefCell::default();
}

/// Wakes `waker` when the other runnable tasks of this core have had their turn and the executor has looked at its rings. On
/// a thread without executor, at once.
pub fn wake_after_turn(waker: &Waker) {
    let woken_now = TURNS.with_borrow_mut(|turns| {
        let Some(task) = &turns.task else { return Some(waker.clone()) };
        if turns.waiting.last().is_some_and(|last| last.will_wake(waker)) {
            return None;
        }
        turns.waiting.push(waker.clone());
        // Who came first has called it already.
        (turns.waiting.len() == 1).then(|| task.clone())
    });
    // Not under the borrow: it may run code of others.
    if let Some(waker) = woken_now {
        waker.wake();
    }
}

/// Resolves after a turn as in [`wake_after_turn`], or when the task is woken for something else.
pub async fn reactor_turn() {
    let mut is_over = false;
    poll_fn(|context| {
        if is_over {
            return Poll::Ready(());
        }
        is_over = true;
        wake_after_turn(context.waker());
        Poll::Pending
    })
    .await;
}

/// Starts the task that makes the looks. The first is for nobody.
pub(super) fn start() {
    spawn("reactor turns", async {
        loop {
            poll_fn(|context| {
                TURNS.with_borrow_mut(|turns| {
                    if !turns.waiting.is_empty() {
                        return Poll::Ready(());
                    }
                    if !turns.task.as_ref().is_some_and(|task| task.will_wake(context.waker())) {
                        turns.task = Some(context.waker().clone());
                    }
                    Poll::Pending
                })
            })
            .await;
            sleep(SHORTEST_TIMER).await;
            let mut woken = TURNS.with_borrow_mut(|turns| std::mem::take(&mut turns.waiting));
            for waker in woken.drain(..) {
                waker.wake();
            }
            // Keep the allocation.
            TURNS.with_borrow_mut(|turns| {
                if turns.waiting.is_empty() {
                    turns.waiting = woken;
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc, time::Instant};

    use super::*;
    use crate::runtime::{next_tick, testing::on_core};

    /// Runs tasks that are never idle, giving way with `give_way`, for some ticks; the mean time of a tick meanwhile.
    fn tick_under_load<F: Future<Output = ()> + 'static>(give_way: fn() -> F) -> Duration {
        on_core(async move || {
            let done = Rc::new(Cell::new(false));
            for _ in 0..2 {
                let done = done.clone();
                spawn("busy", async move {
                    while !done.get() {
                        let began = Instant::now();
                        while began.elapsed() < Duration::from_micros(100) {}
                        give_way().await;
                    }
                });
            }
            let ticks = 20;
            let began = Instant::now();
            for _ in 0..ticks {
                next_tick().await;
            }
            done.set(true);
            began.elapsed() / ticks
        })
    }

    #[test]
    fn timers_fire_on_time_beside_tasks_that_are_never_idle() {
        // A tick is 5 ms, a look without turns comes every 10 ms; other programs may delay either.
        let best = (0..5).map(|_| tick_under_load(reactor_turn)).min().unwrap();
        assert!(best < Duration::from_millis(8), "{best:?}");
    }

    /// The order in which a task that waits for turns and one that only gives way run.
    fn order_of_turns_and_runs() -> Vec<&'static str> {
        on_core(async || {
            let order = Rc::new(RefCell::new(Vec::new()));
            let seen = order.clone();
            spawn("waits", async move {
                for _ in 0..3 {
                    seen.borrow_mut().push("turn");
                    reactor_turn().await;
                }
            });
            let seen = order.clone();
            spawn("runs", async move {
                for _ in 0..3 {
                    seen.borrow_mut().push("run");
                    futures_lite::future::yield_now().await;
                }
            });
            while Rc::strong_count(&order) > 1 {
                next_tick().await;
            }
            order.take()
        })
    }

    #[test]
    fn who_waits_for_a_turn_lets_all_others_run_first() {
        let mut orders = (0..20).map(|_| order_of_turns_and_runs());
        // When the core loses its CPU, the preempt timer is over too soon, and the turn with it.
        let found = orders.any(|order| order == ["turn", "run", "run", "run", "turn", "turn"]);
        assert!(found, "not in any of 20 attempts");
    }

    #[test]
    fn without_an_executor_nobody_waits_for_ever() {
        futures_lite::future::block_on(reactor_turn());
    }
}
