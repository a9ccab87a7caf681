//! What a line that is no line protocol may be: a guess, so that its sender is told what it is set up to send.
//!
//! Before it: a line that was refused. After it: the text of its [error](super::error).

/// The format of a line, if it has the look of one that senders of metrics are often set up for.
#[must_use]
pub(super) fn guess(line: &[u8]) -> Option<&'static str> {
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
    let line = str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let (first, second) = (words.next()?, words.next());
    let is_number = |word: &str| word.parse::<f64>().is_ok();
    Some(match first.as_bytes() {
        [b'{' | b'[' | b'}' | b']', ..] => "JSON",
        [b'<', ..] => "XML or HTML",
        b"put" if line.contains('=') => "OpenTSDB's telnet protocol",
        b"PUTVAL" => "collectd's plain text protocol",
        _ if first.contains('{') && line.contains("=\"") => "the text format of Prometheus",
        _ if first.contains(':') && first.contains('|') => "statsd",
        _ if second.is_some_and(is_number) && words.all(is_number) => {
            "the plain text of Graphite or Prometheus"
        }
        _ if first.contains([',', ';']) && !line.contains('=') => "CSV",
        [.., b':'] => "YAML",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_look() {
        for (line, expected) in [
            ("{\"metric\":\"cpu_load\"}", Some("JSON")),
            ("  [", Some("JSON")),
            ("<?xml version=\"1.0\"?>", Some("XML or HTML")),
            ("put cpu_load 1700000000 1 hostname=h", Some("OpenTSDB's telnet protocol")),
            ("PUTVAL \"h/load\" interval=10 N:1", Some("collectd's plain text protocol")),
            (
                "cpu_load{cluster=\"c\", hostname=\"h\"} 1 1700000000000",
                Some("the text format of Prometheus"),
            ),
            ("cpu_load 1.5", Some("the plain text of Graphite or Prometheus")),
            ("c.h.cpu_load 1.5 1700000000\r", Some("the plain text of Graphite or Prometheus")),
            ("cpu_load:1|g|#host:h", Some("statsd")),
            ("time,hostname,cpu_load", Some("CSV")),
            ("metric: cpu_load", Some("YAML")),
            ("cpu_load,hostname=h", None),
            ("word", None),
            ("", None),
        ] {
            assert_eq!(guess(line.as_bytes()), expected, "{line}");
        }
        assert_eq!(guess(b"\xff\xfe{"), None);
    }
}
