//! The section `nats`: the server to connect to (SPEC section 7).
//!
//! After the file has been taken apart into sections, before the NATS bridge uses it.

use std::path::PathBuf;

use serde_json::Value;

use super::bounds;
use super::environment::{Environment, NATS_PASSWORD, NATS_USERNAME};
use super::object::{Findings, Object};
use super::secret::Secret;

const KEYS: &[&str] = &[
    "address",
    "username",
    "password",
    "creds-file-path",
    "nkey-seed-file",
    "ca-file-path",
    "max-held-bytes",
];

/// The section `nats`. What is subscribed to stands in `metric-store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nats {
    /// URL of the server, or several with commas between them.
    pub address: String,
    /// Name to log in with; with some brokers it is as good as a password.
    pub username: Option<Secret>,
    /// Password to log in with.
    pub password: Option<Secret>,
    /// File with credentials.
    pub creds_file_path: Option<PathBuf>,
    /// File with an NKey seed.
    pub nkey_seed_file: Option<PathBuf>,
    /// File with the certificates that the server's must be signed by; none: those of the system. Not known to the
    /// reference.
    pub ca_file_path: Option<PathBuf>,
    /// Bytes of messages that are held until they are stored; twice, if there are JetStream subscriptions. Not known to
    /// the reference.
    pub held_bytes_max: u32,
}

impl Nats {
    /// Reads the section; without an address there is no NATS.
    pub(super) fn read(
        value: Option<&Value>,
        environment: Environment<'_>,
        findings: &Findings,
    ) -> Option<Self> {
        let object = Object::new("nats".to_owned(), value?, KEYS, findings)?;
        let path = |key| object.text(key).map(PathBuf::from);
        let (username, password) = (object.secret("username"), object.secret("password"));
        let username = environment.secret(NATS_USERNAME, findings).or(username);
        let password = environment.secret(NATS_PASSWORD, findings).or(password);
        let (creds_file_path, nkey_seed_file) = (path("creds-file-path"), path("nkey-seed-file"));
        let ca_file_path = path("ca-file-path");
        let (least, most) = (u64::from(bounds::NATS_HELD_BYTES_MIN), u64::from(bounds::NATS_HELD_BYTES_MAX));
        let held_bytes_max = object.integer_within("max-held-bytes", least, most, " bytes");
        let held_bytes_max = held_bytes_max.and_then(|bytes| u32::try_from(bytes).ok());
        let held_bytes_max = held_bytes_max.unwrap_or(bounds::NATS_HELD_BYTES_DEFAULT);
        let Some(address) = object.text("address") else {
            // The reference starts without, too.
            findings.note("nats: no address is set: nothing will be received over NATS");
            return None;
        };
        Some(Self {
            address: address.to_owned(),
            username,
            password,
            creds_file_path,
            nkey_seed_file,
            ca_file_path,
            held_bytes_max,
        })
    }
}
