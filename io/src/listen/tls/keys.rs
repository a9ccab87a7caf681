//! Private keys of servers: what the library takes, P-521 beside it, and why not for everything else.
//!
//! Before it: the DER of a PEM file. After it: [`certificates`](super::certificates), which pairs the key
//! with its chain. The crypto library of rustls, ring, knows no P-521; the crate p521 signs for it, in some
//! milliseconds a handshake.

use std::fmt;
use std::sync::Arc;

use p521::ecdsa::Signature;
use p521::ecdsa::signature::Signer as _;
use p521::elliptic_curve::sec1::ToEncodedPoint as _;
use pkcs8::der::asn1::UintRef;
use pkcs8::der::{self, Decode, Reader, SliceReader};
use pkcs8::{ObjectIdentifier, PrivateKeyInfo};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer, alg_id};
use rustls::sign::{Signer, SigningKey, public_key_to_spki};
use rustls::{SignatureAlgorithm, SignatureScheme};
use sec1::EcPrivateKey;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
/// What people call the curves that are refused, as far as they are met.
const CURVES: [(&str, &str); 5] = [
    ("1.3.132.0.33", "P-224"),
    ("1.3.132.0.10", "secp256k1"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1"),
    ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1"),
];
/// Other kinds of keys.
const KINDS: [(&str, &str); 3] =
    [("1.3.101.113", "Ed448"), ("1.2.840.113549.1.1.10", "RSA-PSS"), ("1.2.840.10040.4.1", "DSA")];

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Nobody is there to enter a password.
    #[error("the key is encrypted, which is not supported; \"openssl pkey -in KEY -out PLAIN\" decrypts it")]
    Encrypted,
    /// RSA of another size, or one whose numbers do not fit together.
    #[error("an RSA key of {bits} bits is not supported; 2048, 3072 and 4096 bits are")]
    Rsa {
        /// Length of the modulus.
        bits: usize,
    },
    /// An elliptic curve that TLS does not know, or the library does not.
    #[error("the curve {curve} is not supported; P-256, P-384, P-521 and Ed25519 are")]
    Curve {
        /// Its name or number.
        curve: String,
    },
    /// Another algorithm.
    #[error("a key of the kind {kind} is not supported; RSA, ECDSA and Ed25519 are")]
    Kind {
        /// Its name or number.
        kind: String,
    },
    /// A key of a known kind that the library does not take.
    #[error(
        "the key is damaged, or without its public half; \"openssl pkey -in KEY -out COMPLETE\" writes it in full"
    )]
    Refused,
    /// Not even the beginning is understood.
    #[error("the key is damaged: {0}")]
    Der(#[from] der::Error),
}

/// What signs with the key.
///
/// # Errors
/// See [`KeyError`].
pub(super) fn signing_key(
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<Arc<dyn SigningKey>, KeyError> {
    let copy = key.clone_key();
    provider.key_provider.load_private_key(key).or_else(|_| other_key(&copy))
}

/// A key that the library has refused.
fn other_key(key: &PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, KeyError> {
    match key {
        PrivateKeyDer::Pkcs1(key) => Err(refused_rsa(key.secret_pkcs1_der())?),
        PrivateKeyDer::Sec1(key) => elliptic(&EcPrivateKey::from_der(key.secret_sec1_der())?, None),
        PrivateKeyDer::Pkcs8(key) => {
            let info = PrivateKeyInfo::from_der(key.secret_pkcs8_der())?;
            match info.algorithm.oid {
                RSA => Err(refused_rsa(info.private_key)?),
                ELLIPTIC => {
                    let curve = info.algorithm.parameters_oid().ok();
                    elliptic(&EcPrivateKey::from_der(info.private_key)?, curve)
                }
                ED25519 => Err(KeyError::Refused),
                kind => Err(KeyError::Kind { kind: name_of(kind, &KINDS) }),
            }
        }
        _ => Err(KeyError::Refused),
    }
}

/// Why the library has refused an RSA key.
fn refused_rsa(pkcs1: &[u8]) -> Result<KeyError, der::Error> {
    let modulus_bytes = SliceReader::new(pkcs1)?.sequence(|key| {
        u8::decode(key)?;
        let modulus = UintRef::decode(key)?.as_bytes();
        let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
        // The rest is not looked at.
        key.read_slice(key.remaining_len())?;
        Ok(bits)
    })?;
    Ok(match modulus_bytes {
        2048 | 3072 | 4096 => KeyError::Refused,
        bits => KeyError::Rsa { bits },
    })
}

fn elliptic(
    key: &EcPrivateKey<'_>,
    curve: Option<ObjectIdentifier>,
) -> Result<Arc<dyn SigningKey>, KeyError> {
    let curve = curve.or_else(|| key.parameters.and_then(|parameters| parameters.named_curve()));
    match curve {
        Some(P521) => {}
        Some(P256 | P384) => return Err(KeyError::Refused),
        Some(curve) => return Err(KeyError::Curve { curve: name_of(curve, &CURVES) }),
        None => return Err(KeyError::Curve { curve: "without a name".to_owned() }),
    }
    let secret = p521::SecretKey::from_slice(key.private_key).map_err(|_| KeyError::Refused)?;
    let public = secret.public_key().to_encoded_point(false);
    let public = public_key_to_spki(&alg_id::ECDSA_P521, public.as_bytes());
    let key = p521::ecdsa::SigningKey::from_bytes(&secret.to_bytes()).map_err(|_| KeyError::Refused)?;
    Ok(Arc::new(P521Key { key: Arc::new(key), public }))
}

/// A name of the list, or the number itself.
fn name_of(number: ObjectIdentifier, names: &[(&str, &str)]) -> String {
    let number = number.to_string();
    let known = names.iter().find(|(known, _)| *known == number).map(|(_, name)| (*name).to_owned());
    known.unwrap_or(number)
}

/// A key on the curve P-521.
struct P521Key {
    key: Arc<p521::ecdsa::SigningKey>,
    /// As it stands in certificates.
    public: SubjectPublicKeyInfoDer<'static>,
}

impl fmt::Debug for P521Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("P521Key(…)")
    }
}

impl SigningKey for P521Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SignatureScheme::ECDSA_NISTP521_SHA512)
            .then(|| Box::new(P521Signer(Arc::clone(&self.key))) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.public.clone())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

/// One handshake's signature.
struct P521Signer(Arc<p521::ecdsa::SigningKey>);

impl fmt::Debug for P521Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("P521Signer(…)")
    }
}

impl Signer for P521Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signed: Result<Signature, _> = self.0.try_sign(message);
        let signature = signed.map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP521_SHA512
    }
}
