//! Senders of InfluxDB: what Telegraf and the client libraries send arrives, and they understand the answers.

mod daemon;

use std::io::Write;

use daemon::issuer::Issuer;
use daemon::python::run_script;
use daemon::{Daemon, now};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// On the grid of minutes.
const TIME: i64 = 1_700_000_040;

/// The metrics that the bodies of these tests are about, beside those of the harness.
fn metrics(config: &mut Value) {
    for name in ["mem_used", "mem_total", "cpu_usage_user", "cpu_usage_idle", "system_load1"] {
        config["metrics"][name] = json!({"frequency": 60, "aggregation": "avg"});
    }
    config["main"]["influx-fields"] = json!(true);
}

#[track_caller]
fn value(daemon: &Daemon, cluster: &str, host: &str, metric: &str, time: i64) -> Value {
    daemon.data(cluster, host, metric, time, time + 60)[0].clone()
}

#[test]
fn both_versions_take_lines_with_the_unit_they_name() {
    let daemon = Daemon::start();
    for (path, digits) in [
        ("/write?db=v1&rp=any&precision=ns", "000000000"),
        ("/write?db=v1&precision=n", "000000000"),
        ("/write?db=v1&precision=u", "000000"),
        ("/write/?db=v1", "000000000"),
        ("/write?db=v1&precision=", "000000000"),
        ("/api/v2/write?org=o&bucket=v1&precision=us", "000000"),
        ("/api/v2/write/?org=o&bucket=v1/autogen&precision=ms", "000"),
        ("/api/v2/write?bucket=v1&precision=s", ""),
        ("/api/v2/write?bucket=v1", "000000000"),
    ] {
        let host = format!("h{}", path.bytes().map(u32::from).sum::<u32>());
        let answer = daemon.request("POST", path, format!("cpu_load,host={host} value=7.5 {TIME}{digits}\n"));
        assert_eq!((answer.status, answer.text().as_str()), (204, ""), "{path}");
        assert_eq!(value(&daemon, "v1", &host, "cpu_load", TIME), json!(7.5), "{path}");
    }
    for (precision, time) in [("m", TIME / 60), ("h", TIME / 3600)] {
        let path = format!("/write?db=v1&precision={precision}");
        assert_eq!(
            daemon.request("POST", &path, format!("cpu_load,host={precision} value=1 {time}")).status,
            204
        );
        let floored = if precision == "m" { TIME } else { TIME / 3600 * 3600 };
        assert_eq!(value(&daemon, "v1", precision, "cpu_load", floored), json!(1.0), "{precision}");
    }
    // Small nanoseconds are nanoseconds, not seconds.
    assert_eq!(
        daemon.request("POST", "/write?db=v1", format!("cpu_load,host=small value=1 {TIME}")).status,
        204
    );
    assert_eq!(value(&daemon, "v1", "small", "cpu_load", TIME), Value::Null);
    // A cluster in the line wins; without a time, it is now.
    assert_eq!(daemon.request("POST", "/write?db=v1", "cpu_load,cluster=own,host=h value=3\n").status, 204);
    let now = now();
    assert_eq!(daemon.data("own", "h", "cpu_load", now - 120, now + 120)[0], json!(3.0));
}

#[test]
fn errors_are_those_of_the_version_and_cost_only_their_lines() {
    let daemon = Daemon::start();
    let body = format!(
        "cpu_load,host=a value=1 {TIME}\ncpu_load,host=b value=x {TIME}\ncpu_load,host=c foo=1\ncpu_load,host=d value=4 {TIME}\n"
    );
    let one = daemon.request("POST", "/write?db=one&precision=s", &body);
    assert_eq!((one.status, one.header("content-type")), (400, Some("application/json")));
    let said = one.json();
    let message = said["error"].as_str().expect("version 1 has an error");
    assert!(message.starts_with("partial write: unable to parse: line 2, column 23"), "{message}");
    assert!(message.ends_with("dropped=2"), "{message}");
    let two = daemon.request("POST", "/api/v2/write?bucket=two&precision=s", &body);
    let said = two.json();
    assert_eq!((two.status, &said["code"]), (400, &json!("invalid")));
    assert!(said["message"].as_str().is_some_and(|message| message.contains("line 2")), "{said}");
    for cluster in ["one", "two"] {
        let values = ["a", "d"].map(|host| value(&daemon, cluster, host, "cpu_load", TIME));
        assert_eq!(values, [json!(1.0), json!(4.0)]);
    }
    for (method, path, headers, body, status) in [
        ("POST", "/api/v2/write?precision=d", &[][..], "", 400),
        ("POST", "/api/v2/write", &[("Content-Encoding", "br")][..], "x", 415),
        ("POST", "/api/v2/write", &[("Content-Encoding", "gzip")][..], "no gzip", 400),
        ("GET", "/api/v2/write", &[][..], "", 405),
    ] {
        let answer = daemon.request_with(method, path, headers, body);
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(
            answer.json()["message"].is_string() && answer.json()["code"].is_string(),
            "{}",
            answer.text()
        );
        let answer = daemon.request_with(method, &path.replace("/api/v2", ""), headers, body);
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["error"].is_string() && answer.json().get("status").is_none());
    }
}

#[test]
fn ping_and_health_tell_the_version() {
    let daemon = Daemon::start();
    for method in ["GET", "HEAD"] {
        let ping = daemon.request(method, "/ping", "");
        assert_eq!((ping.status, ping.body.len()), (204, 0), "{method}");
        assert!(ping.header("x-influxdb-version").is_some_and(|version| version.starts_with("1.8")));
    }
    assert_eq!(daemon.request("GET", "/health", "").json()["status"], "pass");
    assert_eq!(daemon.request("POST", "/ping", "").status, 405);
}

/// What Telegraf's plugins `cpu`, `mem` and `system` send, in its default form.
#[test]
fn bodies_of_telegraf_become_configured_metrics() {
    let daemon = Daemon::start_with(metrics);
    let ns = TIME * 1_000_000_000;
    let body = format!(
        "cpu,cpu=cpu-total,host=t1 usage_user=12.5,usage_system=3.25,usage_idle=84.25,usage_guest=0 {ns}\n\
         mem,host=t1 active=8086757376i,available_percent=77.25,total=16777216i,used=4096i {ns}\n\
         system,host=t1 load1=0.5,n_cpus=72i,uptime=123i {ns}\n\
         system,host=t1 uptime_format=\"1 day,  2:03\" {ns}\n\
         disk,device=sda1,fstype=ext4,host=t1,mode=rw,path=/ free=1i {ns}\n\
         cpu_load,host=t1,type=node value=9 {ns}\n"
    );
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(body.as_bytes()).expect("memory takes it");
    let body = gzip.finish().expect("memory takes it");
    let headers = [("Content-Encoding", "gzip"), ("Content-Type", "text/plain; charset=utf-8")];
    let answer = daemon.request_with("POST", "/write?db=tele&consistency=any&rp=", &headers, body);
    assert_eq!(answer.status, 204, "{}", answer.text());
    for (metric, expected) in [
        ("cpu_usage_user", json!(12.5)),
        ("cpu_usage_idle", json!(84.25)),
        ("mem_total", json!(16_777_216.0)),
        ("mem_used", json!(4096.0)),
        ("system_load1", json!(0.5)),
        ("cpu_load", json!(9.0)),
    ] {
        assert_eq!(value(&daemon, "tele", "t1", metric, TIME), expected, "{metric}");
    }
    // The two ways of writing a series are one series.
    let body = format!("cpu_usage_user,cpu=cpu-total,host=t1 value=1 {}\n", TIME + 60);
    assert_eq!(daemon.request("POST", "/api/write?cluster=tele", body).status, 200);
    assert_eq!(daemon.data("tele", "t1", "cpu_usage_user", TIME, TIME + 120), json!([12.5, 1.0]));
    // The reference's clients keep their rules.
    assert_eq!(daemon.request("POST", "/api/write?cluster=tele", "cpu_load,host=t1 foo=1\n").status, 400);
}

#[test]
fn the_client_library_of_python_writes() {
    let issuer = Issuer::new();
    let daemon = Daemon::start_with(|config| {
        metrics(config);
        config["main"]["jwt-public-key"] = json!(issuer.public_key());
    });
    let token = issuer.token(&json!({"exp": now() + 3600}));
    let time = TIME.to_string();
    let told =
        run_script("influx_write.py", &[&format!("http://127.0.0.1:{}", daemon.port()), &token, &time]);
    assert_eq!(
        (&told["ping"], &told["health"], &told["version"]),
        (&json!(true), &json!("pass"), &json!("1.8.10"))
    );
    assert_eq!((&told["error"]["status"], &told["error"]["body"]["code"]), (&json!(400), &json!("invalid")));
    assert!(told["error"]["message"].as_str().is_some_and(|said| said.contains("line 2")), "{told}");
    assert_eq!(told["wrong token"], 401);

    let bearer = format!("Bearer {token}");
    for (host, metric, expected) in [
        ("s", "cpu_load", 1.5),
        ("ms", "cpu_load", 2.5),
        ("us", "cpu_load", 3.5),
        ("ns", "cpu_load", 4.0),
        ("f", "mem_used", 7.25),
        ("f", "mem_total", 9.0),
    ] {
        for gzip in ["0", "1"] {
            let query = json!({"cluster": "py", "from": TIME, "to": TIME + 60,
                "queries": [{"metric": metric, "host": format!("{host}{gzip}")}]});
            let headers = [("Authorization", bearer.as_str())];
            let answer = daemon.request_with("POST", "/api/query", &headers, query.to_string());
            assert_eq!(answer.json()["results"][0][0]["data"], json!([expected]), "{host}{gzip} {metric}");
        }
    }
    // The word is for these calls alone.
    let headers = [("Authorization", format!("Token {token}"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(daemon.request_with("POST", "/api/write", &headers, "").status, 401);
    assert_eq!(daemon.request_with("POST", "/write", &headers, "").status, 204);
    assert_eq!(daemon.request("GET", "/ping", "").status, 401);
}
