//! How to reach the broker: addresses, identity, TLS, and the pauses between attempts.
//!
//! Before it: the section `nats`, of which everything is checked and read once at the start, so that a mistake ends the
//! start. After it: the subscriptions, on the client that comes out of here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use async_nats::rustls::crypto::{CryptoProvider, ring};
use async_nats::{Client, ConnectError, ConnectOptions, ServerAddr};

use super::address::{BrokerAddress, Login, addresses};
use super::configuration::ConfigurationError;
use super::link::Link;
use crate::settings::{Nats, Secret};

/// Longest pause between two attempts to connect.
pub(super) const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(2);
/// The first pause; every further one is twice as long.
const RETRY_INTERVAL_MIN: Duration = Duration::from_millis(20);
/// One attempt, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two looks whether a silent broker is still there; the third that is not answered ends the connection.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// Largest file with credentials; a real one has a kilobyte.
const CREDENTIALS_BYTES_MAX: u64 = 64 * 1024;

/// A broker, and who we are to it.
#[derive(Debug)]
pub(super) struct Broker {
    addresses: Vec<ServerAddr>,
    /// The addresses as messages show them, without passwords.
    pub(super) shown: String,
    options: Identity,
    ca_file: Option<PathBuf>,
}

#[derive(Default)]
struct Identity {
    login: Option<Login>,
    credentials: Option<String>,
    nkey_seed: Option<String>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Identity(…)")
    }
}

impl Broker {
    /// Reads the addresses and the files of the section.
    pub(super) fn new(nats: &Nats) -> Result<Self, ConfigurationError> {
        let addresses = addresses(&nats.address)?;
        let in_url = addresses.iter().find_map(|address| address.login.clone());
        let addresses: Vec<_> = addresses.into_iter().map(|BrokerAddress { server, .. }| server).collect();
        let shown: Vec<_> = addresses.iter().map(shown).collect();
        let password = || nats.password.clone().unwrap_or_else(|| Secret::new(String::new()));
        let in_section = nats.username.clone().map(|user| Login::Password { user, password: password() });
        let login = in_section.or(in_url);
        let credentials = read("creds-file-path", nats.creds_file_path.as_deref())?;
        if let (Some(text), Some(path)) = (&credentials, &nats.creds_file_path) {
            ConnectOptions::with_credentials(text).map_err(|source| ConfigurationError::File {
                key: "creds-file-path",
                path: path.clone(),
                source,
            })?;
        }
        let nkey_seed =
            read("nkey-seed-file", nats.nkey_seed_file.as_deref())?.map(|seed| seed.trim().to_owned());
        // Only whether it can be read: the client reads it at every attempt.
        read("ca-file-path", nats.ca_file_path.as_deref())?;
        let options = Identity { login, credentials, nkey_seed };
        Ok(Self { addresses, shown: shown.join(", "), options, ca_file: nats.ca_file_path.clone() })
    }

    /// A client, which connects by itself, also again and again, and tells `link` of it.
    pub(super) async fn connect(&self, link: &Arc<Link>) -> Result<Client, ConnectError> {
        // It fails if there is one already: whichever, it is a provider.
        let _ = CryptoProvider::install_default(ring::default_provider());
        let on_event = {
            let link = Arc::clone(link);
            move |event| {
                link.see(&event);
                std::future::ready(())
            }
        };
        let mut options = ConnectOptions::new()
            .name("cc-metric-store")
            .retry_on_initial_connect()
            .max_reconnects(None)
            // Also to servers that the first one names, whose addresses do not say so.
            .require_tls(self.addresses.iter().any(ServerAddr::tls_required))
            .reconnect_delay_callback(pause)
            .connection_timeout(CONNECT_TIMEOUT)
            .ping_interval(PING_INTERVAL)
            .event_callback(on_event);
        options = match &self.options.login {
            Some(Login::Password { user, password }) => {
                options.user_and_password(user.reveal().to_owned(), password.reveal().to_owned())
            }
            Some(Login::Token(token)) => options.token(token.reveal().to_owned()),
            None => options,
        };
        if let Some(credentials) = &self.options.credentials {
            options = options.credentials(credentials).expect("they were checked at the start");
        }
        if let Some(seed) = &self.options.nkey_seed {
            options = options.nkey(seed.clone());
        }
        if let Some(path) = &self.ca_file {
            options = options.add_root_certificates(path.clone());
        }
        options.connect(&self.addresses[..]).await
    }
}

/// The pause before an attempt, of which the first comes at once.
fn pause(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(2)).unwrap_or(u32::MAX);
    let pause = RETRY_INTERVAL_MIN.saturating_mul(2u32.saturating_pow(doublings));
    if attempt <= 1 { Duration::ZERO } else { pause.min(RETRY_INTERVAL_MAX) }
}

fn shown(address: &ServerAddr) -> String {
    format!("{}://{}:{}", address.scheme(), address.host(), address.port())
}

fn read(key: &'static str, path: Option<&Path>) -> Result<Option<String>, ConfigurationError> {
    let Some(path) = path else { return Ok(None) };
    let read = || {
        let bytes = fs::metadata(path)?.len();
        if key != "ca-file-path" && bytes > CREDENTIALS_BYTES_MAX {
            return Err(io::Error::other(format!("{bytes} bytes are too many")));
        }
        fs::read_to_string(path)
    };
    read().map(Some).map_err(|source| ConfigurationError::File { key, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(address: &str) -> Nats {
        Nats {
            address: address.to_owned(),
            username: None,
            password: None,
            creds_file_path: None,
            nkey_seed_file: None,
            ca_file_path: None,
            held_bytes_max: 1 << 20,
        }
    }

    #[test]
    fn addresses_are_what_the_reference_accepts() {
        for (text, expected) in [
            ("nats://a", "nats://a:4222"),
            ("a:1", "nats://a:1"),
            ("tls://a:4443", "tls://a:4443"),
            ("nats://a:1, nats://b:2,", "nats://a:1, nats://b:2"),
            ("nats://u:p4ss@a:1", "nats://a:1"),
            ("nats://[::1]:5", "nats://::1:5"),
        ] {
            assert_eq!(Broker::new(&section(text)).unwrap().shown, expected, "{text}");
        }
        for text in ["http://a", "nats://", ",", "nats://a:99999", "ws://a"] {
            let error = Broker::new(&section(text)).unwrap_err().to_string();
            assert!(error.starts_with("nats.address: "), "{error}");
        }
        let error = Broker::new(&section("http://u:p4ss@a")).unwrap_err().to_string();
        assert!(!error.contains("p4ss"), "{error}");
    }

    #[test]
    fn the_section_counts_before_the_url() {
        let mut nats = section("nats://u:p@a:1");
        let login = |nats: &Nats| Broker::new(nats).unwrap().options.login.unwrap();
        let secret = |text: &str| Secret::new(text.to_owned());
        assert_eq!(login(&nats), Login::Password { user: secret("u"), password: secret("p") });
        nats.username = Some(secret("v"));
        nats.password = Some(secret("q"));
        assert_eq!(login(&nats), Login::Password { user: secret("v"), password: secret("q") });
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("creds");
        let mut nats = section("a");
        nats.creds_file_path = Some(path.clone());
        let error = Broker::new(&nats).unwrap_err().to_string();
        assert!(error.starts_with("nats.creds-file-path: cannot use"), "{error}");
        fs::write(&path, "no credentials").unwrap();
        let error = Broker::new(&nats).unwrap_err().to_string();
        assert!(error.starts_with("nats.creds-file-path: cannot use"), "{error}");
        nats.creds_file_path = None;
        nats.ca_file_path = Some(directory.path().join("ca"));
        let error = Broker::new(&nats).unwrap_err().to_string();
        assert!(error.starts_with("nats.ca-file-path: cannot use"), "{error}");
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let pauses: Vec<_> =
            [0, 1, 2, 3, 4, 9, 100, usize::MAX].map(|attempt| pause(attempt).as_millis()).into();
        assert_eq!(pauses, [0, 0, 20, 40, 80, 2000, 2000, 2000]);
    }
}
