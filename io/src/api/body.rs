//! The body of an answer: a list of pieces, sent as they are or encoded on the way.
//!
//! Before it: the verbs beside this file, which make the pieces. After it: hyper, which polls a frame whenever the socket
//! takes one. Whatever the answer's size, a frame stands for a bounded part of it (64 KiB, unless a coder held some back),
//! and after a bounded amount of work the body gives the core's other tasks their turn.

use std::{
    collections::VecDeque,
    convert::Infallible,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::encoding::{Coding, Encoder};
use crate::core::held::{Held, Lease};
use crate::runtime::wake_after_turn;

/// Answers with less memory are not counted: a connection has as much for its buffers.
const COUNTED_BYTES_MIN: u64 = 16 * 1024;
/// Most plain bytes of a frame, and most that are encoded in one turn.
const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Plain pieces below this are copied together, so that many small ones do not become as many frames.
const SMALL_PIECE_BYTES: usize = 4 * 1024;
/// Encoded bytes below this wait for more, if there is more.
const ENCODED_FRAME_BYTES_MIN: usize = 16 * 1024;
/// Plain bytes after which the others get their turn: what a core copies into a socket in a fraction of a millisecond.
const TURN_BYTES: usize = 128 * 1024;
/// `Pending`s that make a turn: hyper polls a body once more, before it lets go, if the socket takes everything.
const TURN_PENDINGS: u8 = 2;

const NULL: &[u8; 5] = b"null,";
/// What all runs of nulls are cut from: as many whole `null,` as fit a frame.
static NULLS: [u8; FRAME_BYTES_MAX / NULL.len() * NULL.len()] = {
    let mut block = [0; FRAME_BYTES_MAX / NULL.len() * NULL.len()];
    let mut index = 0;
    while index < block.len() {
        block[index] = NULL[index % NULL.len()];
        index += 1;
    }
    block
};

const _: () =
    assert!(SMALL_PIECE_BYTES <= ENCODED_FRAME_BYTES_MIN && ENCODED_FRAME_BYTES_MIN <= FRAME_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX <= TURN_BYTES);

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyPiece {
    /// As they are.
    Bytes(Bytes),
    /// So many times the five bytes `null,`, which exist only a frame at a time.
    Nulls(u64),
}

/// The body of an answer.
#[derive(Debug)]
pub struct ApiBody {
    plain: Plain,
    encoding: Option<Encoding>,
    /// The memory of `plain`, given back as it is sent.
    lease: Option<Lease>,
    /// Plain bytes since the last turn of the others.
    turn_bytes: usize,
    /// How many `Pending`s are still due before the next frame.
    pendings_due: u8,
}

/// What is still to be sent, or to be encoded.
#[derive(Debug, Default)]
struct Plain {
    /// None of them empty.
    pieces: VecDeque<Part>,
    /// Their sum; wider than any one of them, so that it cannot overflow.
    bytes: u128,
    /// The same without runs of `null,`.
    held_bytes: u64,
}

#[derive(Debug)]
enum Part {
    Bytes(Bytes),
    /// The last so many bytes of a run of `null,`.
    Nulls(u128),
}

#[derive(Debug)]
struct Encoding {
    /// `None` once it has been finished.
    encoder: Option<Encoder>,
    /// Not sent yet.
    out: Vec<u8>,
}

impl ApiBody {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::pieces(VecDeque::new())
    }

    /// These bytes.
    #[must_use]
    pub fn full(bytes: Bytes) -> Self {
        Self::pieces([BodyPiece::Bytes(bytes)].into())
    }

    /// These pieces, one after the other.
    #[must_use]
    pub fn pieces(pieces: VecDeque<BodyPiece>) -> Self {
        let mut plain = Plain::default();
        for piece in pieces {
            let part = match piece {
                BodyPiece::Bytes(bytes) => Part::Bytes(bytes),
                BodyPiece::Nulls(count) => Part::Nulls(u128::from(count) * NULL.len() as u128),
            };
            if part.bytes() > 0 {
                plain.bytes += part.bytes();
                plain.held_bytes += part.held_bytes();
                plain.pieces.push_back(part);
            }
        }
        Self { plain, encoding: None, lease: None, turn_bytes: 0, pendings_due: 0 }
    }

    /// The same body in this coding, encoded as it is sent; its size is not known beforehand. A body is to be encoded
    /// once at most.
    #[must_use]
    pub fn encoded(mut self, coding: Coding) -> Self {
        debug_assert!(self.encoding.is_none(), "a body is encoded once");
        self.encoding =
            Encoder::new(coding).map(|encoder| Encoding { encoder: Some(encoder), out: Vec::new() });
        self
    }

    /// The same body, whose memory is counted in this lease until it is sent.
    #[must_use]
    pub fn holding(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self.settle();
        self
    }

    /// Counts the memory in `held`, if it is much and not counted yet.
    pub fn count_in(&mut self, held: &Held) {
        if self.lease.is_none() && self.plain.held_bytes >= COUNTED_BYTES_MIN {
            self.lease = Some(held.lease());
            self.settle();
        }
    }

    fn settle(&mut self) {
        if let Some(lease) = &mut self.lease {
            lease.set(self.plain.held_bytes);
        }
    }

    /// Lets the core's other tasks run before the next frame.
    fn end_turn(&mut self) {
        self.turn_bytes = 0;
        self.pendings_due = TURN_PENDINGS;
    }

    /// Whether it is the others' turn; then the task is woken after it.
    fn others_turn(&mut self, context: &Context<'_>) -> bool {
        let due = self.pendings_due > 0;
        if due {
            self.pendings_due -= 1;
            wake_after_turn(context.waker());
        }
        due
    }

    /// The next frame of a body that is not encoded.
    fn plain_frame(&mut self) -> Option<Bytes> {
        let frame = self.plain.take(FRAME_BYTES_MAX)?;
        self.turn_bytes += frame.len();
        if self.turn_bytes >= TURN_BYTES && !self.plain.pieces.is_empty() {
            self.end_turn();
        }
        Some(frame)
    }
}

impl Body for ApiBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.others_turn(context) {
            return Poll::Pending;
        }
        let Some(encoding) = &mut this.encoding else {
            let frame = this.plain_frame();
            this.settle();
            return Poll::Ready(frame.map(|bytes| Ok(Frame::data(bytes))));
        };
        if encoding.encoder.is_none() {
            return Poll::Ready(None);
        }
        encoding.step(&mut this.plain);
        if let Some(lease) = &mut this.lease {
            lease.set(this.plain.held_bytes);
        }
        if encoding.encoder.is_none() || encoding.out.len() >= ENCODED_FRAME_BYTES_MIN {
            let bytes = Bytes::from(mem::take(&mut encoding.out));
            if encoding.encoder.is_some() {
                this.end_turn();
            }
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        this.end_turn();
        this.others_turn(context);
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        match &self.encoding {
            None => self.plain.pieces.is_empty(),
            Some(encoding) => encoding.encoder.is_none(),
        }
    }

    /// Exact, unless the body is encoded or longer than a `u64` can say.
    fn size_hint(&self) -> SizeHint {
        match (&self.encoding, u64::try_from(self.plain.bytes)) {
            (None, Ok(bytes)) => SizeHint::with_exact(bytes),
            _ => SizeHint::default(),
        }
    }
}

impl Encoding {
    /// Encodes up to [`FRAME_BYTES_MAX`] plain bytes, and ends the stream when there are no more.
    fn step(&mut self, plain: &mut Plain) {
        let Some(mut encoder) = self.encoder.take() else { return };
        let mut left = FRAME_BYTES_MAX;
        while left > 0 {
            let Some(bytes) = plain.take(left) else { break };
            encoder.encode(&bytes, &mut self.out);
            left -= bytes.len();
        }
        if plain.pieces.is_empty() {
            encoder.finish(&mut self.out);
        } else {
            self.encoder = Some(encoder);
        }
    }
}

impl Plain {
    /// Up to `bytes_max` bytes off the front: a part of a large piece, which is not copied, or some small ones together.
    fn take(&mut self, bytes_max: usize) -> Option<Bytes> {
        let front = self.pieces.front_mut()?;
        let (mut count, mut together) = (0, 0);
        if front.bytes() < SMALL_PIECE_BYTES as u128 {
            for piece in &self.pieces {
                let bytes = piece.bytes();
                if bytes >= SMALL_PIECE_BYTES as u128 || together + bytes > bytes_max as u128 {
                    break;
                }
                count += 1;
                together += bytes;
            }
        }
        if count < 2 {
            return Some(self.take_front(bytes_max));
        }
        let mut joined = Vec::with_capacity(usize::try_from(together).expect("no more than bytes_max"));
        for _ in 0..count {
            joined.extend_from_slice(&self.take_front(SMALL_PIECE_BYTES));
        }
        Some(joined.into())
    }

    /// Up to `bytes_max` bytes of the first piece, which there must be.
    fn take_front(&mut self, bytes_max: usize) -> Bytes {
        let front = self.pieces.front_mut().expect("the caller has seen a piece");
        let (taken, is_used_up) = match front {
            Part::Bytes(bytes) => {
                let taken = bytes.split_to(bytes.len().min(bytes_max));
                self.held_bytes -= taken.len() as u64;
                (taken, bytes.is_empty())
            }
            Part::Nulls(left) => {
                let used = *left % NULL.len() as u128;
                let start = if used == 0 { 0 } else { NULL.len() - usize::try_from(used).expect("below 5") };
                let length =
                    usize::try_from(*left).unwrap_or(usize::MAX).min(bytes_max).min(NULLS.len() - start);
                *left -= length as u128;
                (Bytes::from_static(&NULLS[start..start + length]), *left == 0)
            }
        };
        if is_used_up {
            self.pieces.pop_front();
        }
        self.bytes -= taken.len() as u128;
        taken
    }
}

impl Part {
    /// Bytes of memory.
    fn held_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Nulls(_) => 0,
        }
    }

    fn bytes(&self) -> u128 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u128,
            Self::Nulls(bytes) => *bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::Future, io, pin::pin, rc::Rc, task::Waker};

    use http_body_util::BodyExt;
    use hyper::{
        Request, Response, body::Incoming, rt::ReadBufCursor, server::conn::http1, service::service_fn,
    };

    use super::*;
    use crate::api::encoding::decoder;

    /// All frames, taken as fast as they come.
    fn frames(mut body: ApiBody) -> Vec<Bytes> {
        let mut context = Context::from_waker(Waker::noop());
        let mut frames = Vec::new();
        loop {
            let hint = body.size_hint().exact();
            assert_eq!(hint, u64::try_from(body.plain.bytes).ok().filter(|_| body.encoding.is_none()));
            match pin!(body.frame()).poll(&mut context) {
                Poll::Pending => {}
                Poll::Ready(None) => break,
                Poll::Ready(Some(Ok(frame))) => frames.push(frame.into_data().expect("there are only data")),
            }
        }
        assert!(body.is_end_stream());
        frames
    }

    fn decoded(coding: Coding, body: &[u8]) -> Vec<u8> {
        let name = hyper::header::HeaderValue::from_static(coding.name());
        let mut decoder = decoder(Some(&name)).unwrap();
        let mut plain = Vec::new();
        let mut pending = decoder.feed(body);
        while let Some(piece) = pending.next().unwrap() {
            plain.extend_from_slice(piece);
        }
        decoder.finish().unwrap();
        plain
    }

    fn bytes(text: &str) -> BodyPiece {
        BodyPiece::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// Pieces of all kinds and sizes around the limits, and what they are together.
    fn mixture() -> (VecDeque<BodyPiece>, Vec<u8>) {
        let (mut pieces, mut whole) = (VecDeque::new(), Vec::new());
        for size in
            [0, 1, 3, 4095, 4096, 4097, 7, 65_535, 65_536, 65_537, 200_000, 2, 0, 819, 820, 13_107, 13_108]
        {
            let text: String = (0..size).map(|index| char::from(b'a' + (index * 7 % 25) as u8)).collect();
            whole.extend_from_slice(text.as_bytes());
            whole.extend(NULL.repeat(size));
            pieces.extend([bytes(&text), BodyPiece::Nulls(size as u64)]);
        }
        (pieces, whole)
    }

    #[test]
    fn pieces_are_sent_in_order_with_their_exact_length() {
        let (pieces, whole) = mixture();
        let body = ApiBody::pieces(pieces);
        assert_eq!(body.size_hint().exact(), Some(whole.len() as u64));
        let frames = frames(body);
        assert!(frames.iter().all(|frame| (1..=FRAME_BYTES_MAX).contains(&frame.len())));
        assert!(frames.concat() == whole);
    }

    #[test]
    fn encoded_bodies_are_the_same_body() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let (pieces, whole) = mixture();
            let body = ApiBody::pieces(pieces).encoded(coding);
            assert_eq!((body.size_hint().lower(), body.size_hint().upper()), (0, None));
            assert!(decoded(coding, &frames(body).concat()) == whole, "{coding}");

            let empty = frames(ApiBody::empty().encoded(coding)).concat();
            assert_eq!(decoded(coding, &empty), b"", "{coding}");
        }
        assert_eq!(frames(ApiBody::full(Bytes::from_static(b"plain")).encoded(Coding::Identity)), ["plain"]);
    }

    #[test]
    fn an_empty_body_ends_at_once() {
        for body in
            [ApiBody::empty(), ApiBody::full(Bytes::new()), ApiBody::pieces([BodyPiece::Nulls(0)].into())]
        {
            assert!(body.is_end_stream());
            assert_eq!(body.size_hint().exact(), Some(0));
            assert_eq!(frames(body), [""; 0]);
        }
    }

    #[test]
    fn many_small_pieces_are_few_frames() {
        let pieces: VecDeque<_> = (0..10_000).map(|index| bytes(&format!("{index:05},"))).collect();
        let frames_plain = frames(ApiBody::pieces(pieces.clone()));
        assert_eq!(frames_plain.len(), 1);
        assert_eq!((&frames_plain[0][..12], frames_plain[0].len()), (&b"00000,00001,"[..], 60_000));
        assert_eq!(frames(ApiBody::pieces(pieces).encoded(Coding::Gzip)).len(), 1);
    }

    #[test]
    fn large_pieces_are_not_copied() {
        let large = Bytes::from(vec![7; 100_000]);
        let sent = frames(ApiBody::full(large.clone()));
        assert_eq!(sent[0].as_ptr(), large.as_ptr());
        assert_eq!(sent[1].as_ptr(), large[FRAME_BYTES_MAX..].as_ptr());
    }

    #[test]
    fn absurd_runs_of_nulls_cost_nothing_until_they_are_sent() {
        let mut body = ApiBody::pieces([BodyPiece::Nulls(2_000_000_000), bytes("]")].into());
        assert_eq!(body.size_hint().exact(), Some(10_000_000_001));
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) else {
            panic!("no frame")
        };
        assert!(frame.data_ref().unwrap().starts_with(b"null,null,"));
        assert_eq!(body.size_hint().exact(), Some(10_000_000_001 - frame.data_ref().unwrap().len() as u64));

        let endless = ApiBody::pieces([BodyPiece::Nulls(u64::MAX), BodyPiece::Nulls(u64::MAX)].into());
        assert_eq!(endless.size_hint().exact(), None);
    }

    /// A body that tells how much of it has been taken.
    struct Watched(ApiBody, Rc<Cell<u128>>);

    impl Body for Watched {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let before = self.0.plain.bytes;
            let polled = Pin::new(&mut self.0).poll_frame(context);
            self.1.set(self.1.get() + before - self.0.plain.bytes);
            polled
        }
    }

    /// A peer that has sent its request and takes whatever it is given, at once.
    struct Peer(&'static [u8]);

    impl hyper::rt::Read for Peer {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            mut buffer: ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            if self.0.is_empty() {
                return Poll::Pending;
            }
            buffer.put_slice(mem::take(&mut self.0));
            Poll::Ready(Ok(()))
        }
    }

    impl hyper::rt::Write for Peer {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_long_answer_leaves_the_core_to_others_even_if_the_peer_is_fast() {
        for (coding, turn_bytes_max) in [
            (Coding::Identity, (TURN_BYTES + FRAME_BYTES_MAX) as u128),
            (Coding::Gzip, FRAME_BYTES_MAX as u128),
            (Coding::Zstd, FRAME_BYTES_MAX as u128),
        ] {
            let sent = Rc::new(Cell::new(0));
            let service = service_fn(|_: Request<Incoming>| {
                let body = ApiBody::pieces([BodyPiece::Nulls(1_000_000)].into()).encoded(coding);
                let answer = Response::new(Watched(body, Rc::clone(&sent)));
                async move { Ok::<_, Infallible>(answer) }
            });
            let peer = Peer(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            let mut connection = pin!(http1::Builder::new().serve_connection(peer, service));
            let mut context = Context::from_waker(Waker::noop());
            let (mut turns, mut before) = (0, 0);
            while connection.as_mut().poll(&mut context).map(|result| result.unwrap()).is_pending() {
                assert!(sent.get() - before <= turn_bytes_max, "{coding}: {} bytes", sent.get() - before);
                before = sent.get();
                turns += 1;
                assert!(turns < 1000, "{coding}: the answer does not end");
            }
            assert_eq!(sent.get(), 5_000_000, "{coding}");
        }
    }
}
