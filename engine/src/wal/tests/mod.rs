//! Tests of the log as a whole: histories go in, bytes are damaged, prefixes come out.

mod corruption;
mod golden;
mod history;
mod roundtrip;
mod speed;
