//! Secrets from the environment, so that the configuration need hold none (SPEC section 7): `$VAR`, or the
//! content of the file that `$VAR_FILE` names, as systemd's `LoadCredential` and containers hand them over.
//!
//! Asked by the readers of the sections before they look into the file, which counts last.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::bounds;
use super::object::Findings;
use super::problem::Problem;
use super::secret::Secret;

/// Name for the NATS server.
pub(super) const NATS_USERNAME: &str = "CC_NATS_USERNAME";
/// Password for the NATS server.
pub(super) const NATS_PASSWORD: &str = "CC_NATS_PASSWORD";
/// Token for cc-backend.
pub(super) const BACKEND_TOKEN: &str = "CC_BACKEND_TOKEN";

/// The variables of this process, or those of a test.
#[derive(Clone, Copy)]
pub(super) struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
}

impl<'a> Environment<'a> {
    /// The variables that `variable` knows.
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self { variable }
    }

    /// The secret that the variable `name` or a file holds; an empty variable counts as none. What cannot be
    /// used is reported with the variable that says so, never with the secret.
    pub(super) fn secret(self, name: &str, findings: &Findings) -> Option<Secret> {
        let value = |name: &str| (self.variable)(name).filter(|value| !value.is_empty());
        let (name, text) = if let Some(text) = value(name) {
            (name.to_owned(), text.into_string().map_err(|_| "it is not UTF-8".to_owned()))
        } else {
            let name = format!("{name}_FILE");
            let path = value(&name)?;
            (name, read(Path::new(&path)).map_err(|error| format!("cannot use {path:?}: {error}")))
        };
        let reason = match text {
            Ok(text) if text.chars().any(char::is_control) => {
                "it has more than one line, or other control characters".to_owned()
            }
            Ok(text) => return Some(Secret::new(text)),
            Err(reason) => reason,
        };
        findings.problem(Problem::Environment { variable: name, reason });
        None
    }
}

/// The text of a file without the newlines at its end, which most editors write.
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bounds::SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bounds::SECRET_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {} bytes", bounds::SECRET_BYTES_MAX)));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(io::Error::other("it is empty")),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    /// The secret of the variable `S`, or what is said of it.
    fn secret(variables: &[(&str, &OsStr)]) -> Result<Option<String>, String> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        let findings = Findings::default();
        let lookup = |name: &str| variables.get(name).map(|value| OsString::from(*value));
        let secret = Environment::new(&lookup).secret("S", &findings);
        match findings.into_parts().0.first() {
            None => Ok(secret.map(|secret| secret.reveal().to_owned())),
            Some(problem) => {
                assert_eq!(secret, None);
                Err(problem.to_string())
            }
        }
    }

    #[test]
    fn the_variable_counts_before_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        for (content, expected) in
            [("p4ss", "p4ss"), ("p4ss\n", "p4ss"), ("p4ss\r\n\n", "p4ss"), (" p 4ß ", " p 4ß ")]
        {
            fs::write(&file, content).unwrap();
            assert_eq!(secret(&[("S_FILE", file.as_os_str())]), Ok(Some(expected.to_owned())), "{content:?}");
        }
        let value = OsStr::new("other");
        assert_eq!(secret(&[("S_FILE", file.as_os_str()), ("S", value)]), Ok(Some("other".to_owned())));
        let empty = OsStr::new("");
        assert_eq!(secret(&[("S_FILE", file.as_os_str()), ("S", empty)]), Ok(Some(" p 4ß ".to_owned())));
        assert_eq!(secret(&[("S_FILE", empty), ("S", empty)]), Ok(None));
        assert_eq!(secret(&[]), Ok(None));
    }

    #[test]
    fn what_cannot_be_used_is_named_by_its_variable_and_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        let of_file = || secret(&[("S_FILE", file.as_os_str())]).unwrap_err();
        assert!(of_file().starts_with("S_FILE: cannot use"), "{}", of_file());
        for content in [&b""[..], b"\n\r\n", b"hidden\nhidden", b"hidden\0", b"hidden\xff", &[b'h'; 100_000]]
        {
            fs::write(&file, content).unwrap();
            let said = of_file();
            assert!(said.starts_with("S_FILE: ") && !said.contains("hidden"), "{said}");
        }
        assert!(secret(&[("S_FILE", directory.path().as_os_str())]).unwrap_err().starts_with("S_FILE: "));
        for value in [&b"hidden\n"[..], b"hidden\xff"] {
            let said = secret(&[("S", OsStr::from_bytes(value))]).unwrap_err();
            assert!(said.starts_with("S: ") && !said.contains("hidden"), "{said}");
        }
    }
}
