//! Bounds and defaults of the configuration, related to each other by const assertions.
//!
//! What the engine bounds itself (metric names, frequencies, query size) is in `engine::limits`.

use std::time::Duration;

/// Sections that are not known and named in the log; further ones are passed over without a word.
pub const UNKNOWN_SECTIONS_MAX: usize = 16;
/// Largest file with a secret; a token has some hundred bytes.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// Where the configuration is looked for when no `-config` is given.
pub const CONFIG_PATH_DEFAULT: &str = "./config.json";
/// Largest configuration or section file; a real one has some kilobytes.
pub const CONFIG_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How much of a wrong value an error message quotes.
pub const QUOTE_CHARS_MAX: usize = 64;

/// Where HTTP listens when `main.addr` is absent (SPEC section 7).
pub const ADDR_DEFAULT: &str = "0.0.0.0:8082";
/// Where HTTP listens when there is no configuration file at all: nobody but this machine.
pub const ADDR_WITHOUT_CONFIG: &str = "127.0.0.1:8082";
/// Root of the snapshots when `checkpoints.directory` is absent (SPEC section 7).
pub const CHECKPOINTS_DIRECTORY_DEFAULT: &str = "./var/checkpoints";

/// `checkpoint-interval` when absent (SPEC section 6).
pub const CHECKPOINT_INTERVAL_DEFAULT: Duration = Duration::from_secs(12 * 3600);
/// Retention when there is no configuration file at all.
pub const RETENTION_WITHOUT_CONFIG: Duration = Duration::from_secs(48 * 3600);
/// Retention and checkpoints work in whole seconds; less would be a busy loop.
pub const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Shortest `wal.sync` interval; below it, `always` is the better choice.
pub const SYNC_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// `main.idle-timeout` when absent.
pub const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(120);
/// Idle connections are swept once a second.
pub const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// `main.stop-timeout` when absent: a third of what systemd gives a service by default.
pub const STOP_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// Requests under way have at least this long to end.
pub const STOP_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// `main.max-connections` when absent.
pub const CONNECTIONS_DEFAULT: u32 = 10_000;
/// Most connections that can be configured; the kernel's default ceiling of file descriptors.
pub const CONNECTIONS_MAX: u32 = 1_048_576;

/// `main.max-header-bytes` when absent.
pub const HEADER_BYTES_DEFAULT: u32 = 64 * 1024;
/// The HTTP library works with no smaller buffer.
pub const HEADER_BYTES_MIN: u32 = 8 * 1024;
/// Headers beyond this would be an attack on memory.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Largest body of a query, free or health check: some hundred thousand queries.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// `main.max-held-bytes` when absent.
pub const HELD_BYTES_DEFAULT: u64 = 512 * 1024 * 1024;
/// Less would not hold the largest body, with what is left to small ones.
pub const HELD_BYTES_MIN: u64 = 128 * 1024 * 1024;
/// More than any machine has.
pub const HELD_BYTES_MAX: u64 = 1 << 50;

/// Most names in `main.allowed-hosts`.
pub const ALLOWED_HOSTS_MAX: usize = 256;

/// Fastest body that `main.min-body-rate` may ask for: 1 GB/s; more would refuse everybody.
pub const BODY_RATE_MAX: u32 = 1_000_000_000;

/// Most cores `metric-store.cores` may ask for.
pub const CORES_MAX: u16 = 1024;
/// Most gigabytes `metric-store.memory-cap` may name; more than any machine has.
pub const MEMORY_CAP_GB_MAX: f64 = 1e6;
/// Bytes of the gigabyte in `metric-store.memory-cap`.
pub const GB_BYTES: f64 = 1e9;
/// Most entries of `metric-store.nats-subscriptions`.
pub const SUBSCRIPTIONS_MAX: usize = 1024;
/// Longest name of a JetStream stream or consumer, which brokers make files of.
pub const JET_STREAM_NAME_BYTES_MAX: usize = 128;

/// `nats.max-held-bytes` when absent.
pub const NATS_HELD_BYTES_DEFAULT: u32 = 64 * 1024 * 1024;
/// Less would not hold one message of the usual greatest size.
pub const NATS_HELD_BYTES_MIN: u32 = 1024 * 1024;
/// More would only delay the news that the cores do not keep up.
pub const NATS_HELD_BYTES_MAX: u32 = 2 * 1024 * 1024 * 1024;

const _: () =
    assert!(NATS_HELD_BYTES_MIN <= NATS_HELD_BYTES_DEFAULT && NATS_HELD_BYTES_DEFAULT <= NATS_HELD_BYTES_MAX);
const _: () =
    assert!(HELD_BYTES_MIN / 4 * 3 >= BODY_BYTES_MAX as u64 && HELD_BYTES_MIN <= HELD_BYTES_DEFAULT);
const _: () = assert!(CONNECTIONS_DEFAULT <= CONNECTIONS_MAX);
const _: () = assert!(HEADER_BYTES_MIN <= HEADER_BYTES_DEFAULT && HEADER_BYTES_DEFAULT <= HEADER_BYTES_MAX);
const _: () = assert!(CHECKPOINT_INTERVAL_DEFAULT.as_secs() >= INTERVAL_MIN.as_secs());
const _: () = assert!(IDLE_TIMEOUT_DEFAULT.as_secs() >= IDLE_TIMEOUT_MIN.as_secs());
const _: () = assert!(MEMORY_CAP_GB_MAX * GB_BYTES < u64::MAX as f64);
