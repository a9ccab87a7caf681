//! What is wrong with a line, and where; and what it may be, if it is no line protocol at all.
//!
//! Errors are built only when they are shown: the decoder stops at the first bad line of a request and
//! formats that one.

use std::fmt;

use super::other_format;
use crate::limits;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The line begins with a comma or the measurement name is empty otherwise.
    MeasurementMissing,
    /// A comma is not followed by a tag.
    TagMissing,
    /// A tag has no `=`.
    TagEqualsMissing,
    /// A tag key or value is empty.
    TagEmpty,
    /// A tag value contains an unescaped `=`.
    TagEqualsUnescaped,
    /// Type and id together are longer than [`limits::SELECTOR_PART_BYTES_MAX`].
    SelectorTooLong,
    /// A name is not UTF-8.
    NotUtf8,
    /// A name holds a byte of 0 to 31, or 127.
    ControlCharacter,
    /// The first line of a stream has no line protocol's shape: it is something else.
    NotLineProtocol,
    /// The stream is compressed with gzip, which nothing announced.
    Gzip,
    /// The stream is compressed with zstd, which nothing announced.
    Zstd,
    /// The stream is UTF-16.
    Utf16,
    /// The line ends before the field.
    FieldMissing,
    /// The field is not called `value`.
    FieldName,
    /// There is a second field.
    FieldSecond,
    /// The keys of the fields take more than [`limits::FIELD_KEYS_BYTES_MAX`].
    FieldsTooMany,
    /// Nothing, or nothing numeric, stands behind `value=`.
    ValueSyntax,
    /// A string or boolean.
    ValueType,
    /// An integer beyond 64 bits or a float beyond the largest finite one.
    ValueRange,
    /// The timestamp is not a whole number.
    TimestampSyntax,
    /// The timestamp does not fit 64 bits.
    TimestampRange,
    /// Something stands behind the timestamp.
    TextAfterTimestamp,
    /// The line is longer than [`limits::LINE_BYTES_MAX`].
    TooLong,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MeasurementMissing => "a measurement name is expected",
            Self::TagMissing => "a tag is expected after the comma",
            Self::TagEqualsMissing => "'=' is expected after the tag key",
            Self::TagEmpty => "tag keys and values must not be empty",
            Self::TagEqualsUnescaped => "'=' in a tag value must be escaped with a backslash",
            Self::SelectorTooLong => {
                return write!(f, "type and id have more than {} bytes", limits::SELECTOR_PART_BYTES_MAX);
            }
            Self::NotUtf8 => "names must be UTF-8",
            Self::ControlCharacter => "names must not contain control characters",
            Self::NotLineProtocol => {
                "line protocol is expected: <metric>,cluster=<c>,hostname=<h> value=<number> [<time>]"
            }
            Self::Gzip => {
                "this is compressed with gzip: say so (over HTTP with Content-Encoding: gzip), or send plain lines"
            }
            Self::Zstd => {
                "this is compressed with zstd: say so (over HTTP with Content-Encoding: zstd), or send plain lines"
            }
            Self::Utf16 => "this is UTF-16: send UTF-8",
            Self::FieldMissing => "a field value=<number> is expected",
            Self::FieldName => "the only field known is 'value'",
            Self::FieldSecond => "exactly one field is expected",
            Self::FieldsTooMany => "the line has too many fields for tags as long as these",
            Self::ValueSyntax => "a number is expected",
            Self::ValueType => "the value must be a number, not a string or boolean",
            Self::ValueRange => "the value is out of range",
            Self::TimestampSyntax => "the timestamp must be a whole number",
            Self::TimestampRange => "the timestamp is out of range",
            Self::TextAfterTimestamp => "nothing is expected after the timestamp",
            Self::TooLong => return write!(f, "the line is longer than {} bytes", limits::LINE_BYTES_MAX),
        })
    }
}

/// A bad line: where it is, what is wrong, and a piece of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {fault}, near \"{quote}\"{}", Hint(*looks_like))]
pub struct LineError {
    /// Counted from 1 over the whole request or connection.
    pub line: u64,
    /// Byte in the line, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub fault: Fault,
    /// At most [`limits::ERROR_QUOTE_BYTES_MAX`] bytes from the fault on, escaped.
    pub quote: String,
    /// What the line may be instead of line protocol.
    pub looks_like: Option<&'static str>,
}

/// A part of the text.
struct Hint(Option<&'static str>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |format| write!(f, "; this looks like {format}"))
    }
}

impl LineError {
    /// The error for `fault` at byte `offset` (from 0) of `line_text`.
    #[must_use]
    pub fn new(line: u64, line_text: &[u8], offset: usize, fault: Fault) -> Self {
        let offset = offset.min(line_text.len());
        let looks_like = match fault {
            Fault::NotLineProtocol | Fault::FieldMissing | Fault::MeasurementMissing => {
                other_format::guess(line_text)
            }
            _ => None,
        };
        Self { line, column: offset + 1, fault, quote: quote(&line_text[offset..]), looks_like }
    }
}

/// At most [`limits::ERROR_QUOTE_BYTES_MAX`] escaped bytes of a line's rest.
fn quote(text: &[u8]) -> String {
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let mut quoted = String::with_capacity(limits::ERROR_QUOTE_BYTES_MAX);
    for &byte in &text[..end] {
        let escaped = byte.escape_ascii();
        if quoted.len() + escaped.len() > limits::ERROR_QUOTE_BYTES_MAX {
            break;
        }
        quoted.extend(escaped.map(char::from));
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_short_and_escaped() {
        let error = LineError::new(3, b"m value=\"\x01\n second", 8, Fault::ValueType);
        assert_eq!(error.quote, "\\\"\\x01");
        assert_eq!((error.line, error.column), (3, 9));
        let long = LineError::new(1, &[0xff; 1000], 0, Fault::NotUtf8);
        assert!(long.quote.len() <= limits::ERROR_QUOTE_BYTES_MAX);
        assert!(long.quote.len() >= limits::ERROR_QUOTE_BYTES_MAX - 4);
    }
}
