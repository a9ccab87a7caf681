//! Holds the documents and the rules of style against the code.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot read")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All files below a directory that end in `.rs`, build output left out.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&root(), &mut found);
    assert!(found.len() > 50);
    found
}

/// The pieces of a document between backticks that look like paths of the project.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let crates = ["engine/", "io/", "bench/", "loom-tests/", "tools/", "docs/", "configs/"];
    text.split('`').skip(1).step_by(2).filter(move |piece| crates.iter().any(|name| piece.starts_with(name)))
}

#[test]
fn every_path_in_a_document_exists() {
    let mut documents = vec!["ARCHITECTURE.md".into(), "README.md".into()];
    for directory in ["docs", "docs/decisions", "docs/operations"] {
        for entry in fs::read_dir(root().join(directory)).unwrap() {
            documents.push(entry.unwrap().path());
        }
    }
    let mut checked = 0;
    for document in
        documents.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"))
    {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for path in paths(&text) {
            assert!(root().join(path).exists(), "{} names {path}", document.display());
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} paths were found in the documents");
}

#[test]
fn the_architecture_names_every_folder_of_code() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for folder in ["engine/src", "io/src"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                assert!(
                    text.contains(&format!("{folder}/{name}/")),
                    "ARCHITECTURE.md does not mention {folder}/{name}/"
                );
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for path in all_sources() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with //!", path.display());
    }
}

#[test]
fn unsafe_code_is_in_its_folder_alone() {
    /// Files elsewhere, and the page that names them and says what they are worth.
    const EXCEPTIONS: [(&str, &str); 1] =
        [("engine/src/memory/pack/lanes.rs", "docs/decisions/0008-sums-by-vectors.md")];
    for (file, page) in EXCEPTIONS {
        let page_text = fs::read_to_string(root().join(page)).unwrap();
        assert!(page_text.contains(file), "{page} does not mention {file}");
    }
    let marker = ["allow(unsafe", "expect(unsafe"];
    for path in all_sources() {
        let text = fs::read_to_string(&path).unwrap();
        let inside = path.starts_with(root().join("engine/src/sync"))
            || EXCEPTIONS.iter().any(|(file, _)| path == root().join(file));
        if !inside && !path.ends_with("tools/tests/documents.rs") {
            assert!(
                marker.iter().all(|marker| !text.contains(marker)),
                "{} lets unsafe code in",
                path.display()
            );
        }
    }
}

#[test]
fn files_are_short() {
    /// Lines, tests included. Most files are below 300; none may grow beyond this.
    const LINES_MAX: usize = 540;
    for path in all_sources() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
    }
}
