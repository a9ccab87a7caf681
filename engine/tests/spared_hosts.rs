//! Hosts that are spared keep what is older than the retention: in memory, and when snapshots and logs are loaded.
#![expect(clippy::unwrap_used, reason = "a test fails where something unexpected happens")]

use engine::checkpoint::{Kind, SnapshotEncoder, SnapshotSink};
use engine::config::{Aggregation, Metric, Metrics};
use engine::memory::retention::FreeWork;
use engine::memory::shard::Shard;
use engine::memory::spared::Spared;
use engine::memory::work::ShardWork;
use engine::recovery::Recovery;
use engine::series::tree::ROOT;
use engine::wal::encode::SegmentEncoder;
use engine::wal::segment::SegmentHeader;

/// The retention begins here.
const OLDEST: i64 = 1_700_000_000;
const RETENTION_SECONDS: i64 = 48 * 3600;

/// A shard with old and young samples of these hosts, from a snapshot and from a log, spared or not.
fn loaded(spared: &Spared) -> Shard {
    let metric = Metric { name: "load".into(), frequency: 60, aggregation: Aggregation::Sum };
    let mut shard = Shard::new(Metrics::new(vec![metric]).unwrap(), 1, RETENTION_SECONDS);
    let mut recovery = Recovery::new(&mut shard, 0, 1, OLDEST).sparing(spared);
    let header = SegmentHeader { id: 1, core: 0, cores: 1, created_seconds: OLDEST };
    let (mut log, mut segment) = (SegmentEncoder::new(header), header.encode().to_vec());
    for (id, (cluster, host)) in (0..).zip([("c", "a"), ("c", "b"), ("d", "a")]) {
        let mut snapshot = SnapshotEncoder::new(OLDEST - 6000, OLDEST);
        snapshot.series("load", 60, OLDEST - 6000, [1.0]);
        recovery.snapshot(cluster, host, Kind::Binary, &snapshot.finish().0).unwrap();
        log.declare(id, &[cluster, host], "load");
        log.sample(id, OLDEST - 3000, 2.0);
        // A gap of more than a buffer: what is young has one of its own.
        log.sample(id, OLDEST + 60_000, 3.0);
    }
    segment.extend_from_slice(log.seal());
    recovery.segment(1, &segment);
    // As after a checkpoint: retention leaves what is in no snapshot.
    for host in shard.hosts() {
        shard.hand_over(host);
    }
    shard
}

/// Which values each host holds.
fn held(shard: &Shard) -> Vec<(String, Vec<f64>)> {
    let mut held: Vec<_> = shard
        .hosts()
        .into_iter()
        .map(|host| {
            let (_, id) = shard.tree().level(host).series()[0];
            let buffers = shard.chain(id).buffers();
            let values = buffers.flat_map(|buffer| buffer.values(shard.pool()));
            (shard.tree().path(host).join("/"), values.into_iter().filter(|value| !value.is_nan()).collect())
        })
        .collect();
    held.sort_by(|(one, _), (other, _)| one.cmp(other));
    held
}

fn expected(hosts: [(&str, &[f64]); 3]) -> Vec<(String, Vec<f64>)> {
    hosts.map(|(host, values)| (host.to_owned(), values.to_vec())).to_vec()
}

#[test]
fn a_load_leaves_old_samples_of_snapshots_out_but_those_of_spared_hosts() {
    let all: &[f64] = &[1.0, 2.0, 3.0];
    let logged: &[f64] = &[2.0, 3.0];
    let spared = Spared::decode(br#"{"c":["b"],"other":["a"]}"#).unwrap();
    assert_eq!(held(&loaded(&spared)), expected([("c/a", logged), ("c/b", all), ("d/a", logged)]));
    assert_eq!(
        held(&loaded(&Spared::default())),
        expected([("c/a", logged), ("c/b", logged), ("d/a", logged)])
    );
}

#[test]
fn retention_frees_old_buffers_but_those_of_spared_hosts() {
    let everyone = Spared::decode(br#"{"c":["a","b"],"d":["a"]}"#).unwrap();
    let all: &[f64] = &[1.0, 2.0, 3.0];
    let mut shard = loaded(&everyone);
    let mut free = |spared: &[u8]| {
        FreeWork::sparing(&shard, OLDEST, &Spared::decode(spared).unwrap()).finish(&mut shard);
        held(&shard)
    };
    assert_eq!(free(br#"{"c":["a","b"],"d":["a"]}"#), expected([("c/a", all), ("c/b", all), ("d/a", all)]));
    assert_eq!(free(br#"{"c":["b"],"d":["a"]}"#), expected([("c/a", &[3.0]), ("c/b", all), ("d/a", all)]));
    assert_eq!(free(br#"{"c":["b"],"d":[]}"#), expected([("c/a", &[3.0]), ("c/b", all), ("d/a", &[3.0])]));
    assert_eq!(free(b"{}"), expected([("c/a", &[3.0]), ("c/b", &[3.0]), ("d/a", &[3.0])]));
    shard.free_before(ROOT, i64::MAX);
    assert!(held(&shard).is_empty());
}
