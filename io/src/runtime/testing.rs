//! What the tests of the runtime and of the listeners share: cores for the length of a test, child processes.

use std::{
    env, fmt,
    future::Future,
    process::{Command, Output},
    sync::mpsc,
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

use super::{CoreThread, start_core, usable_cpus};

/// The CPU for the core of this number; machines with fewer CPUs share them.
pub(crate) fn cpu(index: usize) -> usize {
    let cpus = usable_cpus().unwrap();
    cpus[index % cpus.len()]
}

/// Starts a core that runs `main`.
pub(crate) fn start<F: Future<Output = ()> + 'static>(
    index: usize,
    cpu: usize,
    main: impl FnOnce() -> F + Send + 'static,
) -> CoreThread {
    start_core(index, cpu, "test", main).unwrap()
}

/// Runs `main` on a core of its own and returns its result.
pub(crate) fn on_core<T: Send + 'static, F: Future<Output = T> + 'static>(
    main: impl FnOnce() -> F + Send + 'static,
) -> T {
    let (result_tx, result) = mpsc::channel();
    let core = start(0, cpu(0), move || {
        let future = main();
        async move { result_tx.send(future.await).unwrap() }
    });
    core.join().unwrap();
    result.recv().unwrap()
}

/// Runs `body` in a child process: the same test of the same binary, told by a variable which side it is.
/// `None` in the child, after `body`; the child's output in the parent. `test` is the full name of the calling test,
/// from the module root of the crate.
pub(crate) fn rerun_in_child(test: &str, body: impl FnOnce()) -> Option<Output> {
    const CHILD: &str = "CC_METRIC_STORE_TEST_CHILD";
    if env::var_os(CHILD).is_some_and(|name| name == test) {
        body();
        return None;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(CHILD, test)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("running 1 test"), "no test is called {test}: {stdout}");
    Some(output)
}

/// Writes the message of every event to stderr, for tests that look at a child's log.
pub(crate) fn log_to_stderr() {
    tracing::subscriber::set_global_default(Stderr).unwrap();
}

struct Stderr;

impl Subscriber for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

struct Message;

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            eprintln!("{value:?}");
        }
    }
}
