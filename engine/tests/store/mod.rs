//! The whole engine without a socket: what the daemon does between the bytes of a request and those of its answer.
//!
//! One router and one shard per core, as on a running daemon, but in one thread: batches and questions that would be
//! messages there are handed over at once. Requests take turns in being accepted by the cores. The tests beside this
//! directory and the fuzz targets ask the same things of it that a client asks over HTTP.

#![allow(dead_code, reason = "every test file uses another part of the harness")]

use std::sync::Arc;

use engine::config::{Aggregation, Metric, Metrics};
use engine::inspect::{debug, health};
use engine::line::decode::{BadLine, Counts, LineStream, Outbox};
use engine::line::error::LineError;
use engine::memory::shard::{Applied, Shard};
use engine::query::gather::{GatheredPiece, gather};
use engine::query::request::{HealthRequest, QueryRequest, parse_selectors};
use engine::query::scatter::{CoreQuery, scatter};
use engine::query::text::Piece;
use engine::series::directory::{Directory, HostPublisher};
use engine::series::route::{Router, core_of};

/// Nulls written out before a test gives up on an answer: no test asks for so many on purpose.
const NULLS_WRITTEN_MAX: u64 = 10_000_000;
/// Steps a query may take per row and value limit before it counts as endless.
const STEPS_MAX: usize = 10_000_000;

/// An answer: the HTTP status it would have, and its body, empty with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self { status: 200, body: body.into() }
    }

    pub(crate) fn bad_request() -> Self {
        Self { status: 400, body: String::new() }
    }
}

/// What became of the lines of one write.
#[derive(Debug)]
pub(crate) struct Written {
    /// The first bad line, with [`BadLine::Stop`].
    pub(crate) result: Result<(), LineError>,
    /// What the decoder counted.
    pub(crate) counts: Counts,
    /// What the shards counted, over all cores.
    pub(crate) applied: Applied,
}

/// All cores of a daemon.
pub(crate) struct Store {
    pub(crate) shards: Vec<Shard>,
    directory: Arc<Directory>,
    publishers: Vec<HostPublisher>,
    routers: Vec<Router>,
    accepting: usize,
}

/// A configured metric.
pub(crate) fn metric(name: &str, frequency: i64, aggregation: Aggregation) -> Metric {
    Metric { name: name.into(), frequency, aggregation }
}

impl Store {
    /// An empty store on so many cores.
    pub(crate) fn new(metrics: &Arc<Metrics>, cores: usize, retention_seconds: i64) -> Self {
        let seed = |core| 0x5eed + core as u64;
        let (directory, publishers) = Directory::new(cores);
        Self {
            directory,
            publishers,
            shards: (0..cores).map(|_| Shard::new(Arc::clone(metrics), cores, retention_seconds)).collect(),
            routers: (0..cores).map(|core| Router::new(Arc::clone(metrics), cores, seed(core))).collect(),
            accepting: 0,
        }
    }

    /// Takes a body that arrives in one piece, as over HTTP.
    pub(crate) fn write(&mut self, cluster: &str, body: &str, now: i64) -> Written {
        self.write_chunks(cluster, [body.as_bytes()], now, BadLine::Stop)
    }

    /// Takes a body that arrives in pieces; what each piece completes is stored before the next one is read.
    pub(crate) fn write_chunks<'a>(
        &mut self,
        cluster: &str,
        chunks: impl IntoIterator<Item = &'a [u8]>,
        now: i64,
        bad_line: BadLine,
    ) -> Written {
        let source = self.accepting;
        self.accepting = (self.accepting + 1) % self.routers.len();
        let mut stream = LineStream::new(bad_line);
        let mut outbox = Outbox::new(self.routers.len());
        let mut applied = Applied::default();
        let mut result = Ok(());
        for chunk in chunks {
            result = stream.push(&mut self.routers[source], cluster, now, chunk, &mut outbox);
            self.deliver(source, &mut outbox, now, &mut applied);
            if result.is_err() {
                break;
            }
        }
        if result.is_ok() {
            result = stream.finish(&mut self.routers[source], cluster, now, &mut outbox);
            self.deliver(source, &mut outbox, now, &mut applied);
        }
        Written { result, counts: stream.counts, applied }
    }

    fn deliver(&mut self, source: usize, outbox: &mut Outbox, now: i64, applied: &mut Applied) {
        for (core, samples) in outbox.samples.iter_mut().enumerate() {
            if samples.is_empty() {
                continue;
            }
            let batch = self.routers[source].seal(core, std::mem::take(samples));
            let part = self.shards[core].apply(source, &batch, now, None);
            applied.stored += part.stored;
            applied.too_old += part.too_old;
            self.publishers[core].publish(&mut self.shards[core]);
        }
    }

    /// `GET /api/query` with this body.
    pub(crate) fn query(&self, body: &[u8], values_max: u64) -> Answer {
        match QueryRequest::parse(body) {
            Ok(request) => self.query_parsed(request, values_max),
            Err(_) => Answer::bad_request(),
        }
    }

    /// A query of a daemon whose results cover the whole range.
    pub(crate) fn query_full_range(&self, body: &[u8], values_max: u64) -> Answer {
        let Ok(mut request) = QueryRequest::parse(body) else { return Answer::bad_request() };
        request.full_range = true;
        self.query_parsed(request, values_max)
    }

    /// A query that was read before. The limit holds for each core's part and for their sum.
    pub(crate) fn query_parsed(&self, request: QueryRequest, values_max: u64) -> Answer {
        let Ok(questions) = scatter(request, &self.directory, values_max) else {
            return Answer::bad_request();
        };
        let mut answers = Vec::new();
        for (question, shard) in questions.iter().zip(&self.shards) {
            let mut query = CoreQuery::new(question.clone());
            let done = (0..STEPS_MAX).find_map(|_| query.step(shard));
            match done.expect("a query ends") {
                Ok(answer) => answers.push(answer),
                Err(_) => return Answer::bad_request(),
            }
        }
        if answers.iter().map(|answer| answer.values).sum::<u64>() > values_max {
            return Answer::bad_request();
        }
        let mut bytes = Vec::new();
        for piece in gather(&questions, &answers).pieces {
            match piece {
                GatheredPiece::Literal(text) => bytes.extend_from_slice(text.as_bytes()),
                GatheredPiece::Core(core, Piece::Bytes(chunk, range)) => {
                    bytes.extend_from_slice(&answers[core].text.chunk(chunk)[range]);
                }
                GatheredPiece::Core(_, Piece::Nulls(count)) => {
                    assert!(count <= NULLS_WRITTEN_MAX, "{count} nulls are too many for a test");
                    (0..count).for_each(|_| bytes.extend_from_slice(b"null,"));
                }
            }
        }
        Answer::ok(String::from_utf8(bytes).expect("an answer is UTF-8"))
    }

    /// `POST /api/free?to=…` with this body; `to` is `None` if it is missing or no number.
    pub(crate) fn free(&mut self, body: &[u8], to: Option<i64>) -> Answer {
        let (Some(to), Ok(selectors)) = (to, parse_selectors(body)) else { return Answer::bad_request() };
        let mut freed = 0;
        for selector in &selectors {
            for (shard, publisher) in self.shards.iter_mut().zip(&mut self.publishers) {
                if let Some(level) = shard.tree().find(selector.iter().map(String::as_str)) {
                    freed += shard.free_before(level, to);
                    publisher.publish(shard);
                }
            }
        }
        Answer::ok(format!("buffers freed: {freed}\n"))
    }

    /// `GET /api/debug?selector=…`.
    pub(crate) fn debug(&self, selector: &[&str]) -> Answer {
        let dumps = self.shards.iter().map(|shard| debug::dump(shard, selector));
        match debug::join(selector.len(), dumps) {
            Some(bytes) => Answer::ok(String::from_utf8(bytes).expect("a dump is UTF-8")),
            None => Answer::bad_request(),
        }
    }

    /// `GET /api/healthcheck` with this body.
    pub(crate) fn health(&self, body: &[u8], now: i64) -> Answer {
        let Ok(request) = HealthRequest::parse(body) else { return Answer::bad_request() };
        let mut bytes = vec![b'{'];
        for (index, node) in request.nodes.iter().enumerate() {
            if index > 0 {
                bytes.push(b',');
            }
            let shard = &self.shards[core_of(&request.cluster, node, self.shards.len())];
            health::push_node(shard, &request.cluster, node, &request.metric_names, now, &mut bytes);
        }
        bytes.push(b'}');
        Answer::ok(String::from_utf8(bytes).expect("an answer is UTF-8"))
    }
}

/// Error wording is free; that there is an error is not: puts `*` in the place of every one.
pub(crate) fn hide_errors(text: &str) -> String {
    const KEY: &str = r#""error":""#;
    let mut parts = text.split(KEY);
    let mut hidden = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut escaped = false;
        let end = part.find(|character| {
            let ends = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        });
        hidden.push_str(KEY);
        hidden.push('*');
        hidden.push_str(&part[end.expect("an error's text is closed")..]);
    }
    hidden
}
