//! Whether a line of a metric that is not configured is line protocol at all: looked at until a stream has shown such a line.
//!
//! What a sender of JSON or Graphite's text sends is refused by its first line, while lines of metrics that are not configured
//! go on being skipped unread.

use super::fields::{content, name_length};
use super::key;
use crate::line::error::Fault;

/// Checks a whole line, which begins with its measurement and ends with a newline. A string that is not closed is taken for good.
pub(super) fn check(line: &[u8]) -> Result<(), (usize, Fault)> {
    is_line_protocol(line).then_some(()).ok_or((0, Fault::NotLineProtocol))
}

/// Checks a whole comment: the text of a binary format may begin with its sign.
pub(super) fn check_comment(line: &[u8]) -> Result<(), (usize, Fault)> {
    let is_binary = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    line.iter().position(is_binary).map_or(Ok(()), |at| Err((at, Fault::ControlCharacter)))
}

fn is_line_protocol(line: &[u8]) -> bool {
    let key_length = key::key_length(line);
    if line[..key_length].ends_with(b",") && !line[..key_length].ends_with(b"\\,") {
        return false;
    }
    let mut rest = line[key_length..].trim_ascii_start();
    loop {
        let Some(name_length) = name_length(rest) else { return false };
        rest = &rest[name_length + 1..];
        let length = match content(rest) {
            Ok((_, length)) => length,
            Err(_) if rest.first() == Some(&b'"') => return true,
            Err(_) => match not_finite(rest) {
                Some(length) => length,
                None => return false,
            },
        };
        rest = &rest[length..];
        match rest.first() {
            Some(b',') => rest = &rest[1..],
            Some(b' ' | b'\r' | b'\n') => break,
            _ => return false,
        }
    }
    let time = rest.trim_ascii();
    time.strip_prefix(b"-").unwrap_or(time).iter().all(u8::is_ascii_digit)
}

/// The length of a number that is none, as many programs print it.
fn not_finite(text: &[u8]) -> Option<usize> {
    let end = text.iter().position(|byte| matches!(byte, b',' | b' ' | b'\r' | b'\n')).unwrap_or(text.len());
    let word = match &text[..end] {
        [b'+' | b'-', word @ ..] => word,
        word => word,
    };
    let is_known = [&b"nan"[..], b"inf", b"infinity"].iter().any(|known| known.eq_ignore_ascii_case(word));
    is_known.then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_any_metric() {
        for line in [
            "event,hostname=h msg=\"a b=c\" 1700000000\n",
            "log,hostname=h,type=node value=\"x\" 1700000000\n",
            "log value=\"two\nlines, \\\"quoted\\\"\",n=1i 17 \r\n",
            "log value=\"open\n",
            "control,hostname=h,method=GET value=true\n",
            "m,host=h a=1,b=2u,c=-3.5e-7,d=F,e=\"\",f=4i   -17\n",
            "m\\ x,a=b\\ c x\\ y=1\r\n",
            "m,a=b value=NaN\n",
            "m,a=b value=-Inf 17\n",
            "m,a\\,=b\\, value=1\n",
        ] {
            assert_eq!(check(line.as_bytes()), Ok(()), "{line:?}");
        }
    }

    #[test]
    fn lines_of_other_formats() {
        for line in [
            "{\"metric\":\"cpu_load\",\"value\":1}",
            "[{\"metric\": \"cpu_load\", \"value\": 1}]",
            "{",
            "{\"a\": \"b=1\"}",
            "cpu_load{cluster=\"c\",hostname=\"h\"} 1 1700000000000",
            "cpu_load{cluster=\"c\", hostname=\"h\"} 1",
            "go_goroutines 12",
            "c.h.cpu_load 1 1700000000",
            "cpu_load;cluster=c;hostname=h 1 1700000000",
            "put cpu_load 1700000000 1 hostname=h",
            "PUTVAL \"h/cpu-0/cpu-idle\" interval=10.000 1700000000:1",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<m name=\"cpu_load\"/>",
            "<!DOCTYPE html>",
            "<html lang=\"en\">",
            "time,hostname,cpu_load",
            "2026-01-01 00:00:00,h,1",
            "\"time\",\"host\"",
            "cpu_load:1|g|#host:h,cluster:c",
            "metric: cpu_load",
            "- metric: cpu_load",
            "ts=1 level=info msg=\"x\"",
            "key = value",
            "cpu_load=1",
            "<34>Oct 11 22:14:15 h su: text",
            "q=CREATE+DATABASE+c",
            "m,a=b value=",
            "m,a=b value=1 soon",
            "m, value=1",
        ] {
            let line = format!("{line}\n");
            assert_eq!(check(line.as_bytes()), Err((0, Fault::NotLineProtocol)), "{line:?}");
        }
    }

    #[test]
    fn comments_are_text() {
        assert_eq!(check_comment("# a comment\twith \u{e4} \"\r\n".as_bytes()), Ok(()));
        assert_eq!(check_comment(b"#\x01\x02\n"), Err((1, Fault::ControlCharacter)));
    }
}
