//! The section `main`: where the daemon listens, as whom, and who may speak to it (SPEC section 7).
//!
//! After the file has been taken apart into sections, before listeners and access checks use it.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::bounds;
use super::environment::{BACKEND_TOKEN, Environment};
use super::jwt_key::JwtKey;
use super::object::{Findings, Object};
use super::problem::Problem;
use super::remote_write_options::RemoteWriteOptions;
use super::secret::Secret;

const KEYS: &[&str] = &[
    "addr",
    "https-cert-file",
    "https-key-file",
    "user",
    "group",
    "backend-url",
    "backend-token",
    "jwt-public-key",
    "jwt-require-exp",
    "debug",
    "tcp-addr",
    "tcp-cluster",
    "query-limit",
    "idle-timeout",
    "stop-timeout",
    "max-connections",
    "max-header-bytes",
    "max-held-bytes",
    "allowed-hosts",
    "min-body-rate",
    "influx-fields",
    "remote-write",
    "ui",
];
const DEBUG_KEYS: &[&str] = &["dump-to-file", "gops"];

/// The section `main`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Main {
    /// Where HTTP listens, `host:port`; see [`resolve`](super::resolve).
    pub addr: String,
    /// Certificate chain, PEM. HTTPS is on when the key is given, too.
    pub https_cert_file: Option<PathBuf>,
    /// Private key, PEM. HTTPS is on when the certificate is given, too.
    pub https_key_file: Option<PathBuf>,
    /// Name of the user to become once the ports are bound.
    pub user: Option<String>,
    /// Name of the group to become once the ports are bound.
    pub group: Option<String>,
    /// Base URL of cc-backend, asked which hosts still have jobs (SPEC section 6).
    pub backend_url: Option<String>,
    /// Bearer token for cc-backend. Not known to the reference.
    pub backend_token: Option<Secret>,
    /// The key that signs the tokens of clients; none: everybody may call.
    pub jwt_public_key: Option<JwtKey>,
    /// Whether tokens without `exp` are refused. Not known to the reference, which accepts them.
    pub jwt_require_exp: bool,
    /// Accepted, without effect.
    pub debug: DebugOptions,
    /// Where raw line protocol over TCP is accepted; none: nowhere. Not known to the reference.
    pub tcp_addr: Option<String>,
    /// Cluster of raw TCP lines without a cluster tag. Not known to the reference.
    pub tcp_cluster: Option<String>,
    /// Connections without traffic for this long are closed. Not known to the reference.
    pub idle_timeout: Duration,
    /// How long a stop waits for connections, queries and the broker. Not known to the reference.
    pub stop_timeout: Duration,
    /// Most connections open at once, over all cores. Not known to the reference.
    pub connections_max: u32,
    /// Longest request head; within what the HTTP library can do. Not known to the reference.
    pub header_bytes_max: u32,
    /// Memory that bodies and answers of all calls may hold at once. Not known to the reference.
    pub held_bytes_max: u64,
    /// Names, beside those of this machine, under which browsers may call. Not known to the reference.
    pub allowed_hosts: Vec<String>,
    /// Slowest body of a request, in bytes per second over every span of the idle timeout; 0: no bound. Not known to the
    /// reference.
    pub body_bytes_per_second_min: u32,
    /// Whether fields of lines for InfluxDB other than `value` are metrics `<measurement>_<field>`. Not known to the reference.
    pub influx_fields: bool,
    /// What labels of Prometheus' `remote_write` are. Not known to the reference.
    pub remote_write: RemoteWriteOptions,
    /// Whether the page at `/` is served: where everybody may call, unless the file says otherwise. Not known to the reference.
    pub ui: bool,
    /// `query-limit` written here instead of in `metric-store`; a limit there comes first.
    pub(super) query_values_max: Option<u64>,
}

impl Main {
    /// What holds without the section.
    pub(super) fn new(addr: &str) -> Self {
        Self {
            addr: addr.to_owned(),
            https_cert_file: None,
            https_key_file: None,
            user: None,
            group: None,
            backend_url: None,
            backend_token: None,
            jwt_public_key: None,
            jwt_require_exp: false,
            debug: DebugOptions::default(),
            tcp_addr: None,
            tcp_cluster: None,
            idle_timeout: bounds::IDLE_TIMEOUT_DEFAULT,
            stop_timeout: bounds::STOP_TIMEOUT_DEFAULT,
            connections_max: bounds::CONNECTIONS_DEFAULT,
            header_bytes_max: bounds::HEADER_BYTES_DEFAULT,
            held_bytes_max: bounds::HELD_BYTES_DEFAULT,
            allowed_hosts: Vec::new(),
            body_bytes_per_second_min: 0,
            influx_fields: false,
            remote_write: RemoteWriteOptions::default(),
            ui: true,
            query_values_max: None,
        }
    }

    /// Reads the section; keeps the default of every key that is absent or wrong.
    pub(super) fn read(value: Option<&Value>, environment: Environment<'_>, findings: &Findings) -> Self {
        let mut main = Self::new(bounds::ADDR_DEFAULT);
        main.backend_token = environment.secret(BACKEND_TOKEN, findings);
        let Some(value) = value else { return main };
        let Some(object) = Object::new("main".to_owned(), value, KEYS, findings) else { return main };
        let path = |key| object.text(key).map(PathBuf::from);
        let text = |key| object.text(key).map(str::to_owned);
        if let Some(addr) = object.address("addr") {
            main.addr = addr.to_owned();
        }
        main.https_cert_file = path("https-cert-file");
        main.https_key_file = path("https-key-file");
        if main.https_cert_file.is_some() != main.https_key_file.is_some() {
            findings.note(
                "main: only one of https-cert-file and https-key-file is set: HTTPS is off, as in the reference",
            );
        }
        main.user = text("user");
        main.group = text("group");
        main.backend_url = text("backend-url");
        let in_file = object.secret("backend-token");
        main.backend_token = main.backend_token.or(in_file);
        main.jwt_public_key = read_key(&object);
        main.jwt_require_exp = object.boolean("jwt-require-exp").unwrap_or(false);
        main.debug = DebugOptions::read(&object);
        main.tcp_addr = object.address("tcp-addr").map(str::to_owned);
        main.tcp_cluster = text("tcp-cluster");
        if let Some(timeout) = object.duration("idle-timeout", bounds::IDLE_TIMEOUT_MIN) {
            main.idle_timeout = timeout;
        }
        if let Some(timeout) = object.duration("stop-timeout", bounds::STOP_TIMEOUT_MIN) {
            main.stop_timeout = timeout;
        }
        main.connections_max =
            within(&object, "max-connections", 1, bounds::CONNECTIONS_MAX, main.connections_max);
        let (min, max) = (bounds::HEADER_BYTES_MIN, bounds::HEADER_BYTES_MAX);
        main.header_bytes_max = within(&object, "max-header-bytes", min, max, main.header_bytes_max);
        let (min, max) = (bounds::HELD_BYTES_MIN, bounds::HELD_BYTES_MAX);
        if let Some(bytes) = object.integer_within("max-held-bytes", min, max, " bytes") {
            main.held_bytes_max = bytes;
        }
        main.allowed_hosts = read_hosts(&object);
        main.body_bytes_per_second_min = within(&object, "min-body-rate", 0, bounds::BODY_RATE_MAX, 0);
        main.influx_fields = object.boolean("influx-fields").unwrap_or(false);
        main.remote_write = RemoteWriteOptions::read(&object);
        main.ui = object.boolean("ui").unwrap_or(main.jwt_public_key.is_none());
        main.query_values_max = object.integer_within("query-limit", 1, u64::MAX, " values");
        main
    }
}

fn read_key(object: &Object<'_>) -> Option<JwtKey> {
    const KEY: &str = "jwt-public-key";
    let read = JwtKey::from_base64(object.text(KEY)?);
    read.map_err(|found| {
        let expected = "32 bytes of an Ed25519 public key in base64".to_owned();
        object.findings().problem(Problem::OutOfRange { path: object.path_of(KEY), expected, found });
    })
    .ok()
}

/// Names, each with at most one star, at its beginning.
fn read_hosts(object: &Object<'_>) -> Vec<String> {
    const KEY: &str = "allowed-hosts";
    let Some(list) = object.list(KEY) else { return Vec::new() };
    let expected = || {
        let max = bounds::ALLOWED_HOSTS_MAX;
        format!(
            "at most {max} names of hosts without port, as in [\"metrics.example.org\", \"*.example.org\"]"
        )
    };
    let problem = |found: String| {
        object.findings().problem(Problem::OutOfRange {
            path: object.path_of(KEY),
            expected: expected(),
            found,
        });
    };
    if list.len() > bounds::ALLOWED_HOSTS_MAX {
        problem(format!("{} names", list.len()));
        return Vec::new();
    }
    let is_name = |name: &str| {
        let rest = name.strip_prefix('*').unwrap_or(name);
        let is_star = name.starts_with('*') && (rest.is_empty() || rest.starts_with('.') && rest.len() > 1);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        (is_star || rest == name && !name.is_empty()) && rest.bytes().all(is_plain)
    };
    let mut hosts = Vec::new();
    for value in list {
        match value.as_str().filter(|name| is_name(name)) {
            Some(name) => hosts.push(name.to_owned()),
            None => problem(value.to_string().chars().take(bounds::QUOTE_CHARS_MAX).collect()),
        }
    }
    hosts
}

fn within(object: &Object<'_>, key: &str, min: u32, max: u32, default: u32) -> u32 {
    let number = object.integer_within(key, u64::from(min), u64::from(max), "");
    number.map_or(default, |number| u32::try_from(number).expect("the bound is a u32"))
}

/// The object `debug`, which the reference knows in two sections; accepted, without effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DebugOptions {
    /// Where the reference would dump its state.
    pub dump_to_file: Option<PathBuf>,
    /// Whether the reference would start its Go agent.
    pub gops: bool,
}

impl DebugOptions {
    /// Reads `debug` of a section.
    pub(super) fn read(section: &Object<'_>) -> Self {
        let Some(object) = section.object("debug", DEBUG_KEYS) else { return Self::default() };
        Self {
            dump_to_file: object.text("dump-to-file").map(PathBuf::from),
            gops: object.boolean("gops").unwrap_or(false),
        }
    }
}
