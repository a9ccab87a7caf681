//! A reader of JSON text that moves forward only and copies nothing but names with escapes.
//!
//! Nesting is bounded, so that its recursion is.

use std::borrow::Cow;

use super::super::SnapshotError;
use crate::limits;

/// Deepest nesting within a value that is skipped.
const SKIPPED_DEPTH_MAX: usize = 64;

/// A position in the text; cheap to copy, to look at a part twice.
#[derive(Clone, Debug)]
pub(super) struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The error for something else standing here.
    pub(super) fn expected(&self, expected: &'static str) -> SnapshotError {
        SnapshotError::Json { at: self.at.min(self.text.len()), expected }
    }

    /// The next byte that is not white space, without taking it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn take_null(&mut self) -> bool {
        let found = self.peek().is_some() && self.text[self.at..].starts_with(b"null");
        self.at += if found { 4 } else { 0 };
        found
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), SnapshotError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(SnapshotError::TrailingBytes { at: self.at, left: self.text.len() - self.at }),
        }
    }

    /// Reads an object: `read` is called with each key, standing before its value, and takes exactly that value.
    /// `null` has no keys.
    pub(super) fn object(
        &mut self,
        what: &'static str,
        mut read: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        if self.take_null() {
            return Ok(());
        }
        if !self.take(b'{') {
            return Err(self.expected(what));
        }
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            if !self.take(b':') {
                return Err(self.expected("':' behind a key"));
            }
            read(self, key)?;
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.expected("',' or '}' in an object"));
            }
        }
    }

    /// Reads a list: `read` takes exactly one item. `null` has no items.
    pub(super) fn list(
        &mut self,
        what: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        if self.take_null() {
            return Ok(());
        }
        if !self.take(b'[') {
            return Err(self.expected(what));
        }
        if self.take(b']') {
            return Ok(());
        }
        loop {
            read(self)?;
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.expected("',' or ']' in a list"));
            }
        }
    }

    /// A string. Only one with escapes is copied.
    fn string(&mut self) -> Result<Cow<'a, str>, SnapshotError> {
        if !self.take(b'"') {
            return Err(self.expected("a name in quotes"));
        }
        let begin = self.at;
        let mut escaped = false;
        loop {
            match self.text.get(self.at) {
                None | Some(0..0x20) => return Err(self.expected("the quote that ends a name")),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
            }
        }
        let (plain, at) = (&self.text[begin..self.at], begin);
        self.at += 1;
        if escaped {
            let quoted = &self.text[begin - 1..self.at];
            let text = serde_json::from_slice(quoted);
            return text
                .map(Cow::Owned)
                .map_err(|_| SnapshotError::Json { at, expected: "a name in UTF-8 with valid escapes" });
        }
        let text = std::str::from_utf8(plain);
        text.map(Cow::Borrowed).map_err(|_| SnapshotError::Json { at, expected: "a name in UTF-8" })
    }

    /// The text of a number, checked against the grammar of JSON.
    fn number_text(&mut self, what: &'static str) -> Result<&'a str, SnapshotError> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.expected(what));
        }
        let begin = self.at;
        self.at += usize::from(self.text[self.at] == b'-');
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        std::str::from_utf8(&self.text[begin..self.at]).map_err(|_| self.expected(what))
    }

    fn digits(&mut self) -> Result<(), SnapshotError> {
        let begin = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == begin { Err(self.expected("a digit")) } else { Ok(()) }
    }

    /// A whole number; `null` is 0, as it is for the reference.
    pub(super) fn integer(&mut self, what: &'static str) -> Result<i64, SnapshotError> {
        if self.take_null() {
            return Ok(0);
        }
        let begin = self.peek().map_or(self.text.len(), |_| self.at);
        self.number_text(what)?.parse().map_err(|_| SnapshotError::Json { at: begin, expected: what })
    }

    /// A value of a series; `null` is NaN.
    pub(super) fn value(&mut self) -> Result<f32, SnapshotError> {
        if self.take_null() {
            return Ok(f32::NAN);
        }
        let begin = self.peek().map_or(self.text.len(), |_| self.at);
        let expected = "a finite number or null";
        let number = self.number_text(expected)?;
        // Rounded once, from the decimal; infinite only if it is a double that no `f32` can hold.
        let value = number.parse().ok().filter(|value: &f32| {
            value.is_finite() || number.parse().is_ok_and(|double: f64| double.is_finite())
        });
        value.ok_or(SnapshotError::Json { at: begin, expected })
    }

    /// Moves behind the comma that stands here, if one does.
    pub(super) fn skip_comma(&mut self) {
        self.take(b',');
    }

    /// Moves behind a value of any kind.
    pub(super) fn skip(&mut self) -> Result<(), SnapshotError> {
        self.skip_within(SKIPPED_DEPTH_MAX)
    }

    fn skip_within(&mut self, depth_left: usize) -> Result<(), SnapshotError> {
        let Some(deeper) = depth_left.checked_sub(1) else {
            return Err(SnapshotError::TooDeep { at: self.at });
        };
        match self.peek() {
            Some(b'{') => self.object("an object", |scan, _| scan.skip_within(deeper)),
            Some(b'[') => self.list("a list", |scan| scan.skip_within(deeper)),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number_text("a number").map(drop),
            _ => {
                let rest = &self.text[self.at..];
                let word = [&b"null"[..], b"true", b"false"].into_iter().find(|word| rest.starts_with(word));
                self.at += word.ok_or_else(|| self.expected("a value"))?.len();
                Ok(())
            }
        }
    }
}

// A level opens two objects; all of them, and what is skipped in the deepest, recurse.
const _: () = assert!(2 * limits::SNAPSHOT_DEPTH_MAX + SKIPPED_DEPTH_MAX <= 128);
