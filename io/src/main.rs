//! The daemon cc-metric-store.

use std::process::ExitCode;

fn main() -> ExitCode {
    cc_metric_store::boot::main()
}
