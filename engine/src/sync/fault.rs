//! Deliberate faults, so that every model is shown to notice what it is there for.
//!
//! `loom-tests` runs its models once as the code is, and once with each [`Fault`] switched on through the
//! environment variable [`FAULT_VARIABLE`]: a weakened ordering or a step left out. Outside of a model all of
//! this is constant and compiles to nothing.

use super::atomics::Ordering;

/// The environment variable that names the fault of a run.
pub const FAULT_VARIABLE: &str = "LOOM_FAULT";

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Mailbox: the sender's `put` does not publish the slot.
    MailboxPutRelaxed,
    /// Mailbox: the receiver's look at `put` does not see the slot.
    MailboxPutReadRelaxed,
    /// Mailbox: the receiver's `taken` does not hand the slot back.
    MailboxTakenRelaxed,
    /// Mailbox: the sender's look at `taken` does not wait for the slot.
    MailboxTakenReadRelaxed,
    /// Mailbox: the sender does not look whether there is room.
    MailboxNotBounded,
    /// Mailbox: messages nobody took are not dropped.
    MailboxForgetsItsRest,
    /// Doorbell: the sleeper's announcement does not acquire what a ringer did before.
    DoorbellSleepReleaseOnly,
    /// Doorbell: the sleeper's announcement does not release what the sleeper did before.
    DoorbellSleepAcquireOnly,
    /// Doorbell: a ring does not release the message.
    DoorbellRingAcquireOnly,
    /// Doorbell: a ring does not acquire what the sleeper did before it slept.
    DoorbellRingReleaseOnly,
    /// Doorbell: waking up is a store, which cuts the chain from a ring to the next announcement.
    DoorbellAwakeStores,
    /// Doorbell: the sleeper does not look again after its announcement.
    DoorbellNoSecondLook,
    /// Budget: a load and a store instead of one step.
    BudgetTorn,
    /// The same of the budget of bytes.
    ByteBudgetTorn,
    /// Countdown: arriving does not release what was done before.
    CountdownArriveAcquireOnly,
    /// Countdown: the last one does not acquire what the others did.
    CountdownArriveReleaseOnly,
    /// Countdown: a look does not acquire what those who arrived did.
    CountdownReadRelaxed,
    /// Countdown: a load and a store instead of one step.
    CountdownTorn,
    /// Flag: raising does not release what was done before.
    FlagRaiseRelaxed,
    /// Flag: a look does not acquire it.
    FlagReadRelaxed,
    /// Published: the pointer is stored before its target.
    PublishRelaxed,
    /// Published: a reader follows the pointer without acquiring its target.
    PublishedReadRelaxed,
    /// Published: a reader does not pin the epoch.
    PublishedUnpinned,
    /// Published: the value before is destroyed at once.
    PublishedReclaimedEarly,
    /// Published: the value before is never destroyed.
    PublishedNeverReclaimed,
    /// Mesh: a sender that waits for room is not rung when there is some.
    MeshRoomNotRung,
    /// Mesh: a pump does not look for room for its queued replies before it sleeps.
    MeshSleepsOverReplies,
    /// Mesh: a pump is not told of a reply that was queued while it slept.
    MeshQueuedReplyNotRung,
    /// Stop: a core arrives at the barrier before it has delivered everything.
    StopArrivesBeforeDelivery,
    /// Stop: a core does not wait for the others.
    StopWithoutBarrier,
}

impl Fault {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::MailboxPutRelaxed,
        Self::MailboxPutReadRelaxed,
        Self::MailboxTakenRelaxed,
        Self::MailboxTakenReadRelaxed,
        Self::MailboxNotBounded,
        Self::MailboxForgetsItsRest,
        Self::DoorbellSleepReleaseOnly,
        Self::DoorbellSleepAcquireOnly,
        Self::DoorbellRingAcquireOnly,
        Self::DoorbellRingReleaseOnly,
        Self::DoorbellAwakeStores,
        Self::DoorbellNoSecondLook,
        Self::BudgetTorn,
        Self::ByteBudgetTorn,
        Self::CountdownArriveAcquireOnly,
        Self::CountdownArriveReleaseOnly,
        Self::CountdownReadRelaxed,
        Self::CountdownTorn,
        Self::FlagRaiseRelaxed,
        Self::FlagReadRelaxed,
        Self::PublishRelaxed,
        Self::PublishedReadRelaxed,
        Self::PublishedUnpinned,
        Self::PublishedReclaimedEarly,
        Self::PublishedNeverReclaimed,
        Self::MeshRoomNotRung,
        Self::MeshSleepsOverReplies,
        Self::MeshQueuedReplyNotRung,
        Self::StopArrivesBeforeDelivery,
        Self::StopWithoutBarrier,
    ];
}

/// Whether the fault is switched on.
#[cfg(not(loom))]
#[inline(always)]
#[must_use]
pub const fn is_on(_: Fault) -> bool {
    false
}

/// Whether the fault is switched on.
#[cfg(loom)]
#[must_use]
pub fn is_on(fault: Fault) -> bool {
    static NAME: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let name = NAME.get_or_init(|| std::env::var(FAULT_VARIABLE).unwrap_or_default());
    !name.is_empty() && *name == format!("{fault:?}")
}

/// The ordering `right`, or `wrong` with the fault.
#[inline(always)]
pub(super) fn ordering(right: Ordering, fault: Fault, wrong: Ordering) -> Ordering {
    if is_on(fault) { wrong } else { right }
}
