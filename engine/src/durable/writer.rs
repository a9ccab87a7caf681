//! The task that writes one core's log, and those that help it: one prepares segments, one times syncs.
//!
//! It takes what [`commit`](super::commit) has gathered, group by group: write, sync, acknowledge. After an error of
//! the disk it gives the segment up and begins another, however long that takes.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::FutureExt;

use super::commit::{CommitEvent, Failure, LogState, RETRY_INTERVALS_MAX, WalSync, is_out_of_space};
use super::segments::OpenSegment;
use super::state::{Group, Item, Shared, State};
use crate::platform::{LogFile, Platform};

/// While blocks are written, it is looked every so often whether their segment is still where the next start looks for it.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What there is to do, besides items.
enum Work {
    Items,
    BeginNext,
    Sync,
    Close,
}

/// Starts the tasks of a log.
pub(super) fn start<P: Platform>(shared: &Rc<Shared<P>>) {
    let writer = Rc::clone(shared);
    shared.segments.platform().spawn("log writer", async move {
        run(&writer).await;
        writer.state.borrow_mut().has_ended = true;
        writer.done.notify();
    });
    if let WalSync::Interval(interval) = shared.options.sync {
        let timer = Rc::clone(shared);
        shared
            .segments
            .platform()
            .spawn("log sync timer", async move { ask_for_syncs(&timer, interval).await });
    }
}

async fn run<P: Platform>(shared: &Shared<P>) {
    // It may begin as one that has failed.
    if shared.state.borrow().current.is_none() && !restart(shared).await {
        return;
    }
    // Swapped with the list of the state, so that both keep their memory.
    let mut items = VecDeque::new();
    loop {
        let work = shared.work.until(|| take_work(&mut shared.state.borrow_mut(), &mut items)).await;
        let result = match work {
            Work::Items => commit(shared, &mut items).await,
            Work::BeginNext => begin_next(shared).await,
            Work::Sync => sync_current(shared).await,
            Work::Close => match close(shared).await {
                Ok(()) => return,
                Err(error) => Err(error),
            },
        };
        if let Err(error) = result {
            stop(shared, &error, &mut items).await;
            if !restart(shared).await {
                return;
            }
        }
    }
}

fn take_work<F>(state: &mut State<F>, items: &mut VecDeque<Item<F>>) -> Option<Work> {
    // A sync goes before items: under load there always are some. Sealed segments wait among them for their own.
    if std::mem::take(&mut state.is_sync_due) {
        Some(Work::Sync)
    } else if !state.items.is_empty() {
        std::mem::swap(&mut state.items, items);
        Some(Work::Items)
    } else if state.is_closing {
        Some(Work::Close)
    } else if state.is_next_wanted && state.lacks_next() {
        Some(Work::BeginNext)
    } else {
        None
    }
}

async fn commit<P: Platform>(shared: &Shared<P>, items: &mut VecDeque<Item<P::File>>) -> io::Result<()> {
    while let Some(item) = items.pop_front() {
        match item {
            Item::Write(group) => write(shared, group).await?,
            Item::Seal(segment) => {
                // Whoever syncs at intervals counts on the current segment only. And an older segment must not be on
                // the disk where a newer one, or the snapshot of it, is older than what it holds.
                let result = match shared.options.sync {
                    WalSync::Interval(_) | WalSync::None | WalSync::Off => sync(shared, &segment).await,
                    WalSync::Always => Ok(()),
                };
                seal(shared, segment).await;
                result?;
            }
        }
    }
    Ok(())
}

async fn write<P: Platform>(shared: &Shared<P>, group: Group<P::File>) -> io::Result<()> {
    let Group { segment, offset, bytes, blocks, up_to } = group;
    let start_ns = shared.now_ns();
    look_for(shared, &segment, start_ns).await?;
    segment.file.write_at(offset, &bytes).await?;
    if segment.file.writes_are_durable() {
        shared.counters.synced(shared.since(start_ns));
    } else if shared.options.sync == WalSync::Always {
        timed_sync(shared, &segment).await?;
    }
    shared.counters.committed(blocks, bytes.len() as u64, shared.since(start_ns));
    {
        let mut state = shared.state.borrow_mut();
        state.tickets.acknowledge(up_to);
        if shared.options.sync == WalSync::Always {
            state.tickets.sync(up_to);
        }
        state.pending_bytes -= bytes.len();
        state.put_spare(bytes, shared.options.pending_bytes_max);
    }
    (shared.on_event)(CommitEvent::Acknowledged(up_to));
    shared.done.notify();
    Ok(())
}

/// An error if the segment was taken away: what is written to it would never be read.
async fn look_for<P: Platform>(
    shared: &Shared<P>,
    segment: &OpenSegment<P::File>,
    now_ns: u64,
) -> io::Result<()> {
    let interval_ns = LOOK_INTERVAL.as_nanos() as u64;
    if now_ns.saturating_sub(shared.state.borrow().seen_at_ns) < interval_ns {
        return Ok(());
    }
    if !shared.segments.is_there(segment.id).await {
        let text = format!(
            "segment {:016x} of core {} is not in {} any more: somebody took it away",
            segment.id,
            shared.segments.core(),
            shared.segments.directory().display()
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    shared.state.borrow_mut().seen_at_ns = now_ns;
    Ok(())
}

async fn timed_sync<P: Platform>(shared: &Shared<P>, segment: &OpenSegment<P::File>) -> io::Result<()> {
    let start_ns = shared.now_ns();
    let result = segment.file.sync_data().await;
    match result {
        Ok(()) => shared.counters.synced(shared.since(start_ns)),
        Err(_) => {
            shared.counters.sync_failed();
            shared.state.borrow_mut().has_sync_failed = true;
        }
    }
    result
}

/// Makes everything acknowledged so far durable. `segment` is the only one with bytes that are not.
async fn sync<P: Platform>(shared: &Shared<P>, segment: &OpenSegment<P::File>) -> io::Result<()> {
    let (acknowledged, synced) = {
        let state = shared.state.borrow();
        (state.tickets.acknowledged(), state.tickets.synced())
    };
    if acknowledged != synced {
        timed_sync(shared, segment).await?;
        shared.state.borrow_mut().tickets.sync(acknowledged);
        shared.done.notify();
    }
    Ok(())
}

async fn sync_current<P: Platform>(shared: &Shared<P>) -> io::Result<()> {
    let current = {
        let state = shared.state.borrow();
        // Of a segment that waits to be sealed everything acknowledged may be, and of those behind it nothing.
        let waiting = state.items.iter().find_map(|item| match item {
            Item::Seal(segment) => Some(Rc::clone(segment)),
            Item::Write(_) => None,
        });
        waiting.or_else(|| state.current.clone())
    };
    match current {
        Some(segment) => sync(shared, &segment).await,
        None => Ok(()),
    }
}

/// Closes a segment, which nobody else knows any more.
async fn seal<P: Platform>(shared: &Shared<P>, segment: Rc<OpenSegment<P::File>>) {
    let id = segment.id;
    match Rc::into_inner(segment) {
        Some(segment) => shared.segments.seal(segment).await,
        // Its last owner closes it; it is found by the next start.
        None => {
            tracing::error!("core {}: a segment is still in use when it is sealed", shared.segments.core());
        }
    }
    shared.state.borrow_mut().unsealed.remove(&id);
    shared.done.notify();
}

/// Begins the next segment because somebody waits for it: an error stops the log.
async fn begin_next<P: Platform>(shared: &Shared<P>) -> io::Result<()> {
    // Nobody prepares one meanwhile: two could become current in the wrong order.
    shared.state.borrow_mut().is_preparing = true;
    let next = shared.segments.begin(shared.options.writes()).await;
    {
        let mut state = shared.state.borrow_mut();
        state.is_preparing = false;
        state.ready = Some(next?);
    }
    shared.done.notify();
    Ok(())
}

async fn close<P: Platform>(shared: &Shared<P>) -> io::Result<()> {
    sync_current(shared).await?;
    let (current, ready) = {
        let mut state = shared.state.borrow_mut();
        (state.current.take(), state.ready.take())
    };
    if let Some(segment) = current {
        seal(shared, segment).await;
    }
    if let Some(segment) = ready {
        shared.segments.seal(segment).await;
    }
    shared.state.borrow_mut().log = LogState::Closed;
    shared.done.notify();
    Ok(())
}

/// The disk has failed: tells everybody, gives up all open segments.
async fn stop<P: Platform>(shared: &Shared<P>, error: &io::Error, items: &mut VecDeque<Item<P::File>>) {
    let failure = Rc::new(Failure::new(shared.now_ns(), error));
    shared.counters.failed();
    let core = shared.segments.core();
    tracing::error!("core {core}: writes are refused from now on, the log cannot be written: {failure}");
    let mut given_up = Vec::new();
    sync_given_up(shared, items).await;
    let (lost_up_to, synced_up_to) = {
        let mut state = shared.state.borrow_mut();
        items.append(&mut state.items);
        given_up.extend(items.drain(..).filter_map(|item| match item {
            Item::Write(_) => None,
            Item::Seal(segment) => Some(segment),
        }));
        given_up.extend(state.current.take());
        given_up.extend(state.ready.take().map(Rc::new));
        state.pending_bytes = 0;
        state.is_next_wanted = false;
        state.is_sync_due = false;
        state.failed_at_id = shared.segments.last_id();
        state.unsealed.extend(given_up.iter().map(|segment| segment.id));
        state.log = LogState::Failed(Rc::clone(&failure));
        let synced_up_to = state.tickets.synced();
        (state.tickets.lose(), synced_up_to)
    };
    (shared.on_event)(CommitEvent::Failed { lost_up_to, synced_up_to, failure });
    shared.done.notify();
    for segment in given_up {
        // It has blocks that were acknowledged: it stays until a checkpoint covers them.
        seal(shared, segment).await;
    }
}

/// Syncs what was acknowledged and is not durable, if the disk lets it: a snapshot may be made of it, and after a power loss what
/// is older must not be replayed on top. After a failed sync it is no use, another one would only seem to succeed.
async fn sync_given_up<P: Platform>(shared: &Shared<P>, items: &mut VecDeque<Item<P::File>>) {
    if !shared.state.borrow().has_sync_failed {
        {
            let mut state = shared.state.borrow_mut();
            items.append(&mut state.items);
            std::mem::swap(&mut state.items, items);
        }
        if let Err(error) = sync_current(shared).await {
            tracing::debug!("core {}: a last sync of the log failed: {error}", shared.segments.core());
        }
    }
}

/// Begins a new segment, at intervals until it succeeds; `false` if the log is closed meanwhile.
async fn restart<P: Platform>(shared: &Shared<P>) -> bool {
    let mut interval = shared.options.retry_interval;
    loop {
        let woken = shared.work.until(|| {
            let mut state = shared.state.borrow_mut();
            (std::mem::take(&mut state.is_retry_due) || state.is_closing).then_some(())
        });
        shared.segments.platform().sleep(interval).or(woken).await;
        interval = (interval * 2).min(shared.options.retry_interval * RETRY_INTERVALS_MAX);
        if shared.state.borrow().is_closing {
            return false;
        }
        match shared.segments.begin(shared.options.writes()).await {
            Ok(segment) => {
                let (core, id) = (shared.segments.core(), segment.id);
                {
                    let mut state = shared.state.borrow_mut();
                    state.set_current(segment);
                    state.has_sync_failed = false;
                    state.seen_at_ns = shared.now_ns();
                    state.log = LogState::Running;
                }
                shared.counters.segment_begun();
                tracing::warn!(
                    "core {core}: the log works again, with segment {id:016x}: writes are accepted"
                );
                (shared.on_event)(CommitEvent::NewSegment(id));
                shared.done.notify();
                return true;
            }
            Err(error) => tracing::debug!("core {}: no new segment yet: {error}", shared.segments.core()),
        }
    }
}

/// Begins the next segment in a task of its own, so that it is there when it is wanted.
pub(super) fn prepare_next<P: Platform>(shared: &Rc<Shared<P>>) {
    shared.state.borrow_mut().is_preparing = true;
    let platform = shared.segments.platform().clone();
    let shared = Rc::clone(shared);
    platform.spawn("log preparer", async move {
        let begun = shared.segments.begin(shared.options.writes()).await;
        let useless = {
            let mut state = shared.state.borrow_mut();
            state.is_preparing = false;
            match begun {
                Ok(segment) => {
                    // After a failure the log may have gone on with a later one: numbers must grow with time.
                    let is_later = state.current.as_ref().is_some_and(|current| current.id < segment.id);
                    if is_later && state.ready.is_none() {
                        state.ready = Some(segment);
                        state.is_out_of_room = false;
                        None
                    } else {
                        Some(segment)
                    }
                }
                Err(error) => {
                    // Not a failure yet: the current segment can be written. Whoever needs the next one tries again.
                    tracing::debug!("core {}: cannot prepare a segment: {error}", shared.segments.core());
                    let retry_ns =
                        u64::try_from(shared.options.retry_interval.as_nanos()).unwrap_or(u64::MAX);
                    state.prepare_after_ns = shared.now_ns().saturating_add(retry_ns);
                    state.is_out_of_room = is_out_of_space(&error);
                    None
                }
            }
        };
        shared.work.notify();
        shared.done.notify();
        if let Some(segment) = useless {
            shared.segments.seal(segment).await;
        }
    });
}

/// Asks the writer for a sync every so often.
async fn ask_for_syncs<P: Platform>(shared: &Shared<P>, interval: Duration) {
    loop {
        shared.segments.platform().sleep(interval).await;
        {
            let mut state = shared.state.borrow_mut();
            match state.log {
                _ if state.has_ended => return,
                LogState::Closed => return,
                LogState::Failed(_) => continue,
                LogState::Running => state.is_sync_due = true,
            }
        }
        shared.work.notify();
    }
}
