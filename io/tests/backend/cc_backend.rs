//! A cc-backend as version 1.5.4 is seen from outside: the paths, headers and bytes of Go's `net/http` and
//! `encoding/json`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

/// Go's `net/http` sends a larger answer in chunks, as it goes.
const BUFFERED_BYTES_MAX: usize = 2048;

/// What it has to say.
#[derive(Clone)]
enum Says {
    /// `usedNodes`, as JSON.
    Nodes(String),
    /// Status and body, of whatever stands in its place.
    Raw(u16, String),
}

/// It says what it is told to, and remembers what it was asked. It ends with the test process.
#[derive(Clone)]
pub(crate) struct CcBackend {
    /// Where it listens on 127.0.0.1.
    pub(crate) port: u16,
    says: Arc<Mutex<Says>>,
    /// The token of its API user; none: everybody may ask, as behind another gate.
    token: Option<String>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl CcBackend {
    /// One that these nodes are used on.
    #[allow(clippy::needless_pass_by_value, reason = "callers write json!")]
    pub(crate) fn start(nodes: serde_json::Value) -> Self {
        Self::start_with(&nodes.to_string(), None, None)
    }

    /// One that answers only who has this token.
    #[allow(clippy::needless_pass_by_value, reason = "callers write json!")]
    pub(crate) fn start_with_token(nodes: serde_json::Value, token: &str) -> Self {
        Self::start_with(&nodes.to_string(), Some(token), None)
    }

    /// One that speaks TLS.
    pub(crate) fn start_with(nodes: &str, token: Option<&str>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let backend = Self {
            port: listener.local_addr().expect("it is bound").port(),
            says: Arc::new(Mutex::new(Says::Nodes(nodes.to_owned()))),
            token: token.map(str::to_owned),
            asked: Arc::default(),
        };
        let serving = backend.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serving, tls) = (serving.clone(), tls.clone());
                thread::spawn(move || serving.take_in(stream, tls));
            }
        });
        backend
    }

    fn take_in(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) {
        match tls {
            None => self.serve(stream),
            Some(tls) => {
                let connection = ServerConnection::new(tls).expect("the configuration is sound");
                self.serve(StreamOwned::new(connection, stream));
            }
        }
    }

    /// Answers requests until the client leaves.
    fn serve(&self, stream: impl Read + Write) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                // A client that does not trust us leaves, too.
                let Ok(1..) = reader.read_line(&mut head) else { return };
            }
            let answer = self.answer(&head);
            self.asked.lock().expect("nobody panics with it").push(head);
            let stream = reader.get_mut();
            if stream.write_all(&answer).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, head: &str) -> Vec<u8> {
        let says = self.says.lock().expect("nobody panics with it").clone();
        if let Says::Raw(status, body) = &says {
            return answer(*status, "text/html; charset=utf-8", body);
        }
        let (target, headers) = head.split_once(" HTTP/1.1\r\n").expect("a request line");
        let Some(query) = target.strip_prefix("GET /api/jobs/used_nodes?") else {
            return answer(404, "text/plain; charset=utf-8", "404 page not found\n");
        };
        let given = headers.lines().find_map(|line| {
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        });
        if let Some(token) = &self.token
            && given.is_none_or(|(_, value)| value != format!("Bearer {token}"))
        {
            return failure(401, "Unauthorized", "unauthorized (please login first)");
        }
        let ts = query.split('&').find_map(|pair| pair.strip_prefix("ts="));
        if ts.is_none_or(|ts| ts.parse::<i64>().is_err()) {
            return failure(400, "Bad Request", "the query parameter 'ts' must be a unix timestamp");
        }
        let Says::Nodes(nodes) = says else { unreachable!("the rest was answered") };
        answer(200, "application/json", &format!("{{\"usedNodes\":{nodes}}}\n"))
    }

    /// Jobs began or ended; `null` is what Go makes of a map that was never made.
    #[allow(clippy::needless_pass_by_value, reason = "callers write json!")]
    pub(crate) fn use_nodes(&self, nodes: serde_json::Value) {
        *self.says.lock().expect("nobody panics with it") = Says::Nodes(nodes.to_string());
    }

    /// Something else answers at this place.
    pub(crate) fn say(&self, status: u16, body: &str) {
        *self.says.lock().expect("nobody panics with it") = Says::Raw(status, body.to_owned());
    }

    /// The heads of all requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

/// An error, as cc-backend writes it: a map of Go, whose keys are sorted.
fn failure(status: u16, text: &str, error: &str) -> Vec<u8> {
    answer(status, "application/json", &format!("{}\n", json!({"error": error, "status": text})))
}

/// The bytes of an answer, with the headers in the order of Go.
fn answer(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    let text = match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        _ => "Service Unavailable",
    };
    let head = format!(
        "HTTP/1.1 {status} {text}\r\nContent-Type: {content_type}\r\nVary: Accept-Encoding\r\nDate: Mon, 30 Nov 2026 18:00:00 GMT\r\n"
    );
    if body.len() <= BUFFERED_BYTES_MAX {
        return format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
    }
    let chunks: String = body
        .as_bytes()
        .chunks(4096)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), str::from_utf8(chunk).expect("names are ASCII")))
        .collect();
    format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n").into_bytes()
}
