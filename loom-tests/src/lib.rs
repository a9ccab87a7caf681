//! Loom models of the primitives in `engine/src/sync/`.
