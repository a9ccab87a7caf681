//! One token: its signature and its times. The library takes the JWT apart; the one algorithm it gets is Ed25519.
//!
//! Before and after it: [`Access`](super::Access), which remembers what was verified.

use std::fmt;
use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;

use super::TOKEN_BYTES_MAX;
use crate::settings::JwtKey;

/// Why a call is refused: HTTP 401, or a reset of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// No token at all.
    #[error("a token is needed: send the header Authorization: Bearer <JWT>")]
    Missing,
    /// Another scheme, no token behind it, or the header twice.
    #[error(
        "the header must be there once and have the form Authorization: Bearer <JWT>, or Basic with the token as password"
    )]
    NotBearer,
    /// Not looked at.
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not three parts, not base64, not JSON, or extensions (`crit`) that nobody here understands.
    #[error("the token is not a JWT signed with EdDSA")]
    NotAToken,
    /// Signed, or pretended to be, with something else than EdDSA.
    #[error("the token's algorithm is not EdDSA")]
    Algorithm,
    /// Signed by another key, or changed on its way.
    #[error("the token is not signed by the key main.jwt-public-key")]
    Signature,
    /// `exp` or `nbf` is no time.
    #[error("exp or nbf of the token is not a time in seconds since 1970")]
    Times,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is ahead.
    #[error("the token is not valid yet")]
    NotYet,
    /// No `exp`, with `main.jwt-require-exp`.
    #[error("the token never expires, which main.jwt-require-exp forbids")]
    Endless,
}

/// When a token may be used, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// `nbf`: from then on.
    pub from: Option<i64>,
    /// `exp`: no longer then.
    pub until: Option<i64>,
}

impl Validity {
    /// Whether `now` is within.
    ///
    /// # Errors
    /// [`Unauthorized::Expired`], [`Unauthorized::NotYet`].
    pub fn check(self, now: i64) -> Result<Self, Unauthorized> {
        if self.until.is_some_and(|until| now >= until) {
            return Err(Unauthorized::Expired);
        }
        if self.from.is_some_and(|from| now < from) {
            return Err(Unauthorized::NotYet);
        }
        Ok(self)
    }
}

/// Verifies signatures of one key.
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// For this key.
    #[must_use]
    pub fn new(key: &JwtKey) -> Self {
        static INSTALLED: Once = Once::new();
        // Nobody else installs one; an earlier one of another library would verify as well.
        INSTALLED.call_once(|| {
            let _ = PROVIDER.install_default();
        });
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Times are checked here, at every use; audiences mean nothing to the reference.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Self { key: DecodingKey::from_ed_der(key.bytes()), validation }
    }

    /// Verifies the signature and reads the times, which the caller has to [check](Validity::check).
    ///
    /// # Errors
    /// Everything of [`Unauthorized`] that does not depend on the time.
    pub fn verify(&self, token: &[u8]) -> Result<Validity, Unauthorized> {
        let data =
            decode::<Value>(token, &self.key, &self.validation).map_err(|error| match error.kind() {
                ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => Unauthorized::Algorithm,
                ErrorKind::InvalidSignature => Unauthorized::Signature,
                _ => Unauthorized::NotAToken,
            })?;
        if data.header.crit.is_some() || !data.claims.is_object() {
            return Err(Unauthorized::NotAToken);
        }
        Ok(Validity { from: time(&data.claims, "nbf")?, until: time(&data.claims, "exp")? })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// A NumericDate (RFC 7519), fractions cut off.
fn time(claims: &Value, name: &str) -> Result<Option<i64>, Unauthorized> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite()).ok_or(Unauthorized::Times)?;
    // Beyond what an i64 holds, it means never or always, as it should.
    Ok(Some(value.as_i64().unwrap_or(seconds as i64)))
}

/// Ed25519 of the library that TLS uses, and nothing else: no other algorithm can be confused with it.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    verifier_factory: |algorithm, key| {
        if *algorithm != Algorithm::EdDSA {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        Ok(Box::new(Ed25519(UnparsedPublicKey::new(&ED25519, key.try_get_as_bytes()?.to_vec()))))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Ed25519(UnparsedPublicKey<Vec<u8>>);

impl signature::Verifier<Vec<u8>> for Ed25519 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.0.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Ed25519 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}
