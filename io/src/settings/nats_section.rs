//! The section `nats`: the server to connect to (SPEC section 7).
//!
//! After the file has been taken apart into sections, before the NATS bridge uses it.

use std::path::PathBuf;

use serde_json::Value;

use super::object::{Findings, Object};
use super::secret::Secret;

const KEYS: &[&str] = &["address", "username", "password", "creds-file-path", "nkey-seed-file"];

/// The section `nats`. What is subscribed to stands in `metric-store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nats {
    /// URL of the server, or several with commas between them.
    pub address: String,
    /// Name to log in with.
    pub username: Option<String>,
    /// Password to log in with.
    pub password: Option<Secret>,
    /// File with credentials.
    pub creds_file_path: Option<PathBuf>,
    /// File with an NKey seed.
    pub nkey_seed_file: Option<PathBuf>,
}

impl Nats {
    /// Reads the section; without an address there is no NATS.
    pub(super) fn read(value: Option<&Value>, findings: &Findings) -> Option<Self> {
        let object = Object::new("nats".to_owned(), value?, KEYS, findings)?;
        let path = |key| object.text(key).map(PathBuf::from);
        let (username, password) = (object.text("username").map(str::to_owned), object.secret("password"));
        let (creds_file_path, nkey_seed_file) = (path("creds-file-path"), path("nkey-seed-file"));
        let Some(address) = object.text("address") else {
            // The reference starts without, too.
            findings.note("nats: no address is set: nothing will be received over NATS");
            return None;
        };
        Some(Self { address: address.to_owned(), username, password, creds_file_path, nkey_seed_file })
    }
}
