//! Content codings: compressed requests become plain bytes, plain answers become compressed ones.
//!
//! Before it: the headers and body chunks of `listen::http`. After it: on the way in the line decoder, which gets
//! [decoded pieces](Pending); on the way out [`ApiBody`](super::body::ApiBody), which drives an [`Encoder`]. Nothing here
//! waits or knows a clock, and nothing holds more than a piece, a window and a coder's tables, whatever is sent.

use std::fmt;

use hyper::header::{HeaderMap, TRANSFER_ENCODING};

mod accept;
mod decode;
mod encode;
mod gzip;
#[cfg(test)]
mod tests;
mod zstandard;

pub use accept::negotiate;
pub use decode::{BodyDecoder, DecodeError, Fault, Pending, UnsupportedEncoding, decoder};
pub use encode::Encoder;

/// Most bytes of one decoded piece, and most input that is looked at for it.
pub const PIECE_BYTES_MAX: usize = 64 * 1024;
/// log2 of the largest zstd window that is accepted: 8 MiB, which RFC 9659 sets for HTTP. A connection that sends zstd
/// can hold that much memory.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;

const _: () = assert!(PIECE_BYTES_MAX < 1 << ZSTD_WINDOW_LOG_MAX);

/// What is wrong with the `Transfer-Encoding` of a request, whose body then does not consist of what it seems to: to be answered
/// with 501. `chunked` alone is known; it is taken apart before a request comes here.
#[must_use]
pub fn unknown_transfer_coding(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(TRANSFER_ENCODING).iter();
    let first = values.next()?;
    if values.next().is_none() && first.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
        return None;
    }
    let mut quoted = first.as_bytes().escape_ascii().to_string();
    quoted.truncate(64);
    Some(format!(
        "Transfer-Encoding \"{quoted}\" is not supported: use chunked alone, and Content-Encoding for gzip or zstd"
    ))
}

/// How the bytes of a body are coded (SPEC section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As they are.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// The name in `Content-Encoding` and `Accept-Encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The coding of this name, in any case.
    fn from_name(name: &[u8]) -> Option<Self> {
        const NAMES: [(&[u8], Coding); 4] = [
            (b"identity", Coding::Identity),
            (b"gzip", Coding::Gzip),
            (b"x-gzip", Coding::Gzip),
            (b"zstd", Coding::Zstd),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, coding)| coding)
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
