//! Certificates and their errors; connections are tested with the whole daemon, in `io/tests/tls.rs`.

use std::fs;
use std::path::PathBuf;

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::*;

/// A directory with a pair in it, and the paths of the two.
fn pair() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&cert_file, cert.pem()).unwrap();
    fs::write(&key_file, signing_key.serialize_pem()).unwrap();
    (directory, cert_file, key_file)
}

#[test]
fn a_bad_pair_is_named_by_its_key_and_file() {
    let (directory, cert_file, key_file) = pair();
    Tls::load(&cert_file, &key_file).unwrap();
    let (_other_directory, other_cert, other_key) = pair();
    let empty = directory.path().join("empty");
    fs::write(&empty, "").unwrap();
    let cut = directory.path().join("cut");
    fs::write(&cut, &fs::read(&cert_file).unwrap()[..100]).unwrap();
    let huge = directory.path().join("huge");
    fs::File::create(&huge).unwrap().set_len(2 * 1024 * 1024).unwrap();
    let missing = directory.path().join("missing");
    for (cert, key, expected) in [
        (&missing, &key_file, "main.https-cert-file"),
        (&cert_file, &missing, "main.https-key-file"),
        (&empty, &key_file, "main.https-cert-file"),
        (&cut, &key_file, "main.https-cert-file"),
        (&huge, &key_file, "more than"),
        (&key_file, &key_file, "main.https-cert-file"),
        (&cert_file, &cert_file, "main.https-key-file"),
        (&cert_file, &empty, "main.https-key-file"),
        (&cert_file, &other_key, "do not make a pair"),
        (&other_cert, &key_file, "do not make a pair"),
    ] {
        let error = Tls::load(cert, key).unwrap_err().to_string();
        assert!(error.contains(expected), "{cert:?} {key:?}: {error}");
    }
}

#[test]
fn a_bad_new_pair_leaves_the_old_one() {
    let (_directory, cert_file, key_file) = pair();
    let tls = Tls::load(&cert_file, &key_file).unwrap();
    fs::write(&key_file, "no key").unwrap();
    assert!(tls.reload().unwrap_err().to_string().contains("main.https-key-file"));
    let (_other_directory, other_cert, other_key) = pair();
    fs::copy(other_key, &key_file).unwrap();
    assert!(tls.reload().unwrap_err().to_string().contains("pair"), "half of the new pair");
    fs::copy(other_cert, &cert_file).unwrap();
    tls.reload().unwrap();
}
