//! Tests of both snapshot formats.

mod damage;
mod fixtures;
mod golden;
mod properties;
