//! A single-threaded executor with virtual time: which runnable task is next comes from a seed, and time passes only
//! when none is runnable.
//!
//! Each task belongs to a core. When a task wakes one of another core, that core's tasks may run at once, within the call
//! that woke them, as they would on another CPU: so the order of two statements of a pump matters here as well.
//!
//! Before it: the tasks of the code under test, spawned through the simulated [`platform`](super::platform). After it:
//! one of the many orders in which a real machine could have run them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::random::Random;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Most turns of another core's tasks within a call that woke one of them.
const TURNS_WITHIN_MAX: u64 = 12;

thread_local! {
    /// Whose [`Executor::run`] is under way on this thread.
    static RUNNING: RefCell<Weak<Inner>> = const { RefCell::new(Weak::new()) };
}

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
    /// By number.
    tasks: RefCell<Vec<TaskState>>,
    /// The cores whose tasks are being polled: more than one if one ran within a call of the other.
    polled: RefCell<Vec<usize>>,
    woken: Arc<Woken>,
    runnable: RefCell<Vec<usize>>,
    /// By deadline and order of the call.
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
    timers_made: Cell<u64>,
    now_ns: Cell<u64>,
    random: RefCell<Random>,
}

struct TaskState {
    name: &'static str,
    core: usize,
    /// None while it runs and after it ended.
    task: Option<Task>,
    has_ended: bool,
    waker: Waker,
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
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.0.lock().expect("nobody panics with it").push(self.task);
        if let Some(running) = RUNNING.with_borrow(Weak::upgrade) {
            Executor(running).woken(self.task);
        }
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
            polled: RefCell::default(),
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

    /// Adds a task of the first core.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        self.spawn_on(0, name, task);
    }

    /// Adds a task of a core.
    pub fn spawn_on(&self, core: usize, name: &'static str, task: impl Future<Output = ()> + 'static) {
        let mut tasks = self.0.tasks.borrow_mut();
        self.0.runnable.borrow_mut().push(tasks.len());
        let waker = TaskWaker { task: tasks.len(), woken: Arc::clone(&self.0.woken) };
        tasks.push(TaskState {
            name,
            core,
            task: Some(Box::pin(task)),
            has_ended: false,
            waker: Waker::from(Arc::new(waker)),
        });
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
        RUNNING.set(Rc::downgrade(&self.0));
        for _ in 0..turns_max {
            if is_done() {
                return Ended::Done;
            }
            match self.next_task(None) {
                Some(task) => self.turn(task),
                None if self.pass_time() => {}
                None => return Ended::Stalled,
            }
        }
        Ended::TooLong
    }

    /// A task was woken: if it is of a core that is not being polled, by one that is, its core may run at once.
    fn woken(&self, task: usize) {
        let Some(core) = self.0.tasks.borrow().get(task).map(|state| state.core) else { return };
        {
            let polled = self.0.polled.borrow();
            if polled.is_empty() || polled.contains(&core) || self.0.random.borrow_mut().percent(50) {
                return;
            }
        }
        let turns = self.0.random.borrow_mut().within(1..TURNS_WITHIN_MAX + 1);
        for _ in 0..turns {
            let Some(task) = self.next_task(Some(core)) else { break };
            self.turn(task);
        }
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
        self.0.tasks.borrow().iter().filter(|state| !state.has_ended).map(|state| state.name).collect()
    }

    /// A runnable task, of one core alone if that is given.
    fn next_task(&self, core: Option<usize>) -> Option<usize> {
        let mut runnable = self.0.runnable.borrow_mut();
        runnable.append(&mut self.0.woken.0.lock().expect("nobody panics with it"));
        let tasks = self.0.tasks.borrow();
        let is_eligible = |&&task: &&usize| core.is_none_or(|core| tasks[task].core == core);
        let eligible =
            if core.is_none() { runnable.len() } else { runnable.iter().filter(is_eligible).count() };
        if eligible == 0 {
            return None;
        }
        let chosen = self.0.random.borrow_mut().index(eligible);
        let index = match core {
            None => chosen,
            Some(_) => {
                let mut indices = (0..runnable.len()).filter(|&index| is_eligible(&&runnable[index]));
                indices.nth(chosen)?
            }
        };
        Some(runnable.swap_remove(index))
    }

    fn turn(&self, number: usize) {
        let (mut task, waker, core) = {
            let mut tasks = self.0.tasks.borrow_mut();
            let Some(state) = tasks.get_mut(number) else { return };
            // One that is woken twice, or has ended.
            let Some(task) = state.task.take() else { return };
            (task, state.waker.clone(), state.core)
        };
        self.0.polled.borrow_mut().push(core);
        let is_pending = task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending();
        self.0.polled.borrow_mut().pop();
        if let Some(state) = self.0.tasks.borrow_mut().get_mut(number) {
            if is_pending {
                state.task = Some(task);
            } else {
                state.has_ended = true;
            }
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
