//! The cap over real shards: what is freed, in which order, and what never is.

use std::cell::{Cell, RefCell};

use super::*;
use crate::config::{Aggregation, Metric, MetricId, Metrics};
use crate::memory::retention::FreeWork;
use crate::memory::shard::Shard;
use crate::memory::work::ShardWork;
use crate::series::tree::ROOT;

const NOW: i64 = 1_700_000_040;
const RETENTION: i64 = 48 * 3600;
/// Time of a buffer: 512 slots of ten seconds.
const BUFFER_SECONDS: i64 = 5120;

struct Shards {
    shards: RefCell<Vec<Shard>>,
    /// Whether checkpoints succeed.
    can_save: bool,
    saves: Cell<u32>,
}

impl Shards {
    /// Two cores, each with ten series that have a sample every ten seconds for as long as the retention.
    fn full() -> Self {
        let metric = Metric { name: "m".into(), frequency: 10, aggregation: Aggregation::Sum };
        let metrics = Metrics::new(vec![metric]).expect("the metric is valid");
        let shards = ["a", "b"].map(|host| {
            let mut shard = Shard::new(metrics.clone(), 2, RETENTION);
            for thread in 0..10 {
                let id = shard.declare_path(["c", host, &format!("hwthread{thread}")], MetricId(0));
                for slot in (1..RETENTION / 10).rev() {
                    // Bits that cannot be packed.
                    shard.load(id, NOW - 10 * slot, (slot as f64 * 0.731 + f64::from(thread)).sin(), false);
                }
            }
            shard
        });
        Self { shards: RefCell::new(shards.into()), can_save: true, saves: Cell::new(0) }
    }

    /// Age of the oldest sample of each core, in seconds.
    fn ages(&self) -> Vec<i64> {
        let age = |shard: &Shard| {
            let level = shard.tree().children(shard.hosts()[0]).next().expect("it has one");
            let id = shard.tree().series(level, MetricId(0)).expect("it has one");
            let oldest = shard.chain(id).buffers().next().expect("it holds data").first_write(10);
            NOW - oldest
        };
        self.shards.borrow().iter().map(age).collect()
    }
}

impl Cores for Shards {
    async fn held_bytes(&self) -> u64 {
        self.shards.borrow().iter().map(Shard::held_bytes).sum()
    }

    async fn free_spared(&self) -> u64 {
        0
    }

    async fn save(&self) {
        self.saves.set(self.saves.get() + 1);
        if self.can_save {
            for shard in &mut *self.shards.borrow_mut() {
                for host in shard.hosts() {
                    shard.hand_over(host);
                }
            }
        }
    }

    async fn free_saved_before(&self, to: i64) -> u64 {
        let mut freed = 0;
        for shard in &mut *self.shards.borrow_mut() {
            freed += FreeWork::saved(vec![ROOT], to).finish(shard) as u64;
        }
        freed
    }
}

fn look_at(shards: &Shards, cap_bytes: u64) -> Look {
    futures_lite::future::block_on(look(shards, cap_bytes, RETENTION, NOW))
}

#[test]
fn below_the_cap_nothing_happens() {
    let shards = Shards::full();
    let held = futures_lite::future::block_on(shards.held_bytes());
    assert!(held > 2 * 10 * 6 * (RETENTION as u64 / 10), "{held}");
    let look = look_at(&shards, held);
    assert_eq!((look.freed, look.older_than_seconds, shards.saves.get()), (0, None, 0));
    assert!(shards.ages().iter().all(|&age| age > RETENTION - BUFFER_SECONDS));
    assert_eq!(look.interval(held, INTERVALS), INTERVALS.close);
    assert_eq!(look.interval(held * 2, INTERVALS), INTERVALS.usual);
}

#[test]
fn above_it_the_oldest_goes_until_it_is_enough() {
    for (cap_percent, kept_percent) in [(90, 75), (60, 50), (30, 25), (1, 25)] {
        let shards = Shards::full();
        let held = futures_lite::future::block_on(shards.held_bytes());
        let look = look_at(&shards, held * cap_percent / 100);
        assert!(look.freed > 0);
        let kept = RETENTION * kept_percent / 100;
        assert_eq!(look.older_than_seconds, Some(kept), "{cap_percent} %");
        for age in shards.ages() {
            assert!((kept..kept + BUFFER_SECONDS + 10).contains(&age), "{cap_percent} %: {age} s");
        }
        assert_eq!(shards.saves.get(), 1, "what is freed was saved first");
    }
}

#[test]
fn what_no_snapshot_holds_is_not_freed() {
    let shards = Shards { can_save: false, ..Shards::full() };
    let before = shards.ages();
    let look = look_at(&shards, 1);
    assert_eq!((look.freed, look.left_bytes), (0, look.found_bytes));
    assert_eq!(shards.ages(), before);
}
