//! The bytes of an answer, with runs of `null,` kept as numbers.
//!
//! A query that begins long before the data is answered with millions of nulls in front of it; they are
//! written out only where they are sent.

use std::ops::Range;

/// Shorter runs of nulls are written out at once.
const NULLS_WRITTEN_MAX: u64 = 1024;

/// Bytes with runs of `null,` between them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Text {
    bytes: Vec<u8>,
    /// Before which byte, and how many.
    nulls: Vec<(usize, u64)>,
}

/// A piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the text.
    Bytes(Range<usize>),
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
        &mut self.bytes
    }

    /// The written bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the written bytes out; pieces refer to them.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Appends `count` times `null,`.
    pub fn push_nulls(&mut self, count: u64) {
        if count > NULLS_WRITTEN_MAX {
            self.nulls.push((self.bytes.len(), count));
            return;
        }
        for _ in 0..count {
            self.bytes.extend_from_slice(b"null,");
        }
    }

    /// Takes the comma off the last `null,`, which must be what was written last.
    pub fn drop_last_comma(&mut self) {
        match self.nulls.last_mut() {
            Some((at, count)) if *at == self.bytes.len() => {
                *count -= 1;
                self.bytes.extend_from_slice(b"null");
            }
            _ => {
                let comma = self.bytes.pop();
                debug_assert_eq!(comma, Some(b','));
            }
        }
    }

    /// The place behind what was written so far.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), nulls: self.nulls.len() }
    }

    /// The pieces between two places.
    pub fn pieces(&self, from: Mark, to: Mark) -> impl Iterator<Item = Piece> {
        let mut at = from.bytes;
        let nulls = self.nulls[from.nulls..to.nulls].iter().copied();
        nulls.map(Some).chain([None]).flat_map(move |next| {
            let end = next.map_or(to.bytes, |(end, _)| end);
            let bytes = (end > at).then_some(Piece::Bytes(at..end));
            at = end;
            bytes.into_iter().chain(next.map(|(_, count)| Piece::Nulls(count)))
        })
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
        assert_eq!(pieces, [Piece::Nulls(2_000_000_000), Piece::Bytes(5..17), Piece::Nulls(3000)]);
        assert_eq!(&text.bytes()[5..17], b"1]null,null,");
        assert_eq!(text.pieces(Mark::default(), mark).collect::<Vec<_>>(), [Piece::Bytes(0..5)]);
    }
}
