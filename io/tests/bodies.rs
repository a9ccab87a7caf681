//! What senders that are set up wrongly send: stored, or refused with a text that says what is wrong, never answered as stored and lost.

mod daemon;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use daemon::{Daemon, eventually, free_port, now};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// The calls that take lines of the cluster `c` in seconds, and what they answer when all is well.
const WRITES: [(&str, u16); 4] = [
    ("/api/write?cluster=c", 200),
    ("/write?db=c&precision=s", 204),
    ("/api/v2/write?bucket=c&precision=s", 204),
    ("/api/v3/write_lp?db=c&precision=second", 204),
];

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn line(host: &str) -> Vec<u8> {
    format!("cpu_load,hostname={host} value=1 {}\n", now()).into_bytes()
}

#[track_caller]
fn stored(daemon: &Daemon, cluster: &str, host: &str) -> Value {
    let now = now();
    daemon.data(cluster, host, "cpu_load", now - 120, now + 120)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).expect("memory takes it");
    gzip.finish().expect("memory takes it")
}

/// What a raw TCP connection with these bytes leaves, once the daemon has closed it.
fn send_raw(port: u16, bytes: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the port answers");
    stream.write_all(bytes).expect("it is sent");
    stream.shutdown(Shutdown::Write).expect("it is closed");
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let tcp = free_port();
    let daemon = Daemon::start_with(|config| config["main"]["tcp-addr"] = json!(format!("127.0.0.1:{tcp}")));
    for (index, (path, status)) in WRITES.into_iter().enumerate() {
        let host = format!("h{index}");
        let answer = daemon.request("POST", path, [BYTE_ORDER_MARK, &line(&host)].concat());
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(stored(&daemon, "c", &host), json!([1.0]), "{path}");
        let compressed = gzip(&[BYTE_ORDER_MARK, &line(&format!("z{index}"))].concat());
        let answer = daemon.request_with("POST", path, &[("Content-Encoding", "gzip")], compressed);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(stored(&daemon, "c", &format!("z{index}")), json!([1.0]), "{path}");
    }
    let text = format!("cpu_load,cluster=c,hostname=t value=1 {}\n", now());
    send_raw(tcp, &[BYTE_ORDER_MARK, text.as_bytes()].concat());
    assert_eq!(stored(&daemon, "c", "t"), json!([1.0]));
}

#[test]
fn compressed_bodies_and_utf_16_are_told_so() {
    let tcp = free_port();
    let daemon = Daemon::start_with(|config| config["main"]["tcp-addr"] = json!(format!("127.0.0.1:{tcp}")));
    let utf_16: Vec<u8> = String::from_utf8(line("h"))
        .unwrap()
        .encode_utf16()
        .fold(vec![0xff, 0xfe], |text, unit| [text, unit.to_le_bytes().to_vec()].concat());
    let bodies = [
        (gzip(&line("h")), "Content-Encoding: gzip"),
        (zstd::bulk::compress(&line("h"), 3).unwrap(), "Content-Encoding: zstd"),
        (utf_16, "UTF-16"),
    ];
    for (body, told) in &bodies {
        for (path, _) in WRITES {
            let answer = daemon.request("POST", path, body);
            assert_eq!(answer.status, 400, "{path}");
            assert!(answer.text().contains(told), "{path}: {}", answer.text());
        }
    }
    send_raw(tcp, &bodies[0].0);
    let warned = || daemon.log().contains("compressed with gzip");
    assert!(eventually(Duration::from_secs(5), warned), "{}", daemon.log());
    assert_eq!(stored(&daemon, "c", "h"), Value::Null);
}

#[test]
fn unknown_codings_are_refused() {
    let daemon = Daemon::start();
    for (path, _) in WRITES {
        let answer = daemon.request_with("POST", path, &[("Content-Encoding", "br")], line("h"));
        assert_eq!((answer.status, answer.text().contains("use one of gzip")), (415, true), "{path}");
        let compressed = gzip(&line("h"));
        let mut client = daemon.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n{:x}\r\n",
            compressed.len()
        );
        client.send(&[head.as_bytes(), &compressed, b"\r\n0\r\n\r\n"].concat()).unwrap();
        let answer = client.answer("POST").unwrap();
        assert_eq!((answer.status, answer.text().contains("use chunked alone")), (501, true), "{path}");
    }
    assert_eq!(stored(&daemon, "c", "h"), Value::Null);
}

#[test]
fn bodies_of_other_formats_are_refused() {
    let daemon = Daemon::start();
    let now = now();
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("JSON", br#"[{"metric":"cpu_load","tags":{"hostname":"h"},"value":1}]"#.to_vec()),
        ("JSON", b"{\n  \"cpu_load\": 1\n}\n".to_vec()),
        ("Prometheus", format!("cpu_load{{cluster=\"c\",hostname=\"h\"}} 1 {now}000\n").into_bytes()),
        ("Prometheus", b"# HELP cpu_load x\n# TYPE cpu_load gauge\ncpu_load 1\n".to_vec()),
        ("Graphite", format!("cpu_load.h 1 {now}\n").into_bytes()),
        ("Graphite", format!("cpu_load 1 {now}\n").into_bytes()),
        ("OpenTSDB", format!("put cpu_load {now} 1 hostname=h\n").into_bytes()),
        ("collectd", format!("PUTVAL h/load/load interval=10 {now}:1\n").into_bytes()),
        ("statsd", b"cpu_load:1|g|#hostname:h\n".to_vec()),
        ("CSV", b"time,hostname,cpu_load\n1,h,1\n".to_vec()),
        ("", b"#group,false,false\n#datatype,string,long\n,result,table\n".to_vec()),
        ("XML", b"<?xml version=\"1.0\"?>\n<m name=\"cpu_load\"/>\n".to_vec()),
        ("HTML", b"<!DOCTYPE html><html lang=\"en\"></html>".to_vec()),
        ("YAML", b"metric: cpu_load\nvalue: 1\n".to_vec()),
        ("", b"\n\x1a\n\x10\n\x08__name__\x12\x08cpu_load".to_vec()),
        ("", b"\x82\xa6metric\xa8cpu_load\xa5value\x01".to_vec()),
        ("", b"\x00\x00\x00\x06h\x00\x00\x02\x00\x0ccpu\x00".to_vec()),
    ];
    for (name, body) in bodies {
        for (path, _) in WRITES {
            let answer = daemon.request("POST", path, &body);
            assert_eq!(answer.status, 400, "{name} {path}");
            assert!(
                answer.text().contains(name) && answer.text().contains("line "),
                "{name}: {}",
                answer.text()
            );
        }
    }
    let lines = format!("event,hostname=h msg=\"a b=c\" {now}\nlog,hostname=h,type=node value=\"x\" {now}\n");
    for (path, status) in WRITES {
        assert_eq!(daemon.request("POST", path, &lines).status, status, "{path}");
    }
}

#[test]
fn names_with_control_characters_are_bad_lines() {
    let daemon = Daemon::start();
    for character in ["\r", "\t", "\x01", "\x7f", "\x1b[31m", "\0"] {
        for line in [
            format!("cpu_load,hostname=h{character} value=1\n"),
            format!("cpu_load,hostname=h,cluster=c{character} value=1\n"),
            format!("cpu_load,hostname=h,unit=a{character}b value=1\n"),
            format!("cpu_load{character},hostname=h value=1\n"),
            format!("unknown{character},hostname=h value=1\n"),
        ] {
            for (path, _) in WRITES {
                let answer = daemon.request("POST", path, &line);
                assert_eq!(answer.status, 400, "{line:?} {path}");
                assert!(answer.text().contains("control characters"), "{line:?} {path}: {}", answer.text());
            }
        }
    }
    let hosts = daemon.request("GET", "/api/ui/hosts?cluster=c", "").text();
    assert_eq!(serde_json::from_str::<Value>(&hosts).unwrap()["hosts"], json!([]));
}

#[test]
fn hostname_counts_more_than_host_whatever_their_order() {
    let daemon = Daemon::start();
    for (cluster, tags) in [("a", "host=agent,hostname=node"), ("b", "hostname=node,host=agent")] {
        for (path, status) in WRITES {
            let text = format!("cpu_load,cluster={cluster},{tags} value=1 {}\n", now());
            assert_eq!(daemon.request("POST", path, text).status, status, "{path}");
        }
        assert_eq!(stored(&daemon, cluster, "node"), json!([1.0]), "{tags}");
        assert_eq!(stored(&daemon, cluster, "agent"), Value::Null, "{tags}");
    }
}
