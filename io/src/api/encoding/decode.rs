//! A compressed request body, pushed in chunk by chunk, comes out in pieces of bounded size.
//!
//! Before it: the body's chunks from `listen::http`. After it: the line decoder. The caller may await between two
//! pieces, so a body that grows a thousandfold costs time in small slices and never memory.

use std::{error::Error, fmt};

use hyper::header::HeaderValue;

use super::{Coding, PIECE_BYTES_MAX, ZSTD_WINDOW_LOG_MAX, gzip::GzipDecoder, zstandard::ZstdDecoder};

/// How much of an unknown `Content-Encoding` its error quotes (SPEC section 2).
const QUOTE_BYTES_MAX: usize = 64;

/// What a gzip decoder holds: a window of 32 KiB, and tables.
const GZIP_BYTES: usize = 64 * 1024;

/// A `Content-Encoding` that is not read here: to be answered with 415.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedEncoding {
    /// What the header says, escaped, cut off after 64 bytes.
    pub quoted: String,
}

impl fmt::Display for UnsupportedEncoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Content-Encoding \"{}\" is not supported: use one of gzip, zstd, identity",
            self.quoted
        )
    }
}

impl Error for UnsupportedEncoding {}

/// A body that is not what its `Content-Encoding` says. The pieces that were whole before it have been handed
/// out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not valid {coding}, at byte {byte}: {fault}")]
pub struct DecodeError {
    /// What the body should be.
    pub coding: Coding,
    /// How many compressed bytes had been read when it was found.
    pub byte: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong with a compressed body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It ends too early, or is empty.
    #[error("it ends too early, send it again as a whole")]
    Truncated,
    /// Neither a gzip member nor the end.
    #[error("no gzip member begins here; is it compressed at all, or is something behind it?")]
    GzipMagic,
    /// Compressed by something other than deflate, or flags from the future.
    #[error("a gzip member has an unknown method or flag, compress with plain gzip")]
    GzipHeader,
    /// The optional checksum of a gzip header is wrong.
    #[error("the checksum of a gzip header is wrong, it was damaged on its way")]
    GzipHeaderChecksum,
    /// The deflate stream is damaged.
    #[error("the compressed data are damaged")]
    Deflate,
    /// The CRC32 of a gzip member is wrong.
    #[error("the checksum of the decoded data is wrong, they were damaged on their way")]
    GzipChecksum,
    /// The length of a gzip member is wrong.
    #[error("the length of the decoded data is wrong, they were damaged on their way")]
    GzipLength,
    /// A zstd frame wants a larger window than `ZSTD_WINDOW_LOG_MAX` allows.
    #[error("a zstd frame needs a window above 8 MiB, compress with level 19 or less and without --long")]
    ZstdWindow,
    /// Damaged, or no zstd frame: the library's words.
    #[error("{0}")]
    Zstd(Box<str>),
}

/// The decoder that a request's `Content-Encoding` asks for. None, an empty one and `identity` are [`BodyDecoder::Identity`].
///
/// Takes `headers.get(..)` as well as `headers.get_all(..)`, which is better, as the header may be there twice.
///
/// # Errors
/// A coding that is not known, or more than one.
pub fn decoder<'a>(
    content_encoding: impl IntoIterator<Item = &'a HeaderValue>,
) -> Result<BodyDecoder, UnsupportedEncoding> {
    let mut found = None;
    for value in content_encoding {
        let elements = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        for name in elements.filter(|name| !name.is_empty()) {
            let coding = Coding::from_name(name).filter(|_| found.is_none());
            found = Some(coding.ok_or_else(|| UnsupportedEncoding::new(value))?);
        }
    }
    Ok(match found {
        None | Some(Coding::Identity) => BodyDecoder::Identity,
        Some(Coding::Gzip) => BodyDecoder::compressed(Stream::Gzip(GzipDecoder::new())),
        Some(Coding::Zstd) => BodyDecoder::compressed(Stream::Zstd(ZstdDecoder::new())),
    })
}

impl UnsupportedEncoding {
    fn new(value: &HeaderValue) -> Self {
        let mut quoted = value.as_bytes().escape_ascii().to_string();
        quoted.truncate(QUOTE_BYTES_MAX);
        Self { quoted }
    }
}

/// Decodes one request body.
#[derive(Debug)]
pub enum BodyDecoder {
    /// Nothing to decode: pieces are parts of the input itself.
    Identity,
    /// gzip or zstd.
    Compressed(Box<Compressed>),
}

/// The state between two chunks of a compressed body.
#[derive(Debug)]
pub struct Compressed {
    stream: Stream,
    /// Where pieces are decoded to: [`PIECE_BYTES_MAX`].
    piece: Box<[u8]>,
    /// Compressed bytes so far.
    read_bytes: u64,
    /// The first error, which is also every later one.
    failed: Option<DecodeError>,
}

#[derive(Debug)]
enum Stream {
    Gzip(GzipDecoder),
    Zstd(ZstdDecoder),
}

/// A chunk of input on its way through the decoder.
#[derive(Debug)]
#[must_use = "a chunk is decoded by calling next until it gives None"]
pub struct Pending<'a> {
    decoder: &'a mut BodyDecoder,
    input: &'a [u8],
}

impl BodyDecoder {
    fn compressed(stream: Stream) -> Self {
        Self::Compressed(Box::new(Compressed {
            stream,
            piece: vec![0; PIECE_BYTES_MAX].into(),
            read_bytes: 0,
            failed: None,
        }))
    }

    /// Whether the body may be used as it comes, without [`feed`](Self::feed).
    #[must_use]
    pub fn is_identity(&self) -> bool {
        matches!(self, Self::Identity)
    }

    /// Memory it holds now.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        match self {
            Self::Identity => 0,
            Self::Compressed(compressed) => {
                let stream = match &compressed.stream {
                    Stream::Gzip(_) => GZIP_BYTES,
                    Stream::Zstd(zstd) => zstd.memory_bytes(),
                };
                (stream + PIECE_BYTES_MAX) as u64
            }
        }
    }

    /// Memory it holds at most.
    #[must_use]
    pub fn memory_bytes_max(&self) -> u64 {
        match self {
            Self::Compressed(compressed) if matches!(compressed.stream, Stream::Zstd(_)) => {
                (2 << ZSTD_WINDOW_LOG_MAX) as u64
            }
            _ => self.memory_bytes(),
        }
    }

    /// Takes the next chunk of the body; its pieces are to be taken out, up to the `None`, before the next chunk is fed.
    pub fn feed<'a>(&'a mut self, input: &'a [u8]) -> Pending<'a> {
        Pending { decoder: self, input }
    }

    /// To be called at the end of the body, once the last chunk has given `None`.
    ///
    /// # Errors
    /// The body is cut off, or has been in error before. A compressed body of no bytes at all counts as cut off.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        let Self::Compressed(compressed) = self else { return Ok(()) };
        let complete = match &compressed.stream {
            Stream::Gzip(gzip) => gzip.is_complete(),
            Stream::Zstd(zstd) => zstd.is_complete(),
        };
        match &compressed.failed {
            Some(error) => Err(error.clone()),
            None if complete => Ok(()),
            None => Err(compressed.fail(Fault::Truncated)),
        }
    }
}

impl Pending<'_> {
    /// The next piece of at most [`PIECE_BYTES_MAX`], possibly empty; `None` when the chunk is used up.
    ///
    /// # Errors
    /// The body is not what it says; every later call gives the same error.
    #[allow(clippy::should_implement_trait, reason = "an Iterator cannot lend its buffer")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, DecodeError> {
        match &mut *self.decoder {
            BodyDecoder::Identity => {
                let (piece, rest) = self.input.split_at(self.input.len().min(PIECE_BYTES_MAX));
                self.input = rest;
                Ok((!piece.is_empty()).then_some(piece))
            }
            BodyDecoder::Compressed(compressed) => {
                let written = compressed.decode(&mut self.input)?;
                // Input without output (headers, empty members) is a piece too: the caller gets its chance to await.
                let used_up = written == 0 && self.input.is_empty();
                Ok((!used_up).then(|| &compressed.piece[..written]))
            }
        }
    }
}

impl Compressed {
    /// Fills the piece as far as the front of `input` allows; gives the bytes written.
    fn decode(&mut self, input: &mut &[u8]) -> Result<usize, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut front = &input[..input.len().min(PIECE_BYTES_MAX)];
        let front_bytes = front.len();
        let mut written = 0;
        let result = match &mut self.stream {
            Stream::Gzip(gzip) => gzip.decode(&mut front, &mut self.piece, &mut written),
            Stream::Zstd(zstd) => zstd.decode(&mut front, &mut self.piece, &mut written),
        };
        let consumed = front_bytes - front.len();
        *input = &input[consumed..];
        self.read_bytes += consumed as u64;
        match result.map_err(|fault| self.fail(fault)) {
            // First what was decoded before the error; the next call meets the error.
            Err(error) if written == 0 => Err(error),
            _ => Ok(written),
        }
    }

    fn fail(&mut self, fault: Fault) -> DecodeError {
        let coding = match self.stream {
            Stream::Gzip(_) => Coding::Gzip,
            Stream::Zstd(_) => Coding::Zstd,
        };
        self.failed.insert(DecodeError { coding, byte: self.read_bytes, fault }).clone()
    }
}
