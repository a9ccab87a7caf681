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
    /// Which of the two names is empty, `.`, too long for a file name, or contains `..`, `/`, `\` or NUL. The cluster may also be
    /// the default of a transport, which [`parse`] has not looked at: it must not hold control characters either.
    pub fn check_names(&self) -> Result<(), UnsafeName> {
        if !is_path_safe(&self.cluster) || has_control_character(self.cluster.as_bytes()) {
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

/// Whether there is a byte of 0 to 31, or 127.
#[must_use]
pub fn has_control_character(text: &[u8]) -> bool {
    // All of them are looked at: then the compiler takes many at a time.
    text.iter().fold(false, |found, byte| found | byte.is_ascii_control())
}

/// Checks a name, or a text of several: UTF-8 without control characters (SPEC section 2).
///
/// # Errors
/// The fault and its byte offset.
pub fn check_text(text: &[u8]) -> Result<&str, (usize, Fault)> {
    if has_control_character(text) {
        let at = text.iter().position(u8::is_ascii_control).unwrap_or_default();
        return Err((at, Fault::ControlCharacter));
    }
    str::from_utf8(text).map_err(|error| (error.valid_up_to(), Fault::NotUtf8))
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
/// Unknown tags are ignored; of a tag that occurs twice the last one counts. `hostname` counts more than its alias `host`,
/// whichever comes first.
///
/// # Errors
/// The fault and its byte offset in `raw`.
pub fn parse<'a>(raw: &'a [u8], cluster_default: &'a str) -> Result<Key<'a>, (usize, Fault)> {
    let text = check_text(raw)?;
    // Mostly it is without backslashes and without faults.
    let tags = match plain_tags(text, cluster_default) {
        Some(tags) => tags,
        None => any_tags(raw, cluster_default)?,
    };
    let Tags { cluster, hostname, host, kind: [kind, id], subkind: [subkind, subid] } = tags;
    // Tags are never empty.
    let host = if hostname.is_empty() { host } else { hostname };
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
    hostname: Cow<'a, str>,
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
        Self { cluster: Cow::Borrowed(cluster_default), hostname: none(), host: none(), kind, subkind }
    }

    #[inline]
    fn named(&mut self, name: &[u8]) -> Option<&mut Cow<'a, str>> {
        Some(match name {
            b"cluster" => &mut self.cluster,
            b"hostname" => &mut self.hostname,
            b"host" => &mut self.host,
            b"type" => &mut self.kind[0],
            b"type-id" => &mut self.kind[1],
            b"stype" => &mut self.subkind[0],
            b"stype-id" => &mut self.subkind[1],
            _ => return None,
        })
    }
}

/// The tags of text without backslashes; `None` if there is one, or a fault, or the text is very short.
fn plain_tags<'a>(text: &'a str, cluster_default: &'a str) -> Option<Tags<'a>> {
    let bytes = text.as_bytes();
    let mut separators = Separators::of(bytes)?;
    let mut tags = Tags::new(cluster_default);
    let mut at = separators.next().unwrap_or(bytes.len());
    // An equals sign in a measurement is one of its letters.
    while bytes.get(at) == Some(&b'=') {
        at = separators.next().unwrap_or(bytes.len());
    }
    while at < bytes.len() {
        let name_at = at + 1;
        let equals = separators.next()?;
        at = separators.next().unwrap_or(bytes.len());
        let is_good = bytes[name_at - 1] == b','
            && bytes[equals] == b'='
            && name_at < equals
            && equals + 1 < at
            && bytes.get(at).is_none_or(|&byte| byte == b',');
        if !is_good {
            return None;
        }
        if let Some(tag) = tags.named(&bytes[name_at..equals]) {
            *tag = Cow::Borrowed(&text[equals + 1..at]);
        }
    }
    Some(tags)
}

/// The places of commas, equals signs and backslashes, eight bytes looked at together: names and values are shorter
/// than what pays for a search with vectors.
struct Separators<'a> {
    bytes: &'a [u8],
    /// Where the bytes looked at begin.
    at: usize,
    /// The highest bit of each of them that is a separator and was not handed on yet.
    found: u64,
}

impl<'a> Separators<'a> {
    /// `None` with fewer than eight bytes.
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let first = bytes.first_chunk().copied().map(u64::from_le_bytes)?;
        Some(Self { bytes, at: 0, found: separators_in(first) })
    }
}

impl Iterator for Separators<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        const WORD: usize = size_of::<u64>();
        while self.found == 0 {
            self.at += WORD;
            let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
            let word = match rest.first_chunk() {
                Some(word) => u64::from_le_bytes(*word),
                // The last eight bytes, without those seen before.
                None => u64::from_le_bytes(*self.bytes.last_chunk()?) >> (8 * (WORD - rest.len())),
            };
            self.found = separators_in(word);
        }
        let place = self.at + self.found.trailing_zeros() as usize / 8;
        self.found &= self.found - 1;
        Some(place)
    }
}

/// The highest bit of each byte that is a separator.
#[inline]
fn separators_in(word: u64) -> u64 {
    const LOW: u64 = u64::MAX / 255 * 0x7f;
    let all = |byte: u8| u64::MAX / 255 * u64::from(byte);
    // The highest bit of each byte that is not zero.
    let other = |difference: u64| ((difference & LOW) + LOW) | difference;
    !(other(word ^ all(b',')) & other(word ^ all(b'=')) & other(word ^ all(b'\\')) | LOW)
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
            ("m,host=a,host=b", "default", "b", None, None),
            ("m,host=agent,hostname=node", "default", "node", None, None),
            ("m,hostname=node,host=agent", "default", "node", None, None),
            ("m,hostname=node,host=a,hostname=node2,host=b", "default", "node2", None, None),
            ("m,hos\\=t=x,hostname=no\\ de,host=agent", "default", "no de", None, None),
            ("m,cluster=a,hostname=h,cluster=b", "b", "h", None, None),
            ("m,hostname=h,type=a,type-id=1,type=b,type-id=2", "default", "h", some("b2"), None),
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

    /// What is read in words and what is read with all care are the same; the texts lie at every place in a word.
    #[test]
    fn plain_tags_are_what_any_tags_are() {
        let parts = [
            "m",
            ",",
            "=",
            "\\",
            "host",
            "hostname=h1",
            ",type=",
            "cluster",
            "é",
            ",type-id=12345678",
            ",unit=F/s",
        ];
        let mut random = 1u64;
        let mut plain = 0;
        for _ in 0..60_000 {
            let mut text = String::from("measurement");
            text.truncate((random >> 40) as usize % 11);
            for _ in 0..random >> 33 & 7 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text += parts[(random >> 33) as usize % parts.len()];
                text += [",host=a", "", ",stype-id=b"][(random >> 50) as usize % 3];
            }
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let list = |tags: Tags<'_>| {
                let Tags { cluster, hostname, host, kind, subkind } = tags;
                [&[cluster, hostname, host][..], &kind, &subkind]
                    .concat()
                    .iter()
                    .map(|tag| tag.to_string())
                    .collect::<Vec<_>>()
            };
            if let Some(tags) = plain_tags(&text, "default") {
                plain += 1;
                assert_eq!(Ok(list(tags)), any_tags(text.as_bytes(), "default").map(list), "{text}");
            } else if text.len() >= 8 && !text.contains('\\') {
                assert!(any_tags(text.as_bytes(), "default").is_err(), "{text}");
            }
        }
        assert!(plain > 5000, "{plain}");
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
    fn every_tag_is_text_also_those_that_are_passed_over() {
        for byte in (0..32).chain([127]) {
            for (raw, at) in [
                ("m,hostname=h?", 12),
                ("m,hostname=?h,cluster=c", 11),
                ("m,cluster=c?,host=h", 11),
                ("m,host=h,type=a?", 15),
                ("m,host=h,type=a,type-id=?1", 24),
                ("m,host=h,unit=?", 14),
                ("m,host=h,un?it=a", 11),
                ("m,host=a\\ ?b", 10),
                ("m?,host=h", 1),
            ] {
                let raw: Vec<u8> = raw.bytes().map(|b| if b == b'?' { byte } else { b }).collect();
                assert_eq!(parse(&raw, ""), Err((at, Fault::ControlCharacter)), "{raw:?}");
            }
        }
        for raw in [&b"m,host=h,unit=\xc3"[..], b"m,host=h,\xff=a", b"\xfe,host=h"] {
            assert!(matches!(parse(raw, ""), Err((_, Fault::NotUtf8))), "{raw:?}");
        }
        assert!(parse("m\u{e4},host=h\u{80},unit=\u{b0}C".as_bytes(), "").is_ok());
    }

    #[test]
    fn a_default_cluster_with_control_characters_is_no_cluster() {
        let key = |default| parse(b"m,host=h", default).unwrap().check_names();
        assert_eq!(key("a\tb"), Err(UnsafeName::Cluster));
        assert_eq!(key("a b"), Ok(()));
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
