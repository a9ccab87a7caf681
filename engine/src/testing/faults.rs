//! What goes wrong with a simulated disk while it runs, and when the machine stops.

/// How the disk behaves at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// How many operations of a hundred fail.
    pub error_percent: u64,
    /// How many reads of a hundred fail, if that is more.
    pub read_error_percent: u64,
    /// How many bytes of files there is room for.
    pub capacity_bytes: u64,
    /// The longest that an operation usually takes.
    pub latency_ns_max: u64,
    /// Whether writes can be durable without a sync.
    pub has_durable_writes: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            error_percent: 0,
            read_error_percent: 0,
            capacity_bytes: u64::MAX,
            latency_ns_max: 1_000_000,
            has_durable_writes: true,
        }
    }
}

/// How a life of the process ends that does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed: what it wrote is in the page cache.
    Kill,
    /// The power fails: what was not synced is kept, lost or torn, sector by sector and name by name. So many of a hundred
    /// are kept.
    Power {
        /// How many.
        percent_kept: u64,
    },
}
