//! Models of `engine/src/sync/` under every interleaving: one property a test, small capacities.
//!
//! Each test is listed in [`faults`] with the faults that it must notice.
#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "a model fails where it cannot go on")]

mod bed;
mod budget;
mod countdown;
mod directory;
mod doorbell;
mod faults;
mod flag;
mod mailbox;
mod mesh;
mod note;
mod published;
mod stop;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs a model under every interleaving, or under those with at most so many preemptions where all of them would take
/// too long.
///
/// Fewer than `runs_min` of them is an error: loom looks for races only of an access with the *last* access to the same
/// atomic, so a model whose main thread (which runs first) only looks, and whose other thread looks itself before it
/// writes, is run once and shows nothing. So writers are in the main thread, and readers in others.
#[track_caller]
fn check(preemptions_max: Option<usize>, runs_min: usize, model: impl Fn() + Sync + Send + 'static) {
    // The standard library's: it counts over all runs.
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions_max;
    builder.max_branches = 20_000;
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let runs = runs.load(Ordering::Relaxed);
    println!("{runs} interleavings");
    // A run with a fault has to fail in the model.
    assert!(runs >= runs_min || faults::any_is_on(), "only {runs} interleavings were run");
}

/// Runs a model under every interleaving, of which there are at least so many.
#[track_caller]
fn every(runs_min: usize, model: impl Fn() + Sync + Send + 'static) {
    check(None, runs_min, model);
}

/// Runs a model under every interleaving with at most so many preemptions, of which there are at least so many.
#[track_caller]
fn bounded(preemptions_max: usize, runs_min: usize, model: impl Fn() + Sync + Send + 'static) {
    check(Some(preemptions_max), runs_min, model);
}
