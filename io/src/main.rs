//! The daemon cc-metric-store.

use std::process::ExitCode;

/// Gives freed memory back to the system, which that of the C library does not; see
/// `docs/decisions/0004-compression.md`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cc_metric_store::boot::main()
}
