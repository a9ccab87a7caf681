//! The host directory that ships: whoever was told that a write is stored finds its host.

use std::sync::Arc;

use engine::config::{Aggregation, Metric, MetricId, Metrics};
use engine::memory::shard::Shard;
use engine::series::declare::Declarations;
use engine::series::directory::Directory;
use engine::series::route::{Batch, Sample};
use engine::sync::mailbox::mailbox;
use loom::thread;

use super::bounded;
use super::faults::{ProtocolFault, is_on};

/// A sample of a host that is new.
fn batch() -> Batch {
    let mut declarations = Declarations::default();
    declarations.push([["c", ""], ["h", ""]], MetricId(0));
    Batch { declarations, samples: vec![Sample { link: 0, time: 1_000_000, value: 1.0 }] }
}

/// The owner stores a sample of a new host, publishes the host, and replies; the core that was asked to write gets
/// the reply and then lists the hosts, or another core does that it told.
#[test]
fn an_acknowledged_host_is_listed() {
    bounded(2, 20, || {
        let metrics = vec![Metric { name: "m".into(), frequency: 60, aggregation: Aggregation::None }];
        let mut shard = Shard::new(Metrics::new(metrics).unwrap(), 1, i64::MAX);
        let (directory, mut publishers) = Directory::new(1);
        let (mut replies, mut replied) = mailbox(1);
        let asker = {
            let directory = Arc::clone(&directory);
            thread::spawn(move || replied.receive().map(|_| directory.hosts(0, "c", 9).unwrap().len()))
        };
        shard.apply(0, &batch(), 1_000_000, None);
        if is_on(ProtocolFault::ReplyBeforePublication) {
            replies.send("200").unwrap();
            publishers[0].publish(&mut shard);
        } else {
            publishers[0].publish(&mut shard);
            replies.send("200").unwrap();
        }
        assert_ne!(
            asker.join().unwrap(),
            Some(0),
            "a host is not listed although its write was acknowledged"
        );
    });
}
