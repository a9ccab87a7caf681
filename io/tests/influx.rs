//! Senders of InfluxDB: what Telegraf and the client libraries send arrives, and they understand the answers.

mod daemon;

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daemon::issuer::Issuer;
use daemon::python::run_script;
use daemon::{Daemon, now};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// On the grid of minutes.
const TIME: i64 = 1_700_000_040;

/// Keeps what is as old as [`TIME`].
fn long_retention(config: &mut Value) {
    config["metric-store"]["retention-in-memory"] = json!("87600h");
}

/// The metrics that the bodies of these tests are about, beside those of the harness.
fn metrics(config: &mut Value) {
    long_retention(config);
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
fn all_versions_take_lines_with_the_unit_they_name() {
    let daemon = Daemon::start_with(long_retention);
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
        ("/api/v3/write_lp?db=v1&precision=second&accept_partial=true&no_sync=false", ""),
        ("/api/v3/write_lp?db=v1&precision=millisecond", "000"),
        ("/api/v3/write_lp/?db=v1&precision=microsecond&no_sync=true", "000000"),
        ("/api/v3/write_lp?db=v1&precision=nanosecond", "000000000"),
        ("/api/v3/write_lp?db=v1&precision=auto", ""),
        ("/api/v3/write_lp?db=v1&precision=auto&x=1", "000"),
        ("/api/v3/write_lp?db=v1", "000000000"),
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
        400
    );
    assert_eq!(value(&daemon, "v1", "small", "cpu_load", TIME), Value::Null);
    // A cluster in the line wins; without a time, it is now.
    assert_eq!(daemon.request("POST", "/write?db=v1", "cpu_load,cluster=own,host=h value=3\n").status, 204);
    let now = now();
    assert_eq!(daemon.data("own", "h", "cpu_load", now - 120, now + 120)[0], json!(3.0));
}

#[test]
fn errors_are_those_of_the_version_and_cost_only_their_lines() {
    let daemon = Daemon::start_with(long_retention);
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

/// The calls that take lines, with the cluster `c` and seconds, and where their errors stand.
const WRITES: [(&str, &str); 3] = [
    ("/write?db=c&precision=s", "error"),
    ("/api/v2/write?org=o&bucket=c&precision=s", "message"),
    ("/api/v3/write_lp?db=c&precision=second", "message"),
];

#[test]
fn what_is_not_kept_is_told_and_the_rest_is_kept() {
    for cores in [1, 2] {
        let daemon = Daemon::start_with(|config| {
            config["metric-store"]["cores"] = json!(cores);
            config["metric-store"]["max-series"] = json!(40);
        });
        let now = now();
        let line = |host: &str, time: i64| format!("cpu_load,host={host} value=1 {time}\n");
        for (index, (path, place)) in WRITES.into_iter().enumerate() {
            let good = format!("good{index}");
            daemon.write(format!("cpu_load,cluster=c,hostname=late{index} value=1 {now}\n"));
            for (what, bad, dropped) in [
                ("beyond retention policy", line("new", now - 50 * 3600), 1),
                ("beyond retention policy", line(&format!("late{index}"), now - 50 * 3600), 1),
                ("beyond retention policy", line("new", 0) + &line("new2", -5), 2),
                ("ahead of the clock", line("new", now + 48 * 3600), 1),
                ("hostname", "cpu_load,type=node value=1\n".to_owned(), 1),
                ("hostname", line("../x", now), 1),
                ("cannot be the name", format!("cpu_load,cluster=..,host=h value=1 {now}\n"), 1),
                ("unable to parse", "cpu_load,host=h value=x\n".to_owned(), 1),
                ("control characters", "cpu_load,host=h\r value=1\n".to_owned(), 1),
                ("looks like JSON", "{\"metric\":\"cpu_load\"}\n".to_owned(), 1),
            ] {
                let answer = daemon.request("POST", path, bad + &line(&good, now));
                let told = answer.json()[place].as_str().unwrap_or_default().to_owned();
                assert_eq!(answer.status, 400, "{what} {path}");
                assert!(told.starts_with("partial write: ") && told.contains(what), "{what} {path}: {told}");
                assert!(told.ends_with(&format!("dropped={dropped}")), "{what} {path}: {told}");
                assert_eq!(daemon.data("c", &good, "cpu_load", now - 120, now + 120), json!([1.0]), "{path}");
            }
        }
        for (path, place) in WRITES {
            // Not all hosts find room, and the owners know it, on whatever core.
            let many: String = (0..100).map(|host| line(&format!("many{host}"), now)).collect();
            let answer = daemon.request("POST", path, many);
            let told = answer.json()[place].as_str().unwrap_or_default().to_owned();
            assert!(told.contains("max-series limit exceeded: (40)"), "{path}: {told}");
        }
        assert_eq!(daemon.data("c", "new", "cpu_load", 0, now + 60), Value::Null, "nothing of it is there");
    }
}

#[test]
fn a_write_needs_a_database_unless_its_lines_name_one() {
    let daemon = Daemon::start();
    for path in ["/write", "/write?db=", "/api/v2/write?org=o", "/api/v2/write?bucket=", "/api/v3/write_lp"] {
        let answer = daemon.request("POST", path, "cpu_load,host=h value=1\n");
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.text().contains("database is required"), "{path}: {}", answer.text());
        for lines in ["cpu_load,cluster=c,host=h value=1\n", "event,host=h text=\"a\"\n", "# nothing\n", ""] {
            assert_eq!(daemon.request("POST", path, lines).status, 204, "{path} {lines}");
        }
    }
    for path in ["/write?db=a%0db", "/api/v2/write?bucket=%01", "/api/write?cluster=a%7f", "/write?db=%ff"] {
        let answer = daemon.request("POST", path, "cpu_load,host=h value=1\n");
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.text().contains("must be UTF-8 without control characters"), "{}", answer.text());
    }
}

#[test]
fn without_partial_writes_nothing_of_a_bad_batch_is_stored() {
    let daemon = Daemon::start();
    let now = now();
    let path = "/api/v3/write_lp?db=c&precision=second&accept_partial=false";
    let good = format!("cpu_load,host=g value=1 {now}\n");
    for bad in
        ["cpu_load,host=b value=x\n".to_owned(), format!("cpu_load,host=b value=1 {}\n", now - 60 * 3600)]
    {
        let answer = daemon.request("POST", path, good.clone() + &bad);
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("nothing is written") && answer.text().contains("dropped=1"));
        assert_eq!(daemon.data("c", "g", "cpu_load", now - 120, now + 120), Value::Null);
    }
    assert_eq!(daemon.request("POST", path, good).status, 204);
    assert_eq!(daemon.data("c", "g", "cpu_load", now - 120, now + 120), json!([1.0]));
}

/// What `/query` answers to a statement in a URL.
#[track_caller]
fn asked(daemon: &Daemon, statement: &str) -> Value {
    let path = format!("/query?q={}", statement.replace(' ', "+").replace('"', "%22"));
    let answer = daemon.request("GET", &path, "");
    assert_eq!(answer.status, 200, "{statement}: {}", answer.text());
    assert!(answer.header("x-influxdb-version").is_some());
    answer.json()["results"].clone()
}

#[test]
fn what_clients_ask_before_they_write_is_answered_as_if_it_existed() {
    let daemon = Daemon::start();
    daemon.write("cpu_load,cluster=alex,hostname=h value=1\n");
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let created = json!({"results": [{"statement_id": 0}]});
    for answer in [
        daemon.request("GET", "/query?q=CREATE+DATABASE+%22fritz%22", ""),
        daemon.request("GET", "/query/?db=&q=CREATE+DATABASE+fritz", ""),
        daemon.request_with("POST", "/query?db=", &form, "q=CREATE+DATABASE+%22fritz%22"),
        daemon.request("POST", "/query?q=CREATE+DATABASE+fritz", ""),
        daemon.request("POST", "/query?q=SELECT+1", "q=CREATE+DATABASE+fritz"),
    ] {
        assert_eq!((answer.status, answer.json()), (200, created.clone()));
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    let series = |name: &str, values: Value| json!([{"statement_id": 0, "series": [{"name": name, "columns": ["name"], "values": values}]}]);
    assert_eq!(asked(&daemon, "SHOW DATABASES"), series("databases", json!([["alex"], ["fritz"]])));
    assert_eq!(asked(&daemon, "SHOW MEASUREMENTS LIMIT 1"), series("measurements", json!([["acc_power"]])));
    let policies = asked(&daemon, "SHOW RETENTION POLICIES on \"fritz\"");
    assert_eq!(policies[0]["series"][0]["values"], json!([["autogen", "48h0m0s", "48h0m0s", 1, true]]));
    let keys = asked(&daemon, "SHOW TAG KEYS FROM \"cpu_load\"");
    assert_eq!(keys[0]["series"][0]["name"], "cpu_load");
    assert!(keys[0]["series"][0]["values"].as_array().unwrap().contains(&json!(["hostname"])));
    let keys = asked(&daemon, "SHOW FIELD KEYS FROM cpu_load");
    assert_eq!(keys[0]["series"][0]["values"], json!([["value", "float"]]));
    let both = asked(&daemon, "SHOW DATABASES; SELECT value FROM cpu_load");
    assert!(
        both[0]["series"].is_array() && both[1]["error"].is_string() && both[1]["statement_id"] == 1,
        "{both}"
    );
    assert!(asked(&daemon, "CREATE DATABASE \"a/b\"")[0]["error"].is_string());
    assert!(
        asked(&daemon, "CREATE RETENTION POLICY a ON b DURATION 1d REPLICATION 1")[0]["messages"].is_array()
    );
    for path in ["/query", "/query?q=", "/query?db=c"] {
        let answer = daemon.request("GET", path, "");
        assert_eq!((answer.status, answer.json()["error"].is_string()), (400, true), "{path}");
    }
    assert_eq!(daemon.request("POST", "/query", "x".repeat(70_000)).status, 413);

    let buckets = daemon.request("GET", "/api/v2/buckets?name=any&org=o", "").json();
    assert_eq!((&buckets["buckets"][0]["name"], buckets["buckets"][1].is_null()), (&json!("any"), true));
    let answer = daemon.request("POST", "/api/v2/buckets", r#"{"name":"made","orgID":"1"}"#);
    assert_eq!((answer.status, &answer.json()["name"]), (201, &json!("made")));
    let buckets = daemon.request("GET", "/api/v2/buckets?limit=20", "").json();
    let names: Vec<_> = buckets["buckets"].as_array().unwrap().iter().map(|bucket| &bucket["name"]).collect();
    assert_eq!(names, ["alex", "fritz", "made"]);
    let by_id = format!("/api/v2/buckets?id={}", buckets["buckets"][1]["id"].as_str().unwrap());
    assert_eq!(daemon.request("GET", &by_id, "").json()["buckets"][0]["name"], "fritz");
    for body in ["", "{}", "[", r#"{"name":"../x"}"#, r#"{"name":7}"#] {
        assert_eq!(daemon.request("POST", "/api/v2/buckets", body).status, 400, "{body}");
    }
    assert_eq!(daemon.request("GET", "/api/v2/orgs?org=o", "").json()["orgs"][0]["name"], "o");
    assert_eq!(daemon.request("GET", "/api/v2/setup", "").json(), json!({"allowed": false}));
    let unknown = daemon.request("POST", "/api/v2/query", "from()");
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &json!("not found")));
}

#[test]
fn the_password_may_be_the_token() {
    let issuer = Issuer::new();
    let daemon = Daemon::start_with(|config| config["main"]["jwt-public-key"] = json!(issuer.public_key()));
    let token = issuer.token(&json!({"exp": now() + 3600}));
    let wrong = format!("{}AAAA", &token[..token.len() - 4]);
    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("telegraf:{password}")));
    let line = "cpu_load,cluster=c,host=b value=1\n";
    for (method, path, good) in [
        ("POST", "/write?db=c", 204),
        ("POST", "/api/v2/write?bucket=c", 204),
        ("POST", "/api/v3/write_lp?db=c", 204),
        ("POST", "/api/write?cluster=c", 200),
        ("GET", "/query?q=SHOW+DATABASES", 200),
        ("GET", "/api/v1/query?query=1", 200),
        ("GET", "/api/v2/orgs?org=o", 200),
        ("GET", "/metrics?x=1", 200),
        ("GET", "/ping?x=1", 204),
    ] {
        let body = if method == "POST" { line } else { "" };
        let with = |value: &str| daemon.request_with(method, path, &[("Authorization", value)], body).status;
        assert_eq!(with(&basic(&token)), good, "{path}");
        assert_eq!([with(&basic(&wrong)), with(&basic("")), with("Basic x")], [401; 3], "{path}");
        let parameter = |name: &str, value: &str| {
            daemon.request(method, &format!("{path}&u=telegraf&{name}={value}"), body).status
        };
        assert_eq!(parameter("p", &token), good, "{path}");
        assert_eq!([parameter("p", &wrong), parameter("password", &token)], [401; 2], "{path}");
    }
    let form = |password: &str| {
        daemon.request("POST", "/query", format!("q=SHOW+DATABASES&u=telegraf&p={password}"))
    };
    assert_eq!([form(&token).status, form(&wrong).status, form("").status], [200, 401, 401]);
    let answer = daemon.request("POST", "/query", "q=SHOW+DATABASES");
    let challenges: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "www-authenticate")
        .map(|(_, value)| &value[..5])
        .collect();
    assert_eq!((answer.status, challenges), (401, vec!["Beare", "Basic"]));
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

/// The library of InfluxDB 1, which sends user and password, and creates its database first.
#[test]
fn the_first_client_library_of_python_writes() {
    let issuer = Issuer::new();
    let daemon = Daemon::start_with(|config| {
        long_retention(config);
        config["main"]["jwt-public-key"] = json!(issuer.public_key());
    });
    let token = issuer.token(&json!({"exp": now() + 3600}));
    let told = run_script("influx1_write.py", &[&daemon.port().to_string(), &token, &TIME.to_string()]);
    assert_eq!(told["ping"], "1.8.10");
    assert_eq!(told["databases"], json!(["py1"]));
    assert_eq!(told["policies"], json!(["autogen"]));
    assert_eq!((&told["error"]["code"], &told["wrong password"]), (&json!(400), &json!(401)));
    assert!(told["error"]["text"].as_str().is_some_and(|text| text.contains("dropped=1")), "{told}");
    assert!(told["select"].as_str().is_some_and(|text| text.contains("PromQL")), "{told}");
    let bearer = format!("Bearer {token}");
    for host in ["json", "s", "kept"] {
        let query = json!({"cluster": "py1", "from": TIME, "to": TIME + 60,
            "queries": [{"metric": "cpu_load", "host": host}]});
        let headers = [("Authorization", bearer.as_str())];
        let answer = daemon.request_with("POST", "/api/query", &headers, query.to_string());
        assert_eq!(answer.json()["results"][0][0]["data"], json!([1.5]), "{host}");
    }
}

/// The library of InfluxDB 3, over its own call.
#[test]
fn the_third_client_library_of_python_writes() {
    let issuer = Issuer::new();
    let daemon = Daemon::start_with(|config| {
        long_retention(config);
        config["main"]["jwt-public-key"] = json!(issuer.public_key());
    });
    let token = issuer.token(&json!({"exp": now() + 3600}));
    let url = format!("http://127.0.0.1:{}", daemon.port());
    let told = run_script("influx3_write.py", &[&url, &token, &TIME.to_string()]);
    assert_eq!((&told["version"], &told["wrong token"]), (&json!("1.8.10"), &json!(401)));
    assert!(told["error"].as_str().is_some_and(|text| text.contains("dropped=1")), "{told}");
    let bearer = format!("Bearer {token}");
    for host in ["s", "ms", "ns", "kept"] {
        let query = json!({"cluster": "py3", "from": TIME, "to": TIME + 60,
            "queries": [{"metric": "cpu_load", "host": host}]});
        let headers = [("Authorization", bearer.as_str())];
        let answer = daemon.request_with("POST", "/api/query", &headers, query.to_string());
        assert_eq!(answer.json()["results"][0][0]["data"], json!([1.5]), "{host}");
    }
}
