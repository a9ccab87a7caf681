//! The bytes of an answer, in chunks, with runs of `null,` kept as numbers.
//!
//! A query that begins long before the data is answered with millions of nulls in front of it; they are
//! written out only where they are sent. An answer of many megabytes is not one block of memory: nothing is moved when it grows,
//! and what is sent is given back piece by piece, not in one step of milliseconds.

use std::ops::Range;

use crate::limits::{ANSWER_CHUNK_BYTES, ANSWER_CHUNK_FULL_BYTES};

/// Shorter runs of nulls are written out at once.
const NULLS_WRITTEN_MAX: u64 = 1024;

/// Bytes with runs of `null,` between them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Written to the end, in order.
    closed: Vec<Chunk>,
    /// What comes behind them.
    open: Chunk,
    /// Before which byte, and how many.
    nulls: Vec<(usize, u64)>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Chunk {
    /// Bytes of the chunks before it.
    start: usize,
    bytes: Vec<u8>,
}

/// A piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the chunk of this number.
    Bytes(usize, Range<usize>),
    /// So many times `null,`.
    Nulls(u64),
}

/// A place in a [`Text`]: the end of what was written so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    bytes: usize,
    nulls: usize,
}

impl Text {
    /// Where to append bytes.
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.open.bytes
    }

    /// Says how many bytes are expected in all; more or fewer may come.
    pub fn expect_bytes(&mut self, bytes: usize) {
        self.open.bytes.reserve(bytes.min(ANSWER_CHUNK_BYTES));
    }

    /// Says that bytes may be cut here. A row between two cuts is in one chunk, however long it is.
    pub fn cut(&mut self) {
        if self.open.bytes.len() >= ANSWER_CHUNK_FULL_BYTES {
            let next = Chunk { start: self.open.end(), bytes: Vec::with_capacity(ANSWER_CHUNK_BYTES) };
            self.closed.push(std::mem::replace(&mut self.open, next));
        }
    }

    /// The written bytes of a chunk.
    ///
    /// # Panics
    /// If no piece can refer to it.
    #[must_use]
    pub fn chunk(&self, number: usize) -> &[u8] {
        &self.chunk_at(number).bytes
    }

    /// Takes the chunks out; pieces refer to them by number.
    pub fn take_chunks(&mut self) -> impl Iterator<Item = Vec<u8>> {
        let open = std::mem::take(&mut self.open);
        std::mem::take(&mut self.closed).into_iter().chain([open]).map(|chunk| chunk.bytes)
    }

    /// Appends `count` times `null,`.
    pub fn push_nulls(&mut self, count: u64) {
        if count > NULLS_WRITTEN_MAX {
            self.nulls.push((self.open.end(), count));
            return;
        }
        for _ in 0..count {
            self.open.bytes.extend_from_slice(b"null,");
        }
    }

    /// Takes the comma off the last `null,`, which must be what was written last.
    pub fn drop_last_comma(&mut self) {
        match self.nulls.last_mut() {
            Some((at, count)) if *at == self.open.end() => {
                *count -= 1;
                self.open.bytes.extend_from_slice(b"null");
            }
            _ => {
                let comma = self.open.bytes.pop();
                debug_assert_eq!(comma, Some(b','));
            }
        }
    }

    /// The place behind what was written so far.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.open.end(), nulls: self.nulls.len() }
    }

    /// The pieces between two places.
    pub fn pieces(&self, from: Mark, to: Mark) -> impl Iterator<Item = Piece> {
        let mut at = from.bytes;
        let nulls = self.nulls[from.nulls..to.nulls].iter().copied();
        nulls.map(Some).chain([None]).flat_map(move |next| {
            let end = next.map_or(to.bytes, |(end, _)| end);
            let bytes = self.slices(at..end);
            at = end;
            bytes.chain(next.map(|(_, count)| Piece::Nulls(count)))
        })
    }

    /// The bytes of this range, chunk by chunk.
    fn slices(&self, range: Range<usize>) -> impl Iterator<Item = Piece> {
        let first = self.closed.partition_point(|chunk| chunk.end() <= range.start);
        (first..=self.closed.len()).map_while(move |number| {
            let Chunk { start, .. } = *self.chunk_at(number);
            let from = range.start.max(start);
            let to = range.end.min(self.chunk_at(number).end());
            (from < to).then(|| Piece::Bytes(number, from - start..to - start))
        })
    }

    fn chunk_at(&self, number: usize) -> &Chunk {
        if number == self.closed.len() { &self.open } else { &self.closed[number] }
    }
}

impl Chunk {
    fn end(&self) -> usize {
        self.start + self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_order() {
        let mut text = Text::default();
        text.bytes_mut().extend_from_slice(b"first");
        let mark = text.mark();
        text.push_nulls(2_000_000_000);
        text.bytes_mut().extend_from_slice(b"1]");
        text.push_nulls(2);
        text.push_nulls(3000);
        let pieces: Vec<_> = text.pieces(mark, text.mark()).collect();
        assert_eq!(pieces, [Piece::Nulls(2_000_000_000), Piece::Bytes(0, 5..17), Piece::Nulls(3000)]);
        assert_eq!(&text.chunk(0)[5..17], b"1]null,null,");
        assert_eq!(text.pieces(Mark::default(), mark).collect::<Vec<_>>(), [Piece::Bytes(0, 0..5)]);
    }

    #[test]
    fn what_is_cut_is_found_again_between_any_two_places() {
        let mut text = Text::default();
        let (mut whole, mut places) = (Vec::new(), vec![(text.mark(), 0)]);
        for row in 0..200u32 {
            // Rows of all lengths, one of several chunks, and none at all.
            let bytes = if row == 50 { 3 * ANSWER_CHUNK_BYTES } else { (row as usize % 7) * 3001 };
            let row = vec![row as u8; bytes];
            text.cut();
            text.bytes_mut().extend_from_slice(&row);
            whole.extend_from_slice(&row);
            places.push((text.mark(), whole.len()));
        }
        for (index, &(from, from_byte)) in places.iter().enumerate() {
            for &(to, to_byte) in &places[index..] {
                let mut found = Vec::new();
                for piece in text.pieces(from, to) {
                    let Piece::Bytes(chunk, range) = piece else { panic!("there are no nulls") };
                    assert!(!range.is_empty());
                    found.extend_from_slice(&text.chunk(chunk)[range]);
                }
                assert!(found == whole[from_byte..to_byte], "{from_byte} to {to_byte}");
            }
        }
        let chunks: Vec<_> = text.take_chunks().collect();
        assert!(chunks.len() > 4, "{}", chunks.len());
        assert!(chunks.concat() == whole);
    }
}
