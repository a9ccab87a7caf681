//! What an administrator gets beside the daemon, held against it: unit, filters, configurations, manual, pages of
//! `docs/operations/` and the tutorial.
//!
//! What of it needs another program says so when that is missing, and which package has it.

#[path = "../daemon/mod.rs"]
mod daemon;

mod configs;
mod instructions;
mod log_page;
mod manual;
mod sandbox;
mod sizing;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace is above").to_owned()
}

/// The text of a file of the repository.
#[track_caller]
fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs another program, which `package` of Debian has.
#[track_caller]
fn run_tool(program: &str, arguments: &[&str], package: &str) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; install it: apt-get install {package}"))
}

/// What a program printed, both ways.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}
