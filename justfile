# Shortcuts; every recipe is a plain command that works without `just` too.

# Exactly what CI runs.
check:
    .ci/run

# Unit, property, vector and end-to-end tests; ARGS go to cargo (`just test -p io --test conformance`).
test *ARGS:
    cargo test --workspace --locked {{ARGS}}

# The lock-free code under every interleaving.
loom:
    .ci/loom

# The engine's unit tests under Miri.
miri:
    .ci/miri

# Compiler and clippy warnings as errors.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Formats every file in place.
fmt:
    cargo fmt --all

# The daemon as it is deployed: target/release/cc-metric-store.
build:
    cargo build --release --locked

# Criterion benches of the ingest path's stages.
bench *ARGS:
    cargo bench -p bench {{ARGS}}

# The tables of docs/performance.md, one after the other: about ten minutes. `compare` needs victoria-metrics and influxdb.
measure:
    cargo build --release --locked --workspace
    target/release/stages
    target/release/load --repeat 5
    target/release/compare
    target/release/queries
    target/release/running-jobs
    target/release/scaling
    target/release/plots --directory docs/plots

# The tests that take minutes.
soak:
    cargo test --release --locked -p io -- --ignored --nocapture
