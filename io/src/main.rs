//! The daemon cc-metric-store.

fn main() {}
