//! A single-threaded executor with virtual time: which runnable task is next comes from a seed, and time passes only
//! when none is runnable.
//!
//! Before it: the tasks of the code under test, spawned through the simulated [`platform`](super::platform). After it:
//! one of the many orders in which a real machine could have run them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::random::Random;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// What was waited for came true.
    Done,
    /// All tasks wait, and none for a time: they will for ever.
    Stalled,
    /// More turns than allowed.
    TooLong,
}

/// Runs tasks. Cheap to clone; all clones are the same executor.
#[derive(Clone)]
pub struct Executor(Rc<Inner>);

struct Inner {
    /// By number; none while it runs or after it ended.
    tasks: RefCell<Vec<Option<(&'static str, Task)>>>,
    woken: Arc<Woken>,
    runnable: RefCell<Vec<usize>>,
    /// By deadline and order of the call.
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
    timers_made: Cell<u64>,
    now_ns: Cell<u64>,
    random: RefCell<Random>,
}

/// Tasks to be run: wakers must be `Send`, although nothing here leaves its thread.
#[derive(Default)]
struct Woken(Mutex<Vec<usize>>);

struct TaskWaker {
    task: usize,
    woken: Arc<Woken>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.woken.0.lock().expect("nobody panics with it").push(self.task);
    }
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("now_ns", &self.now_ns()).finish_non_exhaustive()
    }
}

impl Executor {
    /// An executor without tasks, at this time.
    #[must_use]
    pub fn new(random: Random, now_ns: u64) -> Self {
        Self(Rc::new(Inner {
            tasks: RefCell::default(),
            woken: Arc::default(),
            runnable: RefCell::default(),
            timers: RefCell::default(),
            timers_made: Cell::default(),
            now_ns: now_ns.into(),
            random: random.into(),
        }))
    }

    /// The virtual time.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.0.now_ns.get()
    }

    /// Adds a task.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        let mut tasks = self.0.tasks.borrow_mut();
        self.0.runnable.borrow_mut().push(tasks.len());
        tasks.push(Some((name, Box::pin(task))));
    }

    /// Resolves after so many nanoseconds of virtual time.
    pub async fn sleep_ns(&self, duration_ns: u64) {
        let deadline = self.now_ns().saturating_add(duration_ns);
        let mut key = None;
        std::future::poll_fn(|context| {
            if self.now_ns() >= deadline {
                return Poll::Ready(());
            }
            let key = *key.get_or_insert_with(|| {
                self.0.timers_made.set(self.0.timers_made.get() + 1);
                (deadline, self.0.timers_made.get())
            });
            self.0.timers.borrow_mut().insert(key, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Runs until `is_done`, looking after every turn of a task, for at most so many turns.
    pub fn run(&self, turns_max: u64, mut is_done: impl FnMut() -> bool) -> Ended {
        for _ in 0..turns_max {
            if is_done() {
                return Ended::Done;
            }
            match self.next_task() {
                Some(task) => self.turn(task),
                None if self.pass_time() => {}
                None => return Ended::Stalled,
            }
        }
        Ended::TooLong
    }

    /// Ends all tasks where they are, as the end of a process does.
    pub fn kill(&self) {
        // A task may spawn or wake others while it is dropped: those end as well.
        while let Some(task) = { self.0.tasks.borrow_mut().pop() } {
            drop(task);
        }
        self.0.timers.take();
        self.0.runnable.take();
    }

    /// The names of the tasks that have not ended.
    #[must_use]
    pub fn tasks(&self) -> Vec<&'static str> {
        self.0.tasks.borrow().iter().flatten().map(|(name, _)| *name).collect()
    }

    fn next_task(&self) -> Option<usize> {
        let mut runnable = self.0.runnable.borrow_mut();
        runnable.append(&mut self.0.woken.0.lock().expect("nobody panics with it"));
        if runnable.is_empty() {
            return None;
        }
        let index = self.0.random.borrow_mut().index(runnable.len());
        Some(runnable.swap_remove(index))
    }

    fn turn(&self, number: usize) {
        // One that is woken twice, or has ended.
        let Some((name, mut task)) = self.0.tasks.borrow_mut().get_mut(number).and_then(Option::take) else {
            return;
        };
        let waker = Waker::from(Arc::new(TaskWaker { task: number, woken: Arc::clone(&self.0.woken) }));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            && let Some(place) = self.0.tasks.borrow_mut().get_mut(number)
        {
            *place = Some((name, task));
        }
    }

    /// Goes on to the next deadline; `false` if there is none.
    fn pass_time(&self) -> bool {
        let Some(((deadline, _), waker)) = self.0.timers.borrow_mut().pop_first() else { return false };
        self.0.now_ns.set(self.now_ns().max(deadline));
        waker.wake();
        true
    }
}
