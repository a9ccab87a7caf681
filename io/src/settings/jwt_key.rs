//! `main.jwt-public-key`: the Ed25519 key that signs the tokens of clients.
//!
//! Checked when the configuration is read; `access` verifies with it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of an Ed25519 public key.
const KEY_BYTES: usize = 32;

/// An Ed25519 public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtKey([u8; KEY_BYTES]);

impl JwtKey {
    /// Reads standard base64 of the 32 bytes, as cc-backend prints it.
    ///
    /// # Errors
    /// What the text is instead, in words.
    pub fn from_base64(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text.trim()).map_err(|error| format!("no base64 ({error})"))?;
        let key = bytes.try_into().map_err(|bytes: Vec<u8>| format!("{} bytes", bytes.len()))?;
        Ok(Self(key))
    }

    /// The key itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// As [`from_base64`](Self::from_base64) reads it.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_32_bytes() {
        let text = STANDARD.encode([7; KEY_BYTES]);
        assert_eq!(JwtKey::from_base64(&format!(" {text}\n")).unwrap().to_base64(), text);
        for (text, expected) in [
            ("a2V5".to_owned(), "3 bytes"),
            (STANDARD.encode([7; 33]), "33 bytes"),
            ("not base64!".to_owned(), "no base64"),
            (text.trim_end_matches('=').to_owned(), "no base64"),
        ] {
            let error = JwtKey::from_base64(&text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
