//! The pump: the one task of a core that owns its shard (DESIGN decision 1).
//!
//! It takes events from all mailboxes in turn, a bounded number from each, and works on long queries in
//! slices between them. Nothing of the shard is borrowed across an await.

use std::collections::VecDeque;
use std::rc::Rc;

use engine::inspect::{debug, health};
use engine::memory::shard::Shard;
use engine::query::scatter::{CoreQuery, Step};
use futures_lite::FutureExt;

use super::event::{CallId, CoreEvent, Reply, Request};
use super::mesh::Incoming;
use super::{Core, Draining, clock_seconds};
use crate::runtime::{next_tick, now_ms, yield_if_needed, yield_now};

/// Events taken from one core before the next has its turn.
const EVENTS_PER_TURN: usize = 16;
/// Time a turn may spend on queries while events wait.
const QUERY_SLICE_MS: u64 = 1;
/// Steps of a query between two looks at the time.
const QUERY_STEPS: usize = 8;

/// A query under way.
#[derive(Debug)]
struct RunningQuery {
    from: usize,
    call: CallId,
    query: CoreQuery,
}

/// Runs a core's pump until no core has connections any more.
pub async fn run(core: Rc<Core>, mut incoming: Incoming, mut shard: Shard, draining: Draining) {
    let mut queries: VecDeque<RunningQuery> = VecDeque::new();
    loop {
        let over = draining.is_over();
        let mut busy = false;
        for from in 0..incoming.cores() {
            let mut taken = 0;
            while taken < EVENTS_PER_TURN
                && let Some(event) = incoming.receive(from)
            {
                taken += 1;
                match event {
                    CoreEvent::Reply(call, reply) => core.calls.reply(&core, call, from, reply),
                    CoreEvent::Request(call, Request::Query(question)) => {
                        queries.push_back(RunningQuery { from, call, query: CoreQuery::new(question) });
                    }
                    CoreEvent::Request(call, request) => {
                        let reply = answer(&mut shard, from, request);
                        core.outgoing.send_reply(from, call, reply);
                    }
                }
            }
            if taken > 0 {
                incoming.made_room(from);
                busy = true;
            }
        }
        busy |= work_on_queries(&core, &shard, &mut queries);
        core.outgoing.flush();
        if busy {
            // The connections have their turn: with queries under way always, else when they ask for it.
            if queries.is_empty() { yield_if_needed().await } else { yield_now().await }
        } else if over {
            // glommio trap: a wake from another core may come late, so mailboxes are looked at on every tick as well.
            return;
        } else {
            incoming.sleep().or(next_tick()).await;
        }
    }
}

/// Works on the oldest queries for a slice of time; returns whether there were any.
fn work_on_queries(core: &Core, shard: &Shard, queries: &mut VecDeque<RunningQuery>) -> bool {
    let busy = !queries.is_empty();
    let until_ms = now_ms() + QUERY_SLICE_MS;
    while let Some(mut running) = queries.pop_front() {
        let mut done = None;
        for _ in 0..QUERY_STEPS {
            if let Step::Done(answer) = running.query.step(shard) {
                done = Some(answer);
                break;
            }
        }
        match done {
            Some(answer) => core.outgoing.send_reply(running.from, running.call, Reply::Answered(answer)),
            // Round robin: a short query does not wait for a long one.
            None => queries.push_back(running),
        }
        if now_ms() >= until_ms {
            break;
        }
    }
    busy
}

/// Does what a request asks for, all but queries.
fn answer(shard: &mut Shard, from: usize, request: Request) -> Reply {
    match request {
        Request::Write(batch) => {
            let applied = shard.apply(from, &batch, clock_seconds());
            Reply::Written(applied, batch.samples)
        }
        Request::Query(_) => unreachable!("queries run in slices"),
        Request::Free { selectors, mine, to } => {
            let mut freed = 0;
            for index in mine {
                let names = selectors[index as usize].iter().map(String::as_str);
                if let Some(level) = shard.tree().find(names) {
                    freed += shard.free_before(level, to) as u64;
                }
            }
            Reply::Freed(freed)
        }
        Request::Dump(selector) => Reply::Dumped(debug::dump(shard, &selector)),
        Request::Health { request, mine, now } => Reply::Judged(
            mine.into_iter()
                .map(|index| {
                    let mut entry = Vec::new();
                    let node = &request.nodes[index as usize];
                    health::push_node(shard, &request.cluster, node, &request.metric_names, now, &mut entry);
                    (index, entry)
                })
                .collect(),
        ),
    }
}
