//! What a raw TCP stream may begin with: `# authorization: Bearer <JWT>`, then `# acknowledge: bytes`, a line each.
//!
//! Comments of the line protocol, so that a client may send them whether they are needed or not. The first must be there where
//! tokens are needed. The second asks to be told, while the stream goes on, how much of it is stored: `# stored: <n>` means the
//! first n bytes behind the greeting. Before it: the accepted connection. After it: its lines, the first of which may have come in
//! the same read.

use std::ops::Range;

use futures_lite::FutureExt;

use crate::access::{Access, TOKEN_BYTES_MAX, Unauthorized, Validity, bearer_credentials};
use crate::core::clock_seconds;
use crate::listen::connections::ConnectionHandle;
use crate::listen::transport::Transport;

/// What the first line begins with, in any case; spaces around the colon's value do not matter.
const AUTHORIZATION: &[u8] = b"# authorization:";
/// The same of the second.
const ACKNOWLEDGE: &[u8] = b"# acknowledge:";
/// What is acknowledged; there is nothing else yet.
const UNIT: &[u8] = b"bytes";
/// Longest line: beyond, nothing more is read for it.
const LINE_BYTES_MAX: usize = TOKEN_BYTES_MAX + 64;

/// Why there is no first line to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ungreeted {
    /// The line is there and says something else, or its token is refused.
    #[error("its first line must be `# authorization: Bearer <JWT>`: {0}")]
    Refused(#[from] Unauthorized),
    /// No newline within the longest possible line.
    #[error(
        "its first line has more than {LINE_BYTES_MAX} bytes; it must be `# authorization: Bearer <JWT>`"
    )]
    TooLong,
    /// It ended, broke, stalled, or the daemon stops.
    #[error("it ended within its first line")]
    Ended,
}

/// What a stream began with.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    /// How long its token holds.
    pub(super) validity: Validity,
    /// Whether the client wants to be told how much is stored.
    pub(super) counts_back: bool,
    /// Where in the buffer the first lines are that came behind it.
    pub(super) rest: Range<usize>,
}

/// Reads the greeting, if there is one; with `access` there must be. Nothing is waited for once the first bytes, or those behind
/// the token, are no greeting.
///
/// # Errors
/// See [`Ungreeted`]; none without `access`.
pub(super) async fn greeting<T: Transport>(
    stream: &mut T,
    access: Option<&Access>,
    connection: &ConnectionHandle,
    buffer: &mut Vec<u8>,
) -> Result<Greeting, Ungreeted> {
    // Both lines may come at once, and lines behind them.
    buffer.resize(2 * LINE_BYTES_MAX, 0);
    let mut filled = 0;
    loop {
        let read = async { stream.read(&mut buffer[filled..]).await.unwrap_or(0) };
        let asked = async {
            connection.closing(None).await;
            0
        };
        let bytes = read.or(asked).await;
        filled += bytes;
        let (greeting, is_over) = look(access, &buffer[..filled])?;
        let is_welcome = access.is_none() || greeting.rest.start > 0;
        if is_welcome {
            connection.head_complete();
        }
        let is_end = bytes == 0 || filled == buffer.len();
        match (is_over || is_end, is_welcome) {
            (false, _) => {}
            // What has ended is found to have by the next read as well.
            (true, true) => return Ok(greeting),
            (true, false) => return Err(if bytes == 0 { Ungreeted::Ended } else { Ungreeted::TooLong }),
        }
    }
}

/// The greeting as far as these bytes show it, and whether more cannot change it.
fn look(access: Option<&Access>, bytes: &[u8]) -> Result<(Greeting, bool), Ungreeted> {
    let mut greeting = Greeting { rest: 0..bytes.len(), ..Greeting::default() };
    // Without a key the first line says nothing to us, but another may follow.
    if access.is_some() || !bytes.is_empty() && begins(bytes, AUTHORIZATION) {
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            let is_too_long = access.is_some() && bytes.len() > LINE_BYTES_MAX;
            return if is_too_long { Err(Ungreeted::TooLong) } else { Ok((greeting, false)) };
        };
        if let Some(access) = access {
            greeting.validity = check(access, &bytes[..end])?;
        }
        greeting.rest.start = end + 1;
    }
    let second = &bytes[greeting.rest.start..];
    if !begins(second, ACKNOWLEDGE) {
        return Ok((greeting, true));
    }
    let Some(end) = memchr::memchr(b'\n', second) else { return Ok((greeting, false)) };
    if second[ACKNOWLEDGE.len()..end].trim_ascii().eq_ignore_ascii_case(UNIT) {
        greeting.counts_back = true;
        greeting.rest.start += end + 1;
    }
    Ok((greeting, true))
}

/// Whether the bytes begin so, or may when more of them have come.
fn begins(bytes: &[u8], name: &[u8]) -> bool {
    let length = bytes.len().min(name.len());
    bytes[..length].eq_ignore_ascii_case(&name[..length])
}

fn check(access: &Access, line: &[u8]) -> Result<Validity, Unauthorized> {
    let (name, value) = line.split_at_checked(AUTHORIZATION.len()).ok_or(Unauthorized::Missing)?;
    if !name.eq_ignore_ascii_case(AUTHORIZATION) {
        return Err(Unauthorized::Missing);
    }
    let token = bearer_credentials(value).ok_or(Unauthorized::NotBearer)?;
    access.check(token, clock_seconds())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::testing::Issuer;
    use crate::settings::JwtKey;

    #[test]
    fn the_first_line_names_the_token() {
        let issuer = Issuer::new();
        let access = Access::new(&JwtKey::from_base64(&issuer.public_key()).unwrap(), false);
        let until = clock_seconds() + 60;
        let token = issuer.token(&json!({"exp": until}));
        for line in [
            format!("# authorization: Bearer {token}"),
            format!("# Authorization:Bearer {token}\r"),
            format!("# AUTHORIZATION:   bearer   {token}  "),
        ] {
            assert_eq!(
                check(&access, line.as_bytes()).map(|validity| validity.until),
                Ok(Some(until)),
                "{line}"
            );
        }
        for (line, expected) in [
            (String::new(), Unauthorized::Missing),
            ("cpu_load,cluster=c,hostname=h value=1".to_owned(), Unauthorized::Missing),
            (format!("#authorization: Bearer {token}"), Unauthorized::Missing),
            (format!("# authorization: {token}"), Unauthorized::NotBearer),
            ("# authorization: Bearer ".to_owned(), Unauthorized::NotBearer),
            ("# authorization: Bearer x".to_owned(), Unauthorized::NotAToken),
            (format!("# authorization: Bearer {token}x"), Unauthorized::NotAToken),
        ] {
            let refused = check(&access, line.as_bytes()).unwrap_err();
            assert!(refused == expected || refused == Unauthorized::Signature, "{line}: {refused:?}");
        }
    }

    #[test]
    fn the_second_line_asks_for_counts_wherever_the_stream_is_cut() {
        let issuer = Issuer::new();
        let access = Access::new(&JwtKey::from_base64(&issuer.public_key()).unwrap(), false);
        let token = issuer.token(&json!({"exp": clock_seconds() + 60}));
        let authorization = format!("# authorization: Bearer {token}\n");
        let lines = "cpu_load,cluster=c,hostname=h value=1\n";
        for (access, first, second, counts_back) in [
            (None, "", "# acknowledge: bytes\n", true),
            (None, "", "# Acknowledge:BYTES\r\n", true),
            (None, &*authorization, "# acknowledge: bytes\n", true),
            (None, &*authorization, "", false),
            (None, "", "", false),
            (None, "", "# acknowledge: lines\n", false),
            (None, "", "# a comment\n", false),
            (Some(&access), &*authorization, "# acknowledge: bytes\n", true),
            (Some(&access), &*authorization, "", false),
        ] {
            let stream = format!("{first}{second}{lines}");
            let cuts = 0..=stream.len();
            let over =
                cuts.map(|cut| look(access, &stream.as_bytes()[..cut]).unwrap()).find(|(_, over)| *over);
            let (greeting, _) = over.expect("the stream is over");
            assert_eq!(greeting.counts_back, counts_back, "{stream}");
            let skipped = first.len() + if counts_back { second.len() } else { 0 };
            assert_eq!(greeting.rest.start, skipped, "{stream}");
        }
        assert!(matches!(look(Some(&access), b"# acknowledge: bytes\n"), Err(Ungreeted::Refused(_))));
    }
}
