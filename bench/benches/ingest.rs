//! Criterion benches of every stage of the ingest path and of the limit beside it: `cargo bench -p bench`.
//!
//! Criterion's figures are for following one stage over time (`--save-baseline`, `--baseline`). The ratio of the
//! whole path and the limit is measured better by the program `stages`, which takes them in turn.

use bench::{
    options::SiteOptions,
    stages::{Stage, Stages},
    timeline::now_seconds,
};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

fn ingest(criterion: &mut Criterion) {
    let site = SiteOptions { hosts: 200, threads: 72, thread_metrics: 10, node_metrics: 20 };
    let mut stages = Stages::new(&site, 20, now_seconds());
    let mut group = criterion.benchmark_group("ingest");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for stage in Stage::ALL {
        // Passes differ in length; one unit is a line.
        group.throughput(Throughput::Elements(stages.pass(stage).lines));
        group.bench_function(stage.name(), |bencher| {
            bencher.iter_custom(|passes| (0..passes).map(|_| stages.pass(stage).took).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
