//! The comparison as a user runs it, with fake daemons in the places of the real ones.

#![allow(clippy::unwrap_used, reason = "all of this is a test")]

// The load generator's tests use the rest of it.
#[allow(dead_code)]
mod fake;

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use fake::{Fake, Fault};
use serde_json::Value;

/// A program that behaves like a store: this test binary, running [`fake_daemon`].
fn fake_binary(directory: &Path, name: &str, fault: &str) -> String {
    let path = directory.join(name);
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\nFAKE_FAULT={fault} FAKE_CONFIG=\"$2\" exec '{}' --ignored --exact fake_daemon --nocapture\n",
        this.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_string()
}

#[test]
#[ignore = "not a test: the process that the program starts in other tests"]
fn fake_daemon() {
    let Ok(path) = std::env::var("FAKE_CONFIG") else { return };
    let config: Value = serde_json::from_reader(File::open(path).unwrap()).unwrap();
    let listener = TcpListener::bind(config["main"]["addr"].as_str().unwrap()).unwrap();
    let fault = match std::env::var("FAKE_FAULT").as_deref() {
        Ok("wrong") => Fault::WrongValue(700),
        Ok("slow") => Fault::Stall(1, Duration::from_millis(400)),
        Ok("refuse") => Fault::Refuse(2),
        _ => Fault::None,
    };
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]).unwrap();
    Fake::new(fault).serve(listener, None);
    signals.forever().next();
    std::process::exit(0);
}

fn compare(directory: &Path, other_fault: &str) -> Output {
    let scratch = directory.join("scratch");
    fs::create_dir(&scratch).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_compare"))
        .args(["--without", "victoria-metrics", "--without", "influxdb", "--hosts", "1"])
        .args(["--intervals", "3", "--rounds", "2", "--scratch-parent", scratch.to_str().unwrap()])
        .args(["--binary", &fake_binary(directory, "ours", "none")])
        .args(["--other", &fake_binary(directory, "theirs", other_fault)])
        .args(["--json", directory.join("figures.json").to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "data directories are left");
    output
}

#[test]
fn each_server_gets_every_round_and_the_table_has_ratios() {
    let directory = tempfile::tempdir().unwrap();
    let output = compare(directory.path(), "slow");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{table}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(table.matches("points found").count(), 4, "{table}");
    assert!(table.contains("1.00 (1.00..1.00)") && table.contains("other: theirs"), "{table}");
    let figures: Value =
        serde_json::from_reader(File::open(directory.path().join("figures.json")).unwrap()).unwrap();
    for name in ["cc-metric-store", "other: theirs"] {
        assert_eq!(figures[name].as_array().unwrap().len(), 2);
        assert_eq!(figures[name][1]["total"]["lines"], 3.0 * 740.0);
        assert_eq!(figures[name][1]["seed"], 2);
        for run in figures[name].as_array().unwrap() {
            // The order changes from round to round; figures stay with their server.
            let slow = run["total"]["latency_ms_max"].as_f64().unwrap() >= 400.0;
            assert_eq!(slow, name == "other: theirs", "{name}: {run}");
        }
    }
}

#[test]
fn a_server_that_refuses_or_changes_lines_ends_the_comparison() {
    for (fault, reason) in [("wrong", "was sent, got"), ("refuse", "fake refusal")] {
        let directory = tempfile::tempdir().unwrap();
        let output = compare(directory.path(), fault);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("other: theirs") && error.contains(reason), "{error}");
    }
}
