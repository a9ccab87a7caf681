//! Every bound of the program, in one place, related to each other by const assertions.
//!
//! Units come last in the names. A length that arrives from outside is compared with its bound here
//! before anything is allocated for it.

/// Slots of one buffer (SPEC section 1).
pub const BUFFER_SLOTS: usize = 512;

/// Most metrics a configuration may name.
pub const METRICS_MAX: usize = 4096;
/// Longest metric name.
pub const METRIC_NAME_BYTES_MAX: usize = 255;
/// Longest time between two samples of a series: 30 days.
pub const FREQUENCY_SECONDS_MAX: i64 = 30 * 24 * 3600;

/// Longest line of line protocol, newline not counted: the largest message a NATS server takes by default.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Where fields are metrics: bytes of the keys of all fields of a line, each with the line's tags. Ten thousand usual fields.
pub const FIELD_KEYS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest type ‖ type-id: its length is a `u16` in snapshots (SPEC section 5).
pub const SELECTOR_PART_BYTES_MAX: usize = u16::MAX as usize;
/// How much of a bad line an error message quotes (SPEC section 2).
pub const ERROR_QUOTE_BYTES_MAX: usize = 64;

/// Hosts that the host directory copies at once when one of them comes or goes.
pub const HOSTS_PER_CHUNK_MAX: usize = 64;

/// Default clusters a core keeps keys for.
pub const CONTEXTS_MAX: usize = 64;

/// With a limit of series: keys a core remembers for each of them, so that tags in another order do no harm.
pub const KEYS_PER_SERIES_MAX: usize = 4;
/// Keys a core remembers however few series there may be.
pub const KEYS_MAX_MIN: usize = 1024;

/// Longest cluster or host: each becomes the name of a directory.
pub const PATH_NAME_BYTES_MAX: usize = 255;

/// Times beyond ± this many seconds are refused where they enter (the year 5138).
pub const TIME_SECONDS_MAX: i64 = 100_000_000_000;
/// A sample further ahead of the clock than this is rejected (SPEC section 9, 7).
pub const FUTURE_SECONDS_MAX: i64 = 3600;
/// A buffer is degraded when it ended more than this many slots ago (SPEC section 3).
pub const HEALTH_MISSING_SLOTS_MAX: i64 = 5;

/// Values one query may answer, unless `query-limit` says otherwise (SPEC section 4).
pub const QUERY_VALUES_MAX: u64 = 200_000_000;
/// Values that a core may read for each of those that the whole query may answer: many are combined to one, or to statistics.
pub const QUERY_READ_PER_VALUE: u64 = 100;
/// What looking at one series counts as, in values read.
pub const QUERY_SERIES_READ_VALUES: u64 = 16;
/// Rows (type-ids × subtype-ids, over all queries) one request may ask for.
pub const QUERY_ROWS_MAX: u64 = 1_000_000;
/// Elements that all lists of a request's body may have together: queries, ids, names. Each takes some ten times its bytes.
pub const REQUEST_ELEMENTS_MAX: usize = 4_000_000;
const _: () = assert!(REQUEST_ELEMENTS_MAX as u64 > 2 * QUERY_ROWS_MAX);
/// Series whose size is found out at once, before others get their turn; the row of the last one may go beyond.
pub const QUERY_SERIES_COUNTED_PER_STEP: usize = 512;
/// Bytes of an answer that are expected for each of its values.
pub const QUERY_VALUE_BYTES: usize = 8;
/// The same of a row without its values.
pub const QUERY_ROW_BYTES: u64 = 128;
/// Bytes of an answer that are reserved at once: small enough to be used again and again without asking the system for memory.
pub const ANSWER_CHUNK_BYTES: usize = 256 * 1024;
/// From so many bytes on, the next row begins another chunk: most rows that are begun below it still fit.
pub const ANSWER_CHUNK_FULL_BYTES: usize = ANSWER_CHUNK_BYTES - 32 * 1024;
/// Levels freed at once, before others get their turn.
pub const FREE_LEVELS_PER_STEP: usize = 32;
/// Slots that a checkpoint encodes at once; the last series of them may go beyond.
pub const SNAPSHOT_SLOTS_PER_STEP: usize = 1024;
/// What a series or level without slots to encode counts there.
pub const SNAPSHOT_SERIES_COST_SLOTS: usize = 32;
/// Nodes judged at once.
pub const HEALTH_NODES_PER_STEP: usize = 4;
/// Series, and levels, of a host that a listing shows; a host of 256 threads and 8 accelerators has some 8,000.
pub const LISTED_SERIES_MAX: usize = 20_000;
/// Data shorter than this is not resampled (SPEC section 4).
pub const RESAMPLE_POINTS_MIN: usize = 1000;
/// A window of more values is not resampled with `full-range`: what is missing in it is in memory then, too.
pub const RESAMPLE_WINDOW_MAX: u64 = 4_000_000;

/// Longest question in PromQL: Grafana writes the names of all hosts out, in each of its selectors.
pub const PROMQL_BYTES_MAX: usize = 1024 * 1024;
/// Of these, outside of strings: what the parser is given.
pub const PROMQL_SYNTAX_BYTES_MAX: usize = 32 * 1024;
/// Brackets, commas and operators of such a question: they bound the depth of its tree.
pub const PROMQL_NODES_MAX: usize = 256;
/// Regular expressions of such a question.
pub const PROMQL_PATTERNS_MAX: usize = 16;
/// Steps of an answer to PromQL, as many as Prometheus has.
pub const PROMQL_STEPS_MAX: usize = 11_000;
/// Steps at which the expression of a subquery is computed: 69 days of minutes.
pub const PROMQL_SUBQUERY_STEPS_MAX: usize = 100_000;
/// Step of a subquery that names none, as Prometheus has it unless configured.
pub const PROMQL_SUBQUERY_STEP_MS: i64 = 60_000;
/// Longest name of a label that a question makes up.
pub const PROMQL_LABEL_NAME_BYTES_MAX: usize = 128;
/// Series of an answer to PromQL, and of each of its selectors that is not aggregated at once.
pub const PROMQL_SERIES_MAX: usize = 20_000;
/// Points (series × steps) that one core answers to a selector, or all of them together; and of these as many again that the asking
/// core may hold beside them.
pub const PROMQL_POINTS_MAX: usize = 1_000_000;
/// Slots of one series that one answer is made of: 48 days of seconds. 8 bytes each are held.
pub const PROMQL_SERIES_SLOTS_MAX: usize = 4 * 1024 * 1024;
/// The machine of a regular expression of such a question: enough for thousands of full names of hosts.
pub const PROMQL_PATTERN_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Slots unpacked, or looked at, before others get their turn.
pub const PROMQL_SLOTS_PER_STEP: usize = 32 * 1024;
/// Levels and series looked at before others get their turn.
pub const PROMQL_LEVELS_PER_STEP: usize = 64;
/// Of these, as many as this one is that must be compared with a regular expression.
pub const PROMQL_LEVELS_PER_PATTERN: usize = 8;
/// Points computed by the asking core before others get their turn.
pub const PROMQL_POINTS_PER_TURN: usize = 32 * 1024;
/// Look-back of a selector, in samples of its metric.
pub const PROMQL_LOOK_BACK_SLOTS: i64 = 5;

/// Longest message of Prometheus' `remote_write` once it is decompressed, and longest body: some ten thousand samples are a megabyte.
pub const REMOTE_WRITE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest time series of it; what its labels and samples take while they are read is up to 16 times as much.
pub const REMOTE_WRITE_SERIES_BYTES_MAX: usize = 1024 * 1024;

const _: () = assert!(REMOTE_WRITE_SERIES_BYTES_MAX <= REMOTE_WRITE_BYTES_MAX);
const _: () = assert!(METRICS_MAX <= u16::MAX as usize);
const _: () = assert!(METRIC_NAME_BYTES_MAX < LINE_BYTES_MAX);
// A line of one field is never refused for its tags.
const _: () = assert!(2 * LINE_BYTES_MAX <= FIELD_KEYS_BYTES_MAX);
// Slot arithmetic on checked times and frequencies cannot overflow an i64.
const _: () = assert!(TIME_SECONDS_MAX < i64::MAX / 4);
const _: () = assert!(FREQUENCY_SECONDS_MAX * (BUFFER_SLOTS as i64) < i64::MAX / 4 - TIME_SECONDS_MAX);

/// Cluster, host and two names below: the deepest level a log record can name.
pub const LOG_PATH_NAMES_MAX: usize = 4;
/// A log block that has as much payload takes no further record.
pub const LOG_BLOCK_PAYLOAD_BYTES_FULL: usize = 1024 * 1024;
/// Longest payload of a log block; what replay holds in memory.
pub const LOG_BLOCK_PAYLOAD_BYTES_MAX: usize = 2 * 1024 * 1024;

// One more record, however long its names, fits a block that is not full yet.
const _: () = assert!(
    LOG_BLOCK_PAYLOAD_BYTES_FULL
        + LOG_PATH_NAMES_MAX * (SELECTOR_PART_BYTES_MAX + 5)
        + METRIC_NAME_BYTES_MAX
        + 32
        <= LOG_BLOCK_PAYLOAD_BYTES_MAX
);

/// Length of a segment of the log.
pub const LOG_SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// The block of a turn of the pump is ended when it has this many bytes.
pub const LOG_TURN_BLOCK_BYTES: u64 = 512 * 1024;
/// A segment with less room than this is ended before the next turn.
pub const LOG_ROOM_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// From this many bytes on that wait to be written, a core's log takes nothing more.
pub const LOG_PENDING_BYTES_MAX: usize = 8 * 1024 * 1024;

// What is recorded in a turn and does not fit goes into the next segment as a whole, so that has to have room for it: the block
// under way, and the batch that made it long, which has at most the longest line more than a usual one.
const _: () = assert!(LOG_TURN_BLOCK_BYTES <= LOG_ROOM_BYTES_MIN);
const _: () = assert!(LOG_TURN_BLOCK_BYTES + 2 * FIELD_KEYS_BYTES_MAX as u64 <= LOG_SEGMENT_BYTES);
// A block that is waiting leaves room for others to wait beside it.
const _: () = assert!(LOG_TURN_BLOCK_BYTES < LOG_PENDING_BYTES_MAX as u64);
const _: () = assert!(LOG_BLOCK_PAYLOAD_BYTES_MAX as u64 + 1024 < LOG_SEGMENT_BYTES);

/// Deepest level below a host that a snapshot or the reference's log may hold (SPEC section 5); real ones have two.
pub const SNAPSHOT_DEPTH_MAX: usize = 16;
/// Longest payload of a record in the reference's log (SPEC section 5).
pub const REFERENCE_LOG_PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// Longest list of hosts to spare that a backend may send.
pub const SPARED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Rows of one row group of the archive: a host has one unless it has more rows. 16 bytes each are held.
pub const ARCHIVE_ROW_GROUP_ROWS_MAX: usize = 4 * 1024 * 1024;
/// Rows of one page of the archive.
pub const ARCHIVE_PAGE_ROWS_MAX: usize = 128 * 1024;
/// Bytes of snapshots of one host that one archive file takes, but for a single larger snapshot; the others go into the next file.
pub const ARCHIVE_HOST_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Largest snapshot that is loaded.
pub const SNAPSHOT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Largest snapshot that is archived.
pub const ARCHIVE_SNAPSHOT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Largest list of the sources of an archive file that is read.
pub const ARCHIVE_SOURCES_BYTES_MAX: u64 = 256 * 1024 * 1024;

const _: () = assert!(ARCHIVE_PAGE_ROWS_MAX <= ARCHIVE_ROW_GROUP_ROWS_MAX);
const _: () = assert!(ARCHIVE_HOST_BYTES_MAX <= ARCHIVE_SNAPSHOT_BYTES_MAX);
// A run's index in a host is a u32: the smallest has a value of two bytes (JSON).
const _: () = assert!(ARCHIVE_SNAPSHOT_BYTES_MAX < u32::MAX as u64);
