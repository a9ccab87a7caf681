//! The protocol of the host directory: whoever was told that a write is stored finds its host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::sync::mailbox::mailbox;
use engine::sync::published::Published;
use loom::thread;

use super::every;
use super::faults::{ProtocolFault, is_on};

/// The owner stores a sample of a new host, publishes the host, and replies; the core that was asked to write gets
/// the reply and then lists the hosts, or another core does that it told.
#[test]
fn an_acknowledged_host_is_listed() {
    // Looked at behind the model: with garbage still to be collected loom does not get out of a panic.
    let missing = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&missing);
    every(2, move || {
        let hosts = loom::sync::Arc::new(Published::new(0));
        let (mut replies, mut replied) = mailbox(1);
        let asker = {
            let hosts = loom::sync::Arc::clone(&hosts);
            thread::spawn(move || replied.receive().map(|_| hosts.read(|count| *count)))
        };
        if is_on(ProtocolFault::ReplyBeforePublication) {
            replies.send("200").unwrap();
            hosts.publish(|| 1);
        } else {
            hosts.publish(|| 1);
            replies.send("200").unwrap();
        }
        if asker.join().unwrap() == Some(0) {
            seen.store(true, Ordering::Relaxed);
        }
    });
    assert!(!missing.load(Ordering::Relaxed), "a host was not listed although its write was acknowledged");
}
