//! The page at `/` in a real browser (headless Chromium, driven by `io/tests/python/page.py`), and what it asks.

mod daemon;

use std::path::Path;
use std::process::Command;

use daemon::issuer::Issuer;
use daemon::{Daemon, now};
use serde_json::{Value, json};

/// Minutes back from now at which `cpu_load` of the first host is sent; the missing ones are a gap.
const MINUTES: [i64; 5] = [6, 5, 2, 1, 0];

/// Two clusters: a host whose metrics all arrive, one that lacks some, one that is silent by now, and two more. Returns the lines
/// and what the script is to find.
fn site() -> (String, Value) {
    let now = now();
    let mut lines = Vec::new();
    let mut sent = serde_json::Map::new();
    let mut line = |metric: &str, host: &str, level: String, value: f64, time: i64| {
        let cluster = if host.starts_with('a') { "alex" } else { "fritz" };
        lines.push(format!("{metric},cluster={cluster},hostname={host},{level} value={value} {time}"));
    };
    for (value, ago) in (1..).zip(MINUTES) {
        let (value, time) = (f64::from(value) * 10.125, now - 60 * ago);
        line("cpu_load", "f0201", "type=node".into(), value, time);
        sent.insert(time.to_string(), json!(value));
    }
    for host in ["f0201", "f0202"] {
        for thread in 0..12 {
            line("flops_any", host, format!("type=hwthread,type-id={thread}"), f64::from(thread), now);
        }
    }
    for socket in 0..2 {
        line("mem_bw", "f0201", format!("type=socket,type-id={socket}"), 100.0, now);
    }
    line("cpu_load", "f0202", "type=node".into(), 1.0, now);
    line("cpu_load", "f0203", "type=node".into(), 1.0, now - 4000);
    // Late after five seconds, so of a host whose health is not looked at.
    line("clock", "a0601", "type=node".into(), 2.5, now);
    line("cpu_load", "a0601", "type=node".into(), 1.0, now);
    line("acc_power", "a0602", "type=accelerator,type-id=00000000:49:00.0".into(), 301.5, now);
    let facts = json!({"cpu_load": sent, "first": 10.125, "second": 20.25, "last": 50.625});
    (lines.join("\n"), facts)
}

/// Runs a case of the script against a daemon.
#[track_caller]
fn browse(case: &str, daemon: &Daemon, facts: &Value) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = directory.join("../.venv/bin/python");
    let install = "the page is tested in Chromium with selenium: `apt-get install chromium chromium-driver python3-venv`, then \
        `python3 -m venv .venv && .venv/bin/pip install -r io/tests/python/requirements.txt`";
    let output = Command::new(&python)
        .arg(directory.join("tests/python/page.py"))
        .args([case, &format!("http://127.0.0.1:{}", daemon.port()), &facts.to_string()])
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}: {install}", python.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("ModuleNotFoundError"), "{errors}\n{install}");
    assert!(output.status.success(), "{case}:\n{errors}");
}

#[test]
fn a_click_through_leads_to_the_values_and_stays_up_to_date() {
    let daemon = Daemon::start();
    let (lines, facts) = site();
    daemon.write(lines);
    browse("click_through", &daemon, &facts);
}

#[test]
fn the_keyboard_alone_leads_to_the_values() {
    let daemon = Daemon::start();
    let (lines, facts) = site();
    daemon.write(lines);
    browse("keyboard", &daemon, &facts);
}

#[test]
fn a_phone_shows_one_column() {
    let daemon = Daemon::start();
    let (lines, facts) = site();
    daemon.write(lines);
    browse("phone", &daemon, &facts);
}

#[test]
fn with_a_key_the_page_is_there_if_wanted_and_asks_for_a_token() {
    let issuer = Issuer::new();
    let mut daemon =
        Daemon::start_with(|config| config["main"]["jwt-public-key"] = json!(issuer.public_key()));
    assert_eq!(daemon.request("GET", "/", "").status, 401, "off unless wanted");

    daemon.restart_with(|config| config["main"]["ui"] = json!(true));
    let token = issuer.token(&json!({"exp": now() + 600}));
    let (lines, _) = site();
    let header = ("Authorization", format!("Bearer {token}"));
    let headers = [(header.0, header.1.as_str())];
    assert_eq!(daemon.request_with("POST", "/api/write", &headers, lines).status, 200);
    assert_eq!(daemon.request("GET", "/", "").status, 200);
    for path in [
        "/api/ui/clusters",
        "/api/ui/hosts?cluster=fritz",
        "/api/ui/series?cluster=fritz&host=f0201",
        "/ui/none",
    ] {
        assert_eq!(daemon.request("GET", path, "").status, 401, "{path}");
    }
    browse("token", &daemon, &json!({"token": token}));
}

#[test]
fn what_there_is_is_listed() {
    let daemon = Daemon::start_with(|config| config["metric-store"]["cores"] = json!(2));
    let get = |path: &str| daemon.request("GET", path, "");
    assert_eq!(get("/api/ui/clusters").json()["clusters"], json!([]));
    daemon.write(site().0);
    let listed = get("/api/ui/clusters/").json();
    assert_eq!(listed["clusters"], json!([{"name": "alex", "hosts": 2}, {"name": "fritz", "hosts": 3}]));
    assert_eq!(listed["metrics"][0], json!({"name": "acc_power", "frequency": 30, "aggregation": "sum"}));
    assert_eq!(listed["metrics"].as_array().map(Vec::len), Some(8));
    let hosts = json!({"hosts": ["f0201", "f0202", "f0203"], "complete": true});
    assert_eq!(get("/api/ui/hosts?cluster=fritz").json(), hosts);
    assert_eq!(get("/api/ui/hosts?cluster=nowhere").json(), json!({"hosts": [], "complete": true}));
    let series = json!({"series": [{"metric": "acc_power", "type": "accelerator", "ids": ["00000000:49:00.0"]}], "complete": true});
    assert_eq!(get("/api/ui/series?cluster=alex&host=a0602").json(), series);
    for path in [
        "/api/ui/hosts",
        "/api/ui/hosts?cluster=",
        "/api/ui/series?cluster=alex",
        "/api/ui/series?host=a0602",
    ] {
        get(path).error(400);
    }
    assert_eq!(daemon.request("POST", "/api/ui/clusters", "").status, 405);
    assert_eq!(
        get("/api/ui/clusters").json()["clusters"].as_array().map(Vec::len),
        Some(2),
        "asking creates nothing"
    );
}

#[test]
fn the_page_is_served_from_the_daemon_alone() {
    let daemon = Daemon::start();
    let page = daemon.request("GET", "/", "");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(
        page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'"))
    );
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let head = daemon.request("HEAD", "/", "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), page.header("content-length"));
    let tag = page.header("etag").expect("it has a tag");
    assert_eq!(daemon.request_with("GET", "/", &[("If-None-Match", tag)], "").status, 304);
    assert_eq!(daemon.request("POST", "/", "").status, 404);

    let without = Daemon::start_with(|config| config["main"]["ui"] = json!(false));
    without.request("GET", "/", "").error(404);
    without.request("GET", "/ui/page.js", "").error(404);
}
