//! The answer being written: `{"status":"success","data":…,"warnings":[…]}`, in pieces, so that a long one is never copied.

use std::collections::VecDeque;

use bytes::Bytes;
use engine::query::request::push_json_string;

use crate::api::body::{ApiBody, BodyPiece};
use crate::core::held::Lease;
use crate::runtime::reactor_turn;

/// Bytes written before others get their turn, and of a piece.
const TURN_BYTES: usize = 128 * 1024;

/// What a list says of which something was left out; in Prometheus' words.
const TRUNCATED: &str = "results truncated due to limit";

/// An answer being written.
#[derive(Debug)]
pub struct AnswerText {
    pieces: VecDeque<BodyPiece>,
    /// The end of what is written so far.
    pub open: Vec<u8>,
    is_truncated: bool,
    /// Of all that is held for the answer: what was taken beforehand, or more if there is more.
    lease: Lease,
    held_bytes: u64,
}

impl AnswerText {
    /// The text up to the data.
    pub(super) fn new(lease: Lease) -> Self {
        let open = b"{\"status\":\"success\",\"data\":".to_vec();
        Self { pieces: VecDeque::new(), open, is_truncated: false, lease, held_bytes: 0 }
    }

    /// Appends text.
    pub fn push(&mut self, text: &str) {
        self.open.extend_from_slice(text.as_bytes());
    }

    /// Counts memory that the answer is made of.
    pub fn hold(&mut self, bytes: u64) {
        self.held_bytes += bytes;
        if self.held_bytes > self.lease.bytes() {
            self.lease.set(self.held_bytes);
        }
    }

    /// Gives others their turn, if a piece is full.
    pub async fn turn(&mut self) {
        if self.open.len() >= TURN_BYTES {
            self.hold(self.open.capacity() as u64);
            self.pieces.push_back(BodyPiece::Bytes(Bytes::from(std::mem::take(&mut self.open))));
            reactor_turn().await;
        }
    }

    /// Appends the first `entries_max` of a list; others get their turn in between.
    pub async fn push_list<T>(
        &mut self,
        entries: impl IntoIterator<Item = T>,
        entries_max: usize,
        push: impl Fn(&mut Vec<u8>, &T),
    ) {
        self.open.push(b'[');
        for (index, entry) in entries.into_iter().enumerate() {
            if index == entries_max {
                self.is_truncated = true;
                break;
            }
            if index > 0 {
                self.open.push(b',');
            }
            push(&mut self.open, &entry);
            self.turn().await;
        }
        self.open.push(b']');
    }

    /// The text behind the data, and all of it as a body.
    pub(super) fn into_body(mut self) -> ApiBody {
        if self.is_truncated {
            self.push(",\"warnings\":[");
            push_json_string(&mut self.open, TRUNCATED);
            self.push("]");
        }
        self.push("}\n");
        self.pieces.push_back(BodyPiece::Bytes(Bytes::from(self.open)));
        ApiBody::pieces(self.pieces).holding(self.lease)
    }
}
