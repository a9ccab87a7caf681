//! The question to cc-backend which hosts still have jobs from before the retention (SPEC section 6, Retention).
//!
//! Asked before every pass of retention and cleanup, on a thread of its own, since it may take seconds. The last answer is
//! kept beside the log, for a start at which the backend does not answer.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::limits::SPARED_BYTES_MAX;
use engine::memory::spared::{Spared, SparedError};
use serde::Deserialize;
use ureq::config::RedirectAuthHeaders;
use ureq::http::StatusCode;
use ureq::tls::{RootCerts, TlsConfig};

use crate::settings::{Secret, Settings, without_user};

/// From the call to the last byte of the answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Until a connection is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is read of an answer that says why there is no list.
const REFUSAL_BYTES_MAX: u64 = 4096;
/// What is shown of it.
const REFUSAL_CHARS_MAX: usize = 200;
/// The last answer, in the directory of the log: the reference would take a file among the checkpoints for a cluster.
const LIST_NAME: &str = "spared.json";

/// Why it is not known which hosts to spare.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// There was no answer.
    #[error("{url}: {error}")]
    Call {
        /// What was asked for.
        url: String,
        /// Why.
        error: Box<ureq::Error>,
    },
    /// The answer is not 200.
    #[error("{url}: {status}{}{}", said.as_deref().map(|said| format!(", {said:?}")).unwrap_or_default(), advice(*status))]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: StatusCode,
        /// The error in the body, as cc-backend writes it.
        said: Option<String>,
    },
    /// The answer is not what it should be.
    #[error("{url}: {error}")]
    Answer {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        error: SparedError,
    },
    /// The answer could not be kept.
    #[error("cannot write {}: {error}", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// What to do about a status.
fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; main.backend-token has to be a valid token of a user with the role api"
        }
        StatusCode::NOT_FOUND => "; is main.backend-url the address of a cc-backend?",
        _ => "",
    }
}

/// An error of cc-backend.
#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// A cc-backend.
#[derive(Debug)]
pub struct Backend {
    url: String,
    /// The same for messages, without user and password.
    shown: String,
    token: Option<Secret>,
    agent: ureq::Agent,
    list: PathBuf,
}

impl Backend {
    /// The one that is configured, if one is.
    ///
    /// # Errors
    /// Its URL is none: names the key.
    pub fn new(settings: &Settings) -> Result<Option<Self>, String> {
        let Some(url) = &settings.main.backend_url else { return Ok(None) };
        let url = url.trim_end_matches('/').to_owned();
        let shown = without_user(&url);
        if !["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme)) {
            return Err(format!("main.backend-url is {shown:?}: write it as \"https://host:port\""));
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            // A status that is none of success has a body that says why.
            .http_status_as_error(false)
            // Of a backend that sends us on to its HTTPS port.
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            // What the system trusts, the site's own authority included; SSL_CERT_FILE overrides it.
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .user_agent(concat!("cc-metric-store/", env!("CARGO_PKG_VERSION")))
            .build();
        let list = settings.metric_store.wal.directory.join(LIST_NAME);
        Ok(Some(Self { url, shown, token: settings.main.backend_token.clone(), agent: config.into(), list }))
    }

    /// Asks which hosts have jobs that began before `oldest`, in seconds, and keeps the answer.
    ///
    /// # Errors
    /// [`BackendError`]: it is not known then.
    pub fn ask(&self, oldest: i64) -> Result<Spared, BackendError> {
        let path = format!("/api/jobs/used_nodes?ts={oldest}");
        let url = format!("{}{path}", self.shown);
        let failed = |error| BackendError::Call { url: url.clone(), error: Box::new(error) };
        let mut request = self.agent.get(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.reveal()));
        }
        let mut answer = request.call().map_err(failed)?;
        let status = answer.status();
        if status != StatusCode::OK {
            let body = answer.body_mut().with_config().limit(REFUSAL_BYTES_MAX).read_to_vec();
            let refusal = body.ok().and_then(|body| serde_json::from_slice::<Refusal>(&body).ok());
            let said = refusal.map(|refusal| refusal.error.chars().take(REFUSAL_CHARS_MAX).collect());
            return Err(BackendError::Status { url, status, said });
        }
        let answer = answer.body_mut().with_config().limit(SPARED_BYTES_MAX as u64).read_to_vec();
        let answer = answer.map_err(failed)?;
        let spared = Spared::decode(&answer).map_err(|error| BackendError::Answer { url, error })?;
        write_durably(&self.list, &spared.encode())
            .map_err(|error| BackendError::Keep { path: self.list.clone(), error })?;
        Ok(spared)
    }

    /// The hosts whose older snapshots are to be loaded at a start: those of the answer or, without one, of the last answer.
    #[must_use]
    pub fn ask_at_start(&self, oldest: i64) -> Spared {
        match self.ask(oldest) {
            Ok(spared) => spared,
            Err(error) => {
                let spared = self.last_answer();
                tracing::warn!(
                    "cc-backend does not say which hosts to spare: {error}; loading what the last answer spared, {} hosts",
                    spared.count()
                );
                spared
            }
        }
    }

    fn last_answer(&self) -> Spared {
        let read = File::open(&self.list).and_then(|file| {
            let mut text = Vec::new();
            io::Read::read_to_end(&mut io::Read::take(file, SPARED_BYTES_MAX as u64 + 1), &mut text)?;
            Ok(text)
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Spared::default(),
            Err(error) => {
                tracing::error!("cannot read {}: {error}", self.list.display());
                Spared::default()
            }
            Ok(text) => Spared::decode(&text).unwrap_or_else(|error| {
                tracing::error!("{} is damaged: {error}", self.list.display());
                Spared::default()
            }),
        }
    }
}

/// As the engine's `write_atomically`, on a thread without executor.
fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("json.tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
