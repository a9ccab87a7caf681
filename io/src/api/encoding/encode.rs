//! Plain bytes in, compressed bytes out, a slice at a time.
//!
//! Before and after it: [`ApiBody`](crate::api::body::ApiBody), which bounds the slices and hands the output to hyper.

use std::fmt;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use zstd::stream::raw::{CParameter, Encoder as ZstdStream, InBuffer, Operation, OutBuffer};

use super::Coding;

/// Measured on a query answer of 2.6 MB (216 series of a day: noise, walks and steps): level 1 gives a ratio of 2.0,
/// level 2 gives 3.1 at half its speed (156 MB/s), and levels 3 to 6 are slower and give at most 3.2.
const GZIP_LEVEL: u32 = 2;
/// On the same answer: level 1 gives a ratio of 3.3 at 519 MB/s; levels 2 and 3 take about twice as long and give less.
const ZSTD_LEVEL: i32 = 1;
/// A window of 128 KiB instead of 512: as small an answer, in less memory.
const ZSTD_WINDOW_LOG: u32 = 17;
/// Least room that is offered to a coder.
const OUTPUT_STEP_BYTES: usize = 8 * 1024;

/// No name, no time, fastest method, unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255];

/// Encodes one body.
pub struct Encoder(Stream);

enum Stream {
    Gzip { deflate: Compress, raw: Crc, has_header: bool },
    Zstd(ZstdStream<'static>),
}

impl Encoder {
    /// An encoder of this coding; `None` for identity, which needs none.
    #[must_use]
    pub fn new(coding: Coding) -> Option<Self> {
        let stream = match coding {
            Coding::Identity => return None,
            Coding::Gzip => Stream::Gzip {
                deflate: Compress::new(Compression::new(GZIP_LEVEL), false),
                raw: Crc::new(),
                has_header: false,
            },
            Coding::Zstd => {
                let mut stream = ZstdStream::new(ZSTD_LEVEL).expect("the level is one that zstd knows");
                for parameter in [CParameter::WindowLog(ZSTD_WINDOW_LOG), CParameter::ChecksumFlag(true)] {
                    stream.set_parameter(parameter).expect("the parameters are ones that zstd knows");
                }
                Stream::Zstd(stream)
            }
        };
        Some(Self(stream))
    }

    /// Encodes `raw`, appending to `out` what is ready; a coder may keep back some 128 KiB of input.
    pub fn encode(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        match &mut self.0 {
            Stream::Gzip { deflate, raw: crc, has_header } => {
                put_header(has_header, out);
                crc.update(raw);
                let mut input = raw;
                while !input.is_empty() {
                    let before = deflate.total_in();
                    deflate_step(deflate, input, out, FlushCompress::None);
                    let consumed = deflate.total_in() - before;
                    input = &input[usize::try_from(consumed).expect("no more than the input")..];
                }
            }
            Stream::Zstd(stream) => {
                let mut input = InBuffer::around(raw);
                while input.pos() < raw.len() {
                    zstd_step(out, |output| stream.run(&mut input, output));
                }
            }
        }
    }

    /// Ends the stream, appending its last bytes to `out`. Also valid when nothing was encoded.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self.0 {
            Stream::Gzip { mut deflate, raw, mut has_header } => {
                put_header(&mut has_header, out);
                while deflate_step(&mut deflate, &[], out, FlushCompress::Finish) != Status::StreamEnd {}
                out.extend_from_slice(&raw.sum().to_le_bytes());
                // The length modulo 2^32, as the trailer wants it.
                out.extend_from_slice(&raw.amount().to_le_bytes());
            }
            Stream::Zstd(mut stream) => while zstd_step(out, |output| stream.finish(output, true)) != 0 {},
        }
    }
}

fn put_header(has_header: &mut bool, out: &mut Vec<u8>) {
    if !*has_header {
        *has_header = true;
        out.extend_from_slice(&GZIP_HEADER);
    }
}

fn deflate_step(deflate: &mut Compress, input: &[u8], out: &mut Vec<u8>, flush: FlushCompress) -> Status {
    out.reserve(OUTPUT_STEP_BYTES);
    deflate.compress_vec(input, out, flush).expect("deflate fails only on a misused stream")
}

fn zstd_step(
    out: &mut Vec<u8>,
    step: impl FnOnce(&mut OutBuffer<'_, Vec<u8>>) -> std::io::Result<usize>,
) -> usize {
    out.reserve(OUTPUT_STEP_BYTES);
    let end = out.len();
    step(&mut OutBuffer::around_pos(out, end)).expect("zstd fails only on a misused stream or without memory")
}

impl fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Stream::Gzip { .. } => "Encoder(gzip)",
            Stream::Zstd(_) => "Encoder(zstd)",
        })
    }
}
