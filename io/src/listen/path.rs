//! Paths of requests as they are meant: cleaned as Go's mux does, so that `//api/query`, which comes from a
//! configured URL with a final slash, is `/api/query`.
//!
//! Before it: hyper. After it: the service, which knows a path only in this form, also when it decides who
//! may call. The reference redirects to the clean path; here it is answered at once, which saves clients that
//! do not follow.

use std::borrow::Cow;

use hyper::Uri;
use hyper::http::uri::PathAndQuery;

/// The URI with a clean path; `None` if the path is clean already.
#[must_use]
pub fn cleaned_uri(uri: &Uri) -> Option<Uri> {
    let path = cleaned(uri.path())?;
    let path_and_query = uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

/// The path without repeated slashes and dot segments, and without needless percent signs; `None` if it is
/// that already.
fn cleaned(path: &str) -> Option<String> {
    if !path.starts_with('/') || is_plain(path) {
        return None;
    }
    let mut segments: Vec<Cow<'_, str>> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(decoded(segment)),
        }
    }
    let mut clean = String::with_capacity(path.len());
    for segment in &segments {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() || path.ends_with('/') {
        clean.push('/');
    }
    Some(clean).filter(|clean| clean != path)
}

/// Whether a glance shows that nothing is to be done.
fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    let next = bytes.iter().skip(1).chain(&[0]);
    bytes
        .iter()
        .zip(next)
        .all(|(byte, next)| *byte != b'%' && !(*byte == b'/' && matches!(next, b'/' | b'.')))
}

/// A segment with those of its percent signs resolved that mean a letter, a digit, or one of `-._~`. The
/// others may hide what would be a separator, so they stay: such a path leads nowhere. A segment that would
/// become one of dots stays, too.
fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut plain = String::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                plain.push(char::from(byte));
                rest = &after[2..];
            }
            _ => {
                plain.push('%');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    if plain == "." || plain == ".." { Cow::Borrowed(segment) } else { Cow::Owned(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_does() {
        for (path, expected) in [
            ("//api/query", "/api/query"),
            ("///api//query///", "/api/query/"),
            ("/./api/./query", "/api/query"),
            ("/x/../api/query/", "/api/query/"),
            ("/../../api/query", "/api/query"),
            ("/api/query/.", "/api/query"),
            ("/api/query/x/..", "/api/query"),
            ("/api/query/./", "/api/query/"),
            ("//", "/"),
            ("/..", "/"),
            ("/.", "/"),
            ("/%61pi/quer%79", "/api/query"),
            ("/api/v1/label/%5F%5fname__/values", "/api/v1/label/__name__/values"),
            // These lead nowhere, and stay as they are.
            ("/api%2Fquery", "/api%2Fquery"),
            ("/api%2fquery/..", "/"),
            ("/api/%2e%2e/query", "/api/%2e%2e/query"),
            ("/api/%2E/query", "/api/%2E/query"),
            ("/api/.%2e/query", "/api/.%2e/query"),
            ("/api/%00", "/api/%00"),
            ("/api/%zz%", "/api/%zz%"),
            ("/api/%+1", "/api/%+1"),
            ("/api/%252e", "/api/%252e"),
            ("/api/.hidden/...", "/api/.hidden/..."),
            ("/api/query", "/api/query"),
            ("/api/query/", "/api/query/"),
            ("/", "/"),
            ("*", "*"),
            ("", ""),
        ] {
            let clean = cleaned(path);
            assert_eq!(clean.as_deref().unwrap_or(path), expected, "{path}");
            assert_eq!(clean.is_some(), path != expected, "{path}");
            assert_eq!(cleaned(expected), None, "what is clean stays: {expected}");
        }
    }

    #[test]
    fn the_rest_of_the_uri_stays() {
        for (uri, expected) in [
            ("//api//query?version=v2&x=//", "/api/query?version=v2&x=//"),
            ("http://host:1//api/../api/write/?cluster=c", "http://host:1/api/write/?cluster=c"),
        ] {
            // As hyper makes it of a request line.
            let clean = cleaned_uri(&Uri::try_from(uri).unwrap()).unwrap();
            assert_eq!(clean.to_string(), expected);
        }
        assert_eq!(cleaned_uri(&Uri::from_static("/api/query?a=/../")), None);
        assert_eq!(cleaned_uri(&Uri::from_static("*")), None);
    }
}
