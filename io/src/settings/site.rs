//! The settings of a daemon started without any configuration file: the sample metrics of a
//! ClusterCockpit site, listening for this machine only.
//!
//! Used instead of the file's sections; everything after is the same.

use std::sync::Arc;

use engine::config::{Aggregation, Metric, Metrics};

const FREQUENCY_SECONDS: i64 = 60;

/// Rates and amounts of parts that add up to those of the host.
const SUMMED: &[&str] = &[
    "acc_mem_used",
    "acc_power",
    "core_power",
    "cpu_power",
    "flops_any",
    "flops_dp",
    "flops_sp",
    "ib_recv",
    "ib_recv_pkts",
    "ib_xmit",
    "ib_xmit_pkts",
    "mem_bw",
    "mem_power",
];
/// Ratios, clocks and temperatures, of which the host has the mean.
const AVERAGED: &[&str] = &[
    "acc_utilization",
    "clock",
    "cpu_idle",
    "cpu_iowait",
    "cpu_irq",
    "cpu_system",
    "cpu_user",
    "debug_metric",
    "ipc",
    "nv_mem_util",
    "nv_sm_clock",
    "nv_temp",
    "vectorization_ratio",
];
/// Measured for the host as a whole.
const PER_HOST: &[&str] = &[
    "cpu_load",
    "file_bw",
    "lustre_close",
    "lustre_open",
    "lustre_read_bytes",
    "lustre_statfs",
    "lustre_write_bytes",
    "mem_cached",
    "mem_used",
    "net_bw",
    "net_bytes_in",
    "net_bytes_out",
    "nfs4_read",
    "nfs4_total",
    "nfs4_write",
];

/// The sample metrics.
pub(super) fn metrics() -> Arc<Metrics> {
    let groups = [(SUMMED, Aggregation::Sum), (AVERAGED, Aggregation::Avg), (PER_HOST, Aggregation::None)];
    let metrics = groups.iter().flat_map(|&(names, aggregation)| {
        names.iter().map(move |&name| Metric { name: name.into(), frequency: FREQUENCY_SECONDS, aggregation })
    });
    Metrics::new(metrics.collect()).expect("the sample metrics are valid, as a test shows")
}
