//! `main.jwt-public-key`: who has no valid token reads and writes nothing (SPEC section 3).

mod daemon;

use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use daemon::http::{Answer, Client};
use daemon::issuer::{Issuer, message};
use daemon::{Daemon, eventually, free_port, now};
use ring::hmac;
use serde_json::{Value, json};

const LINE: &str = "cpu_load,cluster=c,hostname=h value=1 1700000040\n";
/// Every call there is, and some there are not: nobody without a token learns which.
const CALLS: [(&str, &str); 23] = [
    ("POST", "/api/write"),
    ("POST", "/api/write/?cluster=c"),
    ("GET", "/api/query"),
    ("POST", "/api/query/"),
    ("POST", "/api/free?to=1"),
    ("GET", "/api/debug"),
    ("GET", "/api/healthcheck"),
    ("POST", "/write?db=c"),
    ("POST", "/api/v2/write?bucket=c"),
    ("POST", "/api/v3/write_lp?db=c"),
    ("GET", "/query?q=SHOW+DATABASES"),
    ("POST", "/query?q=SHOW+DATABASES"),
    ("GET", "/api/v2/buckets"),
    ("GET", "/api/v2/orgs/"),
    ("GET", "/api/v2/setup"),
    ("GET", "/api/v1/query?query=cpu_load"),
    ("GET", "/api/v1/label/host/values"),
    ("GET", "/metrics"),
    ("GET", "/ready"),
    ("GET", "/health"),
    ("GET", "/ping/"),
    ("DELETE", "/api/write"),
    ("GET", "/"),
];

fn start(issuer: &Issuer) -> Daemon {
    Daemon::start_with(|config| config["main"]["jwt-public-key"] = json!(issuer.public_key()))
}

fn valid(issuer: &Issuer) -> String {
    issuer.token(&json!({"sub": "collector", "exp": now() + 3600}))
}

#[track_caller]
fn call(daemon: &Daemon, method: &str, path: &str, authorization: &str, body: &str) -> Answer {
    daemon.request_with(method, path, &[("Authorization", authorization)], body)
}

#[track_caller]
fn stored(daemon: &Daemon, bearer: &str) -> Value {
    let query = json!({"cluster": "c", "from": 1_700_000_040, "to": 1_700_000_100, "with-padding": false,
        "queries": [{"metric": "cpu_load", "host": "h"}]});
    let answer = call(daemon, "GET", "/api/query", bearer, &query.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["results"][0].clone()
}

#[test]
fn with_a_token_everything_is_as_without_a_key() {
    let issuer = Issuer::new();
    let daemon = start(&issuer);
    let bearer = format!("Bearer {}", valid(&issuer));
    assert_eq!(call(&daemon, "POST", "/api/write", &bearer, LINE).status, 200);
    assert_eq!(stored(&daemon, &bearer)[0]["data"], json!([1.0]));
    let mut client = daemon.connect();
    for (method, path) in CALLS {
        let answer = client.request(method, path, &[("Authorization", &bearer)], b"").unwrap();
        assert_ne!(answer.status, 401, "{method} {path}");
        if answer.closes() {
            client = daemon.connect();
        }
    }
}

#[test]
fn every_call_is_refused_without_one() {
    let issuer = Issuer::new();
    let daemon = start(&issuer);
    for (method, path) in CALLS {
        let answer = daemon.request(method, path, LINE);
        assert!(answer.error(401).contains("Authorization: Bearer"), "{method} {path}");
        let challenge = answer.header("www-authenticate").expect("a 401 says what is needed");
        assert!(challenge.starts_with("Bearer") && !challenge.contains("invalid_token"), "{challenge}");
    }
    assert_eq!(stored(&daemon, &format!("Bearer {}", valid(&issuer))), json!([]));
    assert!(daemon.logs("a request refused"), "{}", daemon.log());
}

#[test]
fn bad_tokens_write_nothing() {
    let (issuer, other) = (Issuer::new(), Issuer::new());
    let daemon = start(&issuer);
    let good = valid(&issuer);
    let claims = json!({"exp": now() + 3600});
    let header = |alg: &str| json!({"alg": alg, "typ": "JWT"}).to_string();
    let unsigned = message(&header("none"), &claims.to_string());
    let by_public_key = {
        let message = message(&header("HS256"), &claims.to_string());
        let secret = STANDARD.decode(issuer.public_key()).unwrap();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    };
    let tokens = [
        ("none", format!("{unsigned}.")),
        ("none without a dot", unsigned),
        ("the public key as a secret", by_public_key),
        ("RS256", issuer.token_with(&header("RS256"), &claims)),
        ("ES256", issuer.token_with(&header("ES256"), &claims)),
        ("another key", valid(&other)),
        ("cut off", good[..good.len() - 4].to_owned()),
        ("without signature", good.rsplit_once('.').unwrap().0.to_owned()),
        ("expired", issuer.token(&json!({"exp": now() - 1}))),
        ("not valid yet", issuer.token(&json!({"nbf": now() + 600, "exp": now() + 3600}))),
        ("odd exp", issuer.token(&json!({"exp": "tomorrow"}))),
        ("garbage", "x.y.z".to_owned()),
        ("too long", issuer.token(&json!({"exp": now() + 3600, "x": "x".repeat(10_000)}))),
    ];
    for (what, token) in tokens {
        let answer = call(&daemon, "POST", "/api/write", &format!("Bearer {token}"), LINE);
        assert!(!answer.error(401).is_empty(), "{what}");
        let challenge = answer.header("www-authenticate").expect("a 401 says what is needed");
        assert!(challenge.contains("invalid_token"), "{what}: {challenge}");
    }
    assert_eq!(call(&daemon, "POST", "/api/write", &good, LINE).status, 401, "without the word Bearer");
    assert_eq!(stored(&daemon, &format!("Bearer {good}")), json!([]));
}

#[test]
fn a_remembered_token_expires_on_its_connection() {
    let issuer = Issuer::new();
    let daemon = start(&issuer);
    let until = now() + 3;
    let bearer = format!("Bearer {}", issuer.token(&json!({"exp": until})));
    let mut client = daemon.connect();
    let mut write =
        || client.request("POST", "/api/write", &[("Authorization", &bearer)], LINE.as_bytes()).unwrap();
    assert_eq!(write().status, 200);
    assert!(eventually(Duration::from_secs(10), || now() >= until), "time passes");
    assert!(write().error(401).contains("expired"));
}

#[test]
fn a_token_without_exp_is_accepted_unless_forbidden() {
    let issuer = Issuer::new();
    let mut daemon = start(&issuer);
    let bearer = format!("Bearer {}", issuer.token(&json!({"sub": "collector"})));
    assert_eq!(call(&daemon, "POST", "/api/write", &bearer, LINE).status, 200);
    assert!(daemon.logs("jwt-require-exp"), "{}", daemon.log());
    daemon.restart_with(|config| config["main"]["jwt-require-exp"] = json!(true));
    let answer = call(&daemon, "POST", "/api/write", &bearer, LINE);
    assert!(answer.error(401).contains("jwt-require-exp"));
}

#[test]
fn a_large_body_without_a_token_gets_its_answer() {
    let daemon = start(&Issuer::new());
    let answer = daemon.request("POST", "/api/write", LINE.repeat(100_000));
    answer.error(401);
}

/// A daemon with a raw TCP port, and that port.
fn start_tcp(issuer: &Issuer) -> (Daemon, u16) {
    let port = free_port();
    let daemon = Daemon::start_with(|config| {
        config["main"]["jwt-public-key"] = json!(issuer.public_key());
        config["main"]["tcp-addr"] = json!(format!("127.0.0.1:{port}"));
    });
    (daemon, port)
}

#[test]
fn a_tcp_stream_begins_with_its_token() {
    let issuer = Issuer::new();
    let (daemon, port) = start_tcp(&issuer);
    let bearer = format!("Bearer {}", valid(&issuer));
    let greeting = format!("# authorization: {bearer}\n");
    // In one packet, byte by byte, with the end of a line of Windows.
    for (host, greeting, piece) in [
        ("a", greeting.clone(), 1 << 20),
        ("b", greeting.clone(), 1),
        ("d", greeting.replace('\n', "\r\n"), 7),
    ] {
        let mut client = Client::connect(port);
        let text = format!("{greeting}{}", LINE.replace("=h ", &format!("={host} ")));
        client.send_in_pieces(text.as_bytes(), piece).unwrap();
        client.finish_sending().unwrap();
        assert_eq!(client.read_to_close().expect("closed in order"), b"", "{host}");
        let query = json!({"cluster": "c", "from": 1_700_000_040, "to": 1_700_000_100, "with-padding": false,
            "queries": [{"metric": "cpu_load", "host": host}]});
        let answer = call(&daemon, "GET", "/api/query", &bearer, &query.to_string());
        assert_eq!(answer.json()["results"][0][0]["data"], json!([1.0]), "{host}");
    }
}

#[test]
fn a_tcp_stream_without_a_valid_token_is_reset() {
    let issuer = Issuer::new();
    let (daemon, port) = start_tcp(&issuer);
    let greeting = |token: &str| format!("# authorization: Bearer {token}\n");
    let expired = issuer.token(&json!({"exp": now() - 1}));
    for first in [
        String::new(),
        "\n".to_owned(),
        "# a comment\n".to_owned(),
        greeting("x.y.z"),
        greeting(&expired),
        greeting(&valid(&Issuer::new())),
        format!("# authorization: {}\n", valid(&issuer)),
        format!("#{}", "x".repeat(100_000)),
    ] {
        let mut client = Client::connect(port);
        // The reset may come while we still send.
        let _ = client.send(format!("{first}{LINE}").as_bytes());
        let _ = client.finish_sending();
        assert!(client.read_to_close().is_err(), "reset, not closed: {first:.40}");
    }
    assert_eq!(stored(&daemon, &format!("Bearer {}", valid(&issuer))), json!([]));
    let log = daemon.log();
    assert!(log.contains("a TCP connection refused"), "{log}");
    assert!(log.matches("a TCP connection refused").count() <= 2, "not every one is reported: {log}");
}

#[test]
fn a_tcp_stream_ends_when_its_token_expires() {
    let issuer = Issuer::new();
    let (daemon, port) = start_tcp(&issuer);
    let until = now() + 3;
    let mut client = Client::connect(port);
    let token = issuer.token(&json!({"exp": until}));
    client.send(format!("# authorization: Bearer {token}\n{LINE}").as_bytes()).unwrap();
    let bearer = format!("Bearer {}", valid(&issuer));
    assert!(
        eventually(Duration::from_secs(2), || stored(&daemon, &bearer) != json!([])),
        "stored while valid"
    );
    let begun = Instant::now();
    while now() < until {
        thread::sleep(Duration::from_millis(50));
    }
    let late = LINE.replace("value=1", "value=2");
    client.send(late.as_bytes()).unwrap();
    assert!(client.read_to_close().is_err(), "reset after {:?}", begun.elapsed());
    assert_eq!(stored(&daemon, &bearer)[0]["data"], json!([1.0]));
}
