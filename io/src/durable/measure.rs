//! What a commit costs on the disk of this machine; run by hand, in release:
//! `cargo test --release -p io --lib durable::measure -- --ignored --nocapture --test-threads 1`.
//! `CC_METRIC_STORE_MEASURE_DIRECTORY` names another disk than that of the temporary directory.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use super::RealPlatform;
use crate::runtime::testing::on_core;
use engine::durable::commit::{CommitOptions, CommitQueue, WalSync};
use engine::durable::segments::{SegmentOptions, Segments};

fn directory() -> tempfile::TempDir {
    match std::env::var_os("CC_METRIC_STORE_MEASURE_DIRECTORY") {
        Some(path) => tempfile::tempdir_in(path).unwrap(),
        None => tempfile::tempdir().unwrap(),
    }
}

/// User and system time of this process with its io_uring workers. What the kernel's own threads do for a durable write
/// is not in it.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time = |at: nix::sys::time::TimeVal| {
        Duration::from_secs(at.tv_sec().unsigned_abs()) + Duration::from_micros(at.tv_usec().unsigned_abs())
    };
    time(usage.user_time()) + time(usage.system_time())
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

async fn queue(path: &Path, sync: WalSync) -> CommitQueue<RealPlatform> {
    let options = SegmentOptions::new(path.to_owned(), 0, 1);
    let segments = Segments::open(RealPlatform, options).await.unwrap();
    CommitQueue::start(segments, CommitOptions { sync, ..CommitOptions::default() }, |_| {}).await.unwrap()
}

/// One block at a time: the latency of a commit when nobody shares it.
#[test]
#[ignore = "measures, asserts nothing"]
fn one_block_at_a_time() {
    for bytes in [4096_usize, 8192, 16384, 65536] {
        for sync in [WalSync::Always, WalSync::None] {
            let directory = directory();
            let path = directory.path().to_owned();
            on_core(async move || {
                let queue = queue(&path, sync).await;
                let block = vec![7; bytes];
                let mut times = Vec::new();
                let (start, cpu_before) = (Instant::now(), cpu());
                for _ in 0..2000 {
                    if queue.segment_room_bytes() < bytes as u64 {
                        queue.next_segment().await.unwrap();
                    }
                    let start = Instant::now();
                    let ticket = queue.append(queue.segment().unwrap(), &block).unwrap();
                    queue.wait(ticket).await.unwrap();
                    times.push(start.elapsed());
                }
                let (elapsed, cpu) = (start.elapsed(), cpu() - cpu_before);
                times.sort_unstable();
                println!(
                    "{bytes:6} B {sync:?}: p50 {:?} p99 {:?} max {:?}, {:.0} MB/s, CPU {:?} a commit",
                    percentile(&times, 50),
                    percentile(&times, 99),
                    times[times.len() - 1],
                    (2000 * bytes) as f64 / elapsed.as_secs_f64() / 1e6,
                    cpu / 2000,
                );
                queue.close().await.unwrap();
            });
        }
    }
}

/// Several requests of 8 KiB wait at the same time.
#[test]
#[ignore = "measures, asserts nothing"]
fn many_requests_share_a_sync() {
    for tasks in [1_u32, 4, 16, 64] {
        let directory = directory();
        let path = directory.path().to_owned();
        on_core(async move || {
            let queue = queue(&path, WalSync::Always).await;
            let (start, cpu_before) = (Instant::now(), cpu());
            let each = 8192 / tasks;
            let workers: Vec<_> = (0..tasks)
                .map(|_| {
                    let queue = queue.clone();
                    async move {
                        let block = vec![7; 8192];
                        for _ in 0..each {
                            queue.room().await;
                            if queue.segment_room_bytes() < 8192 {
                                queue.next_segment().await.unwrap();
                            }
                            let ticket = queue.append(queue.segment().unwrap(), &block).unwrap();
                            queue.wait(ticket).await.unwrap();
                        }
                    }
                })
                .collect();
            let left = std::rc::Rc::new(std::cell::Cell::new(tasks));
            for worker in workers {
                let left = left.clone();
                crate::runtime::spawn("worker", async move {
                    worker.await;
                    left.set(left.get() - 1);
                });
            }
            while left.get() > 0 {
                crate::runtime::next_tick().await;
            }
            let (elapsed, cpu, statistics) = (start.elapsed(), cpu() - cpu_before, queue.statistics());
            println!(
                "{tasks:3} at once: {:.1} blocks a commit, {:?} a commit, sync {:?} (max {:?}), {:.0} MB/s, CPU {:?} a block",
                statistics.blocks as f64 / statistics.commits as f64,
                Duration::from_nanos(statistics.commit_ns_total / statistics.commits),
                Duration::from_nanos(statistics.sync_ns_total / statistics.syncs),
                Duration::from_nanos(statistics.sync_ns_max),
                statistics.bytes as f64 / elapsed.as_secs_f64() / 1e6,
                cpu / (each * tasks),
            );
            queue.close().await.unwrap();
        });
    }
}
