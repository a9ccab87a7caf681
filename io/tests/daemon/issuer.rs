//! Keys and tokens for tests, made at run time; also for the unit tests of `access`.

#![allow(dead_code, reason = "every test file uses another part")]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::Value;

/// Somebody who signs tokens.
pub(crate) struct Issuer(Ed25519KeyPair);

impl Issuer {
    /// With a key of its own.
    pub(crate) fn new() -> Self {
        let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("keys can be made");
        Self(Ed25519KeyPair::from_pkcs8(pair.as_ref()).expect("a key is a key"))
    }

    /// As it stands in a configuration.
    pub(crate) fn public_key(&self) -> String {
        STANDARD.encode(self.0.public_key().as_ref())
    }

    /// A token of these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(r#"{"alg":"EdDSA","typ":"JWT"}"#, claims)
    }

    /// A token whose header says something else; signed all the same.
    pub(crate) fn token_with(&self, header: &str, claims: &Value) -> String {
        let message = message(header, &claims.to_string());
        let signature = URL_SAFE_NO_PAD.encode(self.0.sign(message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }
}

/// Header and claims as they are signed.
pub(crate) fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}
