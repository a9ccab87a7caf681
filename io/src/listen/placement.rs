//! Which core a client's lines belong to: a glance at the first of them, before anything is decoded.
//!
//! A collector's lines are of one host. Decoded on the core that owns it, its samples need not cross, its commits wait for
//! one core only, and messages of one host are stored in the order in which they came. So a [message](super::nats) is
//! handed to that core, and a [new connection](super::newcomer) moves there once. It is a guess: decoding is right on any core.

use std::str;

use engine::series::route::core_of;
use form_urlencoded::parse;

/// How far into the lines the first host is looked for.
const LINES_BYTES_MAX: usize = 1024;
/// Header fields of a request that is looked at.
const HEADERS_MAX: usize = 64;
/// Parameters that name the cluster of lines without one, for whichever call takes lines.
const CLUSTER_PARAMETERS: [&str; 3] = ["cluster", "db", "bucket"];

/// Where lines belong, as far as their beginning tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To this core.
    Core(usize),
    /// Nowhere in particular.
    Anywhere,
    /// More must be seen.
    Unknown,
}

/// The place of lines that begin so.
#[must_use]
pub fn of_lines(lines: &[u8], cluster_default: &str, cores: usize) -> Place {
    match first_host(lines, cluster_default) {
        Glance::Host(cluster, host) => Place::Core(core_of(cluster, host, cores)),
        Glance::NoHost => Place::Anywhere,
        Glance::Incomplete => Place::Unknown,
    }
}

/// The place of an HTTP request that begins so: of the lines in its body, if it is a plain write.
#[must_use]
pub fn of_request(bytes: &[u8], cores: usize) -> Place {
    const VERB: &[u8] = b"POST ";
    if !bytes.starts_with(VERB) {
        return if VERB.starts_with(bytes) { Place::Unknown } else { Place::Anywhere };
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let head_bytes = match request.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return Place::Unknown,
        Err(_) => return Place::Anywhere,
    };
    let (path, query) = request.path.map_or(("", ""), |path| path.split_once('?').unwrap_or((path, "")));
    // What is coded, or waits to be asked for, shows no lines here.
    let is_plain = request.headers.iter().all(|header| {
        !["content-encoding", "transfer-encoding", "expect"]
            .iter()
            .any(|name| header.name.eq_ignore_ascii_case(name))
    });
    let path = path.trim_end_matches('/');
    if !is_plain || !["/write", "/write_lp"].iter().any(|call| path.ends_with(call)) {
        return Place::Anywhere;
    }
    let cluster = parse(query.as_bytes()).find(|(name, _)| CLUSTER_PARAMETERS.contains(&&**name));
    let cluster = cluster.map(|(_, value)| value).unwrap_or_default();
    // Of a bucket, what is before a slash is the database.
    let cluster = cluster.split('/').next().unwrap_or_default();
    of_lines(&bytes[head_bytes..], cluster, cores)
}

/// What the beginning of some lines shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Glance<'a> {
    /// Cluster and host of the first line.
    Host(&'a str, &'a str),
    /// It has none, or none that a glance shows.
    NoHost,
    /// It is not all there.
    Incomplete,
}

/// Cluster and host of the first line that is not empty and not a comment.
fn first_host<'a>(lines: &'a [u8], cluster_default: &'a str) -> Glance<'a> {
    let mut head = &lines[..lines.len().min(LINES_BYTES_MAX)];
    let unfinished = if head.len() < LINES_BYTES_MAX { Glance::Incomplete } else { Glance::NoHost };
    while let Some(b'#' | b'\n' | b'\r') = head.first() {
        let Some(newline) = memchr::memchr(b'\n', head) else { return unfinished };
        head = &head[newline + 1..];
    }
    let Some(end) = memchr::memchr2(b' ', b'\n', head) else { return unfinished };
    let Ok(key) = str::from_utf8(&head[..end]) else { return Glance::NoHost };
    let (mut cluster, mut hostname, mut host) = (cluster_default, None, None);
    for tag in key.split(',').skip(1) {
        match tag.split_once('=') {
            Some(("cluster", name)) => cluster = name,
            Some(("hostname", name)) => hostname = Some(name),
            Some(("host", name)) => host = Some(name),
            _ => {}
        }
    }
    hostname.or(host).map_or(Glance::NoHost, |host| Glance::Host(cluster, host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_whose_they_are() {
        for (lines, expected) in [
            ("a,cluster=c,hostname=h,type=node value=1", Glance::Host("c", "h")),
            ("a,type=node,host=h value=1\n", Glance::Host("d", "h")),
            ("a,host=agent,hostname=h,type=node value=1", Glance::Host("d", "h")),
            ("a,hostname=h,host=agent value=1", Glance::Host("d", "h")),
            ("a,hostname=h value=1\nb,hostname=i value=2\n", Glance::Host("d", "h")),
            ("\n\r\n# authorization: Bearer x,hostname=i \na,hostname=h value=1", Glance::Host("d", "h")),
            ("a value=1,hostname=h", Glance::NoHost),
            ("# a,hostname=h\n", Glance::Incomplete),
            ("# a,hostname=h", Glance::Incomplete),
            ("a,hostname=h", Glance::Incomplete),
            ("", Glance::Incomplete),
        ] {
            assert_eq!(first_host(lines.as_bytes(), "d"), expected, "{lines}");
        }
        assert_eq!(first_host(b"a,hostname=\xff value=1", "d"), Glance::NoHost);
        assert_eq!(first_host(&[b'#'; LINES_BYTES_MAX], "d"), Glance::NoHost);
        assert_eq!(first_host(&[b'a'; LINES_BYTES_MAX], "d"), Glance::NoHost);
    }

    /// A host of core 1 of 2, so that the answer is not the first core by chance.
    fn host_of_the_second() -> String {
        (0..).map(|number| format!("h{number}")).find(|host| core_of("c", host, 2) == 1).unwrap()
    }

    #[test]
    fn a_write_belongs_to_the_owner_of_its_first_host() {
        let host = host_of_the_second();
        for path in [
            "/api/write?cluster=c",
            "/api/write/?cluster=c",
            "/write?db=c",
            "/api/v2/write?org=o&bucket=c/r",
            "/api/v3/write_lp?db=c",
        ] {
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 500\r\n\r\nm,hostname={host} value=1 1\nm,hostname="
            );
            assert_eq!(of_request(request.as_bytes(), 2), Place::Core(1), "{path}");
            // Every beginning of it says so, or that more must be seen.
            let known = request.len() - " 1\nm,hostname=".len();
            let known = known - "value=1".len();
            for length in 0..request.len() {
                let expected = if length < known { Place::Unknown } else { Place::Core(1) };
                assert_eq!(of_request(&request.as_bytes()[..length], 2), expected, "{path} {length}");
            }
        }
    }

    #[test]
    fn what_shows_no_lines_belongs_anywhere() {
        let host = host_of_the_second();
        for head in [
            "GET /api/query/ HTTP/1.1\r\nContent-Length: 500\r\n",
            "POST /api/query/ HTTP/1.1\r\nContent-Length: 500\r\n",
            "POST /api/write HTTP/1.1\r\ncontent-encoding: gzip\r\n",
            "POST /api/write HTTP/1.1\r\nTransfer-Encoding: chunked\r\n",
            "POST /api/write HTTP/1.1\r\nExpect: 100-continue\r\n",
            "POST \0 HTTP/1.1\r\n",
        ] {
            let request = format!("{head}\r\nm,cluster=c,hostname={host} value=1 1\n");
            assert_eq!(of_request(request.as_bytes(), 2), Place::Anywhere, "{head}");
        }
        assert_eq!(of_request(b"PUT", 2), Place::Anywhere);
        assert_eq!(of_request(b"\x16\x03\x01", 2), Place::Anywhere);
    }
}
