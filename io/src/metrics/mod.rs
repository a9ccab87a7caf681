//! What `/metrics` shows: counters of every core and of the process, as Prometheus text.
//!
//! Each core counts in plain cells ([`counters`]), per batch or per request, and its pump hands them over when it is asked
//! ([`core_metrics`]), so that nothing of it is shared and nothing on a sample's way waits. [`page`] makes [`text`] of them;
//! [`daemon`] is what no core owns, [`process`] what the system says. `docs/operations/metrics.md` lists all of it.
//!
//! Another part of the daemon adds to it with a [`Source`](daemon::Source) if its numbers are the daemon's, or with
//! [`Sources::add`](core_metrics::Sources::add) if they are a core's.

pub mod core_metrics;
pub mod counters;
pub mod daemon;
pub mod page;
pub mod process;
pub mod text;
