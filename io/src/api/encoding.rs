//! Content codings: compressed requests become plain bytes, plain answers become compressed ones.
//!
//! Before it: the headers and body chunks of `listen::http`. After it: on the way in the line decoder, which gets
//! [decoded pieces](Pending); on the way out [`ApiBody`](super::body::ApiBody), which drives an [`Encoder`]. Nothing here
//! waits or knows a clock, and nothing holds more than a piece, a window and a coder's tables, whatever is sent.

use std::fmt;

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
