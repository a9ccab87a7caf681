//! Web pages of others cannot use the daemon through the browser of somebody who reaches it (`docs/security.md`). The rules one by one:
//! `io/src/access/browsers/tests.rs`.

mod daemon;

use daemon::issuer::Issuer;
use daemon::{Daemon, now};
use serde_json::json;

const FIREFOX: (&str, &str) =
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");

fn line(time: i64) -> String {
    format!("cpu_load,cluster=c,hostname=h value=1 {time}\n")
}

#[test]
fn a_foreign_page_writes_frees_and_reads_nothing() {
    let daemon = Daemon::start();
    let time = now() - 60;
    let stored = || daemon.data("c", "h", "cpu_load", time, time + 60);
    let cross = [
        ("Origin", "http://evil.example"),
        ("Content-Type", "text/plain;charset=UTF-8"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "no-cors"),
    ];
    // All that browsers of some age say, and each alone that says it.
    for headers in [&cross[..], &cross[..1], &cross[2..3], &[("Referer", "http://evil.example/page")][..]] {
        let answer = daemon.request_with("POST", "/api/write?cluster=c", headers, line(time));
        assert!(answer.error(403).contains("main.allowed-hosts"), "{headers:?}");
        for path in ["/write?db=c", "/api/v2/write?bucket=c"] {
            assert_eq!(daemon.request_with("POST", path, headers, line(time)).status, 403, "{path}");
        }
        assert_eq!(stored(), json!(null), "{headers:?}");
    }
    daemon.write(line(time));
    for headers in [&cross[..], &cross[..1], &cross[2..3]] {
        let path = format!("/api/free?to={}", time + 100_000);
        assert_eq!(daemon.request_with("POST", &path, headers, r#"[["c","h"]]"#).status, 403);
        for (method, path) in
            [("GET", "/api/debug"), ("GET", "/metrics"), ("POST", "/api/query"), ("GET", "/ready")]
        {
            assert_eq!(daemon.request_with(method, path, headers, "").status, 403, "{path}");
        }
    }
    assert_eq!(stored(), json!([1.0]));
    // What a page may send without being asked is no JSON.
    for kind in ["text/plain", "Text/Plain;charset=UTF-8", "multipart/form-data; boundary=x"] {
        let headers = [("Content-Type", kind)];
        daemon.request_with("POST", "/api/free?to=9999999999", &headers, r#"[["c","h"]]"#).error(415);
    }
    assert_eq!(stored(), json!([1.0]));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let freed = daemon.request_with("POST", "/api/free?to=9999999999", &headers, r#"[["c","h"]]"#);
    assert_eq!((freed.status, freed.text()), (200, "buffers freed: 1\n".to_owned()));
}

/// One request under a name.
#[track_caller]
fn status(daemon: &Daemon, method: &str, path: &str, host: &str, headers: &[(&str, &str)]) -> u16 {
    let mut client = daemon.connect();
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    client.send((request + "\r\n").as_bytes()).expect("it is sent");
    client.answer(method).expect("it answers").status
}

#[test]
fn a_foreign_name_is_refused_to_browsers_alone() {
    let daemon = Daemon::start_with(|config| {
        config["main"]["allowed-hosts"] = json!(["metrics.example.org", "*.grid.example"]);
    });
    let same = ("Sec-Fetch-Site", "same-origin");
    for path in ["/", "/api/ui/clusters", "/metrics", "/api/debug", "/ready"] {
        for headers in [&[FIREFOX][..], &[same], &[FIREFOX, same, ("Origin", "http://evil.example:8082")]] {
            assert_eq!(status(&daemon, "GET", path, "evil.example:8082", headers), 403, "{path} {headers:?}");
        }
        for host in ["localhost", "127.0.0.1:8082", "metrics.example.org", "a.grid.example:80", "monitor01"] {
            let status = status(&daemon, "GET", path, host, &[FIREFOX, same]);
            assert_ne!(status, 403, "{path} {host}");
        }
    }
    assert_eq!(status(&daemon, "GET", "/api/ui/clusters", "evil.example", &[]), 403);
    // As a collector of the site, cc-backend and Prometheus are configured.
    let agent = ("User-Agent", "Go-http-client/1.1");
    assert_eq!(status(&daemon, "GET", "/metrics", "alias.site.example:8082", &[agent]), 200);
    assert_eq!(status(&daemon, "GET", "/ready", "alias.site.example:8082", &[]), 200);
}

#[test]
fn with_a_key_the_token_decides() {
    let issuer = Issuer::new();
    let daemon = Daemon::start_with(|config| config["main"]["jwt-public-key"] = json!(issuer.public_key()));
    let token = format!("Bearer {}", issuer.token(&json!({"exp": now() + 60})));
    let headers = [("Origin", "http://other.example"), ("Authorization", token.as_str())];
    assert_eq!(status(&daemon, "GET", "/metrics", "evil.example", &headers), 200);
    assert_eq!(status(&daemon, "GET", "/metrics", "evil.example", &headers[..1]), 401);
    assert_eq!(
        status(&daemon, "GET", "/metrics", "evil.example", &[headers[0], ("Authorization", "Basic dTpw")]),
        403
    );
}

#[test]
fn one_host_header_is_needed() {
    let daemon = Daemon::start();
    let ask = |head: &str| {
        let mut client = daemon.connect();
        client.send(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
        client.answer("GET").unwrap()
    };
    for head in [
        "GET /ping HTTP/1.1\r\n",
        "GET /api/query HTTP/1.1\r\n",
        "GET /nowhere HTTP/1.1\r\n",
        "GET /ping HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        "GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        "GET /ping HTTP/1.1\r\nHost: a b\r\n",
    ] {
        assert!(ask(head).error(400).contains("Host"), "{head}");
    }
    assert_eq!(ask("GET /ping HTTP/1.0\r\n").status, 204);
    assert_eq!(ask("GET /ping HTTP/1.1\r\nHost: a\r\n").status, 204);
    assert_eq!(ask("GET /ping HTTP/1.1\r\nHost:\r\n").status, 204);
}
