//! Strings of a JSON body: escapes, and what is not text in them.

use std::borrow::Cow;

use super::{Reader, RequestError};

impl<'a> Reader<'a> {
    /// The string whose opening quote is next.
    ///
    /// Bytes that are not UTF-8 and surrogates without a partner become U+FFFD, one for each byte or escape, as in Go.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, RequestError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.body[self.at..];
            let plain =
                rest.iter().take_while(|&&byte| byte >= b' ' && byte != b'"' && byte != b'\\').count();
            if text.is_empty()
                && rest.get(plain) == Some(&b'"')
                && let Ok(all) = str::from_utf8(&rest[..plain])
            {
                self.at += plain + 1;
                return Ok(all.into());
            }
            push_lossy(&mut text, &rest[..plain]);
            self.at += plain;
            match rest.get(plain) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text.into());
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.syntax("no control character in a string")),
                None => return Err(self.syntax("the end of a string")),
            }
        }
    }

    /// The character of the escape whose backslash is next.
    fn escape(&mut self) -> Result<char, RequestError> {
        self.at += 1;
        let escaped = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.syntax("an escape")),
        };
        self.at += 1;
        Ok(escaped)
    }

    /// The character of one `uXXXX`, or of two that are a surrogate pair.
    fn unicode_escape(&mut self) -> Result<char, RequestError> {
        self.at += 1;
        let Some(first) = self.hex_digits(self.at) else {
            return Err(self.syntax("four hexadecimal digits"));
        };
        self.at += 4;
        if (0xd800..0xdc00).contains(&first)
            && self.body[self.at..].starts_with(b"\\u")
            && let Some(second @ 0xdc00..0xe000) = self.hex_digits(self.at + 2)
        {
            self.at += 6;
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).expect("a surrogate pair is a character"));
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex_digits(&self, start: usize) -> Option<u32> {
        let digits = self.body.get(start..start + 4)?;
        digits.iter().try_fold(0, |code, &digit| Some(code * 16 + char::from(digit).to_digit(16)?))
    }
}

fn push_lossy(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}
