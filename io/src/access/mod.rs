//! Who may call: tokens that `main.jwt-public-key` has signed (SPEC section 3).
//!
//! Before it: an HTTP request ([`token_of`]), or the first line of a raw TCP connection. After it: the call.
//! One [`Access`] a core. A token is verified once and then remembered by its SHA-256, so that a collector's next request costs a
//! hash; its times are looked at on every call.

pub mod browsers;
mod token;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hyper::header::{AUTHORIZATION, HeaderMap};
use ring::digest::{SHA256, digest};

use crate::runtime::now_ms;
use crate::settings::JwtKey;
use crate::telemetry::{RateLimit, WARN_INTERVAL};

pub use token::{Unauthorized, Validity, Verifier};

/// Longest token that is looked at; one of cc-backend has some hundred bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Of user and password, whether padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Verified tokens that a core remembers: 50 KB. Beyond, they are verified again.
const KNOWN_TOKENS_MAX: usize = 1024;

/// What checks the tokens of one core.
#[derive(Debug)]
pub struct Access {
    verifier: Verifier,
    /// Tokens without `exp` are refused, too.
    require_expiry: bool,
    /// By SHA-256 of the whole token. Only such as were verified.
    known: RefCell<HashMap<[u8; 32], Validity>>,
    refused: Cell<u64>,
    refused_rate: RateLimit,
    endless_rate: RateLimit,
}

impl Access {
    /// Accepts what `key` has signed; with `require_expiry` (`main.jwt-require-exp`) only if it expires some day.
    #[must_use]
    pub fn new(key: &JwtKey, require_expiry: bool) -> Self {
        Self {
            verifier: Verifier::new(key),
            require_expiry,
            known: RefCell::default(),
            refused: Cell::new(0),
            refused_rate: RateLimit::new(WARN_INTERVAL),
            endless_rate: RateLimit::new(WARN_INTERVAL),
        }
    }

    /// Checks a token at the time `now`, in seconds since 1970.
    ///
    /// # Errors
    /// See [`Unauthorized`].
    pub fn check(&self, token: &[u8], now: i64) -> Result<Validity, Unauthorized> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Unauthorized::TooLong);
        }
        let hash = digest(&SHA256, token).as_ref().try_into().expect("SHA-256 has 32 bytes");
        let known = self.known.borrow().get(&hash).copied();
        if let Some(validity) = known {
            // Stays even if it has expired: the clock may be set back, and verifying costs more than remembering.
            return validity.check(now);
        }
        let validity = self.verifier.verify(token)?;
        validity.check(now)?;
        if validity.until.is_none() {
            if self.require_expiry {
                return Err(Unauthorized::Endless);
            }
            if let Some(more) = self.endless_rate.allow(now_ms()) {
                tracing::warn!(
                    "a token without exp is accepted, as by the reference; set main.jwt-require-exp to refuse it ({more} more not reported)"
                );
            }
        }
        let mut known = self.known.borrow_mut();
        if known.len() >= KNOWN_TOKENS_MAX {
            known.retain(|_, validity| validity.check(now).is_ok());
        }
        if known.len() >= KNOWN_TOKENS_MAX {
            known.clear();
        }
        known.insert(hash, validity);
        Ok(validity)
    }

    /// Checks the [token](token_of) of a request.
    ///
    /// # Errors
    /// See [`Unauthorized`].
    pub fn check_request(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        schemes: Schemes,
        now: i64,
    ) -> Result<Validity, Unauthorized> {
        self.check(&token_of(headers, query, schemes)?, now)
    }

    /// Counts a refusal and warns of it, but not of every one. `who` is the kind of call.
    pub fn refuse(&self, who: &str, why: Unauthorized) {
        self.refused.set(self.refused.get() + 1);
        if let Some(more) = self.refused_rate.allow(now_ms()) {
            tracing::warn!("{who} refused: {why} ({more} more not reported)");
        }
    }

    /// Calls and connections refused since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }
}

/// What may stand before a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemes {
    /// `Bearer`, or `Basic`.
    Bearer,
    /// The same, or the `Token` of InfluxDB's clients.
    BearerOrToken,
}

/// The token of a request: in `Authorization: Bearer <JWT>`, or the password of `Authorization: Basic`, or, without that header,
/// the parameter `p` of the URL (its `query`). Whose user name it is does not matter. The words may be of any case, the header must be there once.
///
/// # Errors
/// [`Unauthorized::Missing`], [`Unauthorized::NotBearer`].
pub fn token_of<'a>(
    headers: &'a HeaderMap,
    query: Option<&'a str>,
    schemes: Schemes,
) -> Result<Cow<'a, [u8]>, Unauthorized> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        let mut parameters = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let password =
            parameters.find_map(|(name, value)| (name == "p" && !value.is_empty()).then_some(value));
        return password
            .map(|value| Cow::Owned(value.into_owned().into_bytes()))
            .ok_or(Unauthorized::Missing);
    };
    if values.next().is_some() {
        return Err(Unauthorized::NotBearer);
    }
    let value = value.as_bytes();
    if let Some(token) = bearer_credentials(value) {
        return Ok(Cow::Borrowed(token));
    }
    if schemes == Schemes::BearerOrToken
        && let Some(token) = credentials(value, b"token ")
    {
        // InfluxDB 1.8 gets user:password there; a JWT has no colon.
        return Ok(Cow::Borrowed(password(token).unwrap_or(token)));
    }
    let basic = credentials(value, b"basic ").and_then(|encoded| BASE64.decode(encoded).ok());
    let token = basic.as_deref().and_then(password).filter(|token| !token.is_empty());
    token.map(|token| Cow::Owned(token.to_vec())).ok_or(Unauthorized::NotBearer)
}

/// What stands behind the user's name and its colon.
fn password(user_and_password: &[u8]) -> Option<&[u8]> {
    let colon = memchr::memchr(b':', user_and_password)?;
    Some(&user_and_password[colon + 1..])
}

/// What follows the word `Bearer`.
#[must_use]
pub fn bearer_credentials(value: &[u8]) -> Option<&[u8]> {
    credentials(value, b"bearer ")
}

/// What follows a word and its space.
fn credentials<'a>(value: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (scheme, token) = value.trim_ascii().split_at_checked(word.len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(word) && !token.is_empty()).then_some(token)
}

#[cfg(test)]
#[path = "../../tests/daemon/issuer.rs"]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
