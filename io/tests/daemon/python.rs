//! Real clients from PyPI, in the virtual environment that `.ci/run` makes.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What a script of `io/tests/python/` prints, which is JSON.
#[track_caller]
pub(crate) fn run_script(script: &str, arguments: &[&str]) -> Value {
    let io = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = io.join("../.venv/bin/python");
    let install = "real clients are tried from Python; install them with `python3 -m venv .venv && .venv/bin/pip install \
        -r io/tests/python/requirements.txt` (Debian: apt-get install python3-venv)";
    let output = Command::new(&python).arg(io.join("tests/python").join(script)).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}: {install}", python.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("ModuleNotFoundError"), "{errors}\n{install}");
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}
