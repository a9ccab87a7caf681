//! From the log to the reply: a core's journal, whose acknowledgements are replies to calls.

use std::io;
use std::rc::Rc;

use super::core::{Additions, Core};
use super::event::{CallId, Reply};
use crate::durable::commit::CommitOptions;
use crate::durable::journal::{self, Done};
use crate::durable::segments::SegmentOptions;

/// The log; its tags are the core that asked and its call.
pub type Journal<P> = journal::Journal<P, (usize, CallId)>;

/// Begins a core's log.
///
/// # Errors
/// Those of the disk.
pub async fn start<A: Additions>(
    core: &Rc<Core<A>>,
    platform: A::Platform,
    segments: SegmentOptions,
    options: CommitOptions,
) -> io::Result<Journal<A::Platform>> {
    let core = Rc::clone(core);
    let tell = move |(from, call), done| tell(&core, from, call, done);
    Journal::start(platform, segments, options, tell).await
}

fn tell<A: Additions>(core: &Core<A>, from: usize, call: CallId, done: Done) {
    let reply = match done {
        Done::Written(applied, samples) => {
            core.written(&applied);
            Reply::Written(applied, samples)
        }
        Done::NotWritten(why, samples) => {
            core.not_written(samples.len());
            Reply::NotWritten(why, samples)
        }
        Done::NotRecorded(why) => Reply::NotFreed(why),
        Done::Recorded(free) => {
            core.recorded_frees.borrow_mut().push((from, call, free));
            core.outgoing.ring_self();
            return;
        }
    };
    core.outgoing.send_reply(from, call, reply);
}
