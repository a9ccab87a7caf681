//! The pump: the one task of a core that owns its shard (DESIGN decision 1).
//!
//! It takes events from all mailboxes in turn, a bounded number from each, and works on what takes long (queries,
//! frees, dumps, health checks) in slices between them. Nothing of the shard is borrowed across an await.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::memory::shard::Shard;
use engine::series::directory::HostPublisher;
use futures_lite::FutureExt;

use super::event::{CallId, CoreEvent, Reply, Request, Work};
use super::job::Job;
use super::journal::Journal;
use super::mesh::Incoming;
use super::{Core, Stopping};
use crate::metrics::core_metrics::{CoreMetrics, PumpState};
use crate::runtime::{next_tick, reactor_turn, yield_if_needed};
use crate::systemd::Pulse;

/// Events taken from one core before the next has its turn.
const EVENTS_PER_TURN: usize = 16;
/// Time a turn may spend on jobs while events wait.
const JOB_SLICE: Duration = Duration::from_micros(250);
/// Steps of a job before the next one has its turn.
const JOB_STEPS: usize = 8;

/// A job under way, and whom to tell.
#[derive(Debug)]
struct RunningJob {
    from: usize,
    call: CallId,
    job: Job,
}

/// Runs a core's pump until every core has made its last checkpoint.
///
/// Returns the log, which holds nothing that is not acknowledged.
pub async fn run(
    core: Rc<Core>,
    mut incoming: Incoming,
    mut shard: Shard,
    mut journal: Journal,
    mut hosts: HostPublisher,
    stopping: Arc<Stopping>,
    mut pulse: Pulse,
) -> Journal {
    let mut jobs: VecDeque<RunningJob> = VecDeque::new();
    loop {
        let over = stopping.unsaved.is_over();
        journal.begin_turn().await;
        core.counters.turns.increment();
        pulse.beat();
        let mut busy = false;
        for from in 0..incoming.cores() {
            let mut taken = 0;
            // Without room for the log events wait where they are: the next turn begins when there is.
            while taken < EVENTS_PER_TURN
                && journal.has_room()
                && let Some(event) = incoming.receive(from)
            {
                taken += 1;
                match event {
                    CoreEvent::Reply(call, reply) => core.calls.reply(&core, call, from, reply),
                    CoreEvent::Newcomer(newcomer) => core.newcomers.push(newcomer),
                    CoreEvent::Request(call, Request::Write(batch)) => {
                        journal.write(&mut shard, from, batch, (from, call));
                    }
                    // In the log before its buffers are gone, so that they do not come back after a crash.
                    CoreEvent::Request(call, Request::Work(Work::Free(free))) => {
                        journal.free(&shard, free, (from, call));
                    }
                    CoreEvent::Request(call, Request::Work(wanted)) => {
                        jobs.push_back(RunningJob { from, call, job: Job::new(wanted, &shard) });
                    }
                    CoreEvent::Request(call, Request::Metrics) => {
                        let state = PumpState { mailbox_messages: incoming.waiting(), jobs: jobs.len() };
                        let metrics = CoreMetrics::take(&core, &shard, &journal.queue(), state);
                        core.outgoing.send_reply(from, call, Reply::Metrics(Box::new(metrics)));
                    }
                }
            }
            if taken > 0 {
                core.counters.messages.add(taken as u64);
                incoming.made_room(from);
                busy = true;
            }
        }
        // Before anybody can be told that a sample is stored: replies to writes come after this or from other tasks.
        hosts.publish(&mut shard);
        journal.end_block(&shard);
        for (from, call, free) in core.recorded_frees.borrow_mut().drain(..) {
            busy = true;
            jobs.push_back(RunningJob { from, call, job: Job::new(Work::Free(free), &shard) });
        }
        busy |= work(&core, &mut shard, &mut hosts, &mut jobs);
        core.outgoing.flush();
        if busy {
            // The connections have their turn: with jobs under way always, and the disk too, else when they ask for it.
            if jobs.is_empty() { yield_if_needed().await } else { reactor_turn().await }
        } else if over {
            return journal;
        } else {
            // glommio trap: a wake from another core may come late, so mailboxes are looked at on every tick as well.
            incoming.sleep().or(next_tick()).await;
        }
    }
}

/// Works on jobs for a slice of time; returns whether there were any.
fn work(core: &Core, shard: &mut Shard, hosts: &mut HostPublisher, jobs: &mut VecDeque<RunningJob>) -> bool {
    if jobs.is_empty() {
        return false;
    }
    let until = Instant::now() + JOB_SLICE;
    let mut is_over = false;
    while !is_over && let Some(mut running) = jobs.pop_front() {
        let mut reply = None;
        for _ in 0..JOB_STEPS {
            reply = running.job.step(shard);
            // A step may take milliseconds.
            is_over = Instant::now() >= until;
            if is_over || reply.is_some() {
                break;
            }
        }
        match reply {
            Some(reply) => {
                // A free may have left hosts without data: gone from the directory before it is replied to.
                hosts.publish(shard);
                core.outgoing.send_reply(running.from, running.call, reply);
            }
            // Round robin: a short job does not wait for a long one.
            None => jobs.push_back(running),
        }
    }
    true
}
