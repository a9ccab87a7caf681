//! Lines of clients whose fields are metrics: `cpu,host=h usage_user=1,usage_idle=99` (a [`Dialect`](super::Dialect)).
//!
//! A field is looked up under the key that a line of its own would have, so both mean the same series. Such a line
//! costs a hash a field; it is not predicted.

use super::{Found, OpenQuote, Walk, blank, check_length, check_name, key, shape, skip_line, value};
use crate::config::MetricId;
use crate::limits;
use crate::line::error::Fault;
use crate::series::table::Target;

/// What a field holds.
pub(super) enum Content {
    Number(f64),
    /// A string or boolean.
    Other,
}

/// The samples of a line wait here for its time.
type Values = Vec<(Target, f64)>;

impl Walk<'_> {
    /// Reads a line of any number of fields.
    ///
    /// Returns where the next line begins; `None` if this one goes on behind the region.
    #[inline(never)]
    pub(super) fn line_of_fields(
        &mut self,
        rest: &[u8],
        open_quote: OpenQuote,
    ) -> Result<Option<usize>, (usize, Fault)> {
        let indent = rest.iter().take_while(|&&byte| byte == b' ').count();
        let text = &rest[indent..];
        if let Some(length) = blank(text) {
            shape::check_comment(&text[..length]).map_err(|(offset, fault)| (indent + offset, fault))?;
            return Ok(Some(indent + length));
        }
        if text.first() == Some(&b',') {
            return Err((indent, Fault::MeasurementMissing));
        }
        // Strings may hold newlines.
        let Some(end) = skip_line(text, open_quote) else { return Ok(None) };
        check_length(indent + end)?;
        let end = self.fields_and_time(&text[..end]).map_err(|(offset, fault)| (indent + offset, fault))?;
        Ok(Some(indent + end))
    }

    /// Reads a line that begins with its measurement; returns where it ends.
    fn fields_and_time(&mut self, line: &[u8]) -> Result<usize, (usize, Fault)> {
        let key_length = key::key_length(line);
        check_name(&line[..key::measurement_length(line)])?;
        let mut at = key_length + line[key_length..].iter().take_while(|&&byte| byte == b' ').count();
        let (mut values, mut key, mut keys_bytes) = (Values::new(), Vec::new(), 0);
        loop {
            let name_length = name_length(&line[at..]).ok_or((at, Fault::FieldMissing))?;
            let name = &line[at..at + name_length];
            at += name_length + 1;
            let (content, length) = content(&line[at..]).map_err(|fault| (at, fault))?;
            at += length;
            if let Content::Number(value) = content {
                let added = push_key(&mut key, &line[..key_length], name);
                keys_bytes += key.len();
                if keys_bytes > limits::FIELD_KEYS_BYTES_MAX {
                    return Err((at, Fault::FieldsTooMany));
                }
                if let Some(target) = self.target_of_field(&key).map_err(|(offset, fault)| {
                    // The place in the line: tags come behind what was added.
                    (offset.saturating_sub(added), fault)
                })? {
                    values.push((target, value));
                }
            }
            if line.get(at) != Some(&b',') {
                break;
            }
            at += 1;
        }
        let (time, end) = self.time(line, at)?;
        for (target, value) in values {
            self.sample(target, time, value);
        }
        Ok(end)
    }

    /// Where the samples of this key go; `None`, counted, if they are not wanted.
    fn target_of_field(&mut self, key: &[u8]) -> Result<Option<Target>, (usize, Fault)> {
        let Some(metric) = self.metric_of(key) else {
            check_name(&key[..key::measurement_length(key)])?;
            self.counts.unconfigured += 1;
            return Ok(None);
        };
        let found = match self.router.contexts[self.context.index()].table.find(key) {
            Ok(target) => Found::Target(target),
            Err(absent) => self.declare(key, absent, metric)?,
        };
        match found {
            Found::Target(target) => return Ok(Some(target)),
            Found::Unsafe(name) => {
                self.counts.unsafe_names += 1;
                self.counts.first_unsafe.get_or_insert(name);
            }
            Found::BeyondLimit => self.counts.beyond_limit += 1,
        }
        Ok(None)
    }

    fn metric_of(&self, key: &[u8]) -> Option<MetricId> {
        self.router.metrics.find(&key::measurement(&key[..key::measurement_length(key)]))
    }
}

/// Makes the key of a field; returns how many bytes it has more than that of its line.
fn push_key(key: &mut Vec<u8>, line_key: &[u8], field: &[u8]) -> usize {
    key.clear();
    if field == b"value" {
        key.extend_from_slice(line_key);
        return 0;
    }
    let (measurement, tags) = line_key.split_at(key::measurement_length(line_key));
    key.extend_from_slice(measurement);
    key.push(b'_');
    let mut rest = field;
    while let Some(backslash) = memchr::memchr(b'\\', rest) {
        // In a measurement, an equals sign needs no backslash, and has none.
        let skipped = usize::from(rest.get(backslash + 1) == Some(&b'='));
        key.extend_from_slice(&rest[..backslash]);
        key.extend_from_slice(&rest[backslash + skipped..=backslash + skipped]);
        rest = &rest[backslash + 1 + skipped..];
    }
    key.extend_from_slice(rest);
    key.extend_from_slice(tags);
    key.len() - line_key.len()
}

/// The length of the field name at the start of `text`, if there is one and `=` follows.
pub(super) fn name_length(text: &[u8]) -> Option<usize> {
    let is_end = |at: usize| match text[at] {
        b'\n' => true,
        b'=' | b',' | b' ' => at == 0 || text[at - 1] != b'\\',
        _ => false,
    };
    let length = (0..text.len()).find(|&at| is_end(at))?;
    (length > 0 && text[length] == b'=').then_some(length)
}

/// Reads the content of a field at the start of `text`, which ends with a newline; and how many bytes it takes.
pub(super) fn content(text: &[u8]) -> Result<(Content, usize), Fault> {
    if text.first() == Some(&b'"') {
        return string_length(text).map(|length| (Content::Other, length)).ok_or(Fault::ValueSyntax);
    }
    let end = text.iter().position(|byte| matches!(byte, b',' | b' ' | b'\n' | b'\r')).unwrap_or(text.len());
    match &text[..end] {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" | b"f" | b"F" | b"false" | b"False" | b"FALSE" => {
            Ok((Content::Other, end))
        }
        _ => value::parse(text).map(|(value, length)| (Content::Number(value), length)),
    }
}

/// The length of a quoted string, quotes included; `None` if it is not closed.
fn string_length(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests;
