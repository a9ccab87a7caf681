//! Prometheus' `remote_write`: messages made by hand, and Debian's Prometheus as the sender.

mod daemon;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use daemon::http::Answer;
use daemon::issuer::Issuer;
use daemon::prometheus::Page;
use daemon::{Daemon, eventually, free_port, now};
use serde_json::{Value, json};

/// What Prometheus sends.
const HEADERS: [(&str, &str); 3] = [
    ("Content-Encoding", "snappy"),
    ("Content-Type", "application/x-protobuf"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

/// A field that has a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    push_number(&mut field, content.len() as u64);
    field.extend_from_slice(content);
    field
}

/// Seven bits a byte, the lowest first.
fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number > 127 {
        out.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A time series as it stands in a message.
fn series(labels: &[(&str, &str)], samples: &[(f64, i64)]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        series.extend(field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat()));
    }
    for (value, seconds) in samples {
        let mut sample = vec![1 << 3 | 1];
        sample.extend(value.to_le_bytes());
        sample.push(2 << 3);
        push_number(&mut sample, (seconds * 1000 + 7) as u64);
        series.extend(field(2, &sample));
    }
    series
}

fn cpu_load(host: &str, samples: &[(f64, i64)]) -> Vec<u8> {
    series(&[("__name__", "cpu_load"), ("instance", host), ("job", "node")], samples)
}

fn body(all: &[Vec<u8>]) -> Vec<u8> {
    compressed(&all.iter().flat_map(|series| field(1, series)).collect::<Vec<u8>>())
}

fn compressed(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("a short message")
}

fn send(daemon: &Daemon, all: &[Vec<u8>]) -> Answer {
    daemon.request_with("POST", "/api/v1/write?cluster=c", &HEADERS, body(all))
}

#[track_caller]
fn stored(daemon: &Daemon, all: &[Vec<u8>]) {
    let answer = send(daemon, all);
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
}

/// On the grid of minutes.
fn base() -> i64 {
    (now() - 3600) / 60 * 60
}

fn metric(daemon: &Daemon, name: &str) -> f64 {
    Page::parse(&daemon.request("GET", "/metrics", "").text()).value(name)
}

#[test]
fn samples_are_stored_where_their_labels_say() {
    let daemon = Daemon::start_with(|config| config["metric-store"]["cores"] = json!(2));
    let base = base();
    stored(
        &daemon,
        &[
            cpu_load("n1:9100", &[(1.0, base), (2.5, base + 60), (-0.25, base + 120)]),
            series(
                &[("__name__", "cpu_load"), ("cluster", "own"), ("hostname", "n2"), ("instance", "x:1")],
                &[(7.0, base)],
            ),
            series(
                &[("__name__", "flops_any"), ("host", "n1"), ("scope", "hwthread"), ("id", "3")],
                &[(8.0, base)],
            ),
            series(
                &[("__name__", "mem_bw"), ("host", "n1"), ("type", "socket"), ("type_id", "1")],
                &[(9.0, base)],
            ),
        ],
    );
    assert_eq!(daemon.data("c", "n1", "cpu_load", base, base + 180), json!([1.0, 2.5, -0.25]));
    assert_eq!(daemon.data("own", "n2", "cpu_load", base, base + 60), json!([7.0]));
    let found = daemon.request("GET", "/api/v1/series?match[]=flops_any&match[]=mem_bw", "").json();
    assert_eq!(
        found["data"],
        json!([
            {"__name__": "flops_any", "cluster": "c", "host": "n1", "scope": "hwthread", "id": "3"},
            {"__name__": "mem_bw", "cluster": "c", "host": "n1", "scope": "socket", "id": "1"},
        ])
    );
    let answer = daemon.request_with(
        "POST",
        "/api/v1/push/?cluster=d",
        &HEADERS,
        body(&[cpu_load("n3", &[(4.0, base)])]),
    );
    assert_eq!(answer.status, 204);
    assert_eq!(daemon.data("d", "n3", "cpu_load", base, base + 60), json!([4.0]));
    // Metadata alone, an empty message, and headers that an old or plain sender leaves out.
    for (message, headers) in [(&[3 << 3 | 2, 3, 8, 1, 0][..], &HEADERS[..]), (&[], &HEADERS), (&[], &[])] {
        let answer = daemon.request_with("POST", "/api/v1/write", headers, compressed(message));
        assert_eq!((answer.status, answer.text()), (204, String::new()));
    }
}

#[test]
fn what_the_configuration_says_of_labels() {
    let daemon = Daemon::start_with(|config| {
        config["main"]["remote-write"] =
            json!({"cluster": "site", "cluster-label": "dc", "host-labels": ["node"], "keep-port": true});
    });
    let base = base();
    let all = [
        series(&[("__name__", "cpu_load"), ("dc", "d"), ("node", "n:1"), ("host", "h")], &[(1.0, base)]),
        series(&[("__name__", "cpu_load"), ("cluster", "c"), ("node", "m")], &[(2.0, base)]),
    ];
    assert_eq!(daemon.request_with("POST", "/api/v1/write", &HEADERS, body(&all)).status, 204);
    assert_eq!(daemon.data("d", "n:1", "cpu_load", base, base + 60), json!([1.0]));
    assert_eq!(daemon.data("site", "m", "cpu_load", base, base + 60), json!([2.0]));
}

#[test]
fn what_cannot_be_stored_is_counted_and_not_sent_again() {
    let daemon = Daemon::start();
    let base = base();
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    // These are no loss.
    stored(
        &daemon,
        &[
            cpu_load(
                "n1",
                &[(stale, base), (1.0, base + 60), (f64::NAN, base + 120), (f64::NEG_INFINITY, base + 180)],
            ),
            series(&[("__name__", "node_load1"), ("instance", "n1")], &[(1.0, base), (2.0, base + 60)]),
            series(&[("instance", "n1")], &[(1.0, base)]),
        ],
    );
    assert_eq!(metric(&daemon, "cc_metric_store_lines_unconfigured_total"), 3.0);
    assert_eq!(metric(&daemon, "cc_metric_store_samples_without_value_total"), 3.0);
    assert_eq!(metric(&daemon, "cc_metric_store_lines_total"), 7.0);
    // These are: each is said, and the others are kept.
    let answer = send(
        &daemon,
        &[
            cpu_load("n1", &[(2.0, base + 120), (9.0, now() + 86_400), (9.0, base - 30 * 86_400)]),
            cpu_load("", &[(9.0, base)]),
            cpu_load("a/b", &[(9.0, base)]),
            cpu_load("a\nb", &[(9.0, base)]),
            cpu_load("n2", &[(3.0, base)]),
        ],
    );
    assert_eq!(answer.status, 400, "{}", answer.text());
    let error = answer.json()["error"].as_str().expect("a text").to_owned();
    assert!(error.starts_with("partial write: ") && error.ends_with(" dropped=5"), "{error}");
    for part in ["1 with a name", "2 without a cluster or host", "1 too far ahead", "1 older than"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(daemon.data("c", "n1", "cpu_load", base + 60, base + 180), json!([1.0, 2.0]));
    assert_eq!(daemon.data("c", "n2", "cpu_load", base, base + 60), json!([3.0]));
    for (reason, count) in [("unsafe_name", 2.0), ("bad_line", 1.0), ("future", 1.0), ("too_old", 1.0)] {
        let name = format!("cc_metric_store_lines_rejected_total{{reason=\"{reason}\"}}");
        assert_eq!(metric(&daemon, &name), count, "{reason}");
    }
    // Without a cluster nothing can be kept.
    let answer =
        daemon.request_with("POST", "/api/v1/write", &HEADERS, body(&[cpu_load("n1", &[(1.0, base)])]));
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("main.remote-write"), "{}", answer.text());
}

#[test]
fn what_is_no_message_is_refused_with_a_reason() {
    let daemon = Daemon::start();
    let good = body(&[cpu_load("n1", &[(1.0, base())])]);
    let with = |name: &str, value: &'static str| {
        let mut headers = HEADERS.to_vec();
        for header in headers.iter_mut().filter(|header| header.0 == name) {
            header.1 = value;
        }
        daemon.request_with("POST", "/api/v1/write?cluster=c", &headers, &good)
    };
    for (name, value) in [
        ("Content-Encoding", "gzip"),
        ("Content-Encoding", "identity"),
        ("Content-Type", "application/json"),
        ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        ("X-Prometheus-Remote-Write-Version", "2.0.0"),
    ] {
        let answer = with(name, value);
        assert_eq!(answer.status, 415, "{name}: {value}: {}", answer.text());
        assert!(
            answer.json()["error"]
                .as_str()
                .is_some_and(|text| text.contains("must be") || text.contains("send version"))
        );
    }
    for (name, value) in [
        ("Content-Encoding", "Snappy"),
        ("Content-Type", "application/x-protobuf; proto=prometheus.WriteRequest"),
        ("X-Prometheus-Remote-Write-Version", "1.0.0"),
    ] {
        assert_eq!(with(name, value).status, 204, "{name}: {value}");
    }
    let send = |body: &[u8]| daemon.request_with("POST", "/api/v1/write?cluster=c", &HEADERS, body);
    for (body, status, said) in [
        (&b""[..], 400, "snappy"),
        (b"cpu_load,cluster=c,hostname=h value=1", 400, "snappy"),
        (&compressed(b"\x0a\x05\x0a"), 400, "prometheus.WriteRequest"),
        (&compressed(b"\x0a\x03\x0a\x01\x00"), 400, "prometheus.WriteRequest"),
        // 4 GB are announced.
        (b"\xff\xff\xff\xff\x0f", 413, "max_samples_per_send"),
        // A megabyte that becomes 17.
        (&compressed(&vec![0; 17 << 20]), 413, "max_samples_per_send"),
        (&compressed(&[&b"\x0a\xf0\xff\x7f"[..], &vec![0; 0x1f_fff0]].concat()), 400, "time series"),
        (&vec![0; 17 << 20], 413, "body"),
    ] {
        let answer = send(body);
        assert_eq!(answer.status, status, "{}", answer.text());
        let error = answer.json();
        assert_eq!(error["status"], "error");
        assert!(error["error"].as_str().is_some_and(|text| text.contains(said)), "{error}");
    }
    assert_eq!(daemon.request("GET", "/api/v1/write", "").status, 405);
    // Those of a damaged message that came before are kept.
    daemon.assert_answers();
}

#[test]
fn a_large_message_is_stored_whole() {
    let daemon = Daemon::start_with(|config| config["metric-store"]["cores"] = json!(2));
    let base = base();
    let all: Vec<Vec<u8>> = (0..2000)
        .map(|host| cpu_load(&format!("n{host:04}:9100"), &[(f64::from(host), base), (1.0, base + 60)]))
        .collect();
    stored(&daemon, &all);
    let question = format!("/api/v1/query?time={base}&query=sum(cpu_load)");
    assert_eq!(daemon.request("GET", &question, "").json()["data"]["result"][0]["value"][1], "1999000");
    assert_eq!(metric(&daemon, "cc_metric_store_http_requests_total{call=\"write\",status=\"2xx\"}"), 1.0);
}

/// A process that ends with its test.
struct Sender(Child);

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A page of metrics on a port of its own, served until the process ends.
fn exporter() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let page = "# TYPE clock gauge\nclock 2345.5\nflops_any{type=\"hwthread\",type_id=\"0\"} 1e9\n\
                        flops_any{type=\"hwthread\",type_id=\"1\"} 2e9\nnobody_configured_this 1\nipc NaN\n";
            let length = page.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
            );
        }
    });
    port
}

#[test]
fn debians_prometheus_sends() {
    let issuer = Issuer::new();
    let daemon = Daemon::start_with(|config| {
        config["main"]["jwt-public-key"] = json!(issuer.public_key());
        config["metrics"]["flops_any"]["frequency"] = json!(1);
    });
    let token = issuer.token(&json!({"exp": now() + 3600}));
    let (exporter, port) = (exporter(), daemon.port());
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: nodes, static_configs: [{{targets: ['127.0.0.1:{exporter}'], labels: {{hostname: n1}}}}]}}]\n\
         remote_write: [{{url: 'http://127.0.0.1:{port}/api/v1/write?cluster=c', authorization: {{credentials: '{token}'}}, \
         queue_config: {{batch_send_deadline: 1s}}}}]\n"
    );
    let path = daemon.path().join("prometheus.yml");
    fs::write(&path, config).expect("the scratch directory is writable");
    let sender = Command::new("prometheus")
        .arg(format!("--config.file={}", path.display()))
        .arg(format!("--storage.tsdb.path={}", daemon.path().join("prometheus").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{}", free_port()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _sender = Sender(
        sender.unwrap_or_else(|error| panic!("prometheus: {error}; Debian: apt-get install prometheus")),
    );
    let bearer = format!("Bearer {token}");
    let request = |method: &str, path: &str, body: &str| {
        daemon.request_with(method, path, &[("Authorization", &bearer)], body)
    };
    let last = |query: &str| -> Value {
        request("GET", &format!("/api/v1/query?query={query}"), "").json()["data"]["result"][0]["value"][1]
            .clone()
    };
    assert!(eventually(Duration::from_secs(60), || last("clock") == "2345.5"), "nothing arrives");
    assert!(eventually(Duration::from_secs(20), || last("sum(flops_any)") == "3000000000"));
    let question = json!({"cluster": "c", "from": now() - 60, "to": now() + 1, "queries": [
        {"host": "n1", "metric": "clock", "aggreg": false},
        {"host": "n1", "metric": "flops_any", "aggreg": true, "type": "hwthread", "type-ids": ["0", "1"]},
    ]});
    let answer = request("POST", "/api/query", &question.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (index, value) in [2345.5, 3e9].into_iter().enumerate() {
        let data = answer.json()["results"][index][0]["data"].clone();
        assert!(data.as_array().is_some_and(|data| data.contains(&json!(value))), "{data}");
    }
    let page = Page::parse(&request("GET", "/metrics", "").text());
    assert!(page.value("cc_metric_store_lines_unconfigured_total") > 0.0);
    assert!(page.value("cc_metric_store_samples_without_value_total") > 0.0);
    assert_eq!(page.sum("cc_metric_store_lines_rejected_total"), 0.0);
    assert_eq!(page.value("cc_metric_store_http_requests_total{call=\"write\",status=\"4xx\"}"), 0.0);
}
