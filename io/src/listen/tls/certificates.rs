//! Certificate chain and key: read at the start and again on SIGHUP.
//!
//! Before it: two PEM files, of which the second may hold [keys] of any kind. After it: rustls, which asks
//! for the current pair at every handshake.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use memchr::memmem;
use rustls::InconsistentKeys;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::keys::{self, KeyError};

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why there is no pair of certificate and key.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Missing, unreadable, or too large.
    #[error("{key}: cannot read {path:?}: {source}")]
    Read {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not PEM, or nothing of the kind in it.
    #[error("{key}: {path:?} holds no PEM {what}: {source}")]
    Pem {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What the parser said.
        source: pem::Error,
    },
    /// A key that cannot be used.
    #[error("main.https-key-file: {path:?}: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: KeyError,
    },
    /// The two do not belong together.
    #[error(
        "main.https-key-file is not the key of the first certificate in main.https-cert-file; a chain begins with the server's own"
    )]
    Mismatch,
    /// The certificate is not understood.
    #[error("main.https-cert-file cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
}

/// The current pair, and where it comes from.
#[derive(Debug)]
pub struct Certificates {
    cert_file: PathBuf,
    key_file: PathBuf,
    provider: Arc<CryptoProvider>,
    /// Read at every handshake, written on SIGHUP.
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificates {
    /// Reads the pair for the first time.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn load(
        cert_file: &Path,
        key_file: &Path,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CertificateError> {
        let current = RwLock::new(Arc::new(read_pair(cert_file, key_file, &provider)?));
        Ok(Self { cert_file: cert_file.to_owned(), key_file: key_file.to_owned(), provider, current })
    }

    /// Reads it again.
    ///
    /// # Errors
    /// See [`CertificateError`]; then the old one stays.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let pair = Arc::new(read_pair(&self.cert_file, &self.key_file, &self.provider)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read_pair(
    cert_file: &Path,
    key_file: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, CertificateError> {
    let (cert_key, key_key) = ("main.https-cert-file", "main.https-key-file");
    let failed = |what| {
        move |source| CertificateError::Pem { key: cert_key, path: cert_file.to_owned(), what, source }
    };
    let text = read(cert_key, cert_file)?;
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(failed("certificate"))?;
    if chain.is_empty() {
        return Err(failed("certificate")(pem::Error::NoItemsFound));
    }
    let text = read(key_key, key_file)?;
    let of_key = |source| CertificateError::Key { path: key_file.to_owned(), source };
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|source| {
        if is_encrypted(&text) {
            return of_key(KeyError::Encrypted);
        }
        CertificateError::Pem { key: key_key, path: key_file.to_owned(), what: "private key", source }
    })?;
    let pair = CertifiedKey::new(chain, keys::signing_key(key, provider).map_err(of_key)?);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::Mismatch),
        Err(_) if holds_public_key(&pair) => Ok(pair),
        Err(error) => Err(error.into()),
    }
}

/// Whether the first certificate is that of the key, though the library does not understand it, such as one
/// of X.509 version 1. Whether to trust it is for the clients to say.
fn holds_public_key(pair: &CertifiedKey) -> bool {
    let key = pair.key.public_key();
    key.is_some_and(|key| pair.cert.iter().take(1).any(|cert| memmem::find(cert, &key).is_some()))
}

/// Whether a PEM file holds a key that needs a password.
fn is_encrypted(text: &[u8]) -> bool {
    [&b"-----BEGIN ENCRYPTED PRIVATE KEY-----"[..], b"Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| memmem::find(text, mark).is_some())
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |source| CertificateError::Read { key, path: path.to_owned(), source };
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(failed(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes"))));
    }
    Ok(tidied(&text))
}

/// A PEM file as the parser wants it: without the byte order mark and the blanks around lines that some
/// editors leave.
fn tidied(text: &[u8]) -> Vec<u8> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    text.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii).collect::<Vec<_>>().join(&b'\n')
}
