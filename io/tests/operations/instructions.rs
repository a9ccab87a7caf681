//! The commands of the tutorial and of the upgrade page, run as they stand there, with bash and curl.
//!
//! Only the build is left out, and the port is one that is free. After a block that starts the daemon the script waits until it answers, as
//! a reader would.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::daemon::{BINARY, free_port, run};
use crate::read;

/// The port in the documents.
const PORT: &str = "8082";
/// Seconds the commands of one page may take.
const SECONDS_MAX: &str = "60";

/// The blocks of a page that begin with exactly "```sh".
fn blocks(page: &str) -> Vec<String> {
    let text = read(page);
    let mut pieces = text.split("```");
    let mut found = Vec::new();
    while let (Some(_), Some(block)) = (pieces.next(), pieces.next()) {
        if let Some(commands) = block.strip_prefix("sh\n") {
            found.push(commands.to_owned());
        }
    }
    found
}

/// A directory with the programs under their names; the daemon without `-config` takes the defaults, on another port.
fn programs(directory: &Path, port: u16) -> PathBuf {
    let bin = directory.join("bin");
    fs::create_dir(&bin).expect("the scratch directory is writable");
    let finished = run(&["-check-config"], directory);
    let mut defaults: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!(defaults["main"]["addr"], "127.0.0.1:8082", "as the tutorial says");
    defaults["main"]["addr"] = json!(format!("127.0.0.1:{port}"));
    let config = directory.join("defaults.json");
    fs::write(&config, defaults.to_string()).expect("the scratch directory is writable");
    let wrapper = format!(
        "#!/bin/sh\ncase \"$*\" in *-config*) exec '{BINARY}' \"$@\" ;; esac\nexec '{BINARY}' -config '{}' \"$@\"\n",
        config.display()
    );
    let program = bin.join("cc-metric-store");
    fs::write(&program, wrapper).expect("the scratch directory is writable");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    for tool in ["checkpoint-export", "checkpoint-reader"] {
        let built = Path::new(BINARY).with_file_name(tool);
        assert!(built.exists(), "{tool} is not built: cargo build -p tools");
        std::os::unix::fs::symlink(built, bin.join(tool)).expect("the scratch directory is writable");
    }
    bin
}

/// Runs the blocks of a page one after the other in one shell; returns what they printed.
#[track_caller]
fn run_page(page: &str, config: Option<&Value>, blocks_min: usize) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let port = free_port();
    let bin = programs(directory.path(), port);
    let work = directory.path().join("work");
    fs::create_dir(&work).expect("the scratch directory is writable");
    if let Some(config) = config {
        fs::write(work.join("config.json"), config.to_string().replace(PORT, &port.to_string()))
            .expect("writable");
    }
    let found = blocks(page);
    assert!(found.len() >= blocks_min, "{page} has only {} blocks of commands", found.len());
    let mut script =
        String::from("set -euo pipefail; set -m; trap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT\n");
    for block in found {
        let block = block.replace(PORT, &port.to_string());
        script.push_str(&block);
        if block.trim_end().ends_with('&') {
            script.push_str(&format!(
                "until curl -sf -o /dev/null http://127.0.0.1:{port}/ready; do kill -0 $!; sleep 0.02; done\n"
            ));
        }
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("timeout")
        .args(["--signal=TERM", SECONDS_MAX, "bash", "-c", &script])
        .env("PATH", format!("{}:{path}", bin.display()))
        .current_dir(&work)
        .stdin(Stdio::null())
        .output()
        .expect("timeout and bash run; install them: apt-get install coreutils bash curl");
    let said = crate::said(&output);
    assert!(output.status.success(), "{page}: {}\n{said}\n---- the script ----\n{script}", output.status);
    (directory, said)
}

#[test]
fn the_tutorial_works() {
    let (directory, said) = run_page("docs/tutorial.md", None, 6);
    assert!(said.contains("61 points in load.svg") && said.contains("the same"), "{said}");
    let svg = fs::read_to_string(directory.path().join("work/load.svg")).expect("it was drawn");
    assert!(svg.contains("<polyline"), "{svg}");
    assert!(!said.contains("[WARNING]") && !said.contains("[ERROR]"), "{said}");
}

#[test]
fn the_way_to_the_reference_and_back_works() {
    let config = json!({"main": {"addr": "127.0.0.1:8082"}, "metrics": {"cpu_load": {"frequency": 60, "aggregation": null}},
        "metric-store": {"retention-in-memory": "48h", "checkpoints": {"directory": "./var/checkpoints"}}});
    let (directory, said) = run_page("docs/operations/upgrade.md", Some(&config), 6);
    assert!(said.contains("\"data\":[1.500]"), "{said}");
    assert!(said.contains("fritz/f0202: 1 series, 1 samples"), "{said}");
    let work = directory.path().join("work");
    assert!(work.join("wal.exported").exists() || work.join("var/wal.exported").exists());
    assert!(!work.join("var/wal").exists());
}
