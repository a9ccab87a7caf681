//! The HTTP interface as a client notices it (SPEC section 3): paths, methods, framing of bodies, errors.
//!
//! What is done with the samples behind it is in `samples.rs`, what hostile clients try in `hostile.rs`.

mod daemon;

use daemon::http::{Client, chunked, request_bytes};
use daemon::{Daemon, now};
use serde_json::{Value, json};

/// Three lines of three hosts, all of one minute.
const THREE_LINES: &str = "cpu_load,cluster=c,hostname=h1 value=1 1700000040\n\
    cpu_load,cluster=c,hostname=h2 value=2 1700000040\n\
    cpu_load,cluster=c,hostname=h3 value=3 1700000040\n";

fn query_of(host: &str) -> String {
    json!({"cluster": "c", "from": 1_700_000_040, "to": 1_700_000_100,
        "queries": [{"metric": "cpu_load", "host": host}]})
    .to_string()
}

/// The value of the minute of [`THREE_LINES`] for each of its hosts.
#[track_caller]
fn stored(daemon: &Daemon) -> Vec<Value> {
    let value = |host| daemon.data("c", host, "cpu_load", 1_700_000_040, 1_700_000_100)[0].clone();
    ["h1", "h2", "h3"].map(value).to_vec()
}

#[test]
fn every_call_answers_with_and_without_a_trailing_slash() {
    let daemon = Daemon::start();
    for slash in ["", "/"] {
        let write = daemon.request("POST", &format!("/api/write{slash}?cluster=c"), THREE_LINES);
        assert_eq!(write.status, 200, "write{slash}: {}", write.text());
        assert_eq!(write.header("content-length"), Some("0"));
        assert!(write.body.is_empty());
        let query = daemon.request("GET", &format!("/api/query{slash}?version=v2"), query_of("h2"));
        assert_eq!(query.status, 200, "query{slash}: {}", query.text());
        assert_eq!(query.json()["results"][0][0]["data"], json!([2.0]));
        assert!(query.header("content-type").is_some_and(|value| value.starts_with("application/json")));
        assert!(query.text().ends_with("]}\n"), "an answer ends with a newline");
        let posted = daemon.request("POST", &format!("/api/query{slash}"), query_of("h2"));
        assert_eq!((posted.status, &posted.body), (200, &query.body), "POST and GET answer the same");
        let debug = daemon.request("GET", &format!("/api/debug{slash}?selector=c:h2"), "");
        assert_eq!(debug.status, 200, "debug{slash}: {}", debug.text());
        assert_eq!(debug.json()["data"]["cpu_load"][0]["len"], 1);
        let body = r#"{"cluster":"c","nodes":["h1"],"metric-names":["cpu_load"]}"#;
        let health = daemon.request("GET", &format!("/api/healthcheck{slash}"), body);
        assert_eq!(health.json()["h1"]["State"], "failed", "data of 2023 is degraded");
        let free = daemon.request("POST", &format!("/api/free{slash}?to=0"), r#"[["c","h1"]]"#);
        assert_eq!((free.status, free.text().as_str()), (200, "buffers freed: 0\n"));
    }
}

#[test]
fn bodies_arrive_whole_however_they_are_cut() {
    for piece in [1, 2, 3, 7, 64, 1000] {
        let daemon = Daemon::start();
        let mut client = daemon.connect();
        let request = request_bytes("POST", "/api/write/", &[], THREE_LINES.as_bytes());
        client.send_in_pieces(&request, piece).unwrap();
        let answer = client.answer("POST").unwrap();
        assert_eq!(answer.status, 200, "pieces of {piece}: {}", answer.text());
        assert_eq!(stored(&daemon), [1.0, 2.0, 3.0], "pieces of {piece}");
    }
}

#[test]
fn chunked_bodies_arrive_whole_however_they_are_cut() {
    for chunk in [1, 5, 50, 1000] {
        let daemon = Daemon::start();
        let mut client = daemon.connect();
        client.send(b"POST /api/write HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        client.send(&chunked(THREE_LINES.as_bytes(), chunk)).unwrap();
        let answer = client.answer("POST").unwrap();
        assert_eq!(answer.status, 200, "chunks of {chunk}: {}", answer.text());
        assert_eq!(stored(&daemon), [1.0, 2.0, 3.0], "chunks of {chunk}");
        let get = "GET /api/query/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(get.as_bytes()).unwrap();
        client.send(&chunked(query_of("h3").as_bytes(), chunk)).unwrap();
        assert_eq!(client.answer("GET").unwrap().json()["results"][0][0]["data"], json!([3.0]));
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let daemon = Daemon::start();
    let mut requests = Vec::new();
    for value in 0..50 {
        let line = format!("cpu_load,cluster=c,hostname=p{value} value={value} 1700000040\n");
        requests.extend(request_bytes("POST", "/api/write/", &[], line.as_bytes()));
        requests.extend(request_bytes("GET", "/api/query/", &[], query_of(&format!("p{value}")).as_bytes()));
    }
    let mut client = daemon.connect();
    client.send(&requests).unwrap();
    for value in 0..50 {
        assert_eq!(client.answer("POST").unwrap().status, 200);
        let answer = client.answer("GET").unwrap().json();
        assert_eq!(answer["results"][0][0]["data"], json!([f64::from(value)]), "the write before is seen");
    }
}

#[test]
fn a_connection_serves_many_requests_errors_among_them() {
    let daemon = Daemon::start();
    let mut client = daemon.connect();
    for turn in 0..100 {
        let write = client.request("POST", "/api/write/", &[], THREE_LINES.as_bytes()).unwrap();
        assert_eq!(write.status, 200);
        let refused = client.request("GET", "/api/nothing", &[], b"").unwrap();
        refused.error(404);
        assert!(!write.closes() && !refused.closes(), "request {turn} ends the connection");
    }
}

#[test]
fn unknown_paths_and_methods_are_json_errors() {
    // The page at `/` has tests of its own.
    let daemon = Daemon::start_with(|config| config["main"]["ui"] = json!(false));
    for path in ["/", "/api", "/api/", "/api/wri", "/api/write/x", "/metrics-not-there"] {
        daemon.request("GET", path, "").error(404);
        daemon.request("POST", path, "x").error(404);
    }
    let refused = [
        ("GET", "write"),
        ("DELETE", "write"),
        ("DELETE", "query"),
        ("GET", "free"),
        ("PUT", "debug"),
        ("BREW", "query"),
    ];
    for (method, path) in refused {
        for slash in ["", "/"] {
            let answer = daemon.request(method, &format!("/api/{path}{slash}"), "");
            answer.error(405);
            let allow = answer.header("allow").unwrap_or_else(|| panic!("{method} {path}: Allow is missing"));
            let allowed: Vec<_> = allow.split(',').map(str::trim).collect();
            assert!(!allowed.is_empty() && !allowed.contains(&method), "{method} {path}: Allow: {allow}");
            let expected = if path == "write" || path == "free" { "POST" } else { "GET" };
            assert!(allowed.contains(&expected), "{method} {path}: Allow: {allow}");
        }
    }
}

#[test]
fn head_and_options_leave_the_connection_usable() {
    let daemon = Daemon::start();
    for path in ["/", "/api/query", "/api/write/", "/api/debug"] {
        for method in ["HEAD", "OPTIONS"] {
            let mut client = daemon.connect();
            let answer = client.request(method, path, &[], b"").unwrap();
            assert!([200, 204, 400, 404, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
            if !answer.closes() {
                let next = client.request("POST", "/api/write", &[], THREE_LINES.as_bytes()).unwrap();
                assert_eq!(next.status, 200, "after {method} {path}");
            }
        }
    }
}

#[test]
fn http_1_0_clients_are_served_and_their_connection_closed() {
    let daemon = Daemon::start();
    let mut client = daemon.connect();
    let head = format!("POST /api/write HTTP/1.0\r\nContent-Length: {}\r\n\r\n", THREE_LINES.len());
    client.send(head.as_bytes()).unwrap();
    client.send(THREE_LINES.as_bytes()).unwrap();
    assert_eq!(client.answer("POST").unwrap().status, 200);
    assert_eq!(client.read_to_close().unwrap(), b"");
    let mut client = daemon.connect();
    let query = query_of("h2");
    client
        .send(format!("GET /api/query HTTP/1.0\r\nContent-Length: {}\r\n\r\n{query}", query.len()).as_bytes())
        .unwrap();
    let answer = client.answer("GET").unwrap();
    assert!(answer.header("transfer-encoding").is_none(), "HTTP/1.0 knows no chunks");
    assert_eq!(answer.json()["results"][0][0]["data"], json!([2.0]));
}

#[test]
fn expect_100_continue_is_answered_before_the_body_is_sent() {
    let daemon = Daemon::start();
    let mut client = daemon.connect();
    let head = [("Expect", "100-continue")];
    let request = request_bytes("POST", "/api/write/", &head, THREE_LINES.as_bytes());
    let (head, body) = request.split_at(request.len() - THREE_LINES.len());
    client.send(head).unwrap();
    assert_eq!(client.answer("POST").unwrap().status, 100);
    client.send(body).unwrap();
    assert_eq!(client.answer("POST").unwrap().status, 200);
    assert_eq!(stored(&daemon), [1.0, 2.0, 3.0]);
}

#[test]
fn a_bad_line_is_named_by_line_and_column_and_quoted_briefly() {
    let daemon = Daemon::start();
    let garbage = "z".repeat(5000);
    let bad = format!("cpu_load,cluster=c,hostname=h2 value=\u{1}\u{7f}\"\\{garbage} 1700000040\n");
    let body = format!("# a comment\ncpu_load,cluster=c,hostname=h1 value=1 1700000040\n{bad}{THREE_LINES}");
    let error = daemon.request("POST", "/api/write/", body).error(400);
    assert!(error.contains("line 3"), "the third line is the bad one: {error}");
    let (_, column) = error.split_once("column ").unwrap_or_else(|| panic!("no column is named: {error}"));
    let column: usize = column.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    assert!((32..=42).contains(&column), "the value begins at column 38: {error}");
    assert!(error.matches('z').count() <= 64, "at most 64 bytes are quoted: {error}");
    assert!(!error.contains(char::is_control), "what is quoted is escaped: {error:?}");
    assert_eq!(
        stored(&daemon),
        [json!(1.0), Value::Null, Value::Null],
        "lines before it stay, after it are not read"
    );
}

#[test]
fn bytes_that_are_no_text_are_quoted_safely() {
    let daemon = Daemon::start();
    let error = daemon
        .request("POST", "/api/write", b"cpu_load,cluster=c,hostname=h value=\xff\xfe\x00 1\n")
        .error(400);
    assert!(error.contains("line 1"), "{error}");
    assert!(!error.contains(char::is_control), "{error:?}");
}

#[test]
fn an_empty_body_is_an_empty_batch() {
    let daemon = Daemon::start();
    for body in ["", "\n", "\r\n\r\n", "# nothing\n", "event,cluster=c,hostname=h x=\"not configured\" 1\n"] {
        assert_eq!(daemon.request("POST", "/api/write", body).status, 200, "{body:?}");
    }
}

#[test]
fn a_free_that_cannot_be_understood_is_refused_and_one_of_nothing_creates_nothing() {
    let daemon = Daemon::start();
    daemon.write(THREE_LINES);
    let selector = r#"[["c","h1"]]"#;
    for parameters in ["", "?to=", "?to=soon", "?to=1.5e3x", "?from=1", "?to=99999999999999999999999"] {
        daemon.request("POST", &format!("/api/free{parameters}"), selector).error(400);
    }
    for body in ["", "x", "{}", "[1]", r#"["c"]"#, r#"[["c"]"#] {
        daemon.request("POST", "/api/free?to=1", body).error(400);
    }
    let unknown = r#"[["c","nobody"],["nowhere","h1"],["c","h1","socket9"],["nowhere"]]"#;
    let freed = daemon.request("POST", "/api/free?to=1800000000", unknown);
    assert_eq!((freed.status, freed.text().as_str()), (200, "buffers freed: 0\n"));
    let dump = daemon.request("GET", "/api/debug", "").text();
    for name in ["nobody", "nowhere", "socket9"] {
        assert!(!dump.contains(name), "{name} was created: {dump}");
    }
    let freed = daemon.request("POST", "/api/free?to=1800000000", selector);
    assert_eq!((freed.status, freed.text().as_str()), (200, "buffers freed: 1\n"));
    assert_eq!(stored(&daemon), [Value::Null, json!(2.0), json!(3.0)]);
}

#[test]
fn the_debug_dump_is_json_at_every_level_and_for_every_name() {
    let daemon = Daemon::start();
    daemon.write(THREE_LINES);
    let time = now();
    daemon.write(format!(
        "mem_bw,cluster=a\"b,hostname=q\u{e4},type=socket,type-id=0,stype=memctrl,stype-id=1 value=1 {time}\n\
         mem_bw,cluster=a\"b,hostname=q\u{e4},type=socket,type-id=1 value=1 {time}\n\
         ipc,cluster=a\"b,hostname=q\u{e4} value=1 {time}\n"
    ));
    let tree = daemon.request("GET", "/api/debug/", "").json().to_string();
    for name in ["h1", "h2", "h3", "a\\\"b", "q\u{e4}", "socket0", "memctrl1", "socket1", "ipc"] {
        assert!(tree.contains(&format!("\"{name}\"")), "{name} is missing in {tree}");
    }
    for selector in
        ["c", "c:h1", "a%22b", "a%22b:q%C3%A4", "a%22b:q%C3%A4:socket0", "a%22b:q%C3%A4:socket0:memctrl1"]
    {
        let answer = daemon.request("GET", &format!("/api/debug?selector={selector}"), "");
        assert_eq!(answer.status, 200, "{selector}: {}", answer.text());
        assert!(answer.json().is_object(), "{selector}");
    }
    for selector in ["x", "c:x", "c:h1:socket0", "c:h1:cpu_load"] {
        daemon.request("GET", &format!("/api/debug?selector={selector}"), "").error(400);
    }
}

#[test]
fn a_question_of_the_wrong_shape_is_refused() {
    let daemon = Daemon::start();
    for body in ["", "null", "[]", "1", "{", r#"{"from":"x"}"#, r#"{"queries":{}}"#, r#"{"from":1.5}"#, "{}x"]
    {
        let mut client = Client::connect(daemon.port());
        let answer = client.request("POST", "/api/query", &[], body.as_bytes()).unwrap();
        if body != "null" && body != "{}x" {
            answer.error(400);
        }
    }
    for body in ["", "x", "[]", r#"{"unknown":1}"#, r#"{"nodes":"h"}"#] {
        daemon.request("GET", "/api/healthcheck", body).error(400);
    }
}
