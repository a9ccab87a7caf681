//! Certificates and TLS clients for the end-to-end tests.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

/// Longest wait of a client.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Two PEM files of a daemon, whose certificate is its own authority.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// The certificate.
    pub(crate) cert_file: PathBuf,
    /// The key.
    pub(crate) key_file: PathBuf,
}

impl Pair {
    /// Makes a pair in `directory`; again replaces it.
    pub(crate) fn make(directory: &Path) -> Self {
        let pair = Self { cert_file: directory.join("cert.pem"), key_file: directory.join("key.pem") };
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
        fs::write(&pair.cert_file, cert.pem()).expect("the scratch directory is writable");
        fs::write(&pair.key_file, signing_key.serialize_pem()).expect("the scratch directory is writable");
        pair
    }

    /// A client that trusts this pair as it is now.
    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        Arc::new(self.client_config_of(rustls::ALL_VERSIONS))
    }

    /// The same, of these versions.
    pub(crate) fn client_config_of(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.cert_file).expect("a certificate")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("ring knows them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Who resumes a session looks at no certificate.
        config.resumption = Resumption::disabled();
        config
    }
}

/// A TLS connection to a port of this machine; the handshake happens with the first byte.
pub(crate) fn connect(port: u16, config: Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    let socket = TcpStream::connect(("127.0.0.1", port)).expect("the daemon accepts connections");
    socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
    socket.set_write_timeout(Some(TIMEOUT)).expect("a timeout can be set");
    socket.set_nodelay(true).expect("TCP_NODELAY can be set");
    let name = ServerName::try_from("localhost").expect("a name");
    StreamOwned::new(ClientConnection::new(config, name).expect("a client"), socket)
}

/// Ends our side in order, and reads until the daemon has ended its own.
pub(crate) fn finish(mut stream: StreamOwned<ClientConnection, TcpStream>) -> io::Result<Vec<u8>> {
    stream.conn.send_close_notify();
    stream.flush()?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    Ok(rest)
}
