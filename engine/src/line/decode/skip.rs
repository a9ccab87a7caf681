//! Parts of lines that are looked at without being read: empty lines, comments, lines of metrics that are not configured.

use super::{OpenQuote, key};
use crate::limits;
use crate::line::error::Fault;

/// A line within one chunk is not allowed to be longer than one that crosses a border.
#[inline]
pub(super) fn check_length(line_with_newline: usize) -> Result<(), (usize, Fault)> {
    if line_with_newline > limits::LINE_BYTES_MAX + 1 { Err((0, Fault::TooLong)) } else { Ok(()) }
}

/// The name of a metric that is not configured must be text as well; most are plain.
#[inline]
pub(super) fn check_name(name: &[u8]) -> Result<(), (usize, Fault)> {
    let is_plain = name.iter().fold(true, |plain, byte| plain & (b' '..=b'~').contains(byte));
    if is_plain { Ok(()) } else { key::check_text(name).map(drop) }
}

/// Why no `value=` stands at the start of `text`.
#[cold]
pub(super) fn field_fault(text: &[u8]) -> Fault {
    match text {
        [] | [b'\n', ..] | [b'\r', b'\n', ..] => Fault::FieldMissing,
        _ => {
            let length =
                text.iter().position(|byte| matches!(byte, b'=' | b' ' | b'\n')).unwrap_or(text.len());
            if text.get(length) == Some(&b'=') { Fault::FieldName } else { Fault::FieldMissing }
        }
    }
}

/// The length of an empty line or a comment.
pub(super) fn blank(text: &[u8]) -> Option<usize> {
    match text {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        [b'#', ..] => Some(newline_end(text)),
        _ => None,
    }
}

/// Where the next line begins, if this one ends at its first newline.
fn newline_end(text: &[u8]) -> usize {
    memchr::memchr(b'\n', text).map_or(text.len(), |newline| newline + 1)
}

/// Where the next line begins, for a line that is not looked at. `None`: behind `text`.
///
/// Newlines may stand in quoted strings, as in log messages that share the bus with the metrics.
#[inline]
pub(super) fn skip_line(text: &[u8], open_quote: OpenQuote) -> Option<usize> {
    let end = newline_end(text);
    if memchr::memchr(b'"', &text[..end]).is_none() {
        return Some(end);
    }
    skip_quoted(text, end, open_quote)
}

fn skip_quoted(text: &[u8], first_end: usize, open_quote: OpenQuote) -> Option<usize> {
    let mut quoted = false;
    let mut at = key::key_length(text);
    while let Some(found) = memchr::memchr3(b'"', b'\\', b'\n', &text[at..]) {
        at += found;
        match text[at] {
            b'"' => quoted = !quoted,
            b'\\' if quoted => at += 1,
            b'\n' if !quoted => return Some(at + 1),
            _ => {}
        }
        at += 1;
        if at >= text.len() {
            break;
        }
    }
    match open_quote {
        OpenQuote::Wait => None,
        OpenQuote::EndLine => Some(first_end),
    }
}
