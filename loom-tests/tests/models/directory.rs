//! The protocol of the host directory: whoever was told that a write is stored finds its host.

use engine::sync::mailbox::mailbox;
use engine::sync::published::Published;
use loom::sync::Arc;
use loom::thread;

use super::bounded;
use super::faults::{ProtocolFault, is_on};

/// The owner stores a sample of a new host, publishes the host, and replies; the core that was asked to write gets
/// the reply and then lists the hosts, or another core does that it told.
#[test]
fn an_acknowledged_host_is_listed() {
    bounded(2, 20, || {
        let hosts = Arc::new(Published::new(0));
        let (mut replies, mut replied) = mailbox(1);
        let asker = {
            let hosts = Arc::clone(&hosts);
            thread::spawn(move || replied.receive().map(|_| hosts.read(|count| *count)))
        };
        if is_on(ProtocolFault::ReplyBeforePublication) {
            replies.send("200").unwrap();
            hosts.publish(|| 1);
        } else {
            hosts.publish(|| 1);
            replies.send("200").unwrap();
        }
        assert_ne!(
            asker.join().unwrap(),
            Some(0),
            "a host is not listed although its write was acknowledged"
        );
    });
}
