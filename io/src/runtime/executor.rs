//! Pinned executors and the tasks on them.
//!
//! Before it: [`probe`](super::probe()) and [`usable_cpus`](super::usable_cpus). After it: the main future of each core,
//! which starts the pump and the listeners as tasks of its own.

use std::{
    any::Any,
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    time::Duration,
};

use futures_lite::FutureExt;
use glommio::{ExecutorJoinHandle, GlommioError, LocalExecutorBuilder, Placement, PoolPlacement};

use super::{ticker, turn};
use crate::telemetry;

/// glommio trap: the default of 10 MiB is registered with each of the executor's three rings and counts three times
/// against RLIMIT_MEMLOCK. This is the smallest size it takes; larger I/O buffers come from the heap.
const IO_MEMORY_BYTES: usize = 64 * 1024;

/// How long runnable tasks may keep the executor from its rings. glommio looks at timers, sockets and foreign wakes only
/// when no task is runnable or this timer has fired; with its default of 100 ms, a few streams that always have data
/// made every other connection wait for 110 ms. With 10 ms, the slowest answer under the same load took 33 ms. (glommio
/// trap: the shorter it is, the likelier the executor parks with runnable tasks; the timers of [`ticker`] bound that.)
const PREEMPT_TIMER: Duration = Duration::from_millis(10);

/// A running core. Dropping it detaches the thread.
#[derive(Debug)]
pub struct CoreThread {
    name: String,
    executor: ExecutorJoinHandle<Result<(), String>>,
}

/// The main future of a core panicked, or its executor failed.
#[derive(Debug, thiserror::Error)]
#[error("core thread {name} died: {text}")]
pub struct CoreDied {
    /// The name given to [`start_core`].
    pub name: String,
    /// The text of the panic or error.
    pub text: String,
}

/// Starts core number `index`: a thread called `name`, pinned to `cpu`, with an executor that runs the ticker and the
/// future made by `main`. Returns when `main` has been called on it. The core ends when that future ends; tasks still
/// running then are dropped.
///
/// No `spin_before_park`: spinning saves some microseconds of wake-up time on an idle core, but burns the CPU that
/// samples are paid with, and competes with the senders on a small machine. Who asks query after query is polled for by its
/// connection (`busy_poll`).
///
/// # Errors
/// The CPU cannot be used, or the thread or its rings cannot be created (see [`probe`](super::probe())).
pub fn start_core<F>(
    index: usize,
    cpu: usize,
    name: &str,
    main: impl FnOnce() -> F + Send + 'static,
) -> io::Result<CoreThread>
where
    F: Future<Output = ()> + 'static,
{
    let (started_tx, started) = mpsc::sync_channel(1);
    let thread_name = name.to_owned();
    // glommio trap: a builder with Placement::Fixed panics where the CPU topology in /sys cannot be read.
    let spawned = catch_unwind(AssertUnwindSafe(move || {
        LocalExecutorBuilder::new(Placement::Fixed(cpu))
            .name(&thread_name)
            .io_memory(IO_MEMORY_BYTES)
            .preempt_timer(PREEMPT_TIMER)
            // Blocking calls (directories, metadata) run where there is room, not in the way of this core.
            .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
            .spawn(move || async move {
                ticker::start();
                turn::start();
                let future = async move {
                    let future = main();
                    // Nobody hears it only if start_core has panicked meanwhile.
                    let _ = started_tx.send(());
                    future.await;
                };
                // glommio trap: a panic would unwind through the executor's own state; catch it at the root.
                AssertUnwindSafe(future).catch_unwind().await.map_err(|panic| panic_text(&*panic))
            })
    }));
    let failed = |text: String| {
        io::Error::other(format!("cannot start executor {name} (core {index}) on CPU {cpu}: {text}"))
    };
    let executor = match spawned {
        Ok(Ok(executor)) => executor,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(panic) => return Err(failed(panic_text(&*panic))),
    };
    let core = CoreThread { name: name.to_owned(), executor };
    match started.recv() {
        Ok(()) => Ok(core),
        // The sender is gone: the thread ended before `main` was called (no ring, no memory) or in it.
        Err(mpsc::RecvError) => Err(failed(match core.join() {
            Err(died) => died.text,
            Ok(()) => "it ended before it began".to_owned(),
        })),
    }
}

impl CoreThread {
    /// The name given to [`start_core`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until the core's main future has ended. Blocks: not for use on a core.
    ///
    /// # Errors
    /// The future panicked, or the executor failed: [`CoreDied`] carries the text.
    pub fn join(self) -> Result<(), CoreDied> {
        let ended = catch_unwind(AssertUnwindSafe(|| self.executor.join()));
        let text = match ended {
            Ok(Ok(Ok(()))) => return Ok(()),
            Ok(Ok(Err(text))) => text,
            Ok(Err(GlommioError::BuilderError(glommio::BuilderErrorKind::ThreadPanic(panic)))) => {
                panic_text(&*panic)
            }
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic_text(&*panic),
        };
        Err(CoreDied { name: self.name, text })
    }
}

/// Runs `future` as a detached task of this core; its first poll happens within the call. A panic in it is logged with
/// `name`, then the process aborts: the state the task shares with others of its core can no longer be trusted, and
/// the log makes what was acknowledged survive.
///
/// # Panics
/// On a thread without executor.
pub fn spawn(name: &'static str, future: impl Future<Output = ()> + 'static) {
    glommio::spawn_local(async move {
        // glommio trap: an uncaught panic in a detached task kills its executor and leaves the other cores waiting
        // for one that no longer answers.
        if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
            let text = panic_text(&*panic);
            tracing::error!("task {name} panicked, aborting: {text}");
            telemetry::abort();
        }
    })
    .detach();
}

/// Resolves after `duration`.
pub async fn sleep(duration: Duration) {
    glommio::timer::sleep(duration).await;
}

/// Gives way if the executor has events to look at: for loops that may run longer than a tick.
/// glommio trap: foreign wakes and the network are only seen at a preemption, so every such loop must call this.
pub async fn yield_if_needed() {
    glommio::yield_if_needed().await;
}

/// The text of a panic's payload.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without text".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        fs,
        rc::Rc,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        time::Instant,
    };

    use super::*;
    use crate::runtime::{
        testing::{cpu, log_to_stderr, on_core, rerun_in_child, start},
        usable_cpus,
    };

    #[test]
    fn a_core_runs_on_its_cpu_and_under_its_name() {
        for cpu in usable_cpus().unwrap() {
            let (status_tx, status) = mpsc::channel();
            let core = start_core(0, cpu, "pinned", move || async move {
                status_tx.send(fs::read_to_string("/proc/thread-self/status").unwrap()).unwrap();
            })
            .unwrap();
            core.join().unwrap();
            let status = status.recv().unwrap();
            let field = |key: &str| {
                status.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned())
            };
            assert_eq!(field("Cpus_allowed_list:"), Some(cpu.to_string()));
            assert!(field("Name:").unwrap().starts_with("pinned"), "{status}");
        }
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_an_error() {
        let error = start_core(3, 60_000, "nowhere", || async {}).unwrap_err().to_string();
        assert!(error.contains("core 3") && error.contains("CPU 60000"), "{error}");
    }

    #[test]
    fn join_gives_the_text_of_the_panic() {
        let core = start(0, cpu(0), async || panic!("for the {} test", "join"));
        let died = core.join().unwrap_err();
        assert_eq!(died.text, "for the join test");
    }

    #[test]
    fn a_panic_before_the_first_await_of_main_is_reported_by_start() {
        let main = || -> std::future::Ready<()> { panic!("no main") };
        let error = start_core(0, cpu(0), "stillborn", main).unwrap_err().to_string();
        assert!(error.contains("no main"), "{error}");
    }

    #[test]
    fn a_panic_in_a_task_aborts_the_process_and_names_the_task() {
        let child = rerun_in_child(
            "runtime::executor::tests::a_panic_in_a_task_aborts_the_process_and_names_the_task",
            || {
                log_to_stderr();
                on_core(async || {
                    spawn("doomed", async {
                        sleep(Duration::from_millis(10)).await;
                        panic!("task went wrong");
                    });
                    sleep(Duration::from_secs(30)).await;
                });
            },
        );
        let Some(output) = child else { return };
        use std::os::unix::process::ExitStatusExt;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(6), "{stderr}");
        assert!(stderr.contains("task doomed panicked, aborting: task went wrong"), "{stderr}");
    }

    /// A loop that only asks `yield_if_needed` must not keep a timer of the same core waiting.
    #[test]
    fn a_busy_task_lets_timers_fire() {
        let late = on_core(async || {
            let done = Rc::new(Cell::new(false));
            let seen = done.clone();
            spawn("busy", async move {
                while !seen.get() {
                    std::hint::black_box((0..1000).sum::<u64>());
                    yield_if_needed().await;
                }
            });
            let start = Instant::now();
            sleep(Duration::from_millis(20)).await;
            done.set(true);
            start.elapsed()
        });
        assert!(late < Duration::from_millis(95), "{late:?}");
    }

    /// Thousands of short sleeps on two cores: none may be late, which is what the parking bug would make them.
    #[test]
    fn short_sleeps_end_in_time_on_two_cores() {
        let slow = Arc::new(AtomicUsize::new(0));
        let cores: Vec<_> = (0..2)
            .map(|index| {
                let slow = slow.clone();
                start(index, cpu(index), async move || {
                    for round in 0..300_u64 {
                        let start = Instant::now();
                        sleep(Duration::from_micros(200 + 37 * (round % 50))).await;
                        if start.elapsed() > Duration::from_millis(150) {
                            slow.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        for core in cores {
            core.join().unwrap();
        }
        assert_eq!(slow.load(Ordering::Relaxed), 0);
    }
}
