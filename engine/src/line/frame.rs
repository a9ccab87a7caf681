//! Whole lines out of a byte stream that arrives in chunks.
//!
//! Chunks end anywhere. Lines that begin and end within a chunk are handed on where they lie, without a
//! copy; only an unfinished line is kept until its end arrives.

use crate::limits;

/// The unfinished line of one stream; never longer than [`limits::LINE_BYTES_MAX`] and a newline.
#[derive(Debug, Default)]
pub struct Framer {
    carry: Vec<u8>,
}

/// A line that does not end within [`limits::LINE_BYTES_MAX`]; its beginning is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlong {
    /// How many bytes at the end of the chunk were not looked at.
    pub rest_bytes: usize,
}

/// What may happen to a line whose quoted string is not closed within the bytes presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenQuote {
    /// Leave it: more bytes will follow.
    Wait,
    /// The line ends at its first newline after all.
    EndLine,
}

impl Framer {
    /// Takes the next chunk and calls `lines` with slices that end with a newline.
    ///
    /// `lines` returns how much of its slice it took: all, unless it was told [`OpenQuote::Wait`] and the
    /// last line goes on behind its newline. What it leaves is presented again with more behind it.
    ///
    /// # Errors
    /// [`Overlong`], or whatever `lines` returns.
    pub fn push<E: From<Overlong>>(
        &mut self,
        mut chunk: &[u8],
        mut lines: impl FnMut(&[u8], OpenQuote) -> Result<usize, E>,
    ) -> Result<(), E> {
        let mut retry = false;
        while !self.carry.is_empty() {
            let room = (limits::LINE_BYTES_MAX + 1).saturating_sub(self.carry.len());
            let window = &chunk[..room.min(chunk.len())];
            // One line is enough to finish the carried one; if it goes on, take all there is, so that
            // a string of many newlines is not searched again for each of them.
            let newline = if retry { memchr::memrchr(b'\n', window) } else { memchr::memchr(b'\n', window) };
            let appended = newline.map_or(window.len(), |newline| newline + 1);
            self.carry.extend_from_slice(&window[..appended]);
            chunk = &chunk[appended..];
            if self.carry.len() > limits::LINE_BYTES_MAX {
                let Some(end) = memchr::memrchr(b'\n', &self.carry).map(|newline| newline + 1) else {
                    self.carry.clear();
                    return Err(E::from(Overlong { rest_bytes: chunk.len() }));
                };
                lines(&self.carry[..end], OpenQuote::EndLine)?;
                self.carry.drain(..end);
            } else if newline.is_some() {
                let taken = lines(&self.carry, OpenQuote::Wait)?;
                self.carry.drain(..taken);
            } else {
                return Ok(());
            }
            retry = true;
        }
        let Some(end) = memchr::memrchr(b'\n', chunk).map(|newline| newline + 1) else {
            return self.keep(chunk);
        };
        let mut taken = lines(&chunk[..end], OpenQuote::Wait)?;
        if chunk.len() - taken > limits::LINE_BYTES_MAX && taken < end {
            taken += lines(&chunk[taken..end], OpenQuote::EndLine)?;
        }
        self.keep(&chunk[taken..])
    }

    fn keep<E: From<Overlong>>(&mut self, rest: &[u8]) -> Result<(), E> {
        if rest.len() > limits::LINE_BYTES_MAX {
            return Err(E::from(Overlong { rest_bytes: 0 }));
        }
        self.carry.extend_from_slice(rest);
        Ok(())
    }

    /// The stream is over: what is left is the last line, handed on with a newline added.
    ///
    /// # Errors
    /// Whatever `lines` returns.
    pub fn finish<E>(&mut self, lines: impl FnOnce(&[u8], OpenQuote) -> Result<usize, E>) -> Result<(), E> {
        if self.carry.is_empty() {
            return Ok(());
        }
        self.carry.push(b'\n');
        let result = lines(&self.carry, OpenQuote::EndLine);
        self.carry.clear();
        result.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Splits at newlines outside double quotes, as the decoder does for skipped lines.
    fn take(found: &mut Vec<Vec<u8>>, region: &[u8], open_quote: OpenQuote) -> usize {
        assert_eq!(region.last(), Some(&b'\n'));
        let mut start = 0;
        while start < region.len() {
            let rest = &region[start..];
            let mut quoted = false;
            let closed = rest.iter().position(|&byte| {
                quoted ^= byte == b'"';
                byte == b'\n' && !quoted
            });
            let end = match (closed, open_quote) {
                (Some(end), _) => end,
                (None, OpenQuote::Wait) => return start,
                (None, OpenQuote::EndLine) => memchr::memchr(b'\n', rest).unwrap(),
            };
            found.push(rest[..end].to_vec());
            start += end + 1;
        }
        start
    }

    fn frame(chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, Overlong> {
        let mut found = Vec::new();
        let mut framer = Framer::default();
        for chunk in chunks {
            framer.push(chunk, |region, open| Ok::<_, Overlong>(take(&mut found, region, open)))?;
            assert!(framer.carry.len() <= limits::LINE_BYTES_MAX + 1);
        }
        framer.finish(|region, open| Ok::<_, Overlong>(take(&mut found, region, open)))?;
        Ok(found)
    }

    proptest! {
        /// However the bytes are cut into chunks, the lines are the same.
        #[test]
        fn chunks_do_not_matter(text in "[ab\"\n]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..8)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().filter(|&cut| cut <= bytes.len()).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut start = 0;
            for cut in cuts {
                chunks.push(&bytes[start..cut]);
                start = cut;
            }
            chunks.push(&bytes[start..]);
            prop_assert_eq!(frame(&chunks).unwrap(), frame(&[bytes]).unwrap());
        }
    }

    #[test]
    fn long_lines_are_bounded() {
        let longest = vec![b'x'; limits::LINE_BYTES_MAX];
        assert_eq!(frame(&[&longest, b"\nnext\n"]).unwrap().len(), 2);
        assert_eq!(frame(&[&longest, b"yz\n"]), Err(Overlong { rest_bytes: 2 }));
        assert_eq!(frame(&[&[&longest[..], b"y"].concat()]), Err(Overlong { rest_bytes: 0 }));
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_with_its_line() {
        let mut text = b"a\"b\n".to_vec();
        for _ in 0..limits::LINE_BYTES_MAX {
            text.extend_from_slice(b"c\n");
        }
        for chunk in [text.len(), 100_000, 7_777] {
            let lines = frame(&text.chunks(chunk).collect::<Vec<_>>()).unwrap();
            assert_eq!(lines.len(), limits::LINE_BYTES_MAX + 1);
            assert_eq!(lines[0], b"a\"b");
        }
    }
}
