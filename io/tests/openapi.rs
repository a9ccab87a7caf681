//! The description of the API at `/api/openapi.json`: what it says holds for the real daemon, as schemathesis finds out, and Swagger
//! UI shows it under `-dev`.

mod daemon;

use std::path::Path;
use std::process::Command;

use daemon::issuer::Issuer;
use daemon::{Daemon, now};
use serde_json::json;

/// Cases that are made up for each call and phase; all phases take some ten seconds.
const CASES: u32 = 30;

/// What is made up: always the same, unless `OPENAPI_SEED` says otherwise. A change is not to blame for what another seed finds.
fn seed() -> u32 {
    std::env::var("OPENAPI_SEED").map_or(1, |seed| seed.parse().expect("OPENAPI_SEED is a number"))
}

#[test]
fn the_daemon_does_what_the_description_says() {
    let issuer = Issuer::new();
    let daemon = Daemon::start_with(|config| config["main"]["jwt-public-key"] = json!(issuer.public_key()));
    let bearer = format!("Bearer {}", issuer.token(&json!({"exp": now() + 600})));
    let authorized = [("Authorization", bearer.as_str())];
    let lines = format!(
        "cpu_load,cluster=c,hostname=h,type=node value=1.5 {0}\nflops_any,cluster=c,hostname=h,type=hwthread,type-id=0 value=2 {0}",
        now()
    );
    assert_eq!(daemon.request_with("POST", "/api/write", &authorized, lines).status, 200);
    assert_eq!(daemon.request("GET", "/api/openapi.json", "").status, 401);
    assert_eq!(daemon.request_with("GET", "/api/openapi.json", &authorized, "").json()["openapi"], "3.1.0");

    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = directory.join("../.venv/bin/schemathesis");
    let seed = seed();
    println!("OPENAPI_SEED={seed}");
    let url = format!("http://127.0.0.1:{}", daemon.port());
    let output = Command::new(&program)
        .arg("--config-file")
        .arg(directory.join("tests/python/schemathesis.toml"))
        .args(["run", &format!("{url}/api/openapi.json"), "--url", &url, "--no-color"])
        .args(["--header", &format!("Authorization:{bearer}")])
        .args(["--seed", &seed.to_string(), "--max-examples", &CASES.to_string()])
        .current_dir(daemon.path())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}: the API is tried with schemathesis; install it with `python3 -m venv .venv && .venv/bin/pip install \
                 -r io/tests/python/requirements.txt` (Debian: apt-get install python3-venv)",
                program.display()
            )
        });
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "schemathesis found something; again with OPENAPI_SEED={seed}");
}

#[test]
fn swagger_ui_is_served_with_the_flag_alone() {
    let without = Daemon::start();
    without.request("GET", "/swagger/", "").error(404);

    let daemon = Daemon::start_with_flags(&["-dev"]);
    let page = daemon.request("GET", "/swagger/", "");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let text = page.text();
    let mut files = 0;
    for path in text.split('"').filter(|word| word.starts_with("/swagger/")) {
        assert_eq!(daemon.request("GET", path, "").status, 200, "{path}");
        files += 1;
    }
    assert_eq!(files, 3);
    let shown = daemon.request("GET", "/swagger/openapi.json", "").json();
    assert_eq!(shown, daemon.request("GET", "/api/openapi.json", "").json());
    assert!(!text.contains("http"), "nothing from elsewhere");
}
