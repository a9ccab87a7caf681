//! Measurement and tags of a line that was not seen before: what series is it?
//!
//! This is the slow path. Its result is remembered under the raw bytes, so that a repeated line never
//! comes here.

use std::borrow::Cow;

use super::error::Fault;
use crate::limits;

/// The series a line belongs to, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The `cluster` tag or the transport's default.
    pub cluster: Cow<'a, str>,
    /// The `hostname` (or `host`) tag; empty if there is none.
    pub host: Cow<'a, str>,
    /// `type` ‖ `type-id`, if the series is below the host's level.
    pub scope: Option<Scope<'a>>,
    /// `stype` ‖ `stype-id`, if there is one below that.
    pub subscope: Option<Scope<'a>>,
}

/// The name of a level below a host: both parts, one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The tag `type` or `stype`.
    pub kind: Cow<'a, str>,
    /// The tag `type-id` or `stype-id`.
    pub id: Cow<'a, str>,
}

impl Scope<'_> {
    /// Bytes of both parts.
    fn len(&self) -> usize {
        self.kind.len() + self.id.len()
    }
}

/// A cluster or host that can never become a path (SPEC section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsafeName {
    /// The cluster.
    Cluster,
    /// The host.
    Host,
}

impl Key<'_> {
    /// Checks what becomes the name of a directory.
    ///
    /// # Errors
    /// Which of the two names is empty, `.`, too long for a file name, or contains `..`, `/`, `\` or NUL.
    pub fn check_names(&self) -> Result<(), UnsafeName> {
        if !is_path_safe(&self.cluster) {
            return Err(UnsafeName::Cluster);
        }
        if !is_path_safe(&self.host) {
            return Err(UnsafeName::Host);
        }
        Ok(())
    }
}

/// Whether a name may become a directory.
#[must_use]
pub fn is_path_safe(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= limits::PATH_NAME_BYTES_MAX
        && name != "."
        && !name.contains("..")
        && !name.bytes().any(|byte| matches!(byte, b'/' | b'\\' | 0))
}

/// Where the measurement name ends: at the first unescaped comma or space.
#[must_use]
pub fn measurement_length(text: &[u8]) -> usize {
    unescaped(text, memchr::memchr3_iter(b',', b' ', b'\n', text)).unwrap_or(text.len())
}

/// Where measurement and tags end: at the first unescaped space, or at the end of the line.
#[must_use]
pub fn key_length(text: &[u8]) -> usize {
    unescaped(text, memchr::memchr2_iter(b' ', b'\n', text)).unwrap_or(text.len())
}

/// The first comma or equals sign that no backslash precedes.
fn separator(text: &[u8]) -> Option<usize> {
    unescaped(text, memchr::memchr2_iter(b',', b'=', text))
}

/// The first of the places found that no backslash precedes.
///
/// A backslash escapes exactly the byte behind it, and only if that byte is special; so `\\ ` is a
/// backslash and an escaped space. Newlines cannot be escaped.
#[inline]
fn unescaped(text: &[u8], mut found: impl Iterator<Item = usize>) -> Option<usize> {
    found.find(|&at| at == 0 || text[at - 1] != b'\\' || text[at] == b'\n')
}

/// Takes the backslashes off escaped `,`, ` ` and, in tags, `=`.
fn unescape(text: &[u8], equals: bool) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, text.get(at + 1)) {
            (b'\\', Some(&next)) if matches!(next, b',' | b' ') || (equals && next == b'=') => {
                plain.push(next);
                at += 2;
            }
            _ => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    Cow::Owned(plain)
}

/// The measurement name without its backslashes.
#[must_use]
pub fn measurement(raw: &[u8]) -> Cow<'_, [u8]> {
    unescape(raw, false)
}

/// Reads the tags of `raw` (measurement and tags, up to the first unescaped space).
///
/// Unknown tags are ignored; of a tag that occurs twice the last one counts.
///
/// # Errors
/// The fault and its byte offset in `raw`.
pub fn parse<'a>(raw: &'a [u8], cluster_default: &'a str) -> Result<Key<'a>, (usize, Fault)> {
    // Mostly all of it is text without backslashes and without faults.
    let plain = str::from_utf8(raw).ok().filter(|_| memchr::memchr(b'\\', raw).is_none());
    let tags = match plain.and_then(|plain| plain_tags(plain, cluster_default)) {
        Some(tags) => tags,
        None => any_tags(raw, cluster_default)?,
    };
    let Tags { cluster, host, kind: [kind, id], subkind: [subkind, subid] } = tags;
    let scope = (kind != "node").then_some(Scope { kind, id }).filter(|scope| scope.len() > 0);
    let subscope = Scope { kind: subkind, id: subid };
    let subscope = (scope.is_some() && subscope.len() > 0).then_some(subscope);
    if [&scope, &subscope].into_iter().flatten().any(|part| part.len() > limits::SELECTOR_PART_BYTES_MAX) {
        return Err((0, Fault::SelectorTooLong));
    }
    Ok(Key { cluster, host, scope, subscope })
}

/// The tags that count.
struct Tags<'a> {
    cluster: Cow<'a, str>,
    host: Cow<'a, str>,
    /// `type`, `type-id`.
    kind: [Cow<'a, str>; 2],
    /// `stype`, `stype-id`.
    subkind: [Cow<'a, str>; 2],
}

impl<'a> Tags<'a> {
    fn new(cluster_default: &'a str) -> Self {
        let none = || Cow::Borrowed("");
        let (kind, subkind) = ([none(), none()], [none(), none()]);
        Self { cluster: Cow::Borrowed(cluster_default), host: none(), kind, subkind }
    }

    #[inline]
    fn named(&mut self, name: &[u8]) -> Option<&mut Cow<'a, str>> {
        Some(match name {
            b"cluster" => &mut self.cluster,
            b"hostname" | b"host" => &mut self.host,
            b"type" => &mut self.kind[0],
            b"type-id" => &mut self.kind[1],
            b"stype" => &mut self.subkind[0],
            b"stype-id" => &mut self.subkind[1],
            _ => return None,
        })
    }
}

/// The tags of text without backslashes; `None` if there is a fault in it.
fn plain_tags<'a>(text: &'a str, cluster_default: &'a str) -> Option<Tags<'a>> {
    let bytes = text.as_bytes();
    // Names and values are short: a loop finds their ends before a search of many bytes at once has begun.
    let end = |from: usize| {
        bytes[from..]
            .iter()
            .position(|&byte| byte == b',' || byte == b'=')
            .map_or(bytes.len(), |length| from + length)
    };
    let mut tags = Tags::new(cluster_default);
    let mut at = bytes.iter().position(|&byte| matches!(byte, b',' | b' ' | b'\n')).unwrap_or(bytes.len());
    while at < bytes.len() {
        let name_at = at + 1;
        let equals = end(name_at);
        if bytes.get(equals) != Some(&b'=') {
            return None;
        }
        at = end(equals + 1);
        if equals == name_at || at == equals + 1 || bytes.get(at) == Some(&b'=') {
            return None;
        }
        if let Some(tag) = tags.named(&bytes[name_at..equals]) {
            *tag = Cow::Borrowed(&text[equals + 1..at]);
        }
    }
    Some(tags)
}

/// The tags of any text.
fn any_tags<'a>(raw: &'a [u8], cluster_default: &'a str) -> Result<Tags<'a>, (usize, Fault)> {
    let mut tags = Tags::new(cluster_default);
    let mut at = measurement_length(raw);
    while at < raw.len() {
        // `at` is on the comma before a tag.
        at += 1;
        if at == raw.len() {
            return Err((at, Fault::TagMissing));
        }
        let name_at = at;
        let equals = separator(&raw[at..]).map(|length| at + length).filter(|&at| raw[at] == b'=');
        let equals = equals.ok_or((name_at, Fault::TagEqualsMissing))?;
        let value_at = equals + 1;
        at = separator(&raw[value_at..]).map_or(raw.len(), |length| value_at + length);
        if equals == name_at {
            return Err((name_at, Fault::TagEmpty));
        }
        if raw.get(at) == Some(&b'=') {
            return Err((at, Fault::TagEqualsUnescaped));
        }
        if at == value_at {
            return Err((value_at, Fault::TagEmpty));
        }
        if let Some(tag) = tags.named(&unescape(&raw[name_at..equals], true)) {
            *tag = text(unescape(&raw[value_at..at], true)).ok_or((value_at, Fault::NotUtf8))?;
        }
    }
    Ok(tags)
}

fn text(bytes: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    Some(match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Names = (String, String, Option<String>, Option<String>);

    fn joined(scope: Option<Scope<'_>>) -> Option<String> {
        scope.map(|scope| format!("{}{}", scope.kind, scope.id))
    }

    fn names(raw: &str) -> Result<Names, (usize, Fault)> {
        parse(raw.as_bytes(), "default").map(|key| {
            (key.cluster.into_owned(), key.host.into_owned(), joined(key.scope), joined(key.subscope))
        })
    }

    #[test]
    fn tags_in_any_order() {
        let some = |text: &str| Some(text.to_owned());
        for (raw, cluster, host, scope, subscope) in [
            ("m", "default", "", None, None),
            ("m,hostname=h", "default", "h", None, None),
            ("m,host=h,cluster=c", "c", "h", None, None),
            ("m,hostname=h,type=node", "default", "h", None, None),
            ("m,hostname=h,type=node,type-id=3", "default", "h", None, None),
            ("m,type-id=3,unit=a,type=cpu,hostname=h", "default", "h", some("cpu3"), None),
            (
                "m,hostname=h,type=socket,type-id=0,stype=memctrl,stype-id=1",
                "default",
                "h",
                some("socket0"),
                some("memctrl1"),
            ),
            (
                "m,stype-id=1,stype=memctrl,type=socket,hostname=h",
                "default",
                "h",
                some("socket"),
                some("memctrl1"),
            ),
            ("m,hostname=h,stype=memctrl,stype-id=1", "default", "h", None, None),
            ("m,hostname=h,type=node,stype=memctrl,stype-id=1", "default", "h", None, None),
            ("m,hostname=a,hostname=b", "default", "b", None, None),
            ("m,hostname=h\\ 2", "default", "h 2", None, None),
            ("m,hostname=h\\,3", "default", "h,3", None, None),
            ("m,hostname=h\\=4", "default", "h=4", None, None),
            ("m,hostname=a\\b", "default", "a\\b", None, None),
            ("m,hos\\ t=x,host=y", "default", "y", None, None),
            ("m\\,x,host=y", "default", "y", None, None),
        ] {
            assert_eq!(names(raw), Ok((cluster.into(), host.into(), scope, subscope)), "{raw}");
        }
    }

    #[test]
    fn bad_tags_say_where() {
        for (raw, at, fault) in [
            ("m,", 2, Fault::TagMissing),
            ("m,a=b,", 6, Fault::TagMissing),
            ("m,a", 2, Fault::TagEqualsMissing),
            ("m,,a=b", 2, Fault::TagEqualsMissing),
            ("m,=b", 2, Fault::TagEmpty),
            ("m,a=", 4, Fault::TagEmpty),
            ("m,a=,b=c", 4, Fault::TagEmpty),
            ("m,a=b=c", 5, Fault::TagEqualsUnescaped),
        ] {
            assert_eq!(names(raw), Err((at, fault)), "{raw}");
        }
        assert_eq!(parse(b"m,host=\xff", ""), Err((7, Fault::NotUtf8)));
    }

    #[test]
    fn names_that_cannot_be_paths() {
        for name in ["", ".", "..", "a..b", "../x", "a/b", "a\\b", "a\0", &"x".repeat(256)] {
            assert!(!is_path_safe(name), "{name:?}");
        }
        for name in ["a", "a.b", ".a", "h 2", "h,3", "\u{e4}", &"x".repeat(255)] {
            assert!(is_path_safe(name), "{name:?}");
        }
    }

    #[test]
    fn ends_of_parts() {
        assert_eq!(measurement_length(b"a\\,b,c=d e"), 4);
        assert_eq!(key_length(b"a\\,b,c=d e"), 8);
        assert_eq!(key_length(b"a,c=d\\ e f"), 8);
        assert_eq!(key_length(b"a,c=d\\\nf g"), 6);
    }
}
