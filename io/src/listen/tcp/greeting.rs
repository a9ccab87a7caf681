//! The first line of a raw TCP connection when tokens are needed: `# authorization: Bearer <JWT>`.
//!
//! A comment of the line protocol, so that a client may send it whether it is needed or not. Before it: the accepted
//! connection. After it: its lines, the first of which may have come in the same read.

use futures_lite::FutureExt;

use crate::access::{Access, TOKEN_BYTES_MAX, Unauthorized, Validity, bearer_credentials};
use crate::core::clock_seconds;
use crate::listen::connections::ConnectionHandle;
use crate::listen::transport::Transport;

/// What the line begins with, in any case; spaces around the colon's value do not matter.
const NAME: &[u8] = b"# authorization:";
/// Longest first line: beyond, nothing more is read.
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

/// Reads the first line. What was read behind it is `buffer[..]` of the returned range.
///
/// # Errors
/// See [`Ungreeted`].
pub(super) async fn greeting<T: Transport>(
    stream: &mut T,
    access: &Access,
    connection: &ConnectionHandle,
    buffer: &mut Vec<u8>,
) -> Result<(Validity, std::ops::Range<usize>), Ungreeted> {
    buffer.resize(LINE_BYTES_MAX, 0);
    let mut filled = 0;
    loop {
        let read = async { stream.read(&mut buffer[filled..]).await.unwrap_or(0) };
        let asked = async {
            connection.closing(None).await;
            0
        };
        let bytes = read.or(asked).await;
        if bytes == 0 {
            return Err(Ungreeted::Ended);
        }
        let newline = memchr::memchr(b'\n', &buffer[filled..filled + bytes]).map(|at| filled + at);
        filled += bytes;
        if let Some(end) = newline {
            return Ok((check(access, &buffer[..end])?, end + 1..filled));
        }
        if filled == buffer.len() {
            return Err(Ungreeted::TooLong);
        }
    }
}

fn check(access: &Access, line: &[u8]) -> Result<Validity, Unauthorized> {
    let (name, value) = line.split_at_checked(NAME.len()).ok_or(Unauthorized::Missing)?;
    if !name.eq_ignore_ascii_case(NAME) {
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
}
