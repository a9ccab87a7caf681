//! Connections over real sockets: keep-alive, pipelining, large bodies, stalled clients, the stop.

use std::{
    fs,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    pin::Pin,
    sync::mpsc,
    task::Context,
    thread,
    time::Instant,
};

use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};

use super::*;
use crate::{
    listen::connections::{ConnectionLimits, ConnectionTable},
    runtime::{
        CoreThread, Listener, next_tick, spawn,
        testing::{cpu, rerun_in_child, start},
    },
};

/// An answer of known bytes, or the request's own body as it arrives.
enum Answer {
    Whole(Option<Bytes>),
    Echo(Incoming),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Echo(body) => {
                Pin::new(body).poll_frame(context).map(|frame| frame.and_then(Result::ok).map(Ok))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Echo(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Echo(_) => SizeHint::new(),
        }
    }
}

/// Answers by path.
struct Testing;

impl Service for Testing {
    type Body = Answer;

    fn is_question(&self, _: &Request<Incoming>) -> bool {
        true
    }

    async fn call(self: Rc<Self>, request: Request<Incoming>) -> Response<Answer> {
        let text = |status: u16, text: String| {
            let mut response = Response::new(Answer::Whole(Some(Bytes::from(text))));
            *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
            response
        };
        match request.uri().path() {
            "/uri" => text(200, request.uri().to_string()),
            "/echo" => Response::new(Answer::Echo(request.into_body())),
            "/count" => {
                let (mut body, mut bytes) = (request.into_body(), 0);
                while let Some(frame) = body.frame().await {
                    match frame {
                        Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
                        Err(_) => return text(400, "broken body".to_owned()),
                    }
                }
                text(200, bytes.to_string())
            }
            "/refuse" => text(400, "line 1, column 2".to_owned()),
            "/slow" => {
                sleep(Duration::from_millis(2500)).await;
                text(200, "slow".to_owned())
            }
            "/large" => {
                static LARGE: [u8; 8 << 20] = [b'x'; 8 << 20];
                Response::new(Answer::Whole(Some(Bytes::from_static(&LARGE))))
            }
            "/panic" => panic!("asked to"),
            _ => text(404, "nothing here".to_owned()),
        }
    }
}

struct Server {
    addr: SocketAddr,
    stop: StopFlag,
    cores: Vec<CoreThread>,
    swept: mpsc::Receiver<u64>,
}

impl Server {
    fn start(cores: usize, limits: &HttpLimits) -> Self {
        let stop = StopFlag::new();
        let (swept_tx, swept) = mpsc::channel();
        let first = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = first.local_addr();
        let mut listeners = vec![first];
        listeners.extend((1..cores).map(|_| Listener::bind(addr).unwrap()));
        let cores = listeners
            .into_iter()
            .enumerate()
            .map(|(index, listener)| {
                let (stop, limits, swept) = (stop.clone(), limits.clone(), swept_tx.clone());
                start(index, cpu(index), async move || {
                    let table = ConnectionTable::start(
                        ConnectionLimits {
                            connections_max: 10_000,
                            idle_timeout: limits.idle_timeout,
                            stop_idle_timeout: Duration::from_millis(400),
                            stop_timeout: Duration::from_secs(30),
                        },
                        stop.clone(),
                    );
                    let (registry, service, ending) = (table.clone(), Rc::new(Testing), stop.clone());
                    listener.accept_loop(
                        move |stream, _| {
                            let Some(connection) = registry.register(&stream) else { return };
                            let (service, limits, stop) = (service.clone(), limits.clone(), ending.clone());
                            spawn("http", async move {
                                serve(stream, service, &limits, connection, stop).await;
                            });
                        },
                        stop.clone(),
                    );
                    stop.stopped().await;
                    next_tick().await;
                    next_tick().await;
                    table.drained().await;
                    swept.send(table.swept()).unwrap();
                })
            })
            .collect();
        Self { addr, stop, cores, swept }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, unread: Vec::new() }
    }

    /// Raises the stop flag; returns how long the cores took to end and how many connections were swept.
    fn stop(self) -> (Duration, u64) {
        let raised = Instant::now();
        self.stop.set();
        for core in self.cores {
            core.join().unwrap();
        }
        (raised.elapsed(), self.swept.iter().sum())
    }
}

/// A client that reads as much as an answer says it has.
struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn post(&mut self, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        self.send(&post(path, body));
        self.answer()
    }

    fn more(&mut self) -> usize {
        let mut buffer = vec![0; 1 << 16];
        let bytes = self.stream.read(&mut buffer).unwrap();
        self.unread.extend_from_slice(&buffer[..bytes]);
        bytes
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(2).position(|window| window == b"\r\n") {
                let line = String::from_utf8(self.unread.drain(..end + 2).collect()).unwrap();
                return line.trim_end().to_owned();
            }
            assert!(self.more() > 0, "the connection ended: {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(self.more() > 0, "the connection ended");
        }
        self.unread.drain(..count).collect()
    }

    /// Reads one answer: its status and body.
    fn answer(&mut self) -> (u16, Vec<u8>) {
        let status = self.line().split(' ').nth(1).unwrap().parse().unwrap();
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line().to_ascii_lowercase();
            match line.split_once(": ") {
                None => break,
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("transfer-encoding", value)) => chunked = value == "chunked",
                Some(_) => {}
            }
        }
        if !chunked {
            return (status, self.bytes(length));
        }
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line(), 16).unwrap();
            body.extend(self.bytes(size));
            self.line();
            if size == 0 {
                return (status, body);
            }
        }
    }

    /// Whether the server closes the connection, with nothing more sent, within `timeout`.
    fn is_closed_within(&mut self, timeout: Duration) -> bool {
        self.stream.set_read_timeout(Some(timeout)).unwrap();
        self.unread.is_empty() && matches!(self.stream.read(&mut [0; 1]), Ok(0))
    }
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn limits() -> HttpLimits {
    HttpLimits {
        header_bytes_max: 16 * 1024,
        idle_timeout: Duration::from_secs(30),
        header_timeout: Duration::from_secs(30),
        body_bytes_per_second_min: 0,
    }
}

#[test]
fn a_connection_is_kept_and_every_request_on_it_answered() {
    let server = Server::start(2, &limits());
    for _ in 0..4 {
        let mut client = server.connect();
        for size in [0, 1, 1000, 63_000, 300_000] {
            let body: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
            assert_eq!(client.post("/echo", &body), (200, body));
        }
        assert_eq!(client.post("/nowhere", b"").0, 404);
    }
    server.stop();
}

#[test]
fn an_answer_larger_than_every_buffer_arrives_whole() {
    let server = Server::start(1, &limits());
    let mut client = server.connect();
    client.send(&post("/large", b""));
    thread::sleep(Duration::from_millis(50));
    let (status, body) = client.answer();
    assert_eq!((status, body.len()), (200, 8 << 20));
    assert!(body.iter().all(|&byte| byte == b'x'));
    assert_eq!(client.post("/count", b"123"), (200, b"3".to_vec()), "and the connection goes on");
    server.stop();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(1, &limits());
    let mut client = server.connect();
    let mut requests = Vec::new();
    for size in 0..50 {
        requests.extend(post("/count", &vec![b'x'; size * 100]));
    }
    client.send(&requests);
    for size in 0..50 {
        assert_eq!(client.answer(), (200, (size * 100).to_string().into_bytes()));
    }
    server.stop();
}

#[test]
fn a_client_that_has_closed_its_sending_side_is_answered() {
    let server = Server::start(1, &limits());
    let mut client = server.connect();
    client.send(&post("/count", b"12345"));
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer(), (200, b"5".to_vec()));
    assert!(client.is_closed_within(Duration::from_secs(5)));
    server.stop();
}

/// In a process of its own, to see its memory.
#[test]
fn a_large_chunked_body_is_echoed_in_bounded_memory() {
    let child =
        rerun_in_child("listen::http::tests::a_large_chunked_body_is_echoed_in_bounded_memory", || {
            const CHUNK: usize = 50_000;
            const CHUNKS: usize = 1_000;
            let server = Server::start(1, &limits());
            let mut client = server.connect();
            assert_eq!(client.post("/count", &[b'x'; 300_000]).0, 200);
            let resident = resident_bytes();
            let mut sender = client.stream.try_clone().unwrap();
            let sending = thread::spawn(move || {
                let head = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
                sender.write_all(head.as_bytes()).unwrap();
                for chunk in 0..CHUNKS {
                    sender.write_all(format!("{CHUNK:x}\r\n").as_bytes()).unwrap();
                    sender.write_all(&[(chunk % 251) as u8; CHUNK]).unwrap();
                    sender.write_all(b"\r\n").unwrap();
                }
                sender.write_all(b"0\r\n\r\n").unwrap();
            });
            // A slow reader: the server must stop reading the request instead of collecting it.
            thread::sleep(Duration::from_millis(500));
            while !client.line().is_empty() {}
            let (mut received, mut peak) = (0, 0);
            loop {
                let size = usize::from_str_radix(&client.line(), 16).unwrap();
                for (offset, byte) in client.bytes(size).into_iter().enumerate() {
                    assert_eq!(byte, ((received + offset) / CHUNK % 251) as u8);
                }
                client.line();
                received += size;
                peak = peak.max(resident_bytes());
                if size == 0 {
                    break;
                }
            }
            sending.join().unwrap();
            assert_eq!(received, CHUNK * CHUNKS);
            let grown = peak.saturating_sub(resident);
            assert!(grown < 8 << 20, "50 MB echoed, memory grew by {grown} bytes");
            assert_eq!(client.post("/count", b"1").0, 200);
            server.stop();
        });
    if let Some(output) = child {
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }
}

fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn a_refused_body_that_is_not_read_does_not_hide_the_answer() {
    let server = Server::start(1, &limits());
    // Small and already there: drained, the connection goes on.
    let mut client = server.connect();
    assert_eq!(client.post("/refuse", &[b'x'; 1000]), (400, b"line 1, column 2".to_vec()));
    assert_eq!(client.post("/count", b"12"), (200, b"2".to_vec()));
    // Large: the client sends all of it before it looks at the answer, which must not be lost to a reset.
    for _ in 0..5 {
        let mut client = server.connect();
        assert_eq!(client.post("/refuse", &vec![b'x'; 20_000_000]), (400, b"line 1, column 2".to_vec()));
        assert!(client.is_closed_within(Duration::from_secs(5)));
    }
    assert_eq!(server.connect().post("/count", b"1").0, 200);
    server.stop();
}

#[test]
fn a_head_that_is_too_large_or_not_http_is_refused_with_a_status() {
    let server = Server::start(1, &limits());
    let mut client = server.connect();
    let head = format!("GET /count HTTP/1.1\r\nHost: x\r\nFill: {}\r\n\r\n", "x".repeat(100_000));
    client.send(head.as_bytes());
    assert_eq!(client.answer().0, 431);
    assert!(client.is_closed_within(Duration::from_secs(5)));

    let mut client = server.connect();
    client.send(b"\x16\x03\x01 what is this\r\n\r\n");
    assert_eq!(client.answer().0, 400);
    assert!(client.is_closed_within(Duration::from_secs(5)));

    let mut client = server.connect();
    let many: String = (0..1000).map(|index| format!("H{index}: x\r\n")).collect();
    client.send(format!("GET /count HTTP/1.1\r\n{many}\r\n").as_bytes());
    assert_eq!(client.answer().0, 431);
    server.stop();
}

#[test]
fn hundreds_of_stalled_clients_harm_nobody_and_are_swept() {
    let stalled_limits = HttpLimits { idle_timeout: Duration::from_millis(1500), ..limits() };
    let server = Server::start(2, &stalled_limits);
    let begin = Instant::now();
    let half_post = &post("/count", &[b'x'; 1000])[..500];
    let mut stalled: Vec<_> = (0..500)
        .map(|index| {
            let mut client = server.connect();
            match index % 20 {
                // Asks for more than the sockets hold and reads nothing. Not more of them: each keeps megabytes in the
                // kernel, and when that runs short, loopback loses packets.
                0 => client.send(&post("/large", b"")),
                1..7 => {}
                7..13 => client.send(b"POST /count HTT"),
                _ => client.send(half_post),
            }
            client
        })
        .collect();
    let mut served = server.connect();
    let mut worst = Duration::ZERO;
    while begin.elapsed() < Duration::from_millis(4500) {
        let start = Instant::now();
        assert_eq!(served.post("/count", &[b'x'; 63_000]).0, 200);
        worst = worst.max(start.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    assert!(worst < Duration::from_millis(500), "{worst:?}");
    for (index, client) in stalled.iter_mut().enumerate() {
        client.stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        // Whatever is still in the client's socket comes first; then the end, orderly or as a reset.
        let end = std::io::copy(&mut client.stream, &mut std::io::sink());
        let timed_out = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timed_out, "client {index} is still connected");
    }
    let (_, swept) = server.stop();
    assert_eq!(swept, 500);
}

#[test]
fn a_head_that_trickles_is_cut_off_and_long_work_is_not() {
    let trickle_limits = HttpLimits {
        idle_timeout: Duration::from_millis(1500),
        header_timeout: Duration::from_millis(1000),
        ..limits()
    };
    let server = Server::start(1, &trickle_limits);
    let mut slow = server.connect();
    slow.send(&post("/slow", b""));
    let mut trickling = server.connect();
    let begin = Instant::now();
    let cut_off = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(50));
        trickling.stream.write_all(b"x").is_err()
    });
    assert!(cut_off, "a byte now and then kept the connection open");
    assert!(begin.elapsed() >= Duration::from_millis(900), "{:?}", begin.elapsed());
    // Longer than the idle timeout, but it is us who work.
    assert_eq!(slow.answer(), (200, b"slow".to_vec()));
    server.stop();
}

#[test]
fn the_stop_answers_what_is_in_flight_and_ends_all_else() {
    let server = Server::start(2, &limits());
    let mut idle = server.connect();
    assert_eq!(idle.post("/count", b"1").0, 200);
    let mut fresh = server.connect();
    let mut half_head = server.connect();
    half_head.send(b"POST /co");
    let mut half_body = server.connect();
    half_body.send(&post("/count", &[b'x'; 1000])[..500]);
    let mut in_flight = server.connect();
    in_flight.send(&post("/count", &[b'x'; 1000])[..500]);
    // The server has seen all of it when a later request is answered.
    thread::sleep(Duration::from_millis(100));
    assert_eq!(idle.post("/count", b"1").0, 200);

    let finishing = thread::spawn(move || {
        thread::sleep(Duration::from_millis(150));
        in_flight.send(&post("/count", &[b'x'; 1000])[500..]);
        let (status, body) = in_flight.answer();
        (status, body.len(), in_flight.is_closed_within(Duration::from_secs(5)))
    });
    let addr = server.addr;
    let (duration, _) = server.stop();
    assert!(duration < Duration::from_secs(1), "{duration:?}");
    assert_eq!(finishing.join().unwrap().0, 200, "a request that goes on during the stop is answered");
    for (name, client) in [("idle", &mut idle), ("fresh", &mut fresh), ("half head", &mut half_head)] {
        assert!(client.is_closed_within(Duration::from_secs(5)), "{name}");
    }
    let _ = half_body.stream.read(&mut [0; 1000]);
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn an_idle_server_stops_at_once() {
    let server = Server::start(2, &limits());
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(client.answer().0, 404);
    }
    let (duration, swept) = server.stop();
    assert!(duration < Duration::from_millis(300), "{duration:?}");
    assert_eq!(swept, 0);
}

#[test]
fn a_panic_in_the_service_ends_the_process() {
    let child = rerun_in_child("listen::http::tests::a_panic_in_the_service_ends_the_process", || {
        let server = Server::start(1, &limits());
        let mut client = server.connect();
        client.send(&post("/panic", b""));
        let _ = client.stream.read(&mut [0; 1]);
        thread::sleep(Duration::from_secs(10));
    });
    let Some(output) = child else { return };
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(output.status.signal(), Some(6), "{}", String::from_utf8_lossy(&output.stderr));
}
