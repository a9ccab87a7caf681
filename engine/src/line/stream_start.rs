//! The first bytes of a stream: a UTF-8 byte order mark is taken off, and what is not text is known by its magic.
//!
//! Before it: the bytes of a transport. After it: [`frame`](super::frame).

use super::error::Fault;

/// As long as the longest magic.
const START_BYTES: usize = 4;
/// Of UTF-8, as editors and PowerShell put it before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// RFC 1952.
const GZIP: &[u8] = b"\x1f\x8b";
/// RFC 8878.
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Where a stream is: at its start until four bytes of it are there.
#[derive(Debug, Default)]
pub(super) struct StreamStart {
    /// What came of the first bytes, while they are fewer.
    held: FirstBytes,
    is_over: bool,
}

/// The first bytes of a stream that came one by one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FirstBytes {
    bytes: [u8; START_BYTES],
    length: usize,
}

impl FirstBytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The stream has begun.
#[derive(Debug)]
pub(super) struct Begun<'a> {
    /// What it is instead of lines.
    pub(super) fault: Option<Fault>,
    /// Its text up to `rest`.
    pub(super) first: FirstBytes,
    /// The rest of the chunk.
    pub(super) rest: &'a [u8],
}

impl StreamStart {
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes the next bytes; `None` while they are too few to tell.
    pub(super) fn push<'a>(&mut self, chunk: &'a [u8]) -> Option<Begun<'a>> {
        if self.held.length == 0 && chunk.len() >= START_BYTES {
            self.is_over = true;
            let rest = chunk.strip_prefix(BYTE_ORDER_MARK).unwrap_or(chunk);
            return Some(Begun { fault: fault(chunk), first: FirstBytes::default(), rest });
        }
        let FirstBytes { bytes, length } = &mut self.held;
        let taken = chunk.len().min(START_BYTES - *length);
        bytes[*length..*length + taken].copy_from_slice(&chunk[..taken]);
        *length += taken;
        (*length == START_BYTES).then(|| self.begin(&chunk[taken..]))
    }

    /// The stream is over before it began, if it did not.
    pub(super) fn end(&mut self) -> Option<Begun<'static>> {
        (!self.is_over).then(|| self.begin(&[]))
    }

    fn begin<'a>(&mut self, rest: &'a [u8]) -> Begun<'a> {
        self.is_over = true;
        let mut first = self.held;
        if first.as_slice().starts_with(BYTE_ORDER_MARK) {
            first.bytes.rotate_left(BYTE_ORDER_MARK.len());
            first.length -= BYTE_ORDER_MARK.len();
        }
        Begun { fault: fault(self.held.as_slice()), first, rest }
    }
}

fn fault(start: &[u8]) -> Option<Fault> {
    Some(match start {
        _ if start.starts_with(GZIP) => Fault::Gzip,
        _ if start.starts_with(ZSTD) => Fault::Zstd,
        // With a mark, or a letter and a zero.
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=0x7f, ..] | [1..=0x7f, 0, ..] => Fault::Utf16,
        _ => return None,
    })
}
