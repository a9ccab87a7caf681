//! The pump: the one task of a core that owns its shard (DESIGN decision 1).
//!
//! It takes events from all mailboxes in turn, a bounded number from each, and works on what takes long (queries,
//! frees, dumps, health checks) in steps between them. Nothing of the shard is borrowed across an await.

use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use futures_lite::FutureExt;

use super::acknowledge::Journal;
use super::core::{Additions, Core, PumpState};
use super::event::{CallId, CoreEvent, Reply, Request, Work};
use super::mesh::Incoming;
use super::stop::Stopping;
use super::work::{Job, begin};
use crate::memory::shard::Shard;
use crate::series::directory::HostPublisher;
use crate::sync::flag::Flag;

/// Events taken from one core before the next has its turn.
const EVENTS_PER_TURN: usize = 16;
/// Steps of a job before the next one has its turn.
const JOB_STEPS: usize = 8;

/// How a pump shares its thread with the core's other tasks.
pub trait Pace {
    /// A turn begins.
    fn turn_begins(&mut self);
    /// A slice of time for jobs begins.
    fn slice_begins(&mut self);
    /// Whether it is over. Asked after every step, which may take milliseconds.
    fn is_slice_over(&mut self) -> bool;
    /// The other tasks have their turn, before one that begins at once.
    fn give_way(&mut self, has_jobs: bool) -> impl Future<Output = ()>;
    /// Resolves when a pump that nobody rang looks again all the same.
    fn look_again(&mut self) -> impl Future<Output = ()>;
}

/// A job under way, and whom to tell.
struct RunningJob<A: Additions> {
    from: usize,
    call: CallId,
    job: Job<A>,
    /// It goes up when nobody waits for the answer any more, if the job may end then.
    given_up: Option<Arc<Flag>>,
}

/// A core's pump.
pub struct Pump<A: Additions> {
    core: Rc<Core<A>>,
    incoming: Incoming<A>,
    shard: Shard,
    journal: Journal<A::Platform>,
    hosts: HostPublisher,
    jobs: VecDeque<RunningJob<A>>,
}

impl<A: Additions> std::fmt::Debug for Pump<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pump").field("core", &self.core.index).finish_non_exhaustive()
    }
}

impl<A: Additions> Pump<A> {
    /// A pump that has made no turn.
    #[must_use]
    pub fn new(
        core: Rc<Core<A>>,
        incoming: Incoming<A>,
        shard: Shard,
        journal: Journal<A::Platform>,
        hosts: HostPublisher,
    ) -> Self {
        Self { core, incoming, shard, journal, hosts, jobs: VecDeque::new() }
    }

    /// Turns until every core has made its last checkpoint.
    ///
    /// Returns the log, which holds nothing that is not acknowledged.
    pub async fn run(mut self, stopping: Arc<Stopping>, mut pace: impl Pace) -> Journal<A::Platform> {
        loop {
            let is_over = stopping.are_all_saved();
            self.journal.begin_turn().await;
            pace.turn_begins();
            if self.turn(&mut pace) {
                pace.give_way(!self.jobs.is_empty()).await;
            } else if is_over {
                return self.journal;
            } else {
                let sleep = self.incoming.sleep(&self.core.outgoing, || stopping.are_all_saved());
                sleep.or(pace.look_again()).await;
            }
        }
    }

    /// Takes events and does some work; returns whether there was any.
    fn turn(&mut self, pace: &mut impl Pace) -> bool {
        let mut is_busy = self.take_events();
        // Before anybody can be told that a sample is stored: replies to writes come after this or from other tasks.
        self.hosts.publish(&mut self.shard);
        self.journal.end_block(&self.shard);
        // What was carried over is recorded in the next turn, whether or not somebody rings.
        is_busy |= !self.journal.has_room();
        for (from, call, free) in self.core.recorded_frees.borrow_mut().drain(..) {
            is_busy = true;
            self.jobs.push_back(RunningJob {
                from,
                call,
                job: begin(Work::Free(free), &self.shard),
                given_up: None,
            });
        }
        is_busy |= self.work(pace);
        self.core.outgoing.flush();
        is_busy
    }

    fn take_events(&mut self) -> bool {
        let mut is_busy = false;
        for from in 0..self.incoming.cores() {
            let mut taken = 0;
            // Without room for the log events wait where they are: the next turn begins when there is.
            while taken < EVENTS_PER_TURN
                && self.journal.has_room()
                && let Some(event) = self.incoming.receive(from)
            {
                taken += 1;
                self.core.event(from, &event);
                self.take(from, event);
            }
            if taken > 0 {
                self.core.events_taken(taken);
                self.incoming.made_room(from);
                is_busy = true;
            }
        }
        is_busy
    }

    fn take(&mut self, from: usize, event: CoreEvent<A>) {
        let core = &self.core;
        match event {
            CoreEvent::Reply(call, reply) => {
                if let Some(list) = core.calls.reply(call, from, reply) {
                    core.put_spare_list(list);
                }
            }
            CoreEvent::Notice(notice) => core.notice(notice),
            CoreEvent::Request(call, Request::Write(batch)) => {
                self.journal.write(&mut self.shard, from, batch, (from, call));
            }
            // In the log before its buffers are gone, so that they do not come back after a crash.
            CoreEvent::Request(call, Request::Work(Work::Free(free))) => {
                self.journal.free(&self.shard, free, (from, call));
            }
            CoreEvent::Request(call, Request::Work(wanted)) => {
                let job = begin(wanted, &self.shard);
                self.jobs.push_back(RunningJob { from, call, job, given_up: None });
            }
            CoreEvent::Request(call, Request::Question(question, given_up)) => {
                let job = begin(question, &self.shard);
                self.jobs.push_back(RunningJob { from, call, job, given_up: Some(given_up) });
            }
            CoreEvent::Request(call, Request::Order(order)) => {
                core.orders.borrow_mut().add(from, call, order);
            }
            CoreEvent::Request(call, Request::Metrics) => {
                let state = PumpState { mailbox_messages: self.incoming.waiting(), jobs: self.jobs.len() };
                let metrics = A::metrics(core, &self.shard, &self.journal.queue(), state);
                core.outgoing.send_reply(from, call, Reply::Metrics(Box::new(metrics)));
            }
        }
    }

    /// Works on jobs for a slice of time; returns whether there were any.
    fn work(&mut self, pace: &mut impl Pace) -> bool {
        if self.jobs.is_empty() {
            return false;
        }
        pace.slice_begins();
        let mut is_over = false;
        while !is_over && let Some(mut running) = self.jobs.pop_front() {
            let is_given_up = running.given_up.as_ref().is_some_and(|flag| flag.is_raised());
            let mut reply = is_given_up.then_some(Reply::GivenUp);
            for _ in 0..JOB_STEPS {
                if is_over || reply.is_some() {
                    break;
                }
                reply = running.job.step(&mut self.shard);
                is_over = pace.is_slice_over();
            }
            match reply {
                Some(reply) => {
                    // A free may have left hosts without data: gone from the directory before it is replied to.
                    self.hosts.publish(&mut self.shard);
                    self.core.outgoing.send_reply(running.from, running.call, reply);
                }
                // Round robin: a short job does not wait for a long one.
                None => self.jobs.push_back(running),
            }
        }
        true
    }
}
