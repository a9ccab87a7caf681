//! Every example configuration is one that the daemon takes without a word of warning.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::daemon::run;
use crate::daemon::tls::Pair;
use crate::{read, root};

/// Where the example with TLS expects its files.
const TLS_FILES: [&str; 2] = ["/etc/cc-metric-store/tls/chain.pem", "/etc/cc-metric-store/tls/key.pem"];

/// The shape of credentials of NATS: a token that nobody has signed, and the seed of a key that nobody uses.
const NATS_CREDENTIALS: &str = "-----BEGIN NATS USER JWT-----
eyJ0eXAiOiJKV1QifQ.e30.e30
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y
------END USER NKEY SEED------
";

fn examples() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["configs", "configs/examples"]
        .iter()
        .flat_map(|directory| fs::read_dir(root().join(directory)).expect("the directory is there"))
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| !path.ends_with("seccomp.json"))
        .collect();
    found.sort();
    assert!(found.len() >= 9, "{found:?}");
    found
}

#[test]
fn every_example_is_taken_without_a_warning() {
    let directory = tempfile::tempdir().expect("a scratch directory can be made");
    let pair = Pair::make(directory.path());
    for path in examples() {
        let mut text = fs::read_to_string(&path).expect("it can be read");
        for (expected, made) in TLS_FILES.iter().zip([&pair.cert_file, &pair.key_file]) {
            text = text.replace(expected, made.to_str().expect("UTF-8"));
        }
        let credentials = directory.path().join("nats.creds");
        fs::write(&credentials, NATS_CREDENTIALS).expect("the scratch directory is writable");
        text = text.replace("/etc/cc-metric-store/nats.creds", credentials.to_str().expect("UTF-8"));
        fs::write(directory.path().join("config.json"), text).expect("the scratch directory is writable");
        let finished = run(&["-check-config", "-config", "config.json"], directory.path());
        assert_eq!(finished.code, Some(0), "{}: {}", path.display(), finished.stderr);
        assert_eq!(finished.stderr, "", "{}", path.display());
        let effective: Value = serde_json::from_str(&finished.stdout).expect("JSON");
        assert!(effective["metrics"].as_object().is_some_and(|metrics| metrics.len() > 2));
    }
}

#[test]
fn every_example_is_named_with_what_it_is_for() {
    let page = read("docs/operations/README.md");
    for path in examples() {
        let name = path.strip_prefix(root()).expect("it is below the root").display().to_string();
        assert!(page.contains(&format!("| `{name}` |")), "docs/operations/README.md does not name {name}");
    }
}

#[test]
fn unit_package_and_image_agree_about_the_paths() {
    let unit = read("configs/cc-metric-store.service");
    let package = read("io/Cargo.toml");
    let image = read("Dockerfile");
    assert!(unit.contains("-config /etc/cc-metric-store/config.json"));
    assert!(package.contains(r#"["../configs/default.json", "etc/cc-metric-store/config.json""#));
    assert!(image.contains("COPY configs/examples/container.json /etc/cc-metric-store/config.json"));
    for name in ["configs/default.json", "configs/examples/container.json"] {
        let config: Value = serde_json::from_str(&read(name)).expect("JSON");
        let directory = config["metric-store"]["checkpoints"]["directory"].as_str();
        assert_eq!(directory, Some("/var/lib/cc-metric-store/checkpoints"), "{name}");
    }
    assert!(
        unit.contains("StateDirectory=cc-metric-store\n")
            && image.contains("VOLUME /var/lib/cc-metric-store\n")
    );
    // What the package carries is there.
    for line in package.lines().filter(|line| line.trim_start().starts_with("[\"../")) {
        let source = line.split('"').nth(1).expect("a path between quotes");
        let source = source.split('*').next().expect("the part before a star");
        assert!(root().join("io").join(source).exists(), "io/Cargo.toml packs {source}");
    }
}
