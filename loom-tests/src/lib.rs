//! Loom models of the primitives in `engine/src/sync/`: every interleaving of small cases.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p loom-tests --release`. Without that flag there is nothing here.
