//! Loom models of the primitives in `engine/src/sync/`: every interleaving of small cases, and proof that each model
//! notices what it is there for.
//!
//! Run with `RUSTFLAGS="--cfg loom --cfg crossbeam_loom" cargo test -p loom-tests --release`. Without these flags there is
//! nothing here.
