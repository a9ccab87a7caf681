//! The addresses of `nats.address`: URLs, with or without user and password.
//!
//! Before it: the section `nats`. After it: [`connect`](super::connect). User and password are
//! percent-decoded, as by the reference and every other client of NATS; what stands alone before the `@` is a
//! token.

use std::io;

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;

use super::configuration::ConfigurationError;
use crate::settings::{Secret, without_user};

/// Most addresses in `nats.address`.
const ADDRESSES_MAX: usize = 64;

/// Who we are to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// By name and password.
    Password {
        /// The name.
        user: Secret,
        /// The password.
        password: Secret,
    },
    /// By a token.
    Token(Secret),
}

/// One address.
#[derive(Debug)]
pub(super) struct BrokerAddress {
    /// Without a user.
    pub(super) server: ServerAddr,
    /// The user it had.
    pub(super) login: Option<Login>,
}

/// The addresses of a list with commas.
pub(super) fn addresses(text: &str) -> Result<Vec<BrokerAddress>, ConfigurationError> {
    let list: Vec<&str> = text.split(',').map(str::trim).filter(|address| !address.is_empty()).collect();
    if list.len() > ADDRESSES_MAX {
        return Err(ConfigurationError::Addresses { count: list.len(), count_max: ADDRESSES_MAX });
    }
    if list.is_empty() {
        return Err(refused(text, "it is empty"));
    }
    // What is quoted is the whole list, for a comma in a password splits that.
    list.into_iter().map(|address| parse(address).map_err(|reason| refused(text, &reason))).collect()
}

fn parse(text: &str) -> Result<BrokerAddress, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("nats", text));
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let login = user.filter(|user| !user.is_empty()).map(login).transpose()?;
    // A slash, for one, ends the authority.
    if user.is_none() && path.contains('@') {
        return Err("in user and password, write / as %2F, ? as %3F, # as %23 and @ as %40".to_owned());
    }
    let server: ServerAddr =
        format!("{scheme}://{host}{path}").parse().map_err(|error: io::Error| error.to_string())?;
    if server.is_websocket() {
        return Err("WebSockets are not supported".to_owned());
    }
    if server.host().is_empty() {
        return Err("it names no host".to_owned());
    }
    Ok(BrokerAddress { server, login })
}

/// `user:password`, or a token alone.
fn login(text: &str) -> Result<Login, String> {
    Ok(match text.split_once(':') {
        Some((user, password)) => Login::Password { user: decoded(user)?, password: decoded(password)? },
        None => Login::Token(decoded(text)?),
    })
}

fn decoded(text: &str) -> Result<Secret, String> {
    let is_sound = text
        .split('%')
        .skip(1)
        .all(|after| after.len() >= 2 && after.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()));
    let decoded = percent_decode_str(text).decode_utf8().ok().filter(|_| is_sound);
    decoded
        .map(|text| Secret::new(text.into_owned()))
        .ok_or_else(|| "user and password are percent-encoded in a URL: write % as %25".to_owned())
}

fn refused(address: &str, reason: &str) -> ConfigurationError {
    ConfigurationError::Address { address: without_user(address), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(user: &str, password: &str) -> Option<Login> {
        let secret = |text: &str| Secret::new(text.to_owned());
        Some(Login::Password { user: secret(user), password: secret(password) })
    }

    fn token(text: &str) -> Option<Login> {
        Some(Login::Token(Secret::new(text.to_owned())))
    }

    #[test]
    fn users_and_passwords_are_decoded_and_a_lone_user_is_a_token() {
        for (url, expected) in [
            ("nats://u:p%40ss%2F1@h:1", password("u", "p@ss/1")),
            ("nats://u%3Ax:plain@h", password("u:x", "plain")),
            ("u:plain@h", password("u", "plain")),
            ("nats://u:p:q@h", password("u", "p:q")),
            ("nats://u:p@ss@h", password("u", "p@ss")),
            ("nats://u:%25%c3%9f+%20@h", password("u", "%ß+ ")),
            ("nats://u:@h", password("u", "")),
            ("tls://s3cr%3At@h", token("s3cr:t")),
            ("s3cret@h:1", token("s3cret")),
            ("nats://@h", None),
            ("nats://h", None),
        ] {
            let parsed = parse(url).unwrap();
            assert_eq!(parsed.server.host(), "h", "{url}");
            assert!(!parsed.server.has_user_pass(), "{url}");
            assert!(parsed.login == expected, "{url}");
        }
    }

    #[test]
    fn what_is_not_encoded_is_refused_and_not_quoted() {
        for url in [
            "nats://u:p4ss%@h",
            "nats://u:p4ss%4@h",
            "nats://u:p4ss%zz@h",
            "nats://u:p4ss%ff@h",
            "nats://u:p4ss/x@h",
            "nats://u:p4ss,x@h",
            "nats://u:p4ss,x@h,nats://i",
            "http://u:p4ss@h",
            "nats://u:p4ss@h:99999",
            "nats://p4ss@",
        ] {
            let error = addresses(url).unwrap_err().to_string();
            assert!(error.starts_with("nats.address: ") && !error.contains("p4ss"), "{url}: {error}");
        }
    }
}
