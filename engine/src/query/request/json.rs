//! A JSON reader that takes what Go's decoder takes, for the bodies of requests.
//!
//! It reads forward only, straight into the fields that are asked for. Nothing in it recurses with the input, so
//! nesting costs a bounded list and never the stack. serde_json is not used here because it differs where users can
//! notice: it refuses bytes that are not UTF-8, duplicate fields and `-0`, and rounds some decimals to the wrong double.

mod string;

use std::borrow::Cow;

use crate::limits::REQUEST_ELEMENTS_MAX;

/// Deepest nesting of arrays and objects, the bound of Go's decoder.
const DEPTH_MAX: usize = 10_000;
/// How much of an unknown field's name an error quotes.
const ERROR_FIELD_CHARS_MAX: usize = 64;

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not JSON.
    #[error("byte {offset} of the body: expected {expected}")]
    Syntax {
        /// Where, counted from 0; the length of the body if it ends too early.
        offset: usize,
        /// What should have stood there.
        expected: &'static str,
    },
    /// A value of another type than the field has.
    #[error("byte {offset} of the body: {field} must be {expected}")]
    WrongType {
        /// Where the value begins.
        offset: usize,
        /// The field.
        field: &'static str,
        /// The type it has.
        expected: &'static str,
    },
    /// Arrays in arrays in arrays.
    #[error("byte {offset} of the body: nested deeper than {DEPTH_MAX}")]
    TooDeep {
        /// Where it became too deep.
        offset: usize,
    },
    /// Each element takes a multiple of its bytes in the body.
    #[error(
        "byte {offset} of the body: its lists have more than {REQUEST_ELEMENTS_MAX} elements, ask for less at once"
    )]
    TooMany {
        /// Where there were too many.
        offset: usize,
    },
    /// A field that the call does not have.
    #[error("unknown field {field:?}")]
    UnknownField {
        /// Its name, shortened.
        field: String,
    },
}

impl RequestError {
    pub(super) fn unknown_field(field: &str) -> Self {
        Self::UnknownField { field: field.chars().take(ERROR_FIELD_CHARS_MAX).collect() }
    }
}

/// How far an object or a list has been read.
pub(super) struct Items {
    /// The bracket that ends it; 0 if it was `null` and has none.
    close: u8,
    any_read: bool,
}

/// A position in a body.
pub(super) struct Reader<'a> {
    body: &'a [u8],
    at: usize,
    /// Elements that its lists may still have, all together.
    elements_left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0, elements_left: REQUEST_ELEMENTS_MAX }
    }

    /// Opens an object, to be read with [`Self::next_key`]; `null` has no fields.
    pub(super) fn object(&mut self, field: &'static str) -> Result<Items, RequestError> {
        if self.take_null()? {
            return Ok(Items { close: 0, any_read: false });
        }
        self.expect_type(b'{', field, "an object")?;
        self.at += 1;
        Ok(Items { close: b'}', any_read: false })
    }

    /// The next field's name in lower case (names are the same in either), standing before its value, or none at the end of the object.
    pub(super) fn next_key(&mut self, fields: &mut Items) -> Result<Option<Cow<'a, str>>, RequestError> {
        if !self.next_item(fields)? {
            return Ok(None);
        }
        let mut key = self.key()?;
        if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            key.to_mut().make_ascii_lowercase();
        }
        Ok(Some(key))
    }

    /// A list read item by item, or none for `null`. `read` must take exactly one value.
    pub(super) fn list<T>(
        &mut self,
        field: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T, RequestError>,
    ) -> Result<Option<Vec<T>>, RequestError> {
        if self.take_null()? {
            return Ok(None);
        }
        self.expect_type(b'[', field, "a list")?;
        self.at += 1;
        let mut items = Items { close: b']', any_read: false };
        let mut list = Vec::new();
        while self.next_item(&mut items)? {
            self.elements_left =
                self.elements_left.checked_sub(1).ok_or(RequestError::TooMany { offset: self.at })?;
            list.push(read(self)?);
        }
        Ok(Some(list))
    }

    /// A list of strings, or none for `null`; a `null` in it is an empty string.
    pub(super) fn string_list(&mut self, field: &'static str) -> Result<Option<Vec<String>>, RequestError> {
        self.list(field, |reader| Ok(reader.optional_string(field)?.unwrap_or_default()))
    }

    /// A string, or none for `null`.
    pub(super) fn optional_string(&mut self, field: &'static str) -> Result<Option<String>, RequestError> {
        if self.take_null()? {
            return Ok(None);
        }
        self.expect_type(b'"', field, "a string")?;
        Ok(Some(self.string()?.into_owned()))
    }

    /// A number, or none for `null`. It must be a finite double.
    pub(super) fn optional_float(&mut self, field: &'static str) -> Result<Option<f64>, RequestError> {
        if self.take_null()? {
            return Ok(None);
        }
        let wrong_type = RequestError::WrongType { offset: self.at, field, expected: "a finite number" };
        let number = self.number_text(&wrong_type)?.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Some).ok_or(wrong_type)
    }

    /// Replaces `target` by a string; `null` leaves it.
    pub(super) fn update_string(
        &mut self,
        field: &'static str,
        target: &mut String,
    ) -> Result<(), RequestError> {
        if let Some(text) = self.optional_string(field)? {
            *target = text;
        }
        Ok(())
    }

    /// Replaces `target` by a number written as a whole number; `null` leaves it.
    pub(super) fn update_integer(
        &mut self,
        field: &'static str,
        target: &mut i64,
    ) -> Result<(), RequestError> {
        if self.take_null()? {
            return Ok(());
        }
        let wrong_type =
            RequestError::WrongType { offset: self.at, field, expected: "a 64-bit whole number" };
        *target = self.number_text(&wrong_type)?.parse().map_err(|_| wrong_type)?;
        Ok(())
    }

    /// Replaces `target` by `true` or `false`; `null` leaves it.
    pub(super) fn update_bool(&mut self, field: &'static str, target: &mut bool) -> Result<(), RequestError> {
        if self.take_null()? {
            return Ok(());
        }
        *target = match self.peek() {
            Some(b't') => self.literal(b"true").map(|()| true)?,
            Some(b'f') => self.literal(b"false").map(|()| false)?,
            _ => return Err(RequestError::WrongType { offset: self.at, field, expected: "true or false" }),
        };
        Ok(())
    }

    /// Reads over one value of any type and depth, checking that it is JSON.
    pub(super) fn skip_value(&mut self) -> Result<(), RequestError> {
        let mut open: Vec<Items> = Vec::new();
        loop {
            match self.peek_value()? {
                bracket @ (b'{' | b'[') => {
                    if open.len() >= DEPTH_MAX {
                        return Err(RequestError::TooDeep { offset: self.at });
                    }
                    self.at += 1;
                    let close = if bracket == b'{' { b'}' } else { b']' };
                    open.push(Items { close, any_read: false });
                }
                b'"' => drop(self.string()?),
                b'n' => self.literal(b"null")?,
                b't' => self.literal(b"true")?,
                b'f' => self.literal(b"false")?,
                _ => drop(self.number_text(&self.syntax("a value"))?),
            }
            // On to the next value: out of everything that ends here.
            loop {
                let Some(innermost) = open.last_mut() else { return Ok(()) };
                if self.next_item(innermost)? {
                    if innermost.close == b'}' {
                        self.key()?;
                    }
                    break;
                }
                open.pop();
            }
        }
    }

    /// Moves to the next item of an object or a list; false when it is over, which takes the bracket.
    fn next_item(&mut self, items: &mut Items) -> Result<bool, RequestError> {
        if items.close == 0 {
            return Ok(false);
        }
        self.skip_space();
        let next = self.peek();
        if next == Some(items.close) {
            self.at += 1;
            return Ok(false);
        }
        if items.any_read {
            if next != Some(b',') {
                return Err(self.syntax("a comma or the closing bracket"));
            }
            self.at += 1;
            self.skip_space();
        }
        items.any_read = true;
        Ok(true)
    }

    /// A name and the colon after it.
    fn key(&mut self) -> Result<Cow<'a, str>, RequestError> {
        if self.peek() != Some(b'"') {
            return Err(self.syntax("a field name in double quotes"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.syntax("a colon"));
        }
        self.at += 1;
        Ok(key)
    }

    /// Whether a `null` stood here; it is taken then.
    fn take_null(&mut self) -> Result<bool, RequestError> {
        if self.peek_value()? != b'n' {
            return Ok(false);
        }
        self.literal(b"null")?;
        Ok(true)
    }

    fn expect_type(
        &self,
        first: u8,
        field: &'static str,
        expected: &'static str,
    ) -> Result<(), RequestError> {
        if self.peek() == Some(first) {
            return Ok(());
        }
        Err(RequestError::WrongType { offset: self.at, field, expected })
    }

    /// The text of a number by JSON's grammar; `otherwise` is the error if none begins here.
    fn number_text(&mut self, otherwise: &RequestError) -> Result<&'a str, RequestError> {
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(otherwise.clone());
        }
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        // No digit may follow a leading zero; it fails where a comma or a bracket is due.
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(str::from_utf8(&self.body[start..self.at]).expect("digits, signs, point and e are ASCII"))
    }

    fn digits(&mut self) -> Result<(), RequestError> {
        let len = self.body[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return Err(self.syntax("a digit"));
        }
        self.at += len;
        Ok(())
    }

    fn literal(&mut self, literal: &'static [u8]) -> Result<(), RequestError> {
        if !self.body[self.at..].starts_with(literal) {
            return Err(self.syntax("null, true or false"));
        }
        self.at += literal.len();
        Ok(())
    }

    /// The first byte of the value that comes next.
    fn peek_value(&mut self) -> Result<u8, RequestError> {
        self.skip_space();
        self.peek().ok_or_else(|| self.syntax("a value"))
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn syntax(&self, expected: &'static str) -> RequestError {
        RequestError::Syntax { offset: self.at, expected }
    }
}
