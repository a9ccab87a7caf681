//! A daemon of a few dozen lines that keeps the parts of the HTTP API the load generator uses, and can be told
//! to misbehave. It stands in for the real one in the tests beside it.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// What is wrong with the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// The line of this number is stored with another value.
    WrongValue(u64),
    /// The line of this number is acknowledged and forgotten.
    LostLine(u64),
    /// The write request of this number is answered with 400.
    Refuse(u64),
    /// The write request of this number takes so long.
    Stall(u64, Duration),
}

/// Metric, host, type-id.
type Series = (String, String, String);

#[derive(Default)]
pub(crate) struct Fake {
    fault: Fault,
    series: Mutex<HashMap<Series, BTreeMap<i64, f64>>>,
    pub(crate) requests: AtomicU64,
    pub(crate) lines: AtomicU64,
}

impl Fake {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, ..Self::default() }
    }

    pub(crate) fn serve(self, http: TcpListener, tcp: Option<TcpListener>) -> Arc<Self> {
        let fake = Arc::new(self);
        for (listener, is_http) in [(Some(http), true), (tcp, false)] {
            let Some(listener) = listener else { continue };
            let fake = fake.clone();
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let fake = fake.clone();
                    thread::spawn(move || if is_http { fake.http(&stream) } else { fake.lines(&stream) });
                }
            });
        }
        fake
    }

    /// Serves on free ports of this process.
    pub(crate) fn start(fault: Fault) -> (Arc<Self>, SocketAddr, SocketAddr) {
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let (http_addr, tcp_addr) = (http.local_addr().unwrap(), tcp.local_addr().unwrap());
        (Self::new(fault).serve(http, Some(tcp)), http_addr, tcp_addr)
    }

    fn lines(&self, stream: &TcpStream) {
        for line in BufReader::new(stream).lines() {
            self.line(&line.unwrap());
        }
    }

    fn line(&self, line: &str) {
        let number = self.lines.fetch_add(1, SeqCst);
        let parts: Vec<&str> = line.split(' ').collect();
        let tag = |name: &str| {
            parts[0].split(',').find_map(|tag| tag.strip_prefix(name)?.strip_prefix('=')).unwrap_or("")
        };
        assert_eq!(tag("cluster"), "bench");
        let metric = parts[0].split(',').next().unwrap();
        let mut value: f64 = parts[1].strip_prefix("value=").unwrap().parse().unwrap();
        match self.fault {
            Fault::LostLine(lost) if lost == number => return,
            Fault::WrongValue(wrong) if wrong == number => value += 0.01,
            _ => {}
        }
        let key = (metric.to_string(), tag("hostname").to_string(), tag("type-id").to_string());
        self.series.lock().unwrap().entry(key).or_default().insert(parts[2].parse().unwrap(), value);
    }

    fn http(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut first = String::new();
            if reader.read_line(&mut first).unwrap_or(0) == 0 {
                return;
            }
            let mut length = 0;
            loop {
                let mut field = String::new();
                reader.read_line(&mut field).unwrap();
                if let Some(bytes) = field.strip_prefix("Content-Length: ") {
                    length = bytes.trim().parse().unwrap();
                } else if field == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            let (status, answer) = if first.starts_with("POST /api/write?cluster=bench ") {
                self.write(&body)
            } else if first.starts_with("GET /api/query?") {
                ("200 OK", self.query(&serde_json::from_str(&body).unwrap()).to_string())
            } else {
                ("404 Not Found", String::new())
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", answer.len());
            (&mut &*stream).write_all((head + &answer).as_bytes()).unwrap();
        }
    }

    fn write(&self, body: &str) -> (&'static str, String) {
        let number = self.requests.fetch_add(1, SeqCst);
        match self.fault {
            Fault::Refuse(refused) if refused == number => return ("400 Bad Request", "fake refusal".into()),
            Fault::Stall(stalled, time) if stalled == number => thread::sleep(time),
            _ => {}
        }
        body.lines().for_each(|line| self.line(line));
        ("200 OK", String::new())
    }

    fn query(&self, query: &Value) -> Value {
        let series = self.series.lock().unwrap();
        let (from, to) = (query["from"].as_i64().unwrap(), query["to"].as_i64().unwrap());
        assert_eq!(query["cluster"], "bench");
        let results: Vec<Value> = query["queries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|query| {
                let text = |value: &Value| value.as_str().unwrap_or("").to_string();
                let key = (text(&query["metric"]), text(&query["host"]), text(&query["type-ids"][0]));
                let Some(points) = series.get(&key) else { return json!([]) };
                // Where two runs follow each other, the earlier one's values can lie a second beside this grid.
                let slots = (from..to).step_by(60);
                let data: Vec<f64> = slots.filter_map(|slot| points.get(&slot).copied()).collect();
                json!([{"data": data, "from": from, "to": to, "resolution": 60, "avg": 0, "min": 0, "max": 0}])
            })
            .collect();
        json!({"results": results})
    }
}
