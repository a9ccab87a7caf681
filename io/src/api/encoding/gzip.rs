//! gzip (RFC 1952) taken apart: member headers, deflate, trailers, one member after the other.
//!
//! Before and after it: [`decode`](super::decode), which cuts input and output into bounded parts. The framing is read
//! here and not by the deflate library, so that it can stop at every byte and members can follow each other.

use std::fmt;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::decode::Fault;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const METHOD_DEFLATE: u8 = 8;
/// Header bytes before the optional fields.
const HEADER_FIXED_BYTES: usize = 10;

const FLAG_HEADER_CHECKSUM: u8 = 0x02;
const FLAG_EXTRA: u8 = 0x04;
const FLAG_NAME: u8 = 0x08;
const FLAG_COMMENT: u8 = 0x10;
const FLAGS_RESERVED: u8 = 0xe0;

/// Decodes a sequence of gzip members.
pub(super) struct GzipDecoder {
    stage: Stage,
    inflate: Decompress,
    /// Over the decoded bytes of this member.
    decoded: Crc,
    /// At least one member is complete.
    any_member: bool,
}

/// Where in a member the input stands.
enum Stage {
    /// Before a member, or at the end.
    Between,
    Header(Header),
    Deflate,
    /// CRC32 and length of the decoded bytes; the number of bytes that are there.
    Trailer([u8; 8], usize),
}

/// A member's header, as far as it is there.
struct Header {
    field: Field,
    flags: u8,
    /// Over the header, for its optional checksum.
    checksum: Crc,
}

#[derive(Clone, Copy)]
enum Field {
    /// The index of the next byte.
    Fixed(usize),
    /// The two bytes of the extra field's length; the first one, if it is there.
    ExtraLength(Option<u8>),
    /// Bytes to come.
    Extra(u16),
    Name,
    Comment,
    /// The two bytes of the checksum; what it must be, and the first one, if it is there.
    Checksum(u16, Option<u8>),
    End,
}

impl GzipDecoder {
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Between,
            inflate: Decompress::new(false),
            decoded: Crc::new(),
            any_member: false,
        }
    }

    /// Whether the input may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.any_member && matches!(self.stage, Stage::Between)
    }

    /// Decodes from the front of `input` into `out`, until the one is empty or the other full. `written` counts the
    /// bytes of `out`, also those before an error.
    pub(super) fn decode(
        &mut self,
        input: &mut &[u8],
        out: &mut [u8],
        written: &mut usize,
    ) -> Result<(), Fault> {
        loop {
            match &mut self.stage {
                Stage::Between => {
                    if input.is_empty() {
                        return Ok(());
                    }
                    self.stage = Stage::Header(Header::new());
                }
                Stage::Header(header) => {
                    let Some((&byte, rest)) = input.split_first() else { return Ok(()) };
                    *input = rest;
                    header.push(byte)?;
                    if matches!(header.field, Field::End) {
                        self.inflate.reset(false);
                        self.decoded.reset();
                        self.stage = Stage::Deflate;
                    }
                }
                Stage::Deflate => {
                    let (input_bytes, written_before) = (input.len(), *written);
                    if self.inflate_step(input, out, written)? {
                        self.stage = Stage::Trailer([0; 8], 0);
                    } else if *written == out.len() || input.is_empty() {
                        return Ok(());
                    } else if input.len() == input_bytes && *written == written_before {
                        return Err(Fault::Deflate);
                    }
                }
                Stage::Trailer(bytes, filled) => {
                    let Some((&byte, rest)) = input.split_first() else { return Ok(()) };
                    *input = rest;
                    bytes[*filled] = byte;
                    *filled += 1;
                    if *filled == bytes.len() {
                        check_trailer(*bytes, &self.decoded)?;
                        self.any_member = true;
                        self.stage = Stage::Between;
                    }
                }
            }
        }
    }

    /// Gives whether the last block of the member is decoded.
    fn inflate_step(
        &mut self,
        input: &mut &[u8],
        out: &mut [u8],
        written: &mut usize,
    ) -> Result<bool, Fault> {
        let before = (self.inflate.total_in(), self.inflate.total_out());
        let room = &mut out[*written..];
        let status = self.inflate.decompress(input, room, FlushDecompress::None);
        let consumed = usize::try_from(self.inflate.total_in() - before.0).expect("no more than the input");
        let produced = usize::try_from(self.inflate.total_out() - before.1).expect("no more than the room");
        *input = &input[consumed..];
        self.decoded.update(&room[..produced]);
        *written += produced;
        Ok(status.map_err(|_| Fault::Deflate)? == Status::StreamEnd)
    }
}

fn check_trailer(bytes: [u8; 8], decoded: &Crc) -> Result<(), Fault> {
    let [a, b, c, d, length @ ..] = bytes;
    if u32::from_le_bytes([a, b, c, d]) != decoded.sum() {
        return Err(Fault::GzipChecksum);
    }
    // Both count modulo 2^32.
    if u32::from_le_bytes(length) == decoded.amount() { Ok(()) } else { Err(Fault::GzipLength) }
}

impl Header {
    fn new() -> Self {
        Self { field: Field::Fixed(0), flags: 0, checksum: Crc::new() }
    }

    /// Takes one byte. Names and comments may be of any length: they are passed over, not kept.
    fn push(&mut self, byte: u8) -> Result<(), Fault> {
        if !matches!(self.field, Field::Checksum(..)) {
            self.checksum.update(&[byte]);
        }
        match self.field {
            Field::Fixed(index) => {
                match index {
                    0 | 1 if byte != MAGIC[index] => return Err(Fault::GzipMagic),
                    2 if byte != METHOD_DEFLATE => return Err(Fault::GzipHeader),
                    3 if byte & FLAGS_RESERVED != 0 => return Err(Fault::GzipHeader),
                    3 => self.flags = byte,
                    _ => {}
                }
                self.field = Field::Fixed(index + 1);
                if index + 1 == HEADER_FIXED_BYTES {
                    self.advance();
                }
            }
            Field::ExtraLength(None) => self.field = Field::ExtraLength(Some(byte)),
            Field::ExtraLength(Some(first)) => match u16::from_le_bytes([first, byte]) {
                0 => self.advance(),
                length => self.field = Field::Extra(length),
            },
            Field::Extra(1) => self.advance(),
            Field::Extra(left) => self.field = Field::Extra(left - 1),
            Field::Name | Field::Comment if byte == 0 => self.advance(),
            Field::Name | Field::Comment => {}
            Field::Checksum(expected, None) => self.field = Field::Checksum(expected, Some(byte)),
            Field::Checksum(expected, Some(first)) if u16::from_le_bytes([first, byte]) != expected => {
                return Err(Fault::GzipHeaderChecksum);
            }
            Field::Checksum(..) | Field::End => self.field = Field::End,
        }
        Ok(())
    }

    /// On to the next field that the flags announce.
    fn advance(&mut self) {
        let flags = &mut self.flags;
        let mut take = |flag: u8| {
            let is_set = *flags & flag != 0;
            *flags &= !flag;
            is_set
        };
        self.field = if take(FLAG_EXTRA) {
            Field::ExtraLength(None)
        } else if take(FLAG_NAME) {
            Field::Name
        } else if take(FLAG_COMMENT) {
            Field::Comment
        } else if take(FLAG_HEADER_CHECKSUM) {
            let [low, high, ..] = self.checksum.sum().to_le_bytes();
            Field::Checksum(u16::from_le_bytes([low, high]), None)
        } else {
            Field::End
        };
    }
}

impl fmt::Debug for GzipDecoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GzipDecoder").finish_non_exhaustive()
    }
}
