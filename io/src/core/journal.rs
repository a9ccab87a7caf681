//! The log of one core: the engine's journal on this core's disk, whose acknowledgements are replies.

use std::io;
use std::rc::Rc;

use engine::durable::commit::{CommitOptions, WalSync};
use engine::durable::journal::{self, Done};
use engine::durable::segments::SegmentOptions;

use super::Core;
use super::event::{CallId, Reply};
use crate::durable::RealPlatform;
use crate::metrics::counters::Rejected;

/// The log; its tags are the core that asked and its call.
pub type Journal = journal::Journal<RealPlatform, (usize, CallId)>;

/// Begins this core's log.
///
/// # Errors
/// Those of the disk.
pub async fn start(core: &Rc<Core>, segments: SegmentOptions, sync: WalSync) -> io::Result<Journal> {
    let options = CommitOptions { sync, ..CommitOptions::default() };
    let core = Rc::clone(core);
    Journal::start(RealPlatform, segments, options, move |(from, call), done| tell(&core, from, call, done))
        .await
}

fn tell(core: &Core, from: usize, call: CallId, done: Done) {
    let reply = match done {
        Done::Written(applied, samples) => {
            core.counters.applied(&applied);
            Reply::Written(applied, samples)
        }
        Done::NotWritten(why, samples) => {
            core.counters.reject(Rejected::NotWritten, samples.len() as u64);
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
