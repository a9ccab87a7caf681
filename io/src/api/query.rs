//! `GET` and `POST /api/query` (SPEC section 4).

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use engine::query::gather::{Gathered, GatheredPiece, gather};
use engine::query::request::QueryRequest;
use engine::query::scatter::{CoreAnswer, TooLarge, answer_bytes_max, scatter};
use engine::query::text::Piece;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, VARY};

use super::body::{ApiBody, BodyPiece};
use super::encoding::{self, Coding};
use super::request::whole_body;
use super::{ApiResponse, Refusal, reply};
use crate::core::Core;
use crate::core::calls::Call;
use crate::core::event::{Reply, Work};

/// Smaller answers are not worth compressing.
const ENCODED_BYTES_MIN: u64 = 1024;

/// How long a query waits for the memory of its answer: cc-backend waits for ten seconds.
pub(super) const ROOM_TIMEOUT: Duration = Duration::from_secs(8);

/// Answers a query.
///
/// # Errors
/// 400 for a body that is no query, or an answer that would be too large.
pub async fn query(core: Rc<Core>, request: &mut Request<Incoming>) -> Result<ApiResponse, Refusal> {
    let coding = encoding::negotiate(request.headers().get_all(ACCEPT_ENCODING));
    let (body, mut lease) = whole_body(&core, request).await?;
    let mut query = QueryRequest::parse(&body).map_err(Refusal::bad_request)?;
    query.full_range = core.full_range;
    drop(body);
    let too_large = |error: TooLarge| {
        core.counters.queries_too_large.increment();
        Refusal::bad_request(error)
    };
    let questions = scatter(query, &core.directory, core.query_values_max).map_err(too_large)?;

    lease.grow_up_to(answer_bytes_max(&questions, &core.metrics), ROOM_TIMEOUT).await?;
    let call = Call::new(&core);
    for (owner, question) in questions.iter().enumerate().filter(|(_, question)| !question.is_empty()) {
        call.ask(owner, Work::Query(question.clone())).await;
    }
    let mut answers: Vec<CoreAnswer> = questions.iter().map(|_| CoreAnswer::default()).collect();
    for (owner, reply) in call.replies().await {
        let Reply::Answered(answer) = reply else { unreachable!("queries are answered") };
        answers[owner] = answer.map_err(too_large)?;
    }
    let values = answers.iter().fold(0u64, |values, answer| values.saturating_add(answer.values));
    if values > core.query_values_max {
        return Err(too_large(TooLarge::Values { max: core.query_values_max }));
    }

    let gathered = gather(&questions, &answers);
    Ok(encoded(body_of(gathered, &mut answers).holding(lease), coding))
}

/// 200 with JSON, in this coding if that is worth the while.
pub(super) fn encoded(body: ApiBody, coding: Coding) -> ApiResponse {
    if coding == Coding::Identity
        || http_body::Body::size_hint(&body).exact().is_some_and(|bytes| bytes < ENCODED_BYTES_MIN)
    {
        return reply::json(body);
    }
    let mut response = reply::json(body.encoded(coding));
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// The pieces of the cores' answers as a body, without copying their bytes.
fn body_of(gathered: Gathered, answers: &mut [CoreAnswer]) -> ApiBody {
    let texts: Vec<Vec<Bytes>> =
        answers.iter_mut().map(|answer| answer.text.take_chunks().map(Bytes::from).collect()).collect();
    let pieces: VecDeque<BodyPiece> = gathered
        .pieces
        .into_iter()
        .map(|piece| match piece {
            GatheredPiece::Literal(text) => BodyPiece::Bytes(Bytes::from_static(text.as_bytes())),
            GatheredPiece::Core(core, Piece::Bytes(chunk, range)) => {
                BodyPiece::Bytes(texts[core][chunk].slice(range))
            }
            GatheredPiece::Core(_, Piece::Nulls(count)) => BodyPiece::Nulls(count),
        })
        .collect();
    ApiBody::pieces(pieces)
}
