//! Every model is run with the faults it is there for, and must fail.
//!
//! A fault is chosen by an environment variable, so each run is a process of its own: this very test binary, asked
//! for one test.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::sync::fault::{FAULT_VARIABLE, Fault};

/// A fault in how a model uses the engine, as the pump does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProtocolFault {
    /// A write is acknowledged before its host is published.
    ReplyBeforePublication,
}

impl ProtocolFault {
    const ALL: [Self; 1] = [Self::ReplyBeforePublication];

    fn noticed_by(self) -> &'static [&'static str] {
        match self {
            Self::ReplyBeforePublication => &[LISTED],
        }
    }
}

/// Whether this process runs with the fault.
pub(super) fn is_on(fault: ProtocolFault) -> bool {
    std::env::var(FAULT_VARIABLE).is_ok_and(|name| name == format!("{fault:?}"))
}

/// Whether this process runs with any fault.
pub(super) fn any_is_on() -> bool {
    std::env::var_os(FAULT_VARIABLE).is_some()
}

const IN_ORDER: &str = "mailbox::messages_arrive_in_order_and_none_is_lost";
const REFUSES: &str = "mailbox::a_full_mailbox_refuses";
const IN_FLIGHT: &str = "mailbox::messages_in_flight_at_the_end_are_dropped_once";
const NOT_MISSED: &str = "doorbell::a_sleeper_never_misses_a_message";
const TWO_RINGERS: &str = "doorbell::two_ringers_wake_one_sleeper";
const LEFT_BEHIND: &str = "doorbell::whoever_wakes_sees_what_the_sleeper_left_behind";
const ROOM: &str = "mesh::a_sender_that_waits_for_room_is_rung";
const QUEUED: &str = "mesh::queued_replies_are_sent_when_there_is_room";
const ONE_IS_LAST: &str = "countdown::one_is_last_and_sees_what_the_others_did";
const OVER: &str = "countdown::when_it_is_over_everything_done_before_is_seen";
const RAISED: &str = "flag::what_was_done_before_the_flag_was_raised_is_seen";
const COMPLETE: &str = "published::a_reader_sees_a_complete_value";
const NOT_DESTROYED: &str = "published::no_value_is_destroyed_under_a_reader";
const DESTROYED_ONCE: &str = "published::every_value_is_destroyed_once";
const LISTED: &str = "directory::an_acknowledged_host_is_listed";
const STOP: &str = "stop::a_last_checkpoint_holds_everything_in_flight";

/// The models that must notice a fault.
fn noticed_by(fault: Fault) -> &'static [&'static str] {
    match fault {
        Fault::MailboxPutRelaxed | Fault::MailboxPutReadRelaxed => &[IN_ORDER, LISTED],
        Fault::MailboxTakenRelaxed | Fault::MailboxTakenReadRelaxed => &[IN_ORDER, ROOM],
        Fault::MailboxNotBounded => &[REFUSES],
        Fault::MailboxForgetsItsRest => &[IN_FLIGHT],
        Fault::DoorbellSleepReleaseOnly | Fault::DoorbellRingAcquireOnly | Fault::DoorbellNoSecondLook => {
            &[NOT_MISSED, TWO_RINGERS, ROOM]
        }
        Fault::DoorbellAwakeStores => &[NOT_MISSED],
        Fault::DoorbellSleepAcquireOnly | Fault::DoorbellRingReleaseOnly => &[LEFT_BEHIND],
        Fault::BudgetTorn => &["budget::no_more_is_taken_than_there_is"],
        Fault::ByteBudgetTorn => &["budget::no_more_bytes_are_held_than_there_are"],
        Fault::CountdownArriveAcquireOnly => &[ONE_IS_LAST, OVER, STOP],
        Fault::CountdownArriveReleaseOnly | Fault::CountdownTorn => &[ONE_IS_LAST],
        Fault::CountdownReadRelaxed => &[OVER, STOP],
        Fault::FlagRaiseRelaxed | Fault::FlagReadRelaxed => &[RAISED],
        Fault::PublishRelaxed | Fault::PublishedReadRelaxed => &[COMPLETE],
        Fault::PublishedUnpinned | Fault::PublishedReclaimedEarly => &[NOT_DESTROYED],
        Fault::PublishedNeverReclaimed => &[DESTROYED_ONCE],
        Fault::MeshRoomNotRung => &[ROOM, QUEUED],
        Fault::MeshSleepsOverReplies | Fault::MeshQueuedReplyNotRung => &[QUEUED],
        Fault::StopArrivesBeforeDelivery | Fault::StopWithoutBarrier => &[STOP],
    }
}

/// A run that takes longer has noticed nothing.
const RUN_SECONDS_MAX: u64 = 60;
/// Runs at once.
const PROCESSES: usize = 2;

#[test]
fn every_fault_is_noticed_by_its_models() {
    if any_is_on() {
        return;
    }
    let engine_faults = Fault::ALL.iter().map(|&fault| (format!("{fault:?}"), noticed_by(fault)));
    let protocol_faults = ProtocolFault::ALL.iter().map(|&fault| (format!("{fault:?}"), fault.noticed_by()));
    let runs: Vec<(String, &str)> = engine_faults
        .chain(protocol_faults)
        .flat_map(|(fault, models)| models.iter().map(move |&model| (fault.clone(), model)))
        .collect();
    assert_every_model_has_a_fault(&runs);

    let next = AtomicUsize::new(0);
    let unnoticed: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..PROCESSES)
            .map(|_| {
                scope.spawn(|| {
                    let mut unnoticed = Vec::new();
                    while let Some((fault, model)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let began = Instant::now();
                        let result = run(fault, model);
                        println!("{fault} in {model}: {result:?} after {} ms", began.elapsed().as_millis());
                        if result != Outcome::Noticed {
                            unnoticed.push(format!("{fault} in {model}: {result:?}"));
                        }
                    }
                    unnoticed
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    println!("{} runs", runs.len());
    assert!(unnoticed.is_empty(), "not noticed:\n{}", unnoticed.join("\n"));
}

/// Without this a model could be forgotten that notices nothing at all.
fn assert_every_model_has_a_fault(runs: &[(String, &str)]) {
    let list =
        Command::new(std::env::current_exe().unwrap()).args(["--list", "--format=terse"]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let models: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|name| !name.starts_with("faults::"))
        .collect();
    assert!(models.len() > 10, "{list}");
    for model in &models {
        assert!(runs.iter().any(|(_, name)| name == model), "no fault shows that {model} notices anything");
    }
    for (_, model) in runs {
        assert!(models.contains(model), "there is no model {model}");
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Noticed,
    NotNoticed,
    TookTooLong,
}

fn run(fault: &str, model: &str) -> Outcome {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([model, "--exact"])
        .env(FAULT_VARIABLE, fault)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let outcome = wait(&mut child);
    if outcome == Outcome::TookTooLong {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    outcome
}

fn wait(child: &mut Child) -> Outcome {
    let until = Instant::now() + Duration::from_secs(RUN_SECONDS_MAX);
    while Instant::now() < until {
        match child.try_wait().unwrap() {
            Some(status) if status.success() => return Outcome::NotNoticed,
            Some(_) => return Outcome::Noticed,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    Outcome::TookTooLong
}
