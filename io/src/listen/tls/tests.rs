//! Certificates and their errors; connections are tested with the whole daemon, in `io/tests/tls.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        (&cert_file, &other_key, "is not the key of the first certificate"),
        (&other_cert, &key_file, "is not the key of the first certificate"),
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
    assert!(tls.reload().unwrap_err().to_string().contains("is not the key"), "half of the new pair");
    fs::copy(other_cert, &cert_file).unwrap();
    tls.reload().unwrap();
}

/// Runs a script with openssl in a directory.
#[track_caller]
fn openssl(directory: &Path, script: &str) {
    let output = Command::new("sh").args(["-ec", script]).current_dir(directory).output().expect("sh runs");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes `c.pem` of the key `k.pem`.
const SELF_SIGNED: &str = "openssl req -x509 -new -key k.pem -out c.pem -days 3 -subj /CN=localhost";

#[test]
fn keys_of_every_kind_and_format_make_a_pair() {
    for make_key in [
        "openssl ecparam -name secp521r1 -genkey -noout -out k.pem",
        "openssl ecparam -name secp521r1 -genkey -out k.pem",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out k.pem",
        "openssl ecparam -name prime256v1 -genkey -noout -out k.pem",
        "openssl ecparam -name secp384r1 -genkey -out k.pem",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out k.pem",
        "openssl genpkey -algorithm ed25519 -out k.pem",
        "openssl genrsa -out k.pem 2048",
        "openssl genrsa -traditional -out k.pem 3072",
        "openssl genrsa -out k.pem 4096",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        openssl(path, &format!("{make_key}; {SELF_SIGNED}"));
        let (cert, key) = (path.join("c.pem"), path.join("k.pem"));
        Tls::load(&cert, &key).unwrap_or_else(|error| panic!("{make_key}: {error}"));
        // One file for both, of another editor.
        let both = fs::read_to_string(&key).unwrap() + &fs::read_to_string(&cert).unwrap();
        let file = path.join("both.pem");
        for text in [format!("\u{feff}{}", both.replace('\n', "\r\n")), both.replace('\n', " \n\n  ")] {
            fs::write(&file, text).unwrap();
            Tls::load(&file, &file).unwrap_or_else(|error| panic!("{make_key}: {error}"));
        }
        // The key of another, of the same kind.
        openssl(path, &make_key.replace("k.pem", "other.pem"));
        let error = Tls::load(&cert, &path.join("other.pem")).unwrap_err();
        assert!(matches!(error, CertificateError::Mismatch), "{make_key}: {error}");
    }
}

#[test]
fn a_certificate_of_version_1_and_a_chain_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    openssl(
        path,
        "openssl genrsa -out ca.key 2048; openssl req -x509 -new -key ca.key -out ca.pem -days 3 -subj /CN=ca
         openssl genrsa -out k.pem 2048; openssl req -new -key k.pem -out r.pem -subj /CN=localhost
         openssl x509 -req -in r.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out c.pem -days 3
         openssl x509 -in c.pem -text > t.pem; cat c.pem ca.pem > chain.pem; cat ca.pem c.pem > turned.pem",
    );
    let load = |cert: &str| Tls::load(&path.join(cert), &path.join("k.pem"));
    for cert in ["c.pem", "t.pem", "chain.pem"] {
        load(cert).unwrap_or_else(|error| panic!("{cert}: {error}"));
    }
    assert!(matches!(load("turned.pem"), Err(CertificateError::Mismatch)));
}

#[test]
fn why_a_key_cannot_be_used_is_said() {
    for (make_key, expected) in [
        ("openssl ecparam -name secp224r1 -genkey -noout -out k.pem", "the curve P-224 is not supported"),
        ("openssl ecparam -name secp256k1 -genkey -out k.pem", "the curve secp256k1 is not supported"),
        (
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1 -out k.pem",
            "the curve brainpoolP256r1 is not supported",
        ),
        ("openssl ecparam -name sect233r1 -genkey -noout -out k.pem", "the curve 1.3.132.0.27 is not"),
        ("openssl genpkey -algorithm ed448 -out k.pem", "of the kind Ed448 is not supported"),
        ("openssl genrsa -out k.pem 1024", "RSA key of 1024 bits is not supported"),
        ("openssl genrsa -traditional -out k.pem 1536", "RSA key of 1536 bits is not supported"),
        (
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:x -out k.pem",
            "the key is encrypted",
        ),
        ("openssl genrsa -traditional -aes256 -passout pass:x -out k.pem 2048", "the key is encrypted"),
    ] {
        let (directory, cert_file, _) = pair();
        openssl(directory.path(), make_key);
        let key_file = directory.path().join("k.pem");
        let error = Tls::load(&cert_file, &key_file).unwrap_err().to_string();
        let is_named = error.starts_with("main.https-key-file: ") && error.contains("k.pem");
        assert!(is_named && error.contains(expected), "{make_key}: {error}");
    }
}
