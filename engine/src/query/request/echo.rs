//! How an answer repeats what was asked: strings and queries as JSON, byte for byte as the reference encodes them.

use super::Query;
use crate::query::number::{push_integer, push_statistic};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a string in quotes.
///
/// Besides what JSON demands, `<`, `>`, `&`, U+2028 and U+2029 are escaped, as Go does for HTML's sake.
pub fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0..0x20 | b'<' | b'>' | b'&' => 0,
            // The line and paragraph separators are E2 80 A8 and E2 80 A9.
            0xe2 if matches!(bytes[at..], [_, 0x80, 0xa8 | 0xa9, ..]) => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        if short != 0 {
            out.extend_from_slice(&[b'\\', short]);
        } else if byte == 0xe2 {
            copied = at + 3;
            out.extend_from_slice(b"\\u202");
            out.push(HEX[usize::from(bytes[at + 2] & 0xf)]);
        } else {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Appends a query as an object, as `queries` of an answer lists those that `for-all-nodes` added.
///
/// `type` and `subtype` are left out when absent, the id lists when empty, `scale-by` when 0.
pub fn push_query_echo(out: &mut Vec<u8>, query: &Query) {
    out.push(b'{');
    if let Some(type_name) = &query.type_name {
        out.extend_from_slice(b"\"type\":");
        push_json_string(out, type_name);
        out.push(b',');
    }
    if let Some(subtype) = &query.subtype {
        out.extend_from_slice(b"\"subtype\":");
        push_json_string(out, subtype);
        out.push(b',');
    }
    out.extend_from_slice(b"\"metric\":");
    push_json_string(out, &query.metric);
    out.extend_from_slice(b",\"host\":");
    push_json_string(out, &query.host);
    out.extend_from_slice(b",\"resolution\":");
    push_integer(out, query.resolution);
    push_ids(out, b",\"type-ids\":", &query.type_ids);
    push_ids(out, b",\"subtype-ids\":", &query.subtype_ids);
    if query.scale_by != 0.0 {
        out.extend_from_slice(b",\"scale-by\":");
        push_statistic(out, query.scale_by);
    }
    out.extend_from_slice(b",\"aggreg\":");
    out.extend_from_slice(if query.aggregate { b"true" } else { b"false" });
    out.push(b'}');
}

fn push_ids(out: &mut Vec<u8>, key: &[u8], ids: &[String]) {
    if ids.is_empty() {
        return;
    }
    out.extend_from_slice(key);
    for (index, id) in ids.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        push_json_string(out, id);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json_string(text: &str) -> String {
        let mut out = Vec::new();
        push_json_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    fn echo(query: &Query) -> String {
        let mut out = Vec::new();
        push_query_echo(&mut out, query);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_as_the_reference_does() {
        for (text, expected) in [
            ("", r#""""#),
            ("cpu_user", r#""cpu_user""#),
            ("a\"b\\c/d", r#""a\"b\\c/d""#),
            ("\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}", "\"\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}\""),
            ("<a&b>", r#""\u003ca\u0026b\u003e""#),
            ("\u{2027}\u{2028}\u{2029}\u{202a}", "\"\u{2027}\\u2028\\u2029\u{202a}\""),
            ("é→😀", "\"é→😀\""),
        ] {
            assert_eq!(json_string(text), expected);
        }
    }

    #[test]
    fn leaves_out_what_was_not_given() {
        let mut query = Query { metric: "cpu_user".into(), host: "h0".into(), ..Query::default() };
        assert_eq!(echo(&query), r#"{"metric":"cpu_user","host":"h0","resolution":0,"aggreg":false}"#);
        query.type_name = Some("hwthread".into());
        query.subtype = Some(String::new());
        query.type_ids = vec!["0".into(), "1".into()];
        query.subtype_ids = vec!["a<".into()];
        query.aggregate = true;
        query.resolution = -60;
        query.scale_by = 0.5;
        assert_eq!(
            echo(&query),
            concat!(
                r#"{"type":"hwthread","subtype":"","metric":"cpu_user","host":"h0","resolution":-60,"#,
                r#""type-ids":["0","1"],"subtype-ids":["a\u003c"],"scale-by":0.50,"aggreg":true}"#
            )
        );
    }

    proptest! {
        #[test]
        fn any_string_reads_back(text: String) {
            let back: String = serde_json::from_str(&json_string(&text)).unwrap();
            prop_assert_eq!(back, text);
        }
    }
}
